//! Who is in the channel and what they publish: the server's updates in, [`Input`]s out. Pure.
//!
//! * A member is known by identity, a membership by its `PA_…` sid, a publication by its `TR_…` sid; the latter two change
//!   when somebody comes back (docs/protocol/livekit.md section 2).
//! * Versions of one membership only grow; older updates are dropped.
//! * Every audio publication is announced with its coding. One that can't be read (end-to-end encrypted, a codec that is not recorded) is
//!   neither subscribed nor taken for audible. One whose coding changes under the same sid ends and is published anew.
//! * Hidden participants and the bot itself are no members.

use std::collections::{BTreeMap, BTreeSet};

use livekit_protocol::{
    DisconnectReason, ParticipantInfo, TrackInfo, TrackSource, TrackType, encryption, participant_info,
};

use recorder_core::recording::{Coding, Input, Source, TrackKind};
use recorder_core::units::{TrackId, Uid};

/// The most members that are followed; further ones are not recorded.
pub(super) const MAX_MEMBERS: usize = 10_000;

/// The most audio publications of one member that are followed; further ones are not recorded.
pub(super) const MAX_TRACKS_PER_MEMBER: usize = 32;

/// The members of a channel, by identity.
#[derive(Debug)]
pub(super) struct Members {
    own_identity: String,
    members: BTreeMap<String, Member>,
    last_track: u32,
    /// What was already complained about, so that each is said once. Bounded like the members.
    complaints: BTreeSet<String>,
}

#[derive(Debug)]
struct Member {
    uid: Uid,
    sid: String,
    version: u32,
    /// Missing from the last complete list; gone unless heard of before [`Members::settle`].
    absent: bool,
    tracks: BTreeMap<String, Track>,
}

#[derive(Clone, Copy, Debug)]
struct Track {
    id: TrackId,
    muted: bool,
    coding: Coding,
}

impl Track {
    const fn is_readable(self) -> bool {
        self.coding.unreadable().is_none()
    }
}

/// What a complete list of members means for those who are not in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Snapshot {
    /// The same membership goes on: whoever is missing keeps their publications until [`Members::settle`].
    Resumed,
    /// A new membership: publications that are not in it are gone, their publishers may be on their way back.
    Rejoined,
}

/// An audio publication.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Published<'a> {
    /// Whose it is.
    pub(super) uid: &'a Uid,
    /// The publisher's membership, `PA_…`.
    pub(super) member: &'a str,
    /// The publication, `TR_…`.
    pub(super) track: &'a str,
    /// Whether it can be recorded, so that it is worth subscribing to.
    pub(super) readable: bool,
}

impl Members {
    pub(super) fn new(own_identity: String) -> Self {
        Self { own_identity, members: BTreeMap::new(), last_track: 0, complaints: BTreeSet::new() }
    }

    /// Follows a change that the server told.
    pub(super) fn update(&mut self, infos: &[ParticipantInfo]) -> Vec<Input> {
        let mut updates = Vec::new();
        for info in infos {
            self.apply(info, &mut updates);
        }
        updates
    }

    /// Follows a complete list. Members that are missing from it are kept as absent until [`Self::settle`].
    pub(super) fn snapshot(&mut self, infos: &[ParticipantInfo], kind: Snapshot) -> Vec<Input> {
        let mut updates = Vec::new();
        for member in self.members.values_mut() {
            member.absent = true;
        }
        if kind == Snapshot::Rejoined {
            self.drop_tracks_missing_from(infos, &mut updates);
        }
        for info in infos {
            self.apply(info, &mut updates);
        }
        updates
    }

    /// Whether somebody is waited for.
    pub(super) fn unsettled(&self) -> bool {
        self.members.values().any(|member| member.absent)
    }

    /// Those who were missing from the last complete list and not heard of since have left.
    pub(super) fn settle(&mut self) -> Vec<Input> {
        let gone = self.members.extract_if(.., |_, member| member.absent);
        gone.map(|(_, member)| Input::Left { uid: member.uid }).collect()
    }

