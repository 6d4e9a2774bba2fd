//! The dispatcher: for each app with a receiver one delivery worker for its recordings and one for its channels. All that it knows is in
//! the store, so a restart goes on where the last run stopped.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::delivery::Clients;
use super::delivery_worker::{DeliveryWorker, Shared, WorkerHandle};
use super::settings::{Settings, Target};
use super::test_event::{MAX_TRIALS, TestEventError, TestEventResult, test_event};
use crate::error_class::{Classify, ErrorClass};
use crate::store::{ChannelNotice, Event, Store};
use crate::units::AppId;

/// Delivers what is in the log. Clones share the work; when the last one is dropped it stops at once, and attempts under way
/// are repeated by the next run.
#[derive(Clone, Debug)]
pub struct Dispatcher {
    receivers: HashMap<AppId, Arc<Receiver>>,
    clients: Arc<Clients>,
    trials: Arc<Semaphore>,
    tasks: Arc<Mutex<JoinSet<()>>>,
    stop: CancellationToken,
}

/// An app's receiver and how its lanes are called.
#[derive(Debug)]
struct Receiver {
    target: Arc<Target>,
    recordings: Arc<WorkerHandle>,
    channels: Arc<WorkerHandle>,
}

/// Why there is no dispatcher.
#[derive(Debug, thiserror::Error)]
pub enum DispatcherError {
    /// The HTTP client does not start.
    #[error("the callback client can't start: {0}; check the system's TLS certificates")]
    Client(#[from] reqwest::Error),
}

impl Classify for DispatcherError {
    fn error_class(&self) -> ErrorClass {
        match self {
            Self::Client(_) => ErrorClass::ours("callback_client", false),
        }
    }
}

impl Dispatcher {
    /// Starts delivering everything that is pending in the store and has a target.
    pub fn spawn(store: Store, settings: Settings) -> Result<Self, DispatcherError> {
        let clients = Arc::new(Clients::new(&settings)?);
        let targets: Vec<_> = settings.targets.clone().into_iter().collect();
        let recordings = Arc::new(Shared::new(store.clone(), Arc::clone(&clients), settings.clone()));
        let channels = Arc::new(Shared::new(store, Arc::clone(&clients), settings));
        let stop = CancellationToken::new();
        let mut tasks = JoinSet::new();
        let mut receivers = HashMap::new();
        for (app, target) in targets {
            let target = Arc::new(target);
            let bells = (Arc::new(WorkerHandle::default()), Arc::new(WorkerHandle::default()));
            let of = |shared: &Arc<Shared>, bell: &Arc<WorkerHandle>| {
                (Arc::clone(&target), Arc::clone(shared), Arc::clone(bell))
            };
            let (to, shared, bell) = of(&recordings, &bells.0);
            tasks.spawn(
                DeliveryWorker::<Event>::new(app.clone(), to, target.recording.clone(), shared, bell).run(stop.clone()),
            );
            let (to, shared, bell) = of(&channels, &bells.1);
            tasks.spawn(
                DeliveryWorker::<ChannelNotice>::new(app.clone(), to, target.channel.clone(), shared, bell)
                    .run(stop.clone()),
            );
            receivers.insert(app, Arc::new(Receiver { target, recordings: bells.0, channels: bells.1 }));
        }
        let (trials, tasks) = (Arc::new(Semaphore::new(MAX_TRIALS)), Arc::new(Mutex::new(tasks)));
        Ok(Self { receivers, clients, trials, tasks, stop })
    }

    /// Whether the app has a receiver.
    pub fn delivers(&self, app: &AppId) -> bool {
        self.receivers.contains_key(app)
    }

    /// Whether the app has a receiver that wants to hear of this channel event.
    pub fn wants_channel(&self, app: &AppId, event_type: u16) -> bool {
        self.receivers.get(app).is_some_and(|receiver| receiver.target.channel.has(event_type))
    }

    /// The apps that have a receiver.
    pub fn apps(&self) -> Vec<AppId> {
        self.receivers.keys().cloned().collect()
    }

    /// There is a new event of a recording of this app in the store. Never waits; without a receiver for the app it does
    /// nothing.
    pub fn nudge(&self, app: &AppId) {
        if let Some(receiver) = self.receivers.get(app) {
            receiver.recordings.wake();
        }
    }

    /// The same for a channel event.
    pub fn nudge_channel(&self, app: &AppId) {
        if let Some(receiver) = self.receivers.get(app) {
            receiver.channels.wake();
        }
    }

    /// Somebody says that the app's receiver is well: what is due is sent at once, also where it failed last.
    pub fn hurry(&self, app: &AppId) {
        if let Some(receiver) = self.receivers.get(app) {
            receiver.recordings.wake_hurried();
            receiver.channels.wake_hurried();
        }
    }

    /// Sends the app's receiver a test event, once. It is in no log, and whether events wait for the receiver does not matter.
    pub async fn test(&self, app: &AppId, event_type: u16) -> Result<TestEventResult, TestEventError> {
        let receiver = self.receivers.get(app).ok_or(TestEventError::NoReceiver)?;
        let _place = self.trials.try_acquire().map_err(|_| TestEventError::Busy)?;
        test_event(&self.clients, &receiver.target, app, event_type).await
    }

    /// Starts no new attempt and waits for those under way, at most [`Settings::patience`].
    pub async fn shutdown(&self) {
        self.stop.cancel();
        let mut tasks = std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        while tasks.join_next().await.is_some() {}
    }
}
