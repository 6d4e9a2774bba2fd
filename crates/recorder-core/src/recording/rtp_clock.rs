//! Where on the wall timeline a packet belongs.
//!
//! Place = RTP time + the [`Baseline`], the smallest lag. Three things can change the lag, and the packets that follow within
//! [`WINDOW`] tell them apart, which is why a packet is judged that long after it arrived (at the latest):
//! * The sender's RTP clock stood still or jumped back: the lag of *all* packets that follow is larger. The stream is anchored
//!   anew at the smallest lag within the window, and the hole shows.
//! * The network held packets back (outage and burst, congestion): *some* packet within the window, or within ten seconds when
//!   the delay swelled slowly, is back at the old lag. Nothing moves.
//! * The RTP clock jumped ahead, or the baseline had only ever seen a congested path: the lag is smaller than the network could
//!   make it. Anchored anew at once, unless it is a stray: one of the next [`CONFIRMATIONS`] packets is back at the old lag.
//!
//! Where a stream begins, or begins anew, the first packets may have stood in a queue: they are late and the delay falls. While it
//! falls the judgement waits, up to [`LONGEST_WINDOW`], so that all are placed by the smallest lag of their stretch, and up to
//! [`LATEST_FIRST`] before the first arrived nothing is written meanwhile.
//!
//! A server that goes on with a stream after a pause gives its first packet an RTP time by its arrival. If that one stood in a queue, the
//! lags of those that follow, whose RTP times go on without a break, fall below the usual one, by no more than the pause was long: all
//! of them lie by the smallest.
//!
//! Steps of less than [`STEP`] are left to the baseline's slow way.

use std::collections::VecDeque;

use super::baseline::Baseline;
use super::stream::Queued;
use crate::units::Ticks;

/// How long after its arrival a packet's place may stay undecided.
pub(super) const WINDOW: i64 = Ticks::from_ms(1_500).0 as i64;

/// How long it may stay undecided while the delay falls.
pub(super) const LONGEST_WINDOW: i64 = Ticks::from_ms(2_500).0 as i64;

/// A delay that did not fall in so long does not fall.
pub(super) const SETTLED: i64 = Ticks::from_ms(500).0 as i64;

/// A smallest lag that is less than this below the one before is not falling.
const STEADY: i64 = Ticks::from_ms(20).0 as i64;

/// How late the first packet of a stretch may be for all of it to be placed.
pub(super) const LATEST_FIRST: i64 = Ticks::from_secs(1).0 as i64;

/// A pause that is longer is none of DTX, which sends every 400 ms.
const LONGEST_DTX: i64 = Ticks::from_ms(500).0 as i64;

/// A change of lag that is a change of clock and not jitter.
pub(super) const STEP: i64 = Ticks::from_ms(100).0 as i64;

/// A change of lag that is a change of clock even if it came slowly.
const FAR: i64 = Ticks::from_ms(500).0 as i64;

/// Longest delay of a packet that is taken for the network's doing.
pub(super) const LONGEST_DELAY: i64 = Ticks::from_secs(3).0 as i64;

/// How many packets after one from the future must be there too for it to be believed.
const CONFIRMATIONS: usize = 3;

/// The first packet with sound that waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Head {
    /// None waits.
    Empty,
    /// More has to be known. It will not be placed before `earliest`.
    Undecided {
        /// Lower bound of its place, if its clock runs on.
        earliest: i64,
        /// And if it does not.
        resync: i64,
    },
    /// What waits gives no sound, or has a time that is a stray: skip it and go on.
    Skip,
    /// It belongs here.
    Ready(Placement),
}

/// Where a packet belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Placement {
    /// The tick of its first sample.
    pub(super) at: i64,
    /// The sender's clock did not run on from the packet before (or there is none).
    pub(super) resync: bool,
}

