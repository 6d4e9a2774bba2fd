//! Probes, metrics and this document.

use serde_json::json;

use super::OPERATION;
use crate::api::openapi::operation::Operation;
use crate::api::openapi::refusals::gateway;

pub(super) fn all() -> Vec<Operation> {
    vec![live(), ready(), metrics(), openapi()]
}

fn live() -> Operation {
    Operation::new("get", "/livez", OPERATION, "live", "Does the process answer?").open().answers(
        200,
        "It does",
        "Alive",
        [("alive", json!({ "alive": true }))],
    )
}

fn ready() -> Operation {
    let full = "only 900 MiB are free on the disk of server.data_dir, and 1024 MiB are kept for running recordings";
    Operation::new("get", "/readyz", OPERATION, "ready", "Should it be sent new recordings?")
        .open()
        .about("A worker that is not ready goes on with what it records, and answers query, update and stop.")
        .answers(200, "It takes new recordings", "Readiness", [("ready", json!({ "ready": true, "reasons": [] }))])
        .answers(
            503,
            "It does not; each reason has a word for machines and one for people",
            "Readiness",
            [("disk_full", json!({ "ready": false, "reasons": [{ "code": "disk_reserve", "detail": full }] }))],
        )
}

fn metrics() -> Operation {
    let example = "# TYPE cloud_recorder_recordings gauge\ncloud_recorder_recordings{state=\"recording\"} 2\n";
    let openmetrics = format!("{example}# EOF\n");
    Operation::new("get", "/metrics", OPERATION, "metrics", "Counts for Prometheus")
        .open()
        .about("`server.metrics = false` switches it off. Nothing in it names an app, a channel, a person or a bucket.")
        .answers_text(
            200,
            "OpenMetrics to who asks for it in `Accept`, else the older text format",
            [("application/openmetrics-text", &openmetrics), ("text/plain", example)],
        )
        .refuses(&[gateway(404, "switched_off", "no Route matched with those values")])
}

fn openapi() -> Operation {
    Operation::new("get", "/openapi.json", OPERATION, "openapi", "This document")
        .open()
        .about("The page at `/docs` shows it to people.")
        .answers(200, "OpenAPI 3.1", "Document", [])
}
