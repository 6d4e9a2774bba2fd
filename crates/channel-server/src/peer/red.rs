//! Redundant audio (RED, RFC 2198): a packet that carries, before its own Opus frame, those of packets before it.
//!
//! Who takes no RED gets out of it the packets that were lost on the way, as behind a LiveKit server: late, and once ([`History`]).

use bytes::Bytes;
use rtc::rtp::Packet;

/// The most blocks that are looked at; SDKs send one or two redundant ones.
const MAX_BLOCKS: usize = 32;

/// What is in a packet of RED.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Red {
    /// The packet's own frame, the last block.
    pub(super) primary: Bytes,
    /// The payload type of all blocks; `None` where they differ.
    pub(super) payload_type: Option<u8>,
    /// The frames of the packets before it, the oldest first.
    redundant: Vec<Redundant>,
}

/// The frame of an earlier packet.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Redundant {
    /// How much earlier, in RTP time.
    before: u32,
    frame: Bytes,
}

/// Which packets of a track were sent on: the last [`REMEMBERED`]. Another SSRC, or a number that comes again with another time, is a sender
/// that counts anew: what was before is forgotten.
#[derive(Debug)]
pub(super) struct History {
    ssrc: u32,
    newest: u16,
    /// Bit n: the packet n before the newest.
    sent: u64,
    /// The RTP times of those that were sent, by their numbers.
    times: [Option<u32>; REMEMBERED],
}

/// As many as `History::sent` has bits.
const REMEMBERED: usize = 64;

impl History {
    /// Of a track whose first packet this is. What was before it is nobody's loss.
    pub(super) const fn since(first: &Packet) -> Self {
        let newest = first.header.sequence_number.wrapping_sub(1);
        Self { ssrc: first.header.ssrc, newest, sent: u64::MAX, times: [None; REMEMBERED] }
    }

    /// A packet of the track arrives.
    pub(super) fn meet(&mut self, packet: &Packet) {
        let header = &packet.header;
        let known = if self.was_sent(header.sequence_number) { self.time(header.sequence_number) } else { None };
        if header.ssrc != self.ssrc || known.is_some_and(|time| time != header.timestamp) {
            *self = Self::since(packet);
        }
    }

    /// A packet is to be sent on; whether it was not before. One that is older than what is remembered counts as new.
    pub(super) fn send(&mut self, packet: &Packet) -> bool {
        let number = packet.header.sequence_number;
        let ahead = number.wrapping_sub(self.newest);
        let new = if ahead > 0 && ahead < 0x8000 {
            self.sent = self.sent.checked_shl(ahead.into()).unwrap_or(0) | 1;
            self.newest = number;
            true
        } else {
            let new = !self.was_sent(number);
            self.sent |= self.bit(number);
            new
        };
        if new && self.was_sent(number) {
            self.times[usize::from(number) % REMEMBERED] = Some(packet.header.timestamp);
        }
        new
    }

    /// The bit of a number that is not ahead; none of one that is forgotten.
    fn bit(&self, number: u16) -> u64 {
        1_u64.checked_shl(self.newest.wrapping_sub(number).into()).unwrap_or(0)
    }

    fn was_sent(&self, number: u16) -> bool {
        self.sent & self.bit(number) != 0
    }

    fn time(&self, number: u16) -> Option<u32> {
        self.times[usize::from(number) % REMEMBERED]
    }

    /// Whether it is known if the packet was sent.
    const fn remembers(&self, packet: &Packet) -> bool {
        let behind = self.newest.wrapping_sub(packet.header.sequence_number);
        behind < 64 || behind >= 0x8000
    }

    /// The packets before this one that were lost and that it carries, as plain Opus, the oldest first. Each is given out once.
    pub(super) fn recover(&mut self, packet: &Packet, red: &Red) -> Vec<Packet> {
        if red.payload_type.is_none() {
            return Vec::new();
        }
        let count = red.redundant.len();
        let carried = red.redundant.iter().enumerate().map(|(at, block)| {
            let mut earlier = Packet { payload: block.frame.clone(), ..packet.clone() };
            let header = &mut earlier.header;
            // At most `MAX_BLOCKS`.
            header.sequence_number = header.sequence_number.wrapping_sub((count - at) as u16);
            header.timestamp = header.timestamp.wrapping_sub(block.before);
            header.marker = false;
            earlier
        });
        let frames = carried.filter(|earlier| !earlier.payload.is_empty());
        frames.filter(|earlier| self.remembers(earlier) && self.send(earlier)).collect()
    }
}

