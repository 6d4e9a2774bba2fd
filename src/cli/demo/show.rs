//! What the demo prints: a table for people, the same as JSON for machines.

use serde::Serialize;
use serde_json::Value;

use super::checks::Check;
use super::cost::Cost;
use crate::cli::output::{self, OutputError};

/// What came of the demo.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Outcome {
    pub(super) checks: Vec<Check>,
    /// URLs of the playlists in the bucket.
    pub(super) playlists: Vec<String>,
    /// Where bucket, journal and database lie.
    pub(super) folder: String,
    /// From the answer to start until the first audio of the mix, in milliseconds; negative when it came before the answer.
    pub(super) first_audio_ms: Option<i64>,
    pub(super) cost: Cost,
    /// From the call of stop until event 11, mix and individual, in milliseconds.
    pub(super) stop_to_exit_ms: [Option<u64>; 2],
}

impl Outcome {
    pub(super) fn passed(&self) -> bool {
        self.checks.iter().all(|check| check.passed)
    }
}

/// The table.
pub(super) fn print(outcome: &Outcome) -> Result<(), OutputError> {
    output::line(format_args!(""))?;
    for check in &outcome.checks {
        let mark = if check.passed { "ok  " } else { "FAIL" };
        output::line(format_args!("{mark} {:<64} {}", check.what, check.seen))?;
    }
    output::line(format_args!(""))?;
    for playlist in &outcome.playlists {
        output::line(format_args!("     {playlist}"))?;
    }
    output::line(format_args!("     below {}: bucket, journal, spool and database", outcome.folder))?;
    let ms = |value: Option<i64>| value.map_or_else(|| "never".to_owned(), |ms| format!("{ms} ms"));
    output::line(format_args!("     first audio {} after start's answer", ms(outcome.first_audio_ms)))?;
    let [mix, individual] = outcome.stop_to_exit_ms.map(|value| ms(value.and_then(|ms| i64::try_from(ms).ok())));
    output::line(format_args!("     event 11 {mix} (mix) and {individual} (individual) after the call of stop"))?;
    let Cost { mixed_second_ms, stream_second_ms, process_second_ms } = outcome.cost;
    output::line(format_args!(
        "     CPU: {mixed_second_ms:.2} ms a second of a two-talker mix, {stream_second_ms:.3} ms a second of one track"
    ))?;
    output::line(format_args!(
        "     (the core alone, over the captured inputs); {process_second_ms:.0} ms a second for the whole process"
    ))?;
    let failed = outcome.checks.iter().filter(|check| !check.passed).count();
    output::line(format_args!("\n{} of {} checks passed", outcome.checks.len() - failed, outcome.checks.len()))
}

/// How much a query's answer says is in the bucket.
pub(super) fn stored(response: &Value) -> String {
    let count = |key: &str| response[key].as_u64();
    match (count("segmentsStored"), count("segmentsMade")) {
        (Some(stored), Some(made)) => format!("{stored} of {made} segments in the bucket"),
        _ => format!("{}", response["fileList"]),
    }
}
