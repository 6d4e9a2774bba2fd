//! A recording that is over as the store has it when a worker starts, and of which something is not in its bucket.

use std::sync::Arc;

use tokio::sync::{mpsc, watch};

use crate::session::Report;
use crate::session::ending::LastLog;
use crate::session::endpoint;
use crate::session::live::{Command, MAX_COMMANDS};
use crate::session::plan::Plan;
use crate::session::registry::{Entry, Listed};
use crate::session::sealed;
use crate::session::sessions::{Inner, from_row};
use crate::session::told::Told;
use crate::session::upload::Watch;
use crate::store::SessionRow;

/// See the module's documentation. One that is away is found by callers from here on: they may have fresh keys for it.
pub(super) struct Over {
    plan: Plan,
    report: watch::Sender<Report>,
    commands: mpsc::Receiver<Command>,
    sealed: Option<Vec<u8>>,
    listed: Option<Listed>,
}

impl Over {
    /// Lists a recording that is away.
    pub(super) fn list(inner: &Inner, row: SessionRow) -> Result<Self, String> {
        let known = from_row(&row);
        let plan = serde_json::from_value::<Plan>(row.session.request);
        let (Some(report), Ok(plan)) = (known, plan) else { return Err("its row can't be read".into()) };
        let away = report.is_away();
        let (report, seen) = watch::channel(report);
        let (commands, told) = mpsc::channel(MAX_COMMANDS);
        let entry = away.then(|| Arc::new(Entry::new(plan.app.clone(), seen, commands)));
        let listed = entry.map(|entry| inner.registry.insert(plan.sid.clone(), entry));
        Ok(Self { plan, report, commands: told, sealed: row.session.sealed, listed })
    }

    /// Opens spool and bucket, and sends what the spool holds on its way. The recording is on the list for as long as the guard lives.
    pub(super) async fn open(self, inner: &Inner) -> Result<(LastLog, Option<Listed>), String> {
        let Self { plan, report, commands, sealed, listed } = self;
        let sealed = sealed.ok_or("the keys of its bucket are not in the database")?;
        let (destination, abilities) = sealed::open(&inner.backing.sealer, &sealed)
            .map_err(|error| format!("the keys of its bucket can't be read: {error}"))?;
        let desk = inner.desk(plan, report).map_err(|error| error.to_string())?;
        let told = Told::load(&desk.store, &desk.plan.sid).await.map_err(|error| error.to_string())?;
        let left = desk.spool.list().await.map_err(|error| error.to_string())?;
        let app = inner.settings.apps.get(&desk.plan.app);
        let bucket = endpoint::connect(app, &destination, inner.backing.uploader.destinations());
        bucket.learn(abilities);
        let (queue, confirmations) = inner.backing.uploader.spawn(bucket, desk.spool.clone());
        queue.resume(left);
        Ok((LastLog { desk, queue, confirmations, commands, watch: Watch::default(), told }, listed))
    }
}
