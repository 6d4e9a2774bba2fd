//! What fills a hole in a track whose packets pass untouched (docs/protocol/media.md section 2).
//!
//! Rules: a sender's DTX hole and the first 100 ms of a loss are filled with [`concealment`], anything longer or announced
//! (mute, absence, outage) with [`silence`].

use bytes::Bytes;

use super::packet::{PacketError, Toc};
use crate::codec::fmp4::Sample;
use crate::units::Ticks;

/// 20 ms of digital silence in SILK, narrow band, mono, as the encoder makes it in its steady state. The change of coder
/// makes every decoder reset, so that the sound after it is what a fresh decoder would give.
pub const RESET_FRAME: [u8; 6] = [0x08, 0x08, 0xAC, 0xB3, 0x0E, 0xC6];

/// Length of [`RESET_FRAME`] and of the longest silent packet.
const FRAME: Ticks = Ticks::from_ms(20);

/// The shortest packet Opus has: 2.5 ms.
const SHORTEST: Ticks = Ticks(120);

/// Silent CELT packets, full band, mono, with their lengths: each twice the one before, so that the bits of a rest counted
/// in [`SHORTEST`] say which are needed.
static SILENT: [(Ticks, [u8; 3]); 4] = [
    (SHORTEST, [0xE0, 0xFF, 0xFE]),
    (Ticks(240), [0xE8, 0xFF, 0xFE]),
    (Ticks(480), [0xF0, 0xFF, 0xFE]),
    (FRAME, [0xF8, 0xFF, 0xFE]),
];

/// Packets of silence; see [`silence`].
#[derive(Clone, Debug)]
pub struct Silence {
    left: Ticks,
    resumes: bool,
}

/// Packets that together last `length`, less what [`Silence::carried`] says: the short ones first, then 20 ms each. With
/// `resumes` the last is the [`RESET_FRAME`] (if 20 ms fit), so that the sound that follows starts clean.
pub const fn silence(length: Ticks, resumes: bool) -> Silence {
    Silence { left: length, resumes }
}

impl Silence {
    /// The rest below 2.5 ms that no packet can fill; the caller carries it to its next hole.
    pub const fn carried(&self) -> Ticks {
        Ticks(self.left.0 % SHORTEST.0)
    }
}

impl Iterator for Silence {
    type Item = Sample;

    fn next(&mut self) -> Option<Sample> {
        let quarters = self.left.0 % FRAME.0 / SHORTEST.0;
        let (duration, bytes) = &SILENT[if quarters == 0 { 3 } else { quarters.trailing_zeros() as usize }];
        if self.left < *duration {
            return None;
        }
        let last_frame = *duration == FRAME && self.left.0 < 2 * FRAME.0;
        self.left = self.left - *duration;
        let bytes: &'static [u8] = if last_frame && self.resumes { &RESET_FRAME } else { bytes };
        Some(Sample { bytes: Bytes::from_static(bytes), duration: *duration })
    }
}

/// A packet of one byte that makes a decoder conceal one frame in the manner of the packet before it: `[toc & 0xFC]`.
/// Its length is that of one frame of `last`.
pub fn concealment(last: &[u8]) -> Result<Sample, PacketError> {
    let toc = Toc::of(last)?;
    Ok(Sample { bytes: Bytes::copy_from_slice(&[toc.alone()]), duration: toc.frame() })
}

/// Whether a packet of a track of ours holds no sound: silence, concealment, or the word of a sender's DTX.
pub fn is_filler(packet: &[u8]) -> bool {
    packet.len() <= 2 || *packet == RESET_FRAME || SILENT.iter().any(|(_, silent)| packet == silent)
}

#[cfg(test)]
mod tests {
    use super::super::{Decoder, duration};
    use super::*;

    #[test]
    fn silence_is_as_long_as_asked_for_and_every_packet_is_as_long_as_it_says() {
        for ticks in [0, 119, 120, 960, 961, 1079, 1080, 2000, 48_000, 48_000 + 840, 123_457] {
            for resumes in [false, true] {
                let silence = silence(Ticks(ticks), resumes);
                let carried = silence.carried();
                let packets: Vec<Sample> = silence.collect();
                assert!(carried < SHORTEST);
                assert_eq!(packets.iter().map(|packet| packet.duration.0).sum::<u64>() + carried.0, ticks);
                assert!(packets.is_sorted_by_key(|packet| packet.duration), "the short ones come first");
                for packet in &packets {
                    assert_eq!(duration(&packet.bytes), Ok(packet.duration));
                }
                let reset = packets.iter().position(|packet| packet.bytes == RESET_FRAME[..]);
                assert_eq!(reset, (resumes && ticks >= 960).then(|| packets.len() - 1));
            }
        }
    }

    #[test]
    fn silence_decodes_to_silence() {
        let mut decoder = Decoder::new(2).unwrap();
        let mut sound = Vec::new();
        for packet in silence(Ticks::from_ms(137), true) {
            decoder.decode(&packet.bytes, &mut sound).unwrap();
        }
        assert_eq!(sound.len(), 2 * Ticks::from_ms(137).0 as usize - 2 * 96, "137 ms less the carried 2 ms");
        assert!(sound.iter().all(|sample| sample.abs() <= 1.0 / 32_768.0));
    }

    #[test]
    fn concealment_keeps_coder_and_frame_of_the_packet_before() {
        let sample = concealment(&[0x7F, 1, 2, 3]).unwrap();
        assert_eq!((&sample.bytes[..], sample.duration), (&[0x7C][..], Ticks(960)));
        assert_eq!(duration(&sample.bytes), Ok(Ticks(960)));
        assert!(concealment(&[]).is_err());
    }
}
