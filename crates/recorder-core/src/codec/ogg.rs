//! Ogg Opus (RFC 3533, RFC 7845): `OpusHead`, `OpusTags`, then the packets in pages of a second.
//!
//! Granule positions are the sum of the packets' lengths, the pre-skip included, so that the file is as long as the segments were.

mod reader;

use ogg::{PacketWriteEndInfo, PacketWriter};

pub use reader::{OggError, read};

use super::opus::LOOKAHEAD;
use crate::units::{TICKS_PER_SECOND, Ticks};

/// How much sound a page holds, so that players find a place without reading much.
const PAGE: Ticks = Ticks::from_secs(1);

/// Who wrote the file, in its tags. A file that is made again has to be the same bytes, so this never changes.
const VENDOR: &str = "cloud-recorder";

/// A file in the making; it holds what was not taken yet, and the last packet.
pub struct Writer {
    pages: PacketWriter<'static, Vec<u8>>,
    serial: u32,
    /// End of the last packet that was pushed.
    granule: Ticks,
    /// Where the open page began.
    page: Ticks,
    /// The last packet, since only the next one or the end says how it is written.
    held: Option<Vec<u8>>,
}

impl Writer {
    /// Begins a file of 1 or 2 `channels`; `serial` names the stream.
    pub fn new(channels: u8, serial: u32) -> Self {
        let pages = PacketWriter::new(Vec::new());
        let mut writer = Self { pages, serial, granule: Ticks::ZERO, page: Ticks::ZERO, held: None };
        writer.write(head(channels), PacketWriteEndInfo::EndPage);
        writer.write(tags(), PacketWriteEndInfo::EndPage);
        writer
    }

    /// Appends a packet.
    pub fn push(&mut self, packet: &[u8], duration: Ticks) {
        if let Some(held) = self.held.replace(packet.to_vec()) {
            let full = self.granule - self.page >= PAGE;
            if full {
                self.page = self.granule;
            }
            let end = if full { PacketWriteEndInfo::EndPage } else { PacketWriteEndInfo::NormalPacket };
            self.write(held, end);
        }
        self.granule += duration;
    }

    /// The file's next bytes.
    pub fn take(&mut self) -> Vec<u8> {
        std::mem::take(self.pages.inner_mut())
    }

    /// Ends the file; its last bytes.
    pub fn finish(mut self) -> Vec<u8> {
        if let Some(held) = self.held.take() {
            self.write(held, PacketWriteEndInfo::EndStream);
        }
        self.take()
    }

    fn write(&mut self, packet: Vec<u8>, end: PacketWriteEndInfo) {
        let written = self.pages.write_packet(packet, self.serial, end, self.granule.0);
        written.expect("writing to memory does not fail");
    }
}

/// RFC 7845 section 5.1: version 1, no gain, mapping family 0.
fn head(channels: u8) -> Vec<u8> {
    let mut head = b"OpusHead\x01".to_vec();
    head.push(channels);
    head.extend_from_slice(&(LOOKAHEAD.0 as u16).to_le_bytes());
    head.extend_from_slice(&(TICKS_PER_SECOND as u32).to_le_bytes());
    head.extend_from_slice(&[0, 0, 0]);
    head
}

/// RFC 7845 section 5.2: the vendor, no comments.
fn tags() -> Vec<u8> {
    let mut tags = b"OpusTags".to_vec();
    tags.extend_from_slice(&(VENDOR.len() as u32).to_le_bytes());
    tags.extend_from_slice(VENDOR.as_bytes());
    tags.extend_from_slice(&0_u32.to_le_bytes());
    tags
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::codec::fmp4::Sample;

    fn file(packets: &[Sample]) -> Bytes {
        let mut writer = Writer::new(2, 7);
        let mut file = Vec::new();
        for packet in packets {
            writer.push(&packet.bytes, packet.duration);
            file.extend(writer.take());
        }
        file.extend(writer.finish());
        file.into()
    }

    /// Opus packets: 20 ms, 10 ms and 2.5 ms; one is longer than a page's segments.
    fn packets() -> Vec<Sample> {
        let sample = |n: usize| {
            let (toc, ticks) = [(0xF8, 960), (0xF0, 480), (0xE0, 120)][n % 3];
            let mut bytes = vec![toc];
            bytes.resize(3 + n % 300, n as u8);
            Sample { bytes: bytes.into(), duration: Ticks(ticks) }
        };
        (0..500).map(sample).collect()
    }

    #[test]
    fn packets_come_back_bit_for_bit() {
        for count in [1, 2, 500] {
            let packets = &packets()[..count];
            let read = read(&file(packets)).unwrap();
            assert_eq!(read.samples, packets);
            assert_eq!((read.init.channels, read.init.pre_skip), (2, LOOKAHEAD));
        }
    }

    #[test]
    fn damage_is_named_and_never_a_panic() {
        let whole = file(&packets()[..40]);
        for cut in (0..whole.len()).step_by(7) {
            assert!(read(&whole.slice(..cut)).is_err(), "cut at {cut}");
        }
        let mut other = whole.to_vec();
        other[whole.len() - 5] ^= 1;
        assert!(read(&other.into()).is_err(), "each page has a checksum");
    }
}
