//! Who is in the channel: decides when a recording is idle, and is the manifest's list of members. Pure.
//!
//! After a restart of the worker nobody counts as there until met again. Who is met within [`RETURN`] was there all the time;
//! who is not left with the restart.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::IdleKind;
use crate::recording::Input;
use crate::units::{Ticks, TrackId, Uid};

/// Stays that are written down; later ones are only counted.
const MAX_STAYS: usize = 10_000;

/// Muted stretches that are written down, over all stays; later ones are only counted.
const MAX_MUTED: usize = 100_000;

/// How long after the worker's restart a member may take to be met again, as in the recording core.
const RETURN: Ticks = Ticks::from_secs(15);

/// One stay of a member in the channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Stay {
    /// Who.
    pub uid: Uid,
    /// Milliseconds from the recording's start to the join; 0 for those who were there before.
    pub joined_ms: u64,
    /// Milliseconds to the leave; none for those who stayed to the end.
    pub left_ms: Option<u64>,
    /// When it published and all that it published was muted.
    #[serde(default)]
    pub muted: Vec<Muted>,
}

/// A stretch in which a member was muted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Muted {
    /// Milliseconds from the recording's start.
    pub from_ms: u64,
    /// Milliseconds from the recording's start; none when it lasted to the end.
    pub to_ms: Option<u64>,
}

