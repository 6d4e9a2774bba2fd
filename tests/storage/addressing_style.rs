//! Stores that refuse a request for how it is addressed: the bucket in the path, the signature's region. The request is sent once more as the
//! store wants it, what was taken is remembered, and where nothing helps the refusal names the field that does.

use axum::http::Method;
use axum::response::Response;
use cloud_recorder::error_class::Classify;
use cloud_recorder::storage::{Abilities, Bucket, BucketError};
use serde_json::json;

use crate::endpoints::{destination, put};
use crate::odd_store::{Asked, OddStore, bare, refusal};

/// Refusals of the bucket in the path, as stores word them.
const PATH_STYLE: [(u16, &str, &str); 4] = [
    (403, "SecondLevelDomainForbidden", "Please use virtual hosted style to access."),
    (403, "PathStyleDomainForbidden", "The bucket must be addressed using virtual-styled domain."),
    (400, "VirtualHostDomainRequired", "Virtual host domain is required when Bucket access."),
    (400, "Strange", "this store takes no path-style requests"),
];

fn in_the_path(asked: &Asked) -> bool {
    !asked.host.starts_with("calls.")
}

fn refusing((status, code, message): (u16, &'static str, &'static str)) -> impl FnMut(&Asked) -> Option<Response> {
    move |asked| in_the_path(asked).then(|| refusal(status, code, message))
}

async fn refused(bucket: &Bucket) -> (&'static str, bool, String) {
    let error = bucket.prove().await.unwrap_err();
    (error.error_class().code, error.error_class().retry, error.to_string())
}

#[tokio::test]
async fn the_bucket_goes_into_the_host_where_the_path_is_refused() {
    for words in PATH_STYLE {
        let store = OddStore::start(refusing(words)).await;
        let bucket = Bucket::connect(&destination("calls", &json!({ "endpoint": store.named() })));
        bucket.prove().await.unwrap();
        let lines = store.lines();
        assert_eq!(
            lines[..2],
            ["PUT localhost /calls/rec/a%20b/test us-east-1", "PUT calls.localhost /rec/a%20b/test us-east-1"]
        );
        assert!(lines[1..].iter().all(|line| line.contains(" calls.localhost ")), "it is tried once: {lines:?}");
        assert_eq!(bucket.abilities().path_style, Some(false));
        put(&bucket, "x.m4s").await;
        assert_eq!(store.lines(), ["PUT calls.localhost /rec/a%20b/x.m4s us-east-1"]);
        // What was sealed with a recording is known to the next run of the worker.
        let again = Bucket::connect(&destination("calls", &json!({ "endpoint": store.named() })));
        again.learn(bucket.abilities());
        put(&again, "y.m4s").await;
        assert_eq!(store.lines(), ["PUT calls.localhost /rec/a%20b/y.m4s us-east-1"]);
        assert_eq!(store.objects().len(), 2);
    }
}

#[tokio::test]
async fn a_backup_that_nobody_proved_is_addressed_as_its_store_wants_too() {
    let store = OddStore::start(refusing(PATH_STYLE[0])).await;
    let bucket = Bucket::connect(&destination("calls", &json!({ "endpoint": store.named() })));
    put(&bucket, "x.m4s").await;
    assert_eq!(store.objects().into_keys().collect::<Vec<_>>(), ["calls.localhost/rec/a%20b/x.m4s"]);
}

#[tokio::test]
async fn where_the_host_can_not_help_the_refusal_names_what_does() {
    let store = OddStore::start(|_| Some(refusal(403, PATH_STYLE[0].1, PATH_STYLE[0].2))).await;
    for (bucket, extension, words, requests) in [
        ("calls", json!({ "endpoint": store.numbered() }), "an IP address has no place for it", 1),
        ("my.calls", json!({ "endpoint": store.named() }), "can't be part of a host name", 1),
        ("calls", json!({ "endpoint": store.named(), "pathStyle": true }), "extensionParams.pathStyle", 1),
        ("calls", json!({ "endpoint": store.named() }), "where the bucket is in the host's name, too", 2),
    ] {
        let bucket = Bucket::connect(&destination(bucket, &extension));
        let (code, retry, text) = refused(&bucket).await;
        assert_eq!((code, retry), ("bucket_path_style", false), "{text}");
        assert!(text.contains(words) && text.contains("SecondLevelDomainForbidden"), "{text}");
        assert_eq!((store.lines().len(), bucket.abilities().path_style), (requests, None), "{text}");
    }
}

