//! The vendor's packing: little-endian integers, strings with a 16-bit length (docs/protocol/agora.md section 8.1).

/// Reads packed values; every method answers `None` at the end of the bytes.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a>(pub &'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn u16(&mut self) -> Option<u16> {
        Some(u16::from_le_bytes(self.take(2)?.try_into().ok()?))
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        Some(u32::from_le_bytes(self.take(4)?.try_into().ok()?))
    }

    pub(super) fn bytes(&mut self) -> Option<&'a [u8]> {
        let len = self.u16()?;
        self.take(usize::from(len))
    }

    pub(super) fn text(&mut self) -> Option<&'a str> {
        std::str::from_utf8(self.bytes()?).ok()
    }

    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (head, tail) = self.0.split_at_checked(len)?;
        self.0 = tail;
        Some(head)
    }
}

/// Packs values.
#[derive(Default)]
pub(super) struct Writer(pub Vec<u8>);

impl Writer {
    pub(super) fn u16(mut self, value: u16) -> Self {
        self.0.extend(value.to_le_bytes());
        self
    }

    pub(super) fn u32(mut self, value: u32) -> Self {
        self.0.extend(value.to_le_bytes());
        self
    }

    /// Anything longer than a 16-bit length can say is cut; names and signatures never are.
    pub(super) fn bytes(self, value: &[u8]) -> Self {
        let len = u16::try_from(value.len()).unwrap_or(u16::MAX);
        let mut writer = self.u16(len);
        writer.0.extend(&value[..usize::from(len)]);
        writer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_the_end_is_noticed() {
        let packed = Writer::default().u16(7).u32(1 << 30).bytes(b"room").0;
        let mut reader = Reader(&packed);
        assert_eq!((reader.u16(), reader.u32(), reader.text()), (Some(7), Some(1 << 30), Some("room")));
        assert_eq!(reader.u16(), None);
        assert_eq!(Reader(&[9, 0, b'x']).bytes(), None, "a length past the end");
    }
}
