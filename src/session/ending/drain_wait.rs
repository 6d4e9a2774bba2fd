//! What may happen while a recording that is over waits for its bucket: fresh credentials come, the worker stops, a day goes by.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use crate::callback::event::{ErrorCode, ErrorEvent, ErrorLevel, Module, RecordingEvent};
use crate::session::command::{Command, HandedOver, HandleCommand};
use crate::session::pipeline::{Pipeline, Position};
use crate::session::presence::Presence;
use crate::storage::{Bucket, UploadQueue};
use crate::store::SessionUpdate;
use crate::units::Ticks;

/// How often the recording is put down, where its journal asks for it.
const KEEP_EVERY: Duration = Duration::from_secs(60);
/// What is known of a recording whose bucket takes so long.
const LATE: &str = "the bucket has not taken everything in time; it is tried again until it does";

/// How long a wait goes without a word, and whom it listens to.
#[derive(Debug)]
pub(super) struct DrainWait {
    /// When it is said that the bucket takes too long.
    end: Option<Instant>,
    /// When the recording is put down in the journal, so that its older files can go.
    checkpoint_at: Instant,
    deaf: bool,
}

/// What happened while the bucket did nothing.
#[derive(Debug)]
pub(super) enum Event {
    /// A command, or none will come any more.
    EventDedup(Option<Command>),
    /// It takes too long.
    Late,
    /// It takes so long that the recording should be put down.
    Keep,
}

impl DrainWait {
    pub(super) fn new(drain_wait: Duration) -> Self {
        let now = Instant::now();
        Self { end: Some(now + drain_wait), checkpoint_at: now + KEEP_EVERY, deaf: false }
    }

    /// Waits for what is not about the bucket. Cancelling loses nothing.
    pub(super) async fn next(&self, commands: &mut mpsc::Receiver<Command>) -> Event {
        tokio::select! {
            command = commands.recv(), if !self.deaf => Event::EventDedup(command),
            () = sleep_until(self.end.unwrap_or(self.checkpoint_at)), if self.end.is_some() => Event::Late,
            () = sleep_until(self.checkpoint_at) => Event::Keep,
        }
    }

    /// Does what it asks for.
    pub(super) async fn heed(
        &mut self,
        event: Event,
        pipeline: &mut Pipeline,
        presence: &Presence,
    ) -> Result<(), HandedOver> {
        match event {
            Event::EventDedup(command) => {
                return Waiting { deaf: &mut self.deaf, queue: pipeline.queue() }.handle(command).await;
            }
            Event::Late => self.late(pipeline).await,
            Event::Keep => self.write_checkpoint(pipeline, presence),
        }
        Ok(())
    }

    /// Says that the bucket takes too long; nothing is given up.
    async fn late(&mut self, pipeline: &mut Pipeline) {
        self.end = None;
        pipeline.note(|report| _ = report.failure.get_or_insert_with(|| LATE.to_owned()));
        let said = ErrorEvent::new(Module::Platform, ErrorLevel::Major, ErrorCode::UploadTimeout, LATE);
        let update = SessionUpdate { summary: Some(pipeline.context().summary()), ..SessionUpdate::default() };
        pipeline.emit(update, vec![RecordingEvent::Error(said)]).await;
    }

    fn write_checkpoint(&mut self, pipeline: &Pipeline, presence: &Presence) {
        self.checkpoint_at = Instant::now() + KEEP_EVERY;
        let context = pipeline.context();
        if !context.journal.checkpoint_due(&context.plan.sid)
            || !pipeline.can_be_checkpointed()
            || !context.event_writer.is_written()
        {
            return;
        }
        let end = Ticks::from_ms(pipeline.report().duration_ms);
        let position = Position { presence: presence.clone(), last: end, finished: Some(end), down: false };
        if let Err(error) = context.journal.append(&pipeline.write_checkpoint(position)) {
            tracing::warn!(sid = %context.plan.sid, "the journal keeps more than it needs: {error}");
        }
    }
}

/// A recording that is over, waits for its bucket, and is told something.
struct Waiting<'a> {
    deaf: &'a mut bool,
    queue: UploadQueue,
}

impl HandleCommand for Waiting<'_> {
    type Exit = HandedOver;

    fn update_credentials(&mut self, bucket: Bucket) {
        self.queue.use_bucket(bucket);
    }

    fn hand_over(&mut self) -> Result<(), HandedOver> {
        Err(HandedOver)
    }

    fn abandoned(&mut self) -> Result<(), HandedOver> {
        *self.deaf = true;
        Ok(())
    }
}
