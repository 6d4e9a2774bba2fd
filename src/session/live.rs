//! A recording that is accepted, until its bot is in the channel.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use super::State;
use super::command::{Command, HandleCommand};
use super::context::SessionContext;
use super::ending;
use super::input_log::InputLog;
use super::lines;
use super::pipeline::Pipeline;
use super::plan::Plan;
use super::running::Running;
use super::timebase::Timebase;
use crate::callback::event::{LeaveCode, RecordingEvent, StatusReason};
use crate::channel::{Channel, ChannelHandle, JoinError, JoinRequest};
use crate::recording::Selection;
use crate::storage::journal::Record;
use crate::storage::{Bucket, UploadQueue, UploadReport};
use crate::store::{SessionState, SessionUpdate};

/// How long the first join may take.
pub(super) const JOIN_TIMEOUT: Duration = Duration::from_secs(15);

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

/// An accepted recording whose bot is not in the channel yet.
pub(super) struct Joining {
    pub(super) context: SessionContext,
    pub(super) uploads: (UploadQueue, mpsc::Receiver<UploadReport>),
    pub(super) input_log: InputLog,
    pub(super) commands: mpsc::Receiver<Command>,
    pub(super) channel: Arc<dyn Channel>,
    /// Learns whether the bot got into the channel, once the log says so.
    pub(super) entered: oneshot::Sender<Result<(), JoinError>>,
}

/// What came of a join.
enum Joined {
    In(ChannelHandle),
    /// A stop came first.
    CalledOff(LeaveCode),
    /// The next run of the worker tries it.
    HandedOver,
    Failed(JoinError),
}

/// What is wanted of a recording whose bot is on its way in. Nothing is recorded yet, so the report is as true as it can be.
struct Wishes<'a> {
    queue: &'a UploadQueue,
    selection: Option<Selection>,
}

impl HandleCommand for Wishes<'_> {
    type Exit = Joined;

    fn update_credentials(&mut self, bucket: Bucket) {
        self.queue.use_bucket(bucket);
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
    /// Waits for the bot to be in the channel; none where nothing is recorded.
    pub(super) async fn run(mut self) -> Option<Running> {
        match self.join().await {
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

    /// The bot's way in.
    async fn join(&mut self) -> Joined {
        let join = timeout(JOIN_TIMEOUT, self.channel.join(join_request(&self.context.plan)));
        tokio::pin!(join);
        let mut wishes = Wishes { queue: &self.uploads.0, selection: None };
        loop {
            tokio::select! {
                joined = &mut join => return match joined {
                    Ok(Ok(handle)) => {
                        if let Some(selection) = wishes.selection {
                            handle.selection.send_replace(selection.clone());
                            self.context.plan.selection = selection;
                        }
                        Joined::In(handle)
                    }
                    Ok(Err(error)) => Joined::Failed(error),
                    Err(_) => Joined::Failed(JoinError::Unreachable("no answer in time".into())),
                },
                command = self.commands.recv() => if let Err(joined) = wishes.handle(command).await {
                    return joined;
                },
            }
        }
    }

    /// The bot is in: this is tick 0. The journal says so before the store does, so that a recording that the store knows is
    /// never without its beginning.
    async fn begin(mut self, handle: ChannelHandle) -> Running {
        let timebase = Timebase::begin();
        let start = (self.context.clock)();
        let spec = self.context.plan.spec(start);
        self.input_log.append(&Record::Started { spec: spec.clone() });
        let context = self.context;
        if let Err(error) = context.journal.flush().await {
            tracing::error!(sid = %context.plan.sid, "a crash would lose this recording: {error}");
        }
        let (queue, confirmations) = self.uploads;
        let (event_writer, tasks, entered) = (context.event_writer.clone(), context.tasks.clone(), self.entered);
        let mut pipeline = Pipeline::new(context, spec, queue);
        begun(&mut pipeline).await;
        tasks.spawn(async move {
            event_writer.flush().await;
            // The caller of start may have stopped waiting; query tells it.
            let _gone = entered.send(Ok(()));
        });
        Running::new(pipeline, confirmations, handle, self.input_log, self.commands, timebase)
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