    /// Whether nobody is there.
    pub(super) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Everybody has left.
    pub(super) fn leave_all(&mut self) -> Vec<Input> {
        std::mem::take(&mut self.members).into_values().map(|member| Input::Left { uid: member.uid }).collect()
    }

    /// Who publishes something that is not muted, by identity.
    pub(super) fn speaker(&self, identity: &str) -> Option<&Uid> {
        let member = self.members.get(identity).filter(|member| !member.absent)?;
        member.tracks.values().any(|track| !track.muted).then_some(&member.uid)
    }

    /// The id of a publication that can be read, by its `TR_…` sid.
    pub(super) fn track(&self, sid: &str) -> Option<TrackId> {
        let track = self.members.values().find_map(|member| member.tracks.get(sid))?;
        track.is_readable().then_some(track.id)
    }

    /// Who has the membership `sid`.
    pub(super) fn uid(&self, sid: &str) -> Option<&Uid> {
        self.members.values().find(|member| member.sid == sid).map(|member| &member.uid)
    }

    /// Whether the membership `sid` publishes something that is not muted and of which `wanted` says yes, and nothing that can't be read: a
    /// server that reports its sound does not say which of its publications is heard.
    pub(super) fn is_audible(&self, sid: &str, wanted: impl Fn(&str) -> bool) -> bool {
        let member = self.members.values().find(|member| member.sid == sid && !member.absent);
        member.is_some_and(|member| {
            let mut spoken = member.tracks.iter().filter(|(_, track)| !track.muted);
            spoken.clone().all(|(_, track)| track.is_readable()) && spoken.any(|(sid, _)| wanted(sid))
        })
    }

