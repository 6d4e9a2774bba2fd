//! The file header and the frame around each record (layout in [`super`]).

/// Length of the file header in bytes.
pub const HEADER_BYTES: usize = 16;
/// Longest body of a frame in bytes.
pub const MAX_BODY_BYTES: usize = u16::MAX as usize;
/// Length of a frame without its body, in bytes.
pub(super) const FRAME_BYTES: usize = 7;
/// The version written and read.
pub(super) const VERSION: u16 = 1;

const MAGIC: [u8; 8] = *b"\x89CRJ\r\n\x1a\n";

/// A file's first bytes.
pub(super) fn header() -> [u8; HEADER_BYTES] {
    let mut bytes = [0; HEADER_BYTES];
    bytes[..8].copy_from_slice(&MAGIC);
    bytes[8..10].copy_from_slice(&VERSION.to_le_bytes());
    let crc = crc32fast::hash(&bytes[..12]);
    bytes[12..].copy_from_slice(&crc.to_le_bytes());
    bytes
}

/// What a file's first bytes say.
pub(super) enum Header {
    /// This version's journal.
    Ours,
    /// A journal of another version.
    Version(u16),
    /// Right magic, wrong sum.
    Damaged,
    /// Something else.
    Foreign,
}

pub(super) fn read_header(bytes: &[u8; HEADER_BYTES]) -> Header {
    if bytes[..8] != MAGIC {
        return Header::Foreign;
    }
    if crc32fast::hash(&bytes[..12]).to_le_bytes() != bytes[12..] {
        return Header::Damaged;
    }
    match u16::from_le_bytes([bytes[8], bytes[9]]) {
        VERSION => Header::Ours,
        other => Header::Version(other),
    }
}

/// Whether `bytes` could be the beginning of a header: what a crash right after creating the file leaves.
pub(super) fn is_torn_header(bytes: &[u8]) -> bool {
    bytes.len() < HEADER_BYTES && (header().starts_with(bytes) || bytes.iter().all(|byte| *byte == 0))
}

/// Reserves the place of a frame's head; the body is appended to `out` after this. Returns what [`close`] wants.
pub(super) fn open(out: &mut Vec<u8>) -> usize {
    let start = out.len();
    out.extend_from_slice(&[0; FRAME_BYTES]);
    start
}

/// Fills in the head of the frame that [`open`] began. `false` when the body is empty or too long: then nothing is left of it.
pub(super) fn close(out: &mut Vec<u8>, start: usize) -> bool {
    let Some(length) = u16::try_from(out.len() - start - FRAME_BYTES).ok().filter(|length| *length > 0) else {
        out.truncate(start);
        return false;
    };
    let length = length.to_le_bytes();
    let crc = sum(length, &out[start + FRAME_BYTES..]);
    out[start..start + 2].copy_from_slice(&length);
    out[start + 2] = check(length);
    out[start + 3..start + FRAME_BYTES].copy_from_slice(&crc.to_le_bytes());
    true
}

/// The head of a frame.
pub(super) struct Head {
    length: [u8; 2],
    check: u8,
    crc: [u8; 4],
}

impl Head {
    pub(super) fn read(bytes: [u8; FRAME_BYTES]) -> Self {
        let [low, high, check, a, b, c, d] = bytes;
        Self { length: [low, high], check, crc: [a, b, c, d] }
    }

    /// The body's length, if the head is whole.
    pub(super) fn length(&self) -> Option<usize> {
        let length = usize::from(u16::from_le_bytes(self.length));
        (check(self.length) == self.check && length > 0).then_some(length)
    }

    /// Whether `body` is the one that was written.
    pub(super) fn fits(&self, body: &[u8]) -> bool {
        sum(self.length, body).to_le_bytes() == self.crc
    }

    /// The same, where `body` says what the body does to the state of the sum before it.
    pub(super) fn fits_sum(&self, body: impl FnOnce(u32) -> u32) -> bool {
        let before = !crc32fast::hash(&self.length);
        (!body(before)).to_le_bytes() == self.crc
    }
}

fn check(length: [u8; 2]) -> u8 {
    length[0] ^ length[1] ^ 0xa5
}

fn sum(length: [u8; 2], body: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&length);
    hasher.update(body);
    hasher.finalize()
}
