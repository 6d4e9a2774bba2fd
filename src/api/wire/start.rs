//! The body of start (docs/protocol/agora.md section 2): every field is honoured, has no meaning for audio, or is refused with a reason.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;

use super::fields::{BadField, Fields};
use super::{hash, storage, subscribe, who};
use crate::codec::container::Container;
use crate::codec::whole::FileType;
use crate::recording::{AudioProfile, Mode};
use crate::session::{IdleKind, IdleRule, Listing, Note, RequestHash, ResourceId, StartOptions, StartRequest};
use crate::units::AppId;

/// Reads a start request; `mode` is the path's.
pub(crate) fn parse(app: AppId, resource: ResourceId, mode: &str, body: &Value) -> Result<StartRequest, BadField> {
    let mode = recording_mode(mode)?;
    let fields = Fields::root(body)?;
    let (cname, uid) = who::required(&fields)?;
    let client = fields.object("clientRequest")?;
    let options = options(mode, &client)?;
    let sent = fields.value("clientRequest").cloned().unwrap_or(Value::Object(serde_json::Map::new()));
    let promised = hash::of(&sent);
    let identity = identity(cname.as_str(), uid.as_str(), options.mode, sent);
    Ok(StartRequest { app, resource, cname, uid, options, promised, identity })
}

/// The mode that a path names.
fn recording_mode(mode: &str) -> Result<Mode, BadField> {
    match mode {
        "mix" => Ok(Mode::Mix),
        "individual" => Ok(Mode::Individual),
        "web" => Err(BadField::new("mode", "is web, web page recording, which is not offered; use mix or individual")),
        _ => Err(BadField::new("mode", "in the path is unknown; use mix or individual")),
    }
}

/// A repeated start may bring a fresh token, so the token is no part of what makes two starts the same.
fn identity(cname: &str, uid: &str, mode: Mode, mut client: Value) -> RequestHash {
    if let Some(map) = client.as_object_mut() {
        map.shift_remove("token");
    }
    hash::of(&serde_json::json!({ "cname": cname, "uid": uid, "mode": mode, "clientRequest": client }))
}

fn options(mode: Mode, client: &Fields<'_>) -> Result<StartOptions, BadField> {
    let token = client.text("token")?.filter(|token| !token.is_empty()).map(|token| token.to_owned().into());
    refuse_transcoding(client)?;
    let recording = client.object("recordingConfig")?;
    let mut notes = params_note(&recording)?;
    notes.extend(streams_note(&recording)?);
    if transcoded_tracks_asked(&recording)? && mode == Mode::Individual {
        notes.push(Note::NotTranscoded);
    }
    notes.extend(other_services(client)?);
    let mut files = files_asked(&client.object("recordingFileConfig")?)?;
    if postponed_asked(client)? {
        notes.push(Note::NotPostponed);
        // What the vendor makes of each track after the end.
        if mode == Mode::Individual && !files.contains(&FileType::Mp4) {
            files.insert(0, FileType::Mp4);
        }
    }
    refuse_encryption(&recording)?;
    recording.integer("subscribeUidGroup", 0, 5)?;
    let mode = both(mode, &recording)?;
    let listing = if mode == Mode::Mix && files.is_empty() { Listing::String } else { Listing::Json };
    Ok(StartOptions {
        mode,
        profile: profile(&recording)?,
        selection: subscribe::at_start(&recording)?,
        idle: idle(&recording)?,
        storage: storage::parse(&client.object("storageConfig")?)?,
        files,
        container: container_asked(&client.object("recordingFileConfig")?)?,
        live_playlist: storage::live_playlist(&client.object("storageConfig")?)?,
        listing,
        notes,
        token,
    })
}

/// What of the streams that are asked for is not recorded: video beside audio, which a layout without streamTypes asks for too. Video
/// alone is refused.
fn streams_note(recording: &Fields<'_>) -> Result<Option<Note>, BadField> {
    let layout = recording.object("transcodingConfig")?.is_present();
    match recording.integer("streamTypes", 0, 3)? {
        Some(1) => Err(recording.bad("streamTypes", "is 1, video alone, which is not recorded; use 0 or 2")),
        Some(2) => Ok(Some(Note::VideoNotRecorded)),
        Some(3) => Ok(Some(Note::UnknownStreamTypes)),
        Some(_) => Ok(None),
        None => Ok(layout.then_some(Note::VideoNotRecorded)),
    }
}

