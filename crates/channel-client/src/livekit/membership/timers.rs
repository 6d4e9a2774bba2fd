//! When a membership has to act by itself. One deadline at a time: the earliest.

use std::time::Duration;

use tokio::time::Instant;

use crate::livekit::members::Snapshot;

/// The server's ping values are used within these limits; its default is an interval of 5 and a timeout of 15 seconds.
const PING_LIMITS: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// The interval between pings where the server names none.
const DEFAULT_PING_INTERVAL: Duration = Duration::from_secs(5);

/// The silence after which the socket is dead, where the server names none.
const DEFAULT_PING_TIMEOUT: Duration = Duration::from_secs(15);

/// How long a peer connection may take to connect.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);

/// How long after a rejoin a member who is missing may still come back without having left: SDKs take some seconds to find
/// a server that was restarted.
const RETURN_GRACE: Duration = Duration::from_secs(15);

/// How long after a resume a member who is missing from the list may still turn up in another update.
const RESUME_GRACE: Duration = Duration::from_secs(2);

/// How long a socket must last until earlier trouble is forgotten.
const STABLE_AFTER: Duration = Duration::from_secs(10);

/// What a deadline asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// Show the server that we live.
    Ping,
    /// Nothing was heard for too long.
    Silence,
    /// Those who are still missing have left.
    Settle,
    /// The peer connection should be connected by now.
    Unconnected,
    /// The socket has lasted.
    Stable,
}

/// The deadlines.
#[derive(Debug)]
pub(super) struct Timers {
    ping_interval: Duration,
    ping_timeout: Duration,
    ping: Instant,
    heard: Instant,
    settle: Option<Instant>,
    connect: Option<Instant>,
    stable: Option<Instant>,
}

impl Default for Timers {
    fn default() -> Self {
        let now = Instant::now();
        Self {
            ping_interval: DEFAULT_PING_INTERVAL,
            ping_timeout: DEFAULT_PING_TIMEOUT,
            ping: now,
            heard: now,
            settle: None,
            connect: None,
            stable: None,
        }
    }
}

impl Timers {
    /// A join response named these ping values, in seconds.
    pub(super) fn joined(&mut self, ping_interval: i32, ping_timeout: i32) {
        self.ping_interval = seconds(ping_interval).unwrap_or(DEFAULT_PING_INTERVAL);
        self.ping_timeout = seconds(ping_timeout).unwrap_or(DEFAULT_PING_TIMEOUT);
        self.connect = None;
    }

    /// A socket is open.
    pub(super) fn attached(&mut self) {
        let now = Instant::now();
        self.heard = now;
        self.ping = now + self.ping_interval;
        self.stable = Some(now + STABLE_AFTER);
        // Time without a socket does not count.
        self.connect = self.connect.map(|_| now + CONNECT_TIMEOUT);
    }

    /// The server said something.
    pub(super) fn heard(&mut self) {
        self.heard = Instant::now();
    }

    /// When the server last said something, or the socket was opened.
    pub(super) const fn last_heard(&self) -> Instant {
        self.heard
    }

    /// The peer connection is on its way.
    pub(super) fn connecting(&mut self) {
        self.connect = Some(Instant::now() + CONNECT_TIMEOUT);
    }

    /// The peer connection is there.
    pub(super) fn connected(&mut self) {
        self.connect = None;
    }

    /// Whether the peer connection should be there and is not.
    pub(super) fn is_connecting(&self) -> bool {
        self.connect.is_some()
    }

    /// A complete list was applied; `waiting` if somebody is missing.
    pub(super) fn settle(&mut self, after: Snapshot, waiting: bool) {
        let grace = match after {
            Snapshot::Resumed => RESUME_GRACE,
            Snapshot::Rejoined => RETURN_GRACE,
        };
        self.settle = waiting.then(|| Instant::now() + grace);
    }

    /// Waits for the earliest deadline. Cancel-safe: what was not returned is still due.
    pub(super) async fn next(&mut self) -> Due {
        let (due, at) = self.earliest();
        tokio::time::sleep_until(at).await;
        match due {
            Due::Ping => self.ping = at + self.ping_interval,
            Due::Settle => self.settle = None,
            Due::Unconnected => self.connect = None,
            Due::Stable => self.stable = None,
            Due::Silence => {}
        }
        due
    }

    fn earliest(&self) -> (Due, Instant) {
        let optional = [(Due::Settle, self.settle), (Due::Unconnected, self.connect), (Due::Stable, self.stable)];
        let silence = (Due::Silence, self.heard + self.ping_timeout);
        optional
            .into_iter()
            .filter_map(|(due, at)| Some((due, at?)))
            .chain([silence])
            .fold((Due::Ping, self.ping), |earliest, next| if next.1 < earliest.1 { next } else { earliest })
    }
}

fn seconds(value: i32) -> Option<Duration> {
    let value = u64::try_from(value).ok().filter(|value| *value > 0)?;
    Some(Duration::from_secs(value).clamp(PING_LIMITS.0, PING_LIMITS.1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn pings_go_on_until_the_silence_is_too_long() {
        let mut timers = Timers::default();
        timers.joined(5, 15);
        timers.attached();
        assert_eq!(timers.next().await, Due::Ping);
        timers.heard();
        assert_eq!(timers.next().await, Due::Ping);
        assert_eq!(timers.next().await, Due::Stable);
        assert_eq!(timers.next().await, Due::Ping);
        let heard = Instant::now() - Duration::from_secs(10);
        assert_eq!(timers.next().await, Due::Ping);
        assert_eq!(timers.next().await, Due::Silence);
        assert_eq!(heard.elapsed(), Duration::from_secs(15));
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_connection_has_its_time_and_those_who_are_missing_theirs() {
        let mut timers = Timers::default();
        timers.joined(60, 60);
        timers.attached();
        timers.connecting();
        timers.settle(Snapshot::Resumed, true);
        assert_eq!(timers.next().await, Due::Settle);
        assert_eq!(timers.next().await, Due::Stable);
        assert_eq!(timers.next().await, Due::Unconnected);
        timers.settle(Snapshot::Rejoined, true);
        timers.settle(Snapshot::Rejoined, false);
        timers.connecting();
        timers.connected();
        assert_eq!(timers.next().await, Due::Ping);
    }

    #[test]
    fn absurd_ping_values_are_bounded() {
        assert_eq!(seconds(0), None);
        assert_eq!(seconds(-3), None);
        assert_eq!(seconds(i32::MAX), Some(PING_LIMITS.1));
    }
}
