//! ffmpeg decodes what the fixtures give; each talker is heard where and when they talked (`fixtures/README.md`).

use std::collections::BTreeSet;

use cloud_recorder::codec::opus::LOOKAHEAD;
use cloud_recorder::recording::{Cause, Input, Verdict};
use cloud_recorder::storage::journal::{Reader, Record};

use crate::audio_probe::{Sound, level_db};
use crate::replayed::{FIXTURES, filled, fixture, replay};

/// Speech is louder than this, in dB below full scale.
const SPEECH: f64 = -35.0;

/// A quiet room, coded, is fainter than this.
const QUIET: f64 = -60.0;

/// Somebody speaks from `from` to `to` seconds.
fn assert_speech(sound: &Sound, channel: usize, from: f64, to: f64) {
    let level = level_db(sound.part(channel, from, to));
    assert!(level > SPEECH, "no speech from {from} to {to} s: {level:.1} dB");
}

/// Nobody does.
fn assert_quiet(sound: &Sound, channel: usize, from: f64, to: f64) {
    let level = level_db(sound.part(channel, from, to));
    assert!(level < QUIET, "not quiet from {from} to {to} s: {level:.1} dB");
}

#[test]
fn every_playlist_lasts_as_long_as_the_recording_to_a_frame() {
    for name in FIXTURES {
        let replayed = replay(name);
        let length = replayed.report["length"].as_u64().unwrap() - LOOKAHEAD.0;
        for id in replayed.playlists().keys() {
            let decoded = replayed.sound(id, 1).len() as u64;
            assert!(decoded.abs_diff(length) <= 960, "{name} {id}: {decoded} samples instead of {length}");
        }
    }
}

#[test]
fn two_talkers_take_turns_and_their_dtx_is_no_gap() {
    let replayed = replay("two-talkers-dtx");
    let (anna, ben, mix) = (replayed.sound("1001", 1), replayed.sound("1002", 1), replayed.sound("mix", 1));
    for turn in [1.0, 12.0, 24.0] {
        assert_speech(&anna, 0, turn + 0.3, turn + 3.5);
        assert_quiet(&ben, 0, turn + 0.3, turn + 3.5);
        assert_speech(&mix, 0, turn + 0.3, turn + 3.5);
    }
    for turn in [6.5, 17.5] {
        assert_speech(&ben, 0, turn + 0.3, turn + 4.0);
        assert_quiet(&anna, 0, turn + 0.3, turn + 4.0);
        assert_speech(&mix, 0, turn + 0.3, turn + 4.0);
    }
    assert_quiet(&mix, 0, 22.6, 23.8);
    assert_eq!(replayed.ledger().verdict(), Verdict::Complete);
    // The recording stops inside a hole of Ben's DTX, 220 ms after his last packet. Whether he would have gone on nobody knows.
    let stalls = ["1001", "1002"].map(|uid| filled(&replayed.account(uid), Cause::SenderStall));
    assert!(stalls[0] == (0.0, 0) && stalls[1].0 < 0.4, "{stalls:?}");
}

#[test]
fn a_late_joiner_and_a_leaver_are_heard_while_they_were_there() {
    let replayed = replay("late-joiner-and-leaver");
    let (anna, ben, mix) = (replayed.sound("1001", 1), replayed.sound("1002", 1), replayed.sound("mix", 1));
    assert_speech(&anna, 0, 0.5, 19.8);
    assert_quiet(&anna, 0, 20.2, 28.0);
    assert_quiet(&ben, 0, 0.0, 8.5);
    assert_speech(&ben, 0, 8.8, 27.8);
    for from in (1..27).step_by(2) {
        assert_speech(&mix, 0, f64::from(from), f64::from(from) + 2.0);
    }
    assert_eq!(replayed.ledger().verdict(), Verdict::Complete);
    let (absent, pieces) = filled(&replayed.account("1001"), Cause::Left);
    assert!((absent - 8.3).abs() < 0.2 && pieces == 2, "Anna: {absent} s in {pieces} pieces");
    let (absent, _) = filled(&replayed.account("1002"), Cause::Left);
    assert!((absent - 8.0).abs() < 0.1, "Ben: {absent} s");
}