/// Reads the payload of a packet of RED; `None` when it is none.
pub(super) fn parse(payload: &Bytes) -> Option<Red> {
    let mut at = 0_usize;
    let (mut payload_types, mut blocks) = (Vec::new(), Vec::new());
    loop {
        let first = *payload.get(at)?;
        payload_types.push(first & 0x7f);
        if first & 0x80 == 0 {
            at += 1;
            break;
        }
        // RFC 2198 section 3: 14 bits of timestamp offset, 10 bits of length.
        let head = payload.get(at..at + 4)?;
        let length = usize::from(u16::from_be_bytes([head[2] & 0x03, head[3]]));
        blocks.push((u32::from(u16::from_be_bytes([head[1], head[2]]) >> 2), length));
        at += 4;
        if payload_types.len() > MAX_BLOCKS {
            return None;
        }
    }
    let mut redundant = Vec::with_capacity(blocks.len());
    for (before, length) in blocks {
        let end = at.checked_add(length).filter(|end| *end <= payload.len())?;
        redundant.push(Redundant { before, frame: payload.slice(at..end) });
        at = end;
    }
    let same = payload_types.iter().all(|payload_type| *payload_type == payload_types[0]);
    Some(Red { primary: payload.slice(at..), payload_type: same.then_some(payload_types[0]), redundant })
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
        let before = Redundant { before: 960, frame: Bytes::from_static(b"before") };
        let primary = Bytes::from_static(b"now");
        assert_eq!(red, Red { primary, payload_type: Some(111), redundant: vec![before] });
        let alone = parse(&Bytes::from_static(b"\x6fnow")).unwrap();
        assert_eq!((alone.primary.as_ref(), alone.payload_type), (b"now".as_slice(), Some(111)));
        let mixed = parse(&Bytes::from_static(&[0x80 | 111, 0, 0, 1, 110, 1, 2])).unwrap();
        assert_eq!((mixed.primary.as_ref(), mixed.payload_type), ([2].as_slice(), None));
    }

    fn packet(number: u16, payload: Bytes) -> Packet {
        let mut packet = Packet { payload, ..Packet::default() };
        (packet.header.sequence_number, packet.header.timestamp) = (number, u32::from(number) * 960);
        packet
    }

    #[test]
    fn a_lost_packet_comes_out_of_the_next_one_once() {
        let carrying = |number: u16| packet(number, packed(111, b"before", b"now"));
        let arrives = |history: &mut History, number: u16| {
            let packet = carrying(number);
            let recovered = history.recover(&packet, &parse(&packet.payload).unwrap());
            let earlier: Vec<_> =
                recovered.iter().map(|packet| (packet.header.sequence_number, packet.header.timestamp)).collect();
            assert!(recovered.iter().all(|packet| packet.payload == b"before".as_slice()));
            (earlier, history.send(&packet))
        };
        let mut history = History::since(&carrying(65_533));
        assert_eq!(arrives(&mut history, 65_533), (vec![], true), "what was before the first one was not lost");
        assert_eq!(arrives(&mut history, 65_534), (vec![], true));
        let zero = packet(0, packed(111, b"before", b"now"));
        assert_eq!(zero.header.timestamp, 0);
        let recovered = history.recover(&zero, &parse(&zero.payload).unwrap());
        assert_eq!((recovered.len(), recovered[0].header.sequence_number), (1, 65_535));
        assert_eq!(recovered[0].header.timestamp, 0_u32.wrapping_sub(960));
        assert!(history.send(&zero));
        assert_eq!(arrives(&mut history, 65_535), (vec![], false), "sent again on request: it is there already");
        assert_eq!(arrives(&mut history, 3), (vec![(2, 2 * 960)], true), "1 is lost for good, or comes later");
        assert_eq!(arrives(&mut history, 1), (vec![], true));
        assert_eq!(arrives(&mut history, 500), (vec![(499, 499 * 960)], true));
        assert_eq!(arrives(&mut history, 3), (vec![], true), "older than what is remembered");
    }

    #[test]
    fn a_sender_that_counts_anew_is_new() {
        let at = |ssrc: u32, number: u16, timestamp: u32| {
            let mut packet = packet(number, Bytes::from_static(b"now"));
            (packet.header.ssrc, packet.header.timestamp) = (ssrc, timestamp);
            packet
        };
        let mut history = History::since(&at(1, 100, 0));
        let mut sends = |packet: Packet| {
            history.meet(&packet);
            history.send(&packet)
        };
        assert!((100..200).all(|number| sends(at(1, number, u32::from(number) * 960))));
        assert!(!sends(at(1, 190, 190 * 960)), "a copy");
        assert!((160..230).all(|number| sends(at(1, number, u32::from(number) * 960 + 77_777))), "numbers jump back");
        assert!(!sends(at(1, 229, 229 * 960 + 77_777)));
        assert!((200..300).all(|number| sends(at(2, number, 229 * 960 + 77_777))), "another SSRC");
    }

    #[test]
    fn a_packet_without_a_frame_is_not_made_up() {
        let mut history = History::since(&packet(7, Bytes::new()));
        assert!(history.send(&packet(7, Bytes::new())));
        let empty = packet(9, packed(111, b"", b"now"));
        assert_eq!(history.recover(&empty, &parse(&empty.payload).unwrap()), []);
        let foreign = packet(9, Bytes::from_static(&[0x80 | 111, 0, 0, 1, 110, 1, 2]));
        assert_eq!(history.recover(&foreign, &parse(&foreign.payload).unwrap()), []);
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
