//! What is known of one member over time: in the channel, publishing, muted, selected, in reach. It says why a stretch of its
//! timeline holds no sound. All times in ticks.
//!
//! Besides the member's own states there are stretches in which this worker was deaf: it stood still, or its record of what arrived is
//! lost. Whoever was to be heard then is missing for that cause, before all other causes but that the worker was dead.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::Cause;
use crate::units::Ticks;

/// A stretch without sound that ends, or began, this close to a known cause has that cause: the last packet before a mute does
/// not arrive in the tick of the word "muted".
pub(super) const GRACE: i64 = Ticks::from_ms(500).0 as i64;

/// Most changes that are remembered; past it the oldest is forgotten.
const MAX_CHANGES: usize = 256;

/// Most stretches of deafness that are remembered; past it the oldest is forgotten.
const MAX_DEAF: usize = 256;

/// How things stand with a member.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct State {
    /// The worker was dead, or is back and has not met the member again.
    pub(super) dead: bool,
    /// The channel is out of reach.
    pub(super) down: bool,
    /// This worker drops packets of it.
    pub(super) overloaded: bool,
    /// Not to be recorded.
    pub(super) excluded: bool,
    /// In the channel.
    pub(super) present: bool,
    /// Has a track.
    pub(super) publishing: bool,
    /// All its tracks are muted.
    pub(super) muted: bool,
}

/// Why there is no sound, and whether sound was made all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Why {
    /// The cause.
    pub(super) cause: Cause,
    /// The member spoke, as far as we know; it did not reach us.
    pub(super) due: bool,
    /// It did not hold yet, or not any more, but is within [`GRACE`].
    pub(super) near: bool,
    /// From when on it holds, where it did not hold yet: what ends before that has another cause.
    pub(super) begins: Option<i64>,
}

impl State {
    /// Nothing can be heard of it: it is not in the channel, is not to be recorded, or has no track.
    const fn is_absent(self) -> bool {
        !self.attends() || !self.publishing
    }

    /// It is in the channel and to be recorded.
    const fn attends(self) -> bool {
        self.present && !self.excluded
    }

    fn why(self) -> Option<Why> {
        let speaks = self.publishing && !self.muted;
        let (cause, due) = match self {
            Self { excluded: true, .. } => (Cause::Excluded, false),
            Self { present: false, .. } => (Cause::Left, false),
            Self { dead: true, down: true, .. } if speaks => (Cause::ChannelUnreachable, true),
            Self { dead: true, .. } if speaks => (Cause::WorkerRestart, true),
            Self { dead: false, down: true, .. } => (Cause::ChannelDisconnected, speaks),
            Self { dead: false, overloaded: true, .. } => (Cause::Overload, speaks),
            Self { publishing: false, .. } => (Cause::NotPublishing, false),
            Self { muted: true, .. } => (Cause::Muted, false),
            _ => return None,
        };
        Some(Why { cause, due, near: false, begins: None })
    }
}

/// A stretch in which this worker did not hear, or in which a member spoke and nothing came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Deaf {
    from: i64,
    to: i64,
    cause: Cause,
}

/// A member's states, each from a tick on.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Presence {
    states: VecDeque<(i64, State)>,
    /// In order, apart from each other.
    #[serde(default)]
    deaf: VecDeque<Deaf>,
}

impl Presence {
    /// Nothing is known before the first change: not in the channel.
    pub(super) fn new() -> Self {
        Self { states: VecDeque::from([(i64::MIN, State::default())]), deaf: VecDeque::new() }
    }

    /// Of a further source of the same member that is not published yet.
    pub(super) fn of_another_source(&self) -> Self {
        let mut states = self.states.clone();
        for (_, state) in &mut states {
            (state.publishing, state.muted, state.overloaded) = (false, false, false);
        }
        // What was forgotten was as it is in what is remembered of it first: nothing was due.
        states.iter_mut().take(1).for_each(|(at, _)| *at = i64::MIN);
        let mut presence = Self { states, deaf: self.deaf.clone() };
        presence.merge();
        presence
    }

    /// The latest state.
    pub(super) fn now(&self) -> State {
        self.states.back().map(|(_, state)| *state).unwrap_or_default()
    }

    /// Changes the state from `since` on, which may lie in the past; what is forgotten stays as it was written.
    pub(super) fn change(&mut self, since: i64, change: impl Fn(&mut State)) {
        let index = self.cut(since);
        for (_, state) in self.states.range_mut(index..) {
            change(state);
        }
        self.merge();
        while self.states.len() > MAX_CHANGES {
            self.states.pop_front();
        }
    }

