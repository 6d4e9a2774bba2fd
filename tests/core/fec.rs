//! In-band FEC: a lost packet whose successor carries a copy of it is heard in the mix, and the ledger says that it was recovered. The
//! uid's own playlist conceals it as ever. Packets come from libopus; what is heard is compared with what is heard without a loss.

use std::sync::LazyLock;

use bytes::Bytes;
use cloud_recorder::codec::opus::{self as codec, concealment};
use cloud_recorder::recording::{AudioProfile, Cause, Input, Mode, Output, Recorder, Spec};
use cloud_recorder::units::Ticks;
use opus::{Application, Bitrate, Channels, Signal};

use crate::audio_probe::hear;
use crate::crash::by_cause;
use crate::random_inputs::check_ledger;
use crate::world::{FRAME, InputStory, MS, Recording, SECOND, Sent, Talker, spec, uid};

/// How long somebody speaks, from the first second on.
const LENGTH: u64 = 8 * SECOND;

/// Something like speech: a voice whose pitch glides, with three formants, in syllables.
static VOICE: LazyLock<Vec<f32>> = LazyLock::new(|| {
    let tau = std::f64::consts::TAU;
    let formant = |hertz: f64| {
        [(500.0, 1.0), (1_500.0, 0.4), (2_600.0, 0.2)]
            .iter()
            .map(|(centre, weight): &(f64, f64)| weight / (1.0 + ((hertz - centre) / 180.0).powi(2)))
            .sum::<f64>()
    };
    let sample = |n: u64| {
        let time = n as f64 / SECOND as f64;
        let (pitch, phase) =
            (125.0 + 25.0 * (tau * 0.7 * time).sin(), tau * 125.0 * time - 25.0 / 0.7 * (tau * 0.7 * time).cos());
        let sum: f64 = (1..=25).map(|k| formant(pitch * f64::from(k)) * (phase * f64::from(k)).sin()).sum();
        (sum * 0.15 * (0.55 + 0.45 * (tau * 3.1 * time).sin())) as f32
    };
    (0..LENGTH).map(sample).collect()
});

/// How somebody sends.
#[derive(Clone, Copy, Debug)]
struct Way {
    /// Milliseconds a packet.
    packet: u64,
    channels: u8,
    fec: bool,
    dtx: bool,
    bit_rate: i32,
}

const USUAL: Way = Way { packet: 20, channels: 1, fec: true, dtx: false, bit_rate: 28_000 };

/// What is sent of `sound(n)`, the sample of the left channel at tick `n` of the talk.
fn sent(way: Way, sound: impl Fn(usize) -> f32) -> Vec<Sent> {
    let count = if way.channels == 1 { Channels::Mono } else { Channels::Stereo };
    let mut encoder = opus::Encoder::new(48_000, count, Application::Voip).unwrap();
    encoder.set_bitrate(Bitrate::Bits(way.bit_rate)).unwrap();
    encoder.set_signal(Signal::Voice).unwrap();
    encoder.set_inband_fec(way.fec).unwrap();
    encoder.set_packet_loss_perc(20).unwrap();
    encoder.set_dtx(way.dtx).unwrap();
    let (mut talker, mut packets) = (Talker::new(1, 7), Vec::new());
    for at in (0..LENGTH).step_by((way.packet * MS) as usize) {
        let frame: Vec<f32> = (at..at + way.packet * MS)
            .flat_map(|n| {
                let left = sound(n as usize);
                [left, left * 0.6].into_iter().take(usize::from(way.channels))
            })
            .collect();
        let payload = encoder.encode_vec_float(&frame, 1_500).unwrap();
        // A sender with DTX leaves out most of what holds nothing.
        if payload.len() > 2 || at % (400 * MS) == 0 {
            packets.push(talker.send(SECOND + at, payload.into()));
        } else {
            talker.rtp += FRAME as f64;
        }
        talker.rtp += (way.packet * MS) as f64 - FRAME as f64;
    }
    packets
}

fn talk(way: Way) -> Vec<Sent> {
    sent(way, |n| VOICE.get(n).copied().unwrap_or_default())
}

