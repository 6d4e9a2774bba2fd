//! Which tracks a source had, and which were muted, over the last seconds: what goes to another source takes its part of that along, from
//! where its sound goes on there. All times in ticks.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::units::{Ticks, TrackId};

/// How long it is remembered: longer than what is not written yet reaches back.
const REMEMBERED: i64 = Ticks::from_secs(10).0 as i64;

/// Most changes that are remembered; past it the oldest is forgotten.
const MAX_CHANGES: usize = 64;

/// A stretch in which one track or more were published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Published {
    pub(super) from: i64,
    pub(super) to: i64,
    /// All of them were muted.
    pub(super) muted: bool,
}

/// See the module's documentation: the tracks and whether they are muted, each list from a tick on.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct History {
    states: VecDeque<(i64, Vec<(TrackId, bool)>)>,
}

impl History {
    /// From `at` on it has these tracks.
    pub(super) fn note(&mut self, at: i64, tracks: &[(TrackId, bool)]) {
        match self.states.back_mut() {
            Some((_, known)) if known == tracks => {}
            Some((since, known)) if *since >= at => *known = tracks.to_vec(),
            _ => self.states.push_back((at, tracks.to_vec())),
        }
        while self.states.len() > MAX_CHANGES || self.states.get(1).is_some_and(|(next, _)| *next <= at - REMEMBERED) {
            self.states.pop_front();
        }
    }

    /// A track ended, and is called `gone` from now on: a later one may have its number.
    pub(super) fn rename(&mut self, track: TrackId, gone: TrackId) {
        let tracks = self.states.iter_mut().flat_map(|(_, tracks)| tracks);
        tracks.filter(|(known, _)| *known == track).for_each(|(known, _)| *known = gone);
    }

    /// Takes what `goes` out of `from..to`: where that was published, and what was published beside it there, if anything was.
    pub(super) fn part(
        &mut self,
        goes: impl Fn(TrackId) -> bool,
        from: i64,
        to: i64,
    ) -> Vec<(Published, Option<bool>)> {
        let ends: Vec<i64> = self.states.iter().skip(1).map(|(at, _)| *at).chain([i64::MAX]).collect();
        let mut parted = Vec::new();
        for ((since, tracks), end) in self.states.iter_mut().zip(ends) {
            let (start, end) = ((*since).max(from), end.min(to));
            if start >= end || !tracks.iter().any(|(track, _)| goes(*track)) {
                continue;
            }
            let muted = |gone: bool| {
                let mut of = tracks.iter().filter(|(track, _)| goes(*track) == gone).peekable();
                of.peek().is_some().then(|| of.all(|(_, muted)| *muted))
            };
            let (gone, left) = (muted(true).unwrap_or_default(), muted(false));
            parted.push((Published { from: start, to: end, muted: gone }, left));
            tracks.retain(|(track, _)| !goes(*track));
        }
        parted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_is_told_apart_from_what_stays() {
        let (one, two) = (TrackId(1), TrackId(2));
        let mut history = History::default();
        history.note(0, &[(one, false)]);
        history.note(100, &[(one, false), (two, false)]);
        history.note(200, &[(one, false), (two, true)]);
        history.note(300, &[(two, true)]);
        let published = |from, to, muted| Published { from, to, muted };
        let parted = history.part(|track| track == one, 50, 400);
        assert_eq!(
            parted,
            [
                (published(50, 100, false), None),
                (published(100, 200, false), Some(false)),
                (published(200, 300, false), Some(true)),
            ]
        );
        assert_eq!(history.part(|track| track == one, 0, 400), [], "it went");
        assert_eq!(
            history.part(|_| true, 250, 400),
            [(published(250, 300, true), None), (published(300, 400, true), None)]
        );
    }

    #[test]
    fn it_is_bounded() {
        let mut history = History::default();
        for at in 0..1_000_u32 {
            history.note(i64::from(at), &[(TrackId(at), false)]);
        }
        assert_eq!(history.states.len(), MAX_CHANGES);
        history.note(REMEMBERED * 2, &[]);
        assert_eq!(history.states.len(), 2, "how it was in the last seconds");
    }
}
