//! A recording whose worker died, and whose bot did not get back to hear anybody before it ended.
//!
//! Nobody knows what was said since the last input, so all of it is missing for those who were to be heard: until this run of the worker
//! took the recording up by `worker_restart`, then by `channel_unreachable`. A stop ends the recording where it came. Without one it ends
//! when nobody was recorded for `maxIdleTime`, as it does when nobody is there.

use super::replay::Replayed;
use crate::callback::event::{ErrorCode, ErrorEvent, ErrorLevel, ErrorReason, LeaveCode, Module, RecordingEvent};
use crate::recording::{Input, TimedInput};
use crate::session::ending::{Cause, Ending};
use crate::session::input_log::InputLog;
use crate::session::running::finish;
use crate::storage::journal::Record;
use crate::store::SessionUpdate;
use crate::units::Ticks;

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct Unheard {
    /// When this run of the worker took the recording up.
    pub(super) began: Ticks,
    /// Nobody can have been heard until then.
    pub(super) until: Ticks,
    /// What kept the bot out of its channel.
    pub(super) trouble: Option<String>,
    /// When the recording ends if nobody came, where nobody was there when the worker died.
    pub(super) idle_until: Option<Ticks>,
}

impl Unheard {
    /// Ends the recording, and books what is missing.
    pub(super) async fn end(self, mut replayed: Replayed, mut input_log: InputLog, cause: Cause) -> Ending {
        let (last, known) = (replayed.last, replayed.end());
        let stopped = matches!(cause, Cause::Left(LeaveCode::Stopped));
        let patience = Ticks::from_duration(replayed.pipeline.context().plan.idle.after);
        let until = match self.idle_until {
            _ if stopped => self.until,
            Some(idle_until) if cause.is_idle() => idle_until,
            _ => self.until.min(known + patience),
        };
        let until = until.max(known);
        let began = self.began.clamp(last, until.max(last));
        let mut inputs = vec![TimedInput { at: began, input: Input::WorkerRestarted }];
        if began < until {
            inputs.push(TimedInput { at: began, input: Input::ChannelLost { since: began } });
        }
        for input in inputs {
            let sid = replayed.pipeline.context().plan.sid.clone();
            input_log.append(&Record::Input { sid, input: input.clone() });
            replayed.push(input);
        }
        replayed.unheard_until(until);
        replayed.pipeline.failed_over(last, until).await;
        if stopped && self.idle_until.is_none() {
            self.emit(&mut replayed, began, until).await;
        }
        finish(&mut replayed.pipeline, input_log, until).await;
        replayed.into_ending(cause)
    }

    /// Event 1, not fatal: the recording ended as it was told to, without what was said meanwhile.
    async fn emit(&self, replayed: &mut Replayed, from: Ticks, until: Ticks) {
        let why = self.trouble.as_deref().unwrap_or("nobody was there who is recorded");
        let seconds = (until.as_ms() - from.as_ms().min(until.as_ms())) / 1000;
        let text = format!(
            "the worker stopped, and the recorder was not back in its channel when the recording was stopped {seconds} s later \
             ({why}); what was said meanwhile is missing"
        );
        let said = ErrorEvent::new(Module::Recorder, ErrorLevel::Major, ErrorCode::StartTimeout, text);
        let said = RecordingEvent::Error(said.because(ErrorReason::NotRejoined));
        replayed.pipeline.emit(SessionUpdate::default(), vec![said]).await;
    }
}
