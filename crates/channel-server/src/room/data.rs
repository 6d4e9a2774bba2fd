//! Whom a data packet concerns.

use super::Room;
use crate::ids::MemberId;
use recorder_core::units::Uid;

impl Room {
    /// The identity of a member that may send data.
    pub(crate) fn data_sender(&self, id: &MemberId) -> Option<&Uid> {
        self.member(id).filter(|member| member.verified.grants.data).map(|member| &member.uid)
    }

    /// Who gets a packet of `sender` for the identities `to`; for everybody else when `to` is empty, hidden members too.
    pub(crate) fn receivers<'a>(
        &'a self,
        sender: &'a MemberId,
        to: &'a [String],
    ) -> impl Iterator<Item = &'a MemberId> {
        let others = self.members.iter().filter(move |member| member.id != *sender);
        others
            .filter(|member| to.is_empty() || to.iter().any(|uid| uid == member.uid.as_str()))
            .map(|member| &member.id)
    }
}
