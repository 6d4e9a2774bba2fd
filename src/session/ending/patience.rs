//! What may happen while a recording that is over waits for its bucket: fresh credentials come, the worker stops, a day goes by.

use std::time::Duration;

use tokio::time::Instant;

use crate::callback::event::{self, ErrorLevel, Module};
use crate::session::live::Command;
use crate::session::works::Works;
use crate::store::SessionUpdate;

use super::cause::UPLOAD_TIMEOUT;

/// What is known of a recording whose bucket takes so long.
const LATE: &str = "the bucket has not taken everything in time; it is tried again until it does";

/// The worker stops: the next run goes on.
#[derive(Debug)]
pub(super) struct HandedOver;

/// How long a wait goes without a word, and whom it listens to.
#[derive(Debug)]
pub(super) struct Patience {
    end: Instant,
    over: bool,
    deaf: bool,
}

impl Patience {
    pub(super) fn new(patience: Duration) -> Self {
        Self { end: Instant::now() + patience, over: false, deaf: false }
    }

    /// When it is said that the bucket takes too long.
    pub(super) const fn end(&self) -> Instant {
        self.end
    }

    /// Whether that was said.
    pub(super) const fn is_over(&self) -> bool {
        self.over
    }

    /// Whether commands can come.
    pub(super) const fn listens(&self) -> bool {
        !self.deaf
    }

    /// Says that the bucket takes too long; nothing is given up.
    pub(super) async fn over(&mut self, works: &mut Works) {
        self.over = true;
        works.note(|report| _ = report.failure.get_or_insert_with(|| LATE.to_owned()));
        let said = event::error(Module::Platform, ErrorLevel::Major, UPLOAD_TIMEOUT, LATE);
        let update = SessionUpdate { summary: Some(works.desk().summary()), ..SessionUpdate::default() };
        works.tell(update, vec![said]).await;
    }

    /// A command to a recording that is over.
    pub(super) fn obey(&mut self, works: &Works, command: Option<Command>) -> Result<(), HandedOver> {
        match command {
            Some(Command::Rekey(bucket)) => works.use_bucket(bucket),
            Some(Command::HandOver) => return Err(HandedOver),
            Some(Command::Stop(_) | Command::Select(_)) => {}
            None => self.deaf = true,
        }
        Ok(())
    }
}
