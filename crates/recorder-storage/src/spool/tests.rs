use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::io;
use std::sync::atomic::AtomicBool;

use bytes::Bytes;

use super::*;

/// A disk that is full while its switch is on.
#[derive(Debug, Default)]
struct Fickle {
    full: AtomicBool,
}

impl Files for Fickle {
    fn make_dir(&self, dir: &Path) -> io::Result<()> {
        LocalFiles.make_dir(dir)
    }

    fn write(&self, path: &Path, parts: &[&[u8]]) -> io::Result<()> {
        match self.full.load(Ordering::Relaxed) {
            true => Err(io::ErrorKind::StorageFull.into()),
            false => LocalFiles.write(path, parts),
        }
    }

    fn make(&self, path: &Path, fill: Fill<'_>) -> io::Result<()> {
        match self.full.load(Ordering::Relaxed) {
            true => Err(io::ErrorKind::StorageFull.into()),
            false => LocalFiles.make(path, fill),
        }
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        LocalFiles.rename(from, to)
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        LocalFiles.read(path)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        LocalFiles.remove(path)
    }
}

fn app() -> AppId {
    AppId::new("0123456789abcdef0123456789abcdef").unwrap()
}

fn sid() -> Sid {
    Sid::from_random([7; 16])
}

fn bytes(text: &'static str) -> Bytes {
    Bytes::from_static(text.as_bytes())
}

#[tokio::test]
async fn a_damaged_file_costs_that_file() {
    let dir = tempfile::tempdir().unwrap();
    let session = Spool::open(dir.path(), u64::MAX).unwrap().session(&app(), &sid()).unwrap();
    let mut put = Vec::new();
    for name in ["a", "b", "c", "d", "e", "f"] {
        put.push(session.put(name, ObjectKind::Segment, bytes("12345")).await.unwrap());
    }
    drop(session);
    let path = |order: u64| dir.path().join(sid().as_str()).join(format!("{order:016x}.s"));
    // No UTF-8, no end of the name, no name, a name that leads elsewhere, and a place on the disk that can't be read.
    for (order, content) in [(0, &b"\xff\n12345"[..]), (1, b"b12345"), (2, b"\n12345"), (3, b"../d\n12345")] {
        fs::write(path(order), content).unwrap();
    }
    fs::remove_file(path(4)).unwrap();
    std::os::unix::fs::symlink("/proc/self/mem", path(4)).unwrap();
    fs::write(path(5).with_extension("of somebody"), "").unwrap();

    let spool = Spool::open(dir.path(), u64::MAX).unwrap();
    assert_eq!(spool.bytes(), 5);
    let session = spool.session(&app(), &sid()).unwrap();
    assert_eq!((session.list().await.unwrap(), session.damaged().await.unwrap()), (vec![put.remove(5)], 5));
    session.remove_damaged().await.unwrap();
    assert_eq!((session.list().await.unwrap().len(), session.damaged().await.unwrap()), (1, 0));
    fs::remove_file(path(5).with_extension("of somebody")).unwrap();
    session.remove(&session.list().await.unwrap()[0]).await.unwrap();
    session.close().await.unwrap();
}

#[tokio::test]
async fn objects_come_back_in_order_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let session = Spool::open(dir.path(), u64::MAX).unwrap().session(&app(), &sid()).unwrap();
    let long = "x".repeat(MAX_NAME_BYTES);
    let mut put = Vec::new();
    for (name, kind, content) in [
        ("a_init.mp4", ObjectKind::Init, "init"),
        (long.as_str(), ObjectKind::Segment, "one\ntwo\n"),
        ("a.m3u8", ObjectKind::Playlist, "first"),
        ("a.m3u8", ObjectKind::Playlist, ""),
        ("a.json", ObjectKind::Document, "{}"),
    ] {
        put.push(session.put(name, kind, bytes(content)).await.unwrap());
    }
    drop(session);

    let spool = Spool::open(dir.path(), u64::MAX).unwrap();
    assert_eq!(spool.sessions().unwrap(), [sid()]);
    assert_eq!(spool.bytes(), 4 + 8 + 5 + 2);
    let session = spool.session(&app(), &sid()).unwrap();
    assert_eq!(session.list().await.unwrap(), put);
    assert_eq!(session.read(&put[1]).await.unwrap(), "one\ntwo\n");
    assert_eq!(session.read(&put[2]).await.unwrap(), "first", "the later playlist left the earlier one alone");
    let next = session.put("b", ObjectKind::Segment, bytes("b")).await.unwrap();
    assert_eq!(next.order, 5);
    for object in put.iter().chain([&next]) {
        session.remove(object).await.unwrap();
    }
    assert_eq!((session.bytes(), spool.bytes()), (0, 0));
    session.close().await.unwrap();
    assert!(spool.sessions().unwrap().is_empty());
}

