//! The bookkeeping behind one uid's entry in the ledger. All positions and lengths in ticks.
//!
//! Invariant: every tick of a timeline is booked once, as sound, as a gap that was due (concealed or missing) or as a gap in
//! which nothing was due.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::{Cause, Gap, PacketCounts, TrackLedger};
use crate::units::{Ticks, Uid};

/// Most gaps that are listed for a uid; past it they are counted (`gapsOmitted`) and summed, not listed. 4 % loss in single
/// packets for eight hours makes 57,600.
const MAX_GAPS: usize = 60_000;

/// What a stretch without the sender's sound means for the account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// Nothing was to be recorded.
    Nothing,
    /// Sound that was bridged.
    Concealed,
    /// Sound that is lost.
    Missing,
}

/// See the module's documentation.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Account {
    recorded: i64,
    concealed: i64,
    missing: i64,
    gaps: Vec<Gap>,
    omitted: u64,
    /// What became of the uid's packets.
    pub(super) packets: PacketCounts,
}

impl Account {
    /// Books sound, or a pause that the sender made by DTX.
    pub(super) fn sound(&mut self, length: i64) {
        self.recorded += length;
    }

    /// Books the gap `from..to`. Gaps come in order.
    pub(super) fn gap(&mut self, from: i64, to: i64, cause: Cause, due: Due) {
        match due {
            Due::Nothing => {}
            Due::Concealed => self.concealed += to - from,
            Due::Missing => self.missing += to - from,
        }
        let before = self.gaps.len();
        join(&mut self.gaps, Gap { from: ticks(from), to: ticks(to), cause });
        if before >= MAX_GAPS && self.gaps.len() > before {
            self.gaps.truncate(before);
            self.omitted += 1;
        }
    }

    /// What was booked in `from..to` for one of the causes in `taken_for`, none of which was due, has another one.
    pub(super) fn correct(&mut self, from: i64, to: i64, taken_for: &[Cause], cause: Cause, due: Due) {
        let (from, to) = (ticks(from), ticks(to));
        let first = self.gaps.partition_point(|gap| gap.to <= from).saturating_sub(1);
        let end = (self.gaps.partition_point(|gap| gap.from < to) + 1).min(self.gaps.len());
        let Some(affected) = self.gaps.get(first..end) else {
            return;
        };
        let mut parts = Vec::with_capacity(affected.len() + 2);
        for gap in affected {
            let (start, stop) = (gap.from.max(from), gap.to.min(to));
            if !taken_for.contains(&gap.cause) || start >= stop {
                join(&mut parts, gap.clone());
                continue;
            }
            if due == Due::Missing {
                self.missing += (stop - start).0 as i64;
            }
            let middle = Gap { from: start, to: stop, cause };
            let rest = [Gap { to: start, ..gap.clone() }, middle, Gap { from: stop, ..gap.clone() }];
            rest.into_iter().filter(|part| part.from < part.to).for_each(|part| join(&mut parts, part));
        }
        self.replace(first..end, parts);
    }

    /// What was booked as sound in `from..to` could not be kept and is missing; what was a gap stays that gap. Past [`MAX_GAPS`]
    /// gaps that are not listed count as sound here.
    pub(super) fn lose(&mut self, from: i64, to: i64, cause: Cause) {
        let (mut at, to) = (ticks(from), ticks(to));
        let first = self.gaps.partition_point(|gap| gap.to <= at).saturating_sub(1);
        let end = (self.gaps.partition_point(|gap| gap.from < to) + 1).min(self.gaps.len());
        let (mut parts, mut lost) = (Vec::with_capacity(2 * (end - first) + 1), Ticks::ZERO);
        let mut lose = |parts: &mut Vec<Gap>, from: Ticks, to: Ticks| {
            if from < to {
                join(parts, Gap { from, to, cause });
                lost += to - from;
            }
        };
        for gap in &self.gaps[first..end] {
            lose(&mut parts, at, gap.from.min(to));
            join(&mut parts, gap.clone());
            at = at.max(gap.to);
        }
        lose(&mut parts, at, to);
        let lost = (lost.0 as i64).min(self.recorded);
        self.recorded -= lost;
        self.missing += lost;
        self.replace(first..end, parts);
    }

    /// The entry as it stands.
    pub(super) fn entry(&self, uid: &Uid) -> TrackLedger {
        let (recorded_ms, concealed_ms, missing_ms) =
            (ticks(self.recorded).as_ms(), ticks(self.concealed).as_ms(), ticks(self.missing).as_ms());
        TrackLedger {
            uid: uid.clone(),
            expected_ms: recorded_ms + concealed_ms + missing_ms,
            recorded_ms,
            concealed_ms,
            missing_ms,
            gaps: self.gaps.clone(),
            gaps_omitted: self.omitted,
            packets: self.packets,
        }
    }

