//! A recording made again from its journal: the same inputs give the same bytes (invariant 6). What the bucket or the spool has is not
//! put again, what the log says is not said again.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use super::found::FoundSession;
use super::records::{Deliverable, Records};
use crate::callback::event::EventKey;
use crate::recording::{Input, Spec, TimedInput};
use crate::session::command::Commands;
use crate::session::context::SessionContext;
use crate::session::ending::{Cause, Ending, LostJournal};
use crate::session::inner::Inner;
use crate::session::input_log::InputLog;
use crate::session::live::begun;
use crate::session::pipeline::{CheckpointRead, Pipeline, Position};
use crate::session::plan::Plan;
use crate::session::presence::Presence;
use crate::session::running::{feed, finish};
use crate::session::uploaded::Uploads;
use crate::session::{IdleKind, Report, endpoint, sealed};
use crate::storage::journal::{Record, StoredObject};
use crate::storage::{Bucket, SpoolError};
use crate::units::{EventType, Ticks, WallMs};

/// Inputs taken in one go, between two looks at what the core has ready; few, so that bots on their way back are not held up.
const BATCH: usize = 64;
/// How long a recording waits for a bucket that can't be asked what it holds, where the journal may know less than it.
const BUCKET_TIMEOUT: Duration = Duration::from_secs(600);
/// How far apart two questions to it are.
const ASK_EVERY: Duration = Duration::from_secs(2);
/// Nothing that ends this much and a segment behind the journal's end can have been confirmed, if the worker died where the journal ends.
const UNKNOWN_AFTER: Duration = Duration::from_secs(4);
/// The event that says that the bot is in the channel.
const RECORDER_STARTED: EventKey = EventKey::Once(EventType::RecorderStarted);

/// A recording as its journal has it.
pub(in crate::session) struct Replayed {
    pub(super) pipeline: Pipeline,
    pub(super) presence: Presence,
    /// Arrival of the last input.
    pub(super) last: Ticks,
    /// When it was told to end, if it was.
    pub(super) finished: Option<Ticks>,
    /// Whether the way to the channel was broken at last.
    pub(super) down: bool,
    /// The end of what is known, where nobody knows who was being heard then.
    pub(super) nobody_since: Option<Ticks>,
    meanwhile: watch::Receiver<Meanwhile>,
    /// How often fresh credentials were taken.
    rekeyed: u64,
}

/// What happens while a journal is replayed, as far as the replay has to know.
#[derive(Clone, Debug, Default)]
pub(super) struct Meanwhile {
    /// Fresh credentials, and how often some came.
    bucket: Option<(Bucket, u64)>,
    /// No more can be held for the core: the replay has to come to its end.
    pub(super) full: bool,
    /// Nothing more is recorded: there is no hurry.
    pub(super) stopped: bool,
}

impl Meanwhile {
    /// Of a recording that was stopped before.
    pub(super) fn of_the_stopped() -> Self {
        Self { stopped: true, ..Self::default() }
    }

    /// Fresh credentials came.
    pub(super) fn update_credentials(&mut self, bucket: Bucket) {
        let before = self.bucket.as_ref().map_or(0, |(_, count)| *count);
        self.bucket = Some((bucket, before + 1));
    }
}

/// What a replay is made from, beside the journal.
pub(super) struct Source {
    inner: Arc<Inner>,
    plan: Plan,
    report: watch::Sender<Report>,
    sealed: Option<Vec<u8>>,
}

/// What came of a replay.
pub(in crate::session) enum Replay {
    Done(Box<Replayed>),
    /// Neither the journal nor the store knows when it began: nothing of it was recorded.
    LostJournal(Box<LostJournal>),
}

/// What a replay begins with.
enum Beginning {
    Spec(Spec),
    CheckpointRead(Box<CheckpointRead>),
    /// What the store knows; the journal does not have the beginning, and this may be the first record that it has.
    Known(Spec, Option<Record>),
}

