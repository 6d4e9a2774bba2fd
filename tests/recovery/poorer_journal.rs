//! The journal is poorer than the bucket: flipped bits, a restored old copy, missing and unreadable files, before one kill and before
//! several, in a mix and in individual tracks, together and each alone. The oracle is a copy of the bucket taken before: no confirmed media object ever changes, and no sound that was there is
//! gone. What is lost is told.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::Value;
use tokio::time::sleep;

use crate::disk::files;
use crate::kill_run::KillRun;
use crate::oracle::Oracle;
use crate::rest::Make;
use crate::seed;
use crate::test_env::{Options, Store, TestEnv};
use crate::upgrade::media;

/// What is done to the data directory of a dead worker; none of it touches the bucket.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ErrorClass {
    /// A plain kill.
    Nothing,
    /// One bit of the journal's last file, at this share of it.
    BitInJournal(f64),
    /// One bit of the header of every journal file.
    BitInHeaders,
    /// A stretch of zeros in the journal's last file, at this share of it.
    ZerosInJournal(f64),
    /// Two such stretches.
    TwoHolesInJournal(f64, f64),
    /// The journal's last file ends at this share of it.
    CutJournal(f64),
    /// All of the journal is gone.
    NoJournal,
    /// Reading the journal's last file gives EIO.
    UnreadableJournal,
    /// A folder is in the place of the journal's last file.
    FolderForJournal,
    /// What waited for the bucket is gone.
    NoSpool,
    /// One bit of each file that waited for the bucket.
    BitInSpool,
    /// Reading what waited for the bucket gives EIO, and the journal's last file ends at this share of it.
    UnreadableSpoolAndCut(f64),
    /// The whole folder as it was some seconds before.
    OldCopy,
    /// The database as it was some seconds before, with everything else as it is.
    OldStore,
    /// Everything as it was some seconds before, but for the database.
    NewStore,
    /// The journal as it was some seconds before, with a newer spool and a newer database.
    OldJournal,
    /// The same, and nothing of what waited for the bucket.
    OldJournalNoSpool,
    /// The playlists in the bucket as they were some seconds before, and no journal: keys in the bucket are the only witness.
    OldPlaylistsNoJournal,
}

impl ErrorClass {
    /// Whether something older is put back.
    const fn needs_copy(self) -> bool {
        let journal = matches!(self, Self::OldJournal | Self::OldJournalNoSpool);
        journal || matches!(self, Self::OldCopy | Self::OldStore | Self::NewStore | Self::OldPlaylistsNoJournal)
    }
}

/// Those that every run of the tests tries.
const FEW: [ErrorClass; 6] = [
    ErrorClass::BitInJournal(0.25),
    ErrorClass::BitInHeaders,
    ErrorClass::NoJournal,
    ErrorClass::OldCopy,
    ErrorClass::NewStore,
    ErrorClass::UnreadableSpoolAndCut(0.6),
];

