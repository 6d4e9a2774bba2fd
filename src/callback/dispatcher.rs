//! The dispatcher: one lane for each app with a receiver. All that it knows is in the store, so a restart goes on where the
//! last run stopped.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::delivery::client;
use super::lane::{Bell, Lane, Shared};
use super::settings::Settings;
use crate::fault::{Explain, Fault};
use crate::store::Store;
use crate::units::AppId;

/// Delivers what is in the log. Clones share the work; when the last one is dropped it stops at once, and attempts under way
/// are repeated by the next run.
#[derive(Clone, Debug)]
pub struct Dispatcher {
    lanes: HashMap<AppId, Arc<Bell>>,
    tasks: Arc<Mutex<JoinSet<()>>>,
    stop: CancellationToken,
}

/// Why there is no dispatcher.
#[derive(Debug, thiserror::Error)]
pub enum DispatcherError {
    /// The HTTP client does not start.
    #[error("the callback client can't start: {0}; check the system's TLS certificates")]
    Client(#[from] reqwest::Error),
}

impl Explain for DispatcherError {
    fn fault(&self) -> Fault {
        match self {
            Self::Client(_) => Fault::ours("callback_client", false),
        }
    }
}

impl Dispatcher {
    /// Starts delivering everything that is pending in the store and has a target.
    pub fn spawn(store: Store, settings: Settings) -> Result<Self, DispatcherError> {
        let client = client(&settings)?;
        let targets: Vec<_> = settings.targets.clone().into_iter().collect();
        let shared = Arc::new(Shared::new(store, client, settings));
        let stop = CancellationToken::new();
        let mut tasks = JoinSet::new();
        let mut lanes = HashMap::new();
        for (app, target) in targets {
            let bell = Arc::new(Bell::default());
            let lane = Lane::new(app.clone(), target, Arc::clone(&shared), Arc::clone(&bell));
            tasks.spawn(lane.run(stop.clone()));
            lanes.insert(app, bell);
        }
        Ok(Self { lanes, tasks: Arc::new(Mutex::new(tasks)), stop })
    }

    /// Whether the app has a receiver.
    pub fn delivers(&self, app: &AppId) -> bool {
        self.lanes.contains_key(app)
    }

    /// The apps that have a receiver.
    pub fn apps(&self) -> Vec<AppId> {
        self.lanes.keys().cloned().collect()
    }

    /// There is a new event for this app in the store. Never waits; without a receiver for the app it does nothing.
    pub fn nudge(&self, app: &AppId) {
        if let Some(bell) = self.lanes.get(app) {
            bell.ring();
        }
    }

    /// Somebody says that the app's receiver is well: what is due is sent at once, also where it failed last.
    pub fn hurry(&self, app: &AppId) {
        if let Some(bell) = self.lanes.get(app) {
            bell.ring_hurried();
        }
    }

    /// Starts no new attempt and waits for those under way, at most [`Settings::patience`].
    pub async fn shutdown(&self) {
        self.stop.cancel();
        let mut tasks = std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        while tasks.join_next().await.is_some() {}
    }
}
