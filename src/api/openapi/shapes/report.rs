//! What is told of a recording.

use serde_json::{Value, json};

use super::{Shape, about};
use crate::api::openapi::word::{
    Field, count, hex32, list, may, must, named, object, one_of, open, or_null, text, truth,
};
use crate::session::EndedBy;

pub(super) fn all() -> Vec<Shape> {
    vec![
        (
            "Acquired",
            object([
                must("cname", text("As sent")),
                must("uid", text("As digits")),
                must("resourceId", text("Opaque")),
                notes(),
            ]),
        ),
        ("Started", started()),
        ("Queried", queried()),
        ("Updated", updated()),
        ("Stopped", stopped()),
        ("Recording", recording()),
        ("Recordings", recordings()),
        ("ServerResponse", server_response()),
        ("File", file()),
        (
            "Segments",
            object([
                must("made", count("Media files made so far")),
                must("stored", count("Of these, those in the bucket")),
            ]),
        ),
        ("Upload", upload()),
        ("BackupUse", backup()),
        ("Health", health()),
        ("Idle", idle()),
        ("LedgerTotals", totals()),
        ("Ledger", ledger()),
        ("Worker", worker()),
    ]
}

/// What was asked for and is not done.
fn notes() -> Field {
    may("notes", list(json!({ "type": "string" }), "What was asked for and is not done"))
}

/// The four names at the top of every answer about a task.
pub(super) fn task() -> [Field; 4] {
    [
        must("cname", text("The channel")),
        must("uid", text("The recorder's uid")),
        must("resourceId", text("The resource it was started with")),
        must("sid", hex32("The recording's id")),
    ]
}