/// Those that have no place in a file.
const OTHERS: [ErrorClass; 14] = [
    ErrorClass::Nothing,
    ErrorClass::BitInHeaders,
    ErrorClass::NoJournal,
    ErrorClass::UnreadableJournal,
    ErrorClass::FolderForJournal,
    ErrorClass::NoSpool,
    ErrorClass::BitInSpool,
    ErrorClass::OldCopy,
    ErrorClass::OldStore,
    ErrorClass::NewStore,
    ErrorClass::TwoHolesInJournal(0.3, 0.7),
    ErrorClass::OldJournal,
    ErrorClass::OldJournalNoSpool,
    ErrorClass::OldPlaylistsNoJournal,
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_bucket_confirmed_is_final() {
    let mut random = StdRng::seed_from_u64(seed("poorer journals"));
    for error_class in FEW {
        suffer(error_class, 1, Options::default(), &mut random).await;
    }
    suffer(ErrorClass::Nothing, 3, Options::default(), &mut random).await;
    // Where nothing can be put over, and with files that are made of segments that are kept.
    let once = Options { store: Store::WriteOnce, whole_files: true, ..Options::default() };
    suffer(ErrorClass::BitInJournal(0.5), 2, once, &mut random).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_bucket_confirmed_is_final_in_a_mix_alone_and_in_tracks_alone() {
    let mut random = StdRng::seed_from_u64(seed("poorer journals, one kind of playlist"));
    for (error_class, make) in [(ErrorClass::NoJournal, Make::Mix), (ErrorClass::UnreadableJournal, Make::Individual)] {
        suffer(error_class, 1, Options { make, ..Options::default() }, &mut random).await;
    }
}

/// A segment in MPEG-TS is made of packets of two segments of the core, which are cut around what is final.
#[cfg(feature = "aac")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_bucket_confirmed_is_final_in_ts() {
    let mut random = StdRng::seed_from_u64(seed("poorer journals, ts"));
    suffer(ErrorClass::BitInJournal(0.25), 1, Options { ts: true, ..Options::default() }, &mut random).await;
}

#[cfg(feature = "aac")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "long; make faults runs it"]
async fn what_the_bucket_confirmed_is_final_in_ts_whatever_is_damaged() {
    let mut random = StdRng::seed_from_u64(seed("poorer journals, ts, long"));
    let some = [ErrorClass::BitInJournal(0.3), ErrorClass::ZerosInJournal(0.6), ErrorClass::CutJournal(0.5)];
    // Where nobody can read, what a cut journal no longer tells is told by nothing.
    let stores = [Store::Embedded, Store::WriteOnce];
    for (error_class, store) in some.into_iter().chain(OTHERS).zip(stores.into_iter().cycle()) {
        suffer(error_class, 2, Options { ts: true, store, ..Options::default() }, &mut random).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "long; make faults runs it"]
async fn what_the_bucket_confirmed_is_final_in_a_mix_alone_and_in_tracks_alone_whatever_is_damaged() {
    let mut random = StdRng::seed_from_u64(seed("poorer journals, one kind of playlist, long"));
    let some = [ErrorClass::BitInJournal(0.3), ErrorClass::ZerosInJournal(0.6), ErrorClass::CutJournal(0.5)];
    for make in [Make::Mix, Make::Individual] {
        for (error_class, kills) in some.into_iter().chain(OTHERS).zip([1, 2].into_iter().cycle()) {
            suffer(error_class, kills, Options { make, ..Options::default() }, &mut random).await;
        }
        let error_class = ErrorClass::BitInJournal(0.5);
        suffer(error_class, 2, Options { make, store: Store::WriteOnly, ..Options::default() }, &mut random).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "long; make faults runs it"]
async fn what_either_bucket_confirmed_is_final_while_copies_go_to_the_second() {
    let mut random = StdRng::seed_from_u64(seed("poorer journals, backup"));
    let faults = [
        ErrorClass::Nothing,
        ErrorClass::BitInJournal(0.5),
        ErrorClass::NoJournal,
        ErrorClass::BitInHeaders,
        ErrorClass::UnreadableJournal,
        ErrorClass::OldCopy,
    ];
    let all = faults.into_iter().zip([Make::Both, Make::Mix, Make::Individual].into_iter().cycle());
    let seeds: Vec<_> = all.map(|(error_class, make)| (error_class, make, random.random())).collect();
    // Each waits a minute for the second bucket to be used.
    let each = seeds.into_iter().map(|(error_class, make, seed)| suffer_away(error_class, make, false, seed));
    futures_util::future::join_all(each).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "long; make faults runs it"]
async fn what_either_bucket_confirmed_is_final_while_the_second_is_out_of_reach() {
    let mut random = StdRng::seed_from_u64(seed("poorer journals, backup out of reach"));
    let faults = [
        ErrorClass::Nothing,
        ErrorClass::CutJournal(0.3),
        ErrorClass::NoJournal,
        ErrorClass::NoSpool,
        ErrorClass::OldCopy,
        ErrorClass::OldJournalNoSpool,
    ];
    let all = faults.into_iter().zip([Make::Both, Make::Mix, Make::Individual].into_iter().cycle());
    let seeds: Vec<_> = all.map(|(error_class, make)| (error_class, make, random.random())).collect();
    let each = seeds.into_iter().map(|(error_class, make, seed)| suffer_away(error_class, make, true, seed));
    futures_util::future::join_all(each).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "long; make faults runs it"]
async fn what_the_bucket_confirmed_is_final_whatever_is_damaged() {
    let mut random = StdRng::seed_from_u64(seed("poorer journals, long"));
    let places = [0.02, 0.1, 0.3, 0.5, 0.7, 0.9, 0.98];
    let bits = places.map(ErrorClass::BitInJournal);
    let zeros = places.map(ErrorClass::ZerosInJournal);
    let cuts = places.map(ErrorClass::CutJournal);
    let unreadable = [0.3, 0.7, 0.98].map(ErrorClass::UnreadableSpoolAndCut);
    let all = || bits.into_iter().chain(zeros).chain(cuts).chain(unreadable).chain(OTHERS);
    for error_class in all() {
        for kills in [1, 3] {
            suffer(error_class, kills, Options::default(), &mut random).await;
        }
    }
    for store in [Store::WriteOnce, Store::Versitygw] {
        if !store.is_here("poorer journals") {
            continue;
        }
        for error_class in [bits[2], zeros[4], cuts[3]].into_iter().chain(OTHERS) {
            suffer(error_class, 2, Options { store, whole_files: true, ..Options::default() }, &mut random).await;
        }
    }
}

/// Records, kills the worker, damages what it left, lets the next run go on, and compares the bucket with what it held.
async fn suffer(error_class: ErrorClass, kills: usize, wishes: Options, random: &mut StdRng) {
    let what = format!("{error_class:?}, {:?}, {:?}", wishes.store, wishes.make);
    if !is_wanted(&what) {
        return;
    }
    let mut kill_run = KillRun::at(TestEnv::with(wishes).await, 1).await;
    let mut lost = 0;
    for kill in 0..kills {
        sleep(Duration::from_millis(random.random_range(4_000..5_000))).await;
        let copy = kill_run.test_env.data.with_extension("old");
        let mut lists = Vec::new();
        if error_class.needs_copy() {
            kill_run.worker().freeze().await;
            copy_dir(&kill_run.test_env.data, &copy);
            lists.extend(playlists(&kill_run.test_env.objects()));
            kill_run.worker().resume();
            sleep(Duration::from_secs(5)).await;
        } else {
            sleep(Duration::from_secs(2)).await;
        }
        kill_run.kill();
        // What was on its way when the worker died may land now.
        sleep(Duration::from_millis(300)).await;
        let oracle = Oracle::of(&kill_run.test_env, &kill_run.recordings[0].task);
        damage(error_class, &kill_run.test_env.data, &copy, random);
        if matches!(error_class, ErrorClass::OldPlaylistsNoJournal) {
            lists.into_iter().for_each(|(path, text)| std::fs::write(path, text).unwrap());
        }
        kill_run.start();
        kill_run.ready().await;
        sleep(Duration::from_millis(4_500)).await;
        oracle.check(&format!("{what}, kill {kill}"));
        lost += 1;
        if kill + 1 == kills {
            kill_run.stop().await;
            let manifest = oracle.manifest(&kill_run.test_env).await;
            oracle.check(&format!("{what}, after the end"));
            oracle.check_named(&what);
            assert_ne!(manifest["verdict"], "complete", "{what}: {}", manifest["ledger"]);
            let silent = oracle.lost(&what, &manifest);
            print_told(&what, kills, &silent, &manifest);
        }
    }
    assert_eq!(lost, kills);
}

/// Whether a scene is to be played: `RECOVERY_SCENES` names parts of those that are, apart by semicolons; without it all are.
fn is_wanted(scene: &str) -> bool {
    std::env::var("RECOVERY_SCENES").map_or(true, |wanted| wanted.split(';').any(|part| scene.contains(part)))
}

/// The playlists in a bucket's folder, where there is one.
fn playlists(bucket: &Path) -> Vec<(PathBuf, String)> {
    let paths = std::fs::read_dir(bucket).into_iter().flatten().flatten().map(|entry| entry.path());
    let lists = paths.filter(|path| path.extension().is_some_and(|end| end == "m3u8"));
    lists.map(|path| (path.clone(), std::fs::read_to_string(path).unwrap())).collect()
}

/// The same while the recording's own bucket is out of reach and copies go to the second one; it is back before the end. If the second
/// one is `out` of reach too when the next run begins, it is back after the other.
async fn suffer_away(error_class: ErrorClass, make: Make, out: bool, seed: u64) {
    let mut random = StdRng::seed_from_u64(seed);
    let what = format!("{error_class:?}, backup{}, {make:?}", if out { " out" } else { "" });
    if !is_wanted(&what) {
        return;
    }
    let mut kill_run = KillRun::at(TestEnv::with(Options { make, backup: true, ..Options::default() }).await, 1).await;
    sleep(Duration::from_secs(6)).await;
    let copy = kill_run.test_env.data.with_extension("old");
    if error_class.needs_copy() {
        kill_run.worker().freeze().await;
        copy_dir(&kill_run.test_env.data, &copy);
        kill_run.worker().resume();
    }
    kill_run.test_env.cutoff_proxy.shut();
    let copies = kill_run.test_env.copies();
    for _ in 0..90 {
        sleep(Duration::from_secs(1)).await;
        if media(&copies).len() > 30 {
            break;
        }
    }
    sleep(Duration::from_millis(random.random_range(0..2_000))).await;
    kill_run.kill();
    sleep(Duration::from_millis(300)).await;
    let oracle = Oracle::of(&kill_run.test_env, &kill_run.recordings[0].task);
    assert!(oracle.copied() > 30, "{what}: {} copies", oracle.copied());
    damage(error_class, &kill_run.test_env.data, &copy, &mut random);
    // Without a journal the bucket alone knows what it confirmed: it has to be there when it is asked.
    if out || matches!(error_class, ErrorClass::NoJournal | ErrorClass::UnreadableJournal) {
        kill_run.test_env.cutoff_proxy.open();
    }
    if out {
        kill_run.test_env.second.be_busy();
    }
    kill_run.start();
    kill_run.ready().await;
    sleep(Duration::from_secs(10)).await;
    oracle.check(&format!("{what}, the next run"));
    kill_run.test_env.cutoff_proxy.open();
    kill_run.test_env.second.open();
    sleep(Duration::from_secs(if out { 8 } else { 5 })).await;
    kill_run.stop().await;
    let manifest = oracle.manifest(&kill_run.test_env).await;
    oracle.check(&format!("{what}, after the end"));
    oracle.check_named(&what);
    oracle.check_copies(&what);
    assert_ne!(manifest["verdict"], "complete", "{what}: {}", manifest["ledger"]);
    let silent = oracle.lost(&what, &manifest);
    print_told(&what, 1, &silent, &manifest);
}

/// Milliseconds in which voices that never pause are silent, and milliseconds told, cause by cause.
pub(crate) fn print_told(what: &str, kills: usize, silent: &[(&str, u64)], manifest: &Value) {
    let lost: Vec<String> = manifest["lost"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|lost| format!("{}: {} {}", lost["uid"], lost["missingMs"], lost["causesMs"]))
        .collect();
    println!("{what}, {kills} kills: 0 objects changed; silent: {silent:?} ms; told: {}", lost.join("; "));
}

pub(crate) fn damage(error_class: ErrorClass, data: &Path, copy: &Path, random: &mut StdRng) {
    let journal: Vec<PathBuf> = {
        let mut files: Vec<_> = files(&data.join("journal")).into_iter().map(|(path, _)| path).collect();
        files.retain(|path| path.extension().is_some_and(|end| end == "journal"));
        files.sort();
        files
    };
    let at = |share: f64, length: usize| ((length as f64 * share) as usize).clamp(16, length.saturating_sub(1));
    let last = || {
        // A file that a run just began holds nothing yet.
        let path = journal.iter().max_by_key(|path| std::fs::metadata(path).unwrap().len()).unwrap().clone();
        let bytes = std::fs::read(&path).unwrap();
        (path, bytes)
    };
    match error_class {
        ErrorClass::Nothing => {}
        ErrorClass::BitInJournal(share) => {
            let (path, mut bytes) = last();
            let at = at(share, bytes.len());
            bytes[at] ^= 1 << random.random_range(0..8);
            std::fs::write(path, bytes).unwrap();
        }
        ErrorClass::BitInHeaders => {
            for path in journal {
                let mut bytes = std::fs::read(&path).unwrap();
                bytes[random.random_range(0..16)] ^= 1 << random.random_range(0..8);
                std::fs::write(path, bytes).unwrap();
            }
        }
        ErrorClass::ZerosInJournal(share) => {
            let (path, mut bytes) = last();
            let from = at(share, bytes.len());
            let to = (from + 4096).min(bytes.len());
            bytes[from..to].fill(0);
            std::fs::write(path, bytes).unwrap();
        }
        ErrorClass::TwoHolesInJournal(one, other) => {
            [one, other].into_iter().for_each(|share| damage(ErrorClass::ZerosInJournal(share), data, copy, random));
        }
        ErrorClass::CutJournal(share) => {
            let (path, mut bytes) = last();
            bytes.truncate(at(share, bytes.len()));
            std::fs::write(path, bytes).unwrap();
        }
        ErrorClass::UnreadableJournal => make_unreadable(&last().0),
        ErrorClass::UnreadableSpoolAndCut(share) => {
            files(&data.join("spool")).iter().for_each(|(path, _)| make_unreadable(path));
            damage(ErrorClass::CutJournal(share), data, copy, random);
        }
        ErrorClass::FolderForJournal => {
            let path = last().0;
            std::fs::remove_file(&path).unwrap();
            std::fs::create_dir(path).unwrap();
        }
        ErrorClass::NoJournal => std::fs::remove_dir_all(data.join("journal")).unwrap(),
        ErrorClass::NoSpool => {
            for (path, _) in files(&data.join("spool")) {
                std::fs::remove_file(path).unwrap();
            }
        }
        ErrorClass::BitInSpool => {
            for (path, _) in files(&data.join("spool")) {
                let mut bytes = std::fs::read(&path).unwrap();
                let at = random.random_range(0..bytes.len());
                bytes[at] ^= 1 << random.random_range(0..8);
                std::fs::write(path, bytes).unwrap();
            }
        }
        ErrorClass::OldCopy => {
            std::fs::remove_dir_all(data).unwrap();
            std::fs::rename(copy, data).unwrap();
        }
        ErrorClass::OldStore => swap_store(copy, data),
        ErrorClass::OldJournal => {
            std::fs::remove_dir_all(data.join("journal")).unwrap();
            std::fs::rename(copy.join("journal"), data.join("journal")).unwrap();
        }
        ErrorClass::OldJournalNoSpool => {
            damage(ErrorClass::OldJournal, data, copy, random);
            damage(ErrorClass::NoSpool, data, copy, random);
        }
        ErrorClass::OldPlaylistsNoJournal => damage(ErrorClass::NoJournal, data, copy, random),
        ErrorClass::NewStore => {
            swap_store(data, copy);
            damage(ErrorClass::OldCopy, data, copy, random);
        }
    }
}

/// Puts the database of one folder into another.
fn swap_store(from: &Path, to: &Path) {
    let store = |folder: &Path| -> Vec<PathBuf> {
        let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let is_store =
            |path: &PathBuf| path.file_name().is_some_and(|name| name.to_str().unwrap().starts_with("recorder.db"));
        entries.filter(is_store).collect()
    };
    store(to).iter().for_each(|path| std::fs::remove_file(path).unwrap());
    let files = store(from);
    assert!(!files.is_empty(), "the database lies elsewhere");
    for path in files {
        std::fs::copy(&path, to.join(path.file_name().unwrap())).unwrap();
    }
}

/// The first page of a process is never there, so that reading it is an error of the device.
fn make_unreadable(path: &Path) {
    std::fs::remove_file(path).unwrap();
    std::os::unix::fs::symlink("/proc/self/mem", path).unwrap();
}

pub(crate) fn copy_dir(from: &Path, to: &Path) {
    let _ = std::fs::remove_dir_all(to);
    assert!(Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap().success());
}
