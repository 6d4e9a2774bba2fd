//! A recording that is accepted, until its bot is in the channel.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::State;
use super::context::SessionContext;
use super::ending;
use super::input_log::InputLog;
use super::lines;
use super::phase::Phase;
use super::pipeline::Pipeline;
use super::plan::Plan;
use super::running::Running;
use super::timebase::Timebase;
use super::uploaded::Uploads;
use crate::callback::event::{LeaveCode, RecordingEvent, StatusReason};
use crate::channel::{Channel, ChannelHandle, JoinError, JoinRequest};
use crate::recording::Selection;
use crate::storage::Bucket;
use crate::storage::journal::Record;
use crate::store::{SessionState, SessionUpdate};

/// How long the first join may take.
const JOIN_TIMEOUT: Duration = Duration::from_secs(15);

/// The bot's request to be let in.
pub(super) fn join_request(plan: &Plan) -> JoinRequest {
    JoinRequest {
        cname: plan.cname.clone(),
        sid: plan.sid.clone(),
        selection: plan.selection.clone(),
        patience: JOIN_TIMEOUT,
        idle: plan.idle.after,
    }
}

/// An attempt to join.
pub(super) type Attempt = BoxFuture<'static, Result<ChannelHandle, JoinError>>;

/// Sends the bot to the door.
pub(super) fn join(channel: &Arc<dyn Channel>, request: JoinRequest) -> Attempt {
    let channel = Arc::clone(channel);
    let attempt =
        async move { timeout(JOIN_TIMEOUT, channel.join(request)).await.unwrap_or_else(|_| Err(no_answer())) };
    attempt.boxed()
}

/// The channel did not answer.
pub(super) fn no_answer() -> JoinError {
    JoinError::Unreachable("no answer in time".into())
}

/// An accepted recording whose bot is not in the channel yet. Nothing is recorded, so its report is as true as it can be.
pub(super) struct Joining {
    context: SessionContext,
    uploads: Uploads,
    input_log: InputLog,
    attempt: Attempt,
    /// Learns whether the bot got into the channel, once the log says so.
    entered: oneshot::Sender<Result<(), JoinError>>,
    /// Who is recorded, where that was changed.
    selection: Option<Selection>,
}

/// What came of a join.
pub(super) enum Joined {
    In(ChannelHandle),
    /// A stop came first.
    CalledOff(LeaveCode),
    /// The next run of the worker tries it.
    HandedOver,
    Failed(JoinError),
}

impl Phase for Joining {
    type Event = Result<ChannelHandle, JoinError>;
    type Exit = Joined;

    async fn next(&mut self) -> Self::Event {
        (&mut self.attempt).await
    }

    async fn happened(&mut self, joined: Self::Event) -> Result<(), Joined> {
        Err(joined.map_or_else(Joined::Failed, Joined::In))
    }

    fn update_credentials(&mut self, bucket: Bucket) {
        self.uploads.0.use_bucket(bucket);
    }

    fn hand_over(&mut self) -> Result<(), Joined> {
        Err(Joined::HandedOver)
    }

    fn abandoned(&mut self) -> Result<(), Joined> {
        self.stop(LeaveCode::Interrupted)
    }

    fn stop(&mut self, code: LeaveCode) -> Result<(), Joined> {
        Err(Joined::CalledOff(code))
    }

    fn select(&mut self, selection: Selection) {
        self.selection = Some(selection);
    }
}

impl Joining {
    /// Sends the bot off. `entered` learns whether it got into the channel, once the log says so.
    pub(super) fn new(
        context: SessionContext,
        uploads: Uploads,
        input_log: InputLog,
        channel: &Arc<dyn Channel>,
        entered: oneshot::Sender<Result<(), JoinError>>,
    ) -> Self {
        let attempt = join(channel, join_request(&context.plan));
        Self { context, uploads, input_log, attempt, entered, selection: None }
    }

    /// What follows; none where nothing is recorded.
    pub(super) async fn finish(self, joined: Joined) -> Option<Running> {
        match joined {
            Joined::In(handle) => return Some(self.begin(handle).await),
            Joined::CalledOff(code) => ending::called_off(self.context, code).await,
            Joined::HandedOver => self.context.settle().await,
            Joined::Failed(error) => {
                ending::never_entered(self.context, &error).await;
                let _gone = self.entered.send(Err(error));
            }
        }
        None
    }

    /// The bot is in: this is tick 0. The journal says so before the store does, so that a recording that the store knows is
    /// never without its beginning.
    async fn begin(self, handle: ChannelHandle) -> Running {
        let Self { mut context, uploads, mut input_log, entered, selection, .. } = self;
        if let Some(selection) = selection {
            handle.selection.send_replace(selection.clone());
            context.plan.selection = selection;
        }
        let timebase = Timebase::begin();
        let start = (context.clock)();
        let spec = context.plan.spec(start);
        input_log.append(&Record::Started { spec: spec.clone() });
        if let Err(error) = context.journal.flush().await {
            tracing::error!(sid = %context.plan.sid, "a crash would lose this recording: {error}");
        }
        let (event_writer, tasks) = (context.event_writer.clone(), context.tasks.clone());
        let mut pipeline = Pipeline::new(context, spec, uploads);
        begun(&mut pipeline).await;
        tasks.spawn(async move {
            event_writer.flush().await;
            // The caller of start may have stopped waiting; query tells it.
            let _gone = entered.send(Ok(()));
        });
        Running::new(pipeline, handle, input_log, timebase)
    }
}

/// The bot is in the channel: row, log and report say so.
pub(super) async fn begun(pipeline: &mut Pipeline) {
    let (state, started) = (State::Recording, Some(pipeline.start()));
    pipeline.note(|report| (report.state, report.started) = (state, started));
    let summary = Some(pipeline.context().summary());
    lines::started(&pipeline.context().plan);
    let events = first_events(&pipeline.context().plan);
    let update = SessionUpdate { state: Some(SessionState::Recording), summary, ..SessionUpdate::default() };
    pipeline.emit(update, events).await;
}

/// Events 40 and 30, and 3 where the recording is not all that was asked for.
fn first_events(plan: &Plan) -> Vec<RecordingEvent> {
    let mut events = vec![RecordingEvent::RecorderStarted, RecordingEvent::UploaderStarted];
    if !plan.notes.is_empty() {
        let why = StatusReason::Notes(plan.notes.iter().map(|note| note.text()).collect());
        let file_list = plan.report().files.first().map_or_else(String::new, |file| file.key.clone());
        let (status, mode) = (State::Recording.status(), plan.mode);
        events.push(RecordingEvent::StatusUpdate { status, mode, file_list, why });
    }
    events
}
