//! Watches over this worker's own time: whether it stood still or is too slow to hear what is sent to it.
//!
//! * One task a worker looks at the clock every [`TICK`] while at least one bot is in a channel; none while there is none.
//! * The clock is the one that goes on while a machine is suspended.
//! * Every session learns of a stall before anything that the clock says: whoever wakes first after one finds it, for all
//!   ([`StallWatch::look`]), and a session asks before it acts.
//! * What the kernel dropped at a session's sockets, and what waited in them for too long, counts as an overload of that session.
//! * While a stall is recent, and for a few seconds after, no new recording is taken.

mod detector;
mod drops;

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::time::{ClockId, Timespec, clock_gettime};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};
use tokio_util::task::AbortOnDropHandle;

use self::detector::{Evidence, Look, STALL, StallDetector, TICK, weigh};
use self::drops::Drops;
use super::tasks::Tasks;
use crate::channel::MediaPath;
use crate::metrics::Metrics;
use crate::recording::StallCause;

/// How long after a stall no new recordings are taken.
pub(super) const RECOVERY: Duration = Duration::from_secs(5);

/// How much earlier than the last look a stall may be dated, to the last datagram before it.
const DATED_BACK: Duration = Duration::from_secs(1);

/// A suspension that is shorter than this is how two readings of clocks differ.
const SUSPENDED: Duration = Duration::from_millis(50);

/// Stalls that wait for one session; past it the newest grows.
const MAX_WAITING: usize = 16;

/// A time in which a session may not have heard what was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stall {
    /// When it may have begun.
    pub(super) from: Instant,
    /// The last look before it.
    looked: Instant,
    /// When it was found.
    pub(super) until: Instant,
    /// How much of it does not count on the clock of the instants: the machine was suspended.
    pub(super) suspended: Duration,
    /// What kept the worker.
    pub(super) cause: StallCause,
}

impl Stall {
    /// Whether what arrived at this time came after it. A worker that stood still heard nothing until it was over.
    pub(super) fn precedes(&self, arrival: Instant) -> bool {
        match self.cause {
            StallCause::WorkerStalled => arrival > self.looked + TICK,
            StallCause::Overload => arrival > self.until,
        }
    }

    /// The part of it that lies after `since`.
    pub(super) fn after(&self, since: Instant) -> Duration {
        self.until.saturating_duration_since(self.from.max(since))
    }

    /// Takes in the stall that follows right after it, if it is of the same kind or `forced`.
    fn join(&mut self, next: Self, forced: bool) -> bool {
        let joins = forced || (self.cause == next.cause && next.from <= self.until && next.suspended.is_zero());
        if joins {
            self.from = self.from.min(next.from);
            (self.until, self.suspended) = (next.until, self.suspended + next.suspended);
        }
        joins
    }
}

/// The watch of a worker. Clones share it.
#[derive(Clone, Debug)]
pub(super) struct StallWatch(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    metrics: Metrics,
    tasks: Tasks,
    /// The last look in nanoseconds of the clock that goes on in a suspended machine; `u64::MAX` while nobody looks.
    looked: AtomicU64,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    seats: BTreeMap<u64, Arc<Registration>>,
    next: u64,
    detector: StallDetector,
    last: Moment,
    drops: Drops,
    /// What the last look found.
    found: Option<StallCause>,
    /// When something was found last, and what.
    trouble: Option<(Instant, StallCause)>,
    ticker: Option<AbortOnDropHandle<()>>,
}

/// A session's place on the watch's list.
#[derive(Debug)]
struct Registration {
    media: Arc<MediaPath>,
    waiting: Mutex<Vec<Stall>>,
    changed: Notify,
}

/// A session under watch; until it is dropped.
#[derive(Debug)]
pub(super) struct Watched {
    watch: StallWatch,
    id: u64,
    place: Arc<Registration>,
}

