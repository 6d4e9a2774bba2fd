//! The bookkeeping behind one entry in the ledger, of a uid or of a further source of it. All positions and lengths in ticks.
//!
//! Invariants:
//! * Every tick of a timeline is booked once, as sound, as a gap that was due (concealed or missing) or as a gap in
//!   which nothing was due.
//! * `concealed` and `missing` are the lengths of the stretches that are booked so, to the tick, as long as all stretches are listed;
//!   `missing` has the sound besides that other sound lies in the place of.
//! * Each packet has one fate, in packets and in ticks of sound.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::{Cause, Coding, Gap, PacketCounts, SourceId, TrackLedger};
use crate::units::{Ticks, Uid};

/// Most stretches that are listed for a uid; past it they are counted (`gapsOmitted`) and summed, not listed. 4 % loss in single
/// packets for eight hours makes 57,600.
const MAX_GAPS: usize = 60_000;

/// What a stretch without the sender's sound means for the account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Due {
    /// Nothing was to be recorded.
    Nothing,
    /// Sound that was bridged.
    Concealed,
    /// Sound that is lost.
    Missing,
}

/// A part of a gap: one cause, one meaning.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Stretch {
    from: Ticks,
    to: Ticks,
    cause: Cause,
    /// `None` where a snapshot of format 1 did not say.
    #[serde(default)]
    due: Option<Due>,
}

impl Stretch {
    fn due(&self) -> Due {
        self.due.unwrap_or_else(|| if self.cause.loses() { Due::Missing } else { Due::Nothing })
    }
}

/// See the module's documentation.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct LedgerBuilder {
    recorded: i64,
    concealed: i64,
    missing: i64,
    gaps: Vec<Stretch>,
    omitted: u64,
    packets: PacketCounts,
    /// What became of the sound in them.
    #[serde(default)]
    samples: PacketCounts,
    /// What is missing without a gap, since other sound lies in its place.
    #[serde(default)]
    overlaid: BTreeMap<Cause, i64>,
    /// What was made to Opus.
    #[serde(default)]
    transcoded: BTreeSet<Coding>,
}

/// What became of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// Not a fate: it arrived.
    Received,
    /// See [`PacketCounts`].
    Placed,
    /// See [`PacketCounts`].
    Duplicate,
    /// See [`PacketCounts`].
    Late,
    /// See [`PacketCounts`].
    Malformed,
    /// See [`PacketCounts`].
    Overflow,
    /// See [`PacketCounts`].
    LeftOut,
    /// See [`PacketCounts`].
    Superseded,
    /// See [`PacketCounts`].
    Padding,
    /// See [`PacketCounts`].
    BeforeStart,
    /// See [`PacketCounts`].
    AfterEnd,
}

fn of(counts: &mut PacketCounts, fate: Fate) -> &mut u64 {
    match fate {
        Fate::Received => &mut counts.received,
        Fate::Placed => &mut counts.placed,
        Fate::Duplicate => &mut counts.duplicate,
        Fate::Late => &mut counts.late,
        Fate::Malformed => &mut counts.malformed,
        Fate::Overflow => &mut counts.overflow,
        Fate::LeftOut => &mut counts.left_out,
        Fate::Superseded => &mut counts.superseded,
        Fate::Padding => &mut counts.padding,
        Fate::BeforeStart => &mut counts.before_start,
        Fate::AfterEnd => &mut counts.after_end,
    }
}

impl LedgerBuilder {
    /// So many packets, and so much sound in them, have this fate.
    pub(super) fn fate(&mut self, fate: Fate, packets: u64, samples: i64) {
        *of(&mut self.packets, fate) += packets;
        *of(&mut self.samples, fate) += samples.max(0) as u64;
    }

    /// So many packets that were received, and so much sound in them, went to another account.
    pub(super) fn part(&mut self, packets: u64, samples: i64) {
        self.packets.received = self.packets.received.saturating_sub(packets);
        self.samples.received = self.samples.received.saturating_sub(samples.max(0) as u64);
    }

    /// What format 1 counted is completed, while so many packets with so much sound wait.
    pub(super) fn is_of_format_1(&mut self, packets: u64, sound: i64) {
        self.packets.padding = self.packets.received.saturating_sub(self.packets.fates() + packets);
        self.samples = PacketCounts { received: sound as u64, ..PacketCounts::default() };
    }

