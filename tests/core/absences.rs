//! Why there is no sound: outages of the channel and the worker, selection, DTX, padding; and that a flood stays bounded.

use bytes::Bytes;
use cloud_recorder::recording::{Cause, Gap, Input, Mode, Output, Packet, PlaylistId, Recorder, Selection, TimedInput};
use cloud_recorder::units::{Ssrc, Ticks, TrackId};

use crate::world::{FRAME, InputStory, MS, SECOND, Talker, spec, uid};

fn causes(gaps: &[Gap]) -> Vec<(Cause, u64, u64)> {
    gaps.iter().map(|gap| (gap.cause, gap.from.as_ms(), gap.to.as_ms())).collect()
}

#[test]
fn the_workers_death_is_missing_sound_from_the_last_input_on() {
    let (mut before, mut after) = (Talker::new(1, 7), Talker::new(1, 8));
    let (first, second) = (before.talk(SECOND, 10 * SECOND), after.talk(21 * SECOND, 30 * SECOND));
    let mut story = InputStory::default();
    story.joins(0, "7", 1).joins(0, "8", 2).hears(first.clone());
    story.happens(20 * SECOND, Input::WorkerRestarted).joins(20 * SECOND + 500 * MS, "7", 1).hears(second.clone());
    let recording = story.record(spec(Mode::Individual), 40 * SECOND);
    recording.assert_all_in_place("7", &first, 30 * MS);
    recording.assert_all_in_place("7", &second, 30 * MS);
    let account = recording.account("7");
    let restart = recording.gap_ms("7", Cause::WorkerRestart);
    assert!(restart.abs_diff(11_000) <= 40, "{:?}", causes(&account.gaps));
    assert_eq!(account.missing_ms, restart, "dead, not met again or not heard yet");
    assert_eq!(causes(&recording.account("8").gaps).last(), Some(&(Cause::Left, 35_000, 40_000)), "it never came back");
}

#[test]
fn until_its_first_packet_nothing_is_missing_of_who_joins() {
    for delay in [10, 300, 3_000] {
        let mut talker = Talker::new(1, 7);
        let sent = talker.talk(10 * SECOND, 20 * SECOND);
        let mut story = InputStory::default();
        story.joins((10_030 - delay) * MS, "7", 1).hears(sent.clone());
        let recording = story.record(spec(Mode::Individual), 21 * SECOND);
        recording.assert_all_in_place("7", &sent, 30 * MS);
        let account = recording.account("7");
        assert_eq!((account.missing_ms, account.concealed_ms), (0, 0), "{delay} ms: {:?}", causes(&account.gaps));
    }
}

#[test]
fn an_outage_of_the_channel_begins_with_the_last_packet() {
    let mut talker = Talker::new(1, 7);
    let mut sent = talker.talk(SECOND, 30 * SECOND);
    sent.retain(|sent| !(10 * SECOND..16 * SECOND).contains(&sent.captured));
    let recording = InputStory::default()
        .joins(0, "7", 1)
        .hears(sent.clone())
        .happens(14 * SECOND, Input::ChannelDown)
        .happens(16 * SECOND, Input::ChannelUp)
        .record(spec(Mode::Individual), 31 * SECOND);
    recording.assert_all_in_place("7", &sent, 30 * MS);
    let account = recording.account("7");
    assert!(recording.gap_ms("7", Cause::ChannelDisconnected).abs_diff(6_000) <= 60, "{:?}", causes(&account.gaps));
    assert!((account.missing_ms + account.concealed_ms).abs_diff(6_000) <= 60, "{account:?}");
}

