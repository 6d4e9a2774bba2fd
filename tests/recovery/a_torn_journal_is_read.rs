//! The journal's last half second is gone or garbled, and files that were being written lie about: the rest is read, and nothing
//! but that half second is missing.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::checks::Allowance;
use crate::disk::files;
use crate::seed;
use crate::stage::Stage;
use crate::tail::{TORN, Tail};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_its_end() {
    let mut random = StdRng::seed_from_u64(seed("torn journals"));
    let mut stage = Stage::open(1).await;
    let mut torn = 0;
    for _ in 0..4 {
        let tail = Tail::watch(&stage.place.data.join("journal"));
        tokio::time::sleep(Duration::from_millis(random.random_range(2_500..4_000))).await;
        stage.kill();
        torn += tail.tear(&mut random);
        let spool = files(&stage.place.data.join("spool"));
        let half = spool.iter().filter(|(path, _)| path.extension().is_some_and(|end| end == "half"));
        half.for_each(|(path, _)| std::fs::remove_file(path).unwrap());
        stage.start();
        stage.ready().await;
    }
    assert!(torn > 0, "nothing was torn: the test proves nothing");
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    stage.stop().await;
    let usual = Allowance::default();
    let allowance = Allowance { before: usual.before + TORN.as_millis() as u64, ..usual };
    stage.judge_with(allowance).await.print("torn journals");
}
