//! File names in the bucket (docs/protocol/agora.md section 4.1): `<sid>_<cname>.m3u8` and its relatives.
//!
//! Invariants: two recordings, or two uids or sources of one recording, never share a name; a name holds only `[A-Za-z0-9_.-]`, starts
//! with the sid or with `live_` and the sid (so never with a dot) and is at most 255 bytes long (what a file system takes).

use sha2::{Digest, Sha256};

use super::container::Container;
use super::whole::FileType;
use crate::units::{Cname, Sid, Uid, WallMs};

/// Longest spelling of a uid in a name, in bytes; a uid that needs more is named by its beginning and its SHA-256.
const MAX_UID_BYTES: usize = 100;

/// Bytes of an overlong uid's spelling that are kept in front of its SHA-256.
const UID_BEGINNING_BYTES: usize = 32;

/// Digits of a segment's time in its name.
const UTC_DIGITS: usize = 17;

const PLAYLIST: &str = ".m3u8";
const INIT: &str = "_init.m4s";
const OLDER_INIT: &str = "_init.mp4";

/// What all file names of one playlist start with.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stem(String);

impl Stem {
    /// `<sid>_<cname>`: the mix.
    pub fn mix(sid: &Sid, cname: &Cname) -> Self {
        Self(recording(sid, cname))
    }

    /// `<sid>_<cname>__uid_s_<uid>__uid_e_audio`: one uid's audio.
    pub fn individual(sid: &Sid, cname: &Cname, uid: &Uid) -> Self {
        Self(format!("{}__uid_s_{}__uid_e_audio", recording(sid, cname), uid_part(uid)))
    }

    /// `<sid>_<cname>__uid_s_<uid>__uid_e_audio_<source>`: a further source of a uid. `source` is a short word of letters and digits
    /// that begins with a letter.
    pub fn source(sid: &Sid, cname: &Cname, uid: &Uid, source: &str) -> Self {
        Self(format!("{}_{source}", Self::individual(sid, cname, uid).0))
    }

    /// The stem itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// `<stem>.m3u8`.
    pub fn playlist(&self) -> String {
        format!("{}{PLAYLIST}", self.0)
    }

    /// `live_<stem>.m3u8`: the growing playlist once more, for callers that ask for it.
    pub fn live_playlist(&self) -> String {
        format!("live_{}", self.playlist())
    }

    /// `<stem>_<utc>.m4s` or `.ts`, where `start` is the wall time of the segment's first sample. Unique within a playlist, since
    /// segments are longer than a millisecond.
    pub fn segment(&self, start: WallMs, container: Container) -> String {
        format!("{}_{}{}", self.0, start.utc17(), container.ending())
    }

    /// `<stem>_<index>.mp4` or `.ogg`: a whole file beside the playlist, counted from 0.
    pub fn whole(&self, kind: FileType, index: u32) -> String {
        format!("{}_{index}.{}", self.0, kind.extension())
    }

    /// `<stem>_init.m4s`. Not `.mp4`: readers that take the first `.mp4` below a prefix would play 641 bytes.
    pub fn init(&self) -> String {
        format!("{}{INIT}", self.0)
    }

    /// `<stem>_init.mp4`: the name of the init segment in recordings that were begun before it was `.m4s`.
    pub fn older_init(&self) -> String {
        format!("{}{OLDER_INIT}", self.0)
    }
}

/// What a file of a playlist is, by what follows the stem in its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// `.m3u8`.
    Playlist,
    /// `_init.m4s` or `_init.mp4`.
    Init,
    /// `_<utc>.m4s` or `_<utc>.ts`.
    Segment,
}

impl Role {
    /// Reads it from what follows the stem; none for whole files and for what is none of ours.
    pub fn of(rest: &str) -> Option<Self> {
        let digits = |text: &str| text.len() == UTC_DIGITS && text.bytes().all(|byte| byte.is_ascii_digit());
        match rest {
            PLAYLIST => Some(Self::Playlist),
            INIT | OLDER_INIT => Some(Self::Init),
            _ => {
                let rest = rest.strip_prefix('_')?;
                let time = [Container::Fmp4, Container::Ts].iter().find_map(|kind| rest.strip_suffix(kind.ending()));
                time.is_some_and(digits).then_some(Self::Segment)
            }
        }
    }
}

