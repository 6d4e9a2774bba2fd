//! Whatever senders and networks do: each packet has one fate, in packets and in samples; what is expected is what was recorded, concealed
//! and missing; and what was sent and is not there is missing, no more and no less than the clocks' inexactness allows.
//!
//! `FATE_CASES` is the number of stories; 2,000 unless it is set.

use cloud_recorder::recording::{Cause, Mode, TrackLedger};
use proptest::prelude::*;

use crate::any_story_holds::check_ledger;
use crate::crash::by_cause;
use crate::stories::{Act, act, network, play};
use crate::world::{FRAME, MS, SECOND, Sent, Story, Talker, spec};

fn cases() -> u32 {
    std::env::var("FATE_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(2_000)
}

fn told(story: &Story, end: u64) -> TrackLedger {
    let recording = story.record(spec(Mode::Individual), end);
    check_ledger(&recording, end);
    recording.account("7").clone()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn sums_are_exact_and_nothing_is_hidden_or_made_up(
        acts in proptest::collection::vec((act(), 300..2_500_u64), 1..4),
        network in network(),
        delay in prop_oneof![4 => Just(0_u64), 1 => 0..4_000_u64],
    ) {
        let (story, sent, end) = play("7", 1, &acts, &network);
        let mut held = story.clone();
        // Everything of the last second is late by so much.
        let from = end.saturating_sub(4 * SECOND);
        held.delay_packets(from, delay * MS);
        let end = end + 5 * SECOND;
        let account = told(&held, end);
        let packets = account.packets;
        // What comes of a track that is gone already has no account.
        let gone = if delay > 0 && acts.iter().any(|(act, _)| matches!(act, Act::Rejoin)) { packets.received } else { 0 };
        prop_assert!(gone + packets.placed + packets.late + packets.left_out + packets.superseded + packets.malformed
            + packets.before_start + packets.after_end + packets.overflow >= sent.len() as u64 - packets.duplicate, "{packets:?}");

        // Of what reached the recorder, what is not there is missing with its cause.
        let lost_here = account.samples.late + account.samples.superseded + account.samples.overflow;
        let named: u64 = by_cause(&account).iter().filter(|(cause, _)| cause.loses()).map(|(_, ms)| ms).sum();
        let overlaid: u64 = account.overlaid_ms.values().sum();
        prop_assert!(named + overlaid + 20 >= lost_here / 48 * 9 / 10, "{account:?}");
        prop_assert!(account.missing_ms + account.concealed_ms <= named + overlaid + 2, "{account:?}");

        // A network that loses nothing, and clocks that do not jump: nothing is missing.
        let jumps = acts.iter().any(|(act, _)| matches!(act, Act::Jump(_) | Act::Rejoin));
        if network.loss_percent == 0 && delay == 0 && !jumps {
            prop_assert!(account.missing_ms + account.concealed_ms == 0, "{account:?}");
        }
    }
}

fn talk(sent: Vec<Sent>, end: u64) -> TrackLedger {
    let mut story = Story::default();
    story.joins(0, "7", 1).hears(sent);
    told(&story, end)
}

#[test]
fn a_copy_that_comes_after_its_original_was_placed_is_a_copy() {
    let mut sent = Talker::new(1, 7).talk(SECOND, 10 * SECOND);
    let copies: Vec<Sent> =
        sent[50..100].iter().cloned().map(|copy| Sent { arrival: copy.arrival + 4 * SECOND, ..copy }).collect();
    sent.extend(copies);
    let account = talk(sent, 11 * SECOND);
    assert_eq!((account.packets.duplicate, account.packets.late, account.missing_ms), (50, 0, 0), "{account:?}");
}

#[test]
fn what_comes_too_late_is_late_and_not_the_networks_loss() {
    let mut sent = Talker::new(1, 7).talk(SECOND, 20 * SECOND);
    sent[200..210].iter_mut().for_each(|sent| sent.arrival += 6 * SECOND);
    let account = talk(sent, 21 * SECOND);
    assert_eq!(account.packets.late, 10);
    let causes = by_cause(&account);
    assert_eq!((causes.get(&Cause::Late), causes.get(&Cause::NetworkLoss)), (Some(&200), None), "{causes:?}");
    assert_eq!(account.missing_ms + account.concealed_ms, 200);
}

#[test]
fn what_gives_way_to_a_newer_track_is_missing() {
    let (mut old, mut new) = (Talker::new(1, 7), Talker::new(2, 8));
    let mut story = Story::default();
    story.joins(0, "7", 1).joins(0, "7", 2);
    story.hears(old.talk(SECOND, 10 * SECOND)).hears(new.talk(4 * SECOND, 6 * SECOND));
    let account = told(&story, 11 * SECOND);
    let superseded = account.samples.superseded / 48;
    assert!(superseded.abs_diff(2_500) <= 40, "{account:?}");
    assert_eq!((account.overlaid_ms[&Cause::Superseded], account.missing_ms), (superseded, superseded));
}

#[test]
fn garbage_is_missing_as_such() {
    let mut talker = Talker::new(1, 7);
    let mut sent = talker.talk(SECOND, 3 * SECOND);
    sent.extend((0..10).map(|n| talker.send(3 * SECOND + n * FRAME, vec![0xFB, 0].into())));
    sent.extend(talker.talk(3 * SECOND + 10 * FRAME, 5 * SECOND));
    let account = talk(sent, 6 * SECOND);
    assert_eq!(by_cause(&account).get(&Cause::Malformed), Some(&200), "{account:?}");
    assert_eq!((account.missing_ms, account.concealed_ms), (100, 100));
}

#[test]
fn a_clock_that_is_much_too_fast_is_no_drift() {
    let mut talker = Talker::new(1, 7);
    talker.rate = 1.004;
    let account = talk(talker.talk(SECOND, 120 * SECOND), 121 * SECOND);
    let (left_out, placed) = (account.samples.left_out / 48, account.samples.placed / 48);
    assert!(left_out.abs_diff(476) <= 80, "{account:?}");
    assert!(account.overlaid_ms[&Cause::LeftOut].abs_diff(left_out - placed / 1_000 - 40) <= 20, "{account:?}");
    assert_eq!(account.missing_ms, account.overlaid_ms[&Cause::LeftOut]);
}
