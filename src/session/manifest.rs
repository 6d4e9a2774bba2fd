//! `<sid>_<cname>_manifest.json`: what a recording holds, for those who read the bucket without us.
//!
//! Written when everything else is in the bucket. It lists every object but itself, the event log, which grows after it and of which it
//! covers the lines that were there, and the digest object, which covers both and is written last.
//! Fields whose name ends in `Ms` are milliseconds, those of the ledger's gaps and of segments are samples at 48 kHz; both are
//! measured from the recording's start. Every list is bounded; what is past a bound is counted in `unlisted`, in a uid's
//! `gapsOmitted` or in `objectsOmitted`. `cloud-recorder verify` checks a bucket against it.

mod lines;

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

use super::objects::{Objects, Stored};
use super::presence::{Presence, Stay};
use super::publication::Publication;
use super::speech::{Span, Speech};
use super::{EndedBy, File, FilePart, Note, Report};
use crate::recording::{Cause, Ledger, Mode, Peaks, PlaylistId, Source, SourceId, TrackLedger, Unattributed, Verdict};
use crate::storage::ObjectKind;
use crate::units::{Cname, Sid, Ticks, Uid, WallMs};

/// The version of this format. 2 added `software`, `failure`, `lost`, `peaks`, `objectsOmitted`, `muted` in members, `start` and
/// `duration` in objects; 3 `events`, the digest object and the chain in the event log.
const VERSION: u32 = 3;

/// Gaps that are listed, over all uids: 30 MB of JSON.
const MAX_GAPS: usize = 500_000;

/// Values of waveforms that are listed, over all uids: an hour of 55 talkers, 8 MB of JSON.
const MAX_PEAKS: usize = 2_000_000;

/// The manifest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// Of the format: 3.
    pub version: u32,
    /// What wrote it: name and version of this program.
    pub software: String,
    /// The recording.
    pub sid: Sid,
    /// The channel.
    pub cname: Cname,
    /// The recorder's uid.
    pub uid: Uid,
    /// What was made.
    pub mode: Mode,
    /// Wall time of the recording's start, in milliseconds since 1970-01-01 UTC.
    pub start_ms: WallMs,
    /// Length of every playlist.
    pub duration_ms: u64,
    /// Whether anything is missing.
    pub verdict: Verdict,
    /// Why the recording ended; none where an older version wrote the manifest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_reason: Option<EndedBy>,
    /// What was lost and why, uid by uid; empty when nothing was.
    pub lost: Vec<Loss>,
    /// What went wrong on the way, in words; none when nothing did.
    pub failure: Option<String>,
    /// What was asked for and is not done.
    pub notes: Vec<Note>,
    /// Object keys of the playlists, the mix first.
    pub playlists: Vec<String>,
    /// Which of them hold further sources of a uid, heard beside its own sound; empty where none was.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<SourcePlaylist>,
    /// Whole files beside them; empty when none was asked for.
    #[serde(default)]
    pub files: Vec<WholeFile>,
    /// Who was in the channel, stay by stay.
    pub members: Vec<Stay>,
    /// Who sent sound when.
    pub speech: Vec<Span>,
    /// Waveforms for players: of the mix and uid by uid.
    #[serde(default)]
    pub peaks: Peaks,
    /// Stays, muted stretches, spans of speech and waveforms that are too many to be listed.
    pub unlisted: u64,
    /// Per uid, what was expected, recorded, concealed, missing, and why.
    pub ledger: Ledger,
    /// Every object, by name.
    pub objects: Vec<Object>,
    /// Segments that are too many to be listed.
    pub objects_omitted: u64,
    /// The event log as far as it was there; none where it could not be read.
    #[serde(default)]
    pub events: Option<EventsPrefix>,
}

/// The first lines of the event log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventsPrefix {
    /// How many.
    pub lines: u64,
    /// SHA-256 of their bytes, in lower-case hexadecimal.
    pub sha256: String,
}

/// What a uid, or a further source of it, lacks; the last one may be what came from nobody knows whom.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Loss {
    /// Who; none for sound of which nobody knows whose it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<Uid>,
    /// Which further source of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<SourceId>,
    /// Milliseconds of sound that are lost.
    pub missing_ms: u64,
    /// Milliseconds of the gaps of each cause that loses sound. Parts of them may be concealed, or times in which nothing was
    /// due, so the sum can be more than is missing.
    pub causes_ms: BTreeMap<Cause, u64>,
}

/// The playlist of a further source of a uid.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SourcePlaylist {
    /// Its full key.
    pub key: String,
    /// Whose.
    pub uid: Uid,
    /// The word in its name: `mic2`, `screen`.
    pub source: SourceId,
    /// What was published: `microphone`, `screen_audio`, or `unspecified`.
    pub kind: Source,
}

/// A file that holds a part of a playlist, or all of it. Its bytes and SHA-256 stand under its name in `objects`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WholeFile {
    /// Its full key.
    pub key: String,
    /// Its name, relative to the playlists.
    pub name: String,
    /// What it is made of.
    pub playlist: PlaylistId,
    /// Key of that playlist.
    pub playlist_key: String,
    /// Kind, number, and what of the playlist it holds, in samples.
    #[serde(flatten)]
    pub part: FilePart,
}

