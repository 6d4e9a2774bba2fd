//! The commands: one file each. Exit codes: 0 done, 1 failed (standard error says what and what to do next), 2 wrong usage, 141 the reader
//! of the output went away.

#![deny(clippy::print_stdout, clippy::print_stderr)]

mod config;
mod demo;
mod output;
mod reference;
mod replay;
mod serve;
mod test_event;
mod token;
mod verify;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// A cloud-recording worker for voice channels: REST in, Opus HLS in a bucket and signed callbacks out.
#[derive(Debug, Parser)]
#[command(name = "cloud-recorder", version, about, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the worker: REST API, channel server, bucket, pages
    Serve(serve::Args),
    /// Record three talkers here and now, and check the result
    Demo(demo::Args),
    /// Check a configuration file and print what would be in force, secrets left out
    Config(config::Args),
    /// Print the reference of the REST API or of the configuration
    Reference(reference::Args),
    /// Replay a journal through the recording core: the same playlists and ledger, faster than real time
    Replay(replay::Args),
    /// Check that a recording is complete and consistent: objects, timeline, ledger, event log
    Verify(verify::Args),
    /// Send the callback receiver a signed test event, and say what it made of it
    TestEvent(test_event::Args),
    /// Mint a channel token and print it
    Token(token::Args),
}

/// Parses the process's arguments, runs the command and says how it went.
pub fn run() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Serve(args) => serve::run(args),
        Command::Demo(args) => demo::run(&args),
        Command::Config(args) => config::run(&args),
        Command::Reference(args) => reference::run(&args),
        Command::Replay(args) => replay::run(&args),
        Command::Verify(args) => verify::run(&args),
        Command::TestEvent(args) => test_event::run(&args),
        Command::Token(args) => token::run(&args),
    };
    match outcome {
        Ok(code) => code,
        Err(error) if output::is_closed(&error) => ExitCode::from(output::CLOSED),
        Err(error) => {
            output::error(format_args!("error: {}", output::words(&error)));
            ExitCode::FAILURE
        }
    }
}
