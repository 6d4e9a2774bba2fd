//! How a recording ends: nothing more is recorded, the rest is uploaded, the last words are said.
//!
//! Order of the news: (1) 41, 33 complete, 31, 11. Each is committed before it is sent; the state that callers see changes after
//! the commit. A recording is over when its bucket holds everything; it waits for that for as long as it takes, over restarts of
//! the worker too, and says after a day that it does. The row keeps the bucket's keys until the last line of the log is there.

mod cause;
mod last_log;
mod nothing;
mod patience;

use tokio::sync::mpsc;

pub(super) use self::cause::Cause;
pub(super) use self::last_log::LastLog;
pub(super) use self::nothing::{called_off, lost, never_entered};

use self::cause::FILE_OPERATION;
use self::last_log::event_log;
use self::patience::{HandedOver, Patience};
use super::live::Command;
use super::presence::Presence;
use super::works::Works;
use super::{Report, State};
use crate::callback::event::{self, ErrorLevel, ExitStatus, Module, PROGRESS_COMPLETE, UploadedFile};
use crate::codec::names::{events_name, manifest_name};
use crate::storage::{SpoolError, UploadReport};
use crate::store::{NewEvent, Sealed, SessionState, SessionUpdate};

/// The number of the event that says that the bot left.
const LEFT: u16 = 41;

/// A recording whose core was told to finish.
pub(super) struct Ending {
    pub(super) works: Works,
    pub(super) confirmations: mpsc::Receiver<UploadReport>,
    pub(super) commands: mpsc::Receiver<Command>,
    pub(super) presence: Presence,
}

/// Why an end was left unfinished.
#[derive(Debug)]
enum Unfinished {
    /// The next run of the worker finishes it.
    HandedOver,
    /// The spool failed.
    Broken(SpoolError),
}

impl From<SpoolError> for Unfinished {
    fn from(error: SpoolError) -> Self {
        Self::Broken(error)
    }
}

impl From<HandedOver> for Unfinished {
    fn from(HandedOver: HandedOver) -> Self {
        Self::HandedOver
    }
}

impl Ending {
    /// Ends the recording.
    pub(super) async fn run(mut self, cause: Cause) {
        let mut patience = Patience::new(self.works.desk().upload_patience);
        let stored = match self.leave(cause).await {
            Ok(()) => self.upload(&mut patience).await,
            Err(error) => Err(error.into()),
        };
        let stored = match stored {
            Ok(()) => true,
            Err(Unfinished::HandedOver) => return self.works.desk().settle().await,
            Err(Unfinished::Broken(error)) => {
                self.fail(&error).await;
                // What the spool holds gets to the bucket all the same.
                while let Err(unfinished) = self.until_drained(&mut patience).await {
                    match unfinished {
                        Unfinished::HandedOver => return self.works.desk().settle().await,
                        Unfinished::Broken(error) => tracing::error!(sid = %self.works.desk().plan.sid, "{error}"),
                    }
                }
                false
            }
        };
        self.conclude(stored).await;
        let desk = self.works.desk();
        desk.journal.retire(&desk.plan.sid);
        self.works.into_last_log(self.confirmations).write().await;
    }

    /// Says that the bot has left.
    async fn leave(&mut self, cause: Cause) -> Result<(), SpoolError> {
        let failure = cause.failure();
        self.works.note(|report| {
            report.state = State::Stopping;
            let text = failure.as_ref().map(|(_, text)| text.clone());
            report.failure = text.or_else(|| report.failure.take());
        });
        let shipped = self.works.caught_up().await;
        let mut news: Vec<NewEvent> = failure.into_iter().map(|(event, _)| event).collect();
        if !self.works.told().knows(LEFT) {
            news.push(event::recorder_leave(cause.leave_code()));
        }
        let summary = Some(self.works.desk().summary());
        let update = SessionUpdate { state: Some(SessionState::Stopping), summary, ..SessionUpdate::default() };
        self.works.tell(update, news).await;
        shipped
    }

