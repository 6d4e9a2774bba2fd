//! What an Opus packet says about itself without being decoded (RFC 6716 section 3).

use opus::Channels;

use crate::error_class::{Classify, ErrorClass};
use crate::units::Ticks;

/// The longest sound a packet can hold: 120 ms (RFC 6716 section 3.2.5).
pub const MAX_PACKET: Ticks = Ticks::from_ms(120);

/// The largest packet that a DTX frame may be, in bytes; a decoder fills it with comfort noise.
const DTX_BYTES: usize = 2;

/// Which of Opus's coders made a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    /// Linear prediction, for speech at low rates.
    Silk,
    /// Both at once.
    Hybrid,
    /// Transform, for everything else.
    Celt,
}

/// The first byte of a packet (RFC 6716 section 3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Toc(u8);

impl Toc {
    /// The table-of-contents byte of a packet.
    pub fn of(packet: &[u8]) -> Result<Self, PacketError> {
        packet.first().copied().map(Self).ok_or(PacketError::Empty)
    }

    /// Which coder made it.
    pub const fn coding(self) -> Coding {
        match self.0 >> 3 {
            0..12 => Coding::Silk,
            12..16 => Coding::Hybrid,
            _ => Coding::Celt,
        }
    }

    /// 1 or 2.
    pub const fn channels(self) -> u8 {
        1 + ((self.0 >> 2) & 1)
    }

    /// Length of each of the packet's frames: 2.5 to 60 ms.
    pub const fn frame(self) -> Ticks {
        let config = self.0 >> 3;
        Ticks(match self.coding() {
            Coding::Silk => [480, 960, 1920, 2880][(config & 3) as usize],
            Coding::Hybrid => [480, 960][(config & 1) as usize],
            Coding::Celt => [120, 240, 480, 960][(config & 3) as usize],
        })
    }

    /// The byte with its frame count set to one: alone it is a packet that a decoder conceals for one [`Toc::frame`].
    pub(super) const fn alone(self) -> u8 {
        self.0 & 0xFC
    }
}

/// Why bytes are not an Opus packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PacketError {
    /// No bytes: RTP padding, not sound.
    #[error("the packet is empty; drop it, it is neither sound nor loss")]
    Empty,
    /// The frame lengths don't add up (RFC 6716 section 3.4), or it is longer than 120 ms.
    #[error("the packet is not Opus (RFC 6716 section 3.4); drop it and count it as lost")]
    Malformed,
}

impl Classify for PacketError {
    fn error_class(&self) -> ErrorClass {
        ErrorClass::destination("opus_packet_invalid", false)
    }
}

/// How long a packet sounds: a multiple of 2.5 ms, at most [`MAX_PACKET`]. The whole framing is checked, nothing is decoded.
pub fn duration(packet: &[u8]) -> Result<Ticks, PacketError> {
    let toc = Toc::of(packet)?;
    let frames = opus::packet::parse(packet).map_err(|_| PacketError::Malformed)?.frames.len() as u64;
    let length = Ticks(toc.frame().0 * frames);
    if frames == 0 || length > MAX_PACKET { Err(PacketError::Malformed) } else { Ok(length) }
}

/// How much sound before the packet its in-band FEC holds a second, coarser copy of: one of its frames, if SILK's LBRR flags say that there
/// is one (RFC 6716 sections 4.2.3 and 4.2.4). The flags are the first bits of the first frame, equally likely and so plainly there: for the
/// mid channel a voice activity flag for each 20 ms and one LBRR flag, then the same for the side channel.
pub fn fec(packet: &[u8]) -> Option<Ticks> {
    let toc = Toc::of(packet).ok().filter(|toc| toc.coding() != Coding::Celt)?;
    let parsed = opus::packet::parse(packet).ok()?;
    let flags = *parsed.frames.first()?.first()?;
    let parts = toc.frame().0.div_ceil(960);
    let side = toc.channels() == 2 && flags >> (6 - 2 * parts) & 1 == 1;
    (flags >> (7 - parts) & 1 == 1 || side).then(|| toc.frame())
}

/// Whether the packet is a DTX frame: the sender is silent and may send nothing for up to 400 ms.
pub const fn is_dtx(packet: &[u8]) -> bool {
    packet.len() <= DTX_BYTES
}

/// The crate's word for 1 or 2 channels; anything above 1 is stereo.
pub(super) const fn channels(count: u8) -> Channels {
    if count > 1 { Channels::Stereo } else { Channels::Mono }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_toc_names_coder_channels_and_frame() {
        let toc = |byte| Toc::of(&[byte]).unwrap();
        assert_eq!((toc(0x08).coding(), toc(0x08).frame(), toc(0x08).channels()), (Coding::Silk, Ticks(960), 1));
        assert_eq!((toc(0x7C).coding(), toc(0x7C).frame(), toc(0x7C).channels()), (Coding::Hybrid, Ticks(960), 2));
        assert_eq!((toc(0xE0).coding(), toc(0xE0).frame()), (Coding::Celt, Ticks(120)));
        assert_eq!(toc(0x18).frame(), Ticks(2880));
    }

    #[test]
    fn durations_follow_the_frame_count() {
        assert_eq!(duration(&[0xF8, 0xFF, 0xFE]), Ok(Ticks(960)));
        assert_eq!(duration(&[0xF9, 1, 2, 3, 4]), Ok(Ticks(1920)), "two frames of equal size");
        assert_eq!(duration(&[0xFB, 6, 1, 1, 1, 1, 1, 1]), Ok(MAX_PACKET), "six frames");
    }

    #[test]
    fn what_is_not_opus_is_refused() {
        assert_eq!(duration(&[]), Err(PacketError::Empty));
        assert_eq!(
            duration(&[0xF9, 1, 2, 3]),
            Err(PacketError::Malformed),
            "two frames of equal size in an odd length"
        );
        assert_eq!(duration(&[0xFB]), Err(PacketError::Malformed), "the frame count is missing");
        assert_eq!(duration(&[0xFB, 0]), Err(PacketError::Malformed), "no frames");
        assert_eq!(duration(&[0xFB, 7, 1, 1, 1, 1, 1, 1, 1]), Err(PacketError::Malformed), "140 ms");
    }

    proptest! {
        #[test]
        fn durations_agree_with_libopus(packet in proptest::collection::vec(any::<u8>(), 1..200)) {
            if let Ok(length) = duration(&packet) {
                prop_assert_eq!(length.0, opus::packet::get_nb_samples(&packet, 48_000).unwrap() as u64);
                prop_assert_eq!(length.0 % 120, 0);
            }
        }
    }
}