    /// All publications, in a stable order.
    pub(super) fn published(&self) -> impl Iterator<Item = Published<'_>> {
        self.members.values().flat_map(|member| {
            let Member { uid, sid, tracks, .. } = member;
            tracks.iter().map(move |(track, is)| Published { uid, member: sid, track, readable: is.is_readable() })
        })
    }

    fn apply(&mut self, info: &ParticipantInfo, updates: &mut Vec<Input>) {
        if info.identity == self.own_identity {
            return;
        }
        let hidden = info.permission.as_ref().is_some_and(|permission| permission.hidden);
        if hidden || info.state() == participant_info::State::Disconnected {
            // The end of an earlier membership says nothing about the present one.
            if self.members.get(&info.identity).is_some_and(|member| member.sid == info.sid) {
                let member = self.members.remove(&info.identity).expect("it was there a line ago");
                if gave_up(info.disconnect_reason()) {
                    updates.push(Input::GivenUp { uid: member.uid.clone() });
                }
                updates.push(Input::Left { uid: member.uid });
            }
            return;
        }
        let Some(member) = self.member(info, updates) else { return };
        if member.sid == info.sid && info.version < member.version {
            return;
        }
        member.sid.clone_from(&info.sid);
        member.version = info.version;
        member.absent = false;
        self.apply_tracks(info, updates);
    }

    /// The member whom `info` is about, joined if new.
    fn member(&mut self, info: &ParticipantInfo, updates: &mut Vec<Input>) -> Option<&mut Member> {
        if !self.members.contains_key(&info.identity) {
            if self.members.len() >= MAX_MEMBERS {
                self.complain("members", || format!("more than {MAX_MEMBERS} members: further ones are not recorded"));
                return None;
            }
            let uid = match Uid::new(&info.identity) {
                Ok(uid) => uid,
                Err(error) => {
                    self.complain(&info.sid, || format!("a participant's identity can't be recorded: {error}"));
                    return None;
                }
            };
            updates.push(Input::Joined { uid: uid.clone() });
            let member =
                Member { uid, sid: info.sid.clone(), version: info.version, absent: false, tracks: BTreeMap::new() };
            self.members.insert(info.identity.clone(), member);
        }
        self.members.get_mut(&info.identity)
    }

    fn apply_tracks(&mut self, info: &ParticipantInfo, updates: &mut Vec<Input>) {
        let audio: Vec<(&TrackInfo, Coding)> = info
            .tracks
            .iter()
            .filter(|track| track.r#type() == TrackType::Audio)
            .map(|track| (track, self.coding(track)))
            .collect();
        let Some(member) = self.members.get_mut(&info.identity) else { return };
        let goes_on = |sid: &str, track: &Track| {
            audio.iter().any(|(published, coding)| published.sid == sid && *coding == track.coding)
        };
        let ended = member.tracks.extract_if(.., |sid, track| !goes_on(sid, track));
        updates.extend(ended.map(|(_, track)| Input::TrackRemoved { track: track.id }));
        for (published, coding) in audio {
            if let Some(track) = member.tracks.get_mut(&published.sid) {
                if track.muted != published.muted {
                    track.muted = published.muted;
                    updates.push(Input::Muted { track: track.id, muted: track.muted });
                }
            } else if member.tracks.len() < MAX_TRACKS_PER_MEMBER {
                self.last_track += 1;
                let track = Track { id: TrackId(self.last_track), muted: published.muted, coding };
                member.tracks.insert(published.sid.clone(), track);
                let kind = TrackKind { source: source(published), coding };
                updates.push(Input::TrackAdded { track: track.id, uid: member.uid.clone(), muted: track.muted, kind });
            }
        }
    }

    fn drop_tracks_missing_from(&mut self, infos: &[ParticipantInfo], updates: &mut Vec<Input>) {
        let there: BTreeSet<&str> =
            infos.iter().flat_map(|info| &info.tracks).map(|track| track.sid.as_str()).collect();
        for member in self.members.values_mut() {
            let gone = member.tracks.extract_if(.., |sid, _| !there.contains(sid.as_str()));
            updates.extend(gone.map(|(_, track)| Input::TrackRemoved { track: track.id }));
        }
    }

    /// How a publication is coded, as its publisher says. RED counts as Opus: the server unpacks it for us. So does a codec that is not
    /// named yet.
    fn coding(&mut self, track: &TrackInfo) -> Coding {
        if track.encryption() != encryption::Type::None {
            self.complain(&track.sid, || format!("{} is end-to-end encrypted and can't be recorded", track.sid));
            return Coding::Encrypted;
        }
        let named = [&track.mime_type].into_iter().chain(track.codecs.iter().map(|codec| &codec.mime_type));
        let mime = named.map(|mime| mime.to_ascii_lowercase()).find(|mime| !mime.is_empty()).unwrap_or_default();
        match mime.as_str() {
            "" | "audio/opus" | "audio/red" => Coding::Opus,
            "audio/pcmu" => Coding::Pcmu,
            "audio/pcma" => Coding::Pcma,
            other => {
                self.complain(&track.sid, || format!("{} is {other} and can't be recorded", track.sid));
                Coding::Unsupported
            }
        }
    }

    fn complain(&mut self, about: &str, complaint: impl FnOnce() -> String) {
        if self.complaints.len() < MAX_MEMBERS && self.complaints.insert(about.to_owned()) {
            tracing::warn!("{}", complaint());
        }
    }
}

/// Whether the server ended a membership because it did not hear of the client any more.
const fn gave_up(reason: DisconnectReason) -> bool {
    matches!(
        reason,
        DisconnectReason::ConnectionTimeout | DisconnectReason::MediaFailure | DisconnectReason::SignalClose
    )
}

fn source(track: &TrackInfo) -> Source {
    match track.source() {
        TrackSource::Microphone => Source::Microphone,
        TrackSource::ScreenShareAudio => Source::ScreenAudio,
        _ => Source::Unspecified,
    }
}

#[cfg(test)]
mod tests;