    /// Waits until the bucket holds everything, manifest and event log included.
    async fn upload(&mut self, patience: &mut Patience) -> Result<(), Unfinished> {
        while !self.works.is_complete() {
            tokio::select! {
                Some(news) = self.confirmations.recv() => self.works.uploaded(news).await?,
                event = patience.next(&mut self.commands) => patience.heed(event, &mut self.works, &self.presence).await?,
            }
        }
        // Whole files are made of what the bucket has.
        while self.works.make_last_files().await {
            tokio::select! {
                made = self.works.made() => self.works.take_made(made).await,
                Some(news) = self.confirmations.recv() => self.works.uploaded(news).await?,
                event = patience.next(&mut self.commands) => patience.heed(event, &mut self.works, &self.presence).await?,
            }
        }
        // The manifest says what lies in the bucket in the end.
        self.until_drained(patience).await?;
        let plan = self.works.desk().plan.clone();
        let manifest = self.works.manifest(&self.presence);
        self.works.upload_document(&manifest_name(&plan.sid, &plan.cname), manifest).await?;
        let log = event_log(&self.works.desk().store, &plan.sid).await;
        self.works.upload_document(&events_name(&plan.sid, &plan.cname), log).await?;
        self.until_drained(patience).await
    }

    /// Waits until the bucket confirmed everything that was handed over.
    async fn until_drained(&mut self, patience: &mut Patience) -> Result<(), Unfinished> {
        let queue = self.works.queue();
        loop {
            tokio::select! {
                biased;
                Some(news) = self.confirmations.recv() => self.works.uploaded(news).await?,
                // An object counts as drained only after its report was sent.
                () = queue.drained() => match self.confirmations.try_recv() {
                    Ok(news) => self.works.uploaded(news).await?,
                    Err(_) => return Ok(()),
                },
                event = patience.next(&mut self.commands) => patience.heed(event, &mut self.works, &self.presence).await?,
            }
        }
    }

    /// Says that something could not be kept.
    async fn fail(&mut self, error: &SpoolError) {
        let text = error.to_string();
        let said = event::error(Module::Uploader, ErrorLevel::Fatal, FILE_OPERATION, &text);
        self.works.note(|report| _ = report.failure.get_or_insert(text));
        let update = SessionUpdate { summary: Some(self.works.desk().summary()), ..SessionUpdate::default() };
        self.works.tell(update, vec![said]).await;
    }

    /// Says the last words and makes the state final.
    async fn conclude(&mut self, stored: bool) {
        let mut report = self.works.report();
        let verdict = serde_json::json!(report.verdict());
        let mut news = Vec::new();
        if stored {
            let files = report.files.iter().filter(|file| file.playable).map(|file| UploadedFile {
                file_name: file.key.clone(),
                playlist: file.playlist.clone(),
                slice_start: self.works.start().plus(file.start()),
            });
            let files: Vec<_> = files.collect();
            news.push(event::uploading_progress(PROGRESS_COMPLETE));
            news.push(event::uploaded(&files).with("verdict", verdict.clone()));
        }
        let ended = stored && !self.works.told().is_fatal();
        let (state, exit) =
            if ended { (State::Ended, ExitStatus::Normal) } else { (State::Failed, ExitStatus::Abnormal) };
        news.push(event::session_exit(exit).with("verdict", verdict));
        (report.state, report.ended) = (state, Some((self.works.desk().clock)()));
        self.works.desk().meters.recording_ended(state.word());
        self.works.tell(final_update(&report, Sealed::Keep), news).await;
        self.works.desk().scribe.flush().await;
        self.works.note(|known| *known = report);
    }
}

/// The row of a recording that is over.
fn final_update(report: &Report, sealed: Sealed) -> SessionUpdate {
    let state = if report.state == State::Ended { SessionState::Ended } else { SessionState::Failed };
    let summary = serde_json::to_value(report).expect("a report has string keys and finite numbers only");
    SessionUpdate {
        state: Some(state),
        ended: report.ended,
        summary: Some(summary),
        sealed,
        ..SessionUpdate::default()
    }
}
