//! `cloud-recorder serve`: one worker with everything that its configuration asks for.

mod banner;
mod channel_news;
mod descriptors;
pub(super) mod development;
mod directory;
mod housekeeping;
mod judged;
mod logging;
mod private;
mod rule_keeper;
mod signals;
mod worker;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use tokio::runtime::Runtime;

pub(super) use signals::Signals;
pub(super) use worker::{Worker, receiver};

use crate::config::Config;

/// Arguments of `serve`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Configuration; without one a development server runs on loopback and prints its credentials
    #[arg(long, short, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Listen here instead of server.listen
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<std::net::SocketAddr>,
    /// Keep data here instead of in server.data_dir
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Also write what every session received as a fixture (journal) into this folder
    #[arg(long, value_name = "DIR")]
    capture: Option<PathBuf>,
}

pub(super) fn run(args: Args) -> anyhow::Result<ExitCode> {
    private::make_private();
    let data_dir = args.data_dir.clone().unwrap_or_else(|| development::DATA_DIR.into());
    let (mut config, made) = match &args.config {
        Some(file) => {
            let config = Config::load(file, std::env::vars()).with_context(|| {
                format!("{} can't be used; deploy/cloud-recorder.toml explains every key", file.display())
            })?;
            (config, None)
        }
        None => development::load(&data_dir).map(|(config, file)| (config, Some(file)))?,
    };
    if let Some(listen) = args.listen {
        config.server.listen = listen;
    }
    for listen in [config.server.listen, config.bucket.listen] {
        anyhow::ensure!(
            made.is_none() || listen.ip().is_loopback(),
            "a development server hands out its credentials to whoever reaches it, so it listens on loopback only; \
             give --config FILE to listen on {listen}"
        );
    }
    if let Some(data_dir) = args.data_dir {
        config.server.data_dir = data_dir;
    }
    if let Some(capture) = args.capture {
        config.server.capture_dir = Some(capture);
    }
    runtime()?.block_on(async {
        let mut signals = Signals::listen()?;
        let worker = Worker::start(config.clone(), made.is_some()).await?;
        // A worker whose banner nobody reads works all the same.
        if let Err(unread) = banner::print(&config, &worker, made.as_deref()) {
            tracing::debug!("the banner was not printed: {unread}");
        }
        signals.next().await;
        leave(worker, Duration::from_secs(config.server.drain_seconds.into()), &mut signals).await;
        Ok(ExitCode::SUCCESS)
    })
}

/// The runtime and the log of a worker; nothing that is made from here on can be read by others.
pub(super) fn runtime() -> anyhow::Result<Runtime> {
    private::make_private();
    logging::start();
    tokio::runtime::Builder::new_multi_thread().enable_all().build().context("the runtime can't start")
}

/// Lets a worker go: first those that run may end, within `patience`, while HTTP goes on answering; then the next run of the
/// worker goes on with the rest. A second signal skips the wait.
async fn leave(worker: Worker, patience: Duration, signals: &mut Signals) {
    tracing::info!(patience_s = patience.as_secs(), "told to stop: no new recordings; a second signal skips the wait");
    tokio::select! {
        () = worker.drain(patience) => {}
        () = signals.next() => worker.drain(Duration::ZERO).await,
    }
    worker.close().await;
}
