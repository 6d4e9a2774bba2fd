//! Whether a packet is known to hold silence. What is not known to be silent sounds, so that nothing is taken for silence that is none.

use super::Decoder;
use super::packet::{Coding, Toc, is_dtx};

/// The greatest amplitude of what is taken for silence where the sender says so (full scale at 1.0): what libopus makes of digital
/// silence stays below it.
const SILENCE: f32 = 1.0 / 1_024.0;

/// The level of digital silence in RFC 6464, in -dBov.
const SILENT_LEVEL: u8 = 127;

/// Whether a packet is known to be silent: it is a DTX frame; each of its frames has the silence flag of Opus's transform coder (RFC 6716
/// section 4.3); or its level (RFC 6464) says so and what it decodes to does, too.
pub fn is_silent(packet: &[u8], level: Option<u8>) -> bool {
    is_dtx(packet) || is_flagged(packet) || (level == Some(SILENT_LEVEL) && peak(packet) < SILENCE)
}

/// The flag is the first symbol of a frame: fifteen bits that are all set.
fn is_flagged(packet: &[u8]) -> bool {
    let silent = |frame: &[u8]| matches!(frame, [0xFF, 0xFE | 0xFF, ..]);
    Toc::of(packet).is_ok_and(|toc| toc.coding() == Coding::Celt)
        && opus::packet::parse(packet).is_ok_and(|parsed| parsed.frames.iter().all(|frame| silent(frame)))
}

/// The greatest amplitude of a packet that is decoded by itself; full scale for what can't be.
fn peak(packet: &[u8]) -> f32 {
    let mut sound = Vec::new();
    let decoded = Decoder::new(1).and_then(|mut decoder| decoder.decode(packet, &mut sound));
    decoded.map_or(1.0, |_| sound.iter().fold(0.0, |peak, sample| sample.abs().max(peak)))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::super::Encoder;
    use super::*;

    /// Half a second of a tone, and what follows when digital silence has lasted for a second.
    fn packets(channels: u8, bit_rate: i32) -> (Vec<Bytes>, Vec<Bytes>) {
        let mut encoder = Encoder::new(channels, bit_rate, 9).unwrap();
        let length = 960 * usize::from(channels);
        let tone: Vec<f32> = (0..length).map(|n| (n as f32 * 0.06).sin() * 0.3).collect();
        let mut encode =
            |sound: &[f32], count| -> Vec<Bytes> { (0..count).map(|_| encoder.encode(sound).unwrap()).collect() };
        let sounding = encode(&tone, 25);
        (sounding, encode(&vec![0.0; length], 75).split_off(50))
    }

    #[test]
    fn digital_silence_is_silent_and_a_tone_is_not() {
        for (channels, bit_rate) in [(1, 16_000), (1, 32_000), (2, 32_000), (1, 64_000), (2, 128_000)] {
            let (tone, silence) = packets(channels, bit_rate);
            assert!(tone.iter().all(|packet| !is_silent(packet, None)), "{bit_rate}");
            assert!(
                tone.iter().all(|packet| !is_silent(packet, Some(SILENT_LEVEL))),
                "{bit_rate}: whatever its level says"
            );
            assert!(silence.iter().all(|packet| is_silent(packet, Some(SILENT_LEVEL))), "{bit_rate}");
            // The transform coder, which is all there is at such rates, has a flag.
            assert!(bit_rate < 64_000 || silence.iter().all(|packet| is_silent(packet, None)), "{bit_rate}");
        }
        assert!(is_silent(&[0x78], None) && is_silent(&[0xF8, 0xFF, 0xFE], None));
        assert!(!is_silent(&[0xF8, 0xFF, 0xFC], None));
    }

    #[test]
    fn a_frame_with_the_silence_flag_is_silent_and_one_without_is_not() {
        // Mono CELT of 20 ms at four bandwidths; the flag is decoded from the first fifteen bits.
        for toc in [0x98, 0xB8, 0xD8, 0xF8] {
            for second in 0xF0..=0xFF {
                let packet: Vec<u8> =
                    [toc, 0xFF, second].into_iter().chain((0..60_u8).map(|n| n.wrapping_mul(37))).collect();
                let mut decoder = Decoder::new(1).unwrap();
                let mut sound = Vec::new();
                decoder.decode(&packet, &mut sound).unwrap();
                let quiet = sound.iter().all(|sample| sample.abs() < 1e-6);
                assert_eq!(is_silent(&packet, None), quiet, "{toc:x} {second:x}");
            }
        }
        assert!(!is_silent(&[0x78, 0xFF, 0xFF, 0xFF], None), "no CELT");
    }
}
