//! `cloud-recorder replay`: a journal through the same core as a live recording, faster than real time, with the same bytes
//! each time. What is damaged in it is passed over and told; only a whole journal, with its end, is a success.

mod folder;
mod table;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::ValueEnum;
use serde::Serialize;

use super::output;
use crate::codec::whole::FileType;
use crate::recording::{AudioProfile, Ledger, Mode, Recorder, SegmentLength, Selection, Spec, Verdict};
use crate::storage::journal::{Damage, Reader, Record};
use crate::units::{Cname, Sid, Ticks, WallMs};
use folder::{File, Folder, PlaylistSummary, StreamChange};

/// Arguments of `replay`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The journal: a fixture, a capture, or a worker's
    journal: PathBuf,
    /// Which playlists to make
    #[arg(long, value_enum)]
    mode: Playlists,
    /// Folder for init segments, segments and playlists; is made, and files of the same name are replaced
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Whole files beside the playlists, rolled after two hours
    #[arg(long, value_enum, value_delimiter = ',', value_name = "KIND")]
    files: Vec<WholeFiles>,
    /// The recording to replay, needed when the journal holds several
    #[arg(long)]
    sid: Option<Sid>,
    /// Print files, playlists and ledger as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Playlists {
    /// One playlist with everybody mixed
    Mix,
    /// One playlist a uid, the sender's packets untouched
    Individual,
    /// Both
    Both,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum WholeFiles {
    /// MP4 that can be played while it loads
    Mp4,
    /// Ogg Opus
    Ogg,
}

impl From<WholeFiles> for FileType {
    fn from(files: WholeFiles) -> Self {
        match files {
            WholeFiles::Mp4 => Self::Mp4,
            WholeFiles::Ogg => Self::Ogg,
        }
    }
}

impl From<Playlists> for Mode {
    fn from(playlists: Playlists) -> Self {
        match playlists {
            Playlists::Mix => Self::Mix,
            Playlists::Individual => Self::Individual,
            Playlists::Both => Self::Both,
        }
    }
}

/// Stands for the channel's name where the journal's description of the recording is damaged.
const UNKNOWN_CHANNEL: &str = "unknown";

/// What a replay made.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    sid: Sid,
    cname: Cname,
    mode: Mode,
    verdict: Verdict,
    /// Whether the journal is whole: nothing in it is damaged, and it has the recording's end.
    complete: bool,
    /// What of it can't be read.
    damages: Vec<DamagedPart>,
    length: Ticks,
    /// What the journal does not say, if it does not say all.
    note: Option<String>,
    playlists: Vec<PlaylistSummary>,
    streams: Vec<StreamChange>,
    ledger: Ledger,
    files: Vec<File>,
}

/// A part of the journal that can't be read.
#[derive(Debug, Serialize)]
struct DamagedPart {
    offset: u64,
    bytes: u64,
    what: &'static str,
}

impl From<&Damage> for DamagedPart {
    fn from(Damage { offset, bytes, what }: &Damage) -> Self {
        Self { offset: *offset, bytes: *bytes, what }
    }
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let report = replay(args).with_context(|| format!("{} can't be replayed", args.journal.display()))?;
    if args.json {
        output::line(format_args!("{}", serde_json::to_string_pretty(&report)?))?;
    } else {
        table::print(&report, &args.out)?;
    }
    Ok(if report.complete { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn replay(args: &Args) -> anyhow::Result<Report> {
    // Where it can't be opened the disk's word says more than advice for workers.
    std::fs::File::open(&args.journal)?;
    let mut reader = Reader::open(&args.journal)?;
    let mut session: Option<Session> = None;
    for record in &mut reader {
        let record = record?;
        if args.sid.as_ref().is_some_and(|sid| sid != record.sid()) {
            continue;
        }
        if let Some(other) = session.as_ref().map(|session| &session.spec.sid).filter(|sid| *sid != record.sid()) {
            let sid = record.sid();
            anyhow::bail!("the journal holds several recordings, {other} and {sid} among them; choose one with --sid");
        }
        if session.is_none() {
            let (spec, described) = match &record {
                Record::Started { spec } | Record::Continued { spec } => (spec.clone(), true),
                undescribed => (stand_in(undescribed.sid())?, false),
            };
            let kinds = args.files.iter().map(|kind| FileType::from(*kind)).collect();
            let spec = Spec { mode: args.mode.into(), ..spec };
            session = Some(Session { described, ..Session::new(spec, &args.out, kinds)? });
        }
        match (&mut session, record) {
            (Some(session), Record::Input { input, .. }) => {
                session.last = input.at;
                session.recorder.push(input);
                session.drain()?;
            }
            (Some(session), Record::Finished { at, .. }) => session.finish(at)?,
            // It says again what was read, or what became of it.
            _ => {}
        }
    }
    let session = session.with_context(|| match &args.sid {
        Some(sid) => format!("the journal holds nothing of {sid}"),
        None => "the journal holds no recording".to_owned(),
    })?;
    session.report(reader.damages())
}

/// For a recording whose description is damaged.
fn stand_in(sid: &Sid) -> anyhow::Result<Spec> {
    Ok(Spec {
        sid: sid.clone(),
        cname: Cname::new(UNKNOWN_CHANNEL)?,
        start: WallMs(0),
        mode: Mode::Mix,
        profile: AudioProfile::default(),
        segment: SegmentLength::default(),
        selection: Selection::default(),
    })
}

/// A recording in the making.
struct Session {
    spec: Spec,
    recorder: Recorder,
    folder: Folder,
    last: Ticks,
    finished: Option<Ticks>,
    /// Whether the journal said what was to be recorded.
    described: bool,
}

impl Session {
    fn new(spec: Spec, out: &std::path::Path, kinds: Vec<FileType>) -> anyhow::Result<Self> {
        let recorder = Recorder::new(spec.clone());
        let folder = Folder::create(out, &spec, kinds)?;
        Ok(Self { spec, recorder, folder, last: Ticks::ZERO, finished: None, described: true })
    }

    fn drain(&mut self) -> anyhow::Result<()> {
        while let Some(output) = self.recorder.poll() {
            self.folder.take(output)?;
        }
        Ok(())
    }

    fn finish(&mut self, at: Ticks) -> anyhow::Result<()> {
        self.recorder.finish(at);
        self.finished = Some(at);
        self.drain()
    }

    fn report(mut self, damages: &[Damage]) -> anyhow::Result<Report> {
        let mut notes = Vec::new();
        if !damages.is_empty() {
            notes.push("the journal is damaged; what was in the damaged parts is lost");
        }
        if !self.described {
            notes.push("its description of the recording is among them: channel and start are made up");
        }
        if self.finished.is_none() {
            self.finish(self.last)?;
            notes.push("the journal does not say when the recording ended; it was closed at the last input");
        }
        let ledger = self.recorder.ledger();
        let made = self.folder.finish()?;
        Ok(Report {
            sid: self.spec.sid,
            cname: self.spec.cname,
            mode: self.spec.mode,
            verdict: ledger.verdict(),
            length: self.finished.unwrap_or(self.last),
            complete: notes.is_empty(),
            damages: damages.iter().map(DamagedPart::from).collect(),
            note: (!notes.is_empty()).then(|| notes.join("; ")),
            playlists: made.playlists,
            streams: made.streams,
            ledger,
            files: made.files,
        })
    }
}
