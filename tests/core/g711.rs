//! G.711 (PCMU, PCMA): decoded as ffmpeg decodes it, placed and booked as Opus is, transcoded for the uid's own playlist and heard in the
//! mix, the same bytes live, taken up and in a replay.

use std::process::Command;

use bytes::Bytes;
use cloud_recorder::codec::g711::Law;
use cloud_recorder::recording::{
    Cause, Coding, Input, Mode, Output, Packet, PlaylistId, Recorder, Source, TrackKind, Verdict,
};
use cloud_recorder::units::{Ssrc, Ticks, TrackId};
use tempfile::TempDir;

use crate::audio_probe::{decode, hear, level_db, tone_db};
use crate::crash::gaps;
use crate::random_inputs::check_ledger;
use crate::world::{InputStory, MS, Recording, SECOND, spec, uid};

#[test]
fn every_byte_decodes_as_ffmpeg_decodes_it() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("bytes");
    std::fs::write(&file, (0..=255).collect::<Vec<u8>>()).unwrap();
    for (format, law) in [("mulaw", Law::Mu), ("alaw", Law::A)] {
        let output = Command::new("ffmpeg")
            .args(["-v", "error", "-nostdin", "-f", format, "-ar", "8000", "-ac", "1", "-i"])
            .arg(&file)
            .args(["-f", "s16le", "-"])
            .output()
            .unwrap();
        let theirs: Vec<i16> = output.stdout.chunks_exact(2).map(|two| i16::from_le_bytes([two[0], two[1]])).collect();
        assert_eq!(law.decode(&(0..=255).collect::<Vec<u8>>()).collect::<Vec<_>>(), theirs, "{format}");
    }
}

/// The byte that stands for a sample best.
fn encode(law: Law, sample: f64) -> u8 {
    let off = |byte: &u8| (f64::from(law.sample(*byte)) - sample * 32_768.0).abs();
    (0..=255).min_by(|one, other| off(one).total_cmp(&off(other))).unwrap()
}

/// A telephone that sends a tone from `from` to `to`, captured then and 30 ms under way; `RTP` runs at 8 kHz from shortly before its wrap.
fn tone(law: Law, hertz: f64, packet_ms: u64, from: u64, to: u64) -> Vec<(u64, Packet)> {
    let period: Vec<u8> =
        (0..8_000).map(|n| encode(law, (f64::from(n) * hertz * std::f64::consts::TAU / 8_000.0).sin() * 0.3)).collect();
    let packet = |at: u64| {
        let (number, first) = ((at - SECOND) / (packet_ms * MS), (at - SECOND) / 6);
        let payload: Vec<u8> = (first..first + packet_ms * 8).map(|n| period[n as usize % 8_000]).collect();
        let packet = Packet {
            track: TrackId(1),
            ssrc: Ssrc(7),
            sequence: (65_500 + number) as u16,
            timestamp: (u32::MAX - 20_000).wrapping_add(first as u32),
            marker: false,
            level: None,
            payload: Bytes::from(payload),
        };
        (at + 30 * MS, packet)
    };
    (from..to).step_by((packet_ms * MS) as usize).map(packet).collect()
}

fn story(coding: Coding, packets: impl IntoIterator<Item = (u64, Packet)>) -> InputStory {
    let mut story = InputStory::default();
    let kind = TrackKind { source: Source::Microphone, coding };
    story.happens(0, Input::TrackAdded { track: TrackId(1), uid: uid("7"), muted: false, kind });
    for (at, packet) in packets {
        story.happens(at, Input::Packet(packet));
    }
    story
}

fn record(story: &InputStory, end: u64) -> Recording {
    let recording = story.record(spec(Mode::Both), end);
    check_ledger(&recording, end);
    assert_eq!(recording.ledger, story.record(spec(Mode::Individual), end).ledger);
    recording
}

