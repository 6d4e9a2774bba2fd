//! `cloud-recorder replay`: a journal through the same core as a live recording, faster than real time, with the same bytes
//! each time.

mod folder;
mod table;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::ValueEnum;
use serde::Serialize;

use super::output;
use crate::codec::whole::FileType;
use crate::recording::{Ledger, Mode, Recorder, Spec, Verdict};
use crate::storage::journal::{Reader, Record};
use crate::units::{Cname, Sid, Ticks};
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

/// What a replay made.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    sid: Sid,
    cname: Cname,
    mode: Mode,
    verdict: Verdict,
    length: Ticks,
    /// Why the end is not where the journal says, if it does not say.
    note: Option<&'static str>,
    playlists: Vec<PlaylistSummary>,
    streams: Vec<StreamChange>,
    ledger: Ledger,
    files: Vec<File>,
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let report = replay(args).with_context(|| format!("{} can't be replayed", args.journal.display()))?;
    if args.json {
        output::line(format_args!("{}", serde_json::to_string_pretty(&report)?))?;
    } else {
        table::print(&report, &args.out)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn replay(args: &Args) -> anyhow::Result<Report> {
    let mut reader = Reader::open(&args.journal)?;
    let mut session: Option<Session> = None;
    for record in &mut reader {
        let record = record?;
        if args.sid.as_ref().is_some_and(|sid| sid != record.sid()) {
            continue;
        }
        match (&mut session, record) {
            (None, Record::Started { spec } | Record::Continued { spec }) => {
                let kinds = args.files.iter().map(|kind| FileType::from(*kind)).collect();
                session = Some(Session::new(Spec { mode: args.mode.into(), ..spec }, &args.out, kinds)?);
            }
            (Some(session), Record::Started { spec } | Record::Continued { spec }) => anyhow::bail!(
                "the journal holds several recordings, {} and {} among them; choose one with --sid",
                session.spec.sid,
                spec.sid
            ),
            (Some(session), Record::Input { input, .. }) => {
                session.last = input.at;
                session.recorder.push(input);
                session.drain()?;
            }
            (Some(session), Record::Finished { at, .. }) => session.finish(at)?,
            // It says again what was read.
            (Some(_), Record::Checkpoint { .. } | Record::Stored { .. }) => {}
            (None, _) => unreachable!("the journal's reader refuses records of sessions that it was not introduced to"),
        }
    }
    let session = session.with_context(|| match &args.sid {
        Some(sid) => format!("the journal holds nothing of {sid}"),
        None => "the journal holds no recording".to_owned(),
    })?;
    session.report()
}

/// A recording in the making.
struct Session {
    spec: Spec,
    recorder: Recorder,
    folder: Folder,
    last: Ticks,
    finished: Option<Ticks>,
}

impl Session {
    fn new(spec: Spec, out: &std::path::Path, kinds: Vec<FileType>) -> anyhow::Result<Self> {
        let recorder = Recorder::new(spec.clone());
        let folder = Folder::create(out, &spec, kinds)?;
        Ok(Self { spec, recorder, folder, last: Ticks::ZERO, finished: None })
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

    fn report(mut self) -> anyhow::Result<Report> {
        let note = match self.finished {
            Some(_) => None,
            None => {
                self.finish(self.last)?;
                Some("the journal does not say when the recording ended; it was closed at the last input")
            }
        };
        let ledger = self.recorder.ledger();
        let made = self.folder.finish()?;
        Ok(Report {
            sid: self.spec.sid,
            cname: self.spec.cname,
            mode: self.spec.mode,
            verdict: ledger.verdict(),
            length: self.finished.unwrap_or(self.last),
            note,
            playlists: made.playlists,
            streams: made.streams,
            ledger,
            files: made.files,
        })
    }
}
