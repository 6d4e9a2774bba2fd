//! Where callbacks go, and how patiently.

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use secrecy::SecretString;
use url::Url;

use crate::metrics::Metrics;
use crate::units::{AppId, EventTypes};

/// How the dispatcher works. The default is what the vendor's receivers expect, without any target.
#[derive(Clone, Debug)]
pub struct Settings {
    /// One receiver an app; events of other apps stay in the log, undelivered.
    pub targets: HashMap<AppId, Target>,
    /// How long a receiver has for its answer (docs/protocol/agora.md section 5: 10 s).
    pub patience: Duration,
    /// When a failed event is tried again.
    pub schedule: Schedule,
    /// How old an event is, since it was written or asked for again, when its last failed attempt makes it a dead letter. At
    /// least a day in production (invariant 2).
    pub give_up_after: Duration,
    /// Requests of one product at once to one target, each of another session.
    pub at_once_per_target: usize,
    /// Requests of one product at once to all targets that work.
    pub at_once: usize,
    /// Requests of one product at once to all targets that failed the last time: apart from the others, so that they can't
    /// crowd them out.
    pub probes_at_once: usize,
    /// What is counted.
    pub metrics: Metrics,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            targets: HashMap::new(),
            patience: Duration::from_secs(10),
            schedule: Schedule::default(),
            give_up_after: Duration::from_secs(24 * 60 * 60),
            at_once_per_target: 8,
            at_once: 64,
            probes_at_once: 16,
            metrics: Metrics::default(),
        }
    }
}

/// An app's receiver, and what it wants to hear. `Debug` shows the URL's host alone.
#[derive(Clone)]
pub struct Target {
    /// `http` or `https`. Never logged: receivers put keys into it.
    pub url: Url,
    /// Keys the signatures.
    pub secret: SecretString,
    /// Which recording events (productId 3) are delivered. The others are in the log all the same.
    pub recording: EventTypes,
    /// Which channel events (productId 1) are delivered. The others are not kept.
    pub channel: EventTypes,
    /// Whether the receiver may be in a loopback, private or link-local range.
    pub private: bool,
}

impl Target {
    /// A public receiver of all recording events and no channel events.
    pub const fn new(url: Url, secret: SecretString) -> Self {
        Self { url, secret, recording: EventTypes::All, channel: EventTypes::none(), private: false }
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Target").field("host", &self.url.host_str()).finish_non_exhaustive()
    }
}

/// The back-off: the wait after the first failure, the second, and so on; the last one repeats. Each is spread by up to a
/// quarter both ways, so that receivers do not get everything at once when they come back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    waits: Vec<Duration>,
}

impl Schedule {
    /// A schedule of these waits; without any, [`Schedule::default`].
    pub fn new(waits: Vec<Duration>) -> Self {
        if waits.is_empty() { Self::default() } else { Self { waits } }
    }

    /// How long to wait after `failures` failures in a row (from 1); `spread` from 0 to 1 places the wait in its range.
    pub fn wait(&self, failures: u32, spread: f64) -> Duration {
        let index = usize::try_from(failures.saturating_sub(1)).unwrap_or(usize::MAX).min(self.waits.len() - 1);
        self.waits[index].mul_f64(0.75 + 0.5 * spread.clamp(0.0, 1.0))
    }

    /// No wait is longer.
    pub fn longest(&self) -> Duration {
        self.waits.iter().max().copied().unwrap_or_default().mul_f64(1.25)
    }
}

impl Default for Schedule {
    /// From a second to five minutes.
    fn default() -> Self {
        Self { waits: [1, 2, 5, 15, 30, 60, 120, 300].map(Duration::from_secs).to_vec() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_targets_url_and_secret_are_not_shown() {
        let url = "https://user:word@example.com/notify?key=private".parse().unwrap();
        let target = Target::new(url, SecretString::from("callback-secret"));
        assert_eq!(format!("{target:?}"), "Target { host: Some(\"example.com\"), .. }");
    }

    #[test]
    fn an_event_is_tried_for_a_day() {
        assert!(Settings::default().give_up_after >= Duration::from_secs(24 * 3600));
        assert!(Settings::default().schedule.longest() < Duration::from_secs(600), "and not seldom");
    }

    #[test]
    fn waits_grow_to_the_cap_and_stay_in_their_range() {
        let schedule = Schedule::default();
        assert_eq!(schedule.wait(1, 0.5), Duration::from_secs(1));
        assert_eq!(schedule.wait(3, 0.0), Duration::from_millis(3750));
        assert_eq!(schedule.wait(u32::MAX, 1.0), Duration::from_secs(375));
        assert_eq!(schedule.longest(), Duration::from_secs(375));
        assert_eq!(Schedule::new(Vec::new()), schedule);
    }
}
