//! What the log says of slices that begin, and of a recording that goes on after its worker died, or does something else than a
//! call thought.

use super::Works;
use crate::callback::event;
use crate::recording::PlaylistId;
use crate::store::NewEvent;
use crate::units::Ticks;

/// The time without a worker, and the playlists whose first slice after it was told.
#[derive(Debug)]
pub(super) struct Failover {
    from: Ticks,
    to: Ticks,
    told: Vec<PlaylistId>,
}

impl Works {
    /// The worker died at `from`, and the recording goes on from `to`: says so, and where each playlist goes on.
    pub(in crate::session) async fn failed_over(&mut self, from: Ticks, to: Ticks) {
        let to = to.max(from);
        self.failover = Some(Failover { from, to, told: Vec::new() });
        let said = event::session_failover(&self.desk.plan.uid, self.start.plus(to), self.start.plus(from));
        self.say(vec![said]).await;
    }

    /// Event 3: a call did not fit what the recording is doing.
    pub(in crate::session) async fn misfit(&mut self, why: &'static str) {
        let report = self.report();
        let list = report.files.first().map_or("", |file| &file.key);
        let said = event::status_update(report.state.status(), report.mode, list).with("reason", why);
        self.say(vec![said]).await;
    }

    /// Event 42, for the first slice of a playlist and for the first one after a time without a worker.
    pub(super) fn slice_start(&mut self, playlist: &PlaylistId, from: Ticks, end: Ticks) -> Option<NewEvent> {
        let start = self.start.plus(from);
        let mut discontinue = (from == Ticks::ZERO).then_some(start);
        if let Some(Failover { from, to, told }) = &mut self.failover
            && end > *to
            && !told.contains(playlist)
        {
            told.push(playlist.clone());
            discontinue = discontinue.or_else(|| Some(self.start.plus(*from)));
        }
        discontinue.map(|discontinue| event::recorder_slice_start(playlist, start, discontinue))
    }
}
