//! How a recording ends: nothing more is recorded, the rest is uploaded, the last words are said.
//!
//! Order of the news: (1) 41, 33 complete, 31, 11. Each is committed before it is sent; the state that callers see changes after
//! the commit.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

use super::live::Desk;
use super::presence::Presence;
use super::works::Works;
use super::{Report, State};
use crate::callback::event::{self, ErrorLevel, ExitStatus, LeaveCode, Module, PROGRESS_COMPLETE, UploadedFile};
use crate::callback::log_line;
use crate::channel::{EndReason, JoinError};
use crate::codec::names::{events_name, manifest_name};
use crate::storage::{SpoolError, UploadReport};
use crate::store::{NewEvent, Sealed, SessionState, SessionUpdate};

/// How long a recording that is over waits for its bucket.
const UPLOAD_PATIENCE: Duration = Duration::from_secs(24 * 3600);
/// How long the event log with its last lines may take; everything else is in the bucket by then.
const LAST_LOG_PATIENCE: Duration = Duration::from_secs(60);
/// The number of the event that says that the bot left.
const LEFT: u16 = 41;
/// Events read from the store in one go.
const LOG_PAGE: u32 = 1000;

/// The vendor's codes (facts/agora.md sections 3 and 5.1).
const WRONG_TOKEN: u32 = 110;
const UPLOAD_TIMEOUT: u32 = 50;
const FILE_OPERATION: u32 = 51;
const START_TIMEOUT: u32 = 52;

/// Why a recording is over.
#[derive(Debug)]
pub(super) enum Cause {
    /// It was told to, or nobody was there.
    Left(LeaveCode),
    /// The channel ended it.
    Channel(EndReason),
    /// The spool failed.
    Broken(SpoolError),
    /// The worker died in the middle and came back.
    WorkerRestarted,
}

impl From<SpoolError> for Cause {
    fn from(error: SpoolError) -> Self {
        Self::Broken(error)
    }
}

impl Cause {
    fn leave_code(&self) -> LeaveCode {
        match self {
            Self::Left(code) => *code,
            Self::Channel(EndReason::ChannelClosed) => LeaveCode::Idle,
            Self::Channel(_) | Self::Broken(_) | Self::WorkerRestarted => LeaveCode::Interrupted,
        }
    }

    /// What went wrong, if anything did: event 1 and the words for people.
    fn failure(&self) -> Option<(NewEvent, String)> {
        let (module, code, text) = match self {
            Self::Left(_) | Self::Channel(EndReason::ChannelClosed) => return None,
            Self::Channel(reason) => (Module::Recorder, START_TIMEOUT, reason.to_string()),
            Self::Broken(error) => (Module::Uploader, FILE_OPERATION, error.to_string()),
            Self::WorkerRestarted => {
                let text = "the worker stopped in the middle of the recording; what it had received is kept".to_owned();
                (Module::Platform, START_TIMEOUT, text)
            }
        };
        Some((event::error(module, ErrorLevel::Fatal, code, &text), text))
    }
}

/// Ends a recording whose core was told to finish.
pub(super) async fn end(
    mut works: Works,
    mut confirmations: mpsc::Receiver<UploadReport>,
    presence: &Presence,
    cause: Cause,
) {
    let failure = cause.failure();
    works.note(|report| {
        report.state = State::Stopping;
        report.failure = failure.as_ref().map(|(_, text)| text.clone());
    });
    let shipped = works.ship().await;
    let mut news: Vec<NewEvent> = failure.iter().map(|(event, _)| event.clone()).collect();
    if !works.told_before(LEFT) {
        news.push(event::recorder_leave(cause.leave_code()));
    }
    let update = SessionUpdate { state: Some(SessionState::Stopping), ..SessionUpdate::default() };
    works.tell(update, news).await;
    let stored = match shipped {
        Ok(()) => upload_rest(&mut works, &mut confirmations, presence).await,
        Err(error) => Err(error),
    };
    let state = if failure.is_none() && matches!(stored, Ok(true)) { State::Ended } else { State::Failed };
    conclude(&works, state, stored).await;
    last_log(&mut works, &mut confirmations).await;
    let sid = works.desk().plan.sid.clone();
    works.desk().journal.retire(&sid);
    if let Err(error) = works.close().await {
        tracing::warn!(%sid, "the spool keeps what it could not upload: {error}");
    }
}

/// A stop came before the bot was in the channel.
pub(super) async fn called_off(desk: Desk, code: LeaveCode) {
    over(desk, State::Ended, None, vec![event::recorder_leave(code), event::session_exit(ExitStatus::Normal)]).await;
}

/// The bot did not get into the channel.
pub(super) async fn never_entered(desk: Desk, error: &JoinError) {
    let code = if matches!(error, JoinError::Refused(_)) { WRONG_TOKEN } else { START_TIMEOUT };
    let text = error.to_string();
    let said = event::error(Module::Recorder, ErrorLevel::Fatal, code, &text);
    over(desk, State::Failed, Some(text), vec![said, event::session_exit(ExitStatus::Abnormal)]).await;
}

