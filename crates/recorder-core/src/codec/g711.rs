//! G.711 (ITU-T G.711, 11/1988), as RTP carries it (RFC 3551 section 4.5.14): a byte a sample at 8 kHz, in one of two laws. Decoding is a
//! table of 256 values each; the laws give 14 and 13 bits, which are laid left-justified in 16.

use super::opus::PacketError;
use crate::units::Ticks;

/// Samples at 48 kHz in one at 8 kHz.
pub const TICKS_A_SAMPLE: u64 = 6;

/// Bytes in 10 ms. Every length of a packet that is in use is a multiple of it.
const BYTES_IN_10_MS: usize = 80;

/// The longest packet: 120 ms, as in Opus.
const MAX_BYTES: usize = 12 * BYTES_IN_10_MS;

/// A shorter payload is comfort noise (RFC 3389), which has a clock and a sequence in common with the sound: neither sound nor loss.
const SHORTEST_SOUND: usize = 20;

/// One of the two laws.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Law {
    /// mu-law, of North America and Japan: PCMU.
    Mu,
    /// A-law, of everybody else: PCMA.
    A,
}

impl Law {
    /// The sample that a byte stands for.
    pub const fn sample(self, byte: u8) -> i16 {
        match self {
            Self::Mu => mu(byte),
            Self::A => a(byte),
        }
    }

    /// The samples of a payload.
    pub fn decode(self, payload: &[u8]) -> impl Iterator<Item = i16> {
        payload.iter().map(move |byte| self.sample(*byte))
    }
}

/// How long a payload sounds.
pub fn duration(payload: &[u8]) -> Result<Ticks, PacketError> {
    match payload.len() {
        ..SHORTEST_SOUND => Err(PacketError::Empty),
        length if length > MAX_BYTES || !length.is_multiple_of(BYTES_IN_10_MS) => Err(PacketError::Malformed),
        length => Ok(Ticks(length as u64 * TICKS_A_SAMPLE)),
    }
}

/// An RTP time at 8 kHz as one at 48 kHz. Both wrap at 2^32, and so does the product.
pub const fn timestamp(at_8_khz: u32) -> u32 {
    at_8_khz.wrapping_mul(TICKS_A_SAMPLE as u32)
}

/// Every bit is sent inverted: sign, three bits of the segment, four of the step in it. A bias of 33 (132 in 16 bits) makes each segment
/// twice as wide as the one before.
const fn mu(byte: u8) -> i16 {
    const BIAS: i16 = 0x84;
    let bits = !byte;
    let size = ((((bits & 0x0F) as i16) << 3) + BIAS) << ((bits & 0x70) >> 4);
    if bits & 0x80 != 0 { BIAS - size } else { size - BIAS }
}

/// Every other bit is sent inverted. The first two segments are equally wide.
const fn a(byte: u8) -> i16 {
    let bits = byte ^ 0x55;
    let (step, segment) = (((bits & 0x0F) as i16) << 4, (bits & 0x70) >> 4);
    let size = if segment == 0 { step + 8 } else { (step + 0x108) << (segment - 1) };
    if bits & 0x80 != 0 { size } else { -size }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ends_of_the_tables_are_the_standards() {
        let mu = |byte| Law::Mu.sample(byte);
        assert_eq!([mu(0x00), mu(0x80), mu(0xFF), mu(0x7F), mu(0xFE)], [-32_124, 32_124, 0, 0, 8]);
        let a = |byte| Law::A.sample(byte);
        assert_eq!([a(0xD5), a(0x55), a(0xAA), a(0x2A)], [8, -8, 32_256, -32_256]);
    }

    #[test]
    fn lengths_are_those_of_sound_comfort_noise_or_nothing() {
        assert_eq!(duration(&[0; 160]), Ok(Ticks(960)));
        assert_eq!(duration(&[0; 240]), Ok(Ticks(1_440)));
        assert_eq!(duration(&[0; 1]), Err(PacketError::Empty));
        assert_eq!(duration(&[0; 170]), Err(PacketError::Malformed));
        assert_eq!(duration(&[0; 1_040]), Err(PacketError::Malformed));
    }

    #[test]
    fn times_go_on_over_the_wrap() {
        assert_eq!(timestamp(100_u32.wrapping_sub(160)).wrapping_add(960), timestamp(100));
        assert_eq!(timestamp(u32::MAX).wrapping_add(6), timestamp(0));
    }
}