/// Makes a recording again. An error says what keeps this worker from it.
pub(super) async fn replay(
    source: Source,
    mut records: Records,
    meanwhile: watch::Receiver<Meanwhile>,
) -> Result<Replay, String> {
    let confirmed = source.inner.backing.journal.stored(&source.plan.sid);
    let now = source.inner.now();
    let (context, uploads) = source.open()?;
    let known = |first| {
        let start = context.report.borrow().started;
        start.map(|start| Beginning::Known(context.plan.spec(start), first))
    };
    let begun = match records.next().await {
        Some(Ok(Record::Started { spec })) => Some(Beginning::Spec(spec)),
        Some(Ok(Record::Checkpoint { state, .. })) => match CheckpointRead::read(&state) {
            Ok(kept) => Some(Beginning::CheckpointRead(Box::new(kept))),
            Err(error) if error.is_foreign() => return Err(error.to_string()),
            Err(error) => {
                tracing::error!(sid = %context.plan.sid, "{error}");
                known(None)
            }
        },
        Some(Err(error)) => return Err(error.to_string()),
        Some(Ok(first)) => known(Some(first)),
        None => known(None),
    };
    let (pipeline, position, first) = match begun {
        Some(Beginning::Spec(spec)) => (Pipeline::new(context, spec, uploads), Position::default(), None),
        Some(Beginning::CheckpointRead(kept)) => {
            let (pipeline, position) = Pipeline::go_on(context, uploads, *kept);
            (pipeline, position, None)
        }
        Some(Beginning::Known(spec, first)) => {
            tracing::error!(sid = %spec.sid, "the journal does not have the beginning of this recording");
            (Pipeline::new(context, spec, uploads), Position::default(), Some(first))
        }
        None => {
            uploads.0.resume(context.spool.list().await.map_err(|error| error.to_string())?);
            return Ok(Replay::LostJournal(Box::new(LostJournal::new(context, uploads))));
        }
    };
    let Position { presence, last, finished, down } = position;
    let nobody_since = None;
    let mut replayed = Replayed { pipeline, presence, last, finished, down, nobody_since, meanwhile, rekeyed: 0 };
    let mut ended = replayed.begin(confirmed).await?;
    let lost = first.is_some();
    if lost || replayed.pipeline.needs_bucket() {
        ended = ended.or(replayed.wait_for_bucket().await?);
    }
    if let Some(first) = first {
        replayed.go_on_without_beginning(first);
    }
    ended = ended.or(replayed.run(&mut records).await?);
    if replayed.finished.is_none() && replayed.may_lack_its_end(now) {
        ended = ended.or(replayed.wait_for_bucket().await?);
    }
    replayed.finished = replayed.finished.or(ended);
    if replayed.finished.is_none() {
        replayed.nobody_since = replayed.pipeline.vouch_since(replayed.last, lost);
    }
    replayed.take_credentials();
    Ok(Replay::Done(Box::new(replayed)))
}

impl Source {
    /// What the store knows of a recording, and who commands it.
    pub(super) fn of(inner: &Arc<Inner>, found: FoundSession) -> (Self, Commands) {
        let FoundSession { plan, report, commands, sealed, .. } = found;
        (Self { inner: Arc::clone(inner), plan, report, sealed }, commands)
    }

    /// Opens spool and bucket.
    pub(super) fn open(self) -> Result<(SessionContext, Uploads), String> {
        let Self { inner, plan, report, sealed } = self;
        let sealed = sealed.ok_or("the keys of its bucket are not in the database")?;
        let (destination, abilities) = sealed::open(&inner.backing.sealer, &sealed)
            .map_err(|error| format!("the keys of its bucket can't be read: {error}"))?;
        let context = inner.context(plan, report).map_err(|error| error.to_string())?;
        let app = inner.settings.apps.get(&context.plan.app);
        let bucket = endpoint::connect(app, &destination, inner.backing.uploader.destinations());
        bucket.learn(abilities);
        let uploads = inner.backing.uploader.spawn(bucket, context.spool.clone());
        Ok((context, uploads))
    }
}

impl Replayed {
    /// Where the recording ends if nothing follows: what an earlier run has said to be made is not taken back.
    pub(super) fn end(&self) -> Ticks {
        let known = || self.last.max(Ticks::from_ms(self.pipeline.report().duration_ms)).max(self.pipeline.fixed_end());
        self.finished.unwrap_or_else(known)
    }

