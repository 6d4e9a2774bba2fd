//! Does a ledger add up when the recording is over? The same checks for the worker that made it and for `verify`, which reads it back.
//!
//! For every uid: expected is recorded, concealed and missing; each packet and each sample has one fate; its gaps are in order and inside
//! the recording; recorded sound and gaps together are as long as the recording; what is missing has gaps that can lose sound. Sound
//! that nobody's is must say when it came. Times in milliseconds, as the ledger tells them, gaps in ticks.

use super::{Cause, Gap, Ledger, TrackLedger, Unattributed};
use crate::units::Ticks;

/// How far sound and gaps together may be from the duration: a frame at the end, and what is lost in writing milliseconds.
const SLACK_MS: u64 = 25;

impl Ledger {
    /// What is wrong with it, in words; nothing if it adds up. `length` is the recording's, where it is known.
    pub fn audit(&self, length: Option<Ticks>) -> Vec<String> {
        let of_uid = |uid: &TrackLedger| {
            let source = uid.source.map(|source| format!(" ({source})")).unwrap_or_default();
            let name = format!("{}{source}", uid.uid);
            complaints(uid, length).into_iter().map(move |what| format!("the ledger of uid {name}: {what}"))
        };
        let nobodys = self.unattributed.iter().flat_map(nobodys);
        let nobodys = nobodys.map(|what| format!("what came from unknown sources: {what}"));
        self.uids.iter().flat_map(of_uid).chain(nobodys).collect()
    }
}

fn complaints(uid: &TrackLedger, duration: Option<Ticks>) -> Vec<String> {
    let mut said = Vec::new();
    let TrackLedger { expected_ms, recorded_ms, concealed_ms, missing_ms, .. } = uid;
    let sum = [recorded_ms, concealed_ms, missing_ms].into_iter().fold(0, |sum: u64, part| sum.saturating_add(*part));
    if sum != *expected_ms {
        said.push(format!(
            "it does not add up: {expected_ms} ms expected, but recorded {recorded_ms}, concealed {concealed_ms} and missing \
             {missing_ms} are {sum} ms"
        ));
    }
    said.extend(disorder(&uid.gaps));
    // What an older recorder wrote has no account of the sound in the packets, and does not count padding.
    for (counts, what) in
        [(&uid.packets, "packets"), (&uid.samples, "samples")].iter().filter(|_| uid.samples.received > 0)
    {
        if counts.fates() != counts.received {
            said.push(format!(
                "{} {what} were received, but the fates of {} are told",
                counts.received,
                counts.fates()
            ));
        }
    }
    let Some(duration) = duration else { return said };
    let end = duration + Ticks::from_ms(SLACK_MS);
    if let Some(past) = uid.gaps.iter().find(|gap| gap.to > end) {
        let (is, end) = (past.to.as_secs_f64(), duration.as_secs_f64());
        said.push(format!("a gap goes on to {is:.3} s, past the recording's end at {end:.3} s"));
    }
    if uid.gaps_omitted == 0 && said.is_empty() {
        // Sound that was kept as the bucket held it is recorded and listed.
        let silent = || uid.gaps.iter().filter(|gap| gap.cause != Cause::Adopted);
        if silent().next().is_none() && !uid.gaps.is_empty() {
            return said; // Nothing but what the bucket held is known of it.
        }
        let gaps: u64 = silent().map(|gap| (gap.to - gap.from).0).sum();
        let (gaps, duration) = (Ticks(gaps).as_ms(), duration.as_ms());
        if (recorded_ms + gaps).abs_diff(duration) > SLACK_MS {
            said.push(format!("{recorded_ms} ms of sound and {gaps} ms of gaps are not the recording's {duration} ms"));
        }
        let losing: u64 = uid.gaps.iter().filter(|gap| gap.cause.loses()).map(|gap| (gap.to - gap.from).0).sum();
        let overlaid: u64 = uid.overlaid_ms.values().sum();
        let losing = Ticks(losing).as_ms() + overlaid;
        if missing_ms + concealed_ms > losing + 1 {
            said.push(format!(
                "{concealed_ms} ms are concealed and {missing_ms} ms missing, but the gaps that can lose sound are only {losing} ms"
            ));
        }
    }
    said
}

/// What is wrong with the entry of sound that is nobody's.
fn nobodys(lost: &Unattributed) -> Vec<String> {
    let mut said: Vec<String> = disorder(&lost.gaps).into_iter().collect();
    let missing = lost.gaps.iter().any(|gap| gap.cause != Cause::Adopted) || lost.gaps_omitted > 0;
    if lost.missing_ms > 0 && !missing {
        said.push(format!("{} ms are missing, but no gap says when they came", lost.missing_ms));
    }
    // What nobody heard has no packets.
    if lost.packets == 0 && lost.gaps.iter().any(|gap| gap.cause == Cause::UnknownSource) {
        said.push("sound is missing, but no packet came".to_owned());
    }
    said
}