#[tokio::test]
async fn what_was_written_halfway_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let session = Spool::open(dir.path(), u64::MAX).unwrap().session(&app(), &sid()).unwrap();
    session.put("a", ObjectKind::Segment, bytes("a")).await.unwrap();
    fs::write(dir.path().join(sid().as_str()).join("0000000000000001.half"), "b\nhalf of it").unwrap();
    let spool = Spool::open(dir.path(), u64::MAX).unwrap();
    assert_eq!(spool.session(&app(), &sid()).unwrap().list().await.unwrap().len(), 1);
    assert_eq!(spool.bytes(), 1);
}

#[tokio::test]
async fn names_that_are_paths_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let session = Spool::open(dir.path(), u64::MAX).unwrap().session(&app(), &sid()).unwrap();
    for name in ["", ".", "..", "a/b", "a\\b", "a\nb", &"x".repeat(MAX_NAME_BYTES + 1)] {
        assert!(matches!(session.put(name, ObjectKind::Segment, bytes("")).await, Err(SpoolError::Name)));
    }
    assert!(session.list().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_full_spool_refuses_new_sessions_and_serves_running_ones() {
    let dir = tempfile::tempdir().unwrap();
    let spool = Spool::open(dir.path(), 3).unwrap();
    let session = spool.session(&app(), &sid()).unwrap();
    session.put("a", ObjectKind::Segment, bytes("abc")).await.unwrap();
    let other = Sid::from_random([8; 16]);
    let refused = spool.session(&app(), &other).unwrap_err();
    assert!(matches!(refused, SpoolError::Full { scope: SpoolScope::Worker, used: 3, limit: 3 }));
    assert!(refused.to_string().contains("server.spool_gib"), "{refused}");
    session.put("b", ObjectKind::Segment, bytes("abc")).await.unwrap();
    drop(session);
    assert!(spool.session(&app(), &sid()).is_ok());
}

#[tokio::test]
async fn one_app_that_fills_its_share_costs_the_others_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let limits = SpoolLimits { apps: HashMap::from([(app(), 3)]), ..SpoolLimits::from(u64::MAX) };
    let spool = Spool::open(dir.path(), limits).unwrap();
    let session = spool.session(&app(), &sid()).unwrap();
    let object = session.put("a", ObjectKind::Segment, bytes("abc")).await.unwrap();
    let (other, stranger) = (Sid::from_random([8; 16]), AppId::new(&"f".repeat(32)).unwrap());
    let refused = spool.session(&app(), &other).unwrap_err();
    assert!(matches!(&refused, SpoolError::Full { scope: SpoolScope::App(full), .. } if *full == app()));
    assert!(refused.to_string().contains("apps.spool_gib"), "{refused}");
    assert!(spool.session(&stranger, &other).is_ok());
    session.remove(&object).await.unwrap();
    assert_eq!(spool.app_bytes(&app()), 0);
    assert!(spool.check(&app()).is_ok());
}

#[tokio::test]
async fn what_a_full_disk_refuses_is_held_in_memory_until_it_is_back() {
    let dir = tempfile::tempdir().unwrap();
    let disk = Arc::new(Fickle::default());
    let spool = Spool::open_on(disk.clone(), dir.path(), u64::MAX).unwrap();
    let session = spool.session(&app(), &sid()).unwrap();
    let first = session.put("a", ObjectKind::Segment, bytes("one")).await.unwrap();
    disk.full.store(true, Ordering::Relaxed);
    let second = session.put("b", ObjectKind::Segment, bytes("two")).await.unwrap();
    let third = session.put("a.m3u8", ObjectKind::Playlist, bytes("three")).await.unwrap();
    assert!(session.trouble().is_some());
    assert_eq!((session.memory_bytes(), spool.memory_bytes(), spool.bytes(), session.bytes()), (8, 8, 3, 11));
    assert_eq!(session.list().await.unwrap(), [first.clone(), second.clone(), third.clone()]);
    assert_eq!(session.read(&second).await.unwrap(), "two");
    session.remove(&second).await.unwrap();

    disk.full.store(false, Ordering::Relaxed);
    let fourth = session.put("c", ObjectKind::Segment, bytes("four")).await.unwrap();
    assert_eq!((session.trouble(), session.memory_bytes(), spool.bytes()), (None, 0, 3 + 5 + 4));
    drop(session);
    let session = spool.session(&app(), &sid()).unwrap();
    assert_eq!(session.list().await.unwrap(), [first, third.clone(), fourth]);
    assert_eq!(session.read(&third).await.unwrap(), "three");
}

#[tokio::test]
async fn past_the_memory_too_only_what_must_be_kept_finds_room() {
    let dir = tempfile::tempdir().unwrap();
    let disk = Arc::new(Fickle::default());
    let spool = Spool::open_on(disk.clone(), dir.path(), u64::MAX).unwrap();
    let session = spool.session(&app(), &sid()).unwrap();
    disk.full.store(true, Ordering::Relaxed);
    let most = Bytes::from(vec![0; usize::try_from(MEMORY_PER_SESSION).unwrap()]);
    session.put("a", ObjectKind::Segment, most).await.unwrap();
    let refused = session.put("b", ObjectKind::Segment, bytes("b")).await.unwrap_err();
    assert!(matches!(refused, SpoolError::NoRoom(_)), "{refused}");
    session.put("a.m3u8", ObjectKind::Playlist, bytes("list")).await.unwrap();
    session.put_last_resort("b", bytes("silence")).await.unwrap();
    assert_eq!(session.memory_bytes(), MEMORY_PER_SESSION + 4 + 7);
    let rest = Bytes::from(vec![0; usize::try_from(MEMORY_RESERVE).unwrap()]);
    assert!(session.put_last_resort("c", rest).await.is_err(), "the reserve has an end too");
}