/// What arrives when packets are lost.
fn story(packets: &[Sent], is_lost: impl Fn(usize) -> bool) -> InputStory {
    let mut story = InputStory::default();
    story.joins(0, "7", 1);
    story.hears(packets.iter().enumerate().filter(|(index, _)| !is_lost(*index)).map(|(_, sent)| sent.clone()));
    story
}

fn profile(way: Way, mode: Mode) -> Spec {
    let profile = if way.channels == 1 { AudioProfile::Mono64 } else { AudioProfile::Stereo192 };
    Spec { profile, ..spec(mode) }
}

/// The mix against the mix without a loss, in dB, where those packets were lost of which `counts` says yes.
fn ratio(
    way: Way,
    packets: &[Sent],
    is_lost: impl Fn(usize) -> bool,
    counts: impl Fn(usize) -> bool,
) -> (f64, Recording) {
    let end = LENGTH + 2 * SECOND;
    let clean = hear(story(packets, |_| false).record(profile(way, Mode::Mix), end).mix(), way.channels);
    let recording = story(packets, &is_lost).record(profile(way, Mode::Both), end);
    check_ledger(&recording, end);
    let heard = hear(recording.mix(), way.channels);
    let (mut signal, mut noise) = (1e-9, 1e-9);
    for sent in packets.iter().enumerate().filter(|(index, _)| counts(*index)).map(|(_, sent)| sent) {
        let from = sent.arrival as usize * usize::from(way.channels);
        let to = from + (way.packet * MS) as usize * usize::from(way.channels);
        for (clean, heard) in clean[from..to].iter().zip(&heard[from..to]) {
            signal += f64::from(*clean).powi(2);
            noise += f64::from(clean - heard).powi(2);
        }
    }
    (10.0 * (signal / noise).log10(), recording)
}

/// Every tenth packet, once the voice is there.
fn one_in_ten(index: usize) -> bool {
    index >= 10 && index % 10 == 5
}

/// Whether a packet is lost and its successor holds a copy of it that a decoder can use: CELT leaves it nothing to go on from.
fn is_copied(packets: &[Sent], is_lost: impl Fn(usize) -> bool, index: usize) -> bool {
    let payload = |index: usize| &packets[index].packet.payload;
    let before = (0..index).rev().find(|before| !is_lost(*before));
    let speech = before.is_some_and(|before| codec::Toc::of(payload(before)).unwrap().coding() != codec::Coding::Celt);
    let next = index + 1;
    is_lost(index) && next < packets.len() && !is_lost(next) && speech && codec::fec(payload(next)).is_some()
}

/// How many milliseconds of them: a copy is as long as a frame, of which a packet may hold several.
fn copied_ms(packets: &[Sent], is_lost: impl Fn(usize) -> bool) -> u64 {
    let copies = (0..packets.len()).filter(|index| is_copied(packets, &is_lost, *index));
    copies.filter_map(|index| codec::fec(&packets[index + 1].packet.payload)).map(|length| length.as_ms()).sum()
}

#[test]
fn a_lost_packet_that_its_successor_holds_is_heard_and_booked() {
    // At 20 kbit/s libopus makes one SILK frame of 40 or 60 ms, at 24 hybrid frames of 20 ms, of which one has a copy.
    for (packet, channels, bit_rate, copied) in [
        (20, 1, 28_000, 20),
        (10, 1, 40_000, 10),
        (40, 1, 20_000, 40),
        (60, 1, 20_000, 60),
        (40, 1, 24_000, 20),
        (60, 1, 24_000, 20),
        (20, 2, 48_000, 20),
    ] {
        let way = Way { packet, channels, bit_rate, ..USUAL };
        let packets = talk(way);
        let counts = |index: usize| is_copied(&packets, one_in_ten, index);
        let (with, recording) = ratio(way, &packets, one_in_ten, counts);
        let (without, concealed) = ratio(way, &talk(Way { fec: false, ..way }), one_in_ten, counts);
        eprintln!("{way:?}: {with:.1} dB with FEC, {without:.1} dB without");
        let better = if packet > copied { 0.1 } else { 8.0 };
        assert!(with >= without + better, "{way:?}: {with:.1} dB with FEC, {without:.1} dB without");
        let held = copied_ms(&packets, one_in_ten);
        let lost = (0..packets.len()).filter(|index| one_in_ten(*index)).count() as u64;
        assert!(held * 2 >= lost * copied, "{way:?}: {held} ms of {lost} packets");
        let causes = by_cause(recording.account("7"));
        let account = recording.account("7");
        assert_eq!(causes[&Cause::RecoveredFec], held, "{way:?} {causes:?}");
        assert_eq!((account.concealed_ms, account.missing_ms), (lost * packet, 0), "{way:?} {causes:?}");
        assert!(!by_cause(concealed.account("7")).contains_key(&Cause::RecoveredFec));
        conceals(&recording, &packets, way);
    }
}

