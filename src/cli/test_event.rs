//! `cloud-recorder test-event`: sends the configured callback receiver a signed test event and says what it made of it.
//!
//! Exit codes: 0 the receiver answered 2xx, 1 it did not or there is none, 2 wrong usage.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;

use super::config::{EXPLAINED, load};
use super::output;
use super::serve::receiver;
use crate::callback::{DEFAULT_TEST_EVENT, TestEventResult, test_once};
use crate::config::{App, Config};
use crate::units::AppId;

/// Arguments of `test-event`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The worker's configuration
    #[arg(long, short, value_name = "FILE")]
    config: PathBuf,
    /// Whose receiver; not needed where the configuration has one app
    #[arg(long, value_name = "APPID")]
    app: Option<AppId>,
    /// Which event, by its number; docs/events.md has them
    #[arg(long, value_name = "NUMBER", default_value_t = DEFAULT_TEST_EVENT)]
    event: u16,
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let config = load(&args.config, EXPLAINED)?;
    let app = chosen(&config, args.app.as_ref())?;
    let target = receiver(app).with_context(|| {
        format!("app {} has no receiver: set callback_url and callback_secret in {}", app.id, args.config.display())
    })?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let test_event = runtime.block_on(test_once(&target, &app.id, args.event))?;
    let host = target.url.host_str().unwrap_or_default();
    output::line(format_args!("Event {} for app {} to {}://{host}/…", args.event, app.id, target.url.scheme()))?;
    output::line(format_args!("{}", describe(&test_event).trim_end()))?;
    if !target.recording.has(args.event) {
        output::line(format_args!(
            "\nNote: callback_events leaves event {} out, so real ones are not sent.",
            args.event
        ))?;
    }
    Ok(if test_event.outcome.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The app that is meant.
fn chosen<'a>(config: &'a Config, wanted: Option<&AppId>) -> anyhow::Result<&'a App> {
    match (wanted, config.apps.as_slice()) {
        (Some(wanted), apps) => {
            apps.iter().find(|app| app.id == *wanted).with_context(|| format!("the configuration has no app {wanted}"))
        }
        (None, [only]) => Ok(only),
        (None, _) => anyhow::bail!("the configuration has several apps; name one with --app"),
    }
}

/// What came of it, and what a receiver has to do.
fn describe(test_event: &TestEventResult) -> String {
    let outcome = match &test_event.outcome {
        Ok(status) => format!("{status}: the receiver has it"),
        Err(problem) => format!("failed: {problem}"),
    };
    format!(
        "Answer    {outcome}\n\
         Time      {} ms (a receiver has 10 s)\n\
         noticeId  {}\n\
         Body      {}\n\
         \n\
         A receiver should\n\
         - compute HMAC-SHA256 over the raw body with callback_secret and compare it, in hexadecimal digits, with Agora-Signature-V2\n  \
           (Agora-Signature is the same with HMAC-SHA1); only this shows that the event is from here;\n\
         - answer 200 (any 2xx will do) at once and work afterwards: any other status, a redirect too, means that it is sent again;\n\
         - know an event that comes twice by its noticeId, and drop tests: \"test\":true in payload.details.\n",
        test_event.took.as_millis(),
        test_event.notice_id,
        test_event.body,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_app_needs_no_name() {
        let text = include_str!("../../deploy/cloud-recorder.toml");
        let mut config = Config::parse(text, std::iter::empty()).unwrap();
        let id = config.apps[0].id.clone();
        assert_eq!(chosen(&config, None).unwrap().id, id);
        let other = AppId::new(&"b".repeat(32)).unwrap();
        assert!(chosen(&config, Some(&other)).unwrap_err().to_string().contains("no app bbbb"));
        let mut second = config.apps[0].clone();
        second.id = other.clone();
        config.apps.push(second);
        assert!(chosen(&config, None).unwrap_err().to_string().contains("--app"));
        assert_eq!(chosen(&config, Some(&other)).unwrap().id, other);
    }
}