/// A file of these segments, one behind the other.
async fn joined(session: &SessionSpool, names: &[&str]) -> Result<Bytes, SpoolError> {
    let names = names.iter().map(|name| (*name).to_owned()).collect();
    let recipe = |retained: &RetainedSegments<'_>, out: &mut dyn io::Write| {
        (0..retained.len()).try_for_each(|number| out.write_all(&retained.read(number)?))
    };
    let (object, file) = session.make("all.mp4", ObjectKind::Mp4, names, recipe).await?;
    assert_eq!(session.file(&object).await?, file, "it is hashed as it is on the disk");
    session.read(&object).await
}

#[tokio::test]
async fn segments_are_kept_for_files_over_restarts() {
    let dir = tempfile::tempdir().unwrap();
    let spool = Spool::open(dir.path(), u64::MAX).unwrap();
    let session = spool.session(&app(), &sid()).unwrap();
    session.keep_segments();
    for (name, content) in [("a", "one"), ("b", "two"), ("a", "ONE")] {
        let object = session.put(name, ObjectKind::Segment, bytes(content)).await.unwrap();
        session.remove(&object).await.unwrap();
    }
    let list = session.put("l.m3u8", ObjectKind::Playlist, bytes("list")).await.unwrap();
    session.remove(&list).await.unwrap();
    session.put("c", ObjectKind::Segment, bytes("three")).await.unwrap();
    assert_eq!((session.kept_bytes(), session.bytes()), (9, 14), "playlists are not kept");
    session.write_note(bytes("a note")).await.unwrap();
    drop(session);

    let spool = Spool::open(dir.path(), u64::MAX).unwrap();
    assert_eq!(spool.bytes(), 14);
    let session = spool.session(&app(), &sid()).unwrap();
    let waiting = session.list().await.unwrap();
    assert_eq!(waiting.iter().map(|object| &object.name[..]).collect::<Vec<_>>(), ["c"]);
    assert_eq!(session.note().await.unwrap().unwrap(), "a note");
    assert_eq!(joined(&session, &["a", "b", "c"]).await.unwrap(), "ONEtwothree", "the newest of each name");
    assert!(joined(&session, &["a", "d"]).await.unwrap_err().to_string().contains("segment d"));
    session.release(BTreeSet::from(["a".to_owned()])).await.unwrap();
    assert!(joined(&session, &["a"]).await.is_err());
    assert_eq!(session.kept_bytes(), 3);
    for object in session.list().await.unwrap() {
        session.remove(&object).await.unwrap();
    }
    session.close().await.unwrap();
    assert_eq!((spool.bytes(), spool.sessions().unwrap().len()), (0, 0));
}

#[tokio::test]
async fn keeping_is_given_up_when_half_of_a_bound_is_used() {
    for (worker, apps) in [(20, HashMap::new()), (1_000, HashMap::from([(app(), 20)]))] {
        let dir = tempfile::tempdir().unwrap();
        let spool = Spool::open(dir.path(), SpoolLimits { apps, ..SpoolLimits::from(worker) }).unwrap();
        let session = spool.session(&app(), &sid()).unwrap();
        session.keep_segments();
        let put = async |name| session.put(name, ObjectKind::Segment, bytes("12345")).await.unwrap();
        let (a, b) = (put("a").await, put("b").await);
        session.remove(&a).await.unwrap();
        assert_eq!((session.keeping_trouble().is_some(), session.kept_bytes(), spool.bytes()), (true, 0, 5));
        session.remove(&b).await.unwrap();
        assert_eq!((session.kept_bytes(), spool.bytes()), (0, 0), "it is given up for good");
    }
}

#[tokio::test]
async fn a_full_disk_gets_back_what_was_kept() {
    let dir = tempfile::tempdir().unwrap();
    let disk = Arc::new(Fickle::default());
    let spool = Spool::open_on(disk.clone(), dir.path(), u64::MAX).unwrap();
    let session = spool.session(&app(), &sid()).unwrap();
    session.keep_segments();
    let object = session.put("a", ObjectKind::Segment, bytes("one")).await.unwrap();
    session.remove(&object).await.unwrap();
    assert_eq!((session.kept_bytes(), spool.bytes()), (3, 3));
    disk.full.store(true, Ordering::Relaxed);
    session.put("b", ObjectKind::Segment, bytes("two")).await.unwrap();
    assert_eq!((session.kept_bytes(), spool.bytes(), session.memory_bytes()), (0, 0, 3));
    assert!(session.keeping_trouble().unwrap().contains("takes nothing"));
}