    /// How much is missing for a cause though other sound lies in its place.
    pub(super) fn overlaid(&self, cause: Cause) -> i64 {
        self.overlaid.get(&cause).copied().unwrap_or_default()
    }

    /// How much sound had a fate.
    pub(super) fn samples(&self, fate: Fate) -> i64 {
        *of(&mut self.samples.clone(), fate) as i64
    }

    /// A track that can't be read was sending in `from..to`, besides all that is booked there: where nothing was due, that stretch is
    /// missing for `cause`; elsewhere so much is missing without a gap.
    pub(super) fn unread(&mut self, from: i64, to: i64, cause: Cause) {
        let before = self.missing;
        let kept = [Cause::ClockDrift, Cause::Adopted];
        self.rewrite(from, to, |stretch| {
            (stretch.due() == Due::Nothing && !kept.contains(&stretch.cause)).then_some((cause, Due::Missing))
        });
        self.overlay(to - from - (self.missing - before), cause);
    }

    /// So much sound is missing, and other sound lies in its place.
    pub(super) fn overlay(&mut self, length: i64, cause: Cause) {
        if length > 0 {
            self.missing += length;
            *self.overlaid.entry(cause).or_default() += length;
        }
    }

    /// How much of `from..to` is booked as sound that was due and is not there.
    pub(super) fn due_in(&self, from: i64, to: i64) -> i64 {
        let (from, to) = (ticks(from), ticks(to));
        let gaps = self.gaps[self.affected(from, to)].iter().filter(|gap| gap.due() != Due::Nothing);
        gaps.map(|gap| gap.to.min(to).0.saturating_sub(gap.from.max(from).0) as i64).sum()
    }

    /// From where on nothing but gaps is booked up to `at`.
    pub(super) fn silent_since(&self, at: i64) -> i64 {
        let before = self.gaps.partition_point(|gap| gap.from < ticks(at));
        let gaps = self.gaps[..before].iter().rev();
        gaps.fold(ticks(at), |since, gap| if gap.to >= since { gap.from.min(since) } else { since }).0 as i64
    }

    /// Books sound, or a pause that the sender made by DTX.
    pub(super) fn sound(&mut self, length: i64) {
        self.recorded += length;
    }

    /// Books the gap `from..to`. Gaps come in order.
    pub(super) fn gap(&mut self, from: i64, to: i64, cause: Cause, due: Due) {
        self.count(due, to - from);
        let before = self.gaps.len();
        join(&mut self.gaps, Stretch { from: ticks(from), to: ticks(to), cause, due: Some(due) });
        if before >= MAX_GAPS && self.gaps.len() > before {
            self.gaps.truncate(before);
            self.omitted += 1;
        }
    }

    /// What was booked in `from..to` for one of the causes in `taken_for` has another one, and another meaning.
    pub(super) fn correct(&mut self, from: i64, to: i64, taken_for: &[Cause], cause: Cause, due: Due) {
        self.rewrite(from, to, |stretch| taken_for.contains(&stretch.cause).then_some((cause, due)));
    }

    /// What was booked in `from..to` for one of the causes in `taken_for` has another one, and the same meaning.
    pub(super) fn rename(&mut self, from: i64, to: i64, taken_for: &[Cause], cause: Cause) {
        self.rewrite(from, to, |stretch| taken_for.contains(&stretch.cause).then(|| (cause, stretch.due())));
    }

    /// What was booked as sound in `from..to` could not be kept and is missing; what was a gap stays that gap. Past [`MAX_GAPS`]
    /// gaps that are not listed count as sound here.
    pub(super) fn lose(&mut self, from: i64, to: i64, cause: Cause) {
        let (mut at, to) = (ticks(from), ticks(to));
        let range = self.affected(at, to);
        let (mut parts, mut lost) = (Vec::with_capacity(2 * range.len() + 1), Ticks::ZERO);
        let mut lose = |parts: &mut Vec<Stretch>, from: Ticks, to: Ticks| {
            if from < to {
                join(parts, Stretch { from, to, cause, due: Some(Due::Missing) });
                lost += to - from;
            }
        };
        for gap in &self.gaps[range.clone()] {
            lose(&mut parts, at, gap.from.min(to));
            join(&mut parts, gap.clone());
            at = at.max(gap.to);
        }
        lose(&mut parts, at, to);
        let lost = (lost.0 as i64).min(self.recorded);
        self.recorded -= lost;
        self.missing += lost;
        self.replace(range, parts);
    }

