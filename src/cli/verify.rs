//! `cloud-recorder verify`: is a recording complete and consistent? Says in words what is wrong.

mod check;
mod manifest;
mod place;

use std::process::ExitCode;

use anyhow::Context;

pub(super) use check::{Report, check};
pub(super) use place::Place;

/// Arguments of `verify`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The playlist: a file, or an http(s) URL; everything it needs is looked for beside it
    #[arg(value_name = "PLAYLIST_URL_OR_FILE")]
    playlist: String,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let place = Place::parse(&args.playlist).context("this can't be verified")?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let report = runtime.block_on(check(&place));
    if args.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        print(&args.playlist, &report);
    }
    Ok(if report.sound { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn print(playlist: &str, report: &Report) {
    let verdict = if report.sound { "sound" } else { "NOT sound" };
    println!("{playlist} is {verdict}");
    println!(
        "  {} segments, {} packets, {:.3} s, {} bytes",
        report.segments, report.packets, report.seconds, report.bytes
    );
    match report.manifest_objects {
        Some(count) => println!("  manifest: sizes and SHA-256 of {count} objects compared"),
        None => println!("  manifest: none beside the playlist"),
    }
    for problem in &report.problems {
        println!("  - {}: {}", problem.object, problem.what);
    }
    if report.more_problems > 0 {
        println!("  … and {} problems more", report.more_problems);
    }
}