    /// Changes the state in `since..until`.
    pub(super) fn change_until(&mut self, since: i64, until: i64, change: impl Fn(&mut State)) {
        self.cut(until);
        self.cut(since);
        for (_, state) in self.states.iter_mut().filter(|(at, _)| (since..until).contains(at)) {
            change(state);
        }
        self.merge();
    }

    /// Lets a state begin at `since`, the same as before it; its index.
    fn cut(&mut self, since: i64) -> usize {
        let index = self.states.partition_point(|(at, _)| *at < since);
        let before = index.checked_sub(1).and_then(|index| self.states.get(index)).map(|(_, state)| *state);
        if let Some(before) = before.filter(|_| self.states.get(index).is_none_or(|(at, _)| *at > since)) {
            self.states.insert(index, (since, before));
        }
        index
    }

    /// Makes one of neighbours that are the same.
    fn merge(&mut self) {
        let mut before = None;
        self.states.retain(|(_, state)| before.replace(*state) != Some(*state));
    }

    /// This worker did not hear in `from..to`, for `cause`. Where it is known already that it did not, that cause stays.
    pub(super) fn deafen(&mut self, from: i64, to: i64, cause: Cause) {
        let mut at = from;
        let mut index = self.deaf.partition_point(|deaf| deaf.to <= from);
        while at < to {
            let next = self.deaf.get(index).filter(|next| next.from < to).copied();
            let until = next.map_or(to, |next| next.from);
            if at < until {
                self.deaf.insert(index, Deaf { from: at, to: until, cause });
                index += 1;
            }
            at = next.map_or(to, |next| next.to);
            index += 1;
        }
        while self.deaf.len() > MAX_DEAF {
            self.deaf.pop_front();
        }
    }

    /// Forgets what no question about `position` or later needs.
    pub(super) fn forget(&mut self, position: i64) {
        while self.deaf.front().is_some_and(|deaf| deaf.to <= position - GRACE) {
            self.deaf.pop_front();
        }
        while self.states.get(1).is_some_and(|(at, _)| *at <= position - GRACE) {
            self.states.pop_front();
        }
    }

    /// Whether the answers of [`Self::causes`] are the same for all positions from `position` on.
    pub(super) fn is_settled(&self, position: i64) -> bool {
        let since = position - 2 * GRACE;
        self.states.back().is_none_or(|(at, _)| *at < since) && self.deaf.back().is_none_or(|deaf| deaf.to < since)
    }

    /// Whether nothing can be heard of it from `from` on, as far as is known.
    pub(super) fn is_absent_from(&self, from: i64) -> bool {
        let first = self.states.partition_point(|(at, _)| *at <= from).saturating_sub(1);
        self.states.range(first..).all(|(_, state)| state.is_absent())
    }

    /// Cuts `from..to` where the answer may change, in order: is it away, so that nothing can be heard of it? What is forgotten counts
    /// as there.
    pub(super) fn absences(&self, from: i64, to: i64, mut each: impl FnMut(i64, i64, bool)) {
        let known = self.states.front().map_or(to, |(at, _)| *at);
        if from < known {
            each(from, known.min(to), false);
        }
        for (index, (start, state)) in self.states.iter().enumerate() {
            let end = self.states.get(index + 1).map_or(i64::MAX, |(at, _)| *at);
            let (start, end) = ((*start).max(from), end.min(to));
            if start < end {
                each(start, end, state.is_absent());
            }
        }
    }

    /// Where it is in the channel and to be recorded, within `from..to`.
    pub(super) fn attendances(&self, from: i64, to: i64, mut each: impl FnMut(i64, i64)) {
        let first = self.states.front().map_or(to, |(at, _)| *at);
        if from < first {
            each(from, first.min(to));
        }
        for (index, (start, state)) in self.states.iter().enumerate() {
            let end = self.states.get(index + 1).map_or(i64::MAX, |(at, _)| *at);
            if state.attends() && (*start).max(from) < end.min(to) {
                each((*start).max(from), end.min(to));
            }
        }
    }

