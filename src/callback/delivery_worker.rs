//! One app's delivery worker for one product: takes what is due from the store, sends it, writes down what became of it, and sleeps until
//! there is something to do. Per stream (a recording, or a channel's session) one event is under way at a time, because the store
//! has only the oldest one due. What the app does not want is passed over.

use std::collections::HashMap;
use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::{Notify, Semaphore};
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::body::Sendable;
use super::circuit::{Circuit, Leave};
use super::delivery::{AttemptError, Clients, attempt};
use super::settings::{Settings, Target};
use crate::clock;
use crate::error_class::Classify;
use crate::store::{Attempt, Delivery, DeliveryState, Store, StoreError};
use crate::units::{AppId, EventTypes, WallMs};

/// What the delivery workers of one product share. Products share no permits, so that events of channels can't hold up events of recordings.
#[derive(Debug)]
pub(super) struct Shared {
    store: Store,
    clients: Arc<Clients>,
    settings: Settings,
    working: Semaphore,
    probing: Semaphore,
}

impl Shared {
    pub(super) fn new(store: Store, clients: Arc<Clients>, settings: Settings) -> Self {
        let working = Semaphore::new(settings.at_once.max(1));
        let probing = Semaphore::new(settings.probes_at_once.max(1));
        Self { store, clients, settings, working, probing }
    }

    fn wait(&self, failures: u32) -> Duration {
        self.settings.schedule.wait(failures, rand::random())
    }
}

/// How a delivery worker is woken.
#[derive(Debug, Default)]
pub(super) struct WorkerHandle {
    rung: Notify,
    hurried: AtomicBool,
}

impl WorkerHandle {
    /// There is something new to send.
    pub(super) fn wake(&self) {
        self.rung.notify_one();
    }

    /// What there is shall be tried now, whatever failed before.
    pub(super) fn wake_hurried(&self) {
        self.hurried.store(true, Ordering::Relaxed);
        self.wake();
    }
}

/// One app's delivery worker for the product whose events are `L`.
#[derive(Debug)]
pub(super) struct DeliveryWorker<L> {
    app: AppId,
    target: Arc<Target>,
    /// What is delivered.
    wanted: EventTypes,
    shared: Arc<Shared>,
    bell: Arc<WorkerHandle>,
    circuit: Circuit,
    attempts: JoinSet<AttemptResult>,
    /// The streams of the flights: at most [`Settings::at_once_per_target`].
    flying: HashMap<Id, String>,
    product: PhantomData<L>,
}

/// How a flight ended.
#[derive(Debug)]
struct AttemptResult {
    probe: bool,
    outcome: Outcome,
}

#[derive(Debug)]
enum Outcome {
    Delivered,
    Refused(AttemptError),
    /// What became of the attempt could not be written down: it will be repeated.
    Forgotten(StoreError),
}

impl<L: Sendable> DeliveryWorker<L> {
    pub(super) fn new(
        app: AppId,
        target: Arc<Target>,
        wanted: EventTypes,
        shared: Arc<Shared>,
        bell: Arc<WorkerHandle>,
    ) -> Self {
        Self {
            app,
            target,
            wanted,
            shared,
            bell,
            circuit: Circuit::default(),
            attempts: JoinSet::new(),
            flying: HashMap::new(),
            product: PhantomData,
        }
    }

