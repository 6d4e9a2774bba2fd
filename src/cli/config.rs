//! `cloud-recorder config`: is this file right, and what is in force with it?

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::output;
use crate::config::{Config, ConfigError};

/// Arguments of `config`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The file to check
    #[arg(long, short, value_name = "FILE")]
    config: PathBuf,
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let config = load(&args.config, EXPLAINED)?;
    output::line(format_args!(
        "# In force with {}: the file, the environment over it, and what nothing was said of. Secrets are left out.",
        args.config.display()
    ))?;
    output::line(format_args!("{}", config.shown().trim_end()))?;
    Ok(ExitCode::SUCCESS)
}

/// What helps where a file's text is wrong.
pub(super) const EXPLAINED: &str = "`cloud-recorder reference config` explains every key";

/// Reads a configuration with the environment over it. An error names the file once, where the file is to blame, and what helps.
pub(super) fn load(path: &Path, remedy: &str) -> anyhow::Result<Config> {
    Config::load(path, std::env::vars()).map_err(|error| match error {
        ConfigError::Read { .. } | ConfigError::Environment { .. } => error.into(),
        ConfigError::Parse(_) => anyhow::anyhow!("{}, {error}; {remedy}", path.display()),
        ConfigError::Invalid { .. } => anyhow::anyhow!("{}: {error}", path.display()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_named_once_with_what_helps() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("worker.toml");
        let said = |text: Option<&str>| {
            if let Some(text) = text {
                std::fs::write(&path, text).unwrap();
            }
            let words = load(&path, EXPLAINED).unwrap_err();
            let words = format!("{words:#}");
            assert_eq!(words.matches("worker.toml").count(), 1, "{words}");
            words
        };
        let missing = said(None);
        assert!(missing.starts_with("can't read ") && !missing.contains("explains"), "{missing}");
        let unknown = said(Some("[server]\nlisten_on = 1\n"));
        assert!(unknown.contains("worker.toml, line 2, column 1: unknown field `listen_on`"), "{unknown}");
        assert!(unknown.ends_with("explains every key"), "{unknown}");
        let none = said(Some(""));
        assert!(none.ends_with("worker.toml: apps: at least one [[apps]] entry is needed"), "{none}");
    }
}