/// What is to be done with the first packet, when everything that arrived before `now` has been offered; the packet before it arrived at
/// `before`. `last_word`: nothing will arrive any more.
pub(super) fn estimate(
    queue: &VecDeque<Queued>,
    baseline: &Baseline,
    before: Option<i64>,
    now: i64,
    last_word: bool,
) -> Head {
    let Some(head) = queue.iter().find(|queued| queued.duration > 0) else {
        let stale = queue.front().is_some_and(|queued| last_word || now >= queued.arrival + LONGEST_DELAY);
        return if stale { Head::Skip } else { Head::Empty };
    };
    let until = window(queue, head);
    let known = last_word || now >= until;
    let begins = head.arrival - LATEST_FIRST;
    let lag = head.lag();
    let Some(usual) = baseline.floor(head.arrival).or_else(|| baseline.recent()) else {
        let least = smallest(queue, head, until, lag - LONGEST_DELAY);
        return if known { resync(head, least) } else { Head::Undecided { earliest: begins, resync: begins } };
    };
    let undecided = Head::Undecided { earliest: begins, resync: begins };
    let in_time = (usual - STEP..=usual + STEP).contains(&lag);
    if let Some(pause) = before.map(|before| head.arrival - before).filter(|pause| in_time && *pause > LONGEST_DTX) {
        if !last_word && now < head.arrival + LATEST_FIRST {
            return undecided;
        }
        let least = smallest_of_run(queue, head, until);
        if least < usual - STEADY && lag - least <= pause {
            return if known { resync(head, least) } else { undecided };
        }
    }
    if lag < usual - STEP {
        return from_the_future(queue, head, until, usual, known);
    }
    let least = smallest(queue, head, until, usual - STEP);
    let recent = baseline.recent().unwrap_or(usual);
    let stepped = least - usual > STEP && (least - recent > STEP || least - usual > FAR);
    if !stepped {
        let lag = baseline.floor(head.arrival).map_or(least, |floor| floor.min(least));
        Head::Ready(Placement { at: head.media + lag, resync: false })
    } else if known {
        resync(head, least)
    } else {
        Head::Undecided { earliest: head.media + usual, resync: begins }
    }
}

/// When the packets that tell where `head` belongs have arrived.
fn window(queue: &VecDeque<Queued>, head: &Queued) -> i64 {
    let settles = head.arrival + WINDOW - SETTLED;
    let lags = |from: i64, to: i64| {
        let sounds = queue.iter().filter(move |queued| queued.duration > 0 && (from..to).contains(&queued.arrival));
        sounds.map(Queued::lag).min()
    };
    let before = lags(i64::MIN, settles).unwrap_or_else(|| head.lag());
    let falls =
        lags(settles, head.arrival + WINDOW).is_some_and(|lag| lag < before - STEADY && lag > before - LONGEST_DELAY);
    head.arrival + if falls { LONGEST_WINDOW } else { WINDOW }
}

/// A packet that arrived earlier than the network can make it, against the `usual` lag.
fn from_the_future(queue: &VecDeque<Queued>, head: &Queued, until: i64, usual: i64, known: bool) -> Head {
    let mut witnesses = 0;
    for next in queue.iter().filter(|next| next.duration > 0).skip(1).take(CONFIRMATIONS) {
        if next.lag() >= usual - STEP {
            return Head::Skip;
        }
        witnesses += 1;
    }
    if known || witnesses == CONFIRMATIONS {
        resync(head, smallest(queue, head, until, head.lag() - LONGEST_DELAY))
    } else {
        let earliest = head.media + head.lag().min(usual);
        Head::Undecided { earliest, resync: earliest }
    }
}

/// The smallest lag among the packets from `head` on that arrived `until` the end of its window, up to the first below `limit`.
fn smallest(queue: &VecDeque<Queued>, head: &Queued, until: i64, limit: i64) -> i64 {
    queue
        .iter()
        .filter(|queued| queued.duration > 0 && queued.arrival <= until)
        .map(Queued::lag)
        .take_while(|lag| *lag >= limit)
        .min()
        .unwrap_or_else(|| head.lag())
}

