//! Is a recording that outlived its workers whole? Every check adds what it finds wrong; nothing stops at the first problem.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::HANG_LIMIT;
use crate::audio_probe::{Sound, Span};
use crate::figures::{Figures, Kills};
use crate::rest::Task;
use crate::sound_check::{VOICES, Voice};
use crate::test_env::TestEnv;
use crate::worker::BINARY;

/// One packet.
const FRAME_MS: u64 = 20;
/// What two readings of a wall clock in milliseconds may differ by.
const READ_MS: u64 = 5;
/// What a decoder leaves out at the beginning: the coder's look-ahead of 312 samples.
const LOOKAHEAD_MS: u64 = 7;
/// Invariant 5: what a kill may cost of the sound before it.
const LOST_MS: u64 = 1_000;
/// How soon after its first answer a worker must be back in its channels, on a machine that has much else to do. What it usually
/// takes is in the figures.
const BACK_MS: u64 = 2_500;
/// How soon after the start of a recording its first sound must be there.
const FIRST_SOUND_MS: u64 = 3_000;
/// Sound that is on its way when a recording ends.
const LAST_SOUND_MS: u64 = 150;
/// Silences shorter than this are one lost packet.
const BLINK_MS: u64 = 40;
/// How exactly a silence is measured.
const EDGE_MS: u64 = 80;
/// How much later than its answer a stop may take effect.
const STOP_MS: u64 = 1_500;
/// How late sound may be in its playlist: the way through a busy machine.
const MAX_LAG_MS: i64 = 120;
/// How much this may differ within a recording: what the shortest way through a busy machine differs from run to run.
const MAX_SPREAD_MS: i64 = 60;
/// The share of it that differs by a packet at most: a busy machine delivers what comes first after a return late.
const EXACT: f64 = 0.8;

/// What happened to a recording.
#[derive(Clone, Debug)]
pub(crate) struct Reported {
    pub(crate) task: Task,
    /// Every death of a worker meanwhile.
    pub(crate) kills: Kills,
    /// Wall time when stop was called and when it was answered; none where the recording ended by itself.
    pub(crate) stop: Option<Span>,
    /// What the scenario excuses.
    pub(crate) allowance: Allowance,
    /// The longest that the machine held anything up.
    pub(crate) held_up: u64,
}

/// Sound that may be missing around a kill, in milliseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Allowance {
    /// Before it.
    pub(crate) before: u64,
    /// After the next run's first answer.
    pub(crate) after: u64,
}

impl Default for Allowance {
    fn default() -> Self {
        Self { before: LOST_MS, after: BACK_MS }
    }
}

/// A recording in the bucket and what is wrong with it.
pub(crate) struct Verdict {
    told: Reported,
    folder: PathBuf,
    manifest: Value,
    problems: Vec<String>,
    figures: Figures,
}

/// Waits for the end of a recording and checks all of it: what is wrong, and what the kills cost.
pub(crate) async fn check(test_env: &TestEnv, told: &Reported) -> (Vec<String>, Figures) {
    let mut problems = crate::event_log_check::check(test_env, &told.task).await;
    if !problems.is_empty() {
        return (problems, Figures::default());
    }
    let (folder, told) = (test_env.objects(), told.clone());
    let verdict = tokio::task::spawn_blocking(move || Verdict::of(folder, told)).await.unwrap();
    problems.extend(verdict.problems);
    (problems, verdict.figures)
}

impl Verdict {
    fn of(folder: PathBuf, told: Reported) -> Self {
        let path = folder.join(format!("{}_{}_manifest.json", told.task.sid, told.task.room));
        let manifest = std::fs::read(path).ok().and_then(|text| serde_json::from_slice(&text).ok());
        let mut verdict =
            Self { told, folder, manifest: Value::Null, problems: Vec::new(), figures: Figures::default() };
        match manifest {
            Some(manifest) => {
                verdict.manifest = manifest;
                verdict.files();
                verdict.length();
                verdict.mix();
                VOICES.iter().for_each(|voice| verdict.individual(*voice));
            }
            None => verdict.wrong("there is no manifest"),
        }
        verdict
    }

