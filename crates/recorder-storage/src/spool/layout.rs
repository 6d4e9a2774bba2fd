//! How a session's directory looks: one file an object, named by its order and kind, its name in the first line.
//!
//! A file whose first line can't be read costs that file: it is set aside under another name, and nothing else waits for it.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use super::files::HALF;
use super::{ObjectKind, SpoolError, SpooledObject};

/// Longest name of an object in bytes: what S3 allows a key.
pub const MAX_NAME_BYTES: usize = 1024;

/// How the file of a segment ends that the bucket has confirmed and that is kept.
const KEPT: &str = "kept";

/// What a session remembers beside its objects.
pub(super) const NOTE: &str = "note";

/// How the file of an object ends that can't be read.
const DAMAGED: &str = "damaged";

/// What the system says of a place on a disk that can't be read.
const EIO: i32 = 5;

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
    let others = [HALF, KEPT, NOTE, DAMAGED];
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
        let Some((order, kind)) = order_and_kind(&path) else {
            tracing::warn!(path = %path.display(), "a file in the spool is not of this program; it is left alone");
            continue;
        };
        match describe(&path, order, kind) {
            Ok(object) => objects.push(object),
            // Confirmed while we read the directory.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) if is_damage(&error) => set_aside(&path, &error),
            Err(error) => return Err(error.into()),
        }
    }
    objects.sort_by_key(|object: &SpooledObject| object.order);
    Ok(objects)
}

/// The files in a directory that were set aside.
pub(super) fn scan_damaged(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let paths = fs::read_dir(dir)?.map(|entry| entry.map(|entry| entry.path()));
    let mut paths = paths.collect::<io::Result<Vec<_>>>()?;
    paths.retain(|path| path.extension().is_some_and(|extension| extension == DAMAGED));
    Ok(paths)
}

fn set_aside(path: &Path, error: &io::Error) {
    tracing::error!(path = %path.display(), "a file in the spool is damaged and set aside: {error}");
    let mut aside = path.as_os_str().to_owned();
    aside.push(format!(".{DAMAGED}"));
    if let Err(error) = fs::rename(path, aside) {
        tracing::warn!(path = %path.display(), "it stays where it is: {error}");
    }
}

/// Whether the file is at fault, and not what the system has left for us.
fn is_damage(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::IsADirectory)
        || error.raw_os_error() == Some(EIO)
}

fn order_and_kind(path: &Path) -> Option<(u64, ObjectKind)> {
    let (order, kind) = path.file_name()?.to_str()?.split_once('.')?;
    Some((u64::from_str_radix(order, 16).ok()?, kind_of(kind)?))
}

fn describe(path: &Path, order: u64, kind: ObjectKind) -> io::Result<SpooledObject> {
    let mut file = BufReader::new(File::open(path)?);
    let name = read_name(&mut file)?;
    let size = file.get_ref().metadata()?.len() - name.len() as u64 - 1;
    Ok(SpooledObject { order, name, kind, size })
}

fn read_name(file: &mut impl BufRead) -> io::Result<String> {
    let mut line = Vec::new();
    file.take(MAX_NAME_BYTES as u64 + 1).read_until(b'\n', &mut line)?;
    match line.pop() {
        Some(b'\n') => {
            let name = String::from_utf8(line).map_err(|_| io::ErrorKind::InvalidData)?;
            check_name(&name).map_err(|_| io::ErrorKind::InvalidData)?;
            Ok(name)
        }
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
