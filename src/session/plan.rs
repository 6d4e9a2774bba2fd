//! What was agreed at start: kept in the store without secrets, so that another run of the worker knows it too.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Health, IdleRule, Listing, Note, Report, State, Upload};
use crate::codec::container::Container;
use crate::codec::names::{Role, Stem, uid_of};
use crate::codec::whole::FileType;
use crate::recording::{AudioProfile, Ledger, Mode, PlaylistId, SegmentLength, Selection, Spec};
use crate::storage::KeyPrefix;
use crate::units::{AppId, Cname, Sid, Uid, WallMs};

/// One recording as agreed.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Plan {
    pub(super) sid: Sid,
    pub(super) app: AppId,
    pub(super) cname: Cname,
    pub(super) uid: Uid,
    pub(super) resource: String,
    pub(super) mode: Mode,
    pub(super) profile: AudioProfile,
    pub(super) selection: Selection,
    pub(super) segment: SegmentLength,
    pub(super) idle: IdleRule,
    /// Whole files beside the playlists.
    #[serde(default)]
    pub(super) files: Vec<FileType>,
    pub(super) listing: Listing,
    pub(super) notes: Vec<Note>,
    /// Folders in front of every object's name, joined with slashes.
    pub(super) prefix: String,
    pub(super) created: WallMs,
    /// When the caller's right to have the channel recorded ends.
    #[serde(default)]
    pub(super) token_until: Option<WallMs>,
    /// How its init segments are named.
    #[serde(default)]
    pub(super) init: InitName,
    /// Whether each growing playlist lies there under a second name too.
    #[serde(default)]
    pub(super) live_playlist: bool,
    /// What segments are packed in.
    #[serde(default)]
    pub(super) container: Container,
}

/// How the init segments of a recording are named: as when it began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum InitName {
    /// `_init.mp4`; a plan that does not say it was written before there was another name.
    #[default]
    Mp4,
    /// `_init.m4s`.
    M4s,
}

impl Plan {
    /// What the core has to know, now that the bot is in the channel.
    pub(super) fn spec(&self, start: WallMs) -> Spec {
        Spec {
            sid: self.sid.clone(),
            cname: self.cname.clone(),
            start,
            mode: self.mode,
            profile: self.mixed_as(),
            segment: self.segment,
            selection: self.selection.clone(),
        }
    }

    /// How the core encodes the mix. Where that is encoded once more, it is as good as can be before.
    const fn mixed_as(&self) -> AudioProfile {
        match (self.container, self.profile) {
            (Container::Ts, AudioProfile::Mono64) => AudioProfile::Mono128,
            (_, profile) => profile,
        }
    }

    /// As it is kept in the store.
    pub(super) fn to_value(&self) -> serde_json::Value {
        serde_json::to_value(self).expect("a plan has string keys and finite numbers only")
    }

    /// Whether the bucket takes each name once: playlists, manifest and event log go there at the end and never before.
    pub(super) fn is_written_once(&self) -> bool {
        self.notes.contains(&Note::WrittenOnce)
    }

    /// The file names of a playlist.
    pub(super) fn stem(&self, playlist: &PlaylistId) -> Stem {
        playlist.stem(&self.sid, &self.cname)
    }

    /// The name of a playlist's init segment.
    pub(super) fn init_name(&self, playlist: &PlaylistId) -> String {
        let stem = self.stem(playlist);
        match self.init {
            InitName::Mp4 => stem.older_init(),
            InitName::M4s => stem.init(),
        }
    }

    /// The second name of a playlist, where it has one. A bucket that takes each name once gets no playlist that grows.
    pub(super) fn live_playlist(&self, playlist: &PlaylistId) -> Option<String> {
        (self.live_playlist && !self.is_written_once()).then(|| self.stem(playlist).live_playlist())
    }

