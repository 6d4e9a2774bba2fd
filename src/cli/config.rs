//! `cloud-recorder config`: is this file right, and what is in force with it?

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;

use super::output;
use crate::config::Config;

/// Arguments of `config`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The file to check
    #[arg(long, short, value_name = "FILE")]
    config: PathBuf,
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let config = Config::load(&args.config, std::env::vars())
        .with_context(|| format!("{} can't be used", args.config.display()))?;
    output::line(format_args!("{config:#?}"))?;
    Ok(ExitCode::SUCCESS)
}
