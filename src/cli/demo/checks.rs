//! Is what the demo recorded what was said? Each check says what it looked at, so that a failure can be understood.

use anyhow::Context;
use serde::Serialize;
use serde_json::Value;

use super::receiver::Callback;
use super::sound::Sound;
use super::talkers::{Talked, VOICES, Voice};
use crate::cli::verify::{self, Place};
use crate::codec::playlist::Playlist;
use crate::units::{EventType, WallMs};

/// How far from a join or a leave by the wall clock a voice may begin or end, in seconds: the handshakes of a subscriber.
const EDGE: f64 = 1.5;

/// The share of the windows of a voice's time that must hold its tone.
const PRESENT: f64 = 0.95;

/// The share of the windows outside a voice's time that may hold its tone.
const ABSENT: f64 = 0.02;

/// The loudest sample that a mix may hold, in dB below full scale: the limiter's -1 dB and what Opus adds.
const PEAK_DBFS: f64 = 0.0;

/// The bytes of one segment that are read at most.
const MAX_OBJECT: usize = 16 * 1024 * 1024;

/// One question and its answer.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Check {
    /// What was asked.
    pub(super) what: String,
    /// Whether the answer is the right one.
    pub(super) passed: bool,
    /// What was seen.
    pub(super) seen: String,
}

impl Check {
    pub(super) fn new(what: impl Into<String>, passed: bool, seen: impl Into<String>) -> Self {
        Self { what: what.into(), passed, seen: seen.into() }
    }
}

/// A playlist in the bucket, read and decoded.
pub(super) struct Listened {
    pub(super) url: String,
    sound: Sound,
    start: WallMs,
    seconds: f64,
    verified: verify::Report,
}

/// Reads, verifies and decodes a finished playlist.
pub(super) async fn listen(url: &str) -> anyhow::Result<Listened> {
    let place = Place::parse(url)?;
    let verified = verify::check(&place, verify::Scope::Recording).await;
    let text = place.read(&place.name, MAX_OBJECT).await.with_context(|| format!("{url} can't be read"))?;
    let playlist = Playlist::parse(std::str::from_utf8(&text)?)?;
    let mut segments = Vec::new();
    for entry in &playlist.entries {
        segments
            .push(place.read(&entry.name, MAX_OBJECT).await.with_context(|| format!("{} can't be read", entry.name))?);
    }
    let sound = Sound::decode(&segments)?;
    Ok(Listened { url: url.to_owned(), sound, start: playlist.start, seconds: playlist.end().as_secs_f64(), verified })
}

impl Listened {
    /// Complete, consistent, and as long as the recording was.
    pub(super) fn whole(&self, name: &str, stop_called: WallMs, stop_answered: WallMs) -> Vec<Check> {
        let problems: Vec<_> = self.verified.problems.iter().map(|problem| problem.what.clone()).collect();
        let seen = if problems.is_empty() {
            format!("{} segments, {} packets", self.verified.segments, self.verified.packets)
        } else {
            problems.join("; ")
        };
        let (least, most) = (span(self.start, stop_called), span(self.start, stop_answered));
        let fits = self.seconds > least - 0.02 && self.seconds < most + 0.02;
        vec![
            Check::new(format!("{name}: complete and consistent"), self.verified.sound, seen),
            Check::new(
                format!("{name}: as long as the wall clock says"),
                fits,
                format!("{:.3} s, between {least:.3} and {most:.3} s", self.seconds),
            ),
        ]
    }

    /// Everybody who should be heard is heard, when they talked and only then.
    pub(super) fn voices(&self, name: &str, expected: &[Talked]) -> Vec<Check> {
        let heard = |voice: &Voice| {
            let talked = expected.iter().find(|talked| talked.voice.uid == voice.uid);
            match talked {
                Some(talked) => self.heard_when_talking(name, talked),
                None => {
                    let share = self.sound.share_with(voice.hertz, 0.0, self.seconds);
                    Check::new(format!("{name}: without {}", voice.name), share <= ABSENT, percent(share))
                }
            }
        };
        VOICES.iter().map(heard).collect()
    }

    /// Nothing clips.
    pub(super) fn level(&self, name: &str) -> Check {
        let peak = self.sound.peak_dbfs();
        Check::new(format!("{name}: does not clip"), peak < PEAK_DBFS, format!("peak {peak:.1} dBFS"))
    }

    fn heard_when_talking(&self, name: &str, talked: &Talked) -> Check {
        let (from, to) = (span(self.start, talked.from), span(self.start, talked.to).min(self.seconds));
        let present = self.sound.share_with(talked.voice.hertz, from + EDGE, to - EDGE);
        let before = self.sound.share_with(talked.voice.hertz, 0.0, from - EDGE);
        let after = self.sound.share_with(talked.voice.hertz, to + EDGE, self.seconds);
        Check::new(
            format!("{name}: {} from {:.1} to {to:.1} s and at no other time", talked.voice.name, from.max(0.0)),
            present >= PRESENT && before <= ABSENT && after <= ABSENT,
            format!("{} then, {} before, {} after", percent(present), percent(before), percent(after)),
        )
    }
}

/// The log of a recording: complete, in order, with the events that belong to a good one.
pub(super) fn callbacks(name: &str, callbacks: &[Callback], expected: &[EventType]) -> Vec<Check> {
    let sequences: Vec<_> = callbacks.iter().map(|callback| callback.payload.sequence).collect();
    let in_order = sequences.iter().copied().eq(0..sequences.len() as u64);
    let types: Vec<_> = callbacks.iter().map(|callback| callback.event_type).collect();
    let missing: Vec<_> =
        expected.iter().map(|wanted| wanted.number()).filter(|wanted| !types.contains(wanted)).collect();
    let errors =
        callbacks.iter().filter(|callback| callback.is(EventType::Error)).map(|callback| &callback.payload.details);
    let errors: Vec<_> = errors.map(Value::to_string).collect();
    vec![
        Check::new(format!("{name}: callbacks in order, none missing"), in_order, format!("{types:?}")),
        Check::new(
            format!("{name}: the story is complete"),
            missing.is_empty() && errors.is_empty(),
            if missing.is_empty() { errors.join("; ") } else { format!("no event {missing:?}") },
        ),
    ]
}

/// The ledger in a manifest: nothing missing.
pub(super) fn ledger(name: &str, manifest: &Value) -> Check {
    let uids = manifest["ledger"]["uids"].as_array().map(Vec::as_slice).unwrap_or_default();
    let line = |uid: &Value| {
        format!(
            "{}: expected {} recorded {} concealed {} missing {} ms",
            uid["uid"].as_str().unwrap_or("?"),
            uid["expectedMs"],
            uid["recordedMs"],
            uid["concealedMs"],
            uid["missingMs"]
        )
    };
    let seen = uids.iter().map(line).collect::<Vec<_>>().join("; ");
    let complete = manifest["verdict"] == "complete" && uids.len() == VOICES.len();
    Check::new(format!("{name}: the ledger says complete"), complete, seen)
}

/// Seconds from `from` to `to`; negative when `to` comes first.
fn span(from: WallMs, to: WallMs) -> f64 {
    (to.0 as f64 - from.0 as f64) / 1000.0
}

fn percent(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}
