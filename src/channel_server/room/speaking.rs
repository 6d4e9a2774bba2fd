//! Who speaks. Only changes are told.

use super::{Effects, Room, messages};
use crate::channel_server::ids::{MemberId, TrackSid};

impl Room {
    /// A track of a member has this level from now on, 0 (silent) to 1.
    pub(in crate::channel_server) fn speaks(&mut self, id: &MemberId, track: &TrackSid, level: f32) -> Effects {
        let mut effects = Effects::new();
        let Some(member) = self.member(id) else { return effects };
        let audible = member.live().any(|live| live.sid == *track && !live.info.muted);
        let before = self.level(id);
        if level > 0.0 && audible {
            self.levels.insert(track.clone(), level);
        } else {
            self.levels.remove(track);
        }
        let after = self.level(id);
        let hidden = self.member(id).is_some_and(|member| member.pass.grants.hidden);
        if after != before && !hidden {
            self.tell_all(&mut effects, &messages::speakers([(id.clone(), after)]));
        }
        effects
    }

    /// Everybody who speaks now.
    pub(super) fn speaking(&self) -> Vec<(MemberId, f32)> {
        let visible = self.members.iter().filter(|member| !member.pass.grants.hidden);
        visible.map(|member| (member.id.clone(), self.level(&member.id))).filter(|(_, level)| *level > 0.0).collect()
    }

    fn level(&self, id: &MemberId) -> f32 {
        let tracks = self.member(id).into_iter().flat_map(|member| member.live());
        tracks.filter_map(|track| self.levels.get(&track.sid).copied()).fold(0.0, f32::max)
    }
}
