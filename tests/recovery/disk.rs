//! Disks that fail: one whose power can be cut, one that can be filled up, and one that answers with errors. All are mounted, so they
//! need root; elsewhere the tests that want them say that they are skipped.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

/// A file system of its own, unmounted when dropped.
pub(crate) struct Disk {
    dir: TempDir,
    /// The image file's number, where there is one.
    image: u32,
    /// What an image is mounted with.
    options: &'static str,
}

/// What a disk does when it fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failing {
    /// It answers EIO to each write, and to each read of what is not in memory.
    Errors,
    /// The same, and the file system takes no writes any more (EROFS).
    ReadOnly,
}

/// Mebibytes of an image of a disk that fails; those in front never do, and hold the file system's own tables and ballast.
const FAILING_MIB: (u32, u32) = (64, 16);

/// Bytes of a disk whose power can be cut.
const IMAGE_BYTES: &str = "256M";

impl Disk {
    /// A disk whose power can be cut: a file system in an image. What the worker did not sync is in memory only; ext4 writes
    /// nothing on its own within five minutes (`commit`).
    pub(crate) fn with_power() -> Option<Self> {
        let disk = Self { dir: tempfile::tempdir().unwrap(), image: 0, options: "loop,commit=300" };
        std::fs::create_dir(disk.path()).unwrap();
        let made = done(Command::new("truncate").args(["-s", IMAGE_BYTES]).arg(disk.image()))
            && done(Command::new("mkfs.ext4").args(["-q", "-F"]).arg(disk.image()))
            && disk.mount_image();
        made.then_some(disk)
    }

    /// A small disk in memory.
    pub(crate) fn small(mebibytes: u32) -> Option<Self> {
        let disk = Self { dir: tempfile::tempdir().unwrap(), image: 0, options: "" };
        std::fs::create_dir(disk.path()).unwrap();
        let size = format!("size={mebibytes}m");
        done(Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(disk.path())).then_some(disk)
    }

    /// A disk that can fail: a file system in an image whose end can be taken away.
    pub(crate) fn that_fails(how: Failing) -> Option<Self> {
        let (options, features) = match how {
            Failing::Errors => ("loop,errors=continue", "^has_journal"),
            Failing::ReadOnly => ("loop,errors=remount-ro,data_err=abort,commit=1", "has_journal"),
        };
        let disk = Self { dir: tempfile::tempdir().unwrap(), image: 0, options };
        std::fs::create_dir(disk.path()).unwrap();
        let (all, front) = FAILING_MIB;
        let made = done(Command::new("truncate").args(["-s", &format!("{all}M")]).arg(disk.image()))
            && done(Command::new("mkfs.ext4").args(["-q", "-F", "-b", "4096", "-O", features]).arg(disk.image()))
            && disk.mount_image()
            && done(Command::new("fallocate").args(["-l", &format!("{front}MiB")]).arg(disk.ballast()));
        made.then_some(disk)
    }

    /// It fails from here on. Nobody may be in the middle of a write; see `Worker::freeze`.
    pub(crate) fn fail(&self) {
        let front = FAILING_MIB.1;
        let find = Command::new("findmnt").args(["-n", "-o", "SOURCE"]).arg(self.path()).output().unwrap();
        let device = String::from_utf8(find.stdout).unwrap();
        assert!(done(Command::new("sync").arg("-f").arg(self.path())), "the disk can't be synced");
        // The image's pages in the cache are what the file system has handed over.
        assert!(done(Command::new("cp").arg("--sparse=always").arg(self.image()).arg(self.kept())), "it can't be kept");
        assert!(done(Command::new("truncate").args(["-s", &format!("{front}M")]).arg(self.image())));
        assert!(done(Command::new("losetup").args(["-c", device.trim()])), "the device can't be cut");
    }

    /// It is well again, and holds what it held before it failed. Nobody may use it any more.
    pub(crate) fn heal(&self) {
        assert!(done(Command::new("umount").arg(self.path())), "somebody is still using the disk");
        std::fs::rename(self.kept(), self.image()).unwrap();
        assert!(self.mount_image(), "the disk can't be mounted");
    }

    /// Where it is mounted.
    pub(crate) fn path(&self) -> PathBuf {
        self.dir.path().join("disk")
    }

    /// The power goes: keeps what is on the disk at this instant. Nobody may be in the middle of a write; see `Worker::freeze`.
    pub(crate) fn cut(&mut self) -> Cut {
        let from = self.image();
        self.image += 1;
        // The image's pages in the cache are what the file system has handed over; a copy is as good as the device.
        assert!(done(Command::new("cp").arg("--sparse=always").arg(&from).arg(self.image())), "the disk can't be kept");
        Cut(from)
    }

    /// The power is back: the disk holds what it held at the cut. Nobody may use it any more.
    pub(crate) fn back(&self, cut: &Cut) {
        assert!(done(Command::new("umount").arg(self.path())), "somebody is still using the disk");
        std::fs::remove_file(&cut.0).unwrap();
        assert!(self.mount_image(), "the disk can't be mounted");
    }

    /// Fills it to the last byte.
    pub(crate) fn fill(&self) {
        let ballast = std::fs::File::create(self.ballast()).unwrap();
        let mut ballast = std::io::BufWriter::with_capacity(1 << 16, ballast);
        let block = [0x5a; 4096];
        while std::io::Write::write_all(&mut ballast, &block).is_ok() {}
    }

    /// Leaves this much free.
    pub(crate) fn fill_up_to(&self, free_mebibytes: u64) {
        let output = Command::new("df").args(["--output=avail", "-B1M"]).arg(self.path()).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let free: u64 = text.lines().last().unwrap().trim().parse().unwrap();
        let size = free.saturating_sub(free_mebibytes);
        assert!(
            done(Command::new("fallocate").args(["-l", &format!("{size}MiB")]).arg(self.ballast())),
            "can't fill the disk"
        );
    }

    /// There is room again.
    pub(crate) fn make_room(&self) {
        std::fs::remove_file(self.ballast()).unwrap();
    }

    fn image(&self) -> PathBuf {
        self.dir.path().join(format!("image{}", self.image))
    }

    fn kept(&self) -> PathBuf {
        self.dir.path().join("kept")
    }

    fn ballast(&self) -> PathBuf {
        self.path().join("ballast")
    }

    fn mount_image(&self) -> bool {
        done(Command::new("mount").args(["-o", self.options]).arg(self.image()).arg(self.path()))
    }
}

/// What is left of a disk after its power went.
pub(crate) struct Cut(PathBuf);

impl Drop for Disk {
    fn drop(&mut self) {
        // It may not be mounted.
        let _ = Command::new("umount").args(["-l", "-q"]).arg(self.path()).output();
    }
}

/// Says loudly that a test has no such disk.
pub(crate) fn skipped(test: &str) {
    test_support::skipped(test, "mounting a disk needs root and a loop device");
}

/// Whether a command can be run and succeeds.
fn done(command: &mut Command) -> bool {
    command.output().is_ok_and(|output| output.status.success())
}

/// Every file below a folder, with its length.
pub(crate) fn files(folder: &Path) -> Vec<(PathBuf, u64)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        match entry.metadata() {
            Ok(about) if about.is_dir() => found.extend(files(&entry.path())),
            Ok(about) => found.push((entry.path(), about.len())),
            // It went meanwhile.
            Err(_) => {}
        }
    }
    found.sort_unstable();
    found
}