/// `original` is what every track is; the others are accepted and make the same tracks.
fn transcoded_tracks_asked(recording: &Fields<'_>) -> Result<bool, BadField> {
    match recording.text("streamMode")? {
        None | Some("" | "original") => Ok(false),
        Some("default" | "standard") => Ok(true),
        Some(_) => Err(recording.bad("streamMode", "must be original, default or standard")),
    }
}

/// Whole files beside HLS. Additive: `ogg`, and any of them in individual mode too, one for each uid.
fn files_asked(files: &Fields<'_>) -> Result<Vec<FileType>, BadField> {
    let types = files.texts("avFileType")?;
    let mut asked = BTreeSet::new();
    for kind in &types {
        match *kind {
            "hls" => {}
            "mp4" => _ = asked.insert(FileType::Mp4),
            "ogg" => _ = asked.insert(FileType::Ogg),
            unknown => {
                let unknown: String = unknown.chars().take(16).collect();
                let right = "use [\"hls\"], or \"mp4\" or \"ogg\" beside it";
                return Err(files.bad("avFileType", format!("holds {unknown:?}; {right}")));
            }
        }
    }
    if !types.is_empty() && !types.contains(&"hls") {
        return Err(files.bad("avFileType", "lacks \"hls\", which every recording has; use [\"hls\",\"mp4\"]"));
    }
    Ok(asked.into_iter().collect())
}

/// What is asked for beside the recording of the channel's sound, which does not depend on it.
fn other_services(client: &Fields<'_>) -> Result<Vec<Note>, BadField> {
    let services = [("snapshotConfig", Note::SnapshotsNotTaken), ("extensionServiceConfig", Note::ServicesNotOffered)];
    let mut notes = Vec::new();
    for (field, note) in services {
        if client.object(field)?.is_present() {
            notes.push(note);
        }
    }
    Ok(notes)
}

/// Additive: what segments are packed in.
fn container_asked(files: &Fields<'_>) -> Result<Option<Container>, BadField> {
    match files.text("container")? {
        None | Some("") => Ok(None),
        Some("fmp4") => Ok(Some(Container::Fmp4)),
        Some("ts") => Ok(Some(Container::Ts)),
        Some(_) => Err(files.bad("container", "must be fmp4 (Opus) or ts (AAC)")),
    }
}

/// It asks for one file of everybody instead of tracks: not what would be recorded.
fn refuse_transcoding(client: &Fields<'_>) -> Result<(), BadField> {
    if client.object("transcodeOptions")?.is_present() {
        let what = "asks to mix tracks after the end, which is not offered; leave it out, and use mode mix or alsoMix";
        return Err(client.bad("transcodeOptions", what));
    }
    Ok(())
}

/// Whether tracks are to be transcoded after the end, which goes with scene 2 of acquire.
fn postponed_asked(client: &Fields<'_>) -> Result<bool, BadField> {
    Ok(client.object("appsCollection")?.text("combinationPolicy")? == Some("postpone_transcoding"))
}

fn refuse_encryption(recording: &Fields<'_>) -> Result<(), BadField> {
    match recording.integer("decryptionMode", 0, 8)? {
        Some(0) | None => Ok(()),
        Some(_) => Err(recording.bad("decryptionMode", "asks to decrypt media, which is not offered; use 0")),
    }
}

/// `privateParams` holds JSON in a string.
fn params_note(recording: &Fields<'_>) -> Result<Vec<Note>, BadField> {
    let text = recording.text("privateParams")?.map_or("", str::trim);
    let params: Value = serde_json::from_str(text).unwrap_or_default();
    let known = params.as_object().is_some_and(|params| params.keys().all(|name| name == "correctEXTINF"));
    Ok(if text.is_empty() || known { Vec::new() } else { vec![Note::UnknownParams] })
}

fn profile(recording: &Fields<'_>) -> Result<AudioProfile, BadField> {
    Ok(match recording.integer("audioProfile", 0, 2)? {
        Some(2) => AudioProfile::Stereo192,
        Some(1) => AudioProfile::Mono128,
        _ => AudioProfile::Mono64,
    })
}