/// Which uid's file this is, and of which further source: `None` for a name that is none of
/// `<sid>_<cname>__uid_s_<uid>__uid_e_audio[_<source>]…`, and for an overlong uid, which its name does not tell.
pub fn uid_of<'a>(name: &'a str, sid: &Sid, cname: &Cname) -> Option<(Uid, Option<&'a str>)> {
    let rest = name.strip_prefix(&recording(sid, cname))?.strip_prefix("__uid_s_")?;
    let (part, rest) = rest.split_once("__uid_e_audio")?;
    // What else may follow is a time, a number or `init`.
    let word = rest.strip_prefix('_').and_then(|rest| rest.split(['_', '.']).next());
    let source = word.filter(|word| word.starts_with(|first: char| first.is_ascii_alphabetic()) && *word != "init");
    let (mut bytes, mut digits) = (Vec::new(), part.bytes());
    while let Some(byte) = digits.next() {
        bytes.push(match byte {
            b'-' => {
                let pair = [digits.next()?, digits.next()?];
                u8::from_str_radix(std::str::from_utf8(&pair).ok()?, 16).ok()?
            }
            plain => plain,
        });
    }
    Some((Uid::new(&String::from_utf8(bytes).ok()?).ok()?, source))
}

/// `<sid>_<cname>_events.jsonl`: the session's event log.
pub fn events_name(sid: &Sid, cname: &Cname) -> String {
    format!("{}_events.jsonl", recording(sid, cname))
}

/// `<sid>_<cname>_manifest.json`: what the recording holds, with the size and SHA-256 of every object.
pub fn manifest_name(sid: &Sid, cname: &Cname) -> String {
    format!("{}_manifest.json", recording(sid, cname))
}

/// `<sid>_<cname>_manifest.sha256`: SHA-256 of the manifest and of the whole event log, as `sha256sum` writes and checks it.
pub fn digest_name(sid: &Sid, cname: &Cname) -> String {
    format!("{}_manifest.sha256", recording(sid, cname))
}

/// `<sid>_<cname>` with every byte of the cname outside `[A-Za-z0-9_-]` as `-`, like the vendor; the sid keeps it unique.
fn recording(sid: &Sid, cname: &Cname) -> String {
    let keep = |byte: u8| if byte.is_ascii_alphanumeric() || b"_-".contains(&byte) { char::from(byte) } else { '-' };
    format!("{sid}_{}", cname.as_str().bytes().map(keep).collect::<String>())
}