    /// The playlist that a media file or playlist of this name belongs to, also with a prefix `bak<n>_`, and what the file is; none for
    /// other names.
    pub(super) fn file_named(&self, name: &str) -> Option<(PlaylistId, Role)> {
        let plain = name.strip_prefix("bak").and_then(|rest| rest.split_once('_'));
        let numbered =
            plain.filter(|(number, _)| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()));
        let name = numbered.map_or(name, |(_, rest)| rest);
        let playlist = match uid_of(name, &self.sid, &self.cname) {
            None => PlaylistId::Mix,
            Some((uid, source)) => PlaylistId::of(&uid, source.map(str::parse).transpose().ok()?),
        };
        let role = Role::of(name.strip_prefix(self.stem(&playlist).as_str())?)?;
        Some((playlist, role))
    }

    /// The object key of a name.
    pub(super) fn key(&self, name: &str) -> String {
        self.folder().key(name)
    }

    /// The folders in front of every object's name.
    pub(super) fn folder(&self) -> KeyPrefix {
        let parts: Vec<&str> = self.prefix.split('/').filter(|part| !part.is_empty()).collect();
        KeyPrefix::new(&parts).unwrap_or_default()
    }

    /// What is known before anything happened. The mix's name is known at once.
    pub(super) fn report(&self) -> Report {
        let mix = self.mode.mixes().then(|| self.file(&PlaylistId::Mix));
        Report {
            sid: self.sid.clone(),
            app: self.app.clone(),
            cname: self.cname.clone(),
            uid: self.uid.clone(),
            resource: self.resource.clone(),
            mode: self.mode,
            listing: self.listing,
            notes: self.notes.clone(),
            state: State::Starting,
            created: self.created,
            started: None,
            ended: None,
            duration_ms: 0,
            files: mix.into_iter().collect(),
            segments_made: 0,
            segments_stored: 0,
            packets_dropped: 0,
            ledger: Arc::new(Ledger::default()),
            upload: Upload::default(),
            health: Health::default(),
            failure: None,
            idle: None,
            ended_by: None,
            manifest_sha256: None,
        }
    }

    /// A playlist as it is listed, not playable yet.
    pub(super) fn file(&self, playlist: &PlaylistId) -> super::File {
        let key = self.key(&self.stem(playlist).playlist());
        super::File { key, playlist: playlist.clone(), playable: false, part: None }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::time::Duration;

    use super::*;
    use crate::session::IdleKind;

    /// A mix of everybody in `room`, into the folder `a/b`.
    pub(in crate::session) fn plan() -> Plan {
        Plan {
            sid: Sid::from_random([0xab; 16]),
            app: AppId::new("0123456789abcdef0123456789abcdef").unwrap(),
            cname: Cname::new("room").unwrap(),
            uid: Uid::new("527").unwrap(),
            resource: "resource".into(),
            mode: Mode::Mix,
            profile: AudioProfile::Mono64,
            selection: Selection::All,
            segment: SegmentLength::default(),
            idle: IdleRule { after: Duration::from_secs(30), kind: IdleKind::NoMember },
            files: Vec::new(),
            listing: Listing::String,
            notes: Vec::new(),
            prefix: "a/b".into(),
            created: WallMs(1_700_000_000_000),
            token_until: None,
            init: InitName::M4s,
            live_playlist: false,
            container: Container::Fmp4,
        }
    }

    #[test]
    fn a_mix_is_listed_before_anything_is_recorded() {
        let report = plan().report();
        assert_eq!(report.files[0].key, format!("a/b/{}_room.m3u8", "ab".repeat(16)));
        assert!(!report.files[0].playable);
    }

    #[test]
    fn a_playlist_is_told_from_the_names_of_its_files() {
        let (plan, uid) = (plan(), Uid::new("a.b").unwrap());
        let source = |word: &str| PlaylistId::of(&uid, Some(word.parse().unwrap()));
        for playlist in [PlaylistId::Mix, PlaylistId::of(&uid, None), source("screen"), source("mic2")] {
            let stem = plan.stem(&playlist);
            for (name, role) in [
                (stem.playlist(), Role::Playlist),
                (stem.init(), Role::Init),
                (stem.older_init(), Role::Init),
                (stem.segment(WallMs(0), Container::Fmp4), Role::Segment),
                (stem.segment(WallMs(0), Container::Ts), Role::Segment),
                (format!("bak3_{}", stem.segment(WallMs(0), Container::Ts)), Role::Segment),
                (format!("bak3_{}", stem.playlist()), Role::Playlist),
            ] {
                assert_eq!(plan.file_named(&name), Some((playlist.clone(), role)), "{name}");
            }
            assert_eq!(plan.file_named(&stem.whole(FileType::Mp4, 0)), None);
        }
        let own = plan.stem(&PlaylistId::of(&uid, None));
        assert_eq!(plan.file_named(&format!("{}_mic1.m3u8", own.as_str())), None, "no source of ours");
    }

    #[test]
    fn a_recording_keeps_the_name_of_its_init_segments() {
        let mut value = serde_json::to_value(plan()).unwrap();
        let back: Plan = serde_json::from_value(value.clone()).unwrap();
        assert!(back.init_name(&PlaylistId::Mix).ends_with("_init.m4s"));
        value.as_object_mut().unwrap().remove("init").unwrap();
        let older: Plan = serde_json::from_value(value).unwrap();
        assert!(older.init_name(&PlaylistId::Mix).ends_with("_init.mp4"), "as it began");
    }

    #[test]
    fn a_plan_comes_back_from_the_store() {
        let text = serde_json::to_value(plan()).unwrap();
        let back: Plan = serde_json::from_value(text).unwrap();
        assert_eq!(back.report(), plan().report());
    }
}
