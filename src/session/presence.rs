//! Who is in the channel: decides when a recording is idle, and is the manifest's list of members. Pure.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::IdleKind;
use crate::recording::Input;
use crate::units::{Ticks, TrackId, Uid};

/// Stays that are written down; later ones are only counted.
const MAX_STAYS: usize = 10_000;

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
}

/// Members and their publications.
#[derive(Debug, Default)]
pub(super) struct Presence {
    members: BTreeMap<Uid, Option<usize>>,
    tracks: BTreeMap<TrackId, Uid>,
    stays: Vec<Stay>,
    stays_untold: u64,
}

impl Presence {
    /// Takes note of an input.
    pub(super) fn observe(&mut self, at: Ticks, input: &Input) {
        match input {
            Input::Joined { uid } => self.joined(at, uid),
            Input::Left { uid } => {
                if let Some(Some(stay)) = self.members.remove(uid) {
                    self.stays[stay].left_ms = Some(at.as_ms());
                }
                self.tracks.retain(|_, publisher| publisher != uid);
            }
            Input::TrackAdded { track, uid, .. } => {
                self.tracks.insert(*track, uid.clone());
            }
            Input::TrackRemoved { track } => {
                self.tracks.remove(track);
            }
            _ => {}
        }
    }

    /// Whether nobody keeps the recording alive.
    pub(super) fn is_idle(&self, kind: IdleKind) -> bool {
        match kind {
            IdleKind::NoMember => self.members.is_empty() && self.tracks.is_empty(),
            IdleKind::NoPublisher => self.tracks.is_empty(),
        }
    }

    /// Everybody who was there, in order of arrival, and how many stays are not in the list.
    pub(super) fn stays(&self) -> (&[Stay], u64) {
        (&self.stays, self.stays_untold)
    }

    fn joined(&mut self, at: Ticks, uid: &Uid) {
        if self.members.contains_key(uid) {
            return;
        }
        let place = (self.stays.len() < MAX_STAYS).then_some(self.stays.len());
        match place {
            Some(_) => self.stays.push(Stay { uid: uid.clone(), joined_ms: at.as_ms(), left_ms: None }),
            None => self.stays_untold += 1,
        }
        self.members.insert(uid.clone(), place);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uid(text: &str) -> Uid {
        Uid::new(text).unwrap()
    }

    #[test]
    fn a_listener_keeps_a_call_alive_but_not_a_live_room() {
        let mut presence = Presence::default();
        assert!(presence.is_idle(IdleKind::NoMember));
        presence.observe(Ticks::ZERO, &Input::Joined { uid: uid("1") });
        assert!(!presence.is_idle(IdleKind::NoMember));
        assert!(presence.is_idle(IdleKind::NoPublisher));
        presence.observe(Ticks::ZERO, &Input::TrackAdded { track: TrackId(1), uid: uid("1"), muted: true });
        assert!(!presence.is_idle(IdleKind::NoPublisher));
        presence.observe(Ticks::from_secs(2), &Input::Left { uid: uid("1") });
        assert!(presence.is_idle(IdleKind::NoMember) && presence.is_idle(IdleKind::NoPublisher));
    }

    #[test]
    fn stays_are_written_down_with_their_times() {
        let mut presence = Presence::default();
        presence.observe(Ticks::from_ms(10), &Input::Joined { uid: uid("1") });
        presence.observe(Ticks::from_ms(15), &Input::Joined { uid: uid("1") });
        presence.observe(Ticks::from_ms(20), &Input::Left { uid: uid("1") });
        presence.observe(Ticks::from_ms(30), &Input::Joined { uid: uid("1") });
        let stays = presence.stays().0;
        assert_eq!(stays.len(), 2);
        assert_eq!((stays[0].joined_ms, stays[0].left_ms), (10, Some(20)));
        assert_eq!((stays[1].joined_ms, stays[1].left_ms), (30, None));
    }
}