/// `[A-Za-z0-9]` as it is, every other byte as `-hh`. Injective: a dash always starts an escape. An overlong spelling is cut
/// and ends in `-x` and the uid's SHA-256; `x` is no hexadecimal digit, so it can't be taken for an escape.
fn uid_part(uid: &Uid) -> String {
    let mut part = String::new();
    for byte in uid.as_str().bytes() {
        if byte.is_ascii_alphanumeric() {
            part.push(char::from(byte));
        } else {
            part.push_str(&format!("-{byte:02x}"));
        }
    }
    if part.len() > MAX_UID_BYTES {
        part.truncate(UID_BEGINNING_BYTES);
        part.push_str(&format!("-x{:x}", Sha256::digest(uid.as_str())));
    }
    part
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sid() -> Sid {
        Sid::from_random([0xa1; 16])
    }

    fn stem(uid: &str) -> Stem {
        Stem::individual(&sid(), &Cname::new("room").unwrap(), &Uid::new(uid).unwrap())
    }

    #[test]
    fn names_look_like_the_vendors() {
        let (sid, cname) = (sid(), Cname::new("a room_1-[x]").unwrap());
        let mix = Stem::mix(&sid, &cname);
        assert_eq!(mix.playlist(), format!("{sid}_a-room_1--x-.m3u8"));
        assert_eq!(
            mix.segment(WallMs(1_700_000_000_042), Container::Fmp4),
            format!("{sid}_a-room_1--x-_20231114221320042.m4s")
        );
        assert_eq!(mix.live_playlist(), format!("live_{sid}_a-room_1--x-.m3u8"));
        assert_eq!(mix.init(), format!("{sid}_a-room_1--x-_init.m4s"));
        assert_eq!(mix.older_init(), format!("{sid}_a-room_1--x-_init.mp4"));
        assert_eq!(mix.whole(FileType::Mp4, 0), format!("{sid}_a-room_1--x-_0.mp4"));
        assert_eq!(stem("42").whole(FileType::Ogg, 11), format!("{sid}_room__uid_s_42__uid_e_audio_11.ogg"));
        assert_eq!(manifest_name(&sid, &cname), format!("{sid}_a-room_1--x-_manifest.json"));
        assert_eq!(digest_name(&sid, &cname), format!("{sid}_a-room_1--x-_manifest.sha256"));
        assert_eq!(stem("42").playlist(), format!("{sid}_room__uid_s_42__uid_e_audio.m3u8"));
    }

    #[test]
    fn a_uid_is_read_back_from_its_files_names() {
        let cname = Cname::new("room").unwrap();
        for uid in ["42", "../a b", "я", "a-20b"] {
            let name = stem(uid).segment(WallMs(0), Container::Fmp4);
            assert_eq!(uid_of(&name, &sid(), &cname), Some((Uid::new(uid).unwrap(), None)), "{name}");
            for source in ["screen", "mic2"] {
                let stem = Stem::source(&sid(), &cname, &Uid::new(uid).unwrap(), source);
                for name in [
                    stem.segment(WallMs(0), Container::Fmp4),
                    stem.playlist(),
                    stem.init(),
                    stem.whole(FileType::Mp4, 0),
                ] {
                    assert_eq!(uid_of(&name, &sid(), &cname), Some((Uid::new(uid).unwrap(), Some(source))), "{name}");
                }
            }
            for name in [stem(uid).playlist(), stem(uid).init(), stem(uid).whole(FileType::Ogg, 2)] {
                assert_eq!(uid_of(&name, &sid(), &cname), Some((Uid::new(uid).unwrap(), None)), "{name}");
            }
        }
        for name in [Stem::mix(&sid(), &cname).playlist(), stem(&"я".repeat(120)).playlist(), "x".into()] {
            assert_eq!(uid_of(&name, &sid(), &cname), None, "{name}");
        }
    }

    #[test]
    fn hostile_uids_stay_in_the_folder_and_apart() {
        assert_eq!(uid_part(&Uid::new("../a b").unwrap()), "-2e-2e-2fa-20b");
        assert_ne!(stem("a-20b"), stem("a b"));
        assert_ne!(stem("a"), stem("A"));
    }

    #[test]
    fn the_longest_names_fit_a_file_system_and_stay_apart() {
        let cname = Cname::new(&"c".repeat(64)).unwrap();
        let stems = ["я".repeat(120), format!("{}a", "я".repeat(120)), "x".repeat(255), "x".repeat(254)]
            .map(|uid| Stem::individual(&sid(), &cname, &Uid::new(&uid).unwrap()));
        let longest = Stem::source(&sid(), &cname, &Uid::new(&"я".repeat(120)).unwrap(), "screen8");
        assert!("bak99_".len() + longest.segment(WallMs(0), Container::Fmp4).len() <= 255);
        for (place, stem) in stems.iter().enumerate() {
            assert!(stem.segment(WallMs(0), Container::Fmp4).len() <= 255);
            assert!(!stems[..place].contains(stem));
        }
    }

    proptest! {
        #[test]
        fn different_uids_never_collide_and_names_are_plain(a in "\\PC{1,40}", b in "[a-z0-9./_ -]{1,60}") {
            let (Ok(a), Ok(b)) = (Uid::new(&a), Uid::new(&b)) else { return Ok(()) };
            for (one, other) in [(&a, &b), (&b, &a)] {
                let name = stem(one.as_str()).playlist();
                prop_assert!(name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte)));
                prop_assert!(name.starts_with(sid().as_str()) && !name.contains(".."));
                prop_assert_eq!(one == other, name == stem(other.as_str()).playlist());
            }
        }
    }
}
