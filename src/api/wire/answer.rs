//! Answers: the vendor's shapes (docs/protocol/agora.md sections 1.2 to 1.6) and, beside them, what we know on top.

use serde_json::{Map, Value, json};

use super::Claimed;
use crate::error_class::Classify;
use crate::recording::{Mode, SourceId, TrackLedger};
use crate::session::{Error, File, Listing, Note, Report, ResourceId, TaskRef, UidHealth, WaitingBytes};

/// `uploadingStatus` of a recording of which some is in the backup bucket alone.
const BACKUPED: &str = "backuped";

/// The four names at the top of every answer about a task.
pub(crate) fn task(report: &Report) -> Map<String, Value> {
    object(json!({
        "cname": report.cname,
        "uid": report.uid,
        "resourceId": report.resource,
        "sid": report.sid,
    }))
}

/// The answer to start.
pub(crate) fn started(report: &Report) -> Value {
    let mut body = task(report);
    body.insert("state".into(), json!(report.state));
    body.insert("status".into(), json!(report.state.status()));
    insert_notes(&mut body, report);
    Value::Object(body)
}

/// The answer to query.
pub(crate) fn query(report: &Report) -> Map<String, Value> {
    let mut server = server_response(report);
    server.insert("status".into(), json!(report.state.status()));
    server.insert("sliceStartTime".into(), json!(report.started.map_or(0, |at| at.0)));
    let mut body = task(report);
    body.insert("serverResponse".into(), Value::Object(server));
    insert_knowledge(&mut body, report);
    body
}

/// The answer to stop; also the base of the answers with codes 435 and 65.
pub(crate) fn stopped(report: &Report) -> Map<String, Value> {
    let mut server = server_response(report);
    let uploading = match report {
        report if report.is_away() => BACKUPED,
        report if report.state.is_over() && report.segments_stored == report.segments_made => "uploaded",
        _ => "unknown",
    };
    server.insert("uploadingStatus".into(), json!(uploading));
    let mut body = task(report);
    body.insert("serverResponse".into(), Value::Object(server));
    insert_knowledge(&mut body, report);
    body
}

/// The answer to the additive `…/recordings/{sid}`: everything at the top level, the ledger with every gap, and for each file its bytes
/// in the bucket: of a playlist those of its media.
pub(crate) fn recording(report: &Report) -> Value {
    let mut body = task(report);
    body.insert("mode".into(), json!(report.mode));
    body.insert("status".into(), json!(report.state.status()));
    body.insert("sliceStartTime".into(), json!(report.started.map_or(0, |at| at.0)));
    body.insert("createdMs".into(), json!(report.created));
    body.insert("startedMs".into(), json!(report.started));
    insert_knowledge(&mut body, report);
    if let Some(Value::Array(entries)) = body.get_mut("fileList") {
        for (entry, file) in entries.iter_mut().zip(&report.files) {
            let media = || report.health.waiting_of(&file.playlist).map(|stock| stock.bytes_safe);
            entry["bytes"] = json!(file.part.map(|part| part.bytes).or_else(media));
        }
    }
    body.insert("ledger".into(), json!(report.ledger));
    Value::Object(body)
}

/// A recording in the additive list `…/recordings`.
pub(crate) fn listed(report: &Report) -> Value {
    let mut body = task(report);
    body.insert("mode".into(), json!(report.mode));
    body.insert("state".into(), json!(report.state));
    body.insert("status".into(), json!(report.state.status()));
    body.insert("createdMs".into(), json!(report.created));
    body.insert("startedMs".into(), json!(report.started));
    body.insert("endedMs".into(), json!(report.ended));
    body.insert("durationMs".into(), json!(report.duration_ms));
    body.insert("verdict".into(), json!(report.verdict()));
    if let Some(reason) = report.ended_by {
        body.insert("endReason".into(), json!(reason));
    }
    Value::Object(body)
}

