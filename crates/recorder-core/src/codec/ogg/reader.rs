//! Reads back what [`super::Writer`] makes, for `verify` and for tests. It trusts nothing.

use std::io::Cursor;

use bytes::Bytes;
use ogg::{OggReadError, PacketReader};

use crate::codec::fmp4::{Init, Sample};
use crate::codec::opus;
use crate::codec::whole::Whole;
use crate::error_class::{Classify, ErrorClass};
use crate::units::Ticks;

/// Why bytes are not a file of ours.
#[derive(Debug, thiserror::Error)]
pub enum OggError {
    /// A page is cut short, or no page.
    #[error("the Ogg pages can't be read ({0}); the file is damaged or no Ogg")]
    Pages(#[from] OggReadError),
    /// The pages are there, but say what this recorder never says.
    #[error("the file is Ogg, but {0}; it is damaged or not from this recorder")]
    Unexpected(&'static str),
}

impl Classify for OggError {
    fn error_class(&self) -> ErrorClass {
        ErrorClass::destination("ogg_damaged", false)
    }
}

/// Reads a file: one stream of Opus packets with an end, whose last position is the sum of their lengths.
pub fn read(file: &Bytes) -> Result<Whole, OggError> {
    let mut packets = PacketReader::new(Cursor::new(&file[..]));
    let init = init(&packets.read_packet_expected()?.data)?;
    if !packets.read_packet_expected()?.data.starts_with(b"OpusTags") {
        return Err(OggError::Unexpected("its tags are missing"));
    }
    let (mut whole, mut end) = (Whole { init, samples: Vec::new() }, None);
    while let Some(packet) = packets.read_packet()? {
        if end.is_some() {
            return Err(OggError::Unexpected("it goes on after its end"));
        }
        end = packet.last_in_stream().then(|| Ticks(packet.absgp_page()));
        let duration = opus::duration(&packet.data).map_err(|_| OggError::Unexpected("it holds what is no Opus"))?;
        whole.samples.push(Sample { bytes: packet.data.into(), duration });
    }
    match end {
        Some(end) if end == whole.duration() => Ok(whole),
        Some(_) => Err(OggError::Unexpected("its last position is not the sum of its packets")),
        None => Err(OggError::Unexpected("it has no end")),
    }
}

fn init(head: &[u8]) -> Result<Init, OggError> {
    match head {
        [b'O', b'p', b'u', b's', b'H', b'e', b'a', b'd', 1, channels @ 1..=2, low, high, ..] => {
            Ok(Init { channels: *channels, pre_skip: Ticks(u16::from_le_bytes([*low, *high]).into()) })
        }
        _ => Err(OggError::Unexpected("its first packet is not the head of Opus in one or two channels")),
    }
}
