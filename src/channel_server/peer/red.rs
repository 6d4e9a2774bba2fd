//! Redundant audio (RED, RFC 2198): a packet that carries, before its own Opus frame, those of packets before it.

use bytes::Bytes;

/// The most blocks that are looked at; SDKs send one or two redundant ones.
const MAX_BLOCKS: usize = 32;

/// What is in a packet of RED.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Red {
    /// The packet's own frame, the last block.
    pub(super) primary: Bytes,
    /// The payload type of all blocks; `None` where they differ.
    pub(super) payload_type: Option<u8>,
}

/// Reads the payload of a packet of RED; `None` when it is none.
pub(super) fn parse(payload: &Bytes) -> Option<Red> {
    let (mut at, mut redundant) = (0_usize, 0_usize);
    let mut payload_types = Vec::new();
    loop {
        let first = *payload.get(at)?;
        payload_types.push(first & 0x7f);
        if first & 0x80 == 0 {
            at += 1;
            break;
        }
        // RFC 2198 section 3: 14 bits of timestamp offset, 10 bits of length.
        let length = payload.get(at + 2..at + 4)?;
        redundant += usize::from(u16::from_be_bytes([length[0] & 0x03, length[1]]));
        at += 4;
        if payload_types.len() > MAX_BLOCKS {
            return None;
        }
    }
    let start = at.checked_add(redundant).filter(|start| *start <= payload.len())?;
    let same = payload_types.iter().all(|payload_type| *payload_type == payload_types[0]);
    Some(Red { primary: payload.slice(start..), payload_type: same.then_some(payload_types[0]) })
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A packet of RED with one redundant block before the primary one.
    pub(in super::super) fn packed(payload_type: u8, redundant: &[u8], primary: &[u8]) -> Bytes {
        let length = u16::try_from(redundant.len()).unwrap();
        let header = [0x80 | payload_type, 0x0f, (length >> 8) as u8, length as u8, payload_type];
        [&header, redundant, primary].concat().into()
    }

    #[test]
    fn the_last_block_is_the_packets_own() {
        let red = parse(&packed(111, b"before", b"now")).unwrap();
        assert_eq!(red, Red { primary: Bytes::from_static(b"now"), payload_type: Some(111) });
        let alone = parse(&Bytes::from_static(b"\x6fnow")).unwrap();
        assert_eq!((alone.primary.as_ref(), alone.payload_type), (b"now".as_slice(), Some(111)));
        let mixed = Bytes::from_static(&[0x80 | 111, 0, 0, 1, 110, 1, 2]);
        assert_eq!(parse(&mixed), Some(Red { primary: Bytes::from_static(&[2]), payload_type: None }));
    }

    #[test]
    fn what_ends_too_soon_is_none() {
        let whole = packed(111, b"before", b"");
        for end in 0..whole.len() {
            assert_eq!(parse(&whole.slice(..end)), None, "{end}");
        }
        assert_eq!(parse(&vec![0x80; 4_000].into()), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = parse(&bytes.into());
        }
    }
}