/// The smallest lag among the packets from `head` on that arrived `until` the end of its window and whose RTP times go on without a break.
fn smallest_of_run(queue: &VecDeque<Queued>, head: &Queued, until: i64) -> i64 {
    let (mut end, mut least) = (head.media, head.lag());
    for queued in queue.iter().filter(|queued| queued.duration > 0 && queued.arrival <= until) {
        if queued.media != end {
            break;
        }
        (end, least) = (queued.media + queued.duration, least.min(queued.lag()));
    }
    least
}

fn resync(head: &Queued, lag: i64) -> Head {
    Head::Ready(Placement { at: head.media + lag, resync: true })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: i64 = 48;

    fn packet(sequence: i64, time: i64, arrival: i64) -> Queued {
        let payload = bytes::Bytes::from_static(&[0x78, 1, 2]);
        Queued { sequence, time, arrival, level: None, payload, duration: 960, malformed: false, media: time }
    }

    /// Ten seconds with a lag of 0, then packets every 20 ms whose RTP times and lags are given in ms, `from` 10 s on.
    fn head(lags: &[(i64, i64)], now_ms: i64) -> Head {
        let mut baseline = Baseline::default();
        (0..500).for_each(|n| baseline.add(n * 960, 0));
        let packets = lags.iter().enumerate();
        let queue = packets.map(|(n, (time, lag))| packet(n as i64, time * MS, (time + lag) * MS)).collect();
        estimate(&queue, &baseline, None, now_ms * MS, false)
    }

    fn ready(at_ms: i64, resync: bool) -> Head {
        Head::Ready(Placement { at: at_ms * MS, resync })
    }

    #[test]
    fn jitter_moves_nothing() {
        assert_eq!(head(&[(10_000, 70)], 10_080), ready(10_000, false));
        assert_eq!(head(&[(10_000, 70), (10_020, 0)], 10_080), ready(10_000, false));
    }

    #[test]
    fn a_clock_that_stood_still_is_known_after_the_window() {
        let still: Vec<(i64, i64)> = (0..50).map(|n| (10_000 + 20 * n, 3_000 + n % 7)).collect();
        assert_eq!(head(&still, 13_500), Head::Undecided { earliest: 10_000 * MS, resync: 12_000 * MS });
        assert_eq!(head(&still, 14_500), ready(13_000, true));
    }

    #[test]
    fn a_burst_is_known_when_it_has_caught_up() {
        let burst: Vec<(i64, i64)> = (0..50).map(|n| (10_000 + 20 * n, 980 - 20 * n)).collect();
        assert_eq!(head(&burst, 10_990), ready(10_000, false));
        let undecided = Head::Undecided { earliest: 10_000 * MS, resync: 9_980 * MS };
        assert_eq!(head(&burst[..20], 10_990), undecided, "not caught up yet");
    }

    #[test]
    fn a_clock_that_jumped_ahead_needs_witnesses() {
        let ahead = [(70_000, -60_000), (70_020, -60_000), (70_040, -59_990), (70_060, -60_000)];
        assert_eq!(head(&ahead, 10_100), ready(10_000, true));
        assert!(matches!(head(&ahead[..2], 10_100), Head::Undecided { .. }));
        assert_eq!(head(&ahead[..2], 11_600), ready(10_000, true), "nobody spoke against it");
        assert_eq!(head(&[ahead[0], (10_020, 0)], 10_100), Head::Skip, "a stray");
    }

    #[test]
    fn a_stray_that_follows_does_not_drag_others_along() {
        assert_eq!(head(&[(10_000, 5), (70_020, -60_000), (10_040, 5)], 10_100), ready(10_000, false));
    }

    #[test]
    fn what_gives_no_sound_waits_for_its_forerunners_and_then_goes() {
        let mut padding = packet(0, 0, 0);
        padding.duration = 0;
        let queue = VecDeque::from([padding]);
        assert_eq!(estimate(&queue, &Baseline::default(), None, LONGEST_DELAY - 1, false), Head::Empty);
        assert_eq!(estimate(&queue, &Baseline::default(), None, LONGEST_DELAY, false), Head::Skip);
    }
}
