//! What a worker counts while it works, for `/metrics`.
//!
//! Each count is taken where the thing happens, by a word for it; the pure rooms count nothing. No label holds a name of a
//! channel, a person, an app or a bucket: labels are words of ours, and few ([`recorder_core::error_class::ErrorClass::code`] for reasons).
//! One [`Metrics`] a worker, handed to its rooms; clones count together. What can be read off when somebody asks (bytes in the
//! spool, recordings by state) is not counted here but read then.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

type Label = (&'static str, &'static str);
type ByReason = Family<[Label; 1], Counter>;
type Times<const LABELS: usize> = Family<[Label; LABELS], Histogram, fn() -> Histogram>;

/// Upper bounds of what a call or an attempt takes, in seconds: a query is there within milliseconds, a start waits up to 15 s for its channel,
/// an attempt to upload a large file takes minutes.
const SECONDS: [f64; 14] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0];

/// Upper bounds of how late an event is at its receiver, in seconds, up to the day after which it is given up.
const DELAYS: [f64; 12] = [0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0, 300.0, 3_600.0, 21_600.0, 86_400.0];

fn times() -> Histogram {
    Histogram::new(SECONDS)
}

/// The counts of a worker since it began.
#[derive(Clone, Debug, Default)]
pub struct Metrics(Arc<Counts>);

#[derive(Debug)]
struct Counts {
    requests: Times<2>,
    uploads: Times<1>,
    callbacks: Times<1>,
    callback_delays: Histogram,
    plain: Counters,
}

#[derive(Debug, Default)]
struct Counters {
    recordings_started: Counter,
    recordings_ended: ByReason,
    refusals: Family<[Label; 2], Counter>,
    packets_received: Counter,
    packets_dropped: Counter,
    datagrams_dropped: Counter,
    stalls: ByReason,
    stalled: Family<[Label; 1], Counter<f64, AtomicU64>>,
    segments_made: Counter,
    segments_confirmed: Counter,
    uploaded: Counter,
    upload_failures: ByReason,
    backup_objects: Counter,
    backup: Counter,
    backup_failures: ByReason,
    events_written: Counter,
    callbacks_delivered: Counter,
    callback_failures: ByReason,
    callbacks_given_up: Counter,
    circuits_open: Gauge,
    channel_events_written: Counter,
    channel_events_lost: Counter,
}

impl Default for Counts {
    fn default() -> Self {
        Self {
            requests: Family::new_with_constructor(times),
            uploads: Family::new_with_constructor(times),
            callbacks: Family::new_with_constructor(times),
            callback_delays: Histogram::new(DELAYS),
            plain: Counters::default(),
        }
    }
}

/// The class of an HTTP status, as a word.
const fn class(status: u16) -> &'static str {
    match status {
        100..=199 => "1xx",
        200..=299 => "2xx",
        300..=399 => "3xx",
        400..=499 => "4xx",
        _ => "5xx",
    }
}

/// What came of an attempt, as a word.
const fn outcome(well: bool) -> &'static str {
    if well { "ok" } else { "failed" }
}

impl Metrics {
    /// A request was answered with this status after that time.
    pub fn request_answered(&self, route: &'static str, status: u16, took: Duration) {
        self.0.requests.get_or_create(&[("route", route), ("status", class(status))]).observe(took.as_secs_f64());
    }

    /// An attempt to put an object into a bucket took so long, and whether the bucket confirmed the object.
    pub fn upload_took(&self, confirmed: bool, took: Duration) {
        self.0.uploads.get_or_create(&[("outcome", outcome(confirmed))]).observe(took.as_secs_f64());
    }

    /// An attempt to deliver a callback took so long, and whether the receiver took it.
    pub fn callback_took(&self, taken: bool, took: Duration) {
        self.0.callbacks.get_or_create(&[("outcome", outcome(taken))]).observe(took.as_secs_f64());
    }

    /// A receiver has an event, so long after it was written.
    pub fn callback_delay(&self, delay: Duration) {
        self.0.callback_delays.observe(delay.as_secs_f64());
    }

    /// A start was accepted and made a recording.
    pub fn recording_started(&self) {
        self.0.plain.recordings_started.inc();
    }

    /// A recording came to its end, as this word says.
    pub fn recording_ended(&self, outcome: &'static str) {
        self.0.plain.recordings_ended.get_or_create(&[("outcome", outcome)]).inc();
    }

    /// A call was refused, and why.
    pub fn call_refused(&self, call: &'static str, reason: &'static str) {
        self.0.plain.refusals.get_or_create(&[("call", call), ("reason", reason)]).inc();
    }

    /// Media packets reached a recording.
    pub fn packets_received(&self, count: u64) {
        self.0.plain.packets_received.inc_by(count);
    }

    /// Media packets were dropped because this worker did not keep up.
    pub fn packets_dropped(&self, count: u64) {
        self.0.plain.packets_dropped.inc_by(count);
    }

    /// The kernel dropped datagrams at sockets of this worker, because it did not read them.
    pub fn datagrams_dropped(&self, count: u64) {
        self.0.plain.datagrams_dropped.inc_by(count);
    }

    /// This worker stood still or did not keep up for so long, and why; `begins` where that was not so a moment before.
    pub fn stalled(&self, cause: &'static str, begins: bool, time: Duration) {
        self.0.plain.stalls.get_or_create(&[("cause", cause)]).inc_by(u64::from(begins));
        self.0.plain.stalled.get_or_create(&[("cause", cause)]).inc_by(time.as_secs_f64());
    }