    /// Since when nobody was there, if nobody was.
    pub(super) fn idle_since(&self) -> Option<Ticks> {
        let kind = self.pipeline.context().plan.idle.kind;
        self.presence.is_idle(kind).then(|| match kind {
            IdleKind::NoMember => self.presence.last_left(),
            // Whoever published last, nothing has come since the last input.
            IdleKind::NoPublisher => self.last,
        })
    }

    /// Nobody was heard until `to`: where nobody knows who was to be, that is missing of nobody knows whom.
    pub(super) fn unheard_until(&mut self, to: Ticks) {
        if let Some(from) = self.nobody_since.take() {
            self.pipeline.unheard(from, to);
        }
    }

    /// Feeds some of what was held while the journal was replayed.
    pub(super) async fn feed(&mut self, held: &mut VecDeque<TimedInput>) -> Result<(), SpoolError> {
        let batch = held.drain(..held.len().min(BATCH));
        let mut packets = 0;
        for input in batch {
            packets += u64::from(matches!(input.input, Input::Packet(_)));
            self.push(input);
        }
        self.pipeline.context().metrics.packets_received(packets);
        self.pipeline.ship().await?;
        tokio::task::yield_now().await;
        Ok(())
    }

    /// A recording that an earlier run ended, ended where that run did.
    pub(super) async fn end_with_the_crash(mut self, input_log: InputLog, cause: Cause) -> Ending {
        let at = self.end();
        if self.finished.is_some() {
            // The journal has it, or the bucket.
            self.pipeline.finish(at);
        } else {
            finish(&mut self.pipeline, input_log, at).await;
        }
        self.into_ending(cause)
    }

    /// A recording whose timeline has ended.
    pub(super) fn into_ending(self, cause: Cause) -> Ending {
        Ending::new(self.pipeline, self.presence, cause)
    }

    /// Takes up what earlier runs left besides the journal; where the recording ends, if the bucket has its end.
    async fn begin(&mut self, confirmed: Vec<StoredObject>) -> Result<Option<Ticks>, String> {
        self.pipeline.replay(confirmed).await.map_err(|error| error.to_string())
    }

    /// Everything before `first` is lost; without one, all that an earlier run has said to be made.
    fn go_on_without_beginning(&mut self, first: Option<Record>) {
        let at = match &first {
            Some(Record::Input { input, .. }) => input.at,
            Some(Record::Finished { at, .. }) => *at,
            _ => self.end(),
        };
        self.pipeline.vouch_before(at);
        self.push(TimedInput { at, input: Input::InputsLost { from: Ticks::ZERO } });
        match first {
            Some(Record::Input { input, .. }) => self.push(input),
            Some(Record::Finished { at, .. }) => self.finished = Some(at),
            _ => {}
        }
    }

    /// Whether the worker may have gone on after the journal's end: the log says so, or there was time for it.
    fn may_lack_its_end(&self, now: WallMs) -> bool {
        let present = Ticks::from_ms(now.0.saturating_sub(self.pipeline.start().0));
        self.may_lack(self.last, present) || self.pipeline.is_anybody_heard_after(self.last)
    }

    /// The same of an earlier run, whose journal ends at `last`; the next one was back at `until`.
    fn may_lack(&self, last: Ticks, until: Ticks) -> bool {
        let segment = self.pipeline.context().plan.segment.ticks();
        until - last.min(until) > Ticks::from_duration(UNKNOWN_AFTER) + segment
            || self.pipeline.is_anybody_heard_within(last, until)
    }

    /// Whether something before one of these lines is lost, or may be.
    fn is_poor(&self, lines: &[Deliverable]) -> bool {
        let mut last = self.last;
        lines.iter().any(|line| {
            let Ok(Record::Input { input: TimedInput { at, input }, .. }) = line else { return false };
            let before = last;
            last = before.max(*at);
            match input {
                Input::InputsLost { .. } => true,
                Input::WorkerRestarted => self.may_lack(before, *at),
                _ => false,
            }
        })
    }

