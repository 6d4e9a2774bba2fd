//! Every talker of the demo has a tone of its own that survives being mixed.

use cloud_recorder::codec::opus::{self, Decoder, Encoder};
use cloud_recorder::units::Ticks;

use crate::audio_probe::{RATE, level_db, tone_db};

const TALKERS: [(&str, f64); 3] = [("anna", 10_000.0), ("ben", 12_000.0), ("cora", 14_000.0)];

/// The packets of a talker (`fixtures/README.md`).
fn packets(name: &str) -> Vec<Vec<u8>> {
    let mut file = &std::fs::read(format!("{}/fixtures/talkers/{name}.opk", env!("CARGO_MANIFEST_DIR"))).unwrap()[..];
    let mut packets = Vec::new();
    while let Some((length, rest)) = file.split_first_chunk() {
        let (packet, rest) = rest.split_at(u16::from_le_bytes(*length).into());
        packets.push(packet.to_vec());
        file = rest;
    }
    packets
}

fn decode<'a>(packets: impl IntoIterator<Item = &'a Vec<u8>>) -> Vec<f32> {
    let mut decoder = Decoder::new(1).unwrap();
    let mut sound = Vec::new();
    for packet in packets {
        assert_eq!(decoder.decode(packet, &mut sound).unwrap(), Ticks(960));
    }
    sound
}

#[test]
fn talkers_last_twenty_seconds_and_speak_without_long_pauses() {
    for (name, _) in TALKERS {
        let packets = packets(name);
        assert_eq!(packets.len(), 1000);
        assert!(packets.iter().all(|packet| opus::duration(packet) == Ok(Ticks(960)) && !opus::is_dtx(packet)));
        for (second, sound) in decode(&packets).chunks(2 * RATE).enumerate() {
            assert!(level_db(sound) > -32.0, "{name} is quiet at {} s", 2 * second);
        }
    }
}

#[test]
fn talkers_can_be_looped_without_a_click() {
    for (name, hertz) in TALKERS {
        let packets = packets(name);
        let sound = decode(packets.iter().chain(&packets));
        let level = tone_db(&sound[20 * RATE - 4800..20 * RATE + 4800], hertz);
        assert!((level + 40.0).abs() < 3.0, "{name}'s tone over the seam: {level} dB");
    }
}

#[test]
fn each_talker_is_found_in_the_mix_and_nobody_else() {
    let alone = TALKERS.map(|(name, _)| decode(&packets(name)));
    for absent in 0..=TALKERS.len() {
        let present = |talker: usize| talker != absent;
        let sum = |n: usize| (0..3).filter(|talker| present(*talker)).map(|talker| alone[talker][n]).sum::<f32>() * 0.5;
        let mix: Vec<f32> = (0..10 * RATE).map(sum).collect();
        let mut encoder = Encoder::new(1, 64_000, 10).unwrap();
        let packets: Vec<Vec<u8>> = mix.chunks(960).map(|frame| encoder.encode(frame).unwrap().to_vec()).collect();
        let heard = decode(&packets);
        for (talker, (name, hertz)) in TALKERS.into_iter().enumerate() {
            for second in heard.chunks(RATE).skip(1) {
                let level = tone_db(second, hertz);
                assert_eq!(level > -60.0, present(talker), "{name} without {absent}: {level} dB");
            }
        }
    }
}