#[test]
fn what_this_worker_dropped_is_overload_and_no_loss_of_the_network() {
    let (mut anna, mut ben) = (Talker::new(1, 7), Talker::new(2, 8));
    let (mut sent, other) = (anna.talk(SECOND, 20 * SECOND), ben.talk(SECOND, 20 * SECOND));
    sent.retain(|sent| !(10 * SECOND..13 * SECOND).contains(&sent.captured) && sent.captured != 15 * SECOND);
    let overloaded = |overloaded| Input::Overloaded { track: TrackId(1), overloaded };
    let mut story = InputStory::default();
    story.joins(0, "7", 1).joins(0, "8", 2).hears(sent.clone()).hears(other.clone());
    story.happens(10 * SECOND, overloaded(true)).happens(13 * SECOND, overloaded(false));
    let recording = story.record(spec(Mode::Individual), 21 * SECOND);
    recording.assert_all_in_place("7", &sent, 30 * MS);
    recording.assert_all_in_place("8", &other, 30 * MS);
    let account = recording.account("7");
    assert!(recording.gap_ms("7", Cause::Overload).abs_diff(3_000) <= 40, "{:?}", causes(&account.gaps));
    assert!((account.missing_ms + account.concealed_ms).abs_diff(3_020) <= 40, "{account:?}");
    assert_eq!(recording.gap_ms("7", Cause::NetworkLoss), 20, "the packet that the network lost");
    assert_eq!(recording.account("8").missing_ms, 0, "packets of others came through");
}

#[test]
fn only_who_is_selected_has_a_playlist_and_selection_can_change() {
    let (mut anna, mut ben) = (Talker::new(1, 7), Talker::new(2, 8));
    let mut wanted = spec(Mode::Both);
    wanted.selection = Selection::Only([uid("anna"), uid("nobody")].into());
    let (first, other) = (anna.talk(SECOND, 20 * SECOND), ben.talk(SECOND, 20 * SECOND));
    let mut story = InputStory::default();
    story.joins(0, "anna", 1).joins(0, "ben", 2).joins(0, "carl", 3).hears(first.clone()).hears(other.clone());
    story.happens(10 * SECOND, Input::Select(Selection::Only([uid("ben")].into())));
    let recording = story.record(wanted, 21 * SECOND);
    let uids: Vec<&str> = recording.ledger.uids.iter().map(|entry| entry.uid.as_str()).collect();
    assert_eq!(uids, ["anna", "ben"]);
    let is_in = |name: &str, sent| recording.places(name, sent).iter().filter(|place| place.is_some()).count();
    assert_eq!((is_in("anna", &first), is_in("ben", &other)), (449, 501), "each while it was selected");
    assert!(recording.gap_ms("anna", Cause::Excluded).abs_diff(11_000) <= 540);
    assert!(recording.gap_ms("ben", Cause::Excluded).abs_diff(10_000) <= 540);
}

#[test]
fn a_late_joiners_playlist_begins_at_the_sessions_start() {
    let mut talker = Talker::new(1, 7);
    let sent = talker.talk(7_200 * SECOND, 7_205 * SECOND);
    let mut story = InputStory::default();
    story.joins(7_199 * SECOND, "7", 1).hears(sent.clone());
    let recording = story.record(spec(Mode::Both), 7_206 * SECOND);
    recording.assert_all_in_place("7", &sent, 30 * MS);
    assert_eq!(causes(&recording.account("7").gaps)[0], (Cause::Left, 0, 7_199_500));
}

#[test]
fn a_dtx_pause_is_comfort_noise_and_counts_as_recorded() {
    let mut talker = Talker::new(1, 7);
    let mut sent = talker.talk(SECOND, 2 * SECOND);
    for turn in 0..10 {
        sent.push(talker.send(2 * SECOND + turn * 20 * FRAME, Bytes::copy_from_slice(&[0x78, turn as u8])));
        talker.pause(19 * FRAME);
    }
    sent.extend(talker.talk(6 * SECOND, 7 * SECOND));
    let recording =
        InputStory::default().joins(0, "7", 1).hears(sent.clone()).record(spec(Mode::Individual), 8 * SECOND);
    recording.assert_all_in_place("7", &sent, 30 * MS);
    let pause: Vec<&[u8]> = recording.individual("7").iter().map(|placed| &placed.bytes[..]).collect();
    assert_eq!(pause.iter().filter(|bytes| **bytes == [0x78]).count(), 190);
    let account = recording.account("7");
    assert_eq!((account.recorded_ms, account.missing_ms, account.concealed_ms), (6_000, 0, 0));
}