/// All clocks at one moment.
#[derive(Clone, Copy, Debug)]
struct Moment {
    instant: Instant,
    /// Goes on while the machine is suspended.
    boot: Duration,
    /// Does not, as the instants don't.
    monotonic: Duration,
    /// What the process has used of its processors.
    used: Duration,
}

impl Moment {
    fn now() -> Self {
        let [boot, monotonic, used] = [ClockId::Boottime, ClockId::Monotonic, ClockId::ProcessCPUTime]
            .map(|clock| duration(clock_gettime(clock)));
        Self { instant: Instant::now(), boot, monotonic, used }
    }
}

fn duration(time: Timespec) -> Duration {
    Duration::try_from(time).unwrap_or_default()
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

impl StallWatch {
    pub(super) fn new(metrics: Metrics, tasks: Tasks) -> Self {
        let state = State {
            seats: BTreeMap::new(),
            next: 0,
            detector: StallDetector::default(),
            last: Moment::now(),
            drops: Drops::default(),
            found: None,
            trouble: None,
            ticker: None,
        };
        Self(Arc::new(Shared { metrics, tasks, looked: AtomicU64::new(u64::MAX), state: Mutex::new(state) }))
    }

    /// Watches over a session whose bot is in its channel.
    pub(super) fn watch(&self, media: Arc<MediaPath>) -> Watched {
        let place = Arc::new(Registration { media, waiting: Mutex::default(), changed: Notify::new() });
        let mut state = self.lock();
        if state.seats.is_empty() {
            // Nobody was there to look before.
            (state.detector, state.found, state.last) = (StallDetector::default(), None, Moment::now());
            state.drops.read();
            self.0.looked.store(nanos(state.last.boot), Ordering::Relaxed);
            state.ticker = Some(AbortOnDropHandle::new(self.0.tasks.spawn(self.clone().tick())));
        }
        let id = state.next;
        state.next += 1;
        state.seats.insert(id, Arc::clone(&place));
        drop(state);
        Watched { watch: self.clone(), id, place }
    }

    /// Finds a stall that the tick has not found yet. Cheap where there is none.
    pub(super) fn look(&self) {
        let looked = self.0.looked.load(Ordering::Relaxed);
        let now = nanos(duration(clock_gettime(ClockId::Boottime)));
        if now.saturating_sub(looked) > nanos(TICK + STALL) {
            let mut state = self.lock();
            let now = Moment::now();
            // Another session may have been quicker.
            if !state.seats.is_empty() && now.boot.saturating_sub(state.last.boot) > TICK + STALL {
                self.observe(&mut state, now);
            }
        }
    }

    /// A session was told that it did not keep up.
    pub(super) fn overloaded(&self) {
        self.lock().trouble = Some((Instant::now(), StallCause::Overload));
    }

    /// What kept this worker a moment ago.
    pub(super) fn trouble(&self) -> Option<StallCause> {
        self.look();
        self.lock().trouble.filter(|(at, _)| at.elapsed() < RECOVERY).map(|(_, cause)| cause)
    }

    async fn tick(self) {
        loop {
            sleep_until(Instant::now() + TICK).await;
            self.observe(&mut self.lock(), Moment::now());
        }
    }

    fn observe(&self, state: &mut State, now: Moment) {
        let last = std::mem::replace(&mut state.last, now);
        self.0.looked.store(nanos(now.boot), Ordering::Relaxed);
        let gap = now.boot.saturating_sub(last.boot);
        let suspended = gap.saturating_sub(now.monotonic.saturating_sub(last.monotonic));
        let whole = state.detector.look(Look { gap, used: now.used.saturating_sub(last.used) });
        let after = std::mem::replace(&mut state.found, whole);
        let (dropped, shared) = self.dropped(state);
        let mut found = whole;
        let mut grave = whole.is_some();
        for place in state.seats.values() {
            let mut evidence = Evidence { dropped: shared, waited: place.media.take_longest_wait() };
            place.media.for_each_socket(|inode| evidence.dropped += dropped.get(&inode).copied().unwrap_or(0));
            if let Some(cause) = whole.or_else(|| weigh(evidence, after)) {
                found = found.or(Some(cause));
                grave |= evidence.is_grave();
                let newest = place.media.newest().unwrap_or(last.instant);
                let earliest = last.instant.checked_sub(DATED_BACK).unwrap_or(last.instant);
                let mut from = newest.clamp(earliest, last.instant);
                if cause == StallCause::Overload && after != Some(StallCause::WorkerStalled) {
                    // What waited was not heard when it came.
                    from = now.instant.checked_sub(evidence.waited).unwrap_or(from).min(from);
                }
                place.send(Stall {
                    from,
                    looked: last.instant,
                    until: now.instant,
                    suspended: if suspended > SUSPENDED { suspended } else { Duration::ZERO },
                    cause,
                });
            }
        }
        if let Some(cause) = found {
            let since = state.trouble.map(|(at, _)| now.instant.saturating_duration_since(at).saturating_sub(gap));
            let begins = whole == Some(StallCause::WorkerStalled) || since.is_none_or(|since| since > 2 * TICK);
            self.0.metrics.stalled(cause_word(cause), begins, gap);
            if !grave {
                return;
            }
            if begins {
                tracing::warn!(?cause, ?gap, "this worker did not hear what was sent to it");
            }
            state.trouble = Some((now.instant, cause));
        }
    }

    /// What the kernel dropped since the last look, by socket, and how much of it at sockets that belong to no one session.
    fn dropped(&self, state: &mut State) -> (HashMap<u64, u64>, u64) {
        let mut dropped = state.drops.read();
        if dropped.is_empty() {
            return (dropped, 0);
        }
        let mut known = HashMap::new();
        for place in state.seats.values() {
            place.media.for_each_socket(|inode| known.extend(dropped.remove_entry(&inode)));
        }
        let shared = dropped.into_iter().filter(|(inode, _)| state.drops.is_ours(*inode)).map(|(_, count)| count).sum();
        self.0.metrics.datagrams_dropped(known.values().sum::<u64>() + shared);
        (known, shared)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Registration {
    fn send(&self, stall: Stall) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let full = waiting.len() >= MAX_WAITING;
        if !waiting.last_mut().is_some_and(|last| last.join(stall, full)) {
            waiting.push(stall);
        }
        drop(waiting);
        self.changed.notify_one();
    }
}

impl Watched {
    /// What was found since the last call, the oldest first; looks first.
    pub(super) fn stalls(&self) -> Vec<Stall> {
        self.watch.look();
        std::mem::take(&mut *self.place.waiting.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Resolves when there is something to take. Cancel-safe.
    pub(super) async fn changed(&self) {
        self.place.changed.notified().await;
    }

    /// This session did not keep up.
    pub(super) fn overloaded(&self) {
        self.watch.overloaded();
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        let mut state = self.watch.lock();
        state.seats.remove(&self.id);
        if state.seats.is_empty() {
            self.watch.0.looked.store(u64::MAX, Ordering::Relaxed);
            state.ticker = None;
        }
    }
}

/// The word for a cause, as in the ledger.
pub(super) const fn cause_word(cause: StallCause) -> &'static str {
    match cause {
        StallCause::WorkerStalled => "worker_stalled",
        StallCause::Overload => "overload",
    }
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use super::*;

    fn tasks() -> usize {
        tokio::runtime::Handle::current().metrics().num_alive_tasks()
    }

    async fn until_told(watched: &Watched) -> Vec<Stall> {
        tokio::time::timeout(Duration::from_secs(20), watched.changed()).await.expect("nothing was told");
        watched.stalls()
    }

    #[tokio::test]
    async fn one_task_ticks_while_a_session_is_watched_and_none_otherwise() {
        let watch = StallWatch::new(Metrics::default(), Tasks::default());
        assert_eq!(tasks(), 0);
        let (one, two) = (watch.watch(Arc::default()), watch.watch(Arc::default()));
        assert_eq!(tasks(), 1);
        drop(one);
        assert_eq!(tasks(), 1);
        drop(two);
        while tasks() > 0 {
            tokio::task::yield_now().await;
        }
        assert!(watch.lock().ticker.is_none());
    }

    #[tokio::test]
    async fn whoever_wakes_first_finds_the_stall_for_all() {
        let watch = StallWatch::new(Metrics::default(), Tasks::default());
        let (one, two) = (watch.watch(Arc::default()), watch.watch(Arc::default()));
        assert_eq!(watch.trouble(), None);
        let before = Instant::now();
        std::thread::sleep(TICK + STALL + Duration::from_millis(100));
        // No task of this runtime has run since.
        let found = one.stalls();
        assert_eq!(found, two.stalls());
        let [stall] = found[..] else { panic!("{found:?}") };
        // Other tests of this process use its processors meanwhile, so the cause may be either.
        assert!(stall.from <= before && stall.until >= before + TICK + STALL, "{stall:?} after {before:?}");
        assert!(stall.precedes(Instant::now()) && !stall.precedes(before));
        assert_eq!(watch.trouble(), Some(stall.cause));
        let text = super::super::Error::Stalled(StallCause::WorkerStalled).to_string();
        assert_eq!(
            text,
            "this worker stood still a moment ago and takes no new recordings until it has kept up for 5s; look for a paused \
             machine, a stopped process or a disk that hangs"
        );
    }

    #[tokio::test]
    async fn what_the_kernel_drops_at_a_socket_is_its_sessions() {
        let watch = StallWatch::new(Metrics::default(), Tasks::default());
        let full = Arc::new(MediaPath::default());
        let (one, other) = (watch.watch(Arc::clone(&full)), watch.watch(Arc::default()));
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        full.opened(rustix::fs::fstat(&socket).unwrap().st_ino);
        let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
        for _ in 0..5_000 {
            sender.send_to(&[0; 1_000], socket.local_addr().unwrap()).unwrap();
        }
        let event_dedup = until_told(&one).await;
        assert!(event_dedup.iter().all(|stall| stall.cause == StallCause::Overload), "{event_dedup:?}");
        // A machine that stands still now tells both.
        assert!(other.stalls().iter().all(|stall| stall.until - stall.from > STALL));
    }

    #[tokio::test]
    async fn a_datagram_that_waited_too_long_is_an_overload() {
        let watch = StallWatch::new(Metrics::default(), Tasks::default());
        let watched = watch.watch(Arc::default());
        watched.place.media.received(Duration::from_secs(2));
        assert_eq!(until_told(&watched).await[0].cause, StallCause::Overload);
    }

    #[tokio::test(start_paused = true)]
    async fn what_belongs_together_is_one_stall_and_the_list_is_bounded() {
        let now = Instant::now();
        let at = |from: u64, until: u64, cause| Stall {
            from: now + Duration::from_secs(from),
            looked: now + Duration::from_secs(from),
            until: now + Duration::from_secs(until),
            suspended: Duration::ZERO,
            cause,
        };
        let place = Registration { media: Arc::default(), waiting: Mutex::default(), changed: Notify::new() };
        for replicator in 0..3 {
            place.send(at(replicator, replicator + 1, StallCause::Overload));
        }
        place.send(at(3, 9, StallCause::WorkerStalled));
        let expected = [at(0, 3, StallCause::Overload), at(3, 9, StallCause::WorkerStalled)];
        assert_eq!(*place.waiting.lock().unwrap(), expected);
        for round in 1..100 {
            place.send(at(round * 10, round * 10 + 5, StallCause::Overload));
        }
        let waiting = place.waiting.lock().unwrap();
        assert_eq!(waiting.len(), MAX_WAITING);
        assert_eq!(waiting[MAX_WAITING - 1].until, now + Duration::from_secs(995), "none is forgotten");
        assert_eq!(at(4, 9, StallCause::Overload).after(now + Duration::from_secs(7)), Duration::from_secs(2));
    }
}
