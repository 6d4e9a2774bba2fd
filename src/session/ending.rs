//! How a recording ends: nothing more is recorded, the rest is uploaded, the last words are said.
//!
//! Order of the news: (1) 41, 33 complete, 31, 11. Each is committed before it is sent; the state that callers see changes after
//! the commit. A recording is over when its bucket holds everything; it waits for that for as long as it takes, over restarts of
//! the worker too, and says after a day that it does. The row keeps the bucket's keys until the last line of the log is there.
//!
//! Where the second bucket is used, a recording is over when each object is in one of the two: 41, 32, 11. By then its final playlists,
//! manifest and log are in the spool behind their segments, so that coming home needs nothing but the spool; 33 and 31 are said when
//! it is done ([`last_log`]).

mod cause;
mod drain_wait;
mod event_log;
mod last_log;
mod nothing;

use tokio::sync::mpsc;

pub(super) use self::cause::Cause;
pub(super) use self::last_log::LastLog;
pub(super) use self::nothing::{called_off, lost, never_entered};

use self::drain_wait::DrainWait;
use self::event_log::{EventLog, sha256_hex};
use super::command::{Command, HandedOver};
use super::lines;
use super::pipeline::{Next, Pipeline};
use super::presence::Presence;
use super::{EndedBy, File, Report, State};
use crate::callback::event::{
    ErrorCode, ErrorEvent, ErrorLevel, ErrorReason, ExitStatus, Module, PROGRESS_COMPLETE, RecordingEvent, UploadedFile,
};
use crate::codec::names::{events_name, manifest_name};
use crate::storage::{SpoolError, UploadReport};
use crate::store::{Sealed, SessionState, SessionUpdate};
use crate::units::Ticks;

/// A recording whose core was told to finish.
pub(super) struct Ending {
    pub(super) pipeline: Pipeline,
    pub(super) confirmations: mpsc::Receiver<UploadReport>,
    pub(super) commands: mpsc::Receiver<Command>,
    pub(super) presence: Presence,
    /// Why it is over.
    pub(super) cause: Cause,
}

