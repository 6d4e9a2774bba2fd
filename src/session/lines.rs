//! What the worker's log says of every recording: a line when it starts and a line when it ends.

use super::plan::Plan;
use super::{EndedBy, Report, State};
use crate::recording::{Mode, Verdict};

/// The bot is in the channel.
pub(super) fn started(plan: &Plan) {
    tracing::info!(
        sid = %plan.sid,
        app = %plan.app,
        cname = %plan.cname,
        uid = %plan.uid,
        mode = match plan.mode {
            Mode::Mix => "mix",
            Mode::Individual => "individual",
            Mode::Both => "both",
        },
        "recording started"
    );
}

/// The recording is over, as `report` has it.
pub(super) fn ended(plan: &Plan, report: &Report) {
    let (state, reason) = (report.state.word(), report.ended_by.map_or("unknown", EndedBy::word));
    let (sid, app, cname) = (&plan.sid, &plan.app, &plan.cname);
    let verdict = match report.verdict() {
        Verdict::Complete => "complete",
        Verdict::Partial => "partial",
        Verdict::Empty => "empty",
    };
    let duration_s = report.duration_ms as f64 / 1000.0;
    if let (State::Failed, Some(failure)) = (report.state, &report.failure) {
        return tracing::warn!(%sid, %app, %cname, duration_s, verdict, reason, state, failure, "recording ended");
    }
    let away = report.is_away();
    tracing::info!(%sid, %app, %cname, duration_s, verdict, reason, state, away, "recording ended");
}
