//! The journal is poorer than the bucket: flipped bits, a restored old copy, missing files, a full disk, before one kill and before
//! several. The oracle is a copy of the bucket taken before: no confirmed media object ever changes, and no sound that was there is
//! gone. What is lost is told.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::Value;
use tokio::time::sleep;

use crate::disk::{Disk, files, skipped};
use crate::oracle::Oracle;
use crate::place::{Place, Store, Wishes};
use crate::seed;
use crate::stage::Stage;

/// What is done to the data directory of a dead worker; none of it touches the bucket.
#[derive(Clone, Copy, Debug)]
enum Fault {
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
    /// What waited for the bucket is gone.
    NoSpool,
    /// One bit of each file that waited for the bucket.
    BitInSpool,
    /// The whole folder as it was some seconds before.
    OldCopy,
}

/// Those that every run of the tests tries.
const FEW: [Fault; 5] =
    [Fault::BitInJournal(0.25), Fault::BitInHeaders, Fault::NoJournal, Fault::OldCopy, Fault::Nothing];

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
#[ignore = "long; make faults runs it"]
async fn what_the_bucket_confirmed_is_final_whatever_is_damaged() {
    let mut random = StdRng::seed_from_u64(seed("poorer journals, long"));
    let places = [0.02, 0.1, 0.3, 0.5, 0.7, 0.9, 0.98];
    let bits = places.map(Fault::BitInJournal);
    let zeros = places.map(Fault::ZerosInJournal);
    let cuts = places.map(Fault::CutJournal);
    let others =
        [Fault::Nothing, Fault::BitInHeaders, Fault::NoJournal, Fault::NoSpool, Fault::BitInSpool, Fault::OldCopy];
    let all = || bits.into_iter().chain(zeros).chain(cuts).chain(others);
    for fault in all() {
        for kills in [1, 3] {
            suffer(fault, kills, Wishes::default(), &mut random).await;
        }
    }
    for store in [Store::WriteOnce, Store::Versitygw] {
        if !store.is_here() {
            skipped("poorer journals and versitygw: CLOUD_RECORDER_VERSITYGW names no binary");
            continue;
        }
        for fault in [bits[2], zeros[4], cuts[3]].into_iter().chain(others) {
            suffer(fault, 2, Wishes { store, whole_files: true, ..Wishes::default() }, &mut random).await;
        }
    }
}

/// Records, kills the worker, damages what it left, lets the next run go on, and compares the bucket with what it held.
async fn suffer(fault: Fault, kills: usize, wishes: Wishes, random: &mut StdRng) {
    let what = format!("{fault:?}, {:?}", wishes.store);
    let mut stage = Stage::at(Place::with(wishes).await, 1).await;
    let mut lost = 0;
    for kill in 0..kills {
        sleep(Duration::from_millis(random.random_range(4_000..5_000))).await;
        let copy = stage.place.data.with_extension("old");
        if matches!(fault, Fault::OldCopy) {
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
            print_told(&what, kills, &manifest);
        }
    }
    assert_eq!(lost, kills);
}

/// Seconds told, cause by cause.
fn print_told(what: &str, kills: usize, manifest: &Value) {
    let lost: Vec<String> = manifest["lost"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|lost| format!("{}: {} {}", lost["uid"], lost["missingMs"], lost["causesMs"]))
        .collect();
    println!("{what}, {kills} kills: 0 objects changed; told: {}", lost.join("; "));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_and_a_kill_leave_the_bucket_as_it_was() {
    let Some(disk) = Disk::small(48) else { return skipped("a full disk and a kill") };
    let (data, server) = (Some(disk.path().join("data")), "disk_reserve_mib = 8\n".to_owned());
    let mut stage = Stage::at(Place::with(Wishes { data, server, ..Wishes::default() }).await, 1).await;
    sleep(Duration::from_secs(6)).await;
    disk.fill();
    sleep(Duration::from_secs(9)).await;
    stage.kill();
    sleep(Duration::from_millis(300)).await;
    let oracle = Oracle::of(&stage.place, &stage.recordings[0].task);
    assert!(oracle.seconds() > 9.0, "the bucket goes on while the disk is full: {}", oracle.seconds());
    disk.make_room();
    stage.start();
    stage.ready().await;
    sleep(Duration::from_secs(4)).await;
    oracle.check("a full disk");
    stage.stop().await;
    let manifest = oracle.manifest(&stage.place).await;
    oracle.check("a full disk, after the end");
    assert_eq!(manifest["verdict"], "partial");
}

fn damage(fault: Fault, data: &Path, copy: &Path, random: &mut StdRng) {
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
    }
}

fn copy_dir(from: &Path, to: &Path) {
    let _ = std::fs::remove_dir_all(to);
    assert!(Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap().success());
}
