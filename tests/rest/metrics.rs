//! `/metrics` during a recording: valid OpenMetrics, true figures, and no name of anybody.

use std::collections::{BTreeMap, BTreeSet};

use axum::body::Body;
use axum::http::{Request, StatusCode};
use http_body_util::BodyExt;
use tower::ServiceExt;

use crate::receiver::{Answer, Receiver};
use crate::talker::Talker;
use crate::world::{APP, Options, World, until};

#[tokio::test(flavor = "multi_thread")]
async fn a_scrape_during_a_recording_is_valid_and_true() {
    let receiver = Receiver::scripted(&[Answer::Status(500)]).await;
    let world = World::with(Options { callbacks: Some(receiver.url.clone()), ..Options::default() }).await;
    let task = world.record("mix", "secret-room", "1", &world.client()).await;
    let scripted_channel = world.channel.scripted_channel(&task.sid);
    scripted_channel.enter(0, "somebody", 1).await;
    scripted_channel.talk(&mut [Talker::new(1, 440.0)], 0, 7000).await;
    let refused = world.start("0".repeat(64).as_str(), "mix", "secret-room", "1", &world.client()).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    let scraped = until(async || {
        let scraped = Scrape::of(&world).await;
        let confirmed = scraped.sum("cloud_recorder_segments_confirmed_total");
        (confirmed >= 2.0 && scraped.value("cloud_recorder_journal_fsyncs_total") > 0.0).then_some(scraped)
    })
    .await;
    assert_eq!(scraped.value(r#"cloud_recorder_recordings{state="recording"}"#), 1.0);
    assert_eq!(scraped.value(r#"cloud_recorder_recordings{state="stopping"}"#), 0.0);
    assert_eq!(scraped.value("cloud_recorder_recordings_started_total"), 1.0);
    assert_eq!(scraped.value("cloud_recorder_ready"), 1.0);
    assert_eq!(scraped.sum("cloud_recorder_refusals_total"), 1.0);
    assert!(scraped.value("cloud_recorder_packets_received_total") >= 300.0);
    assert!(
        scraped.sum("cloud_recorder_segments_made_total") >= scraped.sum("cloud_recorder_segments_confirmed_total")
    );
    assert!(scraped.value("cloud_recorder_uploaded_bytes_total") > 1000.0);
    assert!(scraped.value("cloud_recorder_disk_free_bytes") > 0.0);
    for name in ["journal_bytes", "journal_files", "journal_written_bytes_total", "journal_fsyncs_total"] {
        assert!(scraped.value(&format!("cloud_recorder_{name}")) > 0.0, "{name}");
    }
    assert!(scraped.value("process_start_time_seconds") > 1.7e9);
    assert_eq!(scraped.value(r#"cloud_recorder_callback_failures_total{reason="callback_refused"}"#), 1.0);
    assert_eq!(scraped.value(r#"cloud_recorder_request_seconds_count{route="acquire",status="2xx"}"#), 1.0);
    for status in ["2xx", "4xx"] {
        assert_eq!(
            scraped.value(&format!(r#"cloud_recorder_request_seconds_count{{route="start",status="{status}"}}"#)),
            1.0
        );
    }
    assert!(scraped.value(r#"cloud_recorder_upload_seconds_count{outcome="ok"}"#) >= 3.0);
    assert_eq!(scraped.value(r#"cloud_recorder_callback_seconds_count{outcome="failed"}"#), 1.0);
    for name in [&task.sid, "secret-room", "somebody", APP, "calls", "callback-secret"] {
        assert!(!scraped.text.contains(name), "{name} is told to whoever asks:\n{}", scraped.text);
    }

    world.stop(&task).await;
    world.over(&task).await;
    let log = world.log(&task).await;
    let scraped = until(async || {
        let scraped = Scrape::of(&world).await;
        let delivered = scraped.value("cloud_recorder_callbacks_delivered_total") == log.len() as f64;
        (delivered && scraped.value("cloud_recorder_callbacks_pending") == 0.0).then_some(scraped)
    })
    .await;
    assert_eq!(scraped.value(r#"cloud_recorder_recordings_ended_total{outcome="ended"}"#), 1.0);
    assert_eq!(scraped.value(r#"cloud_recorder_recordings{state="recording"}"#), 0.0);
    assert_eq!(scraped.value("cloud_recorder_events_written_total"), log.len() as f64);
    assert_eq!(scraped.value("cloud_recorder_callbacks_dead"), 0.0);
    let delivered = log.len() as f64;
    assert_eq!(scraped.value(r#"cloud_recorder_callback_seconds_count{outcome="ok"}"#), delivered);
    assert_eq!(scraped.value("cloud_recorder_callback_delay_seconds_count"), delivered);
    assert_eq!(scraped.value(r#"cloud_recorder_callback_delay_seconds_bucket{le="+Inf"}"#), delivered);
    assert_eq!(scraped.value("cloud_recorder_callback_circuits_open"), 0.0);
    assert_eq!(scraped.value("cloud_recorder_spool_bytes"), 0.0);
}

/// A scrape that passed the rules of OpenMetrics 1.0 that a Prometheus server and promtool look at.
struct Scrape {
    text: String,
    samples: BTreeMap<String, f64>,
}

impl Scrape {
    async fn of(world: &World) -> Self {
        let accept = "application/openmetrics-text; version=1.0.0,text/plain;version=0.0.4;q=0.5";
        let request = Request::get("/metrics").header("accept", accept).body(Body::empty()).unwrap();
        let (head, body) = world.router().oneshot(request).await.unwrap().into_parts();
        assert_eq!(head.status, StatusCode::OK);
        assert!(
            head.headers["content-type"].to_str().unwrap().starts_with("application/openmetrics-text; version=1.0.0")
        );
        let text = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
        Self { samples: parse(&text), text }
    }

    fn value(&self, series: &str) -> f64 {
        *self.samples.get(series).unwrap_or_else(|| panic!("no {series} in\n{}", self.text))
    }

    /// Over all labels.
    fn sum(&self, name: &str) -> f64 {
        let of = |series: &str| series.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('{'));
        self.samples.iter().filter(|(series, _)| of(series)).map(|(_, value)| value).sum()
    }
}

fn parse(text: &str) -> BTreeMap<String, f64> {
    let lines = text.strip_suffix("# EOF\n").expect("the text ends with its mark and a line feed");
    let (mut samples, mut families) = (BTreeMap::new(), BTreeSet::new());
    let (mut family, mut kind) = (String::new(), "");
    for line in lines.lines() {
        if let Some(comment) = line.strip_prefix("# ") {
            let (word, rest) = comment.split_once(' ').unwrap();
            let (name, rest) = rest.split_once(' ').unwrap();
            match word {
                "HELP" => {
                    assert!(families.insert(name.to_owned()), "{name} is described twice");
                    assert!(rest.len() > 3, "{name} has no help");
                    assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{name} is no name");
                    assert!(!name.ends_with("_total"), "{name}: the suffix belongs to the sample");
                    family = name.to_owned();
                }
                "TYPE" => {
                    assert_eq!(name, family);
                    kind = match rest {
                        "counter" => "counter",
                        "gauge" => "gauge",
                        "info" => "info",
                        "histogram" => "histogram",
                        other => panic!("{name} is a {other}"),
                    };
                }
                "UNIT" => {
                    assert!(name == family && name.ends_with(&format!("_{rest}")), "{name} hides its unit {rest}")
                }
                other => panic!("# {other}"),
            }
            continue;
        }
        let (series, value) = line.rsplit_once(' ').unwrap();
        let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
        let suffixes: &[&str] = match kind {
            "counter" => &["_total"],
            "info" => &["_info"],
            "histogram" => &["_bucket", "_sum", "_count"],
            _ => &[""],
        };
        assert!(suffixes.iter().any(|suffix| name == format!("{family}{suffix}")), "{name} in {family}");
        for label in labels.strip_suffix('}').unwrap().split(',').filter(|label| !label.is_empty()) {
            let (key, word) = label.split_once('=').unwrap();
            assert!(
                ["state", "outcome", "call", "reason", "cause", "version", "route", "status", "le"].contains(&key),
                "{key} is a new label: is it bounded?"
            );
            let word = word.strip_prefix('"').and_then(|word| word.strip_suffix('"')).unwrap();
            let ours = |b: u8| {
                b.is_ascii_alphanumeric()
                    || b == b'_'
                    || (["version", "le"].contains(&key) && [b'.', b'+'].contains(&b))
            };
            assert!(word.bytes().all(ours), "{word} is no word of ours");
        }
        let value: f64 = value.parse().unwrap();
        assert!(value >= 0.0 && value.is_finite());
        assert_eq!(samples.insert(series.to_owned(), value), None, "{series} is told twice");
    }
    samples
}
