//! A [`Recorder`] put away as bytes, to be taken up again by another run of the worker.
//!
//! What holds: taken up again and fed the same further inputs, a recorder gives the same individual tracks bit for bit, the same
//! ledger, the same segment boundaries and the same events as one that never stopped, however often it was put away. Outputs that
//! were polled are not made again, those that were not are part of the snapshot. The mix has packets of the same lengths in the
//! same places. Where nobody is heard they are the same bit for bit; the rest of a stretch of sound in which the recorder was put
//! away differs by the coder's own noise, 24 to 26 dB below the sound, and has no seam
//! (see [`crate::codec::opus::ResumableEncoder`]).
//!
//! A snapshot is about as large as the segments that are open and the two seconds of packets that wait: 40 kB a talker of 64 kbit/s
//! and as much for a mix, plus up to 36 kB of waveform for each, plus 11 bytes a gap of the ledger.
//!
//! Layout: [`MAGIC`], the version (`u16`) and the CRC-32 of the rest (`u32`), both little endian, then the state as postcard writes
//! it. The state's types have no version of their own: whoever changes one of them, or their order, gives the format a new
//! [`VERSION`] and keeps a way to read the one before, since a worker that is replaced by a newer one leaves its snapshots to it.
//! [`older`] says how new fields are added.

mod older;

use serde::Deserialize;

use self::older::Older;
use super::Recorder;
use crate::error_class::{Classify, ErrorClass};

/// What a snapshot begins with.
const MAGIC: [u8; 4] = *b"CREC";

/// The format that is written. Each version added the fields that the table of the one before leaves out; all are still read.
const VERSION: u16 = 4;

/// Bytes before the state.
const HEADER: usize = MAGIC.len() + 2 + 4;

/// Why bytes can't be taken up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotError {
    /// Another version of the recorder wrote it.
    #[error(
        "the snapshot has format {0} and this recorder reads format {VERSION}; take it up with the version that wrote it"
    )]
    Version(u16),
    /// Cut short, changed, or no snapshot.
    #[error("the snapshot is damaged ({0}); take up an older one, or begin with the journal's first record")]
    Damaged(&'static str),
}

impl Classify for SnapshotError {
    fn error_class(&self) -> ErrorClass {
        match self {
            Self::Version(_) => ErrorClass::ours("snapshot_version", false),
            Self::Damaged(_) => ErrorClass::ours("snapshot_damaged", false),
        }
    }
}

