//! An open recording as the store has it when a worker starts.

use std::sync::Arc;

use tokio::sync::watch;

use crate::session::command::Commands;
use crate::session::inner::{Inner, from_row};
use crate::session::plan::Plan;
use crate::session::registry::{Entry, Listed};
use crate::session::{Report, State};
use crate::store::{SessionRow, SessionState};

/// See the module's documentation. Callers find it from here on.
pub(super) struct FoundSession {
    pub(super) plan: Plan,
    /// What the store says of it.
    pub(super) state: SessionState,
    pub(super) report: watch::Sender<Report>,
    pub(super) commands: Commands,
    pub(super) sealed: Option<Vec<u8>>,
}

impl FoundSession {
    /// Lists a recording, for as long as the guard lives. A row that can't be read is left alone.
    pub(super) fn list(inner: &Inner, row: SessionRow) -> Option<(Self, Listed)> {
        let known = from_row(&row);
        let plan = serde_json::from_value::<Plan>(row.session.request);
        let (Some(mut report), Ok(plan)) = (known, plan) else {
            tracing::error!(sid = %row.session.sid, "an open recording in the database can't be read; it is left as it is");
            return None;
        };
        report.state = match row.state {
            SessionState::Starting => State::Starting,
            SessionState::Recording => State::Recovering,
            SessionState::Stopping | SessionState::Ended | SessionState::Failed => State::Stopping,
        };
        let (report, seen) = watch::channel(report);
        let (commands, event_dedup) = Commands::channel();
        let entry = Entry::new(plan.app.clone(), seen, commands);
        let listed = inner.registry.insert(plan.sid.clone(), Arc::new(entry));
        Some((Self { plan, state: row.state, report, commands: event_dedup, sealed: row.session.sealed }, listed))
    }
}