/// An object in the bucket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Object {
    /// Its full key.
    pub key: String,
    /// Its name, relative to the playlists.
    pub name: String,
    /// What it is: `init`, `segment`, `playlist`, `mp4` or `ogg`.
    pub kind: ObjectKind,
    /// Its length in bytes.
    pub size: u64,
    /// Its SHA-256 in lower-case hexadecimal.
    pub sha256: String,
    /// A segment's first sample on the timeline.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<Ticks>,
    /// A segment's length in samples.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration: Option<Ticks>,
}

/// What a manifest is made of.
pub(super) struct Sources<'a> {
    pub(super) report: &'a Report,
    pub(super) start: WallMs,
    pub(super) presence: &'a Presence,
    pub(super) speech: &'a Speech,
    pub(super) objects: &'a Objects,
    pub(super) publication: &'a Publication,
    pub(super) peaks: Peaks,
    pub(super) events: Option<EventsPrefix>,
    /// The object key of a name.
    pub(super) key: &'a dyn Fn(&str) -> String,
}

impl Sources<'_> {
    /// The manifest's text.
    pub(super) fn render(mut self) -> String {
        let (peaks, unlisted) = listed(std::mem::take(&mut self.peaks));
        let manifest = self.manifest(peaks, unlisted);
        lines::render(&manifest).expect("a manifest has string keys and finite numbers only")
    }

    fn manifest(&self, peaks: Peaks, peaks_untold: u64) -> Manifest {
        let report = self.report;
        let (stays, stays_untold) = self.presence.stays();
        let (spans, spans_untold) = self.speech.spans();
        Manifest {
            version: VERSION,
            software: format!("{} {}", env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION")),
            sid: report.sid.clone(),
            cname: report.cname.clone(),
            uid: report.uid.clone(),
            mode: report.mode,
            start_ms: self.start,
            duration_ms: report.duration_ms,
            verdict: report.verdict(),
            end_reason: report.ended_by,
            lost: lost(&report.ledger),
            failure: report.failure.clone(),
            notes: report.notes.clone(),
            playlists: report.files.iter().filter(|file| file.part.is_none()).map(|file| file.key.clone()).collect(),
            sources: sources(report),
            files: files(report),
            members: stays.to_vec(),
            speech: spans.to_vec(),
            peaks,
            unlisted: stays_untold + spans_untold + peaks_untold,
            ledger: bounded(&report.ledger),
            objects: self.objects(),
            objects_omitted: self.objects.omitted(),
            events: self.events.clone(),
        }
    }

    fn objects(&self) -> Vec<Object> {
        let places: HashMap<&str, (Ticks, Ticks)> =
            self.publication.entries().map(|entry| (entry.name.as_str(), (entry.start, entry.duration))).collect();
        let listed = self.objects.iter().filter(|(_, stored)| stored.kind != ObjectKind::Document);
        let object = |(name, stored): (&String, &Stored)| {
            let (start, duration) = places.get(name.as_str()).copied().unzip();
            let (kind, size, sha256) = (stored.kind, stored.size, stored.sha256.clone());
            Object { key: (self.key)(name), name: name.clone(), kind, size, sha256, start, duration }
        };
        listed.map(object).collect()
    }
}

fn sources(report: &Report) -> Vec<SourcePlaylist> {
    let source = |file: &File| {
        let (uid, source) = file.playlist.uid().zip(file.source())?;
        Some(SourcePlaylist { key: file.key.clone(), uid: uid.clone(), source, kind: source.kind() })
    };
    report.files.iter().filter(|file| file.part.is_none()).filter_map(source).collect()
}

fn files(report: &Report) -> Vec<WholeFile> {
    let playlist_key = |playlist: &PlaylistId| {
        let list = report.files.iter().find(|file| file.part.is_none() && file.playlist == *playlist);
        list.map(|list| list.key.clone()).unwrap_or_default()
    };
    let whole = |file: &File| {
        let (key, playlist) = (file.key.clone(), file.playlist.clone());
        let name = key.rsplit('/').next().unwrap_or(&key).to_owned();
        file.part.map(|part| WholeFile { playlist_key: playlist_key(&playlist), key, name, playlist, part })
    };
    report.files.iter().filter_map(whole).collect()
}

fn lost(ledger: &Ledger) -> Vec<Loss> {
    let lacking = ledger.uids.iter().filter(|uid| uid.missing_ms > 0);
    let loss = |uid: &TrackLedger| {
        let causes_ms = uid.by_cause().into_iter().filter(|(cause, _)| cause.loses()).collect();
        Loss { uid: Some(uid.uid.clone()), source: uid.source, missing_ms: uid.missing_ms, causes_ms }
    };
    let unattributed = ledger.unattributed.iter().filter(|lost| lost.missing_ms > 0).map(|lost| Loss {
        uid: None,
        source: None,
        missing_ms: lost.missing_ms,
        causes_ms: causes_of(lost),
    });
    lacking.map(loss).chain(unattributed).collect()
}

