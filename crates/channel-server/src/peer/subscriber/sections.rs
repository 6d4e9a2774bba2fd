//! Which media section of a hearing connection carries which track.
//!
//! A section whose track is gone is used again once the client has answered the offer that says so: else one offer would put a track
//! in the place of another, which clients don't notice. A track that comes back gets a section in which it never was: SDKs on
//! LiveKit's Rust core (Python, Node, …) don't report a track that returns to one, on a LiveKit server neither (seen with the Python SDK
//! 1.2.0 and the Node SDK 1.1.0). Only when [`MAX_EMPTY_SECTIONS`] carry nothing it has to return.

use std::collections::{HashMap, HashSet};

use crate::ids::TrackSid;
use crate::limits::MAX_EMPTY_SECTIONS;

/// The sections in the order in which they were made, which is the order of the connection's transceivers.
#[derive(Debug, Default)]
pub(super) struct Sections {
    /// The offer that tells the client that the section carries nothing; `None` while it carries a track.
    left: Vec<Option<u32>>,
    /// Where each track is and was.
    sections_of: HashMap<TrackSid, SectionTable>,
}

#[derive(Debug, Default)]
struct SectionTable {
    /// Where it is, or was last.
    last: usize,
    all: HashSet<usize>,
}

/// Where a track goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SectionUse {
    /// A section that is to be made.
    New,
    /// One that is there, with so many before it that carry nothing either.
    Old {
        empty_before: usize,
        /// Whether the track was there before.
        again: bool,
    },
}

impl Sections {
    /// Finds a section for `track` and takes it; `answered` is the last offer that the client has answered.
    pub(super) fn take(&mut self, track: &TrackSid, answered: u32) -> SectionUse {
        let sections_of = self.sections_of.entry(track.clone()).or_default();
        let free = || {
            let free = |left: &Option<u32>| left.is_some_and(|told| told <= answered);
            self.left.iter().enumerate().filter(move |(_, left)| free(left)).map(|(at, _)| at)
        };
        let full = self.left.iter().flatten().count() >= MAX_EMPTY_SECTIONS;
        let fresh = free().find(|at| !sections_of.all.contains(at));
        let found = fresh.or_else(|| free().next().filter(|_| full));
        let at = found.unwrap_or(self.left.len());
        let again = !sections_of.all.insert(at);
        sections_of.last = at;
        let Some(section) = self.left.get_mut(at) else {
            self.left.push(None);
            return SectionUse::New;
        };
        *section = None;
        SectionUse::Old { empty_before: self.left[..at].iter().flatten().count(), again }
    }

    /// The track is no longer heard, which `offer` will tell.
    pub(super) fn leave(&mut self, track: &TrackSid, offer: u32) {
        if let Some(section) = self.sections_of.get(track).and_then(|sections_of| self.left.get_mut(sections_of.last)) {
            *section = Some(offer);
        }
    }

    /// The track is over: it won't come back.
    pub(super) fn forget(&mut self, track: &TrackSid) {
        self.sections_of.remove(track);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn track(name: &str) -> TrackSid {
        name.into()
    }

    const fn old(empty_before: usize) -> SectionUse {
        SectionUse::Old { empty_before, again: false }
    }

    #[test]
    fn a_section_is_used_again_once_the_client_knows_that_it_is_empty() {
        let mut sections = Sections::default();
        assert_eq!(sections.take(&track("a"), 0), SectionUse::New);
        sections.leave(&track("a"), 2);
        sections.forget(&track("a"));
        assert_eq!(sections.take(&track("b"), 1), SectionUse::New, "offer 2 is not answered");
        assert_eq!(sections.take(&track("c"), 2), old(0));
    }

    #[test]
    fn a_track_returns_to_no_section_until_there_are_too_many() {
        let mut sections = Sections::default();
        assert_eq!(sections.take(&track("a"), 0), SectionUse::New);
        for offer in 1..=31 {
            sections.leave(&track("a"), offer);
            assert_eq!(sections.take(&track("a"), offer), SectionUse::New, "{offer}");
        }
        assert_eq!(sections.take(&track("b"), 31), old(0), "others use what it left");
        sections.leave(&track("b"), 32);
        assert_eq!(sections.take(&track("c"), 31), old(1), "the one that b left is not known to be empty");
        sections.leave(&track("c"), 32);
        sections.leave(&track("a"), 32);
        assert_eq!(sections.take(&track("a"), 32), SectionUse::Old { empty_before: 0, again: true });
        assert_eq!(sections.left.len(), MAX_EMPTY_SECTIONS);
    }
}
