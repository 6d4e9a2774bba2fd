//! How a recording ends: nothing more is recorded, the rest is uploaded, the last words are said.
//!
//! Order of the events: (1) 41, 33 complete, 31, 11. Each is committed before it is sent; the state that callers see changes after
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

pub(super) use self::cause::Cause;
pub(super) use self::last_log::LastLog;
pub(super) use self::nothing::{LostJournal, called_off, never_entered};

use self::drain_wait::{DrainWait, Due};
use self::event_log::{EventLog, sha256_hex};
use super::lines;
use super::phase::Phase;
use super::pipeline::{self, Pipeline};
use super::presence::Presence;
use super::{EndedBy, File, Report, State};
use crate::callback::event::{
    ErrorCode, ErrorEvent, ErrorLevel, ErrorReason, ExitStatus, Module, PROGRESS_COMPLETE, RecordingEvent, UploadedFile,
};
use crate::codec::names::{events_name, manifest_name};
use crate::storage::{Bucket, SpoolError};
use crate::store::{Sealed, SessionState, SessionUpdate};
use crate::units::Ticks;

/// A recording whose core was told to finish.
pub(super) struct Ending {
    pipeline: Pipeline,
    presence: Presence,
    /// Why it is over.
    cause: Cause,
    drain_wait: DrainWait,
    wait: Wait,
}

/// What an end waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wait {
    /// Each segment and playlist is in a bucket.
    Media,
    /// The last whole files are made of what the bucket has.
    Files,
    /// The bucket has all of that: the manifest says what lies there in the end.
    Uploads,
    /// Manifest and log are in a bucket too.
    Documents,
    /// Something could not be kept. What the spool holds gets to the bucket all the same.
    Rest,
}

/// Where a recording is when it is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whereabouts {
    /// In its own bucket.
    Home,
    /// In the second bucket, what is not at home.
    Away,
    /// Something of it could not be kept.
    Broken,
}

/// What came of an end.
#[derive(Debug)]
pub(super) enum Ended {
    /// Nothing more is waited for.
    At(Whereabouts),
    /// The next run of the worker finishes it.
    HandedOver,
}

/// What happens while a recording ends.
pub(super) enum Event {
    /// Something was uploaded, or the like.
    Pipeline(Box<pipeline::Happened>),
    /// Nothing that was handed over is on its way.
    Drained,
    /// Something is due.
    Due(Due),
}

impl Phase for Ending {
    type Event = Event;
    type Exit = Ended;

    async fn enter(&mut self) -> Result<(), Ended> {
        if let Err(error) = self.leave().await {
            self.fail(&error).await;
        }
        self.go_on(false).await
    }

    async fn next(&mut self) -> Event {
        let drains = matches!(self.wait, Wait::Uploads | Wait::Documents | Wait::Rest);
        let drained = self.pipeline.queue();
        tokio::select! {
            biased;
            happened = self.pipeline.next() => Event::Pipeline(Box::new(happened)),
            () = drained.drained(), if drains => Event::Drained,
            due = self.drain_wait.next() => Event::Due(due),
        }
    }

    async fn happened(&mut self, event: Event) -> Result<(), Ended> {
        let mut drained = false;
        let done = match event {
            Event::Pipeline(happened) => self.pipeline.handle(*happened).await,
            // An object counts as drained only after its report was sent.
            Event::Drained => match self.pipeline.waiting_report() {
                Some(report) => self.pipeline.uploaded(report).await,
                None => {
                    drained = true;
                    Ok(())
                }
            },
            Event::Due(due) => {
                self.drain_wait.tend(due, &mut self.pipeline, &self.presence).await;
                Ok(())
            }
        };
        match done {
            Ok(()) => {}
            Err(error) if self.wait == Wait::Rest => {
                tracing::error!(sid = %self.pipeline.context().plan.sid, "{error}")
            }
            Err(error) => self.fail(&error).await,
        }
        self.go_on(drained).await
    }

    fn update_credentials(&mut self, bucket: Bucket) {
        self.pipeline.use_bucket(bucket);
    }

    fn hand_over(&mut self) -> Result<(), Ended> {
        Err(Ended::HandedOver)
    }
}

impl Ending {
    /// Begins the end of a recording whose core was told to finish.
    pub(super) fn new(pipeline: Pipeline, presence: Presence, cause: Cause) -> Self {
        let drain_wait = DrainWait::new(pipeline.context().upload_patience);
        Self { pipeline, presence, cause, drain_wait, wait: Wait::Media }
    }

    /// What is left then; none where the next run of the worker ends it.
    pub(super) async fn finish(mut self, ended: Ended) -> Option<LastLog> {
        let Ended::At(place) = ended else {
            self.pipeline.context().settle().await;
            return None;
        };
        self.conclude(place).await;
        let context = self.pipeline.context();
        context.journal.retire(&context.plan.sid);
        let (context, uploads, watch, event_dedup) = self.pipeline.into_log_parts();
        Some(LastLog::new(context, uploads, watch, event_dedup))
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

    /// Goes on with the next wait, as soon as the one before is over; `drained`: nothing that was handed over is on its way.
    async fn go_on(&mut self, mut drained: bool) -> Result<(), Ended> {
        loop {
            let next = match self.wait {
                Wait::Media if self.pipeline.is_complete() || self.pipeline.is_backed_up() => Ok(Some(Wait::Files)),
                Wait::Files => self.end_files().await,
                Wait::Uploads if drained => self.upload_documents().await.map(Some),
                Wait::Documents if self.pipeline.is_backed_up() => return Err(Ended::At(Whereabouts::Away)),
                Wait::Documents if drained => return Err(Ended::At(Whereabouts::Home)),
                Wait::Rest if drained => return Err(Ended::At(Whereabouts::Broken)),
                Wait::Media | Wait::Uploads | Wait::Documents | Wait::Rest => Ok(None),
            };
            match next {
                Ok(Some(wait)) => (self.wait, drained) = (wait, false),
                Ok(None) => return Ok(()),
                Err(error) => {
                    self.fail(&error).await;
                    drained = false;
                }
            }
        }
    }

    /// Whole files are made of what the bucket has: none is left to be made, or one is being made.
    async fn end_files(&mut self) -> Result<Option<Wait>, SpoolError> {
        if self.pipeline.make_last_files().await {
            return Ok(None);
        }
        if self.pipeline.is_complete() { Ok(Some(Wait::Uploads)) } else { self.upload_documents().await.map(Some) }
    }

    /// Hands over manifest and event log, behind what they name.
    async fn upload_documents(&mut self) -> Result<Wait, SpoolError> {
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
        Ok(Wait::Documents)
    }

    /// Says that something could not be kept.
    async fn fail(&mut self, error: &SpoolError) {
        self.wait = Wait::Rest;
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
