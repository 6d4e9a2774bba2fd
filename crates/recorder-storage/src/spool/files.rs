//! What the spool asks of a file system. A trait, so that a disk can be full or broken where a test needs one.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;

/// How a file is called while it is being written.
pub(super) const HALF: &str = "half";

/// What writes a file's content.
pub type Fill<'a> = &'a mut dyn FnMut(&mut dyn Write) -> io::Result<()>;

/// A file system, as far as the spool needs one. Blocking calls.
pub trait Files: fmt::Debug + Send + Sync {
    /// Makes a directory; it is durable when this returns.
    fn make_dir(&self, dir: &Path) -> io::Result<()>;

    /// Makes a file of these parts, whole and durable, or not at all.
    fn write(&self, path: &Path, parts: &[&[u8]]) -> io::Result<()>;

    /// Makes a file of what `fill` writes, whole and durable, or not at all.
    fn make(&self, path: &Path, fill: Fill<'_>) -> io::Result<()>;

    /// Gives a file another name in its directory.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// The bytes of a file.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;

    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;
}

/// The file system of this machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct LocalFiles;

impl Files for LocalFiles {
    fn make_dir(&self, dir: &Path) -> io::Result<()> {
        fs::create_dir(dir)?;
        sync_parent(dir)
    }

    fn write(&self, path: &Path, parts: &[&[u8]]) -> io::Result<()> {
        self.make(path, &mut |file| parts.iter().try_for_each(|part| file.write_all(part)))
    }

    fn make(&self, path: &Path, fill: Fill<'_>) -> io::Result<()> {
        let half = path.with_extension(HALF);
        let written = write_half(&half, fill).and_then(|()| fs::rename(&half, path));
        if let Err(error) = written {
            // The first error is the one to tell; what can't be removed now is removed when the spool is opened again.
            let _ = fs::remove_file(&half);
            return Err(error);
        }
        sync_parent(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        fs::read(path)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }
}

fn write_half(path: &Path, fill: Fill<'_>) -> io::Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    fill(&mut file)?;
    file.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()
}

/// Makes a name in its directory durable.
fn sync_parent(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), |parent| File::open(parent)?.sync_all())
}
