//! Ends without a timeline: the bot never came in, or what was received can't be read back.

use tokio::sync::mpsc;

use super::cause::{ended_by, join_code};
use super::final_update;
use crate::callback::event::{ErrorCode, ErrorEvent, ErrorLevel, ExitStatus, LeaveCode, Module, RecordingEvent};
use crate::channel::JoinError;
use crate::session::lines;
use crate::session::live::{Command, Desk};
use crate::session::told::Told;
use crate::session::{EndedBy, State};
use crate::storage::{UploadQueue, UploadReport};
use crate::store::{Sealed, SessionState, SessionUpdate};

/// A stop came before the bot was in the channel.
pub(in crate::session) async fn called_off(desk: Desk, code: LeaveCode) {
    over(desk, State::Ended, None, ended_by(code), vec![RecordingEvent::RecorderLeave(code)]).await;
}

/// The bot did not get into the channel.
pub(in crate::session) async fn never_entered(desk: Desk, error: &JoinError) {
    let text = error.to_string();
    let said = ErrorEvent::new(Module::Recorder, ErrorLevel::Fatal, join_code(error), &text);
    over(desk, State::Failed, Some(text), EndedBy::JoinFailed, vec![RecordingEvent::Error(said)]).await;
}

/// The worker died in the middle, and what it had received can't be read back: what the spool holds is all that there is.
pub(in crate::session) async fn lost(
    desk: Desk,
    queue: UploadQueue,
    mut confirmations: mpsc::Receiver<UploadReport>,
    mut commands: mpsc::Receiver<Command>,
) {
    let text = "the worker stopped, and its journal of this recording is missing or damaged; what the spool held is uploaded, \
                later sound is lost";
    desk.report.send_modify(|report| {
        (report.state, report.failure) = (State::Stopping, Some(text.to_owned()));
    });
    let mut told = Told::load(&desk.store, &desk.plan.sid).await.unwrap_or_default();
    let said = ErrorEvent::new(Module::Platform, ErrorLevel::Fatal, ErrorCode::FileOperation, text);
    let said = RecordingEvent::Error(said);
    let news = if told.is_news(&said) { vec![said] } else { Vec::new() };
    let update = SessionUpdate {
        state: Some(SessionState::Stopping),
        summary: Some(desk.summary()),
        ..SessionUpdate::default()
    };
    desk.scribe.record(update, news).await;
    loop {
        tokio::select! {
            () = queue.drained() => break,
            Some(news) = confirmations.recv() => if let UploadReport::Taken { object, .. } = news {
                queue.let_go(object);
            },
            Some(command) = commands.recv() => match command {
                Command::Rekey(bucket) => queue.use_bucket(bucket),
                Command::HandOver => return desk.settle().await,
                Command::Stop(_) | Command::Select(_) | Command::Look(_) | Command::Misfit(_) => {}
            },
        }
    }
    drop(queue);
    over(desk, State::Failed, Some(text.to_owned()), EndedBy::JournalLost, Vec::new()).await;
}

/// Writes the end of a recording whose spool is empty.
async fn over(desk: Desk, state: State, failure: Option<String>, why: EndedBy, mut news: Vec<RecordingEvent>) {
    let mut report = desk.report.borrow().clone();
    (report.state, report.failure, report.ended) = (state, failure, Some((desk.clock)()));
    (report.idle, report.ended_by) = (None, report.ended_by.or(Some(why)));
    let status = if state == State::Ended { ExitStatus::Normal } else { ExitStatus::Abnormal };
    let end_reason = report.ended_by.map(EndedBy::word);
    news.push(RecordingEvent::SessionExit { status, verdict: None, end_reason });
    desk.meters.recording_ended(state.word());
    desk.scribe.record(final_update(&report, Sealed::Forget), news).await;
    desk.scribe.flush().await;
    desk.journal.retire(&desk.plan.sid);
    lines::ended(&desk.plan, &report);
    desk.report.send_replace(report);
    if let Err(error) = desk.spool.close().await {
        tracing::warn!(sid = %desk.plan.sid, "an empty spool stays behind: {error}");
    }
}