/// Adds which parts of a call disagreed with the task that its sid found (additive; docs/protocol/callers.md section 1).
pub(crate) fn insert_mismatches(
    body: &mut Map<String, Value>,
    report: &Report,
    call: &TaskRef,
    mode: &str,
    claimed: &Claimed,
) {
    let mut parts = Vec::new();
    if call.resource.as_ref().is_none_or(|resource| resource.as_str() != report.resource) {
        parts.push("resourceId");
    }
    if !mode_fits(report.mode, mode) {
        parts.push("mode");
    }
    if claimed.cname.as_deref().is_some_and(|cname| cname != report.cname.as_str()) {
        parts.push("cname");
    }
    if claimed.uid.as_deref().is_some_and(|uid| uid != report.uid.as_str()) {
        parts.push("uid");
    }
    if !parts.is_empty() {
        body.insert("mismatched".into(), json!(parts));
    }
}

/// Adds to a refusal what it knows beyond code and reason.
pub(crate) fn explain(body: &mut Map<String, Value>, error: &Error) {
    match error {
        Error::AlreadyStarted(sid) | Error::StartedAndOver(sid) => {
            body.insert("sid".into(), json!(sid));
        }
        Error::TaskConflict(sid) => {
            body.insert("runningSid".into(), json!(sid));
        }
        Error::Gone(Some(report)) => {
            body.extend(task(report));
            insert_knowledge(body, report);
        }
        Error::Gone(None) => {
            body.insert("state".into(), json!("unknown"));
        }
        Error::NeverStarted => {
            body.insert("state".into(), json!("never_started"));
        }
        Error::AlreadyStopping(report) => body.extend(stopped(report)),
        _ => {}
    }
    let error_class = error.error_class();
    body.insert("fault".into(), json!(error_class.code));
    body.insert("retry".into(), json!(error_class.retry));
}

/// The names that a call on a task brought along, for answers that know no more.
pub(crate) fn asked(call: Option<&ResourceId>, sid: Option<&str>, claimed: &Claimed) -> Map<String, Value> {
    let mut body = Map::new();
    if let Some(cname) = &claimed.cname {
        body.insert("cname".into(), json!(cname));
    }
    if let Some(uid) = &claimed.uid {
        body.insert("uid".into(), json!(uid));
    }
    if let Some(resource) = call {
        body.insert("resourceId".into(), json!(resource.as_str()));
    }
    if let Some(sid) = sid {
        body.insert("sid".into(), json!(sid));
    }
    body
}

/// `fileListMode` and `fileList`, present also when nothing is recorded.
fn server_response(report: &Report) -> Map<String, Value> {
    let list = match report.listing {
        Listing::String => json!(
            report.files.iter().find(|file| file.is_mix() && file.part.is_none()).map_or("", |file| file.key.as_str())
        ),
        Listing::Json => file_list(report),
    };
    object(json!({ "fileListMode": report.listing, "fileList": list }))
}

fn file_list(report: &Report) -> Value {
    let entry = |file: &File| {
        let entry = json!({
            "fileName": file.key,
            "trackType": "audio",
            "uid": file.uid(),
            "mixedAllUser": file.is_mix(),
            "isPlayable": file.playable,
            "sliceStartTime": report.started.map_or(0, |at| at.plus(file.start()).0),
        });
        with_source(entry, file.source())
    };
    report.files.iter().map(entry).collect()
}

/// Ours: which further source of a uid it is about; nothing for its own sound.
fn with_source(mut entry: Value, source: Option<SourceId>) -> Value {
    if let Some(source) = source {
        entry["source"] = json!(source);
    }
    entry
}