/// What nobody heard is as long as its gaps; the rest is sound, of which a gap may hold more or less than its length.
fn causes_of(lost: &Unattributed) -> BTreeMap<Cause, u64> {
    let unheard = lost.gaps.iter().filter(|gap| gap.cause == Cause::WorkerRestart);
    let unheard = unheard.fold(Ticks::ZERO, |sum, gap| sum + (gap.to - gap.from)).as_ms().min(lost.missing_ms);
    let parts = [(Cause::WorkerRestart, unheard), (Cause::UnknownSource, lost.missing_ms - unheard)];
    parts.into_iter().filter(|(_, length)| *length > 0).collect()
}

/// The first waveforms, at most [`MAX_PEAKS`] values, and how many are left out.
fn listed(mut peaks: Peaks) -> (Peaks, u64) {
    let mut room = MAX_PEAKS - peaks.mix.as_ref().map_or(0, |mix| mix.values.len()).min(MAX_PEAKS);
    let all = peaks.uids.len();
    peaks.uids.retain(|uid| {
        let fits = uid.waveform.values.len() <= room;
        room -= if fits { uid.waveform.values.len() } else { 0 };
        fits
    });
    let left_out = all - peaks.uids.len();
    (peaks, left_out as u64)
}

/// The ledger with at most [`MAX_GAPS`] gaps.
fn bounded(ledger: &Ledger) -> Ledger {
    let (mut ledger, mut room) = (ledger.clone(), MAX_GAPS);
    for uid in &mut ledger.uids {
        uid.gaps_omitted += uid.gaps.len().saturating_sub(room) as u64;
        uid.gaps.truncate(room);
        room -= uid.gaps.len();
    }
    ledger
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recording::{Gap, PacketCounts, PeakSource, UidWaveform, Waveform};

    fn uid(name: &str, missing_ms: u64, gaps: Vec<Gap>) -> TrackLedger {
        TrackLedger {
            uid: Uid::new(name).unwrap(),
            expected_ms: missing_ms,
            recorded_ms: 0,
            concealed_ms: 0,
            missing_ms,
            gaps,
            gaps_omitted: 0,
            packets: PacketCounts::default(),
            samples: PacketCounts::default(),
            overlaid_ms: BTreeMap::new(),
            source: None,
            transcoded_from: Default::default(),
        }
    }

    fn gap(from_ms: u64, to_ms: u64, cause: Cause) -> Gap {
        Gap { from: Ticks::from_ms(from_ms), to: Ticks::from_ms(to_ms), cause }
    }

    #[test]
    fn losses_are_told_by_cause_and_absences_are_not_losses() {
        let gaps = vec![
            gap(0, 500, Cause::Left),
            gap(600, 700, Cause::NetworkLoss),
            gap(800, 900, Cause::Muted),
            gap(1_000, 1_040, Cause::NetworkLoss),
            gap(2_000, 3_000, Cause::WorkerRestart),
        ];
        let uids = vec![uid("1", 1_100, gaps), uid("2", 0, vec![gap(0, 9, Cause::Muted)])];
        let unattributed = Unattributed { packets: 9, missing_ms: 180, gaps: vec![], gaps_omitted: 0 };
        let ledger = Ledger { uids, unattributed: Some(unattributed), ..Ledger::default() };
        let event_dedup = lost(&ledger);
        assert_eq!(event_dedup.len(), 2);
        let causes: Vec<_> = event_dedup[0].causes_ms.iter().map(|(cause, ms)| (*cause, *ms)).collect();
        assert_eq!(causes, [(Cause::NetworkLoss, 140), (Cause::WorkerRestart, 1_000)]);
        assert_eq!(
            serde_json::to_value(&event_dedup).unwrap()[0]["causesMs"],
            serde_json::json!({"network_loss": 140, "worker_restart": 1000})
        );
        let nobodys = serde_json::json!({"missingMs": 180, "causesMs": {"unknown_source": 180}});
        assert_eq!(serde_json::to_value(&event_dedup[1]).unwrap(), nobodys);
    }

    #[test]
    fn past_the_limit_gaps_are_counted_not_listed() {
        let many = |name| uid(name, 0, vec![gap(0, 1, Cause::Muted); MAX_GAPS / 2 + 1]);
        let ledger = bounded(&Ledger { uids: vec![many("1"), many("2"), many("3")], ..Ledger::default() });
        let counts: Vec<_> = ledger.uids.iter().map(|uid| (uid.gaps.len(), uid.gaps_omitted)).collect();
        let half = MAX_GAPS / 2;
        assert_eq!(counts, [(half + 1, 0), (half - 1, 2), (0, half as u64 + 1)]);
    }

    #[test]
    fn past_the_limit_waveforms_are_counted_not_listed() {
        let waveform = || Waveform { source: PeakSource::Decoded, step_ms: 100, values: vec![1; MAX_PEAKS / 2] };
        let uid = |name| UidWaveform { uid: Uid::new(name).unwrap(), waveform: waveform(), source: None };
        let (peaks, left_out) = listed(Peaks { mix: Some(waveform()), uids: vec![uid("1"), uid("2")] });
        assert_eq!((peaks.uids.len(), left_out), (1, 1));
    }
}
