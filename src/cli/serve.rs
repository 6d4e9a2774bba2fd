//! `cloud-recorder serve`: one worker with everything that its configuration asks for.

mod banner;
mod channel_events;
mod descriptors;
pub(super) mod development;
mod directory;
mod housekeeping;
mod logging;
mod notify;
mod private;
mod rule_keeper;
mod signals;
mod token_checked_channel;
mod worker;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use tokio::runtime::Runtime;

use notify::Notifier;
pub(super) use signals::{SignalAction, Signals};
pub(super) use worker::{Worker, receiver};

use super::config::{EXPLAINED, load};
use crate::config::{Config, LogFormat};

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
        Some(file) => (load(file, EXPLAINED)?, None),
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
    refuse_examples(&config)?;
    let runtime = runtime(config.server.log_format)?;
    logging::follow(config.server.log.as_deref()).context("server.log")?;
    runtime.block_on(async {
        let mut signals = Signals::listen()?;
        let notifier = Notifier::from_environment();
        let worker = Worker::start(config.clone(), made.is_some()).await?;
        // A worker whose banner nobody reads works all the same.
        if let Err(unread) = banner::print(&config, &worker, made.as_deref()) {
            tracing::debug!("the banner was not printed: {unread}");
        }
        started(&config, &worker);
        notifier.ready();
        while signals.wait().await == SignalAction::Reload {
            notifier.reloading();
            reload(args.config.as_deref().or(made.as_deref()), &worker);
            notifier.ready();
        }
        notifier.stopping();
        leave(worker, Duration::from_secs(config.server.drain_seconds.into()), &mut signals).await;
        tracing::info!("stopped");
        Ok(ExitCode::SUCCESS)
    })
}

/// The log's first line.
fn started(config: &Config, worker: &Worker) {
    let addresses = [("http", Some(worker.http)), ("udp", worker.udp), ("bucket", worker.bucket)];
    let addresses = addresses.into_iter().filter_map(|(port, address)| Some(format!("{port}={}", address?)));
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        pid = std::process::id(),
        ports = addresses.collect::<Vec<_>>().join(" "),
        data_dir = %config.server.data_dir.display(),
        apps = config.apps.len(),
        "started"
    );
}

/// Reads the configuration again, and takes from it what a running worker can: a file that can't be used changes nothing.
fn reload(file: Option<&Path>, worker: &Worker) {
    let Some(file) = file else { return };
    let config = match load(file, EXPLAINED) {
        Ok(config) => config,
        Err(error) => return tracing::error!(%error, "the configuration was not read again"),
    };
    if let Err(error) = refuse_examples(&config) {
        return tracing::error!(%error, "the configuration was not read again");
    }
    if let Err(error) = logging::follow(config.server.log.as_deref()) {
        return tracing::error!(%error, "the configuration was not read again: server.log");
    }
    worker.reload(&config);
    tracing::info!(
        file = %file.display(),
        "read again: the apps' REST credentials, requests_per_second, allowed_origins, and server.log; all else needs a restart"
    );
}

/// Examples of secrets are no secrets.
fn refuse_examples(config: &Config) -> anyhow::Result<()> {
    let (examples, ports) = (config.examples(), config.open_ports());
    if let (false, Some(port)) = (examples.is_empty(), ports.first()) {
        anyhow::bail!(
            "{} hold examples that everybody knows, and {port} is reached from elsewhere; set secrets of your own (`cloud-recorder token \
             hash-secret --generate` makes one), or listen on loopback only",
            examples.join(", ")
        );
    }
    Ok(())
}

/// The runtime and the log of a worker; nothing that is made from here on can be read by others.
pub(super) fn runtime(format: LogFormat) -> anyhow::Result<Runtime> {
    private::make_private();
    logging::start(format);
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
