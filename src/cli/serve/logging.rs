//! The log: to standard error, filtered by `RUST_LOG`, as text or as JSON. Text has colours where standard error is a terminal and
//! `NO_COLOR` is not set.
//!
//! A healthy worker writes a line for its own start and end, for each recording's start and end, and for each change of a bucket or a
//! receiver between working and failing. Requests and attempts are at debug.
//!
//! Whatever `RUST_LOG` asks for, the parts that are handed secrets and would print them, or that call others' mistakes errors, are kept at
//! [`CAPPED`]'s levels: a log at its most verbose holds no more secrets than a quiet one.

use std::io::IsTerminal;
use std::sync::OnceLock;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::ParseError;
use tracing_subscriber::filter::{FilterExt, filter_fn};
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::{EnvFilter, Registry, reload};

use crate::config::LogFormat;

/// What is logged when `RUST_LOG` does not say otherwise: our own messages, and of the media stack nothing below an error. Its
/// warnings come with every packet of a kind that it does not know (docs/protocol/livekit.md section 10).
const DEFAULT: &str = "warn,cloud_recorder=info,rtc=error,webrtc=error,rtc_ice=error,rtc_sctp=error,rtc_dtls=error";

/// What an operator calls the program in a filter, and the crates that this means.
const PROGRAM: &str = "cloud_recorder";
const CRATES: [&str; 6] =
    [PROGRAM, "channel_client", "channel_server", "recorder_core", "recorder_edge", "recorder_storage"];

/// The most that is logged of crates whose names begin so.
const CAPPED: [(&str, LevelFilter); 2] = [
    // Keys and tokens, signed requests, answers of buckets as they came.
    ("aws_", LevelFilter::INFO),
    // A caller's wrong key is an error to it. What fails in the embedded bucket is told by our own part of it.
    ("s3s", LevelFilter::OFF),
];

/// What is logged now.
static ASKED: OnceLock<reload::Handle<EnvFilter, Registry>> = OnceLock::new();

/// What `RUST_LOG` asks for, if it does.
fn from_environment() -> Option<EnvFilter> {
    let asked = std::env::var(EnvFilter::DEFAULT_ENV).ok()?;
    EnvFilter::builder().parse(for_all_crates(&asked)).ok()
}

/// The same filter with [`PROGRAM`] and its level said of each of [`CRATES`]. What is said of a crate by its own name stays as it is.
fn for_all_crates(filter: &str) -> String {
    let directives = filter.split(',').flat_map(|directive| {
        let rest = directive.trim().strip_prefix(PROGRAM).filter(|rest| rest.is_empty() || rest.starts_with('='));
        let named = |name: &&&str| **name == PROGRAM || !filter.contains(**name);
        match rest {
            Some(rest) => CRATES.iter().filter(named).map(|name| format!("{name}{rest}")).collect(),
            None => vec![directive.to_owned()],
        }
    });
    directives.collect::<Vec<_>>().join(",")
}

/// From now on logs what the configuration says, unless `RUST_LOG` does; the default where neither does.
pub(super) fn follow(configured: Option<&str>) -> Result<(), ParseError> {
    let filter = EnvFilter::builder().parse(for_all_crates(configured.unwrap_or(DEFAULT)))?;
    if let Some(asked) = ASKED.get().filter(|_| from_environment().is_none()) {
        // Fails only where the log is gone.
        let _ = asked.reload(filter);
    }
    Ok(())
}

/// Starts the log. A second start in one process changes nothing.
pub(super) fn start(format: LogFormat) {
    let (asked, handle) =
        reload::Layer::new(from_environment().unwrap_or_else(|| EnvFilter::new(for_all_crates(DEFAULT))));
    let filter = asked.and(filter_fn(|about| *about.level() <= most(about.target())));
    let colours = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|unset| unset.is_empty());
    // A log that nobody takes is no reason to stop, and can't be told anywhere.
    let log = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).log_internal_errors(false);
    let log = match format {
        LogFormat::Text => log.with_ansi(colours).boxed(),
        LogFormat::Json => log.json().flatten_event(true).with_current_span(false).with_span_list(false).boxed(),
    };
    // Fails only where a log runs already, which is as good.
    if tracing::subscriber::set_global_default(tracing_subscriber::registry().with(log.with_filter(filter))).is_ok() {
        let _ = ASKED.set(handle);
    }
}

/// The most that is logged of a target, which is a module's path.
fn most(target: &str) -> LevelFilter {
    CAPPED.iter().find(|(name, _)| target.starts_with(name)).map_or(LevelFilter::TRACE, |(_, most)| *most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_programs_name_in_a_filter_means_all_its_crates() {
        let all = "cloud_recorder=debug,channel_client=debug,channel_server=debug,recorder_core=debug,recorder_edge=debug,recorder_storage=debug";
        assert_eq!(for_all_crates("warn, cloud_recorder=debug"), format!("warn,{all}"));
        let own = for_all_crates("cloud_recorder=info,recorder_storage=trace");
        assert!(own.ends_with(",recorder_storage=trace") && own.matches("recorder_storage").count() == 1, "{own}");
        assert_eq!(for_all_crates("cloud_recorder::session=trace"), "cloud_recorder::session=trace");
        assert_eq!(for_all_crates(""), "");
    }

    #[test]
    fn parts_that_print_secrets_are_capped_and_ours_are_not() {
        assert_eq!(most("aws_smithy_runtime::client::orchestrator"), LevelFilter::INFO);
        assert_eq!(most("s3s::ops"), LevelFilter::OFF);
        assert_eq!(most("cloud_recorder::session::live"), LevelFilter::TRACE);
    }
}
