//! Whose eyes a worker's files are for: its own user's. They hold people's voices and the names of those who talk.
//!
//! Whatever the worker makes has mode 0700 (folders) or 0600 (files), whatever the umask it was started with. What an older version
//! left open is closed at the start. Only the places that the rest lies in are changed: nobody else gets past them.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rustix::fs::Mode;

/// Permissions that nobody but the owner has.
const OTHERS: u32 = 0o077;
/// A folder with this bit is shared by its users on purpose, such as `/tmp`.
const STICKY: u32 = 0o1000;

/// What lies in the data folder.
const INSIDE: [&str; 6] = ["journal", "spool", "bucket", "recorder.db", "recorder.db-wal", "recorder.db-shm"];

/// From here on the process makes nothing that others can read.
pub(super) fn make_private() {
    rustix::process::umask(Mode::from_raw_mode(OTHERS));
}

/// Closes the data folder and what is in it to others. What can't be closed is named in the log: it is no reason not to record.
pub(super) fn close(data: &Path) {
    let inside = INSIDE.iter().map(|name| data.join(name));
    for path in std::iter::once(data.to_owned()).chain(inside) {
        match close_one(&path) {
            Ok(false) => {}
            Ok(true) => tracing::info!(path = %path.display(), "other users could read this; now they can't"),
            Err(error) => {
                tracing::warn!(path = %path.display(), "other users of this machine may read what is in here: {error}");
            }
        }
    }
}

/// Whether it had to be closed. What is not there, or shared on purpose, is left alone.
fn close_one(path: &Path) -> io::Result<bool> {
    let mode = match fs::symlink_metadata(path) {
        Ok(file) if file.is_symlink() => return Ok(false),
        Ok(file) => file.permissions().mode(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    if mode & OTHERS == 0 {
        return Ok(false);
    }
    if mode & STICKY != 0 {
        return Err(io::Error::other(
            "the folder is shared by all users (sticky); use one of the worker's own as server.data_dir",
        ));
    }
    fs::set_permissions(path, Permissions::from_mode(mode & 0o7777 & !OTHERS))?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o7777
    }

    #[test]
    fn what_an_older_version_left_open_is_closed() {
        let dir = tempfile::tempdir().unwrap();
        let (data, journal, shared) =
            (dir.path().join("data"), dir.path().join("data/journal"), dir.path().join("tmp"));
        fs::create_dir_all(&journal).unwrap();
        fs::create_dir(&shared).unwrap();
        fs::write(data.join("recorder.db"), "x").unwrap();
        for (path, open) in [(&data, 0o755), (&journal, 0o777), (&data.join("recorder.db"), 0o644), (&shared, 0o1777)] {
            fs::set_permissions(path, Permissions::from_mode(open)).unwrap();
        }
        close(&data);
        close(&shared);
        assert_eq!((mode(&data), mode(&journal), mode(&data.join("recorder.db"))), (0o700, 0o700, 0o600));
        assert_eq!(mode(&shared), 0o1777, "a shared folder is left alone");
        assert!(!close_one(&data).unwrap());
    }
}
