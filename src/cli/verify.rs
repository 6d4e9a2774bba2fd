//! `cloud-recorder verify`: is a recording complete and consistent? Says in words what is wrong.
//!
//! With a playlist that playlist's timeline is checked, with a manifest every playlist's. And by the manifest: every object's size and
//! SHA-256, the lengths, the whole files' packets, the ledger, the event log and the chain of its lines, and the digest object that
//! covers log and manifest. A recording that ended has a manifest; one that runs has none yet, and is not sound yet either.

mod check;
mod digest;
mod events;
mod ledger;
mod location;
mod manifest;
mod objects;
mod playlist;
mod report;
mod whole;

use std::process::ExitCode;

use anyhow::Context;

use super::output::{self, OutputError};

pub(super) use check::{Scope, check};
pub(super) use location::Place;
pub(super) use report::Report;

/// Arguments of `verify`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A playlist (.m3u8) or a manifest (_manifest.json): a file, or an http(s) URL; everything it needs is looked for beside it
    #[arg(value_name = "URL_OR_FILE")]
    location: String,
    /// Check the playlist's own timeline and nothing else: of what `replay` wrote, which has no manifest
    #[arg(long)]
    playlist_only: bool,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let location = Place::parse(&args.location).context("this can't be verified")?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let report =
        runtime.block_on(check(&location, if args.playlist_only { Scope::Playlist } else { Scope::Recording }));
    if args.json {
        output::line(format_args!("{}", serde_json::to_string_pretty(&report)?))?;
    } else {
        print(&args.location, &report)?;
    }
    Ok(if report.sound { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn print(location: &str, report: &Report) -> Result<(), OutputError> {
    let sound = if report.sound { "sound" } else { "NOT sound" };
    output::line(format_args!("{location} is {sound}"))?;
    output::line(format_args!(
        "  {} playlists, {} segments, {} packets, {:.3} s, {} bytes",
        report.playlists, report.segments, report.packets, report.seconds, report.bytes
    ))?;
    match report.manifest_objects {
        Some(count) => output::line(format_args!("  manifest: sizes and SHA-256 of {count} objects compared"))?,
        None => output::line(format_args!("  manifest: none was read; only the playlist's own timeline was checked"))?,
    }
    if report.files > 0 {
        output::line(format_args!("  whole files: the packets of {} compared with the segments", report.files))?;
    }
    if let Some(count) = report.events {
        output::line(format_args!("  event log: {count} events"))?;
    }
    if let Some(verdict) = &report.verdict {
        output::line(format_args!("  the recording's own verdict: {verdict}"))?;
    }
    for note in &report.notes {
        output::line(format_args!("  note: {note}"))?;
    }
    for problem in &report.problems {
        output::line(format_args!("  - {}: {}", problem.object, problem.what))?;
    }
    if report.more_problems > 0 {
        output::line(format_args!("  … and {} problems more", report.more_problems))?;
    }
    Ok(())
}