/// What is known of a recording, whatever the call.
pub(super) fn knowledge(field: fn(&'static str, Value) -> Field) -> Vec<Field> {
    vec![
        field("state", state()),
        field("fileList", list(named("File"), "Its playlists, the mix first")),
        field("durationMs", count("Length of the timeline, as far as it is in files")),
        field("verdict", one_of(&["complete", "partial", "empty"], "Whether everything that was sent is there")),
        field("segments", named("Segments")),
        field("upload", named("Upload")),
        may(
            "uploadingStatus",
            one_of(&["backuped"], "There when some of an ended recording is in the backup bucket alone"),
        ),
        field("packetsDropped", count("Packets that this worker had to drop because it did not keep up")),
        field("health", named("Health")),
        may("idle", named("Idle")),
        may("endReason", ended_by()),
        may("endedMs", count("When everything was done")),
        may("failure", text("Why it failed, or what went wrong on the way")),
        may("notes", list(json!({ "type": "string" }), "What was asked for and is not done")),
    ]
}

fn ended_by() -> Value {
    let words = EndedBy::ALL.map(EndedBy::word);
    one_of(
        &words,
        "Why it is over; channel_deleted: the channel was deleted and nobody came back to it for maxIdleTime",
    )
}

fn idle() -> Value {
    object([
        must("sinceMs", count("Since when nobody is there who keeps the recording alive")),
        must("untilMs", count("When the recording ends unless somebody comes")),
        must(
            "recorder",
            one_of(
                &["inside", "outside"],
                "outside: the recorder waits until it sees somebody in the channel, then joins",
            ),
        ),
    ])
}

fn state() -> Value {
    one_of(
        &["starting", "recording", "recovering", "stopping", "ended", "failed", "never_started", "unknown"],
        "Where it is in its life; never_started where a resource waits for its start, unknown where no recording has the sid",
    )
}

fn status() -> Value {
    one_of(&[2, 5, 6, 8, 20], "The original's number: 2 starting, 5 in the channel, 6 stopping, 8 ended, 20 failed")
}

fn mismatched() -> Field {
    let parts = one_of(&["resourceId", "mode", "cname", "uid"], "A part of the call");
    may("mismatched", list(parts, "Parts of the call that are others than the recording's"))
}

fn started() -> Value {
    let notes = may("notes", list(json!({ "type": "string" }), "What was asked for and is not done"));
    object(task().into_iter().chain([must("state", state()), must("status", status()), notes]))
}

fn queried() -> Value {
    let fields = task().into_iter().chain([must("serverResponse", named("ServerResponse"))]).chain(knowledge(must));
    object(fields.chain([must("ledger", named("LedgerTotals")), may("worker", named("Worker")), mismatched()]))
}

fn updated() -> Value {
    let notes = may("notes", list(json!({ "type": "string" }), "What was asked for and has no effect"));
    object(task().into_iter().chain([notes, mismatched()]))
}

fn stopped() -> Value {
    let code = one_of(&[65, 435], "435 nothing was recorded, 65 not everything is uploaded yet");
    let fields = task().into_iter().chain([must("serverResponse", named("ServerResponse"))]).chain(knowledge(must));
    let fields = fields.chain([must("ledger", named("LedgerTotals")), mismatched()]);
    object(fields.chain([may("code", code), may("reason", text("The code in words"))]))
}

fn recording() -> Value {
    let fields = task().into_iter().chain([
        must("mode", one_of(&["mix", "individual", "both"], "What it makes")),
        must("status", status()),
        must("sliceStartTime", count("When the timeline began; 0 before that")),
        must("createdMs", count("When start was accepted")),
        must("startedMs", or_null(count("When the recorder was in the channel"))),
    ]);
    object(fields.chain(knowledge(must)).chain([must("ledger", named("Ledger"))]))
}

/// The original's part of query and stop.
fn server_response() -> Value {
    let files = json!({
        "description": "The mix's playlist, empty before there is one, or all playlists",
        "anyOf": [{ "type": "string" }, list(named("File"), "Playlists")],
    });
    object([
        must("fileListMode", one_of(&["string", "json"], "How `fileList` is written: a name, or a list")),
        must("fileList", files),
        may("status", status()),
        may("sliceStartTime", count("When the timeline began; 0 before that")),
        may(
            "uploadingStatus",
            one_of(&["uploaded", "backuped", "unknown"], "uploaded when everything is in the bucket"),
        ),
    ])
}

fn file() -> Value {
    object([
        must("fileName", text("The object's key, with its prefix")),
        must("trackType", one_of(&["audio"], "What it holds")),
        must("uid", text("Whose track; `0` for the mix")),
        must("mixedAllUser", truth("Whether everybody is in it")),
        must("isPlayable", truth("Whether the bucket holds it with at least one segment")),
        must("sliceStartTime", count("When its timeline began")),
        may(
            "bytes",
            or_null(count("Its bytes in the bucket, of a playlist those of its media; in `…/recordings/{sid}` alone")),
        ),
        may("source", source()),
    ])
}

fn recordings() -> Value {
    let fields = task().into_iter().chain([
        must("mode", one_of(&["mix", "individual", "both"], "What it makes")),
        must("state", state()),
        must("status", status()),
        must("createdMs", count("When start was accepted")),
        must("startedMs", or_null(count("When the recorder was in the channel"))),
        must("endedMs", or_null(count("When everything was done"))),
        must("durationMs", count("Length of the timeline, as far as it is in files")),
        must("verdict", one_of(&["complete", "partial", "empty"], "Whether everything that was sent is there")),
        may("endReason", ended_by()),
    ]);
    let next =
        json!({ "type": ["string", "null"], "description": "The `cursor` of the following page; null on the last" });
    object([must("recordings", list(object(fields), "Newest first")), must("next", next)])
}

fn upload() -> Value {
    object([
        must("state", one_of(&["ok", "retrying", "blocked"], "blocked: somebody has to change something")),
        may("sinceMs", count("Since when uploads fail")),
        may("code", text("Why, as a word for machines")),
        may("reason", text("Why, and what to do, for people")),
        must("attempts", count("Failed attempts in a row")),
        must("waitingObjects", count("Objects that are not in the bucket for good")),
        must("waitingBytes", count("Their bytes")),
        must("storedBytes", count("Bytes that are")),
        must("spool", one_of(&["ok", "memory", "full"], "Where the waiting ones are kept; full: sound is being lost")),
        must("memoryBytes", count("Of their bytes, those that are in memory only")),
        may("backup", named("BackupUse")),
    ])
}

fn backup() -> Value {
    about(
        object([
            must("sinceMs", count("Since when what waits is copied there")),
            must("state", one_of(&["ok", "retrying", "blocked"], "How copying goes")),
            may("code", text("Why it fails, as a word for machines")),
            must("attempts", count("Failed attempts in a row")),
            must("objects", count("Objects copied there by this run of the worker")),
            must("bytes", count("Their bytes")),
            must("waitingObjects", count("Objects that wait to be copied")),
            must(
                "away",
                truth("The recording is over, all of it is safe there, and it comes home when its own bucket takes it"),
            ),
        ]),
        "The second bucket, while it is used",
    )
}

fn health() -> Value {
    let stock =
        object([must("bytesSafe", count("In the bucket")), must("bytesSpooled", count("Made, not in the bucket yet"))]);
    let sources = json!({
        "type": "object",
        "description": "The files of further sources of the uid, by their words",
        "additionalProperties": stock.clone(),
        "propertyNames": source(),
    });
    let unreadable = object([
        must("trackSource", one_of(&["unspecified", "microphone", "screen_audio"], "What it comes from")),
        must("reason", one_of(&["encrypted", "unsupported_codec"], "Why")),
    ]);
    let uid = object([
        must("uid", text("Who")),
        must("lastPacketAgeMs", or_null(count("Since the last packet with sound arrived"))),
        must("levelDbfs", json!({ "type": ["number", "null"], "description": "How loud, about two seconds ago" })),
        must("bytesSafe", or_null(count("Of the own playlist, in the bucket"))),
        must("bytesSpooled", or_null(count("Of the own playlist, not in the bucket yet"))),
        may("sources", sources),
        may(
            "unreadable",
            list(unreadable, "What it publishes at present and can't be read; missing while it is not muted"),
        ),
    ]);
    object([
        must("uids", list(uid, "Who is to be recorded and is in the channel, or has a playlist")),
        must("mix", json!({ "anyOf": [stock, { "type": "null" }], "description": "Files of the mix" })),
        must("bytesSafe", count("Of all media files, in the bucket")),
        must("bytesSpooled", count("Of all media files, not in the bucket yet")),
    ])
}

fn source() -> Value {
    json!({
        "type": "string",
        "pattern": "^(mic|screen|other)[2-8]?$",
        "description": "Addition: which further source of the uid; absent for its own sound and the mix",
    })
}

fn sums() -> [Field; 6] {
    [
        must("uid", text("Whose account")),
        may("source", source()),
        must("expectedMs", count("Sound the sender made while it was to be recorded")),
        must("recordedMs", count("Of it, what is in the playlist")),
        must("concealedMs", count("Of it, what was lost and bridged")),
        must("missingMs", count("Of it, what was lost and is silence")),
    ]
}

fn totals() -> Value {
    let causes = json!({
        "type": "object",
        "description": "Milliseconds without the sender's own sound, by cause",
        "additionalProperties": { "type": "integer", "minimum": 0 },
        "propertyNames": cause(),
    });
    let uid = object(
        sums()
            .into_iter()
            .chain([must("gapCount", count("Stretches without the sender's own sound")), must("causesMs", causes)]),
    );
    let unattributed = object([
        must("packets", count("Packets with sound")),
        must("missingMs", count("Milliseconds of sound that they held")),
        must("gapCount", count("Stretches in which they came")),
    ]);
    let fields = [
        must("uids", list(uid, "An entry for each uid that published, and one for each further source")),
        may(
            "unattributed",
            about(unattributed, "Sound of tracks that nobody announced: missing, and nobody knows whose"),
        ),
        may("adoptedMs", count("Milliseconds of playlists that were kept as the bucket held them")),
    ];
    about(object(fields), "The ledger without its gaps")
}

fn a_gap() -> Value {
    object([
        must("from", count("First sample at 48 kHz since the start")),
        must("to", count("First sample after it")),
        must("cause", cause()),
    ])
}

fn ledger() -> Value {
    let gap = a_gap();
    let packets = [
        ("received", "Arrived while the uid was to be recorded, of every kind"),
        ("placed", "In the recording"),
        ("duplicate", "Copies of packets that were there already"),
        ("late", "Came after their place had been written"),
        ("malformed", "Not Opus, or with a time that makes no sense; or of a track that can't be read"),
        ("overflow", "Came in greater number than the queue holds"),
        ("leftOut", "Left out to follow the wall clock"),
        ("superseded", "Set aside for another stream of the uid: silence beside sound, or named in `overlaidMs`"),
        ("padding", "Without sound"),
        ("beforeStart", "With sound from before the recording began"),
        ("afterEnd", "With sound from past the recording's end"),
    ];
    let counts = object(packets.map(|(name, text)| must(name, count(text))));
    let samples = about(counts.clone(), "What became of the sound in them, in samples at 48 kHz");
    let packets = about(counts, "What became of the packets");
    let overlaid = json!({
        "type": "object",
        "description": "Milliseconds of sound that are missing without a gap, since other sound lies in their place, by cause",
        "additionalProperties": { "type": "integer", "minimum": 0 },
        "propertyNames": cause(),
    });
    let more = [
        must("gaps", list(gap, "Stretches without the sender's own sound")),
        must("gapsOmitted", count("Gaps past the limit of the list; the sums have them")),
        must("packets", packets),
        must("samples", samples),
        may("overlaidMs", overlaid),
        may(
            "transcodedFrom",
            list(one_of(&["pcmu", "pcma"], "G.711"), "What the sender's packets were, where not Opus"),
        ),
    ];
    let uid = object(sums().into_iter().chain(more));
    let unattributed = object([
        must("packets", count("Packets with sound")),
        must("missingMs", count("Sound that they held; it is in no playlist")),
        must("gaps", list(a_gap(), "When they came")),
        must("gapsOmitted", count("Gaps past the limit of the list; the sums have them")),
    ]);
    about(
        object([
            must("uids", list(uid, "An entry for each uid that published, and one for each further source")),
            may(
                "unattributed",
                about(
                    unattributed,
                    "What is missing of nobody knows whom: from tracks that were never announced, or while the worker was dead",
                ),
            ),
            may("adoptedMs", count("Of all playlists, what was kept as the bucket held it though its record is lost")),
        ]),
        "What was recorded, what is missing, and why",
    )
}

fn cause() -> Value {
    let causes = [
        "network_loss",
        "sender_stall",
        "clock_drift",
        "muted",
        "left",
        "not_publishing",
        "excluded",
        "worker_restart",
        "channel_disconnected",
        "overload",
        "late",
        "disk_full",
        "worker_stalled",
        "journal_damaged",
        "unknown_source",
        "unknown",
        "channel_unreachable",
        "adopted",
        "unheard_tail",
        "superseded",
        "left_out",
        "malformed",
        "overflow",
        "recorder_outside",
        "encrypted",
        "unsupported_codec",
        "recovered_fec",
        "too_many_sources",
    ];
    one_of(&causes, "Why")
}

fn worker() -> Value {
    let reason = object([must("code", text("For machines")), must("detail", text("For people"))]);
    about(
        object([must("ready", truth("Whether it takes new recordings")), must("reasons", list(reason, "Why not"))]),
        "There when this worker takes no new recordings",
    )
}

/// An event's details, which docs/events.md tells.
pub(super) fn details() -> Value {
    open("`msgName`, and what belongs to the event")
}
