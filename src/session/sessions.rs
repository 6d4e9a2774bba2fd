//! The service that doors call: acquire, start, query, update, stop.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use super::command::Command;
use super::inner::{Backing, Inner, from_row};
use super::plan::Plan;
use super::registry::Entry;
use super::{AcquireRequest, Error, Once, Report, ResourceId, Settings, State, TaskRef, recovery};
use crate::callback::event::LeaveCode;
use crate::recording::Selection;
use crate::store::{Event, SessionUpdate};
use crate::units::{AppId, Sid};

/// How long a stop waits for the last upload; callers give up after ten seconds.
const STOP_TIMEOUT: Duration = Duration::from_secs(8);
/// How long a stop that does not wait for uploads waits for the bot to leave, which takes one write to the disk.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(1);

/// All recordings of a worker. Cheap to clone.
#[derive(Clone)]
pub struct Sessions(pub(super) Arc<Inner>);

/// What came of a stop.
#[derive(Clone, Debug)]
pub enum Stopped {
    /// Everything is in the bucket.
    Uploaded(Report),
    /// Everything is safe, some of it in the backup bucket alone.
    Backuped(Report),
    /// Nobody sent any sound.
    Empty(Report),
    /// It goes on in the background: asked for, or not done in time.
    Underway(Report),
}

impl Sessions {
    /// Opens the service. Recordings that an earlier run of the worker left open are listed when this answers, and go on in the
    /// background.
    pub async fn open(settings: Settings, backing: Backing) -> Result<Self, Error> {
        let inner = Inner::new(settings, backing);
        let left = recovery::find(&inner).await?;
        let sessions = Self(Arc::new(inner));
        recovery::take_up(&sessions.0, left);
        Ok(sessions)
    }

    /// Gives out a resource. With a key that was sent with the same request before, the same one, as long as it can be started
    /// or was.
    pub async fn acquire(&self, request: AcquireRequest, once: Option<Once>) -> Result<ResourceId, Error> {
        self.0.acquire(request, once).await
    }

    /// How a running recording does at this moment; [`Error::Gone`] with what is known of one that is over.
    pub async fn query(&self, task: &TaskRef) -> Result<Report, Error> {
        Ok(self.running(task).await?.look().await)
    }

    /// Changes who is recorded, from here on.
    pub async fn select(&self, task: &TaskRef, selection: Selection) -> Result<Report, Error> {
        let entry = self.running(task).await?;
        let report = entry.report();
        if !report.state.is_running() {
            return Err(Error::AlreadyStopping(Box::new(report)));
        }
        let _turn = entry.changing.lock().await;
        self.remember_selection(&task.sid, &selection).await?;
        let event_dedup = entry.commands.send(Command::Select(selection)).await;
        event_dedup.map_err(|_| Error::Gone(Some(Box::new(entry.report()))))?;
        Ok(report)
    }

    /// Ends a recording. Waits at most 8 s for the last upload, or not for it when `at_once`; the end goes on without us. What was
    /// answered holds, also when the worker dies now.
    pub async fn stop(&self, task: &TaskRef, at_once: bool) -> Result<Stopped, Error> {
        let entry = self.running(task).await?;
        if !entry.report().state.is_running() || !entry.first_stop() {
            return Err(Error::AlreadyStopping(Box::new(entry.report())));
        }
        // Another run of the worker has to know too: what was answered holds.
        self.0.backing.store.session_stopping(&task.sid).await?;
        let event_dedup = entry.commands.send(Command::Stop(LeaveCode::Stopped)).await;
        if event_dedup.is_err() {
            // Handed over just now: the next run of the worker ends it.
            return Ok(Stopped::Underway(entry.report()));
        }
        if at_once {
            // Where it ends is in the journal by then.
            let left = timeout(LEAVE_TIMEOUT, entry.wait(|state| !state.is_running())).await;
            return Ok(Stopped::Underway(left.unwrap_or_else(|_| entry.report())));
        }
        match timeout(STOP_TIMEOUT, entry.wait(State::is_over)).await {
            Ok(report) if report.is_empty() => Ok(Stopped::Empty(report)),
            Ok(report) if report.is_away() => Ok(Stopped::Backuped(report)),
            Ok(report) if report.state == State::Ended => Ok(Stopped::Uploaded(report)),
            Ok(report) => Ok(Stopped::Underway(report)),
            Err(_) => Ok(Stopped::Underway(entry.report())),
        }
    }

