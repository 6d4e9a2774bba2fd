//! The bookkeeping behind one uid's entry in the ledger. All positions and lengths in ticks.
//!
//! Invariant: every tick of a timeline is booked once, as sound, as a gap that was due (concealed or missing) or as a gap in
//! which nothing was due.

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
#[derive(Debug, Default)]
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
        let (from, to) = (ticks(from), ticks(to));
        let full = self.gaps.len() >= MAX_GAPS;
        match self.gaps.last_mut() {
            Some(last) if last.to == from && last.cause == cause => last.to = to,
            _ if full => self.omitted += 1,
            _ => self.gaps.push(Gap { from, to, cause }),
        }
    }

    /// What was booked in `from..to` as a stall of the sender turns out to be lost for another reason.
    pub(super) fn correct(&mut self, from: i64, to: i64, cause: Cause, due: Due) {
        let (from, to) = (ticks(from), ticks(to));
        let mut index = self.gaps.partition_point(|gap| gap.to <= from);
        while let Some(gap) = self.gaps.get(index).cloned().filter(|gap| gap.from < to) {
            index += 1;
            if gap.cause != Cause::SenderStall {
                continue;
            }
            let middle = Gap { from: gap.from.max(from), to: gap.to.min(to), cause };
            if due == Due::Missing {
                self.missing += (middle.to - middle.from).0 as i64;
            }
            let before = Gap { to: middle.from, ..gap.clone() };
            let after = Gap { from: middle.to, ..gap };
            let parts: Vec<Gap> = [before, middle, after].into_iter().filter(|part| part.from < part.to).collect();
            index += parts.len() - 1;
            self.gaps.splice(index - parts.len()..index - parts.len() + 1, parts);
            index = self.join(index);
        }
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

    /// Joins the gap before `end` with its forerunner when they are one; the new `end`.
    fn join(&mut self, end: usize) -> usize {
        let Some([before, gap]) = end.checked_sub(2).and_then(|first| self.gaps.get_mut(first..end)) else {
            return end;
        };
        if before.to != gap.from || before.cause != gap.cause {
            return end;
        }
        before.to = gap.to;
        self.gaps.remove(end - 1);
        end - 1
    }
}

fn ticks(position: i64) -> Ticks {
    Ticks(position.max(0) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

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
            account.correct(from, from + 960, Cause::Late, Due::Missing);
        }
        account.correct(8_640, 48_000, Cause::WorkerRestart, Due::Missing);
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
    fn past_the_limit_gaps_are_counted_not_listed() {
        let mut account = Account::default();
        for gap in 0..MAX_GAPS as i64 + 5 {
            account.gap(gap * 1_920, gap * 1_920 + 960, Cause::NetworkLoss, Due::Missing);
        }
        assert_eq!((account.gaps.len(), account.omitted), (MAX_GAPS, 5));
        assert_eq!(account.missing, (MAX_GAPS as i64 + 5) * 960);
    }
}
