//! The dispatcher: one lane for each app with a receiver. All that it knows is in the store, so a restart goes on where the
//! last run stopped.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::delivery::client;
use super::lane::{Lane, Shared};
use super::settings::Settings;
use crate::fault::{Explain, Fault};
use crate::store::Store;
use crate::units::AppId;

/// Delivers what is in the log. Clones share the work; when the last one is dropped it stops at once, and attempts under way
/// are repeated by the next run.
#[derive(Clone, Debug)]
pub struct Dispatcher {
    lanes: HashMap<AppId, Arc<Notify>>,
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
            let nudged = Arc::new(Notify::new());
            let lane = Lane::new(app.clone(), target, Arc::clone(&shared), Arc::clone(&nudged));
            tasks.spawn(lane.run(stop.clone()));
            lanes.insert(app, nudged);
        }
        Ok(Self { lanes, tasks: Arc::new(Mutex::new(tasks)), stop })
    }

    /// There is a new event for this app in the store. Never waits; without a receiver for the app it does nothing.
    pub fn nudge(&self, app: &AppId) {
        if let Some(nudged) = self.lanes.get(app) {
            nudged.notify_one();
        }
    }

    /// Starts no new attempt and waits for those under way, at most [`Settings::patience`].
    pub async fn shutdown(&self) {
        self.stop.cancel();
        let mut tasks = std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        while tasks.join_next().await.is_some() {}
    }
}
