//! The loop of a recording whose bot is in the channel.
//!
//! It sleeps until there is news, a confirmation, a command, or the core or the idle rule has something to do (law 9).

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::State;
use super::ending::{self, Cause};
use super::live::Command;
use super::presence::Presence;
use super::tape::Tape;
use super::works::Works;
use crate::callback::event::LeaveCode;
use crate::channel::{ChannelHandle, EndReason, News};
use crate::recording::{Input, Selection, TimedInput};
use crate::storage::UploadReport;
use crate::storage::journal::Record;
use crate::units::Ticks;

/// News taken in one go.
const BATCH: usize = 256;

/// A recording whose bot is in the channel.
pub(super) struct Running {
    works: Works,
    confirmations: mpsc::Receiver<UploadReport>,
    handle: ChannelHandle,
    tape: Tape,
    commands: mpsc::Receiver<Command>,
    presence: Presence,
    /// Tick 0 on the monotonic clock.
    origin: Instant,
    /// Arrival of the last input: arrivals never decrease.
    last: Ticks,
    idle_since: Option<Instant>,
}

impl Running {
    /// Tick 0 is at `origin`.
    pub(super) fn new(
        works: Works,
        confirmations: mpsc::Receiver<UploadReport>,
        handle: ChannelHandle,
        tape: Tape,
        commands: mpsc::Receiver<Command>,
        origin: Instant,
    ) -> Self {
        let (presence, last, idle_since) = (Presence::default(), Ticks::ZERO, Some(origin));
        Self { works, confirmations, handle, tape, commands, presence, origin, last, idle_since }
    }

    /// Records until something ends it, then ends it.
    pub(super) async fn run(mut self) {
        let cause = self.record().await;
        let Self { mut works, confirmations, handle, mut tape, presence, origin, mut last, .. } = self;
        let mut rest = handle.news;
        drop(handle.selection);
        rest.close();
        let at = Ticks::from_duration(origin.elapsed());
        while let Ok((arrival, news)) = rest.try_recv() {
            if let News::Input(input) = news {
                last = last.max(ticks(origin, arrival));
                feed(&mut works, &mut tape, TimedInput { at: last, input });
            }
        }
        let at = at.max(last);
        tape.append(&Record::Finished { sid: works.desk().plan.sid.clone(), at });
        tape.finish().await;
        works.finish(at);
        ending::end(works, confirmations, &presence, cause).await;
    }

    async fn record(&mut self) -> Cause {
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            let wake = self.wake();
            let happened = tokio::select! {
                count = self.handle.news.recv_many(&mut batch, BATCH) => match count {
                    0 => Err(Cause::Channel(EndReason::Unreachable)),
                    _ => self.take(&mut batch),
                },
                Some(news) = self.confirmations.recv() => self.works.uploaded(news).await.map_err(Cause::from),
                command = self.commands.recv() => match command {
                    Some(Command::Select(selection)) => {
                        self.select(selection);
                        Ok(())
                    }
                    Some(Command::Rekey(bucket)) => {
                        self.works.use_bucket(bucket);
                        Ok(())
                    }
                    Some(Command::Stop(code)) => Err(Cause::Left(code)),
                    None => Err(Cause::Left(LeaveCode::Interrupted)),
                },
                () = sleep_until(wake.unwrap_or(self.origin)), if wake.is_some() => {
                    self.works.advance(Ticks::from_duration(self.origin.elapsed()).max(self.last));
                    Ok(())
                }
            };
            let shipped = match happened {
                Ok(()) => self.works.ship().await.map_err(Cause::from),
                Err(cause) => return cause,
            };
            if let Err(cause) = shipped {
                return cause;
            }
            if self.idle_deadline().is_some_and(|deadline| Instant::now() >= deadline) {
                return Cause::Left(LeaveCode::Idle);
            }
        }
    }

    fn take(&mut self, batch: &mut Vec<(Instant, News)>) -> Result<(), Cause> {
        let packets = batch.iter().filter(|(_, news)| matches!(news, News::Input(Input::Packet(_)))).count();
        self.works.desk().meters.packets_received(packets as u64);
        for (arrival, news) in batch.drain(..) {
            match news {
                News::Input(input) => self.input(arrival, input),
                News::Dropped(count) => {
                    self.works.desk().meters.packets_dropped(count);
                    self.works.note(|report| report.packets_dropped += count);
                }
                News::Ended(reason) => return Err(Cause::Channel(reason)),
            }
        }
        Ok(())
    }

    fn input(&mut self, arrival: Instant, input: Input) {
        self.last = self.last.max(ticks(self.origin, arrival));
        match &input {
            Input::ChannelDown => self.works.note(|report| report.state = State::Recovering),
            Input::ChannelUp => self.works.note(|report| report.state = State::Recording),
            _ => {}
        }
        if !matches!(input, Input::Packet(_) | Input::SenderReport { .. }) {
            self.presence.observe(self.last, &input);
            let idle = self.presence.is_idle(self.works.desk().plan.idle.kind);
            self.idle_since = if idle { self.idle_since.or(Some(arrival)) } else { None };
        }
        feed(&mut self.works, &mut self.tape, TimedInput { at: self.last, input });
    }

    fn select(&mut self, selection: Selection) {
        self.handle.selection.send_replace(selection.clone());
        self.input(Instant::now(), Input::Select(selection));
    }

    /// When to look again though nothing happened.
    fn wake(&self) -> Option<Instant> {
        let core = self.works.next_wake().map(|at| self.origin + at.as_duration());
        core.into_iter().chain(self.idle_deadline()).min()
    }

    fn idle_deadline(&self) -> Option<Instant> {
        self.idle_since.map(|since| since + self.works.desk().plan.idle.after)
    }
}

fn feed(works: &mut Works, tape: &mut Tape, input: TimedInput) {
    let record = Record::Input { sid: works.desk().plan.sid.clone(), input };
    tape.append(&record);
    if let Record::Input { input, .. } = record {
        works.push(input);
    }
}

/// Where an arrival lies on the timeline; what came before tick 0 is at tick 0.
fn ticks(origin: Instant, arrival: Instant) -> Ticks {
    Ticks::from_duration(arrival.saturating_duration_since(origin))
}
