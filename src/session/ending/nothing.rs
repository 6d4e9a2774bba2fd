//! Ends without a timeline: the bot never came in, or what was received can't be read back.

use super::cause::{ended_by, join_code};
use super::final_update;
use crate::callback::event::{ErrorCode, ErrorEvent, ErrorLevel, ExitStatus, LeaveCode, Module, RecordingEvent};
use crate::channel::JoinError;
use crate::session::command::HandedOver;
use crate::session::context::SessionContext;
use crate::session::event_dedup::EventDedup;
use crate::session::lines;
use crate::session::phase::Phase;
use crate::session::upload::UploadWatch;
use crate::session::uploaded::{Uploaded, Uploads};
use crate::session::{EndedBy, State};
use crate::storage::{Bucket, UploadReport};
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
pub(in crate::session) struct LostJournal {
    context: SessionContext,
    uploads: Uploads,
    watch: UploadWatch,
}

/// What is known of it.
const LOST: &str = "the worker stopped, and its journal of this recording is missing or damaged; what the spool held is uploaded, \
                    later sound is lost";

/// What happens until its bucket has it.
pub(in crate::session) enum Event {
    Uploaded(UploadReport),
    /// Nothing is on its way any more.
    Drained,
}

impl Phase for LostJournal {
    type Event = Event;
    /// Whether this run of the worker ends it.
    type Exit = Result<(), HandedOver>;

    async fn enter(&mut self) -> Result<(), Self::Exit> {
        let context = &self.context;
        context.report.send_modify(|report| {
            (report.state, report.failure) = (State::Stopping, Some(LOST.to_owned()));
        });
        let mut event_dedup = EventDedup::load(&context.store, &context.plan.sid).await.unwrap_or_default();
        let said = ErrorEvent::new(Module::Platform, ErrorLevel::Fatal, ErrorCode::FileOperation, LOST);
        let said = RecordingEvent::Error(said);
        let events = if event_dedup.is_new(&said) { vec![said] } else { Vec::new() };
        let update = SessionUpdate {
            state: Some(SessionState::Stopping),
            summary: Some(context.summary()),
            ..SessionUpdate::default()
        };
        context.event_writer.record(update, events).await;
        Ok(())
    }

    async fn next(&mut self) -> Event {
        let (queue, reports) = &mut self.uploads;
        tokio::select! {
            biased;
            Some(report) = reports.recv() => Event::Uploaded(report),
            () = queue.drained() => Event::Drained,
        }
    }

    async fn happened(&mut self, event: Event) -> Result<(), Self::Exit> {
        let Event::Uploaded(report) = event else { return Err(Ok(())) };
        let (queue, _) = &self.uploads;
        if let Uploaded::Taken { object, .. } = self.watch.take(report, &self.context, &queue.progress()) {
            queue.let_go(object);
        }
        Ok(())
    }

    fn update_credentials(&mut self, bucket: Bucket) {
        self.uploads.0.use_bucket(bucket);
    }

    fn hand_over(&mut self) -> Result<(), Self::Exit> {
        Err(Err(HandedOver))
    }
}

impl LostJournal {
    /// A recording without its journal; what the spool holds is on its way.
    pub(in crate::session) fn new(context: SessionContext, uploads: Uploads) -> Self {
        Self { context, uploads, watch: UploadWatch::default() }
    }

    /// Says that later sound is lost, unless the next run of the worker does.
    pub(in crate::session) async fn finish(self, exit: Result<(), HandedOver>) {
        let Self { context, uploads, .. } = self;
        if exit.is_err() {
            return context.settle().await;
        }
        drop(uploads);
        over(context, State::Failed, Some(LOST.to_owned()), EndedBy::JournalLost, Vec::new()).await;
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