#[test]
fn a_telephone_is_heard_alone_and_in_the_mix_at_its_time() {
    for (coding, law, packet_ms) in
        [(Coding::Pcmu, Law::Mu, 20), (Coding::Pcma, Law::A, 20), (Coding::Pcmu, Law::Mu, 30)]
    {
        let recording = record(&story(coding, tone(law, 700.0, packet_ms, SECOND, 7 * SECOND)), 9 * SECOND);
        let account = recording.account("7");
        assert_eq!((account.recorded_ms, account.concealed_ms, account.missing_ms), (6_000, 0, 0), "{coding:?}");
        assert_eq!(account.packets.placed, 6_000 / packet_ms);
        assert_eq!(account.transcoded_from, [coding].into());
        assert_eq!(recording.ledger.verdict(), Verdict::Complete);
        let (_folder, path) = recording.write(&PlaylistId::Individual(uid("7")));
        for sound in [hear(recording.mix(), 1), decode(&path, 2).channels.remove(0)] {
            let part = |from: u64, to: u64| &sound[(from * MS) as usize..(to * MS) as usize];
            let level = tone_db(part(2_000, 6_000), 700.0);
            assert!((level + 13.5).abs() < 1.5, "{coding:?}: {level} dB");
            let noise = level_db(part(2_000, 6_000)) - tone_db(part(2_000, 6_000), 700.0);
            assert!(noise < 0.5, "{noise} dB louder than the tone alone");
            assert!(level_db(part(0, 1_000)) < -60.0 && level_db(part(7_100, 8_900)) < -60.0, "{coding:?}");
            assert!(tone_db(part(1_060, 1_160), 700.0) > -17.0 && tone_db(part(6_900, 7_010), 700.0) > -17.0);
        }
    }
}

#[test]
fn losses_pauses_comfort_noise_and_garbage_are_booked_as_ever() {
    let mut packets = tone(Law::Mu, 700.0, 20, SECOND, 4 * SECOND);
    packets.extend(tone(Law::Mu, 700.0, 20, 9 * SECOND, 12 * SECOND));
    // The sequence goes on over the pause; three packets are lost; comfort noise and garbage come within.
    for (number, (_, packet)) in packets.iter_mut().enumerate() {
        packet.sequence = (65_500 + number) as u16;
    }
    packets[100].1.payload = Bytes::from_static(&[0x40]);
    packets[200].1.payload = Bytes::from(vec![7; 113]);
    packets.drain(50..53);
    let recording = record(&story(Coding::Pcmu, packets), 13 * SECOND);
    let account = recording.account("7");
    assert_eq!((account.packets.padding, account.packets.malformed), (1, 1));
    assert_eq!(account.packets.placed, 300 - 5);
    assert_eq!(account.concealed_ms + account.missing_ms, 4 * 20, "{:?}", gaps(account));
    assert!(recording.gap_ms("7", Cause::SenderStall) >= 5_000, "{:?}", gaps(account));
}

#[test]
fn live_taken_up_and_replayed_are_the_same_bit_for_bit() {
    let mut packets = tone(Law::A, 440.0, 20, SECOND, 9 * SECOND);
    packets.retain(|(_, packet)| packet.sequence % 9 != 4);
    let mut story = story(Coding::Pcma, packets);
    for second in 1..9 {
        story.happens(second * SECOND + 123, Input::CodersRestarted);
    }
    let run = |mode: Mode, taken_up: bool| {
        let (mut recorder, mut outputs) = (Recorder::new(spec(mode)), Vec::<Output>::new());
        for input in story.inputs() {
            let restarts = input.input == Input::CodersRestarted;
            recorder.push(input);
            outputs.extend(std::iter::from_fn(|| recorder.poll()));
            if restarts && taken_up {
                recorder = Recorder::restore(&recorder.snapshot()).unwrap();
            }
        }
        recorder.finish(Ticks(10 * SECOND));
        outputs.extend(std::iter::from_fn(|| recorder.poll()));
        (outputs, recorder.ledger())
    };
    for mode in [Mode::Individual, Mode::Mix, Mode::Both] {
        assert!(run(mode, false) == run(mode, true), "{mode:?}");
    }
}