    /// Why there is nothing to a sid that nobody knows: the resource that it came with waits for its start, or no reason is known.
    pub async fn nothing(&self, app: &AppId, resource: Option<&ResourceId>) -> Error {
        let Some(resource) = resource else { return Error::Gone(None) };
        match self.0.backing.store.resource_get(resource.as_str()).await {
            Ok(Some(row)) if row.resource.app == *app && row.bound.is_none() => Error::NeverStarted,
            Ok(_) => Error::Gone(None),
            Err(error) => error.into(),
        }
    }

    /// What is known of a recording, running or over, for as long as the store remembers it.
    pub async fn report(&self, app: &AppId, sid: &Sid) -> Result<Report, Error> {
        if let Some(entry) = self.0.registry.get(sid).filter(|entry| entry.app == *app) {
            return Ok(entry.look().await);
        }
        self.remembered(app, sid).await?.ok_or(Error::Gone(None))
    }

    /// Up to `limit` lines of a recording's log, those after sequence `after`.
    pub async fn events(&self, app: &AppId, sid: &Sid, after: Option<u64>, limit: u32) -> Result<Vec<Event>, Error> {
        self.report(app, sid).await?;
        Ok(self.0.backing.store.events(sid, after, limit).await?)
    }

    /// The task of a running recording, if the call may reach it.
    pub(super) async fn running(&self, task: &TaskRef) -> Result<Arc<Entry>, Error> {
        let entry = self.uploading(task).await?;
        let report = entry.report();
        if report.state.is_over() { Err(Error::Gone(Some(Box::new(report)))) } else { Ok(entry) }
    }

    /// The same, or of one that is over and on its way home from the backup.
    pub(super) async fn uploading(&self, task: &TaskRef) -> Result<Arc<Entry>, Error> {
        let Some(entry) = self.0.registry.get(&task.sid).filter(|entry| entry.app == task.app) else {
            return Err(match self.remembered(&task.app, &task.sid).await? {
                Some(known) => Error::Gone(Some(Box::new(known))),
                None => self.nothing(&task.app, task.resource.as_ref()).await,
            });
        };
        let report = entry.report();
        if report.state.is_over() && !report.is_away() {
            return Err(Error::Gone(Some(Box::new(report))));
        }
        if let Some(resource) = &task.resource {
            let row = self.0.backing.store.resource_get(resource.as_str()).await?;
            let row = row.filter(|row| row.resource.app == task.app).ok_or(Error::ForeignResource)?;
            if row.access_expired(self.0.now()) {
                return Err(Error::HandleExpired);
            }
        }
        Ok(entry)
    }

    /// Another run of the worker has to know who is recorded before its bot joins.
    async fn remember_selection(&self, sid: &Sid, selection: &Selection) -> Result<(), Error> {
        let store = &self.0.backing.store;
        let row = store.session_get(sid).await?.ok_or(Error::Gone(None))?;
        let plan: Plan =
            serde_json::from_value(row.session.request).map_err(|error| Error::Worker(error.to_string()))?;
        let request = Some(Plan { selection: selection.clone(), ..plan }.to_value());
        Ok(store.session_update(sid, &SessionUpdate { request, ..SessionUpdate::default() }).await?)
    }

    /// What the store remembers of a recording.
    async fn remembered(&self, app: &AppId, sid: &Sid) -> Result<Option<Report>, Error> {
        let row = self.0.backing.store.session_get(sid).await?;
        Ok(row.filter(|row| row.session.app == *app).and_then(|row| from_row(&row)))
    }
}