    /// A segment is in the spool.
    pub fn segment_made(&self) {
        self.0.plain.segments_made.inc();
    }

    /// A bucket confirmed a segment.
    pub fn segment_confirmed(&self) {
        self.0.plain.segments_confirmed.inc();
    }

    /// A bucket confirmed an object of this many bytes.
    pub fn uploaded(&self, bytes: u64) {
        self.0.plain.uploaded.inc_by(bytes);
    }

    /// An attempt to upload failed, and why.
    pub fn upload_failed(&self, reason: &'static str) {
        self.0.plain.upload_failures.get_or_create(&[("reason", reason)]).inc();
    }

    /// A second bucket confirmed an object of this many bytes.
    pub fn backed_up(&self, bytes: u64) {
        self.0.plain.backup_objects.inc();
        self.0.plain.backup.inc_by(bytes);
    }

    /// An attempt to copy into a second bucket failed, and why.
    pub fn backup_failed(&self, reason: &'static str) {
        self.0.plain.backup_failures.get_or_create(&[("reason", reason)]).inc();
    }

    /// Events were committed to the log.
    pub fn events_written(&self, count: u64) {
        self.0.plain.events_written.inc_by(count);
    }

    /// A receiver took a callback.
    pub fn callback_delivered(&self) {
        self.0.plain.callbacks_delivered.inc();
    }

    /// An attempt to deliver a callback failed, and why.
    pub fn callback_failed(&self, reason: &'static str) {
        self.0.plain.callback_failures.get_or_create(&[("reason", reason)]).inc();
    }

    /// A callback became a dead letter.
    pub fn callback_given_up(&self) {
        self.0.plain.callbacks_given_up.inc();
    }

    /// A receiver failed: its callbacks pause.
    pub fn circuit_opened(&self) {
        self.0.plain.circuits_open.inc();
    }

    /// A receiver is back.
    pub fn circuit_closed(&self) {
        self.0.plain.circuits_open.dec();
    }

    /// Channel events were written down for their receivers.
    pub fn channel_events_written(&self, count: u64) {
        self.0.plain.channel_events_written.inc_by(count);
    }

    /// Channel events got lost between the channel and the database.
    pub fn channel_events_lost(&self, count: u64) {
        self.0.plain.channel_events_lost.inc_by(count);
    }

    /// Names every count. Units are part of the names, as Prometheus wants it.
    pub fn register(&self, registry: &mut Registry) {
        let Counts { requests, uploads, callbacks, callback_delays, plain: counts } = &*self.0;
        let seconds = Unit::Seconds;
        let help = "From a request's head to its answer's, by route and class of status";
        registry.register_with_unit("request", help, seconds.clone(), requests.clone());
        let help = "One attempt to put an object into a bucket";
        registry.register_with_unit("upload", help, seconds.clone(), uploads.clone());
        let help = "One attempt to deliver a callback";
        registry.register_with_unit("callback", help, seconds.clone(), callbacks.clone());
        let help = "From the commit of an event to its receiver's answer";
        registry.register_with_unit("callback_delay", help, seconds, callback_delays.clone());
        let mut count = |name: &str, help: &str, counter: &Counter| registry.register(name, help, counter.clone());
        count("recordings_started", "Starts that made a recording", &counts.recordings_started);
        count("packets_received", "Media packets that reached a recording", &counts.packets_received);
        count("packets_dropped", "Media packets dropped because this worker did not keep up", &counts.packets_dropped);
        let unread = "Datagrams that the kernel dropped because this worker did not read them";
        count("datagrams_dropped", unread, &counts.datagrams_dropped);
        count("segments_made", "Media segments made", &counts.segments_made);
        count("segments_confirmed", "Media segments that a bucket confirmed", &counts.segments_confirmed);
        count("backup_objects", "Objects that a backup bucket confirmed", &counts.backup_objects);
        count("events_written", "Events committed to the logs of recordings", &counts.events_written);
        count("callbacks_delivered", "Callbacks that a receiver took", &counts.callbacks_delivered);
        count("callbacks_given_up", "Callbacks that became dead letters", &counts.callbacks_given_up);
        count("channel_events_written", "Channel events written down for receivers", &counts.channel_events_written);
        count(
            "channel_events_lost",
            "Channel events lost because the database or a receiver did not keep up",
            &counts.channel_events_lost,
        );
        registry.register_with_unit(
            "uploaded",
            "Bytes of objects that a bucket confirmed, playlists each time",
            Unit::Bytes,
            counts.uploaded.clone(),
        );
        registry.register_with_unit(
            "backup",
            "Bytes of objects that a backup bucket confirmed",
            Unit::Bytes,
            counts.backup.clone(),
        );
        let mut family = |name: &str, help: &str, family: &ByReason| registry.register(name, help, family.clone());
        family("recordings_ended", "Recordings that came to their end", &counts.recordings_ended);
        family("upload_failures", "Failed attempts to upload, each followed by another", &counts.upload_failures);
        family("backup_failures", "Failed attempts to copy into a backup bucket", &counts.backup_failures);
        family("callback_failures", "Failed attempts to deliver a callback", &counts.callback_failures);
        family("stalls", "Times that this worker stood still or began not to keep up", &counts.stalls);
        registry.register_with_unit(
            "stalled",
            "Time that this worker stood still or did not keep up",
            Unit::Seconds,
            counts.stalled.clone(),
        );
        registry.register("refusals", "Calls that were refused", counts.refusals.clone());
        registry.register(
            "callback_circuits_open",
            "Ways to receivers that failed last and are only probed",
            counts.circuits_open.clone(),
        );
    }
}