#[tokio::test]
async fn a_request_is_signed_again_for_the_region_that_the_store_names() {
    let words = "The authorization header is malformed; the region 'us-east-1' is wrong; expecting 'fr-par'";
    for (status, code, message) in [
        (400, "AuthorizationHeaderMalformed", "malformed<Region>fr-par</Region>"),
        (400, "AuthorizationHeaderMalformed", words),
        (403, "AccessDenied", words),
        (301, "PermanentRedirect", "elsewhere<Region>fr-par</Region>"),
        (307, "TemporaryRedirect", "elsewhere<Region>fr-par</Region>"),
    ] {
        let store =
            OddStore::start(move |asked| (asked.region != "fr-par").then(|| refusal(status, code, message))).await;
        let bucket = Bucket::connect(&destination("calls", &json!({ "endpoint": store.numbered() })));
        bucket.prove().await.unwrap();
        let lines = store.lines();
        assert!(
            lines[0].ends_with(" us-east-1") && lines[1..].iter().all(|line| line.ends_with(" fr-par")),
            "{lines:?}"
        );
        assert_eq!(bucket.abilities().region.as_deref(), Some("fr-par"));
        // Its answer decides, whatever was learned before.
        let again =
            Bucket::connect(&destination("calls", &json!({ "endpoint": store.numbered(), "region": "fr-par" })));
        again.learn(Abilities { region: Some("nl-ams".into()), ..Abilities::default() });
        put(&again, "x.m4s").await;
        assert_eq!(again.abilities().region.as_deref(), Some("fr-par"));
    }
}

#[tokio::test]
async fn a_head_names_the_region_in_its_headers() {
    let store =
        OddStore::start(|asked| (asked.region != "fr-par").then(|| bare(400, &[("x-amz-bucket-region", "fr-par")])))
            .await;
    let bucket = Bucket::connect(&destination("calls", &json!({ "endpoint": store.numbered() })));
    assert_eq!(bucket.head_within(cloud_recorder::storage::PROOF_TIME, "x").await.unwrap(), None);
    assert_eq!(store.lines(), ["HEAD 127.0.0.1 /calls/x us-east-1", "HEAD 127.0.0.1 /calls/x fr-par"]);
}

#[tokio::test]
async fn a_region_that_does_not_help_is_told_with_the_field_that_does() {
    let mut count = 0;
    let other_each_time = move |_: &Asked| {
        count += 1;
        Some(refusal(400, "AuthorizationHeaderMalformed", &format!("the region is wrong<Region>r-{count}</Region>")))
    };
    let nameless =
        |_: &Asked| Some(refusal(301, "PermanentRedirect", "elsewhere<Endpoint>s3.r-9.example.com</Endpoint>"));
    let odd = |_: &Asked| Some(refusal(301, "PermanentRedirect", "elsewhere<Region>../x y</Region>"));
    for (store, words, requests) in [
        (
            OddStore::start(other_each_time).await,
            "names r-2: set clientRequest.storageConfig.extensionParams.region to that",
            2,
        ),
        (OddStore::start(nameless).await, "extensionParams.endpoint to s3.r-9.example.com", 1),
        (
            OddStore::start(odd).await,
            "set clientRequest.storageConfig.extensionParams.region to the bucket's region",
            1,
        ),
    ] {
        let bucket = Bucket::connect(&destination("calls", &json!({ "endpoint": store.numbered() })));
        let (code, retry, text) = refused(&bucket).await;
        assert_eq!((code, retry), ("bucket_region", false));
        assert!(text.contains(words) && !text.contains(".."), "{text}");
        assert_eq!((store.lines().len(), bucket.abilities().region), (requests, None));
    }
    // Not everything that is malformed is a region.
    let store =
        OddStore::start(|_| Some(refusal(400, "AuthorizationHeaderMalformed", "an Access Key must be given"))).await;
    let bucket = Bucket::connect(&destination("calls", &json!({ "endpoint": store.numbered() })));
    assert!(matches!(bucket.prove().await, Err(BucketError::Refused { .. })));
}

#[tokio::test]
async fn a_store_can_want_both() {
    let store = OddStore::start(|asked| match (in_the_path(asked), asked.region.as_str()) {
        (true, _) => Some(refusal(403, PATH_STYLE[0].1, PATH_STYLE[0].2)),
        (false, "cn-hangzhou") => None,
        (false, _) => Some(refusal(400, "AuthorizationHeaderMalformed", "<Region>cn-hangzhou</Region>")),
    })
    .await;
    let bucket = Bucket::connect(&destination("calls", &json!({ "endpoint": store.named() })));
    bucket.prove().await.unwrap();
    let puts = store.asked().into_iter().filter(|asked| asked.is(&Method::PUT)).count();
    assert!(puts >= 3 && bucket.abilities().region.as_deref() == Some("cn-hangzhou"));
}
