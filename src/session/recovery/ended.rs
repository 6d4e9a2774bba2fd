//! A recording that is over as the store has it when a worker starts, and of which something is not in its bucket.

use std::sync::Arc;

use tokio::sync::watch;

use crate::session::Report;
use crate::session::command::Commands;
use crate::session::ending::LastLog;
use crate::session::endpoint;
use crate::session::event_dedup::EventDedup;
use crate::session::inner::{Inner, from_row};
use crate::session::plan::Plan;
use crate::session::registry::{Entry, Listed};
use crate::session::sealed;
use crate::session::upload::UploadWatch;
use crate::store::SessionRow;

/// See the module's documentation. One that is away is found by callers from here on: they may have fresh keys for it.
pub(super) struct EndedSession {
    plan: Plan,
    report: watch::Sender<Report>,
    commands: Commands,
    sealed: Option<Vec<u8>>,
    listed: Option<Listed>,
}

impl EndedSession {
    /// Lists a recording that is away.
    pub(super) fn list(inner: &Inner, row: SessionRow) -> Result<Self, String> {
        let known = from_row(&row);
        let plan = serde_json::from_value::<Plan>(row.session.request);
        let (Some(report), Ok(plan)) = (known, plan) else { return Err("its row can't be read".into()) };
        let away = report.is_away();
        let (report, seen) = watch::channel(report);
        let (commands, event_dedup) = Commands::channel();
        let entry = away.then(|| Arc::new(Entry::new(plan.app.clone(), seen, commands)));
        let listed = entry.map(|entry| inner.registry.insert(plan.sid.clone(), entry));
        Ok(Self { plan, report, commands: event_dedup, sealed: row.session.sealed, listed })
    }

    /// Opens spool and bucket, and sends what the spool holds on its way. The recording is on the list for as long as the guard lives.
    pub(super) async fn open(self, inner: &Inner) -> Result<(LastLog, Commands, Option<Listed>), String> {
        let Self { plan, report, commands, sealed, listed } = self;
        let sealed = sealed.ok_or("the keys of its bucket are not in the database")?;
        let (destination, abilities) = sealed::open(&inner.backing.sealer, &sealed)
            .map_err(|error| format!("the keys of its bucket can't be read: {error}"))?;
        let context = inner.context(plan, report).map_err(|error| error.to_string())?;
        let event_dedup =
            EventDedup::load(&context.store, &context.plan.sid).await.map_err(|error| error.to_string())?;
        let left = context.spool.list().await.map_err(|error| error.to_string())?;
        // Its final playlists name what was in such a file, and there is no journal to make it again.
        if context.spool.damaged().await.map_err(|error| error.to_string())? > 0 {
            return Err("a file of it in the spool is damaged".into());
        }
        let app = inner.settings.apps.get(&context.plan.app);
        let bucket = endpoint::connect(app, &destination, inner.backing.uploader.destinations());
        bucket.learn(abilities);
        let uploads = inner.backing.uploader.spawn(bucket, context.spool.clone());
        uploads.0.resume(left);
        Ok((LastLog::new(context, uploads, UploadWatch::default(), event_dedup), commands, listed))
    }
}
