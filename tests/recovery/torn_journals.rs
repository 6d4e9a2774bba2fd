//! The journal's last half second is gone or garbled, and files that were being written lie about: the rest is read, and nothing
//! but that half second is missing.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::checks::Allowance;
use crate::disk::files;
use crate::kill_run::KillRun;
use crate::seed;
use crate::torn_journal::{TORN, TornJournal};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_its_end() {
    let mut random = StdRng::seed_from_u64(seed("torn journals"));
    let mut kill_run = KillRun::open(1).await;
    let mut torn = 0;
    for _ in 0..4 {
        let torn_journal = TornJournal::watch(&kill_run.test_env.data.join("journal"));
        tokio::time::sleep(Duration::from_millis(random.random_range(2_500..4_000))).await;
        kill_run.kill();
        torn += torn_journal.tear(&mut random);
        let spool = files(&kill_run.test_env.data.join("spool"));
        let half = spool.iter().filter(|(path, _)| path.extension().is_some_and(|end| end == "half"));
        half.for_each(|(path, _)| std::fs::remove_file(path).unwrap());
        kill_run.start();
        kill_run.ready().await;
    }
    assert!(torn > 0, "nothing was torn: the test proves nothing");
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    kill_run.stop().await;
    let usual = Allowance::default();
    let allowance = Allowance { before: usual.before + TORN.as_millis() as u64, ..usual };
    kill_run.check_with(allowance).await.print("torn journals");
}