/// Where a recording is when it is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Whereabouts {
    /// In its own bucket.
    Home,
    /// In the second bucket, what is not at home.
    Away,
    /// Something of it could not be kept.
    Broken,
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
    /// Ends the recording. What is left then; none where the next run of the worker ends it.
    pub(super) async fn run(mut self) -> Option<LastLog> {
        let mut drain_wait = DrainWait::new(self.pipeline.context().upload_patience);
        let stored = match self.leave().await {
            Ok(()) => self.upload(&mut drain_wait).await,
            Err(error) => Err(error.into()),
        };
        let place = match stored {
            Ok(place) => place,
            Err(Unfinished::HandedOver) => {
                self.pipeline.context().settle().await;
                return None;
            }
            Err(Unfinished::Broken(error)) => {
                self.fail(&error).await;
                // What the spool holds gets to the bucket all the same.
                while let Err(unfinished) = self.until_held(&mut drain_wait, false).await {
                    match unfinished {
                        Unfinished::HandedOver => {
                            self.pipeline.context().settle().await;
                            return None;
                        }
                        Unfinished::Broken(error) => {
                            tracing::error!(sid = %self.pipeline.context().plan.sid, "{error}")
                        }
                    }
                }
                Whereabouts::Broken
            }
        };
        self.conclude(place).await;
        let context = self.pipeline.context();
        context.journal.retire(&context.plan.sid);
        let Self { pipeline, confirmations, commands, .. } = self;
        let (context, queue, watch, event_dedup) = pipeline.into_log_parts();
        Some(LastLog { context, queue, confirmations, commands, watch, event_dedup })
    }

    /// Says that the bot has left.
    async fn leave(&mut self) -> Result<(), SpoolError> {
        let cause = &self.cause;
        let failure = cause.failure();
        self.pipeline.note(|report| {
            report.state = State::Stopping;
            report.idle = None;
            _ = report.ended_by.get_or_insert_with(|| cause.ended_by());
            let text = failure.as_ref().map(|(_, text)| text.clone());
            report.failure = text.or_else(|| report.failure.take());
        });
        let shipped = self.pipeline.caught_up().await;
        let mut events: Vec<RecordingEvent> = failure.into_iter().map(|(event, _)| event).collect();
        events.extend(self.audit());
        // An end that an earlier run began has said this already, with its own code.
        events.push(RecordingEvent::RecorderLeave(self.cause.leave_code()));
        let summary = Some(self.pipeline.context().summary());
        let update = SessionUpdate { state: Some(SessionState::Stopping), summary, ..SessionUpdate::default() };
        self.pipeline.emit(update, events).await;
        shipped
    }

    /// The finished ledger has to add up: each packet has one fate, each moment one meaning. If it does not, nobody should trust it.
    fn audit(&self) -> Option<RecordingEvent> {
        let report = self.pipeline.report();
        let wrong = report.ledger.audit(Some(Ticks::from_ms(report.duration_ms)));
        for what in &wrong {
            tracing::error!(sid = %self.pipeline.context().plan.sid, "the ledger does not add up; please report it: {what}");
        }
        let what = wrong.first()?;
        let text = format!("the recording's ledger does not add up ({} places); the first: {what}", wrong.len());
        let said = ErrorEvent::new(Module::Recorder, ErrorLevel::Medium, ErrorCode::OwnFault, text);
        Some(RecordingEvent::Error(said.because(ErrorReason::LedgerInconsistent)))
    }

    /// Waits until everything is in a bucket, manifest and event log included.
    async fn upload(&mut self, drain_wait: &mut DrainWait) -> Result<Whereabouts, Unfinished> {
        while !self.pipeline.is_complete() && !self.pipeline.is_backed_up() {
            tokio::select! {
                Some(events) = self.confirmations.recv() => self.pipeline.uploaded(events).await?,
                events = self.pipeline.backup_events() => self.pipeline.tend_backup(events).await,
                event = drain_wait.next(&mut self.commands) => drain_wait.heed(event, &mut self.pipeline, &self.presence).await?,
            }
        }
        // Whole files are made of what the bucket has.
        while self.pipeline.make_last_files().await {
            tokio::select! {
                next = self.pipeline.made_or_backup_events() => match next {
                    Next::Made(made) => self.pipeline.take_made(made).await,
                    Next::Backup(events) => self.pipeline.tend_backup(events).await,
                },
                Some(events) = self.confirmations.recv() => self.pipeline.uploaded(events).await?,
                event = drain_wait.next(&mut self.commands) => drain_wait.heed(event, &mut self.pipeline, &self.presence).await?,
            }
        }
        if self.pipeline.is_complete() {
            // The manifest says what lies in the bucket in the end.
            self.until_held(drain_wait, false).await?;
        }
        self.pipeline.plan_copies().await?;
        let plan = self.pipeline.context().plan.clone();
        self.pipeline.context().event_writer.flush().await;
        let log = EventLog::read(&self.pipeline.context().store, &plan.sid).await;
        // The last upload of the log, with its last lines, follows when the recording is over.
        let log =
            log.inspect_err(|error| tracing::warn!(sid = %plan.sid, "the event log is uploaded later: {error}")).ok();
        let manifest = self.pipeline.manifest(&self.presence, log.as_ref().map(EventLog::covered));
        let sha256 = sha256_hex(manifest.as_bytes());
        self.pipeline.upload_document(&manifest_name(&plan.sid, &plan.cname), manifest).await?;
        self.pipeline.note(|report| report.manifest_sha256 = Some(sha256));
        // A name that can be written once is kept for the whole log.
        if let Some(log) = log.filter(|_| !plan.is_written_once())
            && log.may_be_put(&self.pipeline.queue().bucket(), &events_name(&plan.sid, &plan.cname)).await
        {
            self.pipeline.upload_document(&events_name(&plan.sid, &plan.cname), log.text).await?;
        }
        self.until_held(drain_wait, true).await
    }

    /// Waits until the bucket confirmed everything that was handed over, or, where that `may_be_away`, until the second one did.
    async fn until_held(&mut self, drain_wait: &mut DrainWait, may_be_away: bool) -> Result<Whereabouts, Unfinished> {
        let queue = self.pipeline.queue();
        loop {
            if may_be_away && self.pipeline.is_backed_up() {
                return Ok(Whereabouts::Away);
            }
            tokio::select! {
                biased;
                Some(events) = self.confirmations.recv() => self.pipeline.uploaded(events).await?,
                // An object counts as drained only after its report was sent.
                () = queue.drained() => match self.confirmations.try_recv() {
                    Ok(events) => self.pipeline.uploaded(events).await?,
                    Err(_) => return Ok(Whereabouts::Home),
                },
                events = self.pipeline.backup_events() => self.pipeline.tend_backup(events).await,
                event = drain_wait.next(&mut self.commands) => drain_wait.heed(event, &mut self.pipeline, &self.presence).await?,
            }
        }
    }

    /// Says that something could not be kept.
    async fn fail(&mut self, error: &SpoolError) {
        let text = error.to_string();
        if let Err(error) = self.pipeline.end_unread_primary().await {
            tracing::error!(sid = %self.pipeline.context().plan.sid, "{error}");
        }
        let said = ErrorEvent::new(Module::Uploader, ErrorLevel::Fatal, ErrorCode::FileOperation, &text);
        self.pipeline.note(|report| _ = report.failure.get_or_insert(text));
        let update = SessionUpdate { summary: Some(self.pipeline.context().summary()), ..SessionUpdate::default() };
        self.pipeline.emit(update, vec![RecordingEvent::Error(said)]).await;
    }

    /// Says the last words and makes the state final.
    async fn conclude(&mut self, place: Whereabouts) {
        let mut report = self.pipeline.report();
        if place == Whereabouts::Home {
            self.pipeline.end_backup(true).await;
            report.upload.backup = None;
        }
        let verdict = Some(report.verdict());
        let mut events = Vec::new();
        match place {
            Whereabouts::Home => {
                events.push(RecordingEvent::UploadingProgress(PROGRESS_COMPLETE));
                events.push(RecordingEvent::Uploaded { files: files_of(&report, &report.files), verdict });
            }
            Whereabouts::Away => {
                if let Some(backup) = &mut report.upload.backup {
                    backup.away = true;
                }
                let files = files_of(&report, &self.pipeline.begun_files());
                events.push(RecordingEvent::Backuped { files, verdict });
            }
            Whereabouts::Broken => {}
        }
        let ended = place != Whereabouts::Broken && !self.pipeline.event_dedup().is_fatal();
        let (state, status) =
            if ended { (State::Ended, ExitStatus::Normal) } else { (State::Failed, ExitStatus::Abnormal) };
        let end_reason = report.ended_by.map(EndedBy::word);
        events.push(RecordingEvent::SessionExit { status, verdict, end_reason });
        (report.state, report.ended) = (state, Some((self.pipeline.context().clock)()));
        self.pipeline.context().metrics.recording_ended(state.word());
        self.pipeline.emit(final_update(&report, Sealed::Keep), events).await;
        self.pipeline.context().event_writer.flush().await;
        lines::ended(&self.pipeline.context().plan, &report);
        self.pipeline.note(|known| *known = report);
    }
}

/// The playable ones of these files, for events 31 and 32.
fn files_of(report: &Report, files: &[File]) -> Vec<UploadedFile> {
    let slice_start = report.started.unwrap_or(report.created);
    let playable = files.iter().filter(|file| file.playable);
    let file = |file: &File| UploadedFile {
        file_name: file.key.clone(),
        playlist: file.playlist.clone(),
        slice_start: slice_start.plus(file.start()),
    };
    playable.map(file).collect()
}

/// The row of a recording that is over.
fn final_update(report: &Report, sealed: Sealed) -> SessionUpdate {
    let state = if report.state == State::Ended { SessionState::Ended } else { SessionState::Failed };
    let summary = serde_json::to_value(report).expect("a report has string keys and finite numbers only");
    SessionUpdate {
        state: Some(state),
        // What is away is not forgotten before it is at home.
        ended: report.ended.filter(|_| !report.is_away()),
        summary: Some(summary),
        sealed,
        ..SessionUpdate::default()
    }
}