fn idle(recording: &Fields<'_>) -> Result<IdleRule, BadField> {
    const THIRTY_DAYS: u64 = 2_592_000;
    let kind = match recording.integer("channelType", 0, 1)? {
        Some(1) => IdleKind::NoPublisher,
        _ => IdleKind::NoMember,
    };
    let after = Duration::from_secs(recording.integer("maxIdleTime", 5, THIRTY_DAYS)?.unwrap_or(30));
    Ok(IdleRule { after, kind })
}

/// Additive: mix and individual tracks in one task, from one subscription.
fn both(mode: Mode, recording: &Fields<'_>) -> Result<Mode, BadField> {
    let also = match mode {
        Mode::Mix => recording.flag("alsoIndividual")?,
        _ => recording.flag("alsoMix")?,
    };
    Ok(if also { Mode::Both } else { mode })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read_mode(mode: &str, client: &Value) -> Result<StartRequest, String> {
        let app = AppId::new("0123456789abcdef0123456789abcdef").unwrap();
        let body = json!({ "cname": "room", "uid": 527, "clientRequest": client });
        parse(app, ResourceId::from_random([1; 20]), mode, &body).map_err(|error| error.to_string())
    }

    fn read(client: &Value) -> Result<StartRequest, String> {
        read_mode("mix", client)
    }

    #[test]
    fn nothing_at_all_has_the_documented_defaults() {
        let request = read(&json!({})).unwrap();
        let options = request.options;
        assert_eq!(
            (options.mode, options.profile, options.listing),
            (Mode::Mix, AudioProfile::Mono64, Listing::String)
        );
        assert_eq!(options.idle, IdleRule { after: Duration::from_secs(30), kind: IdleKind::NoMember });
        assert!(options.storage.is_none() && options.notes.is_empty());
    }

    #[test]
    fn what_most_callers_send_is_taken_with_a_note() {
        let client = json!({
            "token": "",
            "recordingConfig": {
                "channelType": 1, "streamTypes": 2, "maxIdleTime": 120, "audioProfile": 2, "width": 0, "audioOnlyFallback": 1,
                "subscribeUidGroup": 0,
                "transcodingConfig": { "width": 640, "height": 360, "fps": 15, "bitrate": 500, "mixedVideoLayout": 1 },
                "subscribeAudioUids": [], "subscribeVideoUids": ["#allstream#"]
            },
            "recordingFileConfig": { "avFileType": ["hls", "mp4"] },
            "streamSubscribe": {}, "appsCollection": { "combinationPolicy": "default" }
        });
        let options = read(&client).unwrap().options;
        assert_eq!((&options.notes[..], &options.files[..]), (&[Note::VideoNotRecorded][..], &[FileType::Mp4][..]));
        assert_eq!((options.profile, options.listing), (AudioProfile::Stereo192, Listing::Json));
        assert_eq!(options.idle.kind, IdleKind::NoPublisher);
    }

    #[test]
    fn what_would_change_the_recording_is_refused_by_name() {
        for (client, field) in [
            (json!({ "recordingConfig": { "streamTypes": 1 } }), "recordingConfig.streamTypes"),
            (json!({ "recordingConfig": { "streamTypes": "0" } }), "recordingConfig.streamTypes"),
            (json!({ "recordingConfig": { "maxIdleTime": 4 } }), "recordingConfig.maxIdleTime"),
            (json!({ "recordingConfig": { "maxIdleTime": 1e300 } }), "recordingConfig.maxIdleTime"),
            (json!({ "recordingConfig": { "audioProfile": 3 } }), "recordingConfig.audioProfile"),
            (json!({ "recordingConfig": { "streamMode": "loud" } }), "recordingConfig.streamMode"),
            (json!({ "recordingConfig": { "decryptionMode": 1 } }), "recordingConfig.decryptionMode"),
            (json!({ "recordingConfig": { "subscribeVideoUids": ["1"] } }), "recordingConfig.subscribeVideoUids"),
            (json!({ "recordingConfig": { "privateParams": {} } }), "recordingConfig.privateParams"),
            (json!({ "recordingConfig": [] }), "recordingConfig"),
            (json!({ "recordingFileConfig": { "avFileType": ["mp4"] } }), "recordingFileConfig.avFileType"),
            (json!({ "recordingFileConfig": { "avFileType": ["hls", "mkv"] } }), "recordingFileConfig.avFileType"),
            (json!({ "recordingConfig": { "streamTypes": 4 } }), "recordingConfig.streamTypes"),
            (json!({ "snapshotConfig": 5 }), "snapshotConfig"),
            (json!({ "transcodeOptions": {} }), "transcodeOptions"),
            (
                json!({ "storageConfig": { "extensionParams": { "enableLivePlaylist": "true" } } }),
                "storageConfig.extensionParams.enableLivePlaylist",
            ),
            (json!({ "token": 5 }), "token"),
        ] {
            let problem = read(&client).unwrap_err();
            assert!(problem.starts_with(&format!("clientRequest.{field} ")), "{client}: {problem}");
        }
        assert!(read_mode("web", &json!({})).unwrap_err().starts_with("mode is web"));
        assert!(read_mode("", &json!({})).unwrap_err().starts_with("mode "));
    }

    #[test]
    fn what_leaves_the_sound_recordable_is_taken_with_a_note() {
        let postponed = json!({ "appsCollection": { "combinationPolicy": "postpone_transcoding" } });
        for (mode, client, note, files) in [
            ("individual", postponed.clone(), Note::NotPostponed, vec![FileType::Mp4]),
            ("mix", postponed, Note::NotPostponed, vec![]),
            ("mix", json!({ "snapshotConfig": { "captureInterval": 5 } }), Note::SnapshotsNotTaken, vec![]),
            ("mix", json!({ "extensionServiceConfig": {} }), Note::ServicesNotOffered, vec![]),
            ("individual", json!({ "recordingConfig": { "streamTypes": 3 } }), Note::UnknownStreamTypes, vec![]),
        ] {
            let options = read_mode(mode, &client).unwrap().options;
            assert_eq!((options.notes, options.files), (vec![note], files), "{mode}: {client}");
        }
    }

    #[test]
    fn a_live_playlist_is_made_where_it_is_asked_for() {
        let live = |flag: bool| json!({ "storageConfig": { "extensionParams": { "enableLivePlaylist": flag } } });
        let options = read(&live(true)).unwrap().options;
        assert!(options.live_playlist && options.storage.is_none(), "the app's own bucket does for it");
        assert!(!read(&live(false)).unwrap().options.live_playlist && !read(&json!({})).unwrap().options.live_playlist);
    }

    #[test]
    fn parameters_that_nobody_documents_are_noted() {
        for (params, noted) in
            [(r#"{"correctEXTINF":true}"#, false), ("", false), (r#"{"correctEXTINF":true,"x":1}"#, true), ("x", true)]
        {
            let notes = read(&json!({ "recordingConfig": { "privateParams": params } })).unwrap().options.notes;
            assert_eq!(notes.contains(&Note::UnknownParams), noted, "{params}");
        }
    }

    #[test]
    fn one_task_can_make_both_kinds_of_playlist() {
        let mix = read(&json!({ "recordingConfig": { "alsoIndividual": true } })).unwrap().options;
        let individual = read_mode("individual", &json!({ "recordingConfig": { "alsoMix": true } })).unwrap().options;
        assert_eq!((mix.mode, individual.mode), (Mode::Both, Mode::Both));
        assert_eq!(mix.listing, Listing::Json);
    }

    #[test]
    fn whole_files_come_beside_hls_in_every_mode() {
        let files = |types: Value| json!({ "recordingFileConfig": { "avFileType": types } });
        for mode in ["mix", "individual"] {
            let options = read_mode(mode, &files(json!(["ogg", "hls", "mp4", "mp4"]))).unwrap().options;
            assert_eq!((options.files, options.listing), (vec![FileType::Mp4, FileType::Ogg], Listing::Json));
            assert!(read_mode(mode, &files(json!(["hls"]))).unwrap().options.files.is_empty());
            assert!(
                read_mode(mode, &files(json!(["ogg"]))).is_err() && read_mode(mode, &files(json!(["mp4"]))).is_err()
            );
        }
    }

    #[test]
    fn a_fresh_token_makes_no_different_start() {
        let one = read(&json!({ "token": "a", "recordingConfig": { "streamTypes": 0 } })).unwrap();
        let two = read(&json!({ "recordingConfig": { "streamTypes": 0 }, "token": null })).unwrap();
        let other = read(&json!({ "recordingConfig": { "streamTypes": 2 } })).unwrap();
        assert_eq!(one.identity, two.identity);
        assert_ne!(one.identity, other.identity);
        assert_ne!(one.promised, two.promised);
    }
}
