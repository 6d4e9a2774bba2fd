//! What a `leave` of the server means for us (docs/protocol/livekit.md section 5).

use livekit_protocol::{DisconnectReason, LeaveRequest, leave_request};

use crate::{EndReason, JoinError};

/// What to do after a `leave`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is over.
    End(EndReason),
    /// The room is closed, or was deleted; it may be made again.
    Wait {
        /// Whether it was deleted.
        deleted: bool,
    },
    /// Open a new socket for the same membership.
    Resume,
    /// Join anew.
    Rejoin,
}

/// Only two reasons are final. After any other the channel may be reachable again, and a recorder tries, or waits.
pub(super) fn verdict(leave: &LeaveRequest) -> Verdict {
    match leave.action() {
        leave_request::Action::Resume => Verdict::Resume,
        leave_request::Action::Reconnect => Verdict::Rejoin,
        leave_request::Action::Disconnect => match leave.reason() {
            DisconnectReason::RoomDeleted => Verdict::Wait { deleted: true },
            DisconnectReason::RoomClosed => Verdict::Wait { deleted: false },
            DisconnectReason::ParticipantRemoved => Verdict::End(EndReason::Removed),
            DisconnectReason::DuplicateIdentity => Verdict::End(EndReason::DuplicateIdentity),
            _ => Verdict::Rejoin,
        },
    }
}

/// Why a first join was answered with a `leave`.
pub(super) fn join_error(leave: &LeaveRequest) -> JoinError {
    let reason = leave.reason().as_str_name();
    match verdict(leave) {
        Verdict::End(_) => JoinError::Refused(format!("it sent us away: {reason}")),
        Verdict::Wait { .. } | Verdict::Resume | Verdict::Rejoin => {
            JoinError::Unreachable(format!("it sent us away for now: {reason}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use livekit_protocol::leave_request::Action;

    use super::*;

    fn leave(reason: DisconnectReason, action: Action) -> LeaveRequest {
        LeaveRequest { reason: reason as i32, action: action as i32, ..Default::default() }
    }

    #[test]
    fn two_reasons_are_final_and_two_are_waited_out() {
        let end = |reason| verdict(&leave(reason, Action::Disconnect));
        assert_eq!(end(DisconnectReason::RoomDeleted), Verdict::Wait { deleted: true });
        assert_eq!(end(DisconnectReason::RoomClosed), Verdict::Wait { deleted: false });
        assert_eq!(end(DisconnectReason::ParticipantRemoved), Verdict::End(EndReason::Removed));
        assert_eq!(end(DisconnectReason::DuplicateIdentity), Verdict::End(EndReason::DuplicateIdentity));
        assert_eq!(end(DisconnectReason::ServerShutdown), Verdict::Rejoin);
        assert_eq!(end(DisconnectReason::StateMismatch), Verdict::Rejoin);
    }

    #[test]
    fn the_servers_advice_comes_first() {
        assert_eq!(verdict(&leave(DisconnectReason::RoomClosed, Action::Reconnect)), Verdict::Rejoin);
        assert_eq!(verdict(&leave(DisconnectReason::Migration, Action::Resume)), Verdict::Resume);
    }

    #[test]
    fn numbers_from_newer_servers_are_no_end() {
        let unknown = LeaveRequest { reason: 99, ..Default::default() };
        assert_eq!(verdict(&unknown), Verdict::Rejoin);
    }
}
