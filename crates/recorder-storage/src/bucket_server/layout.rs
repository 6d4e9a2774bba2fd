//! Keys to paths and back.
//!
//! A key is split at `/`; each part is a file name of its own. `%XX` stands for bytes that a file name should not have: control
//! characters, `%`, `\` and a dot at the begin. `%_` is an empty part. A part longer than a file name goes on in a folder below:
//! its pieces but the last end with `%-`. So every key has one path below its bucket, and two keys have never the same.

use std::path::{Component, Path, PathBuf};

/// Most bytes of a file name that are used; file systems allow 255.
const MAX_NAME_BYTES: usize = 240;

/// Most bytes that a character becomes: four, each as `%XX`.
const MAX_CHAR_BYTES: usize = 12;

const EMPTY: &str = "%_";
const GOES_ON: &str = "%-";

/// Where the object `key` lies, relative to its bucket.
pub(super) fn path(key: &str) -> PathBuf {
    key.split('/').flat_map(names).collect()
}

/// The key of the object at `path`, relative to its bucket; `None` where no key leads there.
pub(super) fn key(path: &Path) -> Option<String> {
    let mut key = String::new();
    let mut names = path.components().peekable();
    while let Some(name) = names.next() {
        let Component::Normal(name) = name else { return None };
        let name = name.to_str()?;
        match name.strip_suffix(GOES_ON) {
            Some(piece) => key.push_str(&decode(piece)?),
            None => {
                key.push_str(&decode(name)?);
                if names.peek().is_some() {
                    key.push('/');
                }
            }
        }
    }
    (self::path(&key) == path).then_some(key)
}

/// The file names of one part.
fn names(part: &str) -> Vec<String> {
    if part.is_empty() {
        return vec![EMPTY.to_owned()];
    }
    let mut names = vec![];
    let mut name = String::new();
    for char in part.chars() {
        if name.len() + MAX_CHAR_BYTES + GOES_ON.len() > MAX_NAME_BYTES {
            name.push_str(GOES_ON);
            names.push(std::mem::take(&mut name));
        }
        let mut bytes = [0; 4];
        let text = char.encode_utf8(&mut bytes);
        let escape = char.is_control() || matches!(char, '%' | '\\') || (char == '.' && name.is_empty());
        let text = if escape { text.bytes().map(|byte| format!("%{byte:02X}")).collect() } else { text.to_owned() };
        name.push_str(&text);
    }
    names.push(name);
    names
}

fn decode(name: &str) -> Option<String> {
    if name == EMPTY {
        return Some(String::new());
    }
    let mut bytes = Vec::with_capacity(name.len());
    let mut rest = name.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => hex(rest.next()?)? * 16 + hex(rest.next()?)?,
            other => other,
        });
    }
    String::from_utf8(bytes).ok()
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn keys_that_people_use_are_paths_that_people_find() {
        for key in ["a/b/0123_room.m3u8", "Team call: Q4/x y.m4s", "会議/a__uid_s_7__uid_e_audio.m3u8"] {
            assert_eq!(path(key), Path::new(key));
        }
    }

    #[test]
    fn strange_keys_stay_in_their_bucket() {
        for (strange, expected) in [
            ("../../evil", "%2E./%2E./evil"),
            ("/etc/passwd", "%_/etc/passwd"),
            ("a//b/", "a/%_/b/%_"),
            (".store/meta", "%2Estore/meta"),
            ("a\\..\\b\0", "a%5C..%5Cb%00"),
            ("100%", "100%25"),
        ] {
            assert_eq!(path(strange), Path::new(expected));
            assert_eq!(key(Path::new(expected)).as_deref(), Some(strange));
        }
    }

    #[test]
    fn the_longest_keys_have_paths() {
        for long in ["x".repeat(1024), "\u{1}".repeat(1024), "/".repeat(1024), "会".repeat(341), ".".repeat(1024)] {
            let path = path(&long);
            assert!(path.components().all(|name| name.as_os_str().len() <= MAX_NAME_BYTES));
            assert_eq!(key(&path).unwrap(), long);
        }
    }

    #[test]
    fn a_dot_at_the_begin_of_a_piece_is_no_path() {
        for dots in ["...", "..", "."] {
            for before in 200..MAX_NAME_BYTES {
                let long = format!("{}{dots}", "a".repeat(before));
                assert_eq!(key(&path(&long)), Some(long));
            }
        }
    }

    proptest! {
        #[test]
        fn every_key_has_a_path_of_its_own(text in "\\PC{0,60}|[./%_a\\-\u{0}]{0,40}|[a-c.]{200,700}") {
            let path = path(&text);
            prop_assert!(path.components().all(|name| matches!(name, Component::Normal(_))));
            prop_assert_eq!(key(&path), Some(text));
        }
    }
}