#[test]
fn padding_is_neither_sound_nor_loss_and_garbage_is_loss() {
    let mut talker = Talker::new(1, 7);
    let mut sent = talker.talk(SECOND, 3 * SECOND);
    let mut padding = talker.send(3 * SECOND, Bytes::new());
    padding.packet.timestamp = padding.packet.timestamp.wrapping_sub(FRAME as u32);
    talker.rtp -= FRAME as f64;
    let mut story = InputStory::default();
    story.joins(0, "7", 1).hears([padding]);
    sent.extend(talker.talk(3 * SECOND, 4 * SECOND));
    let garbage = talker.send(4 * SECOND, Bytes::from_static(&[0xFB, 0x00]));
    sent.extend(talker.talk(4 * SECOND + FRAME, 5 * SECOND));
    let recording = story.hears([garbage]).hears(sent.clone()).record(spec(Mode::Individual), 6 * SECOND);
    recording.assert_all_in_place("7", &sent, 30 * MS);
    let account = recording.account("7");
    assert_eq!((account.concealed_ms, account.missing_ms, account.packets.malformed), (20, 0, 1));
}

#[test]
fn packets_of_any_length_keep_theirs() {
    for (toc, ticks) in [(0xE0, 120), (0xF0, 480), (0x7C, 960), (0x1C, 2_880)] {
        let mut talker = Talker::new(1, 7);
        let mut sent = Vec::new();
        for at in (SECOND..9 * SECOND).step_by(ticks as usize) {
            let payload = [&[toc][..], &talker.made.to_be_bytes(), &[7; 10]].concat();
            talker.made += 1;
            sent.push(talker.send(at, payload.into()));
            talker.rtp += ticks as f64 - FRAME as f64;
        }
        let recording =
            InputStory::default().joins(0, "7", 1).hears(sent.clone()).record(spec(Mode::Both), 10 * SECOND);
        recording.assert_all_in_place("7", &sent, 30 * MS);
        assert_eq!(recording.account("7").recorded_ms, Ticks(ticks * sent.len() as u64).as_ms());
    }
}

#[test]
fn a_flood_is_counted_and_not_kept() {
    let mut recorder = Recorder::new(spec(Mode::Individual));
    for input in InputStory::default().joins(0, "7", 1).inputs() {
        recorder.push(input);
    }
    for number in 0..200_000_u32 {
        let packet = Packet {
            track: TrackId(1),
            ssrc: Ssrc(number / 50_000),
            sequence: number as u16,
            timestamp: number * 960,
            marker: false,
            level: None,
            payload: Bytes::from_static(&[0x78, 1, 2, 3]),
        };
        recorder.push(TimedInput { at: Ticks(SECOND), input: Input::Packet(packet) });
    }
    let packets = recorder.ledger().uids[0].packets;
    assert_eq!(packets.received, 200_000);
    assert!(packets.overflow >= 190_000, "{packets:?}");
    recorder.finish(Ticks(4 * SECOND));
    let closed = std::iter::from_fn(|| recorder.poll())
        .find_map(|output| match output {
            Output::Closed { playlist: PlaylistId::Individual(_), end } => Some(end),
            _ => None,
        })
        .unwrap();
    assert!(closed.0.abs_diff(4 * SECOND) <= FRAME);
}

#[test]
fn time_that_goes_backwards_is_clamped_and_the_end_is_the_end() {
    let mut recorder = Recorder::new(spec(Mode::Mix));
    for at in [10 * SECOND, 2 * SECOND, u64::MAX] {
        recorder.advance(Ticks(at.min(11 * SECOND)));
        recorder.push(TimedInput { at: Ticks(at.min(11 * SECOND)), input: Input::ChannelUp });
    }
    recorder.finish(Ticks(3 * SECOND));
    recorder.push(TimedInput { at: Ticks(50 * SECOND), input: Input::ChannelDown });
    recorder.advance(Ticks(60 * SECOND));
    let last = std::iter::from_fn(|| recorder.poll()).last();
    assert_eq!(last, Some(Output::Closed { playlist: PlaylistId::Mix, end: Ticks(11 * SECOND) }));
    assert_eq!(recorder.next_wake(), None);
}
