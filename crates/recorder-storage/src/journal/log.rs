//! A worker's log on the disk: files `<number>.journal`, eight or more digits, counted up.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// A file of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LogFile {
    pub(super) number: u64,
    pub(super) path: PathBuf,
}

pub(super) fn path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{number:08}.journal"))
}

/// The files of a log, oldest first.
pub(super) fn files(dir: &Path) -> io::Result<Vec<LogFile>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        let number = path.file_name().and_then(|name| name.to_str()?.strip_suffix(".journal")?.parse().ok());
        files.extend(number.map(|number| LogFile { number, path }));
    }
    files.sort_by_key(|file| file.number);
    Ok(files)
}