#[test]
fn lost_packets_are_counted_and_nothing_else_is() {
    let replayed = replay("loss-reordering-duplicates");
    let sound = replayed.sound("1001", 1);
    for second in 1..29 {
        assert_speech(&sound, 0, f64::from(second), f64::from(second) + 1.0);
    }
    let account = replayed.account("1001");
    assert_eq!(account.expected_ms, account.recorded_ms + account.concealed_ms + account.missing_ms);
    let lost_ms = lost_packets("loss-reordering-duplicates") * 20;
    assert_eq!(account.concealed_ms + account.missing_ms, lost_ms);
    assert!((200..=240).contains(&account.missing_ms), "of the burst 100 ms are concealed: {} ms", account.missing_ms);
    assert_eq!(filled(&account, Cause::Late), (0.0, 0));
    assert_eq!(replayed.ledger().verdict(), Verdict::Partial);
}

/// Sequence numbers between the first and the last that never came.
fn lost_packets(name: &str) -> u64 {
    let mut came = BTreeSet::new();
    let mut last: Option<u64> = None;
    for record in Reader::open(fixture(&format!("{name}.journal"))).unwrap() {
        if let Record::Input { input, .. } = record.unwrap()
            && let Input::Packet(packet) = input.input
        {
            let before = last.unwrap_or_else(|| u64::from(packet.sequence) + 0x1_0000);
            let step = packet.sequence.wrapping_sub(before as u16) as i16;
            let sequence = before.strict_add_signed(step.into());
            came.insert(sequence);
            last = Some(sequence.max(before));
        }
    }
    came.last().unwrap() - came.first().unwrap() + 1 - came.len() as u64
}

#[test]
fn speech_after_a_mute_is_where_it_was_said() {
    let replayed = replay("mute-stops-the-clock");
    for id in ["1001", "mix"] {
        let sound = replayed.sound(id, 1);
        assert_speech(&sound, 0, 0.5, 8.0);
        assert_quiet(&sound, 0, 8.3, 13.9);
        assert_speech(&sound, 0, 14.1, 15.0);
        assert_speech(&sound, 0, 15.0, 23.5);
    }
    let account = replayed.account("1001");
    let (muted, pieces) = filled(&account, Cause::Muted);
    assert!((muted - 6.0).abs() < 0.2 && pieces == 1, "{muted} s in {pieces} pieces");
    assert_eq!((account.concealed_ms, account.missing_ms), (0, 0));
}

#[test]
fn left_and_right_stay_apart() {
    let replayed = replay("stereo-talker");
    for id in ["1002", "mix"] {
        let sound = replayed.sound(id, 2);
        for (loud, faint, from, to) in [(0, 1, 0.5, 7.9), (1, 0, 8.3, 15.0)] {
            assert_speech(&sound, loud, from, to);
            let apart = level_db(sound.part(loud, from, to)) - level_db(sound.part(faint, from, to));
            assert!(apart > 20.0, "{id}: only {apart:.1} dB apart");
        }
    }
}

#[test]
fn double_talk_does_not_clip() {
    let replayed = replay("double-talk");
    let (anna, cora, mix) = (replayed.sound("1001", 1), replayed.sound("1003", 1), replayed.sound("mix", 1));
    let sum = anna.channels[0].iter().zip(&cora.channels[0]).map(|(anna, cora)| (anna + cora).abs());
    assert!(sum.fold(0.0, f32::max) > 1.5, "without a limiter it would clip");
    // The limiter holds -1 dBFS; the coder's noise is added after it, and may not reach full scale.
    let loudest = mix.channels[0].iter().fold(0.0_f32, |peak, sample| peak.max(sample.abs()));
    assert!(loudest < 1.0, "the mix peaks at {loudest}");
    let over = mix.channels[0].iter().filter(|sample| sample.abs() > 0.8913).count();
    assert!(over < mix.len() / 100, "{over} samples of {} are over -1 dBFS", mix.len());
    assert_speech(&mix, 0, 1.0, 13.5);
    assert!(level_db(mix.part(0, 1.0, 13.5)) > -16.0, "limited, not just turned down");
}
