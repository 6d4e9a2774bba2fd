//! What is due while a recording that is over waits for its bucket: after a day a word of that, now and then a checkpoint.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::callback::event::{ErrorCode, ErrorEvent, ErrorLevel, Module, RecordingEvent};
use crate::session::pipeline::{Pipeline, Position};
use crate::session::presence::Presence;
use crate::store::SessionUpdate;
use crate::units::Ticks;

/// How often the recording is put down, where its journal asks for it.
const KEEP_EVERY: Duration = Duration::from_secs(60);
/// What is known of a recording whose bucket takes so long.
const LATE: &str = "the bucket has not taken everything in time; it is tried again until it does";

/// How long a wait goes without a word.
#[derive(Debug)]
pub(super) struct DrainWait {
    /// When it is said that the bucket takes too long.
    end: Option<Instant>,
    /// When the recording is put down in the journal, so that its older files can go.
    checkpoint_at: Instant,
}

/// What is due.
#[derive(Debug)]
pub(in crate::session) enum Due {
    /// It takes too long.
    Late,
    /// It takes so long that the recording should be put down.
    Keep,
}

impl DrainWait {
    pub(super) fn new(drain_wait: Duration) -> Self {
        let now = Instant::now();
        Self { end: Some(now + drain_wait), checkpoint_at: now + KEEP_EVERY }
    }

    /// Waits until something is due. Cancelling loses nothing.
    pub(super) async fn next(&self) -> Due {
        tokio::select! {
            () = sleep_until(self.end.unwrap_or(self.checkpoint_at)), if self.end.is_some() => Due::Late,
            () = sleep_until(self.checkpoint_at) => Due::Keep,
        }
    }

    /// Does it.
    pub(super) async fn tend(&mut self, due: Due, pipeline: &mut Pipeline, presence: &Presence) {
        match due {
            Due::Late => self.late(pipeline).await,
            Due::Keep => self.write_checkpoint(pipeline, presence),
        }
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
