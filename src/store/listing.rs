//! An app's sessions, newest first, a page at a time.

use sqlx::{QueryBuilder, Sqlite};

use super::rows::signed;
use super::session_row::session;
use super::{SessionRow, SessionState, Store, StoreError};
use crate::units::{AppId, Cname, Sid, Uid, WallMs};

/// Which sessions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SessionFilter {
    /// Of this channel.
    pub cname: Option<Cname>,
    /// Of this recorder.
    pub uid: Option<Uid>,
    /// In one of these states; none means any.
    pub states: Vec<SessionState>,
}

/// A place in the list, behind the session that it names. It stays where it is, whatever begins or is forgotten.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionPosition {
    /// When the session was created.
    pub created: WallMs,
    /// Which one; orders those of one millisecond.
    pub sid: Sid,
}

impl Store {
    /// Up to `limit` sessions of an app, newest first, from `after` on.
    pub async fn sessions_page(
        &self,
        app: &AppId,
        filter: &SessionFilter,
        after: Option<&SessionPosition>,
        limit: u32,
    ) -> Result<Vec<SessionRow>, StoreError> {
        let mut query = QueryBuilder::<Sqlite>::new("SELECT * FROM sessions WHERE app = ");
        query.push_bind(app.as_str());
        if let Some(cname) = &filter.cname {
            query.push(" AND cname = ").push_bind(cname.as_str());
        }
        if let Some(uid) = &filter.uid {
            query.push(" AND uid = ").push_bind(uid.as_str());
        }
        push_states(&mut query, &filter.states);
        if let Some(after) = after {
            query.push(" AND (created, sid) < (").push_bind(signed(after.created.0));
            query.push(", ").push_bind(after.sid.as_str()).push(")");
        }
        query.push(" ORDER BY created DESC, sid DESC LIMIT ").push_bind(limit);
        let rows = query.build().fetch_all(&self.readers).await?;
        rows.iter().map(session).collect()
    }
}

/// As the conditions of the partial indexes have it, where one fits: SQLite takes an index only for the same words.
fn push_states(query: &mut QueryBuilder<Sqlite>, states: &[SessionState]) {
    match states {
        [] => {}
        [SessionState::Failed] => _ = query.push(" AND state = 'failed'"),
        states => {
            if states.iter().all(|state| state.is_open()) {
                query.push(" AND state IN ('starting', 'recording', 'stopping')");
            }
            let mut list = query.push(" AND state IN (").separated(", ");
            for state in states {
                list.push_bind(state.as_str());
            }
            query.push(")");
        }
    }
}

#[cfg(test)]
mod tests {
    use sqlx::Row;

    use super::*;

    #[tokio::test]
    async fn every_kind_of_page_is_read_from_an_index_in_its_order() {
        let store = Store::in_memory().await.unwrap();
        for (condition, index) in [
            ("", "sessions_by_app"),
            (" AND (created, sid) < (5, 'x')", "sessions_by_app"),
            (" AND cname = 'room'", "sessions_by_channel"),
            (" AND state = 'failed'", "sessions_failed_by_app"),
            (" AND state IN ('starting', 'recording', 'stopping') AND state IN (?, ?)", "sessions_open_by_app"),
        ] {
            let mut plan = QueryBuilder::<Sqlite>::new("EXPLAIN QUERY PLAN SELECT * FROM sessions WHERE app = 'a'");
            plan.push(condition).push(" ORDER BY created DESC, sid DESC LIMIT 5");
            let rows = plan.build().fetch_all(&store.writer).await.unwrap();
            let steps: Vec<String> = rows.iter().map(|row| row.get("detail")).collect();
            assert!(steps.iter().any(|step| step.contains(&format!("{index} "))), "{condition}: {steps:?}");
            assert!(!steps.iter().any(|step| step.contains("TEMP B-TREE")), "{condition}: {steps:?}");
        }
    }
}
