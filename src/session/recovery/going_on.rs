//! A recording whose bot is sent back into its channel, or, where it never was in it, for the first time.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{oneshot, watch};
use tokio::task::JoinError;

use super::found::FoundSession;
use super::records::Records;
use super::rejoin::Rejoin;
use super::replay::{Meanwhile, Replay, Replayed, Source, replay};
use super::returning::{Returning, end_with_the_crash};
use super::unheard::Unheard;
use crate::channel;
use crate::session::actor::Actor;
use crate::session::ending::Cause;
use crate::session::inner::Inner;
use crate::session::input_log::InputLog;
use crate::session::live::Joining;
use crate::session::timebase::{Anchor, Timebase};
use crate::store::SessionState;
use crate::units::Ticks;

/// How long a worker may be away. A bot that comes back even later would surprise those whom it records.
const LONGEST_ABSENCE: Duration = Duration::from_secs(6 * 3600);

/// The state in which a recording goes on.
pub(super) async fn go_on(inner: &Arc<Inner>, found: FoundSession, mut records: Records) -> Result<Actor, String> {
    let known = found.report.borrow().started.filter(|_| found.state == SessionState::Recording);
    let start = match known {
        Some(start) => start,
        None => match records.start().await {
            Some(start) => start,
            None => return begin(inner, found),
        },
    };
    let (plan, made) = (found.plan.clone(), Ticks::from_ms(found.report.borrow().duration_ms));
    inner.backing.journal.know(&plan.spec(start));
    let input_log = InputLog::new(&plan, inner.backing.journal.clone(), None);
    let noted = inner.backing.journal.inherited_clock(&plan.sid);
    let anchor = noted.map(|noted| Anchor { noted, now: (inner.settings.boot_clock)() });
    let timebase = Timebase::resume(start, inner.now(), anchor);
    let (source, commands) = Source::of(inner, found);
    let (meanwhile, seen) = watch::channel(Meanwhile::default());
    let mut replay = inner.tasks.spawn(replay(source, records, seen));

    let absent = |last: Ticks| (timebase.now() - last).as_duration() > LONGEST_ABSENCE;
    let app = inner.settings.apps.get(&plan.app);
    let Some(app) = app.filter(|_| !absent(made)) else {
        // The row may lag behind; the journal knows when the worker was there last. Where nobody was in the channel neither knows it, since
        // nothing is made then, and the recording waits as long as its caller wants.
        let waits = |replayed: &Replayed| {
            let until = replayed.idle_since().map(|since| since + Ticks::from_duration(plan.idle.after));
            until.is_some_and(|until| until > timebase.now())
        };
        match (whole(replay.await)?, app) {
            (Replay::LostJournal(lost), _) => {
                lost.end(commands).await;
                return Ok(Actor::Done);
            }
            (Replay::Done(replayed), Some(app)) if !absent(replayed.last) || waits(&replayed) => {
                let rejoin = Rejoin::new(Arc::clone(&app.channel), inner.stalls.clone(), &plan, input_log, timebase);
                return Ok(Actor::Restoring(Box::new(Returning::new(rejoin, commands, meanwhile)), replayed));
            }
            (Replay::Done(replayed), app) => {
                let unserved = || channel::JoinError::Unreachable("this worker does not serve the app any more".into());
                let cause = app.map_or_else(|| Cause::Unreached(unserved()), |_| Cause::Away);
                if replayed.finished.is_some() {
                    return Ok(Actor::ending(end_with_the_crash(*replayed, input_log, commands, cause).await));
                } else {
                    let now = timebase.now();
                    let unheard = Unheard { began: now, until: now, trouble: None, idle_until: None };
                    return Ok(Actor::ending(unheard.end(*replayed, input_log, commands, cause).await));
                }
            }
        }
    };
    let rejoin = Rejoin::new(Arc::clone(&app.channel), inner.stalls.clone(), &plan, input_log, timebase);
    let mut returning = Returning::new(rejoin, commands, meanwhile);
    let replayed = loop {
        tokio::select! {
            made = &mut replay => break whole(made)?,
            () = returning.attend() => if returning.is_handed_over() {
                replay.abort();
                return inner.backing.journal.flush().await.map(|()| Actor::Done).map_err(|error| error.to_string());
            },
        }
    };
    match replayed {
        Replay::Done(replayed) => Ok(Actor::Restoring(Box::new(returning), replayed)),
        Replay::LostJournal(lost) => {
            lost.end(returning.into_commands()).await;
            Ok(Actor::Done)
        }
    }
}

/// The bot was on its way into the channel when the worker died: it is sent off again.
fn begin(inner: &Arc<Inner>, found: FoundSession) -> Result<Actor, String> {
    let plan = found.plan.clone();
    let Some(app) = inner.settings.apps.get(&plan.app) else {
        return Err("this worker does not serve the app any more".into());
    };
    let input_log = InputLog::new(&plan, inner.backing.journal.clone(), inner.settings.capture.as_deref());
    let (source, commands) = Source::of(inner, found);
    let (context, uploads) = source.open()?;
    let (enter, entered) = oneshot::channel();
    let store = inner.backing.store.clone();
    inner.tasks.spawn(async move {
        if let Ok(Err(_)) = entered.await
            && let Err(error) = store.resource_release(&plan.resource, &plan.sid).await
        {
            tracing::error!(sid = %plan.sid, "its resource can't be started again: {error}");
        }
    });
    let channel = Arc::clone(&app.channel);
    Ok(Actor::Joining(Box::new(Joining { context, uploads, input_log, commands, channel, entered: enter })))
}

fn whole(made: Result<Result<Replay, String>, JoinError>) -> Result<Replay, String> {
    made.map_err(|error| error.to_string())?
}
