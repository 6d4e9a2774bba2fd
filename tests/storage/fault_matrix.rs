//! Every way in which a bucket fails: each row breaks it in the middle of a recording, lets several attempts fail, heals it, and
//! asks the same at the end: the bucket holds everything, byte for byte; no playlist ever named what was not there; the spool is
//! empty.

use std::time::Duration;

use cloud_recorder::storage::{Bucket, Credentials, RetryPolicy};

use crate::fault_proxy::Fault;
use crate::rig::{RETRY, Rig};
use crate::support::{ACCESS_KEY, BUCKET, SECRET_KEY};
use crate::wire::Line;

/// What breaks.
enum Trouble {
    Proxy(Fault),
    /// The line of the upload.
    Outer(Line),
    /// The line before the store: what is cut reaches it half.
    Inner(Line),
    /// The bucket is gone.
    Bucket,
}

impl Trouble {
    fn begin(&self, rig: &Rig) {
        match self {
            Self::Proxy(fault) => rig.proxy.set(fault.clone()),
            Self::Outer(line) => rig.outer.set(*line),
            Self::Inner(line) => rig.inner.set(*line),
            Self::Bucket => {
                let bucket = rig.server.dir.path().join("buckets").join(BUCKET);
                std::fs::rename(&bucket, bucket.with_extension("gone")).unwrap();
            }
        }
    }

    fn end(&self, rig: &Rig) {
        match self {
            Self::Proxy(_) => rig.proxy.set(Fault::None),
            Self::Outer(_) => rig.outer.set(Line::Whole),
            Self::Inner(_) => rig.inner.set(Line::Whole),
            Self::Bucket => {
                let bucket = rig.server.dir.path().join("buckets").join(BUCKET);
                std::fs::rename(bucket.with_extension("gone"), &bucket).unwrap();
            }
        }
    }
}

/// Attempts that fail before the trouble ends.
const FAILURES: u32 = 5;

/// One row: the trouble, and what it has to be called.
async fn row(trouble: Trouble, code: &'static str, passes: bool) {
    let mut rig = Rig::new(1, RETRY).await;
    rig.recording.go_on(3).await;
    rig.until(|told| told.confirmed >= 4).await;
    trouble.begin(&rig);
    let before = rig.told().failed;
    rig.recording.go_on(3).await;
    rig.until(|told| told.failed >= before + FAILURES).await;
    let told = rig.told();
    assert!(told.codes.contains(&(code, passes)), "{told:?}");
    // Something small may get through where only what is long is cut: then the next attempt fails again.
    let troubled = async {
        while rig.queue.progress().trouble.map(|fault| fault.retry) != Some(passes) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), troubled).await.expect("the trouble is to be seen");
    assert!(!rig.session.list().await.unwrap().is_empty(), "what is not confirmed stays");
    trouble.end(&rig);
    rig.recording.go_on(2).await;
    rig.until(|told| told.recovered > 0).await;
    rig.finish().await;
}

macro_rules! rows {
    ($($name:ident: $trouble:expr => $code:literal, $passes:literal;)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                row($trouble, $code, $passes).await;
            }
        )*
    };
}

const PASSES: bool = true;

