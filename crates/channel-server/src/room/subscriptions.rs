//! Hearing: by default everything, or what a client asks for.

use livekit_protocol::UpdateSubscription;

use super::member::Member;
use super::{Effect, Effects, Room};
use crate::ids::{MemberId, TrackSid};

impl Room {
    /// A client says what it wants to hear, or no longer. Names of tracks that don't exist are passed over.
    pub(crate) fn subscription(&mut self, id: &MemberId, request: &UpdateSubscription) -> Effects {
        let by_member = request.participant_tracks.iter().flat_map(|tracks| &tracks.track_sids);
        let named: Vec<TrackSid> = request.track_sids.iter().chain(by_member).map(|sid| sid.as_str().into()).collect();
        let others = || self.members.iter().filter(|member| member.id != *id).flat_map(Member::live);
        let known: Vec<_> =
            others().filter(|track| named.contains(&track.sid)).map(|track| track.sid.clone()).collect();
        let Some(member) = self.member_mut(id) else { return Effects::new() };
        let mut effects = Effects::new();
        for track in known {
            let before = member.wants(&track);
            member.choices.insert(track.clone(), request.subscribe);
            let listener = id.clone();
            match (before, member.wants(&track)) {
                (false, true) => effects.push(Effect::Hear { listener, track }),
                (true, false) => effects.push(Effect::Unhear { listener, track }),
                _ => {}
            }
        }
        effects
    }

    /// The tracks of a member that left are nobody's choice any more.
    pub(super) fn forget_choices(&mut self, gone: &Member) {
        for member in &mut self.members {
            member.choices.retain(|choice, _| !gone.tracks.iter().any(|track| track.sid == *choice));
        }
    }
}
