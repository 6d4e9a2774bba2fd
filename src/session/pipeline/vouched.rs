//! Who was being heard where the journal knows nothing of it: the event log says when each uid was received, and a final segment that
//! holds more than silence of its length was made of sound.
//!
//! The journal is believed first. Where it does not have the recording's beginning, all that the others say of that time counts; behind
//! its end, what began there. Whom it never met counts from its end on, if the others have him heard up to theirs.

use std::collections::{BTreeMap, HashMap};

use super::Pipeline;
use super::fixed::RICHER;
use super::packed::silent_segment;
use crate::recording::PlaylistId;
use crate::session::fixed::FixedSegment;
use crate::session::plan::Plan;
use crate::units::{Ticks, Uid, WallMs};

/// Stretches in order, from when until when; the last one may go on.
type Spans = Vec<(Ticks, Option<Ticks>)>;

/// What the event log and the final segments say.
#[derive(Debug, Default)]
pub(super) struct Heard {
    uids: BTreeMap<Uid, Spans>,
    /// The last time at which anybody is known to have been heard.
    last: Ticks,
}

impl Pipeline {
    /// Looks who was heard; the log and what is final are known.
    pub(super) fn look_who_was_heard(&self) -> Heard {
        let start = self.start;
        let ticks = |wall: WallMs| Ticks::from_ms(wall.0.saturating_sub(start.0));
        let mut heard = Heard::default();
        for (uid, received) in self.event_dedup.received() {
            let Ok(uid) = Uid::new(uid) else { continue };
            let spans: Spans = received.iter().map(|(from, to)| (ticks(*from), to.map(ticks))).collect();
            heard.last = heard.last.max(spans.last().map_or(Ticks::ZERO, |(from, _)| *from));
            heard.uids.insert(uid, spans);
        }
        let (mut lengths, end) = (HashMap::new(), self.fixed.end());
        let length = self.context.plan.segment.ticks();
        for segment in self.fixed.iter().filter(|segment| sounds(segment, &self.context.plan, &mut lengths)) {
            let (from, to) = (segment.entry.start, segment.entry.end());
            heard.last = heard.last.max(to);
            let PlaylistId::Individual(uid) = &segment.playlist else { continue };
            let goes_on = to + length >= end;
            heard.add(uid, from, to, goes_on);
        }
        heard
    }

    /// The journal knows nothing of what was before `at`: tells the core who was heard then.
    pub(in crate::session) fn vouch_before(&mut self, at: Ticks) {
        let Some(earlier_runs) = &self.earlier_runs else { return };
        for (uid, spans) in &earlier_runs.heard.uids {
            for (from, to) in spans {
                let to = to.unwrap_or(at).min(at);
                if *from < to {
                    self.recorder.vouch(uid, *from, Some(to));
                }
            }
        }
    }

    /// The journal ends at `last`, and `lost` says whether it has lost its beginning: tells the core who was heard since. If the journal
    /// is poorer than the others and nobody is known who was to be heard at its end, answers with the end of what is known.
    pub(in crate::session) fn vouch_since(&mut self, last: Ticks, lost: bool) -> Option<Ticks> {
        let heard = &self.earlier_runs.as_ref()?.heard;
        for (uid, spans) in &heard.uids {
            let unknown = lost || !self.recorder.knows(uid);
            for (from, to) in spans {
                if *from > last || (unknown && to.is_none()) {
                    self.recorder.vouch(uid, (*from).max(last), *to);
                }
            }
        }
        let known = heard.last.max(last).max(self.fixed.end());
        ((lost || heard.last > last) && !self.recorder.is_anybody_due()).then_some(known)
    }

    /// Whether the log or a final segment has somebody heard after `last`.
    pub(in crate::session) fn is_anybody_heard_after(&self, last: Ticks) -> bool {
        self.earlier_runs.as_ref().is_some_and(|earlier_runs| earlier_runs.heard.last > last)
    }

    /// Whether the log has somebody heard anew within `from..to`, or a final segment that begins there sounds.
    pub(in crate::session) fn is_anybody_heard_within(&self, from: Ticks, to: Ticks) -> bool {
        let spans = self.earlier_runs.iter().flat_map(|earlier_runs| earlier_runs.heard.uids.values().flatten());
        spans.into_iter().any(|(begun, _)| *begun > from && *begun < to)
    }

    /// Nobody was heard in `from..to`, and nobody knows who was to be.
    pub(in crate::session) fn unheard(&mut self, from: Ticks, to: Ticks) {
        self.recorder.unheard(from, to);
    }
}

impl Heard {
    /// A final segment of the uid's own playlist sounds. Segments come in order. The log knows better, up to its last word of the uid.
    fn add(&mut self, uid: &Uid, from: Ticks, to: Ticks, goes_on: bool) {
        let spans = self.uids.entry(uid.clone()).or_default();
        let to_end = (!goes_on).then_some(to);
        match spans.last_mut() {
            Some((_, None)) => {}
            Some((_, Some(until))) if from < *until => {}
            Some((_, until)) if *until == Some(from) => *until = to_end,
            _ => spans.push((from, to_end)),
        }
    }
}

/// Whether a segment holds more than silence, as far as its size says. `lengths`: of silence, by its duration.
fn sounds(segment: &FixedSegment, plan: &Plan, lengths: &mut HashMap<Ticks, u64>) -> bool {
    let FixedSegment { playlist, entry, stored, silenced, .. } = segment;
    let silent = || silent_segment(playlist, entry.start, entry.duration, plan).len() as u64;
    let silent = *lengths.entry(entry.duration).or_insert_with(silent);
    !silenced && stored.size * RICHER.1 > silent * RICHER.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_count_behind_the_last_word_of_the_log() {
        let (uid, at) = (Uid::new("7").unwrap(), Ticks::from_secs);
        let mut heard = Heard::default();
        heard.uids.insert(uid.clone(), vec![(at(1), Some(at(5)))]);
        for from in [2, 4, 6, 8, 12] {
            heard.add(&uid, at(from), at(from + 2), from == 12);
        }
        assert_eq!(heard.uids[&uid], [(at(1), Some(at(5))), (at(6), Some(at(10))), (at(12), None)]);
        heard.add(&uid, at(14), at(16), false);
        assert_eq!(heard.uids[&uid].len(), 3, "it goes on");
    }
}
