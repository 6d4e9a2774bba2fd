//! docs/protocol/agora.md section 4: names in the bucket, and the lines of a playlist. Where a recording of this product has to differ,
//! Opus in `.m4s` for AAC in `.ts`, docs/coming-from-agora.md says so.

use std::path::Path;
use std::process::Command;

use cloud_recorder::recording::Input;
use cloud_recorder::units::TrackId;

use crate::contract::speak;
use crate::readers::{MediaName, segments, stem_parts, utc_ms};
use crate::talker::Talker;
use crate::world::{Task, World};

/// Every character that a channel's name may have beside letters and digits (8.4), in a name of 34 bytes.
const SPECIAL: &str = "a b!c#d$e%f&g(h)i+j-k:l;m<n=o.p>q?r@s[t]u^v_w{x}y|z~1,2";

async fn listing(world: &World, task: &Task) -> Vec<String> {
    world.over(task).await;
    let files = std::fs::read_dir(world.objects().join("rec")).unwrap();
    let names = files.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.filter(|name| name.starts_with(&task.sid)).collect();
    names.sort();
    names
}

fn verify(place: &Path) {
    let output = Command::new(env!("CARGO_BIN_EXE_cloud-recorder")).arg("verify").arg(place).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

/// 4.1: `<sid>_<cname>` for the mix, `…__uid_s_<uid>__uid_e_audio` for one member, the 17 digits of its start for a segment.
#[tokio::test(flavor = "multi_thread")]
async fn names_are_the_vendors() {
    let world = World::new().await;
    for (row, mode, uid) in [("4.1 mix", "mix", None), ("4.1 individual", "individual", Some("9"))] {
        let task = world.record(mode, "room_1", "1", &world.client()).await;
        speak(&world, &task, "9", 7).await;
        world.stop(&task).await;
        let names = listing(&world, &task).await;
        let playlists: Vec<&str> = names.iter().filter_map(|name| name.strip_suffix(".m3u8")).collect();
        assert_eq!(playlists.len(), 1, "{row}: {names:?}");
        assert_eq!(stem_parts(playlists[0]), Some((task.sid.as_str(), "room_1", uid)), "{row}");
        let inits: Vec<&String> = names.iter().filter(|name| name.ends_with("_init.m4s")).collect();
        assert_eq!(inits.len(), 1, "{row}: {names:?}");
        assert!(!names.iter().any(|name| name.ends_with(".mp4")), "{row}, a reader takes the first .mp4: {names:?}");
        let media: Vec<&String> = names.iter().filter(|name| name.ends_with(".m4s") && !inits.contains(name)).collect();
        assert!(media.len() >= 3, "{row}: {names:?}");
        let began = world.over(&task).await["sliceStartTime"].as_i64().unwrap();
        for (number, name) in media.iter().enumerate() {
            let parsed = MediaName::parse(name).unwrap_or_else(|| panic!("{row}: {name}"));
            assert_eq!((parsed.sid, parsed.cname, parsed.uid), (task.sid.as_str(), "room_1", uid), "{row}");
            let at = utc_ms(parsed.utc) - began;
            assert!((at - 2000 * number as i64).abs() < 60, "{row}: segment {number} starts at {at} ms");
        }
    }
}

/// 4.1, the last paragraph, and callers.md 4: special characters become dashes, also in a mix; the name stays readable.
#[tokio::test(flavor = "multi_thread")]
async fn special_characters_become_dashes() {
    let world = World::new().await;
    let task = world.record("mix", SPECIAL, "1", &world.client()).await;
    let keep = |letter: char| if letter.is_ascii_alphanumeric() || letter == '_' { letter } else { '-' };
    let safe: String = SPECIAL.chars().map(keep).collect();
    let name = world.query(&task).await.body["serverResponse"]["fileList"].clone();
    assert_eq!(name, format!("rec/{}_{safe}.m3u8", task.sid), "4.1 special characters");
}

/// 4.2 and 4.3: what a line reader finds.
#[tokio::test(flavor = "multi_thread")]
async fn playlists_have_the_vendors_lines() {
    let world = World::new().await;
    let task = world.record("mix", "room", "1", &world.client()).await;
    speak(&world, &task, "9", 7).await;
    let path = world.objects().join(format!("rec/{}_room.m3u8", task.sid));
    let running = crate::world::until(async || std::fs::read_to_string(&path).ok()).await;
    assert!(!running.contains("#EXT-X-ENDLIST"), "10: a running playlist says that it is not over");
    world.stop(&task).await;
    let text = std::fs::read_to_string(&path).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert!(!text.contains('\r'), "callers.md 4: LF");
    assert_eq!(lines[0], "#EXTM3U", "4.3");
    for line in ["#EXT-X-VERSION:6", "#EXT-X-MEDIA-SEQUENCE:0", "#EXT-X-TARGETDURATION:2"] {
        assert!(lines.contains(&line), "4.3 {line}: {text}");
    }
    assert_eq!(lines.last(), Some(&"#EXT-X-ENDLIST"), "4.3");
    let began = world.over(&task).await["sliceStartTime"].as_i64().unwrap();
    let event = format!("#EXT-X-AGORA-TRACK-EVENT:EVENT=START,TRACK_TYPE=AUDIO,TIME={began}");
    let at = |wanted: &dyn Fn(&str) -> bool| lines.iter().position(|line| wanted(line));
    let (event_at, media_at) = (at(&|line| line == event), at(&|line| line.starts_with("#EXTINF")));
    assert!(event_at.is_some() && event_at < media_at, "4.3 the start of the track: {text}");
    assert_eq!(text.matches("TRACK-EVENT").count(), 1, "4.2: it starts once");
    assert!(!text.contains("DISCONTINUITY"), "4.2 mix: playlists are not interrupted");
    let listed = segments(&text);
    assert!(listed.len() >= 3, "{text}");
    for (name, seconds) in &listed {
        assert!(MediaName::parse(name).is_some(), "4.3: relative, in the same folder: {name}");
        let (whole, decimals) = seconds.split_once('.').unwrap();
        assert!(whole.parse::<u64>().is_ok() && decimals.len() == 6, "4.3 EXTINF with six decimals: {seconds}");
        assert!(seconds.parse::<f64>().unwrap() <= 2.02, "4.2: a segment has its length, the last one may be shorter");
    }
}

/// 4.2 and 4.4: who is silent, muted or comes again goes on in the same playlist, without a gap: silence is kept.
#[tokio::test(flavor = "multi_thread")]
async fn silence_is_kept_and_cuts_nothing() {
    let world = World::new().await;
    let task = world.record("individual", "room", "1", &world.client()).await;
    let scripted_channel = world.scripted_channel(&task).await;
    let mut talker = [Talker::new(1, 440.0)];
    scripted_channel.enter(0, "9", 1).await;
    scripted_channel.talk(&mut talker, 0, 2000).await;
    scripted_channel.at(2000, Input::Muted { track: TrackId(1), muted: true }).await;
    scripted_channel.at(20_000, Input::Muted { track: TrackId(1), muted: false }).await;
    scripted_channel.talk(&mut talker, 20_000, 22_000).await;
    scripted_channel.leave(22_000, "9").await;
    scripted_channel.enter(24_000, "9", 2).await;
    scripted_channel.talk(&mut [Talker::new(2, 440.0)], 24_000, 26_000).await;
    world.stop(&task).await;
    let names = listing(&world, &task).await;
    let playlist: Vec<&String> = names.iter().filter(|name| name.ends_with(".m3u8")).collect();
    assert_eq!(playlist.len(), 1, "4.2: {names:?}");
    let text = std::fs::read_to_string(world.objects().join("rec").join(playlist[0])).unwrap();
    let length: f64 = segments(&text).iter().map(|(_, seconds)| seconds.parse::<f64>().unwrap()).sum();
    assert!((length - 26.0).abs() < 0.5, "4.4: {length} s");
    assert!(!text.contains("DISCONTINUITY"), "4.2");
}

/// 2.3 extensionParams.enableLivePlaylist: the growing playlist under a second name, with the same text up to the end.
#[tokio::test(flavor = "multi_thread")]
async fn a_live_playlist_is_the_playlist_under_a_second_name() {
    let world = World::new().await;
    let mut client = world.client();
    client["storageConfig"]["extensionParams"]["enableLivePlaylist"] = true.into();
    client["recordingConfig"]["alsoIndividual"] = true.into();
    let task = world.record("mix", "room", "1", &client).await;
    speak(&world, &task, "9", 7).await;
    let names = [format!("{}_room.m3u8", task.sid), format!("{}_room__uid_s_9__uid_e_audio.m3u8", task.sid)];
    for name in &names {
        let live = world.objects().join(format!("rec/live_{name}"));
        let text = crate::world::until(async || std::fs::read_to_string(&live).ok()).await;
        assert!(!text.contains("ENDLIST") && !segments(&text).is_empty(), "it grows: {text}");
    }
    world.stop(&task).await;
    world.over(&task).await;
    let manifest = format!("rec/{}_room_manifest.json", task.sid);
    let told = std::fs::read_to_string(world.objects().join(&manifest)).unwrap();
    for name in &names {
        let live = world.objects().join(format!("rec/live_{name}"));
        let text = std::fs::read_to_string(world.objects().join("rec").join(name)).unwrap();
        assert_eq!(std::fs::read_to_string(&live).unwrap(), text);
        assert!(text.ends_with("#EXT-X-ENDLIST\n") && told.contains(&format!("\"live_{name}\"")), "{told}");
        verify(&live);
    }
    verify(&world.objects().join(manifest));
    let plain = world.record("mix", "room", "2", &world.client()).await;
    speak(&world, &plain, "9", 3).await;
    world.stop(&plain).await;
    let live = world.objects().join(format!("rec/live_{}_room.m3u8", plain.sid));
    world.over(&plain).await;
    assert!(!live.exists(), "only where it is asked for");
}
