//! A replay's report for people.

use std::collections::BTreeMap;
use std::path::Path;

use super::Report;
use crate::cli::output::{self, OutputError};
use crate::recording::TrackLedger;

/// Prints playlists and ledger.
pub(super) fn print(report: &Report, out: &Path) -> Result<(), OutputError> {
    output::line(format_args!("{} in channel {}: {:.3} s", report.sid, report.cname, report.length.as_secs_f64()))?;
    if let Some(note) = &report.note {
        output::line(format_args!("note: {note}"))?;
    }
    output::line(format_args!(""))?;
    for playlist in &report.playlists {
        output::line(format_args!("  {} ({} segments)", out.join(&playlist.name).display(), playlist.segments))?;
    }
    output::line(format_args!(""))?;
    output::line(format_args!(
        "  {:<20} {:>10} {:>10} {:>10} {:>10}  filled",
        "uid", "expected", "recorded", "concealed", "missing"
    ))?;
    for uid in &report.ledger.uids {
        output::line(format_args!(
            "  {:<20} {:>10} {:>10} {:>10} {:>10}  {}",
            uid.source.map_or_else(|| uid.uid.to_string(), |source| format!("{} ({source})", uid.uid)),
            seconds(uid.expected_ms),
            seconds(uid.recorded_ms),
            seconds(uid.concealed_ms),
            seconds(uid.missing_ms),
            filled(uid)
        ))?;
    }
    output::line(format_args!(""))?;
    for part in &report.damages {
        let (bytes, offset) = (part.bytes, part.offset);
        output::line(format_args!("damaged: {bytes} bytes at byte {offset} of the journal: {}", part.what))?;
    }
    let incomplete = if report.complete { "" } else { ", of an incomplete journal" };
    output::line(format_args!("verdict: {}{incomplete}", word(&report.verdict)))
}

fn seconds(ms: u64) -> String {
    format!("{}.{:03} s", ms / 1000, ms % 1000)
}

/// How much of the track is filled, cause by cause: `left 8.500 s, network_loss 0.340 s (9 times)`.
fn filled(uid: &TrackLedger) -> String {
    let mut causes = BTreeMap::new();
    for gap in &uid.gaps {
        let (times, ticks) = causes.entry(gap.cause).or_insert((0, 0));
        *times += 1;
        *ticks += (gap.to - gap.from).0;
    }
    let parts = causes.iter().map(|(cause, (times, ticks))| {
        let times = if *times > 1 { format!(" ({times} times)") } else { String::new() };
        format!("{} {}{times}", word(cause), seconds(ticks / crate::units::TICKS_PER_MS))
    });
    parts.collect::<Vec<_>>().join(", ")
}

/// The word that JSON has for it.
fn word(value: &impl serde::Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|word| word.as_str().map(str::to_owned)).unwrap_or_default()
}
