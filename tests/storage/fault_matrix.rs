//! Every way in which a bucket fails: each row breaks it in the middle of a recording, lets several attempts fail, heals it, and
//! asks the same at the end: the bucket holds everything, byte for byte; no playlist ever named what was not there; the spool is
//! empty.

use std::time::Duration;

use cloud_recorder::storage::{Bucket, Credentials, RetryPolicy};

use crate::fault_proxy::ErrorClass;
use crate::faulty_line::Line;
use crate::support::{ACCESS_KEY, BUCKET, SECRET_KEY};
use crate::upload_run::{RETRY, UploadRun};

/// What breaks.
enum Trouble {
    Proxy(ErrorClass),
    /// The line of the upload.
    Outer(Line),
    /// The line before the store: what is cut reaches it half.
    Inner(Line),
    /// The bucket is gone.
    Bucket,
}

impl Trouble {
    fn begin(&self, upload_run: &UploadRun) {
        match self {
            Self::Proxy(error_class) => upload_run.proxy.set(error_class.clone()),
            Self::Outer(line) => upload_run.outer.set(*line),
            Self::Inner(line) => upload_run.inner.set(*line),
            Self::Bucket => {
                let bucket = upload_run.server.dir.path().join("buckets").join(BUCKET);
                std::fs::rename(&bucket, bucket.with_extension("gone")).unwrap();
            }
        }
    }

    fn end(&self, upload_run: &UploadRun) {
        match self {
            Self::Proxy(_) => upload_run.proxy.set(ErrorClass::None),
            Self::Outer(_) => upload_run.outer.set(Line::Whole),
            Self::Inner(_) => upload_run.inner.set(Line::Whole),
            Self::Bucket => {
                let bucket = upload_run.server.dir.path().join("buckets").join(BUCKET);
                std::fs::rename(bucket.with_extension("gone"), &bucket).unwrap();
            }
        }
    }
}

/// Attempts that fail before the trouble ends.
const FAILURES: u32 = 5;