/// Members and their publications.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Presence {
    members: BTreeMap<Uid, Member>,
    tracks: BTreeMap<TrackId, Track>,
    stays: Vec<Stay>,
    muted: usize,
    untold: u64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Member {
    /// Its place in the list of stays, if it has one.
    stay: Option<usize>,
    /// Whether the last of that stay's muted stretches goes on.
    muted: bool,
    /// When the worker came back, if it has not been met since.
    missing: Option<Ticks>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Track {
    uid: Uid,
    muted: bool,
}

impl Presence {
    /// Takes note of an input.
    pub(super) fn observe(&mut self, at: Ticks, input: &Input) {
        match input {
            Input::Joined { uid } => self.joined(at, uid),
            Input::Left { uid } => {
                self.tracks.retain(|_, track| track.uid != *uid);
                self.look(at, uid);
                let stay = self.members.remove(uid).and_then(|member| member.stay);
                if let Some(stay) = stay {
                    self.stays[stay].left_ms = Some(at.as_ms());
                }
            }
            Input::TrackAdded { track, uid, muted, kind: _ } => {
                self.joined(at, uid);
                self.tracks.insert(*track, Track { uid: uid.clone(), muted: *muted });
                self.look(at, uid);
            }
            Input::TrackRemoved { track } => {
                if let Some(track) = self.tracks.remove(track) {
                    self.look(at, &track.uid);
                }
            }
            Input::Muted { track, muted } => {
                let known = self.tracks.get_mut(track).map(|track| {
                    track.muted = *muted;
                    track.uid.clone()
                });
                if let Some(uid) = known {
                    self.look(at, &uid);
                }
            }
            Input::WorkerRestarted => self.restarted(at),
            _ => {}
        }
    }

    /// Whether nobody keeps the recording alive.
    pub(super) fn is_idle(&self, kind: IdleKind) -> bool {
        match kind {
            IdleKind::NoMember => {
                self.tracks.is_empty() && self.members.values().all(|member| member.missing.is_some())
            }
            IdleKind::NoPublisher => self.tracks.is_empty(),
        }
    }

    /// When the last of those who have left did so; tick 0 if nobody has.
    pub(super) fn last_left(&self) -> Ticks {
        Ticks::from_ms(self.stays.iter().filter_map(|stay| stay.left_ms).max().unwrap_or_default())
    }

    /// Everybody who was there, in order of arrival, and how many stays and muted stretches are not in the list.
    pub(super) fn stays(&self) -> (&[Stay], u64) {
        (&self.stays, self.untold)
    }

    fn joined(&mut self, at: Ticks, uid: &Uid) {
        if let Some(member) = self.members.get_mut(uid) {
            match member.missing.take() {
                None => return,
                Some(since) if at <= since + RETURN => {
                    if let Some(stay) = member.stay {
                        self.stays[stay].left_ms = None;
                    }
                    return;
                }
                Some(_) => {}
            }
        }
        let stay = (self.stays.len() < MAX_STAYS).then_some(self.stays.len());
        match stay {
            Some(_) => {
                let (uid, joined_ms) = (uid.clone(), at.as_ms());
                self.stays.push(Stay { uid, joined_ms, left_ms: None, muted: Vec::new() });
            }
            None => self.untold += 1,
        }
        self.members.insert(uid.clone(), Member { stay, muted: false, missing: None });
    }

    fn restarted(&mut self, at: Ticks) {
        let publishers: Vec<Uid> = std::mem::take(&mut self.tracks).into_values().map(|track| track.uid).collect();
        publishers.iter().for_each(|uid| self.look(at, uid));
        for member in self.members.values_mut().filter(|member| member.missing.is_none()) {
            member.missing = Some(at);
            if let Some(stay) = member.stay {
                self.stays[stay].left_ms = Some(at.as_ms());
            }
        }
    }

    /// Writes down where the member began or ceased to be muted.
    fn look(&mut self, at: Ticks, uid: &Uid) {
        let mut own = self.tracks.values().filter(|track| track.uid == *uid).peekable();
        let muted = own.peek().is_some() && own.all(|track| track.muted);
        let Some(member) = self.members.get_mut(uid).filter(|member| member.muted != muted) else { return };
        let Some(stay) = member.stay else { return };
        let spans = &mut self.stays[stay].muted;
        if !muted {
            member.muted = false;
            if let Some(last) = spans.last_mut() {
                last.to_ms = Some(at.as_ms());
            }
        } else if self.muted < MAX_MUTED {
            member.muted = true;
            self.muted += 1;
            spans.push(Muted { from_ms: at.as_ms(), to_ms: None });
        } else {
            self.untold += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recording::TrackKind;

    fn uid(text: &str) -> Uid {
        Uid::new(text).unwrap()
    }

    fn joined(name: &str) -> Input {
        Input::Joined { uid: uid(name) }
    }

    fn added(track: u32, name: &str, muted: bool) -> Input {
        Input::TrackAdded { track: TrackId(track), uid: uid(name), muted, kind: TrackKind::default() }
    }

    /// A presence that saw this, each at its second.
    fn after(story: &[(u64, Input)]) -> Presence {
        let mut presence = Presence::default();
        story.iter().for_each(|(replicator, input)| presence.observe(Ticks::from_secs(*replicator), input));
        presence
    }

    #[test]
    fn a_listener_keeps_a_call_alive_but_not_a_live_room() {
        let mut presence = Presence::default();
        assert!(presence.is_idle(IdleKind::NoMember));
        presence.observe(Ticks::ZERO, &joined("1"));
        assert!(!presence.is_idle(IdleKind::NoMember));
        assert!(presence.is_idle(IdleKind::NoPublisher));
        presence.observe(Ticks::ZERO, &added(1, "1", true));
        assert!(!presence.is_idle(IdleKind::NoPublisher));
        presence.observe(Ticks::from_secs(2), &Input::Left { uid: uid("1") });
        assert!(presence.is_idle(IdleKind::NoMember) && presence.is_idle(IdleKind::NoPublisher));
    }

    #[test]
    fn stays_are_written_down_with_their_times() {
        let presence =
            after(&[(1, joined("1")), (2, joined("1")), (3, Input::Left { uid: uid("1") }), (4, joined("1"))]);
        let stays = presence.stays().0;
        assert_eq!(stays.len(), 2);
        assert_eq!((stays[0].joined_ms, stays[0].left_ms), (1_000, Some(3_000)));
        assert_eq!((stays[1].joined_ms, stays[1].left_ms), (4_000, None));
        assert_eq!(presence.last_left(), Ticks::from_secs(3));
        assert_eq!(Presence::default().last_left(), Ticks::ZERO);
    }

    #[test]
    fn a_member_is_muted_while_all_it_publishes_is() {
        let mute = |track, muted| Input::Muted { track: TrackId(track), muted };
        let presence = after(&[
            (0, joined("1")),
            (1, added(1, "1", true)),
            (2, added(2, "1", false)),
            (3, mute(2, true)),
            (4, mute(1, false)),
            (5, Input::TrackRemoved { track: TrackId(1) }),
            (6, Input::Left { uid: uid("1") }),
        ]);
        let spans: Vec<_> = presence.stays().0[0].muted.iter().map(|span| (span.from_ms, span.to_ms)).collect();
        assert_eq!(spans, [(1_000, Some(2_000)), (3_000, Some(4_000)), (5_000, Some(6_000))]);
    }

    #[test]
    fn after_a_restart_only_those_who_are_met_again_were_there_all_the_time() {
        let mut presence = after(&[(0, joined("1")), (0, joined("2")), (1, added(1, "1", true))]);
        presence.observe(Ticks::from_secs(10), &Input::WorkerRestarted);
        assert!(presence.is_idle(IdleKind::NoMember) && presence.is_idle(IdleKind::NoPublisher));
        presence.observe(Ticks::from_secs(12), &added(1, "1", true));
        assert!(!presence.is_idle(IdleKind::NoMember));
        let spans: Vec<_> = presence.stays().0[0].muted.iter().map(|span| (span.from_ms, span.to_ms)).collect();
        assert_eq!(spans, [(1_000, Some(10_000)), (12_000, None)]);
        let left = |presence: &Presence| presence.stays().0.iter().map(|stay| stay.left_ms).collect::<Vec<_>>();
        assert_eq!(left(&presence), [None, Some(10_000)]);
        presence.observe(Ticks::from_secs(40), &joined("2"));
        assert_eq!(left(&presence), [None, Some(10_000), None], "came back much later: a new stay");
    }

    #[test]
    fn it_is_the_same_after_a_checkpoint() {
        let mut presence = after(&[(0, joined("1")), (1, added(7, "1", true))]);
        let text = serde_json::to_vec(&presence).unwrap();
        let mut back: Presence = serde_json::from_slice(&text).unwrap();
        for each in [&mut presence, &mut back] {
            each.observe(Ticks::from_secs(3), &Input::Muted { track: TrackId(7), muted: false });
            each.observe(Ticks::from_secs(4), &Input::Left { uid: uid("1") });
        }
        assert_eq!(back.stays(), presence.stays());
        assert!(back.is_idle(IdleKind::NoMember));
    }

    #[test]
    fn past_the_limits_stays_and_muted_stretches_are_counted_not_listed() {
        let mut presence = Presence::default();
        for _ in 0..MAX_STAYS + 3 {
            presence.observe(Ticks::ZERO, &joined("1"));
            presence.observe(Ticks::ZERO, &Input::Left { uid: uid("1") });
        }
        assert_eq!((presence.stays().0.len(), presence.stays().1), (MAX_STAYS, 3));
        let mut presence = after(&[(0, joined("1")), (0, added(1, "1", false))]);
        for _ in 0..MAX_MUTED + 2 {
            for muted in [true, false] {
                presence.observe(Ticks::ZERO, &Input::Muted { track: TrackId(1), muted });
            }
        }
        assert_eq!((presence.stays().0[0].muted.len(), presence.stays().1), (MAX_MUTED, 2));
    }
}
