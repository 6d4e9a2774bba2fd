//! An app's recordings, newest first: what runs as it is known now, what is over as it was.

use super::inner::from_row;
use super::sessions::Sessions;
use super::{Error, Report, State};
use crate::store::{SessionFilter, SessionPosition, SessionRow, SessionState};
use crate::units::{AppId, Cname, Uid};

/// A place in the list.
pub type ListPosition = SessionPosition;

/// Which recordings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecordingFilter {
    /// Of this channel.
    pub cname: Option<Cname>,
    /// Of this recorder.
    pub uid: Option<Uid>,
    /// In one of these states; none means any.
    pub states: Vec<State>,
}

/// One page.
#[derive(Clone, Debug)]
pub struct RecordingPage {
    /// Newest first. Fewer than were looked at where some were in other states.
    pub reports: Vec<Report>,
    /// Where the next page begins; none behind the last.
    pub next: Option<ListPosition>,
}

impl Sessions {
    /// Looks at up to `limit` recordings of an app, from `after` on, and says which of them are in the states that are asked for.
    pub async fn recordings(
        &self,
        app: &AppId,
        filter: &RecordingFilter,
        after: Option<&ListPosition>,
        limit: u32,
    ) -> Result<RecordingPage, Error> {
        let rows =
            SessionFilter { cname: filter.cname.clone(), uid: filter.uid.clone(), states: stored(&filter.states) };
        let size = usize::try_from(limit).unwrap_or(usize::MAX);
        let mut found = self.0.backing.store.sessions_page(app, &rows, after, limit.saturating_add(1)).await?;
        let more = found.len() > size;
        found.truncate(size);
        let place = |row: &SessionRow| ListPosition { created: row.created, sid: row.session.sid.clone() };
        let next = found.last().filter(|_| more).map(place);
        let wanted = |report: &Report| filter.states.is_empty() || filter.states.contains(&report.state);
        let reports = found.iter().filter_map(|row| self.known(row)).filter(wanted).collect();
        Ok(RecordingPage { reports, next })
    }

    fn known(&self, row: &SessionRow) -> Option<Report> {
        let listed = self.0.registry.get(&row.session.sid).filter(|entry| entry.app == row.session.app);
        listed.map(|entry| entry.report()).or_else(|| from_row(row))
    }
}

/// The states of rows among which recordings in these states are: what runs is a little ahead of its row.
fn stored(states: &[State]) -> Vec<SessionState> {
    let mut stored = Vec::new();
    if states.iter().any(|state| !state.is_over()) {
        stored.extend([SessionState::Starting, SessionState::Recording, SessionState::Stopping]);
    }
    if states.contains(&State::Ended) {
        stored.push(SessionState::Ended);
    }
    if states.contains(&State::Failed) {
        stored.push(SessionState::Failed);
    }
    stored
}