/// The first place where gaps are not in order.
fn disorder(gaps: &[Gap]) -> Option<String> {
    if let Some(gap) = gaps.iter().find(|gap| gap.to < gap.from) {
        return Some(format!("a gap ends at {} before it begins at {}", seconds(gap.to), seconds(gap.from)));
    }
    let pair = gaps.windows(2).find(|pair| pair[1].from < pair[0].to)?;
    let (next, last) = (seconds(pair[1].from), seconds(pair[0].to));
    Some(format!("its gaps are not in order: one begins at {next}, the one before it ends at {last}"))
}

fn seconds(at: Ticks) -> String {
    format!("{:.3} s", at.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recording::PacketCounts;
    use crate::units::Uid;

    fn uid(parts: [u64; 4], gaps: &[(u64, u64, Cause)]) -> TrackLedger {
        let gap = |(from, to, cause): &(u64, u64, Cause)| Gap {
            from: Ticks::from_ms(*from),
            to: Ticks::from_ms(*to),
            cause: *cause,
        };
        TrackLedger {
            uid: Uid::new("7").unwrap(),
            expected_ms: parts[0],
            recorded_ms: parts[1],
            concealed_ms: parts[2],
            missing_ms: parts[3],
            gaps: gaps.iter().map(gap).collect(),
            gaps_omitted: 0,
            packets: PacketCounts::default(),
            samples: PacketCounts::default(),
            overlaid_ms: Default::default(),
            source: None,
            transcoded_from: Default::default(),
        }
    }

    fn said(uid: &TrackLedger) -> String {
        complaints(uid, Some(Ticks::from_secs(10))).join("; ")
    }

    #[test]
    fn a_ledger_that_adds_up_is_left_alone() {
        let gaps = [(0, 4_000, Cause::Left), (5_000, 5_300, Cause::NetworkLoss), (5_300, 5_300, Cause::ClockDrift)];
        assert_eq!(said(&uid([6_000, 5_700, 100, 200], &gaps)), "");
    }

    #[test]
    fn each_packet_has_one_fate() {
        let mut whole = uid([10_000, 10_000, 0, 0], &[]);
        whole.packets = PacketCounts { received: 501, placed: 500, padding: 1, ..PacketCounts::default() };
        whole.samples = PacketCounts { received: 480_000, placed: 480_000, ..PacketCounts::default() };
        assert_eq!(said(&whole), "");
        whole.samples.late = 960;
        assert!(said(&whole).contains("480000 samples were received, but the fates of 480960"), "{}", said(&whole));
    }

    #[test]
    fn what_was_adopted_is_recorded_and_listed() {
        let gaps = [(0, 4_000, Cause::Left), (5_000, 7_000, Cause::Adopted)];
        assert_eq!(said(&uid([6_000, 6_000, 0, 0], &gaps)), "");
        assert_eq!(said(&uid([2_000, 2_000, 0, 0], &gaps[1..])), "", "of whom nothing else is known");
        assert_ne!(said(&uid([4_000, 4_000, 0, 0], &gaps)), "");
    }

    #[test]
    fn what_nobody_sent_says_when_it_came() {
        let gap = Gap { from: Ticks::ZERO, to: Ticks::from_ms(500), cause: Cause::UnknownSource };
        let whole = Unattributed { packets: 20, missing_ms: 400, gaps: vec![gap], gaps_omitted: 0 };
        assert_eq!(nobodys(&whole), Vec::<String>::new());
        assert!(nobodys(&Unattributed { gaps: vec![], ..whole.clone() })[0].contains("no gap says when"));
        assert!(nobodys(&Unattributed { packets: 0, ..whole.clone() })[0].contains("no packet came"));
        let unheard = Gap { from: Ticks::ZERO, to: Ticks::from_ms(500), cause: Cause::WorkerRestart };
        let unheard = Unattributed { packets: 0, missing_ms: 500, gaps: vec![unheard], gaps_omitted: 0 };
        assert_eq!(nobodys(&unheard), Vec::<String>::new());
    }

    #[test]
    fn what_does_not_add_up_is_named() {
        let whole = [10_000, 10_000, 0, 0];
        for (uid, what) in [
            (uid([9_000, 10_000, 0, 0], &[]), "does not add up: 9000 ms expected"),
            (uid(whole, &[(2_000, 1_000, Cause::Left)]), "ends at 1.000 s before it begins at 2.000 s"),
            (uid(whole, &[(1_000, 3_000, Cause::Left), (2_000, 4_000, Cause::Muted)]), "are not in order"),
            (uid(whole, &[(9_000, 11_000, Cause::Left)]), "goes on to 11.000 s, past the recording's end at 10.000 s"),
            (uid(whole, &[(0, 1_000, Cause::Left)]), "10000 ms of sound and 1000 ms of gaps"),
            (
                uid([10_000, 9_000, 0, 1_000], &[(0, 1_000, Cause::Muted)]),
                "1000 ms missing, but the gaps that can lose sound are only 0 ms",
            ),
        ] {
            assert!(said(&uid).contains(what), "{what}: {}", said(&uid));
        }
    }
}