    /// Cuts `from..to` where the answer changes, in order: why is there no sound? `None`: nothing that we were told explains it.
    pub(super) fn causes(&self, from: i64, to: i64, mut each: impl FnMut(i64, i64, Option<Why>)) {
        let mut book = |start: i64, end: i64, why| {
            if start.max(from) < end.min(to) {
                self.deafness(start.max(from), end.min(to), why, &mut each);
            }
        };
        let mut earlier = None;
        for (index, (start, state)) in self.states.iter().enumerate() {
            let end = self.states.get(index + 1).map_or(i64::MAX, |(at, _)| *at);
            if end <= from - GRACE || *start >= to + GRACE {
                continue;
            }
            let Some(why) = state.why() else {
                let next = self.states.iter().skip(index + 1).take_while(|(at, _)| *at < to + GRACE);
                let (later, sounding_until) = next
                    .map(|(at, state)| (state.why(), *at))
                    .find(|(why, _)| why.is_some())
                    .unwrap_or((None, i64::MAX));
                let after = if earlier.is_some() { start.saturating_add(GRACE).min(end) } else { *start };
                let before = if later.is_some() { (sounding_until - GRACE).clamp(after, end) } else { end };
                book(*start, after, earlier);
                book(after, before, None);
                book(before, end, later.map(|why| Why { near: true, begins: Some(sounding_until), ..why }));
                earlier = None;
                continue;
            };
            earlier = Some(Why { due: false, near: true, ..why });
            book(*start, end, Some(why));
        }
    }

