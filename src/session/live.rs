//! One recording's task, from the first join to the end.
//!
//! The task owns everything of its session, so a session that fails harms no other.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;

use super::backup::BackupTarget;
use super::ending;
use super::event_writer::EventWriter;
use super::input_log::InputLog;
use super::lines;
use super::pipeline::Pipeline;
use super::plan::Plan;
use super::running::Running;
use super::stall::StallWatch;
use super::timebase::Timebase;
use super::{Report, State, WallClock};
use crate::callback::event::{LeaveCode, RecordingEvent, StatusReason};
use crate::channel::{Channel, ChannelHandle, JoinError, JoinRequest};
use crate::codec::names::manifest_name;
use crate::codec::whole::Roll;
use crate::metrics::Metrics;
use crate::recording::Selection;
use crate::storage::journal::Record;
use crate::storage::{Bucket, SessionSpool, UploadQueue, UploadReport, journal};
use crate::store::{SessionState, SessionUpdate, Store};

/// How long the first join may take.
pub(super) const JOIN_TIMEOUT: Duration = Duration::from_secs(15);
/// Commands that may wait for a session.
pub(super) const MAX_COMMANDS: usize = 16;

/// What a session can be told while it runs.
#[derive(Debug)]
pub(super) enum Command {
    /// Leave and end; why.
    Stop(LeaveCode),
    /// Record these from here on.
    Select(Selection),
    /// Write with the credentials of this handle from here on.
    Rekey(Bucket),
    /// Bring the report up to now, and say so.
    Look(oneshot::Sender<()>),
    /// A call was refused because of this recording; why, as a word.
    Misfit(&'static str),
    /// Leave and end nothing: the next run of the worker goes on with it.
    HandOver,
}

/// What a recording has from its acceptance to its end.
pub(super) struct SessionContext {
    pub(super) plan: Plan,
    pub(super) store: Store,
    pub(super) event_writer: EventWriter,
    pub(super) clock: WallClock,
    pub(super) report: watch::Sender<Report>,
    pub(super) spool: SessionSpool,
    pub(super) journal: journal::Writer,
    pub(super) metrics: Metrics,
    pub(super) stalls: StallWatch,
    /// The app's second bucket.
    pub(super) backup: Option<BackupTarget>,
    /// How long a recording that is over waits for its bucket before that is said.
    pub(super) upload_patience: Duration,
    /// How long whole files are.
    pub(super) roll: Roll,
}

impl SessionContext {
    /// What is known now, for the row in the store.
    pub(super) fn summary(&self) -> serde_json::Value {
        serde_json::to_value(&*self.report.borrow()).expect("a report has string keys and finite numbers only")
    }

    /// The bucket confirmed an object: where it is the manifest, this is the text that the digest has to cover.
    pub(super) fn manifest_confirmed(&self, name: &str, sha256: &str) {
        if name == manifest_name(&self.plan.sid, &self.plan.cname) {
            self.report.send_modify(|report| report.manifest_sha256 = Some(sha256.to_owned()));
        }
    }

    /// Makes everything that was told to journal and log durable, so that another run of the worker can go on.
    pub(super) async fn settle(&self) {
        if let Err(error) = self.journal.flush().await {
            tracing::error!(sid = %self.plan.sid, "the journal may lack the last second of this recording: {error}");
        }
        self.event_writer.flush().await;
    }
}

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
pub(super) struct Accepted {
    pub(super) context: SessionContext,
    pub(super) uploads: (UploadQueue, mpsc::Receiver<UploadReport>),
    pub(super) input_log: InputLog,
    pub(super) commands: mpsc::Receiver<Command>,
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

impl Accepted {
    /// Lives the recording. `entered` learns whether the bot got into the channel, once the log says so.
    pub(super) async fn run(mut self, channel: Arc<dyn Channel>, entered: oneshot::Sender<Result<(), JoinError>>) {
        let event_writer = self.context.event_writer.clone();
        match self.join(channel.as_ref()).await {
            Joined::In(handle) => {
                let running = self.begin(handle).await;
                tokio::spawn(async move {
                    event_writer.flush().await;
                    // The caller of start may have stopped waiting; query tells it.
                    let _gone = entered.send(Ok(()));
                });
                running.run().await;
            }
            Joined::CalledOff(code) => ending::called_off(self.context, code).await,
            Joined::HandedOver => self.context.settle().await,
            Joined::Failed(error) => {
                ending::never_entered(self.context, &error).await;
                let _gone = entered.send(Err(error));
            }
        }
    }

    /// The bot's way in.
    async fn join(&mut self, channel: &dyn Channel) -> Joined {
        let join = timeout(JOIN_TIMEOUT, channel.join(join_request(&self.context.plan)));
        tokio::pin!(join);
        let mut selection = None;
        loop {
            tokio::select! {
                joined = &mut join => return match joined {
                    Ok(Ok(handle)) => {
                        if let Some(selection) = selection {
                            handle.selection.send_replace(selection);
                        }
                        Joined::In(handle)
                    }
                    Ok(Err(error)) => Joined::Failed(error),
                    Err(_) => Joined::Failed(JoinError::Unreachable("no answer in time".into())),
                },
                command = self.commands.recv() => match command {
                    Some(Command::Select(changed)) => {
                        self.context.plan.selection = changed.clone();
                        selection = Some(changed);
                    }
                    Some(Command::Rekey(bucket)) => self.uploads.0.use_bucket(bucket),
                    // The report is as true as it can be: nothing is recorded yet.
                    Some(Command::Look(_) | Command::Misfit(_)) => {}
                    Some(Command::Stop(code)) => return Joined::CalledOff(code),
                    Some(Command::HandOver) => return Joined::HandedOver,
                    None => return Joined::CalledOff(LeaveCode::Interrupted),
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
        let mut pipeline = Pipeline::new(context, spec, queue);
        begun(&mut pipeline).await;
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
