//! What the log says of slices that begin, and of a recording that goes on after its worker died, or does something else than a
//! call thought.

use super::Pipeline;
use crate::callback::event::{RecordingEvent, StatusReason};
use crate::recording::PlaylistId;
use crate::units::Ticks;

/// The time without a worker, and the playlists whose first slice after it was told.
#[derive(Debug)]
pub(super) struct Failover {
    from: Ticks,
    to: Ticks,
    reported: Vec<PlaylistId>,
}

impl Pipeline {
    /// The worker died at `from`, and the recording goes on from `to`: says so, and where each playlist goes on.
    pub(in crate::session) async fn failed_over(&mut self, from: Ticks, to: Ticks) {
        let to = to.max(from);
        self.failover = Some(Failover { from, to, reported: Vec::new() });
        let (resumed, interrupted) = (self.start.plus(to), self.start.plus(from));
        self.append_events(vec![RecordingEvent::SessionFailover {
            uid: self.context.plan.uid.clone(),
            resumed,
            interrupted,
        }])
        .await;
    }

    /// Event 3: a call did not fit what the recording is doing.
    pub(in crate::session) async fn rejected_call(&mut self, why: &'static str) {
        let report = self.report();
        let file_list = report.files.into_iter().next().map_or_else(String::new, |file| file.key);
        let (status, mode, why) = (report.state.status(), report.mode, StatusReason::Call(why));
        self.append_events(vec![RecordingEvent::StatusUpdate { status, mode, file_list, why }]).await;
    }

    /// Event 42, for the first slice of a playlist and for the first one after a time without a worker.
    pub(super) fn slice_start(&mut self, playlist: &PlaylistId, from: Ticks, end: Ticks) -> Option<RecordingEvent> {
        let start = self.start.plus(from);
        let mut discontinue = (from == Ticks::ZERO).then_some(start);
        if let Some(Failover { from, to, reported }) = &mut self.failover
            && end > *to
            && !reported.contains(playlist)
        {
            reported.push(playlist.clone());
            discontinue = discontinue.or_else(|| Some(self.start.plus(*from)));
        }
        let playlist = playlist.clone();
        discontinue.map(|discontinue| RecordingEvent::RecorderSliceStart { playlist, start, discontinue })
    }
}
