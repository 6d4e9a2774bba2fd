//! A sequence that jumps back on one SSRC, by little or by much, with a clock that goes on or one that begins anew: nothing is lost.

use cloud_recorder::recording::Mode;

use crate::crash::gaps;
use crate::random_inputs::check_ledger;
use crate::world::{Dice, FRAME, InputStory, MS, SECOND, Sent, Talker, spec};

#[test]
fn nothing_is_lost_whatever_the_jump() {
    for back in [0, 1, 5, 50, 99, 100, 101, 300, 511, 512, 513, 5_000, 40_000] {
        for clock in [0.0, 40_000.0, -40_000.0] {
            let mut talker = Talker::new(1, 7);
            talker.sequence = 2_000;
            let mut sent = talker.talk(SECOND, 10 * SECOND);
            talker.sequence = talker.sequence.wrapping_sub(back + 1);
            talker.rtp = (talker.rtp + clock * SECOND as f64).rem_euclid(4_294_967_296.0);
            sent.extend(talker.talk(10 * SECOND, 20 * SECOND));
            let mut dice = Dice(u64::from(back));
            sent.iter_mut().for_each(|sent| sent.arrival += dice.below(15) * MS);
            let mut story = InputStory::default();
            story.joins(0, "7", 1).hears(sent.clone());
            let recording = story.record(spec(Mode::Individual), 21 * SECOND);
            check_ledger(&recording, 21 * SECOND);
            let account = recording.account("7");
            let what = format!("back by {back}, clock by {clock} s: {:?} {:?}", account.packets, gaps(account));
            assert_eq!(account.packets.placed as usize, sent.len(), "{what}");
            assert_eq!((account.missing_ms, account.concealed_ms), (0, 0), "{what}");
            recording.assert_all_in_place("7", &sent, 30 * MS);
        }
    }
}

/// What a sender may do at once: how far its sequence jumps back, and its clock, in seconds.
const CHANGES: [(u16, f64); 11] = [
    (0, -40_000.0),
    (0, -700.0),
    (0, -300.0),
    (0, -5.0),
    (0, 5.0),
    (0, 700.0),
    (0, 40_000.0),
    (100, 0.0),
    (100, 40_000.0),
    (500, -40_000.0),
    (5_000, 40_000.0),
];

#[test]
fn copies_of_packets_from_before_the_jump_are_copies() {
    for (back, clock) in CHANGES {
        for (count, later) in [(1, 200), (16, 200), (40, 200), (40, 5_000), (40, 60_000)] {
            let mut talker = Talker::new(1, 7);
            talker.sequence = 2_000;
            let mut sent = talker.talk(SECOND, 10 * SECOND);
            talker.sequence = talker.sequence.wrapping_sub(back);
            talker.rtp = (talker.rtp + clock * SECOND as f64).rem_euclid(4_294_967_296.0);
            let before = sent.len();
            sent.extend(talker.talk(10 * SECOND, 80 * SECOND));
            // All at once, as a network does that had lost its way; one of them was lost before.
            let echo = sent[before - count - 1..before - 1].to_vec();
            let arrival = 10 * SECOND + later * MS;
            let lost = sent.remove(before - count - 1);
            let mut story = InputStory::default();
            story.joins(0, "7", 1).hears(sent.clone()).hears(echo.into_iter().map(|sent| Sent { arrival, ..sent }));
            let recording = story.record(spec(Mode::Individual), 81 * SECOND);
            check_ledger(&recording, 81 * SECOND);
            let account = recording.account("7");
            let what = format!("back by {back}, clock by {clock} s, {count} after {later} ms: {:?}", account.packets);
            let in_time = later < 1_000;
            let late = u64::from(!in_time);
            if in_time {
                sent.push(lost);
            }
            assert_eq!(account.packets.placed as usize, sent.len(), "{what}");
            assert_eq!((account.packets.duplicate as usize, account.packets.late), (count - 1, late), "{what}");
            assert_eq!(account.missing_ms + account.concealed_ms, 20 * late, "{what}");
            recording.assert_all_in_place("7", &sent, 30 * MS);
        }
    }
}

#[test]
fn one_packet_with_an_absurd_number_harms_only_itself() {
    let mut talker = Talker::new(1, 7);
    talker.sequence = 2_000;
    let mut sent = talker.talk(SECOND, 10 * SECOND);
    sent[200].packet.sequence = sent[200].packet.sequence.wrapping_sub(60);
    let mut story = InputStory::default();
    story.joins(0, "7", 1).hears(sent.clone());
    let recording = story.record(spec(Mode::Individual), 11 * SECOND);
    check_ledger(&recording, 11 * SECOND);
    sent.remove(200);
    recording.assert_all_in_place("7", &sent, 30 * MS);
    let packets = recording.account("7").packets;
    assert_eq!((packets.placed as usize, packets.malformed), (sent.len(), 1), "{packets:?}");
    assert!(recording.account("7").recorded_ms.abs_diff(sent.len() as u64 * FRAME / MS) <= 20);
}
