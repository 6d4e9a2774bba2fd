//! `GET /metrics`: what a worker counts and how it is, for Prometheus: in the OpenMetrics text format for whoever asks for it in `Accept`, as
//! every Prometheus server does, else in the older text format.
//!
//! No credentials: whoever reaches the port reads it. So nothing in it names a channel, a person, an app, a bucket or a secret.

mod process;
mod text;

use std::sync::atomic::AtomicU64;

use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::http::{HeaderMap, Method};
use axum::response::{IntoResponse, Response};
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

use crate::session::{Gauges, Sessions};
use crate::units::WallMs;

/// What every name of ours begins with.
const PREFIX: &str = "cloud_recorder";
/// OpenMetrics 1.0; every Prometheus since 2.5 reads it.
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// The older text format.
const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Whether method and path ask for this.
pub(crate) fn are_asked(method: &Method, path: &str) -> bool {
    *method == Method::GET && path == "/metrics"
}

/// The answer to a request with these headers; the worker began at `started`.
pub(crate) async fn answer(sessions: &Sessions, started: WallMs, headers: &HeaderMap) -> Response {
    let gauges = sessions.gauges().await;
    let mut registry = Registry::default();
    let began = ConstGauge::new(started.0 as f64 / 1000.0);
    registry.register_with_unit("process_start_time", "When the worker began, since 1970", Unit::Seconds, began);
    process::register(&mut registry);
    let ours = registry.sub_registry_with_prefix(PREFIX);
    ours.register("build", "Which program this is", Info::new(vec![("version", env!("CARGO_PKG_VERSION"))]));
    sessions.metrics().register(ours);
    register(&gauges, ours);
    let mut text = String::new();
    encode(&mut text, &registry).expect("a String takes every write");
    let accepted = headers.get(ACCEPT).and_then(|accepted| accepted.to_str().ok()).unwrap_or_default();
    if accepted.contains("application/openmetrics-text") {
        return ([(CONTENT_TYPE, OPENMETRICS)], text).into_response();
    }
    ([(CONTENT_TYPE, TEXT)], text::from_openmetrics(&text)).into_response()
}

/// Names what was read just now.
fn register(gauges: &Gauges, registry: &mut Registry) {
    let recordings = Family::<[(&str, &str); 1], Gauge<u64, AtomicU64>>::default();
    for (state, count) in &gauges.recordings {
        recordings.get_or_create(&[("state", state.word())]).set(*count as u64);
    }
    registry.register("recordings", "Recordings that are not over", recordings);
    registry.register("ready", "1 when new recordings are taken", ConstGauge::new(i64::from(gauges.ready)));
    let mut bytes = |name: &str, help: &str, value: u64| {
        registry.register_with_unit(name, help, Unit::Bytes, ConstGauge::new(value));
    };
    bytes("spool", "On disk, waiting for buckets or kept for whole files", gauges.spool_bytes);
    bytes("spool_memory", "Waiting in memory because the disk did not take it", gauges.spool_memory_bytes);
    bytes("disk_reserve", "Kept free on the data disk for running recordings", gauges.disk.reserve);
    if let Some(free) = gauges.disk.free {
        bytes("disk_free", "Free on the data disk", free);
    }
    bytes("journal", "Journal files on the disk", gauges.journal.file_bytes);
    registry.register("journal_files", "Journal files on the disk", ConstGauge::new(gauges.journal.files));
    let written = ConstCounter::new(gauges.journal.bytes);
    registry.register_with_unit("journal_written", "Made durable in the journal", Unit::Bytes, written);
    let mut count = |name: &str, help: &str, value: u64| registry.register(name, help, ConstCounter::new(value));
    count("journal_fsyncs", "Syncs of the journal", gauges.journal.fsyncs);
    count(
        "journal_records_dropped",
        "Inputs that a crash would lose, the disk did not keep up",
        gauges.journal.dropped,
    );
    if let Some(callbacks) = &gauges.callbacks {
        let mut gauge = |name: &str, help: &str, value: u64| registry.register(name, help, ConstGauge::new(value));
        gauge("callbacks_pending", "Events that a receiver is still to be told", callbacks.pending);
        gauge("callbacks_dead", "Dead letters", callbacks.dead);
    }
}
