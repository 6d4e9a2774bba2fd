//! Parses the command line and calls [`cloud_recorder::cli`].

use std::process::ExitCode;

fn main() -> ExitCode {
    cloud_recorder::cli::run()
}