    /// Cuts `from..to`, for which the states say `why`, where this worker was deaf to what it was to hear.
    fn deafness(&self, from: i64, to: i64, why: Option<Why>, each: &mut impl FnMut(i64, i64, Option<Why>)) {
        let address_policy = if why.is_none() { GRACE } else { 0 };
        let heard = why.is_none_or(|why| {
            let broken = matches!(why.cause, Cause::ChannelDisconnected | Cause::Overload);
            (why.near && why.cause != Cause::WorkerRestart) || (why.due && broken)
        });
        let mut at = from;
        for (index, deaf) in self.deaf.iter().enumerate().filter(|_| heard) {
            let next = self.deaf.get(index + 1).map_or(i64::MAX, |next| next.from);
            let (start, end) = ((deaf.from - address_policy).max(at), (deaf.to + address_policy).min(next).min(to));
            if start < end {
                if at < start {
                    each(at, start, why);
                }
                let why = Why { cause: deaf.cause, due: true, near: false, begins: None };
                let begins = deaf.from.clamp(start, end);
                if start < begins {
                    each(start, begins, Some(Why { begins: Some(deaf.from), ..why }));
                }
                if begins < end {
                    each(begins, end, Some(why));
                }
                at = end;
            }
        }
        if at < to {
            each(at, to, why);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 48_000;

    fn causes(presence: &Presence, from: i64, to: i64) -> Vec<(i64, i64, Option<Cause>)> {
        let mut spans = Vec::new();
        presence.causes(from, to, |from, to, why| spans.push((from, to, why.map(|why| why.cause))));
        spans
    }

    fn speaking_from(at: i64) -> Presence {
        let mut presence = Presence::new();
        presence.change(at, |state| (state.present, state.publishing) = (true, true));
        presence
    }

    #[test]
    fn a_gap_is_cut_where_its_cause_changes() {
        let mut presence = speaking_from(SECOND);
        presence.change(5 * SECOND, |state| state.muted = true);
        presence.change(7 * SECOND, |state| state.present = false);
        assert_eq!(
            causes(&presence, 0, 8 * SECOND),
            [
                (0, SECOND, Some(Cause::Left)),
                (SECOND, SECOND + GRACE, Some(Cause::Left)),
                (SECOND + GRACE, 5 * SECOND - GRACE, None),
                (5 * SECOND - GRACE, 5 * SECOND, Some(Cause::Muted)),
                (5 * SECOND, 7 * SECOND, Some(Cause::Muted)),
                (7 * SECOND, 8 * SECOND, Some(Cause::Left)),
            ]
        );
    }

    #[test]
    fn the_past_can_be_corrected() {
        let mut presence = speaking_from(0);
        presence.change(9 * SECOND, |state| state.muted = true);
        presence.change(5 * SECOND, |state| state.down = true);
        assert_eq!(
            causes(&presence, 6 * SECOND, 10 * SECOND),
            [
                (6 * SECOND, 9 * SECOND, Some(Cause::ChannelDisconnected)),
                (9 * SECOND, 10 * SECOND, Some(Cause::ChannelDisconnected)),
            ]
        );
    }

    #[test]
    fn what_is_forgotten_is_not_made_up() {
        let mut presence = speaking_from(SECOND);
        presence.change(5 * SECOND, |state| state.muted = true);
        presence.forget(9 * SECOND);
        presence.change(2 * SECOND, |state| state.dead = true);
        assert_eq!(causes(&presence, 0, 9 * SECOND), [(5 * SECOND, 9 * SECOND, Some(Cause::Muted))]);
    }

    #[test]
    fn only_what_was_spoken_is_due() {
        let mut presence = speaking_from(0);
        presence.change(SECOND, |state| state.dead = true);
        presence.change(2 * SECOND, |state| state.muted = true);
        let mut due = Vec::new();
        presence.causes(SECOND, 3 * SECOND, |_, _, why| due.push(why.unwrap().due));
        assert_eq!(due, [true, false]);
    }

    #[test]
    fn where_the_worker_was_deaf_who_was_to_be_heard_is_missing() {
        let mut presence = speaking_from(0);
        presence.deafen(5 * SECOND, 8 * SECOND, Cause::WorkerStalled);
        presence.deafen(4 * SECOND, 9 * SECOND, Cause::JournalDamaged);
        presence.change(7 * SECOND, |state| state.down = true);
        presence.change(10 * SECOND, |state| (state.down, state.muted) = (false, true));
        presence.deafen(11 * SECOND, 12 * SECOND, Cause::WorkerStalled);
        assert_eq!(
            causes(&presence, 2 * SECOND, 13 * SECOND),
            [
                (2 * SECOND, 4 * SECOND - GRACE, None),
                (4 * SECOND - GRACE, 4 * SECOND, Some(Cause::JournalDamaged)),
                (4 * SECOND, 5 * SECOND, Some(Cause::JournalDamaged)),
                (5 * SECOND, 7 * SECOND - GRACE, Some(Cause::WorkerStalled)),
                (7 * SECOND - GRACE, 7 * SECOND, Some(Cause::WorkerStalled)),
                (7 * SECOND, 8 * SECOND, Some(Cause::WorkerStalled)),
                (8 * SECOND, 9 * SECOND, Some(Cause::JournalDamaged)),
                (9 * SECOND, 10 * SECOND, Some(Cause::ChannelDisconnected)),
                (10 * SECOND, 13 * SECOND, Some(Cause::Muted)),
            ]
        );
        presence.forget(20 * SECOND);
        assert!(presence.deaf.is_empty());
    }

    #[test]
    fn absences_are_cut_where_somebody_comes_and_goes() {
        let mut presence = speaking_from(3 * SECOND);
        presence.change(5 * SECOND, |state| state.muted = true);
        presence.change(6 * SECOND, |state| state.publishing = false);
        presence.change(7 * SECOND, |state| state.present = false);
        let mut spans = Vec::new();
        presence.absences(SECOND, 9 * SECOND, |from, to, absent| spans.push((from / SECOND, to / SECOND, absent)));
        assert_eq!(spans, [(1, 3, true), (3, 5, false), (5, 6, false), (6, 7, true), (7, 9, true)]);
        assert!(presence.is_absent_from(6 * SECOND) && !presence.is_absent_from(6 * SECOND - 1));
        let mut spans = Vec::new();
        presence.attendances(SECOND, 9 * SECOND, |from, to| spans.push((from / SECOND, to / SECOND)));
        assert_eq!(spans, [(3, 5), (5, 6), (6, 7)]);
        presence.change(8 * SECOND, |state| (state.present, state.publishing, state.excluded) = (true, true, true));
        assert!(presence.is_absent_from(8 * SECOND), "who is not to be recorded is away");
        presence.forget(6 * SECOND + GRACE);
        let mut spans = Vec::new();
        presence.absences(4 * SECOND, 8 * SECOND, |from, to, absent| spans.push((from / SECOND, to / SECOND, absent)));
        assert_eq!(spans, [(4, 6, false), (6, 7, true), (7, 8, true)], "what is forgotten is not taken for an absence");
    }

    #[test]
    fn memory_is_bounded_and_old_states_go() {
        let mut presence = Presence::new();
        for second in 0..1_000 {
            presence.change(second * SECOND, |state| state.muted = !state.muted);
        }
        assert_eq!(presence.states.len(), MAX_CHANGES);
        presence.forget(1_000 * SECOND);
        assert_eq!(presence.states.len(), 1);
    }
}