/// The uid's own playlist holds the packets that came, and for the others what the packet before conceals by.
fn conceals(recording: &Recording, packets: &[Sent], way: Way) {
    recording.assert_all_in_place("7", &kept(packets), 30 * MS);
    let individual = recording.individual("7");
    for (index, _) in packets.iter().enumerate().filter(|(index, _)| one_in_ten(*index)) {
        let before = &packets[index - 1].packet.payload;
        let place = individual.iter().position(|placed| placed.bytes == *before).unwrap();
        let filler = concealment(before).unwrap();
        assert_eq!(individual[place + 1].bytes, filler.bytes, "{way:?}");
        assert_eq!(individual[place + 1].duration, filler.duration.0);
    }
}

fn kept(packets: &[Sent]) -> Vec<Sent> {
    packets.iter().enumerate().filter(|(index, _)| !one_in_ten(*index)).map(|(_, sent)| sent.clone()).collect()
}

#[test]
fn the_last_of_a_burst_is_recovered_and_the_first_concealed() {
    for packet in [20, 40, 60] {
        let way = Way { packet, bit_rate: 24_000, ..USUAL };
        let packets = talk(way);
        let is_lost = |index: usize| index >= 10 && (index % 12 == 5 || index % 12 == 6);
        let counts = |index: usize| is_copied(&packets, is_lost, index);
        let (with, recording) = ratio(way, &packets, is_lost, counts);
        let (without, _) = ratio(way, &talk(Way { fec: false, ..way }), is_lost, counts);
        eprintln!("{way:?}: {with:.1} dB with FEC, {without:.1} dB without");
        assert!(with > without, "{way:?}: {with:.1} dB with FEC, {without:.1} dB without");
        let (held, end) = (copied_ms(&packets, is_lost), LENGTH + 2 * SECOND);
        let lost = (0..packets.len()).filter(|index| is_lost(*index)).count() as u64;
        // Two packets of 60 ms are more than is concealed: a playlist of packets holds silence for the second.
        let mix = story(&packets, is_lost).record(profile(way, Mode::Mix), end);
        check_ledger(&mix, end);
        let account = mix.account("7");
        assert_eq!(by_cause(account)[&Cause::RecoveredFec], held, "{:?}", by_cause(account));
        assert_eq!(account.concealed_ms + account.missing_ms, lost * packet, "{:?}", by_cause(account));
        let both = by_cause(recording.account("7"));
        assert_eq!(both.get(&Cause::RecoveredFec).copied(), (packet < 60).then_some(held), "{both:?}");
    }
}

