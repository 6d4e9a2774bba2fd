//! What configuration gives to the sessions.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::channel::Channel;
use crate::clock;
use crate::codec::container::Container;
use crate::codec::whole::Roll;
use crate::metrics::Metrics;
use crate::recording::SegmentLength;
use crate::storage::Destination;
use crate::units::{AppId, BootTime, WallMs};

/// Reads wall time; a parameter, so that tests can set it.
pub type WallClock = Arc<dyn Fn() -> WallMs + Send + Sync>;

/// Reads the machine's boot clock; a parameter, so that tests can set it.
pub type BootClock = Arc<dyn Fn() -> BootTime + Send + Sync>;

/// Settings of all sessions of a worker.
#[derive(Clone)]
pub struct Settings {
    /// The tenants.
    pub apps: BTreeMap<AppId, AppSettings>,
    /// A folder that gets a journal of its own for each recording: a fixture in the making.
    pub capture: Option<PathBuf>,
    /// Where wall time comes from.
    pub clock: WallClock,
    /// Where the time comes from that nobody can set.
    pub boot_clock: BootClock,
    /// What is counted.
    pub metrics: Metrics,
    /// Recordings of all apps together that may run at the same time.
    pub max_sessions: usize,
    /// How long a recording that is over waits for its bucket before that is said; it waits on all the same.
    pub upload_patience: Duration,
    /// How long whole files beside the playlists are.
    pub roll: Roll,
}

/// [`Settings::max_sessions`] where nobody says otherwise.
const MAX_SESSIONS: usize = 500;

/// [`Settings::upload_patience`] of a worker: a day.
const UPLOAD_TIMEOUT: Duration = Duration::from_secs(24 * 3600);

impl Settings {
    /// Settings for these apps: the worker's clock, no captures.
    pub fn new(apps: BTreeMap<AppId, AppSettings>) -> Self {
        let (clock, metrics) = (Arc::new(clock::now), Metrics::default());
        Self {
            apps,
            capture: None,
            clock,
            boot_clock: Arc::new(clock::boot_time),
            metrics,
            max_sessions: MAX_SESSIONS,
            upload_patience: UPLOAD_TIMEOUT,
            roll: Roll::default(),
        }
    }
}

/// Settings of one tenant's sessions.
#[derive(Clone)]
pub struct AppSettings {
    /// Where the app's channels are.
    pub channel: Arc<dyn Channel>,
    /// Where recordings go whose start names no storage.
    pub storage: Option<Destination>,
    /// Where recordings go too while their own bucket takes nothing.
    pub backup: Option<BackupSettings>,
    /// Recordings that may run at the same time.
    pub max_sessions: usize,
    /// Nominal length of a segment.
    pub segment: SegmentLength,
    /// What segments are packed in where a start does not say.
    pub container: Container,
    /// Whether a start may name an endpoint in a loopback, private or link-local range.
    pub private_endpoints: bool,
}

/// The second bucket of one tenant's sessions.
#[derive(Clone, Debug)]
pub struct BackupSettings {
    /// Where it is; its prefix is put before each recording's own.
    pub destination: Destination,
    /// How long the oldest object of a recording waits before what waits is copied.
    pub after: Duration,
}
