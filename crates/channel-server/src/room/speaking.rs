//! Who speaks. Only changes are told.

use super::{Effects, Room, messages};
use crate::ids::{MemberId, TrackSid};

impl Room {
    /// A track of a member has this level from now on, 0 (silent) to 1.
    pub(crate) fn speaks(&mut self, id: &MemberId, track: &TrackSid, level: f32) -> Effects {
        let mut effects = Effects::new();
        let Some(member) = self.member(id) else { return effects };
        let live = member.live().any(|live| live.sid == *track);
        let before = self.level(id);
        if level > 0.0 && live {
            self.levels.insert(track.clone(), level);
        } else {
            self.levels.remove(track);
        }
        self.send_level(id, before, &mut effects);
        effects
    }

    /// Tells everybody how loud a member is, if that is no longer `before`.
    pub(super) fn send_level(&self, id: &MemberId, before: f32, effects: &mut Effects) {
        let after = self.level(id);
        let hidden = self.member(id).is_some_and(|member| member.verified.grants.hidden);
        if after != before && !hidden {
            self.send_all(effects, &messages::speakers([(id.clone(), after)]));
        }
    }

    /// Everybody who speaks now.
    pub(super) fn speaking(&self) -> Vec<(MemberId, f32)> {
        let visible = self.members.iter().filter(|member| !member.verified.grants.hidden);
        visible.map(|member| (member.id.clone(), self.level(&member.id))).filter(|(_, level)| *level > 0.0).collect()
    }

    /// How loud a member is: what is measured of its tracks that are not muted. A mute does not forget the measure, since a
    /// steady voice is measured anew only when it changes.
    pub(super) fn level(&self, id: &MemberId) -> f32 {
        let tracks = self.member(id).into_iter().flat_map(|member| member.live());
        let heard = tracks.filter(|track| !track.info.muted);
        heard.filter_map(|track| self.levels.get(&track.sid).copied()).fold(0.0, f32::max)
    }
}