    /// The journal may know less than the bucket: waits until the bucket says what it holds. While more is recorded, for
    /// [`BUCKET_TIMEOUT`] at most, or until no more can be held; a recording that was stopped waits as long as its uploads do. One with a second bucket waits no longer than until that is used. Where that can't be asked either, what is made from here on waits
    /// for it. Where the recording ends, if the bucket has its end.
    async fn wait_for_bucket(&mut self) -> Result<Option<Ticks>, String> {
        let ended = self.wait_for_own_bucket().await?;
        self.pipeline.wait_for_copies().await.map_err(|error| error.to_string())?;
        Ok(ended)
    }

    async fn wait_for_own_bucket(&mut self) -> Result<Option<Ticks>, String> {
        if !self.pipeline.is_bucket_unasked() {
            self.pipeline.emit_unknown_tail().await;
            return Ok(None);
        }
        let backup = self.pipeline.context().backup.as_ref().map(|means| means.settings.after);
        let until = Instant::now() + backup.map_or(BUCKET_TIMEOUT, |after| after.min(BUCKET_TIMEOUT));
        self.pipeline.emit_waiting().await;
        loop {
            tokio::select! {
                () = sleep(ASK_EVERY) => {}
                Ok(()) = self.meanwhile.changed() => {}
                report = self.pipeline.next_report() => {
                    self.pipeline.uploaded(report).await.map_err(|error| error.to_string())?;
                    continue;
                }
            }
            self.take_credentials();
            let (answered, ended) = self.pipeline.ask_bucket().await.map_err(|error| error.to_string())?;
            if answered {
                self.pipeline.wait_is_over();
                return Ok(ended);
            }
            self.pipeline.look_at_wait();
            let Meanwhile { full, stopped, .. } = *self.meanwhile.borrow();
            if (backup.is_some() || !stopped) && (full || Instant::now() >= until) {
                self.pipeline.wait_no_longer().await;
                return Ok(None);
            }
        }
    }

    /// Goes on with fresh credentials, if some came.
    pub(super) fn take_credentials(&mut self) {
        let known = self.rekeyed;
        let fresh = self.meanwhile.borrow_and_update().bucket.clone().filter(|(_, count)| *count > known);
        if let Some((bucket, count)) = fresh {
            self.rekeyed = count;
            self.pipeline.use_bucket(bucket);
        }
    }

    /// Feeds the journal. Where the recording ends, if the bucket had to be asked and has its end.
    async fn run(&mut self, records: &mut Records) -> Result<Option<Ticks>, String> {
        if !self.pipeline.event_dedup().knows(&RECORDER_STARTED) {
            begun(&mut self.pipeline).await;
        }
        let (mut batch, mut ended) = (Vec::with_capacity(BATCH), None);
        while self.finished.is_none() {
            tokio::select! {
                count = records.next_many(&mut batch, BATCH) => {
                    if count == 0 {
                        return Ok(ended);
                    }
                    if self.is_poor(&batch) {
                        ended = ended.or(self.wait_for_bucket().await?);
                    }
                    batch.drain(..).try_for_each(|line| self.take(line))?;
                    self.pipeline.ship().await.map_err(|error| error.to_string())?;
                    tokio::task::yield_now().await;
                }
                report = self.pipeline.next_report() => {
                    self.pipeline.uploaded(report).await.map_err(|error| error.to_string())?;
                }
            }
        }
        Ok(ended)
    }

    /// What follows the end is of a run that did not know of it yet.
    fn take(&mut self, line: Deliverable) -> Result<(), String> {
        match line.map_err(|error| error.to_string())? {
            _ if self.finished.is_some() => {}
            Record::Input { input, .. } => self.push(input),
            Record::Finished { at, .. } => self.finished = Some(at),
            Record::Started { .. } | Record::Continued { .. } | Record::Checkpoint { .. } | Record::Stored { .. } => {}
        }
        Ok(())
    }

    /// Feeds one input.
    pub(super) fn push(&mut self, mut input: TimedInput) {
        // The reader knows nothing of what a checkpoint holds: that is not lost.
        if let Input::InputsLost { from } = &mut input.input {
            *from = (*from).max(self.last).min(input.at);
        }
        self.last = self.last.max(input.at);
        match &input.input {
            Input::ChannelDown | Input::ChannelLost { .. } => self.down = true,
            Input::ChannelUp | Input::WorkerRestarted => self.down = false,
            _ => {}
        }
        feed(&mut self.pipeline, &mut self.presence, input);
    }
}
