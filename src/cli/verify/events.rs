//! The event log in the bucket: every sequence number from 0 on, each line naming the one before it ([`chain`]), and the last word is
//! that the session is over. Where it was over with parts of it in the backup alone, what is told of their way home follows. Log and
//! manifest are as the digest object says.

mod chain;

use std::time::Duration;

use bytes::Bytes;
use serde::Deserialize;
use tokio::time::sleep;

use super::digest::{self, Digest, MAX_DIGEST};
use super::location::{Place, ReadError};
use super::manifest::{Manifest, events_beside, word};
use super::report::{Kind, Report};
use crate::units::EventType;

/// Largest event log in bytes.
const MAX_LOG: usize = 256 << 20;

/// What may follow the session's exit: events of uploads, up to their end.
const WAITING_FOR_PRIMARY: [EventType; 5] =
    [EventType::Error, EventType::Warning, EventType::FileInfos, EventType::UploadingProgress, EventType::Uploaded];

/// The log's last lines, and then the digest, are written right after the recording's end: how often what lacks them is read again, and
/// the pause before each.
const LOOKS: u32 = 4;
const PAUSE: Duration = Duration::from_millis(500);

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    event_type: u16,
    payload: Payload,
}

impl Line {
    fn is(&self, event_type: EventType) -> bool {
        self.event_type == event_type.number()
    }
}

#[derive(Debug, Deserialize)]
struct Payload {
    sequence: u64,
    #[serde(default)]
    details: Details,
}

#[derive(Debug, Default, Deserialize)]
struct Details {
    verdict: Option<String>,
}

/// Says what is wrong with the event log and with the digest that covers it and the manifest.
pub(super) async fn check(
    location: &Place,
    (manifest_name, manifest_bytes): (&str, &Bytes),
    manifest: &Manifest,
    report: &mut Report,
) {
    let (name, digest_name) = (&events_beside(manifest_name), &digest::beside(manifest_name));
    let mut looks = 0;
    let (log, digest) = loop {
        let log = location.read(name, MAX_LOG).await;
        let digest = match location.read(digest_name, MAX_DIGEST).await {
            Err(ReadError::Missing) if !manifest.is_hashed() => None,
            digest => Some(digest),
        };
        let ended = log.as_ref().is_ok_and(|log| exit(&parse(log).0).is_some());
        let written = !matches!(digest, Some(Err(ReadError::Missing)));
        if log.is_err() || (ended && written) || looks == LOOKS {
            break (log, digest);
        }
        looks += 1;
        sleep(PAUSE).await;
    };
    let log = log.map_err(|error| report.add(error.kind(), name, &format!("the recording's event log: {error}"))).ok();
    if let Some(log) = &log {
        let (lines, mut said) = parse(log);
        said.extend(complaints(&lines, manifest));
        said.extend(chain::complaints(log, manifest));
        report.events = Some(lines.len() as u64);
        said.iter().for_each(|what| report.add(Kind::Events, name, what));
    }
    match digest {
        None => report.notes.push(
            "the recording was made by a version that wrote no hashes of event log and manifest: changes in these two can't be seen"
                .into(),
        ),
        Some(Err(ReadError::Missing)) => report.add(
            Kind::Missing,
            digest_name,
            "it is missing, so nothing covers manifest and event log: it was removed, or the recording's last upload is not done",
        ),
        Some(Err(error)) => report.add(error.kind(), digest_name, &error),
        Some(Ok(bytes)) => match Digest::parse(&bytes) {
            Err(what) => report.add(Kind::Malformed, digest_name, &what),
            Ok(digest) => {
                digest.check(digest_name, manifest_name, manifest_bytes, report);
                if let Some(log) = &log {
                    digest.check(digest_name, name, log, report);
                }
            }
        },
    }
}

fn parse(bytes: &[u8]) -> (Vec<Line>, Vec<String>) {
    let (mut lines, mut said) = (Vec::new(), Vec::new());
    for (number, line) in bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).enumerate() {
        match serde_json::from_slice(line) {
            Ok(line) => lines.push(line),
            Err(_) => said.push(format!("line {} is no event", number + 1)),
        }
    }
    (lines, said)
}

fn complaints(lines: &[Line], manifest: &Manifest) -> Vec<String> {
    let mut said = Vec::new();
    let mut next = 0;
    for line in lines {
        let sequence = line.payload.sequence;
        if sequence > next {
            let last = sequence - 1;
            said.push(if next == last {
                format!("event {next} is missing")
            } else {
                format!("events {next} to {last} are missing")
            });
        } else if sequence < next {
            said.push(format!("event {sequence} comes after event {}", next - 1));
        }
        next = next.max(sequence.saturating_add(1));
    }
    match (exit(lines), lines.last()) {
        (_, None) => said.push("it holds no events".into()),
        (None, Some(line)) => said.push(format!(
            "its last event is number {}, of type {}, and not the session's exit (type {}): the log is cut short",
            line.payload.sequence,
            line.event_type,
            EventType::SessionExit.number()
        )),
        (Some(exit), _) => {
            let (wait, own) = (exit.payload.details.verdict.as_deref(), manifest.verdict.map(|own| word(&own)));
            if let (Some(wait), Some(own)) = (wait, own)
                && wait != own
            {
                said.push(format!("its last event says that the recording is {wait}, the manifest says {own}"));
            }
        }
    }
    said
}

/// The session's exit, if it is the last word, or the last but for those of a way home that came to its end.
fn exit(lines: &[Line]) -> Option<&Line> {
    let location = lines.iter().rposition(|line| line.is(EventType::SessionExit))?;
    let after = &lines[location + 1..];
    let home = after.iter().any(|line| line.is(EventType::Uploaded));
    let on_the_way = |line: &Line| WAITING_FOR_PRIMARY.iter().any(|event_type| line.is(*event_type));
    let fits = after.iter().all(on_the_way) && (home || after.is_empty());
    fits.then(|| &lines[location])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exit_of(types: &[u16]) -> Option<u64> {
        let payload = |sequence| Payload { sequence, details: Details::default() };
        let line = |(sequence, event_type): (u64, &u16)| Line { event_type: *event_type, payload: payload(sequence) };
        let lines: Vec<Line> = (0..).zip(types).map(line).collect();
        exit(&lines).map(|line| line.payload.sequence)
    }

    #[test]
    fn only_a_way_home_that_came_to_its_end_follows_the_exit() {
        assert_eq!(exit_of(&[40, 41, 31, 11]), Some(3));
        assert_eq!(exit_of(&[41, 32, 11, 4, 2, 33, 31]), Some(2));
        for cut in [&[40, 41][..], &[41, 32, 11, 4], &[41, 11, 43, 31], &[]] {
            assert_eq!(exit_of(cut), None, "{cut:?}");
        }
    }
}