    /// Puts `parts` in the place of the gaps in `range`.
    fn replace(&mut self, range: Range<usize>, parts: Vec<Gap>) {
        self.gaps.splice(range, parts);
        self.omitted += self.gaps.len().saturating_sub(MAX_GAPS) as u64;
        self.gaps.truncate(MAX_GAPS);
    }
}

/// Appends a gap, as a part of the last one where the two are one.
fn join(gaps: &mut Vec<Gap>, gap: Gap) {
    match gaps.last_mut() {
        Some(last) if last.to == gap.from && last.cause == gap.cause => last.to = gap.to,
        _ => gaps.push(gap),
    }
}

fn ticks(position: i64) -> Ticks {
    Ticks(position.max(0) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    const STALL: &[Cause] = &[Cause::SenderStall];

    fn gaps(account: &Account) -> Vec<(u64, u64, Cause)> {
        account.gaps.iter().map(|gap| (gap.from.0, gap.to.0, gap.cause)).collect()
    }

    #[test]
    fn neighbours_with_one_cause_are_one_gap() {
        let mut account = Account::default();
        account.gap(0, 960, Cause::Left, Due::Nothing);
        account.gap(960, 1_920, Cause::Left, Due::Nothing);
        account.gap(1_920, 2_880, Cause::NetworkLoss, Due::Concealed);
        account.gap(3_840, 4_800, Cause::NetworkLoss, Due::Missing);
        assert_eq!(
            gaps(&account),
            [(0, 1_920, Cause::Left), (1_920, 2_880, Cause::NetworkLoss), (3_840, 4_800, Cause::NetworkLoss)]
        );
        let entry = account.entry(&Uid::new("1").unwrap());
        assert_eq!((entry.expected_ms, entry.concealed_ms, entry.missing_ms), (40, 20, 20));
    }

    #[test]
    fn a_stall_that_was_a_loss_is_corrected_in_its_place() {
        let mut account = Account::default();
        account.gap(0, 9_600, Cause::SenderStall, Due::Nothing);
        account.gap(9_600, 19_200, Cause::Muted, Due::Nothing);
        account.gap(19_200, 28_800, Cause::SenderStall, Due::Nothing);
        for from in [4_800, 5_760] {
            account.correct(from, from + 960, STALL, Cause::Late, Due::Missing);
        }
        account.correct(8_640, 48_000, STALL, Cause::WorkerRestart, Due::Missing);
        assert_eq!(
            gaps(&account),
            [
                (0, 4_800, Cause::SenderStall),
                (4_800, 6_720, Cause::Late),
                (6_720, 8_640, Cause::SenderStall),
                (8_640, 9_600, Cause::WorkerRestart),
                (9_600, 19_200, Cause::Muted),
                (19_200, 28_800, Cause::WorkerRestart),
            ]
        );
        assert_eq!(account.missing, 1_920 + 960 + 9_600);
    }

    #[test]
    fn only_what_was_sound_can_be_lost_and_only_once() {
        let mut account = Account::default();
        account.sound(9_600);
        account.gap(9_600, 10_560, Cause::NetworkLoss, Due::Concealed);
        account.sound(8_640);
        account.gap(19_200, 28_800, Cause::Muted, Due::Nothing);
        account.lose(4_800, 14_400, Cause::DiskFull);
        account.lose(0, 9_600, Cause::DiskFull);
        account.lose(14_400, 24_000, Cause::DiskFull);
        account.lose(20_000, 24_000, Cause::DiskFull);
        assert_eq!(
            gaps(&account),
            [
                (0, 9_600, Cause::DiskFull),
                (9_600, 10_560, Cause::NetworkLoss),
                (10_560, 19_200, Cause::DiskFull),
                (19_200, 28_800, Cause::Muted),
            ]
        );
        assert_eq!((account.recorded, account.concealed, account.missing), (0, 960, 18_240));
    }

    #[test]
    fn past_the_limit_gaps_are_counted_not_listed() {
        let mut account = Account::default();
        for gap in 0..MAX_GAPS as i64 + 5 {
            account.gap(gap * 1_920, gap * 1_920 + 960, Cause::NetworkLoss, Due::Missing);
        }
        assert_eq!((account.gaps.len(), account.omitted), (MAX_GAPS, 5));
        assert_eq!(account.missing, (MAX_GAPS as i64 + 5) * 960);
        account.sound(2_880);
        account.lose(960, 3_840, Cause::DiskFull);
        assert_eq!((account.gaps.len(), account.omitted), (MAX_GAPS, 7));
    }
}