/// The ledger without its gaps, which can be tens of thousands: how many there are stands in their place.
fn totals(report: &Report) -> Value {
    let uid = |uid: &TrackLedger| {
        let entry = json!({
            "uid": uid.uid,
            "expectedMs": uid.expected_ms,
            "recordedMs": uid.recorded_ms,
            "concealedMs": uid.concealed_ms,
            "missingMs": uid.missing_ms,
            "gapCount": uid.gaps.len(),
            "causesMs": uid.by_cause(),
        });
        with_source(entry, uid.source)
    };
    let mut totals = json!({ "uids": report.ledger.uids.iter().map(uid).collect::<Vec<Value>>() });
    if let Some(lost) = &report.ledger.unattributed {
        totals["unattributed"] = json!({
            "packets": lost.packets,
            "missingMs": lost.missing_ms,
            "gapCount": lost.gaps.len() as u64 + lost.gaps_omitted,
        });
    }
    if report.ledger.adopted_ms > 0 {
        totals["adoptedMs"] = json!(report.ledger.adopted_ms);
    }
    totals
}

/// Who is heard, and how much of it is safe; a level is told to a tenth of a decibel.
fn health(report: &Report) -> Value {
    let stock = |stock: WaitingBytes| json!({ "bytesSafe": stock.bytes_safe, "bytesSpooled": stock.bytes_spooled });
    let uid = |uid: &UidHealth| {
        let mut entry = json!({
            "uid": uid.uid,
            "lastPacketAgeMs": uid.last_packet_age_ms,
            "levelDbfs": uid.level_dbfs.map(|level| (f64::from(level) * 10.0).round() / 10.0),
            "bytesSafe": uid.stock.map(|stock| stock.bytes_safe),
            "bytesSpooled": uid.stock.map(|stock| stock.bytes_spooled),
        });
        if !uid.sources.is_empty() {
            let sources = uid.sources.iter().map(|(source, known)| (source.to_string(), stock(*known)));
            entry["sources"] = Value::Object(sources.collect());
        }
        if !uid.unreadable.is_empty() {
            entry["unreadable"] = json!(uid.unreadable);
        }
        entry
    };
    let total = report.health.total();
    json!({
        "uids": report.health.uids.iter().map(uid).collect::<Vec<Value>>(),
        "mix": report.health.mix.map(stock),
        "bytesSafe": total.bytes_safe,
        "bytesSpooled": total.bytes_spooled,
    })
}

/// Additive: state, files, length, verdict, health, ledger.
fn insert_knowledge(body: &mut Map<String, Value>, report: &Report) {
    body.insert("state".into(), json!(report.state));
    body.insert("fileList".into(), file_list(report));
    body.insert("durationMs".into(), json!(report.duration_ms));
    body.insert("verdict".into(), json!(report.verdict()));
    body.insert("segments".into(), json!({ "made": report.segments_made, "stored": report.segments_stored }));
    body.insert("upload".into(), json!(report.upload));
    if report.is_away() {
        body.insert("uploadingStatus".into(), json!(BACKUPED));
    }
    body.insert("packetsDropped".into(), json!(report.packets_dropped));
    body.insert("health".into(), health(report));
    body.insert("ledger".into(), totals(report));
    if let Some(idle) = &report.idle {
        body.insert("idle".into(), json!(idle));
    }
    if let Some(reason) = report.ended_by {
        body.insert("endReason".into(), json!(reason));
    }
    if let Some(ended) = report.ended {
        body.insert("endedMs".into(), json!(ended));
    }
    if let Some(failure) = &report.failure {
        body.insert("failure".into(), json!(failure));
    }
    insert_notes(body, report);
}

fn insert_notes(body: &mut Map<String, Value>, report: &Report) {
    if !report.notes.is_empty() {
        let notes: Vec<&str> = report.notes.iter().map(|note: &Note| note.text()).collect();
        body.insert("notes".into(), json!(notes));
    }
}

fn mode_fits(mode: Mode, path: &str) -> bool {
    match path {
        "mix" => mode.mixes(),
        "individual" => mode.keeps_individuals(),
        _ => false,
    }
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}