    /// Packets of this coding were made to Opus.
    pub(super) fn transcoded(&mut self, coding: Coding) {
        self.transcoded.insert(coding);
    }

    /// What was lost in `from..to` is in the mix, decoded from the packet behind it.
    pub(super) fn recovered(&mut self, from: i64, to: i64) {
        self.correct(from, to, &[Cause::NetworkLoss], Cause::RecoveredFec, Due::Concealed);
    }

    /// How much of `from..to` is booked for a cause.
    pub(super) fn length_of(&self, from: i64, to: i64, cause: Cause) -> i64 {
        let (from, to) = (ticks(from), ticks(to));
        let gaps = self.gaps[self.affected(from, to)].iter().filter(|gap| gap.cause == cause);
        gaps.map(|gap| gap.to.min(to).0.saturating_sub(gap.from.max(from).0) as i64).sum()
    }

    /// The entry as it stands. In the stretches of `adopted`, which are in order and apart from each other, what is missing for
    /// want of a journal counts as recorded.
    pub(super) fn entry(&self, uid: &Uid, source: Option<SourceId>, adopted: &[(i64, i64)]) -> TrackLedger {
        let (mut recorded, mut concealed, mut missing) = (self.recorded, self.concealed, self.missing);
        let mut gaps: Vec<Gap> = Vec::with_capacity(self.gaps.len());
        let mut list = |from: Ticks, to: Ticks, cause| match gaps.last_mut() {
            Some(last) if last.to == from && last.cause == cause => last.to = to,
            _ => gaps.push(Gap { from, to, cause }),
        };
        for stretch in &self.gaps {
            let (mut at, due) = (stretch.from, stretch.due());
            if stretch.cause.is_of_a_poor_journal() && due != Due::Nothing {
                for (from, to) in adopted {
                    let (from, to) = (ticks(*from).max(at), ticks(*to).min(stretch.to));
                    if from >= to {
                        continue;
                    }
                    if at < from {
                        list(at, from, stretch.cause);
                    }
                    list(from, to, Cause::Adopted);
                    let length = (to - from).0 as i64;
                    recorded += length;
                    *(if due == Due::Concealed { &mut concealed } else { &mut missing }) -= length;
                    at = to;
                }
            }
            if at < stretch.to || stretch.from == stretch.to {
                list(at, stretch.to, stretch.cause);
            }
        }
        let (recorded_ms, concealed_ms, missing_ms) =
            (ticks(recorded).as_ms(), ticks(concealed).as_ms(), ticks(missing).as_ms());
        TrackLedger {
            uid: uid.clone(),
            expected_ms: recorded_ms + concealed_ms + missing_ms,
            recorded_ms,
            concealed_ms,
            missing_ms,
            gaps,
            gaps_omitted: self.omitted,
            packets: self.packets,
            samples: self.samples,
            transcoded_from: self.transcoded.clone(),
            overlaid_ms: self.overlaid.iter().map(|(cause, length)| (*cause, ticks(*length).as_ms())).collect(),
            source,
        }
    }

    /// Gives what is booked in `from..to` the cause and meaning that `change` says, if it says one.
    fn rewrite(&mut self, from: i64, to: i64, change: impl Fn(&Stretch) -> Option<(Cause, Due)>) {
        let (from, to) = (ticks(from), ticks(to));
        let range = self.affected(from, to);
        let mut parts = Vec::with_capacity(range.len() + 2);
        for index in range.clone() {
            let gap = self.gaps[index].clone();
            let (start, stop) = (gap.from.max(from), gap.to.min(to));
            let Some((cause, due)) = change(&gap).filter(|_| start < stop) else {
                join(&mut parts, gap);
                continue;
            };
            let length = (stop - start).0 as i64;
            self.count(gap.due(), -length);
            self.count(due, length);
            let middle = Stretch { from: start, to: stop, cause, due: Some(due) };
            let rest = [Stretch { to: start, ..gap.clone() }, middle, Stretch { from: stop, ..gap }];
            rest.into_iter().filter(|part| part.from < part.to).for_each(|part| join(&mut parts, part));
        }
        self.replace(range, parts);
    }