    /// Runs until stopped, then waits for the flights.
    pub(super) async fn run(mut self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            let wake = self.launch().await;
            tokio::select! {
                () = stop.cancelled() => break,
                Some(attempted) = self.attempts.join_next_with_id() => self.finish_attempt(attempted),
                () = self.bell.rung.notified() => {
                    if self.bell.hurried.swap(false, Ordering::Relaxed) {
                        self.close_circuit();
                    }
                }
                () = sleep_until(wake.unwrap_or_else(Instant::now)), if wake.is_some() => {}
            }
        }
        while self.attempts.join_next().await.is_some() {}
    }

    /// Starts what may be started now. Says when there is something to start next, as far as it is known by now.
    async fn launch(&mut self) -> Option<Instant> {
        let settings = &self.shared.settings;
        let now = Instant::now();
        let (probe, limit) = match self.circuit.leave(now) {
            Leave::NotBefore(until) => return Some(until),
            Leave::Probe => (true, 1),
            Leave::Everything => (false, settings.at_once_per_target.max(1)),
        };
        if self.flying.len() >= limit {
            return None;
        }
        // Flights may be among the earliest: this many rows hold every free place and one more, the next to come.
        let rows = u32::try_from(limit + self.flying.len() + 1).unwrap_or(u32::MAX);
        let due = match self.due(rows).await {
            Ok(due) => due,
            Err(problem) => {
                error!(app = %self.app, %problem, "callbacks wait: the store does not answer");
                return Some(now + self.shared.wait(1));
            }
        };
        for delivery in due {
            if self.is_flying(&delivery.event) {
                continue;
            }
            let rest = self.rest(&delivery);
            if !rest.is_zero() {
                return Some(now + rest);
            }
            if self.flying.len() >= limit {
                return None;
            }
            self.start(delivery, probe);
        }
        None
    }

    /// What is next in its streams and wanted.
    async fn due(&self, rows: u32) -> Result<Vec<Delivery<L>>, StoreError> {
        loop {
            let due = self.shared.store.pending_deliveries::<L>(&self.app, rows).await?;
            let unwanted = |one: &&Delivery<L>| !self.wanted.has(one.event.event_type()) && !self.is_flying(&one.event);
            let passed: Vec<_> = due.iter().filter(unwanted).collect();
            if passed.is_empty() {
                return Ok(due);
            }
            for one in passed {
                self.shared.store.pass_over(&one.event, &self.wanted, clock::now()).await?;
            }
        }
    }

    fn is_flying(&self, line: &L) -> bool {
        self.flying.values().any(|stream| stream == line.stream())
    }

    /// How long until it is due. More than the schedule ever asks for means that the wall clock was set back: due now.
    fn rest(&self, delivery: &Delivery<L>) -> Duration {
        let DeliveryState::Due(due) = delivery.state else { return Duration::ZERO };
        let rest = Duration::from_millis(due.0.saturating_sub(clock::now().0));
        if rest > self.shared.settings.schedule.longest() { Duration::ZERO } else { rest }
    }

    fn start(&mut self, delivery: Delivery<L>, probe: bool) {
        let stream = delivery.event.stream().to_owned();
        let (target, shared) = (Arc::clone(&self.target), Arc::clone(&self.shared));
        let flight = self.attempts.spawn(async move {
            AttemptResult { probe, outcome: send_attempt(&shared, &target, &delivery, probe).await }
        });
        self.flying.insert(flight.id(), stream);
    }

    fn finish_attempt(&mut self, attempted: Result<(Id, AttemptResult), JoinError>) {
        let (id, result) = match attempted {
            Ok((id, result)) => (id, Some(result)),
            Err(problem) => {
                error!(app = %self.app, %problem, "a callback attempt was cut off");
                (problem.id(), None)
            }
        };
        self.flying.remove(&id);
        let probe = result.as_ref().is_some_and(|result| result.probe);
        let (code, problem) = match result.map(|result| result.outcome) {
            Some(Outcome::Delivered) => {
                self.shared.settings.metrics.callback_delivered();
                self.close_circuit();
                return;
            }
            Some(Outcome::Refused(problem)) => (problem.error_class().code, problem.to_string()),
            Some(Outcome::Forgotten(problem)) => (problem.error_class().code, problem.to_string()),
            None => ("callback_cut_off", "cut off".into()),
        };
        let shared = &self.shared;
        shared.settings.metrics.callback_failed(code);
        if self.circuit.failed(probe, Instant::now(), |failures| shared.wait(failures)) {
            shared.settings.metrics.circuit_opened();
            warn!(app = %self.app, product = L::PRODUCT, code, "the callback receiver fails, its events wait: {problem}");
        }
    }

    fn close_circuit(&mut self) {
        if self.circuit.close() {
            self.shared.settings.metrics.circuit_closed();
            info!(app = %self.app, product = L::PRODUCT, "the callback receiver takes events again");
        }
    }
}

/// One attempt, from the permission to send to the note in the store.
async fn send_attempt<L: Sendable>(shared: &Shared, target: &Target, delivery: &Delivery<L>, probe: bool) -> Outcome {
    let places = if probe { &shared.probing } else { &shared.working };
    let place = places.acquire().await.expect("the semaphores are never closed");
    let (at, begun) = (clock::now(), Instant::now());
    let result = attempt(&shared.clients, target, delivery.event.body(at)).await;
    let took = begun.elapsed();
    drop(place);
    let metrics = &shared.settings.metrics;
    metrics.callback_took(result.is_ok(), took);
    let took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    if result.is_ok() {
        let since = delivery.asked.unwrap_or_else(|| delivery.event.written());
        metrics.callback_delay(Duration::from_millis(clock::now().0.saturating_sub(since.0)));
    }
    let (status, error) = match &result {
        Ok(status) => (Some(*status), None),
        Err(problem) => (problem.status(), Some(problem.to_string())),
    };
    match note(shared, delivery, &Attempt { at, took_ms, status, error }, clock::now()).await {
        Err(problem) => Outcome::Forgotten(problem),
        Ok(()) => result.map_or_else(Outcome::Refused, |_| Outcome::Delivered),
    }
}

async fn note<L: Sendable>(
    shared: &Shared,
    delivery: &Delivery<L>,
    attempt: &Attempt,
    now: WallMs,
) -> Result<(), StoreError> {
    let line = &delivery.event;
    let Some(problem) = &attempt.error else { return shared.store.mark_delivered(line, attempt, now).await };
    let since = delivery.asked.unwrap_or_else(|| line.written());
    let age = Duration::from_millis(now.0.saturating_sub(since.0));
    if age >= shared.settings.give_up_after {
        let (sid, number) = (line.stream(), line.sequence());
        error!(sid, number, problem, "callback given up; it stays in the store as a dead letter");
        shared.settings.metrics.callback_given_up();
        return shared.store.mark_dead(line, attempt, now).await;
    }
    let wait = shared.wait(delivery.attempts.saturating_add(1));
    let next = WallMs(now.0.saturating_add(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)));
    shared.store.mark_attempt(line, attempt, next).await
}
