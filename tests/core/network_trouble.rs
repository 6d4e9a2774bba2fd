//! Loss, reordering, copies, outages: what arrived is kept, what did not is named, nothing moves.

use cloud_recorder::recording::{Cause, Mode};

use crate::world::{Dice, FRAME, InputStory, MS, SECOND, Talker, spec};

#[test]
fn five_percent_loss_with_reordering_and_copies_moves_nothing() {
    let mut talker = Talker::new(1, 7);
    let mut dice = Dice(2);
    let all = talker.talk(SECOND, 120 * SECOND);
    let mut kept: Vec<_> = all.iter().filter(|_| dice.below(100) >= 5).cloned().collect();
    for packet in &mut kept {
        packet.arrival += dice.below(120) * MS;
    }
    let copies: Vec<_> = kept
        .iter()
        .step_by(7)
        .cloned()
        .map(|mut copy| {
            copy.arrival += dice.below(1_000) * MS;
            copy
        })
        .collect();
    let recording = InputStory::default()
        .joins(0, "7", 1)
        .hears(kept.clone())
        .hears(copies.clone())
        .record(spec(Mode::Individual), 121 * SECOND);
    recording.assert_all_in_place("7", &kept, 30 * MS);

    let account = recording.account("7");
    let lost = 20 * (all.len() - kept.len()) as u64;
    assert!((account.concealed_ms + account.missing_ms).abs_diff(lost) <= 40, "{account:?}");
    assert_eq!(account.recorded_ms, 20 * kept.len() as u64);
    assert_eq!(account.packets.duplicate, copies.len() as u64);
    assert!(recording.gap_ms("7", Cause::NetworkLoss).abs_diff(lost) <= 40);
}

#[test]
fn a_loss_is_concealed_for_a_tenth_of_a_second_then_silent() {
    let mut talker = Talker::new(1, 7);
    let mut sent = talker.talk(SECOND, 10 * SECOND);
    sent.drain(200..220);
    let recording =
        InputStory::default().joins(0, "7", 1).hears(sent.clone()).record(spec(Mode::Individual), 11 * SECOND);
    recording.assert_all_in_place("7", &sent, 30 * MS);
    let account = recording.account("7");
    assert_eq!((account.concealed_ms, account.missing_ms), (100, 300));
    let hole: Vec<&[u8]> = recording.individual("7").iter().map(|placed| &placed.bytes[..]).collect();
    let first = hole.iter().position(|bytes| *bytes == [0x78]).unwrap();
    assert!(hole[first..first + 5].iter().all(|bytes| *bytes == [0x78]));
    assert!(hole[first + 5..first + 19].iter().all(|bytes| *bytes == [0xF8, 0xFF, 0xFE]));
    assert_eq!(hole[first + 19], [0x08, 0x08, 0xAC, 0xB3, 0x0E, 0xC6], "every decoder starts afresh before sound");
}

#[test]
fn an_outage_and_the_burst_after_it_move_nothing() {
    let mut talker = Talker::new(1, 7);
    let mut sent = talker.talk(SECOND, 30 * SECOND);
    for (from, to) in
        [(5 * SECOND, 6 * SECOND), (12 * SECOND, 13 * SECOND + 700 * MS), (20 * SECOND, 20 * SECOND + 300 * MS)]
    {
        for packet in sent.iter_mut().filter(|packet| (from..to).contains(&packet.arrival)) {
            packet.arrival = to + (packet.arrival - from) / 10;
        }
    }
    let recording =
        InputStory::default().joins(0, "7", 1).hears(sent.clone()).record(spec(Mode::Individual), 31 * SECOND);
    recording.assert_all_in_place("7", &sent, 30 * MS);
    let account = recording.account("7");
    assert!(account.gaps.iter().all(|gap| gap.to.0 <= 2 * SECOND || gap.from.0 >= 30 * SECOND), "{:?}", account.gaps);
    assert_eq!(account.missing_ms, 0);
}

#[test]
fn a_swell_of_delay_moves_nothing() {
    let mut talker = Talker::new(1, 7);
    let mut sent = talker.talk(SECOND, 40 * SECOND);
    for packet in &mut sent {
        let into = packet.captured.saturating_sub(15 * SECOND);
        packet.arrival += match into / SECOND {
            0..4 => into * 75 / 1_000,
            4..8 => (8 * SECOND - into) * 75 / 1_000,
            _ => 0,
        };
    }
    let recording =
        InputStory::default().joins(0, "7", 1).hears(sent.clone()).record(spec(Mode::Individual), 41 * SECOND);
    recording.assert_all_in_place("7", &sent, 30 * MS);
}

#[test]
fn what_comes_seconds_late_is_named_late() {
    let mut talker = Talker::new(1, 7);
    let mut sent = talker.talk(SECOND, 30 * SECOND);
    for packet in sent.iter_mut().filter(|packet| (10 * SECOND..15 * SECOND).contains(&packet.arrival)) {
        packet.arrival = 15 * SECOND + (packet.arrival - 10 * SECOND) / 50;
    }
    let recording =
        InputStory::default().joins(0, "7", 1).hears(sent.clone()).record(spec(Mode::Individual), 31 * SECOND);
    let placed: Vec<_> = sent.iter().filter(|packet| packet.arrival < packet.captured + 1_980 * MS).cloned().collect();
    recording.assert_all_in_place("7", &placed, 30 * MS);
    let account = recording.account("7");
    assert!(account.packets.late > 100, "{account:?}");
    assert!(recording.gap_ms("7", Cause::Late).abs_diff(account.packets.late * 20) <= 40, "{account:?}");
    assert!(account.missing_ms.abs_diff(account.packets.late * 20) <= 40);
}

/// Packets of 120, 20 and 10 ms by turns, of which every fifth of 120 ms is lost: nothing says that the sender paused.
#[test]
fn a_lost_packet_may_have_been_longer_than_those_beside_it() {
    let (mut talker, mut sent, mut lost, mut at) = (Talker::new(1, 7), Vec::new(), 0, SECOND);
    for number in 0..400_u32 {
        let (toc, length): (&[u8], u64) =
            [(&[0x7B, 6][..], 6 * FRAME), (&[0x70], FRAME / 2), (&[0x78], FRAME)][number as usize % 3];
        let mut payload = [toc, &number.to_be_bytes()].concat();
        payload.resize(toc.len() + 24, 0x55);
        let packet = talker.send(at, payload.into());
        talker.rtp += length as f64 - FRAME as f64;
        at += length;
        if number > 0 && number % 15 == 0 { lost += length / MS } else { sent.push(packet) }
    }
    let recording =
        InputStory::default().joins(0, "7", 1).hears(sent.clone()).record(spec(Mode::Individual), at + 4 * SECOND);
    recording.assert_all_in_place("7", &sent, 30 * MS);
    let account = recording.account("7");
    assert_eq!(account.missing_ms + account.concealed_ms, lost, "{account:?}");
}
