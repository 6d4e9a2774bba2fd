//! Rights that end, or change, while a member is in the room; bans that end.

use super::member::Member;
use super::tracks::permits;
use super::{Effect, Effects, Room};
use crate::ids::{MemberId, TrackSid};
use crate::notices::{LeftReason, RoomEvent};
use crate::token::{VerifiedToken, ended};
use recorder_core::units::WallMs;

impl Room {
    /// It is `now`: memberships, rights and bans that have ended by then are over.
    pub(crate) fn expire(&mut self, now: WallMs) -> Effects {
        let over = self.ids(|member| ended(member.verified.terms.stay, now));
        let mut effects: Effects = over.iter().flat_map(|id| self.remove(id, LeftReason::TokenExpired)).collect();
        for id in self.ids(|member| ended(member.next_end(), now)) {
            effects.extend(self.amend(&id, |member| {
                member.verified.lapse(now);
                member.settle_role();
                member.silenced = member.silenced.filter(|_| !ended(member.silenced, now));
            }));
        }
        effects
    }

    /// When [`Self::expire`] will have something to do.
    pub(crate) fn next_end(&self) -> Option<WallMs> {
        self.members.iter().filter_map(Member::next_end).min()
    }

    /// A member is back with a newer pass, whose rights count from now on.
    pub(crate) fn renew(&mut self, id: &MemberId, verified: &VerifiedToken) -> Effects {
        self.amend(id, |member| {
            member.verified.renew(verified);
            member.settle_role();
        })
    }

    /// Changes what a member is or may do. What it may no longer publish ends, and everybody hears of it.
    pub(super) fn amend(&mut self, id: &MemberId, change: impl FnOnce(&mut Member)) -> Effects {
        let mut effects = Effects::new();
        let Some(member) = self.member_mut(id) else { return effects };
        let before = (member.role, member.grants());
        change(member);
        let (role, after) = (member.role, member.grants());
        if before == (role, after) {
            return effects;
        }
        let uid = member.uid.clone();
        let over = member.tracks.iter().filter(|track| !permits(after, track.info.source));
        let over: Vec<TrackSid> = over.map(|track| track.sid.clone()).collect();
        effects.extend(over.iter().flat_map(|sid| self.unpublish(id, sid)));
        self.send_member(id, &mut effects);
        if before.0 != role {
            effects.push(Effect::News(RoomEvent::RoleChanged { uid, role }));
        }
        effects
    }

    pub(super) fn ids(&self, wanted: impl Fn(&Member) -> bool) -> Vec<MemberId> {
        self.members.iter().filter(|member| wanted(member)).map(|member| member.id.clone()).collect()
    }
}
