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
use crate::oracle::Oracle;
use crate::place::{Place, Store, Wishes};
use crate::rest::Make;
use crate::seed;
use crate::stage::Stage;
use crate::upgrade::media;

/// What is done to the data directory of a dead worker; none of it touches the bucket.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fault {
    /// A plain kill.
    Nothing,
    /// One bit of the journal's last file, at this share of it.
    BitInJournal(f64),
    /// One bit of the header of every journal file.
    BitInHeaders,
    /// A stretch of zeros in the journal's last file, at this share of it.
    ZerosInJournal(f64),
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
}

impl Fault {
    /// Whether something older is put back.
    const fn needs_copy(self) -> bool {
        matches!(self, Self::OldCopy | Self::OldStore | Self::NewStore)
    }
}

/// Those that every run of the tests tries.
const FEW: [Fault; 6] = [
    Fault::BitInJournal(0.25),
    Fault::BitInHeaders,
    Fault::NoJournal,
    Fault::OldCopy,
    Fault::NewStore,
    Fault::UnreadableSpoolAndCut(0.6),
];

/// Those that have no place in a file.
const OTHERS: [Fault; 10] = [
    Fault::Nothing,
    Fault::BitInHeaders,
    Fault::NoJournal,
    Fault::UnreadableJournal,
    Fault::FolderForJournal,
    Fault::NoSpool,
    Fault::BitInSpool,
    Fault::OldCopy,
    Fault::OldStore,
    Fault::NewStore,
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_bucket_confirmed_is_final() {
    let mut random = StdRng::seed_from_u64(seed("poorer journals"));
    for fault in FEW {
        suffer(fault, 1, Wishes::default(), &mut random).await;
    }
    suffer(Fault::Nothing, 3, Wishes::default(), &mut random).await;
    // Where nothing can be put over, and with files that are made of segments that are kept.
    let once = Wishes { store: Store::WriteOnce, whole_files: true, ..Wishes::default() };
    suffer(Fault::BitInJournal(0.5), 2, once, &mut random).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_bucket_confirmed_is_final_in_a_mix_alone_and_in_tracks_alone() {
    let mut random = StdRng::seed_from_u64(seed("poorer journals, one kind of playlist"));
    for (fault, make) in [(Fault::NoJournal, Make::Mix), (Fault::UnreadableJournal, Make::Individual)] {
        suffer(fault, 1, Wishes { make, ..Wishes::default() }, &mut random).await;
    }
}

/// A segment in MPEG-TS is made of packets of two segments of the core, which are cut around what is final.
#[cfg(feature = "aac")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_bucket_confirmed_is_final_in_ts() {
    let mut random = StdRng::seed_from_u64(seed("poorer journals, ts"));
    suffer(Fault::BitInJournal(0.25), 1, Wishes { ts: true, ..Wishes::default() }, &mut random).await;
}

#[cfg(feature = "aac")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "long; make faults runs it"]
async fn what_the_bucket_confirmed_is_final_in_ts_whatever_is_damaged() {
    let mut random = StdRng::seed_from_u64(seed("poorer journals, ts, long"));
    let some = [Fault::BitInJournal(0.3), Fault::ZerosInJournal(0.6), Fault::CutJournal(0.5)];
    // Where nobody can read, what a cut journal no longer tells is told by nothing.
    let stores = [Store::Embedded, Store::WriteOnce];
    for (fault, store) in some.into_iter().chain(OTHERS).zip(stores.into_iter().cycle()) {
        suffer(fault, 2, Wishes { ts: true, store, ..Wishes::default() }, &mut random).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "long; make faults runs it"]
async fn what_the_bucket_confirmed_is_final_in_a_mix_alone_and_in_tracks_alone_whatever_is_damaged() {
    let mut random = StdRng::seed_from_u64(seed("poorer journals, one kind of playlist, long"));
    let some = [Fault::BitInJournal(0.3), Fault::ZerosInJournal(0.6), Fault::CutJournal(0.5)];
    for make in [Make::Mix, Make::Individual] {
        for (fault, kills) in some.into_iter().chain(OTHERS).zip([1, 2].into_iter().cycle()) {
            suffer(fault, kills, Wishes { make, ..Wishes::default() }, &mut random).await;
        }
        let fault = Fault::BitInJournal(0.5);
        suffer(fault, 2, Wishes { make, store: Store::WriteOnly, ..Wishes::default() }, &mut random).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "long; make faults runs it"]
async fn what_either_bucket_confirmed_is_final_while_copies_go_to_the_second() {
    let mut random = StdRng::seed_from_u64(seed("poorer journals, backup"));
    let faults = [
        Fault::Nothing,
        Fault::BitInJournal(0.5),
        Fault::NoJournal,
        Fault::BitInHeaders,
        Fault::UnreadableJournal,
        Fault::OldCopy,
    ];
    // Each waits a minute for the second bucket to be used.
    let all = faults.into_iter().zip([Make::Both, Make::Mix, Make::Individual].into_iter().cycle());
    let seeds: Vec<_> = all.map(|(fault, make)| (fault, make, random.random())).collect();
    let each = seeds.into_iter().map(|(fault, make, seed)| suffer_away(fault, make, seed));
    futures_util::future::join_all(each).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "long; make faults runs it"]
async fn what_the_bucket_confirmed_is_final_whatever_is_damaged() {
    let mut random = StdRng::seed_from_u64(seed("poorer journals, long"));
    let places = [0.02, 0.1, 0.3, 0.5, 0.7, 0.9, 0.98];
    let bits = places.map(Fault::BitInJournal);
    let zeros = places.map(Fault::ZerosInJournal);
    let cuts = places.map(Fault::CutJournal);
    let unreadable = [0.3, 0.7, 0.98].map(Fault::UnreadableSpoolAndCut);
    let all = || bits.into_iter().chain(zeros).chain(cuts).chain(unreadable).chain(OTHERS);
    for fault in all() {
        for kills in [1, 3] {
            suffer(fault, kills, Wishes::default(), &mut random).await;
        }
    }
    for store in [Store::WriteOnce, Store::Versitygw] {
        if !store.is_here("poorer journals") {
            continue;
        }
        for fault in [bits[2], zeros[4], cuts[3]].into_iter().chain(OTHERS) {
            suffer(fault, 2, Wishes { store, whole_files: true, ..Wishes::default() }, &mut random).await;
        }
    }
}

/// Records, kills the worker, damages what it left, lets the next run go on, and compares the bucket with what it held.
async fn suffer(fault: Fault, kills: usize, wishes: Wishes, random: &mut StdRng) {
    let what = format!("{fault:?}, {:?}, {:?}", wishes.store, wishes.make);
    let mut stage = Stage::at(Place::with(wishes).await, 1).await;
    let mut lost = 0;
    for kill in 0..kills {
        sleep(Duration::from_millis(random.random_range(4_000..5_000))).await;
        let copy = stage.place.data.with_extension("old");
        if fault.needs_copy() {
            stage.worker().freeze().await;
            copy_dir(&stage.place.data, &copy);
            stage.worker().resume();
            sleep(Duration::from_secs(5)).await;
        } else {
            sleep(Duration::from_secs(2)).await;
        }
        stage.kill();
        // What was on its way when the worker died may land now.
        sleep(Duration::from_millis(300)).await;
        let oracle = Oracle::of(&stage.place, &stage.recordings[0].task);
        damage(fault, &stage.place.data, &copy, random);
        stage.start();
        stage.ready().await;
        sleep(Duration::from_millis(4_500)).await;
        oracle.check(&format!("{what}, kill {kill}"));
        lost += 1;
        if kill + 1 == kills {
            stage.stop().await;
            let manifest = oracle.manifest(&stage.place).await;
            oracle.check(&format!("{what}, after the end"));
            oracle.check_named(&what);
            assert_ne!(manifest["verdict"], "complete", "{what}: {}", manifest["ledger"]);
            let silent = oracle.lost(&what, &manifest);
            print_told(&what, kills, &silent, &manifest);
        }
    }
    assert_eq!(lost, kills);
}

/// The same while the recording's own bucket is out of reach and copies go to the second one; it is back before the end.
async fn suffer_away(fault: Fault, make: Make, seed: u64) {
    let mut random = StdRng::seed_from_u64(seed);
    let what = format!("{fault:?}, backup, {make:?}");
    let mut stage = Stage::at(Place::with(Wishes { make, backup: true, ..Wishes::default() }).await, 1).await;
    sleep(Duration::from_secs(6)).await;
    let copy = stage.place.data.with_extension("old");
    if fault.needs_copy() {
        stage.worker().freeze().await;
        copy_dir(&stage.place.data, &copy);
        stage.worker().resume();
    }
    stage.place.gate.shut();
    let copies = stage.place.copies();
    for _ in 0..90 {
        sleep(Duration::from_secs(1)).await;
        if media(&copies).len() > 30 {
            break;
        }
    }
    sleep(Duration::from_millis(random.random_range(0..2_000))).await;
    stage.kill();
    sleep(Duration::from_millis(300)).await;
    let oracle = Oracle::of(&stage.place, &stage.recordings[0].task);
    assert!(oracle.copied() > 30, "{what}: {} copies", oracle.copied());
    damage(fault, &stage.place.data, &copy, &mut random);
    // Without a journal the bucket alone knows what it confirmed: it has to be there when it is asked.
    if matches!(fault, Fault::NoJournal | Fault::UnreadableJournal) {
        stage.place.gate.open();
    }
    stage.start();
    stage.ready().await;
    sleep(Duration::from_secs(10)).await;
    oracle.check(&format!("{what}, the next run"));
    stage.place.gate.open();
    sleep(Duration::from_secs(5)).await;
    stage.stop().await;
    let manifest = oracle.manifest(&stage.place).await;
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

pub(crate) fn damage(fault: Fault, data: &Path, copy: &Path, random: &mut StdRng) {
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
    match fault {
        Fault::Nothing => {}
        Fault::BitInJournal(share) => {
            let (path, mut bytes) = last();
            let at = at(share, bytes.len());
            bytes[at] ^= 1 << random.random_range(0..8);
            std::fs::write(path, bytes).unwrap();
        }
        Fault::BitInHeaders => {
            for path in journal {
                let mut bytes = std::fs::read(&path).unwrap();
                bytes[random.random_range(0..16)] ^= 1 << random.random_range(0..8);
                std::fs::write(path, bytes).unwrap();
            }
        }
        Fault::ZerosInJournal(share) => {
            let (path, mut bytes) = last();
            let from = at(share, bytes.len());
            let to = (from + 4096).min(bytes.len());
            bytes[from..to].fill(0);
            std::fs::write(path, bytes).unwrap();
        }
        Fault::CutJournal(share) => {
            let (path, mut bytes) = last();
            bytes.truncate(at(share, bytes.len()));
            std::fs::write(path, bytes).unwrap();
        }
        Fault::UnreadableJournal => make_unreadable(&last().0),
        Fault::UnreadableSpoolAndCut(share) => {
            files(&data.join("spool")).iter().for_each(|(path, _)| make_unreadable(path));
            damage(Fault::CutJournal(share), data, copy, random);
        }
        Fault::FolderForJournal => {
            let path = last().0;
            std::fs::remove_file(&path).unwrap();
            std::fs::create_dir(path).unwrap();
        }
        Fault::NoJournal => std::fs::remove_dir_all(data.join("journal")).unwrap(),
        Fault::NoSpool => {
            for (path, _) in files(&data.join("spool")) {
                std::fs::remove_file(path).unwrap();
            }
        }
        Fault::BitInSpool => {
            for (path, _) in files(&data.join("spool")) {
                let mut bytes = std::fs::read(&path).unwrap();
                let at = random.random_range(0..bytes.len());
                bytes[at] ^= 1 << random.random_range(0..8);
                std::fs::write(path, bytes).unwrap();
            }
        }
        Fault::OldCopy => {
            std::fs::remove_dir_all(data).unwrap();
            std::fs::rename(copy, data).unwrap();
        }
        Fault::OldStore => swap_store(copy, data),
        Fault::NewStore => {
            swap_store(data, copy);
            damage(Fault::OldCopy, data, copy, random);
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
