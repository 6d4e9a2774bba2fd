//! What `verify` found.

use serde::Serialize;

/// Problems that are listed; more are only counted.
const MAX_PROBLEMS: usize = 100;

/// What was found.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::cli) struct Report {
    /// Whether nothing is wrong.
    pub(in crate::cli) sound: bool,
    /// Playlists whose timeline was checked.
    pub(in crate::cli) playlists: u64,
    /// Segments that could be read.
    pub(in crate::cli) segments: u64,
    /// Packets in them.
    pub(in crate::cli) packets: u64,
    /// Seconds of sound in them.
    pub(in crate::cli) seconds: f64,
    /// Bytes of init and segments.
    pub(in crate::cli) bytes: u64,
    /// Whole files (MP4, Ogg) that could be read.
    pub(in crate::cli) files: u64,
    /// Objects that the manifest lists; null when there is no manifest.
    pub(in crate::cli) manifest_objects: Option<u64>,
    /// Events in the log; null when there is none or no manifest that speaks of it.
    pub(in crate::cli) events: Option<u64>,
    /// `complete`, `partial` or `empty`, as the manifest says; losses that it tells of are no problem here.
    pub(in crate::cli) verdict: Option<String>,
    /// What is not checked and no fault, such as what an older version did not write yet.
    pub(in crate::cli) notes: Vec<String>,
    /// What is wrong, in the order of the playlist.
    pub(in crate::cli) problems: Vec<Problem>,
    /// How many problems more there are than listed.
    pub(in crate::cli) more_problems: u64,
}

/// Something that is wrong.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(in crate::cli) struct Problem {
    /// Which kind of problem, for programs.
    pub(in crate::cli) kind: Kind,
    /// Name of the object.
    pub(in crate::cli) object: String,
    /// What is wrong with it.
    pub(in crate::cli) what: String,
}

/// The kinds of problems.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::cli) enum Kind {
    /// It is not there, and a playlist or the manifest says that it is.
    Missing,
    /// It is there and can't be read.
    Unreadable,
    /// It is not what a recording is made of, or not what its container says.
    Malformed,
    /// It has another length in bytes than the manifest says.
    Size,
    /// It holds other bytes than the manifest says.
    Hash,
    /// Playlist and manifest do not speak of the same objects.
    Unlisted,
    /// The recording was not ended.
    Unfinished,
    /// A hole in the timeline.
    Hole,
    /// Two segments overlap.
    Overlap,
    /// Lengths that should be the same are not.
    Duration,
    /// The ledger does not add up.
    Ledger,
    /// The event log has holes or no end, or its lines do not follow from each other.
    Events,
}

impl Report {
    pub(super) fn add(&mut self, kind: Kind, object: &str, what: &(impl ToString + ?Sized)) {
        if self.problems.len() < MAX_PROBLEMS {
            self.problems.push(Problem { kind, object: object.to_owned(), what: what.to_string() });
        } else {
            self.more_problems += 1;
        }
    }

    /// Whether something is wrong with an object.
    pub(super) fn blames(&self, object: &str) -> bool {
        self.problems.iter().any(|problem| problem.object == object)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn past_the_limit_problems_are_counted_not_listed() {
        let mut report = Report::default();
        (0..MAX_PROBLEMS + 3).for_each(|_| report.add(Kind::Missing, "a.m4s", "it is missing"));
        assert_eq!((report.problems.len(), report.more_problems), (MAX_PROBLEMS, 3));
        assert!(report.blames("a.m4s") && !report.blames("b.m4s"));
    }
}
