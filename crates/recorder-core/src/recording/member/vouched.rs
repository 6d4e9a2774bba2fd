//! A member that others wrote down as heard where this recorder's own inputs are lost.

use super::super::presence::State;
use super::super::{Cause, Output};
use super::Member;
use crate::units::Ticks;

impl Member {
    /// It was being heard from `from` on: until `to`, and what it said till then is missing, or, without a `to`, up to the present.
    pub(in crate::recording) fn vouched(
        &mut self,
        from: i64,
        to: Option<i64>,
        segment: Option<Ticks>,
        out: &mut impl Extend<Output>,
    ) {
        if !self.selected || (to.is_none() && self.is_due()) {
            return;
        }
        let spoke = |state: &mut State| (state.present, state.publishing, state.muted) = (true, true, false);
        match to {
            Some(to) => self.presence.change_until(from, to, spoke),
            None => self.presence.change(from, spoke),
        }
        self.open(segment, out);
        if let Some(to) = to {
            self.is_not_heard(from, to, Cause::JournalDamaged);
        }
    }

    /// Whether it is in the channel and publishes sound that is to be recorded, as far as is known.
    pub(in crate::recording) fn is_due(&self) -> bool {
        let now = self.presence.now();
        self.selected && now.present && now.publishing && !now.muted
    }
}
