//! What may happen while a recording that is over waits for its bucket: fresh credentials come, the worker stops, a day goes by.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use crate::callback::event::{ErrorCode, ErrorEvent, ErrorLevel, Module, RecordingEvent};
use crate::session::live::Command;
use crate::session::presence::Presence;
use crate::session::works::{Position, Works};
use crate::store::SessionUpdate;
use crate::units::Ticks;

/// How often the recording is put down, where its journal asks for it.
const KEEP_EVERY: Duration = Duration::from_secs(60);
/// What is known of a recording whose bucket takes so long.
const LATE: &str = "the bucket has not taken everything in time; it is tried again until it does";

/// The worker stops: the next run goes on.
#[derive(Debug)]
pub(super) struct HandedOver;

/// How long a wait goes without a word, and whom it listens to.
#[derive(Debug)]
pub(super) struct Patience {
    /// When it is said that the bucket takes too long.
    end: Option<Instant>,
    /// When the recording is put down in the journal, so that its older files can go.
    keep: Instant,
    deaf: bool,
}

/// What happened while the bucket did nothing.
#[derive(Debug)]
pub(super) enum Event {
    /// A command, or none will come any more.
    Told(Option<Command>),
    /// It takes too long.
    Late,
    /// It takes so long that the recording should be put down.
    Keep,
}

impl Patience {
    pub(super) fn new(patience: Duration) -> Self {
        let now = Instant::now();
        Self { end: Some(now + patience), keep: now + KEEP_EVERY, deaf: false }
    }

    /// Waits for what is not about the bucket. Cancelling loses nothing.
    pub(super) async fn next(&self, commands: &mut mpsc::Receiver<Command>) -> Event {
        tokio::select! {
            command = commands.recv(), if !self.deaf => Event::Told(command),
            () = sleep_until(self.end.unwrap_or(self.keep)), if self.end.is_some() => Event::Late,
            () = sleep_until(self.keep) => Event::Keep,
        }
    }

    /// Does what it asks for.
    pub(super) async fn heed(
        &mut self,
        event: Event,
        works: &mut Works,
        presence: &Presence,
    ) -> Result<(), HandedOver> {
        match event {
            Event::Told(Some(Command::Rekey(bucket))) => works.use_bucket(bucket),
            Event::Told(Some(Command::HandOver)) => return Err(HandedOver),
            Event::Told(Some(Command::Stop(_) | Command::Select(_) | Command::Look(_) | Command::Misfit(_))) => {}
            Event::Told(None) => self.deaf = true,
            Event::Late => self.late(works).await,
            Event::Keep => self.keep(works, presence),
        }
        Ok(())
    }

    /// Says that the bucket takes too long; nothing is given up.
    async fn late(&mut self, works: &mut Works) {
        self.end = None;
        works.note(|report| _ = report.failure.get_or_insert_with(|| LATE.to_owned()));
        let said = ErrorEvent::new(Module::Platform, ErrorLevel::Major, ErrorCode::UploadTimeout, LATE);
        let update = SessionUpdate { summary: Some(works.desk().summary()), ..SessionUpdate::default() };
        works.tell(update, vec![RecordingEvent::Error(said)]).await;
    }

    fn keep(&mut self, works: &Works, presence: &Presence) {
        self.keep = Instant::now() + KEEP_EVERY;
        let desk = works.desk();
        if !desk.journal.checkpoint_due(&desk.plan.sid) || !works.can_be_kept() || !desk.scribe.is_written() {
            return;
        }
        let end = Ticks::from_ms(works.report().duration_ms);
        let position = Position { presence: presence.clone(), last: end, finished: Some(end), down: false };
        if let Err(error) = desk.journal.append(&works.keep(position)) {
            tracing::warn!(sid = %desk.plan.sid, "the journal keeps more than it needs: {error}");
        }
    }
}
