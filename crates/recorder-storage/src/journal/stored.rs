//! What the journal says of a media object that the bucket holds: enough to take it as it is when the recording is made again.

use super::cursor::{Cursor, put_varint};
use crate::ObjectKind;
use recorder_core::recording::PlaylistId;
use recorder_core::units::{Ticks, Uid};

/// A media object that the bucket confirmed.
///
/// Layout: `kind:u8` (0 init segment, 1 segment, 2 MP4, 3 Ogg), `flags:u8` (bit 0: [`StoredObject::silenced`]), `start:varint`,
/// `duration:varint`, `size:varint`, SHA-256 (32 bytes), length of the uid in bytes `:varint` (0: the mix), uid (UTF-8; of a
/// further source with a line feed, which no uid holds, and its word behind it), name (UTF-8, to the end).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredObject {
    /// Its name in the bucket, without prefix.
    pub name: String,
    /// What it is; never a playlist or a document.
    pub kind: ObjectKind,
    /// Which playlist it belongs to.
    pub playlist: PlaylistId,
    /// Position of its first sample; zero for an init segment.
    pub start: Ticks,
    /// Its length; zero for an init segment.
    pub duration: Ticks,
    /// Bytes.
    pub size: u64,
    /// SHA-256 of its bytes.
    pub sha256: [u8; 32],
    /// It holds silence because what was recorded could not be kept (disk and memory were full).
    pub silenced: bool,
}

/// Between a uid and the word for its source.
const BEHIND_UID: char = '\n';

/// Flag: [`StoredObject::silenced`].
const SILENCED: u8 = 1;

impl StoredObject {
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        out.push(match self.kind {
            ObjectKind::Init => 0,
            ObjectKind::Mp4 => 2,
            ObjectKind::Ogg => 3,
            ObjectKind::Segment | ObjectKind::Playlist | ObjectKind::Document => 1,
        });
        out.push(if self.silenced { SILENCED } else { 0 });
        put_varint(out, self.start.0);
        put_varint(out, self.duration.0);
        put_varint(out, self.size);
        out.extend_from_slice(&self.sha256);
        let uid = match &self.playlist {
            PlaylistId::Mix => String::new(),
            PlaylistId::Individual(uid) => uid.as_str().to_owned(),
            PlaylistId::Source { uid, source } => format!("{uid}{BEHIND_UID}{source}"),
        };
        put_varint(out, uid.len() as u64);
        out.extend_from_slice(uid.as_bytes());
        out.extend_from_slice(self.name.as_bytes());
    }

    pub(super) fn read(body: &mut Cursor<'_>) -> Result<Self, &'static str> {
        const SHORT: &str = "a short record of a stored object";
        let kind = match body.u8().ok_or(SHORT)? {
            0 => ObjectKind::Init,
            1 => ObjectKind::Segment,
            2 => ObjectKind::Mp4,
            3 => ObjectKind::Ogg,
            _ => return Err("an unknown kind of object"),
        };
        let silenced = body.u8().ok_or(SHORT)? & SILENCED != 0;
        let mut number = || body.varint().ok_or(SHORT);
        let (start, duration, size) = (Ticks(number()?), Ticks(number()?), number()?);
        let sha256 = *body.bytes(32).and_then(<[u8]>::first_chunk).ok_or(SHORT)?;
        let length = usize::try_from(body.varint().ok_or(SHORT)?).map_err(|_| SHORT)?;
        let playlist = match text(body.bytes(length).ok_or(SHORT)?)? {
            "" => PlaylistId::Mix,
            uid => {
                let (uid, source) = uid.split_once(BEHIND_UID).map_or((uid, None), |(uid, word)| (uid, Some(word)));
                let source = source.map(str::parse).transpose().map_err(|_| "an unknown source")?;
                PlaylistId::of(&Uid::new(uid).map_err(|invalid| invalid.problem)?, source)
            }
        };
        let name = text(body.rest())?.to_owned();
        Ok(Self { name, kind, playlist, start, duration, size, sha256, silenced })
    }
}

fn text(bytes: &[u8]) -> Result<&str, &'static str> {
    std::str::from_utf8(bytes).map_err(|_| "a text that is not UTF-8")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(playlist: PlaylistId, kind: ObjectKind) -> StoredObject {
        let (start, duration) = (Ticks::from_secs(6), Ticks(288_120));
        let name = "sid_room_20261130.m4s".to_owned();
        StoredObject { name, kind, playlist, start, duration, size: 70_000, sha256: [7; 32], silenced: true }
    }

    #[test]
    fn an_object_survives_the_round_trip_and_a_cut_one_is_refused() {
        let uid = Uid::new("527").unwrap();
        let source = PlaylistId::of(&uid, Some("screen2".parse().unwrap()));
        let uid = PlaylistId::of(&uid, None);
        for (playlist, kind) in
            [(PlaylistId::Mix, ObjectKind::Init), (uid, ObjectKind::Segment), (source, ObjectKind::Segment)]
        {
            let (object, mut bytes) = (object(playlist, kind), Vec::new());
            object.write(&mut bytes);
            assert_eq!(StoredObject::read(&mut Cursor::new(&bytes)), Ok(object));
            for cut in 0..40 {
                assert!(StoredObject::read(&mut Cursor::new(&bytes[..cut])).is_err(), "cut at {cut}");
            }
        }
    }
}
