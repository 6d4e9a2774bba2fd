//! What kicking rules do to members who are in already.

use std::net::IpAddr;

use super::member::Member;
use super::{Effects, Room};
use crate::notices::LeftReason;
use crate::rules::Bans;
use crate::token::VerifiedToken;
use recorder_core::units::Uid;

impl Room {
    /// Removes who is banned from the room, ends what may not be published, and gives back what is banned no longer.
    pub(crate) fn enforce(&mut self, bans: impl Fn(&VerifiedToken, &Uid, Option<IpAddr>) -> Bans) -> Effects {
        let verdict = |member: &Member| bans(&member.verified, &member.uid, member.client.ip);
        let verdicts: Vec<_> = self.members.iter().map(|member| (member.id.clone(), verdict(member))).collect();
        let mut effects = Effects::new();
        for (id, Bans { join, audio }) in verdicts {
            effects.extend(match join {
                Some(_) => self.remove(&id, LeftReason::Kicked),
                None => self.amend(&id, |member| member.silenced = audio),
            });
        }
        effects
    }

    /// Removes the members that are meant; recorders never are.
    pub(crate) fn enforce_once(&mut self, meant: impl Fn(&Uid, Option<IpAddr>) -> bool) -> Effects {
        let meant = self.ids(|member| !member.verified.grants.recorder && meant(&member.uid, member.client.ip));
        meant.iter().flat_map(|id| self.remove(id, LeftReason::Kicked)).collect()
    }
}
