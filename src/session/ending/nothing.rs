//! Ends without a timeline: the bot never came in, or what was received can't be read back.

use tokio::sync::mpsc;

use super::cause::{ended_by, join_code};
use super::final_update;
use crate::callback::event::{ErrorCode, ErrorEvent, ErrorLevel, ExitStatus, LeaveCode, Module, RecordingEvent};
use crate::channel::JoinError;
use crate::session::command::{Command, HandedOver, HandleCommand};
use crate::session::context::SessionContext;
use crate::session::event_dedup::EventDedup;
use crate::session::lines;
use crate::session::{EndedBy, State};
use crate::storage::{Bucket, UploadQueue, UploadReport};
use crate::store::{Sealed, SessionState, SessionUpdate};

/// A stop came before the bot was in the channel.
pub(in crate::session) async fn called_off(context: SessionContext, code: LeaveCode) {
    over(context, State::Ended, None, ended_by(code), vec![RecordingEvent::RecorderLeave(code)]).await;
}

/// The bot did not get into the channel.
pub(in crate::session) async fn never_entered(context: SessionContext, error: &JoinError) {
    let text = error.to_string();
    let said = ErrorEvent::new(Module::Recorder, ErrorLevel::Fatal, join_code(error), &text);
    over(context, State::Failed, Some(text), EndedBy::JoinFailed, vec![RecordingEvent::Error(said)]).await;
}

/// The worker died in the middle, and what it had received can't be read back: what the spool holds is all that there is.
pub(in crate::session) async fn lost(
    context: SessionContext,
    queue: UploadQueue,
    mut confirmations: mpsc::Receiver<UploadReport>,
    mut commands: mpsc::Receiver<Command>,
) {
    let text = "the worker stopped, and its journal of this recording is missing or damaged; what the spool held is uploaded, \
                later sound is lost";
    context.report.send_modify(|report| {
        (report.state, report.failure) = (State::Stopping, Some(text.to_owned()));
    });
    let mut event_dedup = EventDedup::load(&context.store, &context.plan.sid).await.unwrap_or_default();
    let said = ErrorEvent::new(Module::Platform, ErrorLevel::Fatal, ErrorCode::FileOperation, text);
    let said = RecordingEvent::Error(said);
    let events = if event_dedup.is_new(&said) { vec![said] } else { Vec::new() };
    let update = SessionUpdate {
        state: Some(SessionState::Stopping),
        summary: Some(context.summary()),
        ..SessionUpdate::default()
    };
    context.event_writer.record(update, events).await;
    loop {
        tokio::select! {
            () = queue.drained() => break,
            Some(events) = confirmations.recv() => if let UploadReport::Taken { object, .. } = events {
                queue.let_go(object);
            },
            Some(command) = commands.recv() => if Waiting(&queue).handle(Some(command)).await.is_err() {
                return context.settle().await;
            },
        }
    }
    drop(queue);
    over(context, State::Failed, Some(text.to_owned()), EndedBy::JournalLost, Vec::new()).await;
}

/// A recording that is lost but for what waits for its bucket.
struct Waiting<'a>(&'a UploadQueue);

impl HandleCommand for Waiting<'_> {
    type Exit = HandedOver;

    fn update_credentials(&mut self, bucket: Bucket) {
        self.0.use_bucket(bucket);
    }

    fn hand_over(&mut self) -> Result<(), HandedOver> {
        Err(HandedOver)
    }

    fn abandoned(&mut self) -> Result<(), HandedOver> {
        Ok(())
    }
}

/// Writes the end of a recording whose spool is empty.
async fn over(
    context: SessionContext,
    state: State,
    failure: Option<String>,
    why: EndedBy,
    mut events: Vec<RecordingEvent>,
) {
    let mut report = context.report.borrow().clone();
    (report.state, report.failure, report.ended) = (state, failure, Some((context.clock)()));
    (report.idle, report.ended_by) = (None, report.ended_by.or(Some(why)));
    let status = if state == State::Ended { ExitStatus::Normal } else { ExitStatus::Abnormal };
    let end_reason = report.ended_by.map(EndedBy::word);
    events.push(RecordingEvent::SessionExit { status, verdict: None, end_reason });
    context.metrics.recording_ended(state.word());
    context.event_writer.record(final_update(&report, Sealed::Forget), events).await;
    context.event_writer.flush().await;
    context.journal.retire(&context.plan.sid);
    lines::ended(&context.plan, &report);
    context.report.send_replace(report);
    if let Err(error) = context.spool.close().await {
        tracing::warn!(sid = %context.plan.sid, "an empty spool stays behind: {error}");
    }
}
