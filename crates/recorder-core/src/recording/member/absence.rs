//! A member after the worker's restart: what is known of it is of before, until it is met again.
//!
//! * From the last input before the worker's death on nothing is known of it. What it said since is missing (`worker_restart`) until
//!   its first packet, if that comes within [`SETTLING`] of its new track. A member that was muted stays muted; if it comes back
//!   unmuted nobody knows since when, and all of it counts as missing.
//! * Who is announced again but has no track by the end of the patience is in the channel and publishes nothing; who is not
//!   announced at all has left, then and not before. If the worker turns out to have been dead at that moment, nobody was given up.

use serde::{Deserialize, Serialize};

use super::super::{Cause, Output};
use super::Member;
use crate::units::Ticks;

/// How long after its new track is announced the first packet may come for the restart to be the reason of the silence until then.
const SETTLING: i64 = Ticks::from_secs(5).0 as i64;

/// See the module's documentation. Times in ticks.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Absence {
    /// Since when nothing is known of it.
    since: i64,
    /// It published before.
    published: bool,
    stage: AbsenceState,
}

/// How far it has come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum AbsenceState {
    /// Nothing was heard of it.
    Gone,
    /// It is in the channel.
    Met,
    /// It was given up at a time.
    GivenUp(i64),
    /// It published again at a time, and no packet has come yet.
    Back(i64),
}

impl Absence {
    /// Whether something that it published is waited for.
    pub(super) const fn is_missed(&self) -> bool {
        self.is_unknown() && self.published
    }

    /// Whether its tracks are unknown.
    pub(super) const fn is_unknown(&self) -> bool {
        matches!(self.stage, AbsenceState::Gone | AbsenceState::Met)
    }
}

impl Member {
    /// The worker was dead `from..at`: its tracks are gone until they are announced again.
    pub(in crate::recording) fn restarted(&mut self, from: i64, at: i64, out: &mut impl Extend<Output>) {
        let since = self.still_absent_since(from, at);
        let now = self.presence.now();
        if now.present {
            let published = now.publishing;
            self.absence = Some(Absence { since, published, stage: AbsenceState::Gone });
            self.presence.change(since, |state| (state.dead, state.down) = (true, false));
            self.correct(since, at);
            if let Some(timeline) = self.timeline.as_mut().filter(|_| published && !now.muted && !now.excluded) {
                timeline.doubt(since, at, Cause::WorkerRestart);
            }
        } else {
            self.absence = None;
        }
        self.presence.change(at, |state| (state.down, state.overloaded) = (false, false));
        self.silence.forget_report();
        for (track, _) in std::mem::take(&mut self.tracks) {
            self.forget(track);
        }
        if let Some((from, to, cause)) = self.unreadable.restarted(from, at)
            && let Some(timeline) = &mut self.timeline
        {
            timeline.unread(from, to, cause);
        }
        self.receiving.stop(&self.uid, at, out);
    }

    /// The end of the patience after the worker's restart, at `at`.
    pub(in crate::recording) fn give_up(&mut self, at: i64) {
        self.unreadable.give_up(self.selected, at);
        let Some(absence) = self.absence.as_mut().filter(|absence| absence.is_unknown()) else {
            return;
        };
        let present = absence.stage == AbsenceState::Met;
        absence.stage = AbsenceState::GivenUp(at);
        self.presence.change(at, |state| (state.dead, state.present, state.publishing) = (false, present, false));
    }

    /// It is in the channel, as its presence knows.
    pub(super) fn is_present_again(&mut self) {
        let dead = self.presence.now().dead;
        self.absence = self.absence.filter(|_| dead).map(|absence| Absence { stage: AbsenceState::Met, ..absence });
    }

    /// It publishes at `at`, which its presence does not know yet.
    pub(super) fn comes_back(&mut self, muted: bool, at: i64) {
        let Some(absence) = self.absence.take().filter(Absence::is_unknown) else {
            return;
        };
        if self.presence.now().muted && !muted {
            self.presence.change(absence.since, |state| state.muted = false);
            if let Some(timeline) = &mut self.timeline {
                timeline.rebook(absence.since, at, &[Cause::Muted], Cause::WorkerRestart);
            }
        }
        if absence.published && !muted {
            self.absence = Some(Absence { stage: AbsenceState::Back(at), ..absence });
        }
    }

    /// A packet of a track that is not muted came at `at`.
    pub(super) fn is_heard_again(&mut self, at: i64) {
        if let Some(Absence { stage: AbsenceState::Back(back), .. }) = self.absence {
            self.absence = None;
            if at - back <= SETTLING {
                self.presence.change_until(back, at, |state| state.dead = true);
                self.correct(back, at);
            }
        }
    }

    /// Since when nothing is known of it, if the worker was dead `from..at`: if it had not come back from the restart before, since
    /// that. Takes back that it was given up when the worker was dead.
    fn still_absent_since(&mut self, from: i64, at: i64) -> i64 {
        let Some(Absence { since, published, stage }) = self.absence else {
            return from;
        };
        match stage {
            AbsenceState::Gone | AbsenceState::Met => since,
            AbsenceState::Back(back) if from - back <= SETTLING => back,
            AbsenceState::GivenUp(given_up) if given_up >= from => {
                self.presence.change(given_up, |state| {
                    (state.dead, state.present, state.publishing) = (true, true, published);
                });
                if let Some(timeline) = &mut self.timeline {
                    timeline.attribute(given_up, at, &[Cause::Left, Cause::NotPublishing], &self.presence);
                }
                since
            }
            AbsenceState::Back(_) | AbsenceState::GivenUp(_) => from,
        }
    }
}