/// One row: the trouble, and what it has to be called.
async fn row(trouble: Trouble, code: &'static str, passes: bool) {
    let mut upload_run = UploadRun::new(1, RETRY).await;
    upload_run.recording.go_on(3).await;
    upload_run.until(|observed| observed.confirmed >= 4).await;
    trouble.begin(&upload_run);
    let before = upload_run.observed().failed;
    upload_run.recording.go_on(3).await;
    upload_run.until(|observed| observed.failed >= before + FAILURES).await;
    let observed = upload_run.observed();
    assert!(observed.codes.contains(&(code, passes)), "{observed:?}");
    // Something small may get through where only what is long is cut: then the next attempt fails again.
    let troubled = async {
        while upload_run.queue.progress().trouble.map(|error_class| error_class.retry) != Some(passes) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), troubled).await.expect("the trouble is to be seen");
    assert!(!upload_run.session.list().await.unwrap().is_empty(), "what is not confirmed stays");
    trouble.end(&upload_run);
    upload_run.recording.go_on(2).await;
    upload_run.until(|observed| observed.recovered > 0).await;
    upload_run.finish().await;
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
    it_answers_503: Trouble::Proxy(ErrorClass::Answer(503, "SlowDown")) => "bucket_busy", true;
    it_answers_500: Trouble::Proxy(ErrorClass::Answer(500, "InternalError")) => "bucket_busy", true;
    it_answers_429: Trouble::Proxy(ErrorClass::Answer(429, "")) => "bucket_busy", true;
    a_gateway_answers_502_without_words: Trouble::Proxy(ErrorClass::Answer(502, "")) => "bucket_busy", true;
    connections_are_refused: Trouble::Outer(Line::Refused) => "bucket_unreachable", true;
    the_line_breaks_in_the_middle_of_a_put: Trouble::Outer(Line::Cut(1500)) => "bucket_unreachable", true;
    half_a_put_reaches_the_store: Trouble::Inner(Line::Cut(1500)) => "bucket_unreachable", true;
    the_answer_is_lost_after_the_put_was_taken: Trouble::Proxy(ErrorClass::AnswerLost) => "bucket_unreachable", true;
    it_takes_the_put_and_answers_500: Trouble::Proxy(ErrorClass::TakenBut(500, "InternalError")) => "bucket_busy", true;
    it_never_answers: Trouble::Proxy(ErrorClass::Silent) => "bucket_timeout", true;
    a_wrong_checksum_comes_back: Trouble::Proxy(ErrorClass::WrongChecksum) => "bucket_altered", true;
    it_keeps_half_of_a_segment: Trouble::Proxy(ErrorClass::Halved { checksums: true }) => "bucket_altered", true;
    it_keeps_half_and_knows_no_checksums: Trouble::Proxy(ErrorClass::Halved { checksums: false }) => "bucket_altered", true;
    access_is_denied_and_allowed_again: Trouble::Proxy(ErrorClass::Answer(403, "AccessDenied")) => "bucket_access_denied", false;
    the_key_is_unknown_for_a_while: Trouble::Proxy(ErrorClass::Answer(403, "InvalidAccessKeyId")) => "bucket_access_key", false;
    the_secret_is_wrong_for_a_while: Trouble::Proxy(ErrorClass::Answer(403, "SignatureDoesNotMatch")) => "bucket_secret_key", false;
    the_token_is_wrong_for_a_while: Trouble::Proxy(ErrorClass::Answer(400, "InvalidToken")) => "bucket_token", false;
    the_region_is_wrong_for_a_while: Trouble::Proxy(ErrorClass::Answer(301, "PermanentRedirect")) => "bucket_region", false;
    the_bucket_is_gone_and_comes_back: Trouble::Bucket => "bucket_missing", false;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trickle_is_slow_and_gets_there() {
    let mut upload_run = UploadRun::new(1, RETRY).await;
    // A segment takes longer than the first attempt may: later ones get more time.
    upload_run.outer.set(Line::Slow(60));
    upload_run.recording.go_on(3).await;
    upload_run.until(|observed| observed.codes.contains(&("bucket_timeout", PASSES)) && observed.confirmed >= 8).await;
    upload_run.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn expired_credentials_wait_for_fresh_ones_and_these_are_used_at_once() {
    const FRESH: &str = "fresh-token";
    // Waits so long that only the update can explain that it goes on.
    let patient = RetryPolicy { first: Duration::from_millis(1), longest: Duration::from_secs(3600) };
    let mut upload_run = UploadRun::patient(1, patient).await;
    upload_run.recording.go_on(3).await;
    upload_run.until(|observed| observed.confirmed >= 6).await;
    upload_run.proxy.set(ErrorClass::Expired(FRESH));
    upload_run.recording.go_on(3).await;
    upload_run.until(|observed| observed.codes.contains(&("sts_expired", false))).await;
    let credentials = |token: &str| Credentials {
        access_key: ACCESS_KEY.into(),
        secret_key: SECRET_KEY.into(),
        sts_token: Some(token.into()),
    };
    let bucket = Bucket::connect(&upload_run.destination());
    let failed = upload_run.observed().failed;
    upload_run.queue.use_bucket(bucket.with_credentials(credentials("stale-token")));
    upload_run.until(|observed| observed.failed > failed).await;
    upload_run.queue.use_bucket(bucket.with_credentials(credentials(FRESH)));
    let observed = upload_run.finish().await;
    assert_eq!(observed.codes.into_iter().collect::<Vec<_>>(), [("sts_expired", false)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_is_off_by_an_hour_costs_one_attempt_each() {
    for seconds in [3600, -3600] {
        let mut upload_run = UploadRun::patient(1, RETRY).await;
        upload_run.proxy.set(ErrorClass::Ahead(seconds));
        upload_run.recording.go_on(3).await;
        upload_run.until(|observed| observed.confirmed >= 8).await;
        let observed = upload_run.finish().await;
        assert_eq!(observed.codes.into_iter().collect::<Vec<_>>(), [("clock_skew", true)]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bucket_that_is_deleted_and_made_again_gets_all_that_it_had_not_confirmed() {
    let mut upload_run = UploadRun::new(1, RETRY).await;
    let bucket = upload_run.server.dir.path().join("buckets").join(BUCKET);
    std::fs::remove_dir_all(&bucket).unwrap();
    upload_run.recording.go_on(4).await;
    upload_run.until(|observed| observed.failed >= FAILURES).await;
    assert!(upload_run.observed().codes.contains(&("bucket_missing", false)));
    upload_run.server.server.ensure_bucket(BUCKET).await.unwrap();
    upload_run.finish().await;
}
