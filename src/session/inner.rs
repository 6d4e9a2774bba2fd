//! What all sessions of a worker share, and what each of them gets of it.

use std::sync::Arc;

use tokio::sync::watch;

use super::backup::BackupTarget;
use super::command::Command;
use super::context::SessionContext;
use super::event_writer::EventWriter;
use super::plan::Plan;
use super::registry::{Entry, Limits, Registry, Reservation};
use super::stall::StallWatch;
use super::tasks::Tasks;
use super::{AppSettings, Error, Report, Settings, State};
use crate::callback::Dispatcher;
use crate::error_class::Classify;
use crate::storage::{DiskWatch, Spool, SpoolError, Uploader, journal};
use crate::store::seal::Sealer;
use crate::store::{SessionRow, Store};
use crate::units::{AppId, Sid, WallMs};

/// What sessions stand on; one of each for a worker.
#[derive(Clone)]
pub struct Backing {
    /// Resources, sessions and the event log.
    pub store: Store,
    /// Seals bucket keys in the store.
    pub sealer: Sealer,
    /// The log of what was received.
    pub journal: journal::Writer,
    /// What was made and is not in its bucket yet.
    pub spool: Spool,
    /// The disk that all of this lies on.
    pub disk: DiskWatch,
    /// Takes objects to buckets.
    pub uploader: Arc<Uploader>,
    /// Delivers the event log.
    pub dispatcher: Dispatcher,
}

/// See the module's documentation.
pub(super) struct Inner {
    pub(super) settings: Settings,
    pub(super) backing: Backing,
    pub(super) registry: Registry,
    pub(super) stalls: StallWatch,
    pub(super) tasks: Tasks,
}

impl Inner {
    pub(super) fn new(settings: Settings, backing: Backing) -> Self {
        let tasks = Tasks::default();
        let stalls = StallWatch::new(settings.metrics.clone(), tasks.clone());
        Self { settings, backing, registry: Registry::default(), stalls, tasks }
    }

    pub(super) fn now(&self) -> WallMs {
        (self.settings.clock)()
    }

    /// What a recording needs from its acceptance to its end.
    pub(super) fn context(&self, plan: Plan, report: watch::Sender<Report>) -> Result<SessionContext, SpoolError> {
        let spool = self.backing.spool.session(&plan.app, &plan.sid);
        // Who waits for it must not take it for one that is about to begin.
        let spool = spool.inspect_err(|_| report.send_modify(|report| report.state = State::Failed))?;
        let event_writer = EventWriter::spawn(
            plan.app.clone(),
            plan.sid.clone(),
            self.backing.store.clone(),
            self.backing.dispatcher.clone(),
            Arc::clone(&self.settings.clock),
            self.settings.metrics.clone(),
            &self.tasks,
        );
        let clock = Arc::clone(&self.settings.clock);
        let (store, journal) = (self.backing.store.clone(), self.backing.journal.clone());
        let metrics = self.settings.metrics.clone();
        let upload_patience = self.settings.upload_patience;
        let replicator = self.settings.apps.get(&plan.app).and_then(|app| app.backup.clone());
        let (stalls, tasks) = (self.stalls.clone(), self.tasks.clone());
        let means =
            |settings| BackupTarget { settings, uploader: Arc::clone(&self.backing.uploader), tasks: tasks.clone() };
        let backup = replicator.map(means);
        let roll = self.settings.roll;
        Ok(SessionContext {
            plan,
            store,
            event_writer,
            clock,
            report,
            spool,
            journal,
            metrics,
            stalls,
            tasks,
            backup,
            upload_patience,
            roll,
        })
    }

    /// Tells a running recording that a call was refused because of it, for its log; never waits. Gives the refusal back.
    pub(super) fn reject_call(&self, sid: &Sid, refusal: Error) -> Error {
        if let Some(entry) = self.registry.get(sid) {
            // A recording that is busy has more to say than this.
            let _told = entry.commands.try_send(Command::RejectedCall(refusal.error_class().code));
        }
        refusal
    }

    /// Whether the app may have one more recording.
    pub(super) fn check_capacity(&self, app: &AppId) -> Result<&AppSettings, Error> {
        let unknown = || Error::Invalid("appid is not served by this worker".into());
        let settings = self.settings.apps.get(app).ok_or_else(unknown)?;
        self.registry.check(app, self.limits(settings))?;
        self.backing.spool.check(app)?;
        Ok(settings)
    }

    /// Takes the app's place for one more recording, if there is one.
    pub(super) fn reserve(&self, app: &AppSettings, sid: &Sid, entry: &Arc<Entry>) -> Result<Reservation, Error> {
        let reserved = self.registry.reserve(sid.clone(), Arc::clone(entry), self.limits(app))?;
        self.backing.spool.check(&entry.app)?;
        Ok(reserved)
    }

    const fn limits(&self, app: &AppSettings) -> Limits {
        Limits { of_app: app.max_sessions, of_worker: self.settings.max_sessions }
    }
}

/// The last summary, or what the plan alone says of a recording that never wrote one.
pub(super) fn from_row(row: &SessionRow) -> Option<Report> {
    let summary = row.summary.clone().and_then(|summary| serde_json::from_value(summary).ok());
    summary.or_else(|| serde_json::from_value::<Plan>(row.session.request.clone()).ok().map(|plan| plan.report()))
}