#[test]
fn an_onset_that_is_lost_after_a_dtx_pause_is_recovered() {
    let way = Way { dtx: true, ..USUAL };
    // Two seconds of voice, two of nothing.
    let packets = sent(way, |n| {
        if (n / (2 * SECOND as usize)).is_multiple_of(2) { VOICE.get(n).copied().unwrap_or_default() } else { 0.0 }
    });
    let pauses: Vec<usize> =
        (1..packets.len()).filter(|index| packets[*index].captured - packets[index - 1].captured > 100 * MS).collect();
    let is_onset = |index: usize| {
        index > 0 && packets[index - 1].packet.payload.len() <= 2 && packets[index].packet.payload.len() > 2
    };
    let onsets: Vec<usize> = (0..packets.len()).filter(|index| is_onset(*index)).collect();
    assert!(!pauses.is_empty() && !onsets.is_empty());
    // The packet behind the onset holds a copy of it if it was taken for voice; the one after that does.
    let is_lost = |index: usize| onsets.iter().any(|onset| index == *onset + 3);
    let held = copied_ms(&packets, is_lost);
    let recording = story(&packets, is_lost).record(spec(Mode::Mix), LENGTH + 2 * SECOND);
    let account = recording.account("7");
    assert_eq!(by_cause(account).get(&Cause::RecoveredFec).copied().unwrap_or_default(), held);
    assert!(account.concealed_ms + account.missing_ms <= 20 * onsets.len() as u64, "{:?}", by_cause(account));
    let recording = story(&packets, |index| onsets.contains(&index)).record(spec(Mode::Both), LENGTH + 2 * SECOND);
    let account = recording.account("7");
    assert!(account.concealed_ms + account.missing_ms <= 20 * onsets.len() as u64, "{:?}", by_cause(account));
}

#[test]
fn celt_and_what_is_no_packet_hold_no_copy() {
    for packet in [&[][..], &[0xF8, 0xFF, 0xFE], &[0x78], &[0x78, 0], &[0x7B, 0], &[0x08, 0x08, 0xAC, 0xB3]] {
        assert_eq!(codec::fec(packet), None, "{packet:?}");
    }
    assert_eq!(codec::fec(&[0x48, 0xC0, 1, 2]), Some(Ticks(960)), "SILK, wide band, 20 ms, mono: voice and LBRR");
    assert_eq!(codec::fec(&[0x4C, 0x90, 1, 2]), Some(Ticks(960)), "stereo: the side channel's flag");
    assert_eq!(codec::fec(&[0x58, 0x10, 1, 2]), Some(Ticks(2_880)), "60 ms: behind three flags of voice");
    assert_eq!(codec::fec(&[0x58, 0xE0, 1, 2]), None);
}

#[test]
fn live_taken_up_and_replayed_are_the_same_bit_for_bit() {
    let packets = talk(USUAL);
    let mut story = story(&packets, |index| index % 7 == 3);
    for second in 1..9 {
        story.happens(second * SECOND + 123, Input::CodersRestarted);
    }
    let run = |taken_up: bool| {
        let (mut recorder, mut outputs) = (Recorder::new(spec(Mode::Both)), Vec::<Output>::new());
        for input in story.inputs() {
            let restarts = input.input == Input::CodersRestarted;
            recorder.push(input);
            outputs.extend(std::iter::from_fn(|| recorder.poll()));
            if restarts && taken_up {
                recorder = Recorder::restore(&recorder.snapshot()).unwrap();
            }
        }
        recorder.finish(Ticks(LENGTH + 2 * SECOND));
        outputs.extend(std::iter::from_fn(|| recorder.poll()));
        (outputs, recorder.ledger())
    };
    let (live, taken_up) = (run(false), run(true));
    assert!(live == taken_up);
    let account = live.1.uids.iter().find(|entry| entry.uid == uid("7")).unwrap();
    assert!(by_cause(account)[&Cause::RecoveredFec] > 500, "{:?}", by_cause(account));
}

#[test]
fn damaged_packets_that_claim_a_copy_do_no_harm() {
    let mut packets = talk(USUAL);
    for (index, sent) in packets.iter_mut().enumerate().filter(|(index, _)| index % 3 == 0) {
        let mut bytes = sent.packet.payload.to_vec();
        for (at, byte) in bytes.iter_mut().enumerate().skip(2) {
            *byte = (at * 31 + index * 17) as u8;
        }
        bytes[1] |= 0x40;
        sent.packet.payload = Bytes::from(bytes);
    }
    let recording = story(&packets, |index| index % 3 == 2).record(spec(Mode::Both), LENGTH + 2 * SECOND);
    check_ledger(&recording, LENGTH + 2 * SECOND);
}