rows! {
    it_answers_503: Trouble::Proxy(Fault::Answer(503, "SlowDown")) => "bucket_busy", true;
    it_answers_500: Trouble::Proxy(Fault::Answer(500, "InternalError")) => "bucket_busy", true;
    it_answers_429: Trouble::Proxy(Fault::Answer(429, "")) => "bucket_busy", true;
    a_gateway_answers_502_without_words: Trouble::Proxy(Fault::Answer(502, "")) => "bucket_busy", true;
    connections_are_refused: Trouble::Outer(Line::Refused) => "bucket_unreachable", true;
    the_line_breaks_in_the_middle_of_a_put: Trouble::Outer(Line::Cut(1500)) => "bucket_unreachable", true;
    half_a_put_reaches_the_store: Trouble::Inner(Line::Cut(1500)) => "bucket_unreachable", true;
    the_answer_is_lost_after_the_put_was_taken: Trouble::Proxy(Fault::AnswerLost) => "bucket_unreachable", true;
    it_takes_the_put_and_answers_500: Trouble::Proxy(Fault::TakenBut(500, "InternalError")) => "bucket_busy", true;
    it_never_answers: Trouble::Proxy(Fault::Silent) => "bucket_timeout", true;
    a_wrong_checksum_comes_back: Trouble::Proxy(Fault::WrongChecksum) => "bucket_altered", true;
    it_keeps_half_of_a_segment: Trouble::Proxy(Fault::Halved { checksums: true }) => "bucket_altered", true;
    it_keeps_half_and_knows_no_checksums: Trouble::Proxy(Fault::Halved { checksums: false }) => "bucket_altered", true;
    access_is_denied_and_allowed_again: Trouble::Proxy(Fault::Answer(403, "AccessDenied")) => "bucket_access_denied", false;
    the_key_is_unknown_for_a_while: Trouble::Proxy(Fault::Answer(403, "InvalidAccessKeyId")) => "bucket_access_key", false;
    the_secret_is_wrong_for_a_while: Trouble::Proxy(Fault::Answer(403, "SignatureDoesNotMatch")) => "bucket_secret_key", false;
    the_token_is_wrong_for_a_while: Trouble::Proxy(Fault::Answer(400, "InvalidToken")) => "bucket_token", false;
    the_region_is_wrong_for_a_while: Trouble::Proxy(Fault::Answer(301, "PermanentRedirect")) => "bucket_region", false;
    the_bucket_is_gone_and_comes_back: Trouble::Bucket => "bucket_missing", false;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trickle_is_slow_and_gets_there() {
    let mut rig = Rig::new(1, RETRY).await;
    // A segment takes longer than the first attempt may: later ones get more time.
    rig.outer.set(Line::Slow(60));
    rig.recording.go_on(3).await;
    rig.until(|told| told.codes.contains(&("bucket_timeout", PASSES)) && told.confirmed >= 8).await;
    rig.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn expired_credentials_wait_for_fresh_ones_and_these_are_used_at_once() {
    const FRESH: &str = "fresh-token";
    // Waits so long that only the update can explain that it goes on.
    let patient = RetryPolicy { first: Duration::from_millis(1), longest: Duration::from_secs(3600) };
    let mut rig = Rig::patient(1, patient).await;
    rig.recording.go_on(3).await;
    rig.until(|told| told.confirmed >= 6).await;
    rig.proxy.set(Fault::Expired(FRESH));
    rig.recording.go_on(3).await;
    rig.until(|told| told.codes.contains(&("sts_expired", false))).await;
    let credentials = |token: &str| Credentials {
        access_key: ACCESS_KEY.into(),
        secret_key: SECRET_KEY.into(),
        sts_token: Some(token.into()),
    };
    let bucket = Bucket::connect(&rig.destination());
    let failed = rig.told().failed;
    rig.queue.use_bucket(bucket.with_credentials(credentials("stale-token")));
    rig.until(|told| told.failed > failed).await;
    rig.queue.use_bucket(bucket.with_credentials(credentials(FRESH)));
    let told = rig.finish().await;
    assert_eq!(told.codes.into_iter().collect::<Vec<_>>(), [("sts_expired", false)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_is_off_by_an_hour_costs_one_attempt_each() {
    for seconds in [3600, -3600] {
        let mut rig = Rig::patient(1, RETRY).await;
        rig.proxy.set(Fault::Ahead(seconds));
        rig.recording.go_on(3).await;
        rig.until(|told| told.confirmed >= 8).await;
        let told = rig.finish().await;
        assert_eq!(told.codes.into_iter().collect::<Vec<_>>(), [("clock_skew", true)]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bucket_that_is_deleted_and_made_again_gets_all_that_it_had_not_confirmed() {
    let mut rig = Rig::new(1, RETRY).await;
    let bucket = rig.server.dir.path().join("buckets").join(BUCKET);
    std::fs::remove_dir_all(&bucket).unwrap();
    rig.recording.go_on(4).await;
    rig.until(|told| told.failed >= FAILURES).await;
    assert!(rig.told().codes.contains(&("bucket_missing", false)));
    rig.server.server.ensure_bucket(BUCKET).await.unwrap();
    rig.finish().await;
}