    fn wrong(&mut self, what: impl Into<String>) {
        self.problems.push(format!("{}: {}", self.told.task.sid, what.into()));
    }

    fn start(&self) -> u64 {
        self.manifest["startMs"].as_u64().unwrap_or(0)
    }

    fn playlist(&self, voice: Option<Voice>) -> PathBuf {
        let Task { sid, room, .. } = &self.told.task;
        let uid = voice.map_or_else(String::new, |voice| format!("__uid_s_{}__uid_e_audio", voice.uid()));
        self.folder.join(format!("{sid}_{room}{uid}.m3u8"))
    }

    /// One playlist for each, one init for each playlist, and no segment that nobody names.
    fn files(&mut self) {
        let sid = self.told.task.sid.clone();
        let entries = std::fs::read_dir(&self.folder).unwrap().flatten();
        let names: BTreeSet<String> = entries
            .filter_map(|entry| entry.file_name().into_string().ok())
            .filter(|name| name.starts_with(&sid))
            .collect();
        let ending = |end: &str| names.iter().filter(|name| name.ends_with(end)).cloned().collect::<BTreeSet<_>>();
        let voices = VOICES.map(Some).into_iter().chain([None]);
        let wanted: BTreeSet<String> =
            voices.map(|voice| self.playlist(voice).file_name().unwrap().to_str().unwrap().to_owned()).collect();
        let playlists = ending(".m3u8");
        if playlists != wanted {
            self.wrong(format!("the playlists are {playlists:?}"));
        }
        let inits: BTreeSet<String> = wanted.iter().map(|name| name.replace(".m3u8", "_init.m4s")).collect();
        if ending("_init.m4s") != inits || !ending(".mp4").is_empty() {
            self.wrong(format!("the init files are {:?}, and {:?}", ending("_init.m4s"), ending(".mp4")));
        }
        let mut named = BTreeSet::new();
        for playlist in &playlists {
            let text = std::fs::read_to_string(self.folder.join(playlist)).unwrap();
            named.extend(text.lines().filter(|line| line.ends_with(".m4s")).map(str::to_owned));
        }
        let unnamed: Vec<_> =
            ending(".m4s").difference(&named).filter(|name| !inits.contains(*name)).cloned().collect();
        if !unnamed.is_empty() {
            self.wrong(format!("no playlist names {unnamed:?}"));
        }
    }

    /// Invariant 3: from the start to the stop, whatever happened in between.
    fn length(&mut self) {
        let (start, length) = (self.start(), self.manifest["durationMs"].as_u64().unwrap_or(0));
        let Some((called, answered)) = self.told.stop else { return };
        let end = start + length;
        // A run that was held up knows its present from a clock record that was as late.
        if end + FRAME_MS + self.told.held_up < called || end > answered + STOP_MS + self.told.held_up {
            let (early, late) = (called as i64 - end as i64, end as i64 - answered as i64);
            self.wrong(format!(
                "{length} ms from {start}: ends {early} ms before the stop, {late} ms after its answer"
            ));
        }
    }

    fn mix(&mut self) {
        let Some(sound) = self.decode(None) else { return };
        for voice in VOICES {
            self.nothing_else_missing(&sound, voice, "the mix");
        }
        self.in_place(&sound, "the mix");
    }

    fn individual(&mut self, voice: Voice) {
        let Some(sound) = self.decode(Some(voice)) else { return };
        let name = format!("{voice:?} alone");
        let silences = self.nothing_else_missing(&sound, voice, &name);
        self.ledger(voice, &silences);
        if voice == Voice::Staircase {
            self.in_place(&sound, &name);
            self.figures = figures(&silences, &self.told.kills);
        }
    }

