//! Hosts and audience: who asks to be what.

use livekit_protocol::request_response::Reason;

use super::{Effects, Room};
use crate::ids::MemberId;
use crate::roles::{Profile, Role};

impl Room {
    /// The role that a member asks for by its name, if it may have it.
    pub(super) fn asked_role(&self, id: &MemberId, name: &str) -> Result<Role, (Reason, &'static str)> {
        if self.profile() != Profile::Live {
            return Err((Reason::NotAllowed, "there are no roles in a communication channel"));
        }
        let role = Role::parse(name).ok_or((Reason::NotAllowed, "the role is host or audience"))?;
        let speaks = self.member(id).is_some_and(|member| member.verified.grants.speaks());
        match role {
            Role::Host if !speaks => Err((Reason::NotAllowed, "the token doesn't allow publishing")),
            role => Ok(role),
        }
    }

    /// The member is host, or audience, from now on. What audience may not publish ends.
    pub(super) fn take_role(&mut self, id: &MemberId, role: Role) -> Effects {
        self.amend(id, |member| member.role = role)
    }
}
