//! `cloud-recorder reference`: what this version understands, for programs and people.

use std::process::ExitCode;

use super::output;
use crate::api::openapi;
use crate::config;

/// Arguments of `reference`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Of what
    #[arg(value_name = "WHAT")]
    what: What,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum What {
    /// The REST API, as an OpenAPI 3.1 document
    Openapi,
    /// Every key of the configuration, as Markdown
    Config,
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    match args.what {
        What::Openapi => output::line(format_args!("{}", openapi::TEXT.trim_end()))?,
        What::Config => output::line(format_args!("{}", config::reference()?.trim_end_matches('\n')))?,
    }
    Ok(ExitCode::SUCCESS)
}