    /// A playlist that verifies and plays at its full length.
    fn decode(&mut self, voice: Option<Voice>) -> Option<Sound> {
        let path = self.playlist(voice);
        let verified = Command::new(BINARY).arg("verify").arg(&path).output().unwrap();
        if !verified.status.success() {
            self.wrong(format!("verify: {}", String::from_utf8_lossy(&verified.stdout)));
        }
        match Sound::decode(&path, self.start(), voice.is_none()) {
            Ok(sound) => {
                let length = self.manifest["durationMs"].as_u64().unwrap_or(0);
                if sound.ms().abs_diff(length) > FRAME_MS + LOOKAHEAD_MS {
                    self.wrong(format!("{} plays {} ms of {length} ms", path.display(), sound.ms()));
                }
                Some(sound)
            }
            Err(words) => {
                self.wrong(words);
                None
            }
        }
    }

    /// Silence only where a worker was dead or just came or went.
    fn nothing_else_missing(&mut self, sound: &Sound, voice: Voice, name: &str) -> Vec<Span> {
        let mut silences = sound.silences(voice);
        silences.retain(|(from, to)| to - from > BLINK_MS);
        let excused = self.excused();
        let covered = |(from, to): &Span| {
            excused.iter().any(|(start, end)| *start <= from + FRAME_MS && *to <= end.saturating_add(FRAME_MS))
        };
        for (from, to) in silences.iter().filter(|silence| !covered(silence)) {
            let zero = self.start() as i64;
            let at = |wall: u64| (wall as i64 - zero) as f64 / 1000.0;
            let near: Vec<_> = self.told.kills.0.iter().map(|kill| (at(kill.at), kill.ready.map(at))).collect();
            let what =
                format!("{name}: {voice:?} is missing from {:.2} to {:.2} s; kills {near:.2?}", at(*from), at(*to));
            self.wrong(what);
        }
        silences
    }

    /// Where silence is no fault: from a second before a kill until the worker is back. Kills in quick succession are one.
    fn excused(&self) -> Vec<Span> {
        let (start, length) = (self.start(), self.manifest["durationMs"].as_u64().unwrap_or(0));
        let mut spans = vec![(0, start + FIRST_SOUND_MS)];
        let kills = &self.told.kills.0;
        for (index, kill) in kills.iter().enumerate() {
            let next = kills.get(index + 1).map_or(u64::MAX, |next| next.at);
            let Allowance { before, after } = self.told.allowance;
            let back = kill.ready.map_or(next, |ready| ready + after + kill.held_up);
            spans.push((kill.at.saturating_sub(before + kill.held_up), back));
        }
        spans.push(((start + length).saturating_sub(LAST_SOUND_MS), u64::MAX));
        spans.sort_unstable();
        let mut joined: Vec<Span> = Vec::new();
        for (from, to) in spans {
            match joined.last_mut().filter(|last| from <= last.1) {
                Some(last) => last.1 = last.1.max(to),
                None => joined.push((from, to)),
            }
        }
        joined
    }

    /// Invariant 3 for the sound itself: every step is where it was said, as far as this machine's clocks and schedulers tell;
    /// `tests/core` holds it to one frame in virtual time.
    fn in_place(&mut self, sound: &Sound, name: &str) {
        let silences = sound.silences(Voice::Staircase);
        let misplaced = sound.misplaced(&silences);
        if !misplaced.is_empty() {
            let first = misplaced[0] - self.start();
            self.wrong(format!("{name}: {} steps tell another time, the first at {first} ms", misplaced.len()));
        }
        let mut lags = sound.lags(&silences);
        lags.sort_unstable();
        let (Some(first), Some(last)) = (lags.first(), lags.last()) else { return };
        let (middle, frame) = (lags[lags.len() / 2], FRAME_MS as i64);
        let exact = lags.iter().filter(|lag| (*lag - middle).abs() <= frame).count() as f64 / lags.len() as f64;
        let spread = (middle - first).max(last - middle);
        let held_up = self.told.held_up as i64;
        let late = held_up > frame;
        let exact_enough = late || exact >= EXACT;
        if !(-frame..=MAX_LAG_MS + held_up).contains(&middle) || spread > MAX_SPREAD_MS + held_up || !exact_enough {
            let share = exact * 100.0;
            self.wrong(format!(
                "{name}: sound lags {first} to {last} ms, {share:.0} % of it within a packet of {middle}"
            ));
        }
    }