/// The worker died in the middle, and what it had received can't be read back.
pub(super) async fn lost(desk: Desk) {
    let (said, text) = Cause::WorkerRestarted.failure().expect("a restart is a failure");
    over(desk, State::Failed, Some(text), vec![said, event::session_exit(ExitStatus::Abnormal)]).await;
}

/// Writes the end of a recording that holds nothing.
async fn over(desk: Desk, state: State, failure: Option<String>, news: Vec<NewEvent>) {
    let mut report = desk.report.borrow().clone();
    (report.state, report.failure, report.ended) = (state, failure, Some((desk.clock)()));
    desk.meters.recording_ended(state.word());
    desk.scribe.record(final_update(&report), news).await;
    desk.scribe.flush().await;
    desk.report.send_replace(report);
    if let Err(error) = desk.spool.close().await {
        tracing::warn!(sid = %desk.plan.sid, "an empty spool stays behind: {error}");
    }
}

/// Waits until the bucket holds everything, manifest and event log included. False when it took too long.
async fn upload_rest(
    works: &mut Works,
    confirmations: &mut mpsc::Receiver<UploadReport>,
    presence: &Presence,
) -> Result<bool, SpoolError> {
    let deadline = Instant::now() + UPLOAD_PATIENCE;
    while !works.is_complete() {
        let Ok(Some(news)) = timeout_at(deadline, confirmations.recv()).await else { return Ok(false) };
        works.uploaded(news).await?;
    }
    let plan = works.desk().plan.clone();
    let (manifest_name, events_name) = (manifest_name(&plan.sid, &plan.cname), events_name(&plan.sid, &plan.cname));
    works.upload_document(&manifest_name, works.manifest(presence)).await?;
    let log = event_log(works.desk()).await;
    works.upload_document(&events_name, log).await?;
    while !(works.is_stored(&manifest_name) && works.is_stored(&events_name) && works.is_settled()) {
        let Ok(Some(news)) = timeout_at(deadline, confirmations.recv()).await else { return Ok(false) };
        works.uploaded(news).await?;
    }
    Ok(true)
}

/// Says the last words and makes the state final.
async fn conclude(works: &Works, state: State, stored: Result<bool, SpoolError>) {
    let desk = works.desk();
    let mut report = works.report();
    let mut news = Vec::new();
    match stored {
        Ok(true) => {
            let files = report.files.iter().filter(|file| file.playable).map(|file| UploadedFile {
                file_name: file.key.clone(),
                playlist: file.playlist.clone(),
                slice_start: works.start(),
            });
            let files: Vec<_> = files.collect();
            news.push(event::uploading_progress(PROGRESS_COMPLETE));
            news.push(event::uploaded(&files).with("verdict", serde_json::json!(report.verdict())));
        }
        Ok(false) => {
            let text = "the bucket did not take everything in time";
            news.push(event::error(Module::Platform, ErrorLevel::Fatal, UPLOAD_TIMEOUT, text));
            report.failure.get_or_insert_with(|| text.to_owned());
        }
        Err(error) => {
            let text = error.to_string();
            news.push(event::error(Module::Uploader, ErrorLevel::Fatal, FILE_OPERATION, &text));
            report.failure.get_or_insert(text);
        }
    }
    let exit = if state == State::Ended { ExitStatus::Normal } else { ExitStatus::Abnormal };
    news.push(event::session_exit(exit).with("verdict", serde_json::json!(report.verdict())));
    (report.state, report.ended) = (state, Some((desk.clock)()));
    desk.meters.recording_ended(state.word());
    desk.scribe.record(final_update(&report), news).await;
    desk.scribe.flush().await;
    desk.report.send_replace(report);
}

/// The event log once more, now with its last lines.
async fn last_log(works: &mut Works, confirmations: &mut mpsc::Receiver<UploadReport>) {
    let name = events_name(&works.desk().plan.sid, &works.desk().plan.cname);
    if !works.is_stored(&name) {
        return;
    }
    let log = event_log(works.desk()).await;
    if works.upload_document(&name, log).await.is_err() {
        return;
    }
    let deadline = Instant::now() + LAST_LOG_PATIENCE;
    while !works.is_settled() {
        match timeout_at(deadline, confirmations.recv()).await {
            Ok(Some(_)) => {}
            _ => return,
        }
    }
}

/// The whole log as it is in the store.
async fn event_log(desk: &Desk) -> String {
    desk.scribe.flush().await;
    let (mut text, mut after) = (String::new(), None);
    loop {
        let page = match desk.store.events(&desk.plan.sid, after, LOG_PAGE).await {
            Ok(page) => page,
            Err(error) => {
                tracing::error!(sid = %desk.plan.sid, "the event log in the bucket is cut short: {error}");
                return text;
            }
        };
        let Some(last) = page.last() else { return text };
        after = Some(last.sequence);
        page.iter().for_each(|event| text.push_str(&log_line(event)));
    }
}

fn final_update(report: &Report) -> SessionUpdate {
    let state = if report.state == State::Ended { SessionState::Ended } else { SessionState::Failed };
    let summary = serde_json::to_value(report).expect("a report has string keys and finite numbers only");
    SessionUpdate { state: Some(state), ended: report.ended, summary: Some(summary), sealed: Sealed::Forget }
}
