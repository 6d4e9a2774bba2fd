//! How a session is driven, in whatever state it is: one loop waits for what happens to it and for what it is told.
//!
//! A state ([`Phase`]) says what it waits for, and does what follows. What it does with each command it says by overriding a method: where
//! nothing is recorded any more, most commands change nothing.

use super::command::{Command, Commands};
use crate::callback::event::LeaveCode;
use crate::recording::Selection;
use crate::storage::Bucket;

/// A state of a session.
pub(super) trait Phase {
    /// What happens without anybody's command.
    type Event;
    /// How it ends; decides which state follows.
    type Exit;

    /// Waits for what happens next. Cancelling loses nothing.
    async fn next(&mut self) -> Self::Event;

    /// Does what follows.
    async fn happened(&mut self, event: Self::Event) -> Result<(), Self::Exit>;

    /// Begins the state.
    async fn enter(&mut self) -> Result<(), Self::Exit> {
        Ok(())
    }

    /// Does what is due after each event and command.
    async fn advance(&mut self) -> Result<(), Self::Exit> {
        Ok(())
    }

    /// Uploads go on with this handle.
    fn update_credentials(&mut self, bucket: Bucket);

    /// The next run of the worker goes on.
    fn hand_over(&mut self) -> Result<(), Self::Exit>;

    /// Nobody can command any more: the worker drops all that it has.
    fn abandoned(&mut self) -> Result<(), Self::Exit> {
        Ok(())
    }

    /// The recording ends, if it has not.
    fn stop(&mut self, _code: LeaveCode) -> Result<(), Self::Exit> {
        Ok(())
    }

    /// Others are recorded from here on, if anybody is.
    fn select(&mut self, _selection: Selection) {}

    /// The report is brought up to now, where it does not say all that is known.
    fn look(&mut self) {}

    /// The log learns of a call that did not fit, where a recording runs.
    async fn reject_call(&mut self, _why: &'static str) {}

    /// Does what was commanded.
    async fn handle(&mut self, command: Option<Command>) -> Result<(), Self::Exit> {
        match command {
            Some(Command::Stop(code)) => return self.stop(code),
            Some(Command::HandOver) => return self.hand_over(),
            None => return self.abandoned(),
            Some(Command::Rekey(bucket)) => self.update_credentials(bucket),
            Some(Command::Select(selection)) => self.select(selection),
            Some(Command::RejectedCall(why)) => self.reject_call(why).await,
            Some(Command::Look(done)) => {
                self.look();
                // A caller that waits no longer has its answer.
                let _gone = done.send(());
            }
        }
        Ok(())
    }
}

/// Lives a state to its end.
pub(super) async fn live<P: Phase>(phase: &mut P, commands: &mut Commands) -> P::Exit {
    let mut entered = phase.enter().await;
    loop {
        let done = match entered {
            Ok(()) => tokio::select! {
                event = phase.next() => phase.happened(event).await,
                command = commands.next() => phase.handle(command).await,
            },
            Err(exit) => return exit,
        };
        entered = match done {
            Ok(()) => phase.advance().await,
            Err(exit) => return exit,
        };
    }
}
