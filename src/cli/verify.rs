//! `cloud-recorder verify`: is a recording complete and consistent? Says in words what is wrong.
//!
//! With a playlist that playlist's timeline is checked, with a manifest every playlist's. Where there is a manifest, beside it:
//! every object's size and SHA-256, the lengths, the whole files' packets, the ledger, the event log.

mod check;
mod events;
mod ledger;
mod manifest;
mod objects;
mod place;
mod playlist;
mod report;
mod whole;

use std::process::ExitCode;

use anyhow::Context;

pub(super) use check::check;
pub(super) use place::Place;
pub(super) use report::Report;

/// Arguments of `verify`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A playlist (.m3u8) or a manifest (_manifest.json): a file, or an http(s) URL; everything it needs is looked for beside it
    #[arg(value_name = "URL_OR_FILE")]
    place: String,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let place = Place::parse(&args.place).context("this can't be verified")?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let report = runtime.block_on(check(&place));
    if args.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        print(&args.place, &report);
    }
    Ok(if report.sound { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn print(place: &str, report: &Report) {
    let sound = if report.sound { "sound" } else { "NOT sound" };
    println!("{place} is {sound}");
    println!(
        "  {} playlists, {} segments, {} packets, {:.3} s, {} bytes",
        report.playlists, report.segments, report.packets, report.seconds, report.bytes
    );
    match report.manifest_objects {
        Some(count) => println!("  manifest: sizes and SHA-256 of {count} objects compared"),
        None => println!("  manifest: none beside the playlist; only the playlist's own timeline was checked"),
    }
    if report.files > 0 {
        println!("  whole files: the packets of {} compared with the segments", report.files);
    }
    if let Some(count) = report.events {
        println!("  event log: {count} events");
    }
    if let Some(verdict) = &report.verdict {
        println!("  the recording's own verdict: {verdict}");
    }
    for problem in &report.problems {
        println!("  - {}: {}", problem.object, problem.what);
    }
    if report.more_problems > 0 {
        println!("  … and {} problems more", report.more_problems);
    }
}