    /// The ledger tells the truth: what is silent is in it, what is in it is silent, and a dead worker is called that.
    fn ledger(&mut self, voice: Voice, silences: &[Span]) {
        let start = self.start();
        let uids = self.manifest["ledger"]["uids"].as_array().cloned().unwrap_or_default();
        let Some(entry) = uids.into_iter().find(|entry| entry["uid"] == voice.uid()) else {
            return self.wrong(format!("{voice:?} is not in the ledger"));
        };
        let wall = |ticks: &Value| start + ticks.as_u64().unwrap_or(0) / 48;
        let gaps = entry["gaps"].as_array().cloned().unwrap_or_default();
        let gaps: Vec<(u64, u64, String)> = gaps
            .iter()
            .map(|gap| (wall(&gap["from"]), wall(&gap["to"]), gap["cause"].as_str().unwrap_or("none").to_owned()))
            .collect();
        for kill in &self.told.kills.0.clone() {
            // The last packet before the kill may hold sound of a frame behind it, and the bot may be back before its worker answers.
            let answered = kill.ready.unwrap_or(kill.at).max(kill.at + FRAME_MS + READ_MS);
            let named =
                gaps.iter().any(|(from, to, cause)| *from <= answered && kill.at < *to && cause == "worker_restart");
            if !named {
                self.wrong(format!("{voice:?}: the ledger has no worker_restart at {} ms: {gaps:?}", kill.at - start));
            }
        }
        if voice == Voice::Bursts {
            return;
        }
        let listed: Vec<Span> = gaps.iter().map(|(from, to, _)| (*from, *to)).collect();
        for (from, to) in silences.iter().filter(|silence| !covers(&listed, silence)) {
            self.wrong(format!(
                "{voice:?}: silent from {} to {} ms, not in the ledger: {gaps:?}",
                from - start,
                to - start
            ));
        }
        for (from, to) in listed.iter().filter(|gap| gap.1 - gap.0 > 3 * EDGE_MS && !covers(silences, gap)) {
            self.wrong(format!(
                "{voice:?}: the ledger says silent from {} to {} ms; it is not",
                from - start,
                to - start
            ));
        }
    }
}

/// Whether the spans together hold all of this one but its edges.
fn covers(spans: &[Span], (from, to): &Span) -> bool {
    let (mut at, end) = (from + EDGE_MS, to.saturating_sub(EDGE_MS));
    while at < end {
        match spans.iter().filter(|span| span.0 <= at + EDGE_MS && at < span.1).map(|span| span.1).max() {
            Some(next) => at = next,
            None => return false,
        }
    }
    true
}

/// What each kill cost, as far as it can be heard: a worker that was killed before it was back lost nothing more.
fn figures(silences: &[Span], kills: &Kills) -> Figures {
    let mut figures = Figures::default();
    for kill in &kills.0 {
        figures.ready.extend(kill.ready.map(|ready| ready - kill.at));
        figures.held_up.push(kill.held_up);
    }
    for (from, to) in silences {
        let mut within = kills.0.iter().filter(|kill| *from <= kill.at + FRAME_MS && kill.at < *to);
        let Some(first) = within.next() else { continue };
        let last = within.next_back().unwrap_or(first);
        let (lost, back) = (first.at.saturating_sub(*from), last.ready.map(|ready| to.saturating_sub(ready)));
        figures.lost.push(lost);
        figures.back.extend(back);
        figures.cost.extend(back.map(|back| lost + back));
        figures.silent.push(to - from);
    }
    figures
}

/// Fails with everything that is wrong.
pub(crate) fn assert_right(problems: &[String]) {
    assert!(problems.is_empty(), "{} problems:\n{}", problems.len(), problems.join("\n"));
}

/// Waits until a file in the bucket satisfies `check`.
pub(crate) async fn until_file(path: &Path, check: impl Fn(&str) -> bool) -> bool {
    let waiting = async {
        while !std::fs::read_to_string(path).is_ok_and(|text| check(&text)) {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(HANG_LIMIT, waiting).await.is_ok()
}
