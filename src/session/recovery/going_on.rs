//! A recording whose bot is sent back into its channel, or, where it never was in it, for the first time.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::{oneshot, watch};
use tokio_util::task::AbortOnDropHandle;

use super::found::FoundSession;
use super::records::Records;
use super::rejoin::Rejoin;
use super::replay::{Meanwhile, Replay, Replayed, Source, replay};
use super::returning::{Replaying, Returning};
use super::unheard::Unheard;
use crate::channel;
use crate::session::actor::{Actor, State};
use crate::session::ending::Cause;
use crate::session::inner::Inner;
use crate::session::input_log::InputLog;
use crate::session::live::Joining;
use crate::session::timebase::{Anchor, Timebase};
use crate::store::SessionState;
use crate::units::Ticks;

/// How long a worker may be away. A bot that comes back even later would surprise those whom it records.
const LONGEST_ABSENCE: Duration = Duration::from_secs(6 * 3600);

/// A recording that goes on, in the state in which it does.
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
    let replay = AbortOnDropHandle::new(inner.tasks.spawn(replay(source, records, seen)));
    let replaying: Replaying =
        async move { replay.await.map_err(|stopped| stopped.to_string()).and_then(|replayed| replayed) }.boxed();

    let rejoin = |channel, input_log| Rejoin::new(channel, inner.stalls.clone(), &plan, input_log, timebase);
    let returning = |rejoin, replaying| {
        let returning = Returning::new(rejoin, replaying, meanwhile, inner.backing.journal.clone());
        State::Restoring(Box::new(returning))
    };
    let absent = |last: Ticks| (timebase.now() - last).as_duration() > LONGEST_ABSENCE;
    let app = inner.settings.apps.get(&plan.app);
    if let Some(app) = app.filter(|_| !absent(made)) {
        return Ok(Actor::new(returning(rejoin(Arc::clone(&app.channel), input_log), replaying), commands));
    }
    // The row may lag behind; the journal knows when the worker was there last. Where nobody was in the channel neither knows it, since
    // nothing is made then, and the recording waits as long as its caller wants.
    let waits = |replayed: &Replayed| {
        let until = replayed.idle_since().map(|since| since + Ticks::from_duration(plan.idle.after));
        until.is_some_and(|until| until > timebase.now())
    };
    let state = match (replaying.await?, app) {
        (Replay::LostJournal(lost), _) => State::LostJournal(lost),
        (Replay::Done(replayed), Some(app)) if !absent(replayed.last) || waits(&replayed) => {
            let replaying = std::future::ready(Ok(Replay::Done(replayed))).boxed();
            returning(rejoin(Arc::clone(&app.channel), input_log), replaying)
        }
        (Replay::Done(replayed), app) => {
            let unserved = || channel::JoinError::Unreachable("this worker does not serve the app any more".into());
            let cause = app.map_or_else(|| Cause::Unreached(unserved()), |_| Cause::Away);
            let ending = if replayed.finished.is_some() {
                replayed.end_with_the_crash(input_log, cause).await
            } else {
                let now = timebase.now();
                let unheard = Unheard { began: now, until: now, trouble: None, idle_until: None };
                unheard.end(*replayed, input_log, cause).await
            };
            State::Ending(Box::new(ending))
        }
    };
    Ok(Actor::new(state, commands))
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
    let joining = Joining::new(context, uploads, input_log, &app.channel, enter);
    Ok(Actor::new(State::Joining(Box::new(joining)), commands))
}
