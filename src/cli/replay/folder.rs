//! The core's outputs as files in a folder.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Context;
use bytes::Bytes;
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::codec::container::Container;
use crate::codec::names::Stem;
use crate::codec::playlist::{Entry, Playlist};
use crate::codec::whole::{FileType, Roll};
use crate::recording::{Output, PlaylistId, Spec};
use crate::session::whole;
use crate::units::{Ticks, Uid};

/// A folder that a recording is written to.
pub(super) struct Folder {
    path: PathBuf,
    spec: Spec,
    /// Whole files to be made.
    kinds: Vec<FileType>,
    playlists: BTreeMap<PlaylistId, Playlist>,
    made: Made,
}

/// Everything that was made.
#[derive(Default)]
pub(super) struct Made {
    pub(super) playlists: Vec<PlaylistSummary>,
    pub(super) streams: Vec<StreamChange>,
    pub(super) files: Vec<File>,
}

/// One playlist.
#[derive(Debug, Serialize)]
pub(super) struct PlaylistSummary {
    pub(super) playlist: PlaylistId,
    pub(super) name: String,
    pub(super) segments: usize,
    pub(super) length: Ticks,
}

/// A uid's packets began or ceased to arrive.
#[derive(Debug, Serialize)]
pub(super) struct StreamChange {
    pub(super) uid: Uid,
    pub(super) receiving: bool,
    pub(super) at: Ticks,
}

/// One file.
#[derive(Debug, Serialize)]
pub(super) struct File {
    pub(super) name: String,
    pub(super) size: usize,
    pub(super) sha256: String,
}

impl Folder {
    /// Makes the folder.
    pub(super) fn create(path: &Path, spec: &Spec, kinds: Vec<FileType>) -> anyhow::Result<Self> {
        std::fs::create_dir_all(path).with_context(|| format!("the folder {} can't be made", path.display()))?;
        let (path, spec) = (path.to_owned(), spec.clone());
        Ok(Self { path, spec, kinds, playlists: BTreeMap::new(), made: Made::default() })
    }

    /// Writes one output.
    pub(super) fn take(&mut self, output: Output) -> anyhow::Result<()> {
        match output {
            Output::Init { playlist, bytes } => {
                let name = self.stem(&playlist).init();
                self.write(&name, &bytes)?;
                let target = self.spec.segment.as_secs().into();
                self.playlists.insert(playlist, Playlist::new(target, name, self.spec.start));
            }
            Output::Segment(segment) => {
                let name = self.stem(&segment.playlist).segment(self.spec.start.plus(segment.start), Container::Fmp4);
                self.write(&name, &segment.bytes)?;
                let entry = Entry { name, start: segment.start, duration: segment.duration };
                let playlist = self.playlists.get_mut(&segment.playlist);
                playlist.context("the core gave a segment before its init segment")?.entries.push(entry);
            }
            Output::StreamState { uid, receiving, at } => self.made.streams.push(StreamChange { uid, receiving, at }),
            // The ledger, which is printed, says what is missing by it.
            Output::Unreadable { .. } => {}
            Output::Closed { playlist, .. } => {
                let playlist = self.playlists.get_mut(&playlist);
                playlist.context("the core closed a playlist before its init segment")?.ended = true;
            }
        }
        Ok(())
    }

    /// Writes the playlists and the whole files.
    pub(super) fn finish(mut self) -> anyhow::Result<Made> {
        for (id, playlist) in std::mem::take(&mut self.playlists) {
            let name = self.stem(&id).playlist();
            self.write(&name, playlist.render().as_bytes())?;
            for kind in self.kinds.clone() {
                self.write_whole(&id, kind, &playlist.entries)?;
            }
            let (segments, length) = (playlist.entries.len(), playlist.end());
            self.made.playlists.push(PlaylistSummary { playlist: id, name, segments, length });
        }
        self.made.files.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(self.made)
    }

    fn write_whole(&mut self, id: &PlaylistId, kind: FileType, mut entries: &[Entry]) -> anyhow::Result<()> {
        let channels = id.channels(self.spec.profile);
        for index in 0.. {
            let size = |entry: &Entry| std::fs::metadata(self.path.join(&entry.name)).map_or(0, |file| file.len());
            let sizes = entries.iter().map(|entry| (entry.duration, size(entry)));
            let (part, rest) = entries.split_at(Roll::default().fill(sizes).unwrap_or(entries.len()));
            if part.is_empty() {
                break;
            }
            let read = |number: usize| std::fs::read(self.path.join(&part[number].name)).map(Bytes::from);
            let mut file = Vec::new();
            whole::write(kind, channels, index + 1, part.len(), &read, &mut file)?;
            self.write(&self.stem(id).whole(kind, index), &file)?;
            entries = rest;
        }
        Ok(())
    }

    fn stem(&self, playlist: &PlaylistId) -> Stem {
        playlist.stem(&self.spec.sid, &self.spec.cname)
    }

    fn write(&mut self, name: &str, bytes: &[u8]) -> anyhow::Result<()> {
        let path = self.path.join(name);
        std::fs::write(&path, bytes).with_context(|| format!("{} can't be written", path.display()))?;
        let sha256 = format!("{:x}", Sha256::digest(bytes));
        self.made.files.push(File { name: name.to_owned(), size: bytes.len(), sha256 });
        Ok(())
    }
}
