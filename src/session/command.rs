//! What a session can be told from outside its task.

use tokio::sync::oneshot;

use crate::callback::event::LeaveCode;
use crate::recording::Selection;
use crate::storage::Bucket;

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

/// The worker stops: the next run goes on.
#[derive(Debug)]
pub(super) struct HandedOver;

/// What a session does with its commands in the state that it is in. Where nothing is recorded any more, most of them change nothing.
pub(super) trait HandleCommand {
    /// What ends the state.
    type Exit;

    /// Uploads go on with this handle.
    fn update_credentials(&mut self, bucket: Bucket);

    /// The next run of the worker goes on.
    fn hand_over(&mut self) -> Result<(), Self::Exit>;

    /// Nobody can command any more: the worker drops all that it has.
    fn abandoned(&mut self) -> Result<(), Self::Exit>;

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
            Some(Command::Misfit(why)) => self.reject_call(why).await,
            Some(Command::Look(done)) => {
                self.look();
                // A caller that waits no longer has its answer.
                let _gone = done.send(());
            }
        }
        Ok(())
    }
}