    /// The stretches that may touch `from..to`.
    fn affected(&self, from: Ticks, to: Ticks) -> Range<usize> {
        let first = self.gaps.partition_point(|gap| gap.to <= from).saturating_sub(1);
        let end = (self.gaps.partition_point(|gap| gap.from < to) + 1).min(self.gaps.len());
        first.min(end)..end
    }

    /// So much more, or less, is booked with this meaning.
    fn count(&mut self, due: Due, length: i64) {
        match due {
            Due::Nothing => {}
            Due::Concealed => self.concealed += length,
            // What format 1 wrote may have been concealed and not missing.
            Due::Missing => self.missing = (self.missing + length).max(0),
        }
    }

    /// Puts `parts` in the place of the stretches in `range`.
    fn replace(&mut self, range: Range<usize>, parts: Vec<Stretch>) {
        self.gaps.splice(range, parts);
        self.omitted += self.gaps.len().saturating_sub(MAX_GAPS) as u64;
        self.gaps.truncate(MAX_GAPS);
    }
}

/// Appends a stretch, as a part of the last one where the two are one.
fn join(gaps: &mut Vec<Stretch>, gap: Stretch) {
    match gaps.last_mut() {
        Some(last) if last.to == gap.from && last.cause == gap.cause && last.due == gap.due => last.to = gap.to,
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

    fn gaps(ledger_builder: &LedgerBuilder) -> Vec<(u64, u64, Cause)> {
        let entry = ledger_builder.entry(&Uid::new("1").unwrap(), None, &[]);
        entry.gaps.iter().map(|gap| (gap.from.0, gap.to.0, gap.cause)).collect()
    }

    #[test]
    fn neighbours_with_one_cause_are_one_gap() {
        let mut ledger_builder = LedgerBuilder::default();
        ledger_builder.gap(0, 960, Cause::Left, Due::Nothing);
        ledger_builder.gap(960, 1_920, Cause::Left, Due::Nothing);
        ledger_builder.gap(1_920, 2_880, Cause::NetworkLoss, Due::Concealed);
        ledger_builder.gap(3_840, 4_800, Cause::NetworkLoss, Due::Missing);
        assert_eq!(
            gaps(&ledger_builder),
            [(0, 1_920, Cause::Left), (1_920, 2_880, Cause::NetworkLoss), (3_840, 4_800, Cause::NetworkLoss)]
        );
        let entry = ledger_builder.entry(&Uid::new("1").unwrap(), None, &[]);
        assert_eq!((entry.expected_ms, entry.concealed_ms, entry.missing_ms), (40, 20, 20));
    }

    #[test]
    fn a_stall_that_was_a_loss_is_corrected_in_its_place() {
        let mut ledger_builder = LedgerBuilder::default();
        ledger_builder.gap(0, 9_600, Cause::SenderStall, Due::Nothing);
        ledger_builder.gap(9_600, 19_200, Cause::Muted, Due::Nothing);
        ledger_builder.gap(19_200, 28_800, Cause::SenderStall, Due::Nothing);
        for from in [4_800, 5_760] {
            ledger_builder.correct(from, from + 960, STALL, Cause::Late, Due::Missing);
        }
        ledger_builder.correct(8_640, 48_000, STALL, Cause::WorkerRestart, Due::Missing);
        assert_eq!(
            gaps(&ledger_builder),
            [
                (0, 4_800, Cause::SenderStall),
                (4_800, 6_720, Cause::Late),
                (6_720, 8_640, Cause::SenderStall),
                (8_640, 9_600, Cause::WorkerRestart),
                (9_600, 19_200, Cause::Muted),
                (19_200, 28_800, Cause::WorkerRestart),
            ]
        );
        assert_eq!(ledger_builder.missing, 1_920 + 960 + 9_600);
    }

    #[test]
    fn only_what_was_sound_can_be_lost_and_only_once() {
        let mut ledger_builder = LedgerBuilder::default();
        ledger_builder.sound(9_600);
        ledger_builder.gap(9_600, 10_560, Cause::NetworkLoss, Due::Concealed);
        ledger_builder.sound(8_640);
        ledger_builder.gap(19_200, 28_800, Cause::Muted, Due::Nothing);
        ledger_builder.lose(4_800, 14_400, Cause::DiskFull);
        ledger_builder.lose(0, 9_600, Cause::DiskFull);
        ledger_builder.lose(14_400, 24_000, Cause::DiskFull);
        ledger_builder.lose(20_000, 24_000, Cause::DiskFull);
        assert_eq!(
            gaps(&ledger_builder),
            [
                (0, 9_600, Cause::DiskFull),
                (9_600, 10_560, Cause::NetworkLoss),
                (10_560, 19_200, Cause::DiskFull),
                (19_200, 28_800, Cause::Muted),
            ]
        );
        assert_eq!((ledger_builder.recorded, ledger_builder.concealed, ledger_builder.missing), (0, 960, 18_240));
    }

    #[test]
    fn past_the_limit_gaps_are_counted_not_listed() {
        let mut ledger_builder = LedgerBuilder::default();
        for gap in 0..MAX_GAPS as i64 + 5 {
            ledger_builder.gap(gap * 1_920, gap * 1_920 + 960, Cause::NetworkLoss, Due::Missing);
        }
        assert_eq!((ledger_builder.gaps.len(), ledger_builder.omitted), (MAX_GAPS, 5));
        assert_eq!(ledger_builder.missing, (MAX_GAPS as i64 + 5) * 960);
        ledger_builder.sound(2_880);
        ledger_builder.lose(960, 3_840, Cause::DiskFull);
        assert_eq!((ledger_builder.gaps.len(), ledger_builder.omitted), (MAX_GAPS, 7));
    }

    #[test]
    fn a_meaning_can_be_taken_back_to_the_tick() {
        let mut ledger_builder = LedgerBuilder::default();
        ledger_builder.gap(0, 960, Cause::NetworkLoss, Due::Concealed);
        ledger_builder.gap(960, 4_800, Cause::NetworkLoss, Due::Missing);
        ledger_builder.gap(4_800, 9_600, Cause::Unknown, Due::Missing);
        assert_eq!(gaps(&ledger_builder).len(), 2, "parts of one cause are one gap outside");
        ledger_builder.rename(480, 2_000, &[Cause::NetworkLoss], Cause::Overload);
        assert_eq!((ledger_builder.concealed, ledger_builder.missing), (960, 3_840 + 4_800));
        ledger_builder.correct(5_000, 9_000, &[Cause::Unknown], Cause::SenderStall, Due::Nothing);
        assert_eq!((ledger_builder.concealed, ledger_builder.missing), (960, 3_840 + 800));
        assert_eq!(
            gaps(&ledger_builder)[..3],
            [(0, 480, Cause::NetworkLoss), (480, 2_000, Cause::Overload), (2_000, 4_800, Cause::NetworkLoss)]
        );
    }

    #[test]
    fn what_was_adopted_counts_as_recorded_where_a_poor_journal_is_why_it_is_missing() {
        let mut ledger_builder = LedgerBuilder::default();
        ledger_builder.sound(9_600);
        ledger_builder.gap(9_600, 19_200, Cause::NetworkLoss, Due::Missing);
        ledger_builder.gap(19_200, 28_800, Cause::WorkerRestart, Due::Missing);
        ledger_builder.gap(28_800, 33_600, Cause::WorkerRestart, Due::Nothing);
        let entry = ledger_builder.entry(&Uid::new("1").unwrap(), None, &[(4_800, 12_000), (24_000, 33_600)]);
        assert_eq!((entry.expected_ms, entry.recorded_ms, entry.missing_ms), (600, 300, 300));
        let listed: Vec<_> = entry.gaps.iter().map(|gap| (gap.from.0, gap.to.0, gap.cause)).collect();
        assert_eq!(
            listed,
            [
                (9_600, 19_200, Cause::NetworkLoss),
                (19_200, 24_000, Cause::WorkerRestart),
                (24_000, 28_800, Cause::Adopted),
                (28_800, 33_600, Cause::WorkerRestart),
            ]
        );
    }
}
