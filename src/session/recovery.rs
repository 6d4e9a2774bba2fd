//! What a worker does with recordings that an earlier run left open: they go on.
//!
//! Each is on the list of recordings before the worker answers its first call, as the store knows it. The bot goes back into the
//! channel at once ([`rejoin`]), and while what it hears is journaled and held, the journal of the earlier runs is replayed through
//! the same core ([`replay`]). Then what was held follows and the recording goes on, under the same sid, with the same files; the
//! time without a worker is silence that the ledger names. What the bucket confirmed is taken as it is, whatever the journal gives
//! ([`crate::session::fixed`]). Where the bot does not get back, or finds nobody, the recording ends and what was said since the crash is
//! missing ([`unheard`]). What was ended before is only uploaded to its end.

mod ended;
mod found;
mod going_on;
mod records;
mod rejoin;
mod replay;
pub(super) mod returning;
pub(super) mod stopped;
mod unheard;

use std::collections::BTreeSet;
use std::sync::Arc;

use futures_util::FutureExt;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use self::ended::EndedSession;
use self::found::FoundSession;
use self::records::{Records, RejoinedParts};
use self::replay::{Meanwhile, Source, replay};
use self::stopped::Stopped;
use super::Error;
use super::actor::{Actor, State};
use super::ending;
use super::inner::Inner;
use super::input_log::InputLog;
use super::registry::Listed;
use crate::callback::event::LeaveCode;
use crate::store::{SessionRow, SessionState};
use crate::units::Sid;

/// How many recordings that only have to be uploaded are replayed at a time. Those that go on are all replayed at once.
const ENDS_AT_ONCE: usize = 64;

/// What earlier runs left.
pub(super) struct Left {
    open: Vec<(FoundSession, Listed)>,
    /// Recordings that are over but for their way home from the backup, or for the last lines of the log in their bucket.
    ended: Vec<SessionRow>,
}

/// Lists what earlier runs left. The journal lets go of what is over.
pub(super) async fn find(inner: &Inner) -> Result<Left, Error> {
    let rows = inner.backing.store.sessions_open().await?;
    let ended = inner.backing.store.sessions_sealed().await?;
    inner.backing.journal.retain(&rows.iter().map(|row| row.session.sid.clone()).collect());
    let known: BTreeSet<_> = rows.iter().chain(&ended).map(|row| row.session.sid.clone()).collect();
    let spooled = inner.backing.spool.sessions().map_err(|error| Error::Worker(error.to_string()))?;
    for sid in spooled.into_iter().filter(|sid| !known.contains(sid)) {
        tracing::warn!(%sid, "the spool holds something of a recording that is over or unknown; it is left alone");
    }
    let open: Vec<_> = rows.into_iter().filter_map(|row| FoundSession::list(inner, row)).collect();
    if !open.is_empty() {
        tracing::info!(count = open.len(), "an earlier run left recordings open; they go on");
    }
    Ok(Left { open, ended })
}

/// Takes up what was found, in the background.
pub(super) fn take_up(inner: &Arc<Inner>, left: Left) {
    let Left { open, ended } = left;
    for row in ended {
        inner.tasks.spawn(finish_over(Arc::clone(inner), row.session.sid.clone(), EndedSession::list(inner, row)));
    }
    let (ended, running): (Vec<_>, Vec<_>) =
        open.into_iter().partition(|(found, _)| found.state == SessionState::Stopping);
    let mut reading = resume(inner, running);
    let (inner, tasks) = (Arc::clone(inner), inner.tasks.clone());
    tasks.spawn(async move {
        let mut ended = ended.into_iter().peekable();
        loop {
            if let Err(error) = reading.await {
                tracing::error!("the journal was not read to its end: {error}");
            }
            if ended.peek().is_none() {
                return;
            }
            reading = resume(&inner, ended.by_ref().take(ENDS_AT_ONCE));
        }
    });
}

/// Resumes these recordings, and reads their journals for them.
fn resume(inner: &Arc<Inner>, found: impl IntoIterator<Item = (FoundSession, Listed)>) -> JoinHandle<()> {
    let mut parts = RejoinedParts::default();
    for (found, listed) in found {
        let records = parts.of(found.plan.sid.clone());
        inner.tasks.spawn(one(Arc::clone(inner), found, listed, records));
    }
    let journal = inner.backing.journal.clone();
    inner.tasks.spawn_blocking(move || parts.read(&journal))
}

/// Takes up one recording. One that fails harms no other; it stays in the store for the next run, and on the list.
async fn one(inner: Arc<Inner>, found: FoundSession, _listed: Listed, records: Records) {
    let (sid, report) = (found.plan.sid.clone(), found.report.clone());
    let taken_up = match found.state {
        SessionState::Stopping => finish(&inner, found, records).await,
        _ => going_on::go_on(&inner, found, records).await,
    };
    let lived = match taken_up {
        Ok(actor) => actor.run().await,
        Err(problem) => Err(problem),
    };
    if let Err(problem) = lived {
        tracing::error!(%sid, "a recording can't be taken up, the next run of the worker tries again: {problem}");
        report.send_modify(|report| _ = report.failure.get_or_insert(problem));
        tokio::select! {
            () = report.closed() => {}
            () = inner.tasks.ending() => {}
        }
    }
}

/// Uploads what was ended before.
async fn finish(inner: &Arc<Inner>, found: FoundSession, mut records: Records) -> Result<Actor, String> {
    if found.report.borrow().started.is_none() && records.start().await.is_none() {
        let (source, commands) = Source::of(inner, found);
        ending::called_off(source.open()?.0, LeaveCode::Stopped).await;
        return Ok(Actor::new(State::Done, commands));
    }
    if let Some(start) = found.report.borrow().started {
        inner.backing.journal.know(&found.plan.spec(start));
    }
    let input_log = InputLog::new(&found.plan, inner.backing.journal.clone(), None);
    let (source, commands) = Source::of(inner, found);
    let (meanwhile, seen) = watch::channel(Meanwhile::of_the_stopped());
    let stopped = Stopped::new(replay(source, records, seen).boxed(), meanwhile, input_log);
    Ok(Actor::new(State::Stopped(Box::new(stopped)), commands))
}

/// Does what is left of a recording that is over: its way home, if it is away, and the last lines of its log.
async fn finish_over(inner: Arc<Inner>, sid: Sid, ended: Result<EndedSession, String>) {
    let problem = match ended {
        Ok(ended) => match ended.open(&inner).await {
            Ok((last_log, commands, _listed)) => {
                // Only a replay fails.
                let _written = Actor::new(State::Uploading(Box::new(last_log)), commands).run().await;
                return;
            }
            Err(problem) => problem,
        },
        Err(problem) => problem,
    };
    tracing::warn!(%sid, "what the spool holds of a recording that is over, and the last lines of its log, stay here: {problem}");
}
