//! What a room waits for: members that lost their sockets, rights that end, and its own end when nobody is left. A room in
//! which nothing of that is to come has no timer.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::task::AbortOnDropHandle;

use super::{LiveRoom, State};
use crate::ids::MemberId;
use crate::notices::LeftReason;
use crate::peer::Command;
use recorder_edge::clock;

impl LiveRoom {
    /// Starts or stops the time until closing.
    pub(crate) fn settle(self: &Arc<Self>) {
        self.settle_locked(&mut self.state());
    }

    /// A member lost its socket: it has a while to come back on another one.
    pub(super) fn detach(self: &Arc<Self>, member: &MemberId, epoch: u64) {
        let mut state = self.state();
        let Some(link) = state.links.get_mut(member).filter(|link| link.epoch == epoch) else { return };
        link.socket = None;
        let effects = state.command(member, Command::Detached);
        self.apply(&mut state, effects);
        drop(state);
        let (room, member, patience) = (Arc::downgrade(self), member.clone(), self.limits.resume_within);
        tokio::spawn(async move {
            tokio::time::sleep(patience).await;
            if let Some(room) = room.upgrade() {
                room.expire(&member, epoch);
            }
        });
    }

    fn expire(self: &Arc<Self>, member: &MemberId, epoch: u64) {
        let mut state = self.state();
        if state.links.get(member).is_some_and(|link| link.epoch == epoch) {
            let effects = state.room.remove(member, LeftReason::Lost);
            self.apply(&mut state, effects);
        }
    }

    pub(super) fn settle_locked(self: &Arc<Self>, state: &mut State) {
        if state.closed || !state.room.abandoned() {
            state.closing = None;
        } else if state.closing.is_none() {
            let (room, patience) = (Arc::downgrade(self), self.limits.close_after);
            let task = tokio::spawn(async move {
                tokio::time::sleep(patience).await;
                if let Some(room) = room.upgrade() {
                    room.close_if_abandoned();
                }
            });
            state.closing = Some(AbortOnDropHandle::new(task));
        }
        self.await_end(state);
    }

    /// Has somebody wait for the next end of a member's right. Without any nobody waits.
    fn await_end(self: &Arc<Self>, state: &mut State) {
        let next = state.room.next_end().filter(|_| !state.closed);
        if next == state.ending.as_ref().map(|(at, _)| *at) {
            return;
        }
        state.ending = next.map(|at| {
            let room = Arc::downgrade(self);
            let task = tokio::spawn(async move {
                tokio::time::sleep(Duration::from_millis(at.0.saturating_sub(clock::now().0))).await;
                if let Some(room) = room.upgrade() {
                    room.end_rights();
                }
            });
            (at, AbortOnDropHandle::new(task))
        });
    }

    fn end_rights(self: &Arc<Self>) {
        let mut state = self.state();
        // A clock that was set back leaves it as it is, and somebody waits again.
        state.ending = None;
        let effects = state.room.expire(clock::now());
        self.apply(&mut state, effects);
    }

    fn close_if_abandoned(self: &Arc<Self>) {
        let mut state = self.state();
        if state.closed || !state.room.abandoned() {
            return;
        }
        if !state.room.is_empty() {
            let effects = state.room.retire();
            return self.apply(&mut state, effects);
        }
        state.closed = true;
        let effects = state.room.close(LeftReason::RoomClosed);
        self.apply(&mut state, effects);
        drop(state);
        if let Some(rooms) = self.rooms.upgrade() {
            rooms.forget(&self.app, &self.cname, self);
        }
    }
}