impl Recorder {
    /// Everything that the recorder knows, as bytes; what was polled is no part of it. See the
    /// module's documentation for what holds when they are taken up again.
    pub fn snapshot(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend(VERSION.to_le_bytes());
        bytes.extend([0; 4]);
        let mut bytes = postcard::to_extend(self, bytes).expect("every list of a recorder knows its length");
        let checksum = crc32fast::hash(&bytes[HEADER..]);
        bytes[HEADER - 4..HEADER].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// The recorder that was put away as `bytes`. Damage of any kind is an error and never a panic; what is allocated before it is
    /// noticed is bounded by the length of `bytes`.
    pub fn restore(bytes: &[u8]) -> Result<Self, SnapshotError> {
        let damaged = SnapshotError::Damaged;
        let rest = bytes.strip_prefix(&MAGIC).ok_or_else(|| damaged("it does not begin like one"))?;
        let (version, rest) = rest.split_first_chunk().ok_or_else(|| damaged("it is cut short"))?;
        let version = u16::from_le_bytes(*version);
        if !(1..=VERSION).contains(&version) {
            return Err(SnapshotError::Version(version));
        }
        let (checksum, state) = rest.split_first_chunk().ok_or_else(|| damaged("it is cut short"))?;
        if u32::from_le_bytes(*checksum) != crc32fast::hash(state) {
            return Err(damaged("its checksum is wrong"));
        }
        let mut reader = postcard::Deserializer::from_bytes(state);
        let recorder = match version {
            1 => Self::deserialize(Older::new(&mut reader, older::VERSION_1)),
            2 => Self::deserialize(Older::new(&mut reader, older::VERSION_2)),
            3 => Self::deserialize(Older::new(&mut reader, older::VERSION_3)),
            _ => Self::deserialize(&mut reader),
        };
        let mut recorder = recorder.map_err(|_| damaged("it does not hold a recorder's state"))?;
        if !reader.finalize().is_ok_and(<[u8]>::is_empty) || !recorder.is_taken_up() {
            return Err(damaged("its parts do not fit"));
        }
        if version == 1 {
            recorder.is_of_format_1();
        }
        Ok(recorder)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use proptest::prelude::*;

    use super::super::{Input, Mode, Packet, Selection, Spec, TimedInput};
    use super::*;
    use crate::recording::TrackKind;
    use crate::units::{Cname, Sid, Ssrc, Ticks, TrackId, Uid, WallMs};

    fn spec(mode: Mode) -> Spec {
        Spec {
            sid: Sid::new(&"5a".repeat(16)).unwrap(),
            cname: Cname::new("room").unwrap(),
            start: WallMs(1_700_000_000_000),
            mode,
            profile: Default::default(),
            segment: Default::default(),
            selection: Selection::All,
        }
    }

    /// Two uids, one of whom has said something for four seconds.
    fn recorder(mode: Mode) -> Recorder {
        let mut recorder = Recorder::new(spec(mode));
        for (track, name) in [(1, "anna"), (2, "ben")] {
            let (uid, track) = (Uid::new(name).unwrap(), TrackId(track));
            recorder.push(TimedInput { at: Ticks::ZERO, input: Input::Joined { uid: uid.clone() } });
            recorder.push(TimedInput {
                at: Ticks::ZERO,
                input: Input::TrackAdded { track, uid, muted: false, kind: TrackKind::default() },
            });
        }
        for number in 0..200_u32 {
            let packet = Packet {
                track: TrackId(1),
                ssrc: Ssrc(9),
                sequence: number as u16,
                timestamp: number * 960,
                marker: false,
                level: Some(30),
                payload: [&[0x78][..], &number.to_be_bytes(), &[0x55; 20]].concat().into(),
            };
            recorder.push(TimedInput { at: Ticks(u64::from(number) * 960), input: Input::Packet(packet) });
        }
        recorder
    }

    fn sealed(mut bytes: Vec<u8>) -> Vec<u8> {
        let checksum = crc32fast::hash(&bytes[HEADER..]);
        bytes[HEADER - 4..HEADER].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    #[test]
    fn what_was_put_away_is_put_away_alike() {
        for mode in [Mode::Individual, Mode::Mix, Mode::Both] {
            let first = recorder(mode).snapshot();
            assert!(Recorder::restore(&first).unwrap().snapshot() == first, "{mode:?}");
        }
    }

    /// If this fails, a type of the state has changed: see the module's documentation before you change the numbers. (Format 4 may
    /// change as long as no worker that writes it was released.)
    #[test]
    fn the_format_changes_with_its_version_only() {
        let bytes = recorder(Mode::Individual).snapshot();
        assert_eq!((VERSION, bytes.len(), crc32fast::hash(&bytes)), (4, 9_232, 2_870_858_763));
    }

    #[test]
    fn damage_is_named() {
        let bytes = recorder(Mode::Both).snapshot();
        for cut in (0..bytes.len()).step_by(7) {
            assert!(matches!(Recorder::restore(&bytes[..cut]), Err(SnapshotError::Damaged(_))), "cut at {cut}");
        }
        let mut other = bytes.clone();
        other[4] = 9;
        assert_eq!(Recorder::restore(&other).unwrap_err(), SnapshotError::Version(9));
        let longer = sealed([&bytes[..], b"x"].concat());
        assert_eq!(Recorder::restore(&longer).unwrap_err(), SnapshotError::Damaged("its parts do not fit"));
    }

    static SNAPSHOT: LazyLock<Vec<u8>> = LazyLock::new(|| recorder(Mode::Both).snapshot());

    proptest! {
        #[test]
        fn bytes_of_any_kind_do_no_harm(
            changes in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..8),
            noise in proptest::collection::vec(any::<u8>(), 0..300),
        ) {
            let mut bytes = SNAPSHOT.clone();
            for (index, value) in changes {
                let index = index.index(bytes.len());
                bytes[index] = value;
            }
            let _ = Recorder::restore(&bytes);
            // With a right checksum, as nobody but this test makes it.
            let _ = Recorder::restore(&sealed(bytes[..HEADER].iter().chain(&noise).copied().collect()));
            let _ = Recorder::restore(&sealed(bytes));
        }
    }
}
