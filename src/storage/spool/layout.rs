//! How a session's directory looks: one file an object, named by its order and kind, its name in the first line.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use super::files::HALF;
use super::{ObjectKind, SpoolError, SpooledObject};

/// Longest name of an object in bytes: what S3 allows a key.
pub const MAX_NAME_BYTES: usize = 1024;

/// How the file of a segment ends that the bucket has confirmed and that is kept.
const KEPT: &str = "kept";

/// What a session remembers beside its objects.
pub(super) const NOTE: &str = "note";

/// The file of a kept segment.
pub(super) fn kept_name(object: &SpooledObject) -> String {
    format!("{:016x}.{KEPT}", object.order)
}

/// The file of an object.
pub(super) fn file_name(object: &SpooledObject) -> String {
    format!("{:016x}.{}", object.order, letter(object.kind))
}

/// Removes what was being written when the worker died.
pub(super) fn remove_halves(dir: &Path) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == HALF) {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}

/// The objects in a directory, in order.
pub(super) fn scan(dir: &Path) -> Result<Vec<SpooledObject>, SpoolError> {
    let others = [HALF, KEPT, NOTE];
    scan_those(dir, |extension| !others.contains(&extension))
}

/// The kept segments in a directory, in order.
pub(super) fn scan_kept(dir: &Path) -> Result<Vec<SpooledObject>, SpoolError> {
    scan_those(dir, |extension| extension == KEPT)
}

fn scan_those(dir: &Path, wanted: impl Fn(&str) -> bool) -> Result<Vec<SpooledObject>, SpoolError> {
    let mut objects = Vec::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if !wanted(path.extension().and_then(|extension| extension.to_str()).unwrap_or_default()) {
            continue;
        }
        match describe(&path) {
            Ok(object) => objects.push(object),
            // Confirmed while we read the directory.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(_) => return Err(SpoolError::Damaged(path.display().to_string())),
        }
    }
    objects.sort_by_key(|object: &SpooledObject| object.order);
    Ok(objects)
}

fn describe(path: &Path) -> io::Result<SpooledObject> {
    let text = path.file_name().and_then(|name| name.to_str()).ok_or(io::ErrorKind::InvalidData)?;
    let (order, kind) = text.split_once('.').ok_or(io::ErrorKind::InvalidData)?;
    let order = u64::from_str_radix(order, 16).map_err(|_| io::ErrorKind::InvalidData)?;
    let kind = kind_of(kind).ok_or(io::ErrorKind::InvalidData)?;
    let mut file = BufReader::new(File::open(path)?);
    let name = read_name(&mut file)?;
    let size = file.get_ref().metadata()?.len() - name.len() as u64 - 1;
    Ok(SpooledObject { order, name, kind, size })
}

fn read_name(file: &mut impl BufRead) -> io::Result<String> {
    let mut line = Vec::new();
    file.take(MAX_NAME_BYTES as u64 + 1).read_until(b'\n', &mut line)?;
    match line.pop() {
        Some(b'\n') => String::from_utf8(line).map_err(|_| io::ErrorKind::InvalidData.into()),
        _ => Err(io::ErrorKind::InvalidData.into()),
    }
}

/// Refuses what is no object's name.
pub(super) fn check_name(name: &str) -> Result<(), SpoolError> {
    let bad = name.is_empty()
        || name.len() > MAX_NAME_BYTES
        || matches!(name, "." | "..")
        || name.chars().any(|c| c == '/' || c == '\\' || c.is_control());
    if bad { Err(SpoolError::Name) } else { Ok(()) }
}

const fn letter(kind: ObjectKind) -> char {
    match kind {
        ObjectKind::Init => 'i',
        ObjectKind::Segment => 's',
        ObjectKind::Playlist => 'p',
        ObjectKind::Document => 'd',
        ObjectKind::Mp4 => 'm',
        ObjectKind::Ogg => 'o',
    }
}

fn kind_of(letter: &str) -> Option<ObjectKind> {
    match letter {
        "i" => Some(ObjectKind::Init),
        "s" | KEPT => Some(ObjectKind::Segment),
        "p" => Some(ObjectKind::Playlist),
        "d" => Some(ObjectKind::Document),
        "m" => Some(ObjectKind::Mp4),
        "o" => Some(ObjectKind::Ogg),
        _ => None,
    }
}
