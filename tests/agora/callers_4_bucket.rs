//! docs/protocol/callers.md section 4: programs that know the bucket and nothing else find what they look for.

use crate::contract::speak;
use crate::readers::{MediaName, segments, utc_ms};
use crate::world::World;

/// Readers list a prefix, one wants one playlist in a folder, names are split from the right, start and uid are read from them, and
/// segments are placed by the time in their names.
#[tokio::test(flavor = "multi_thread")]
async fn a_reader_finds_its_way_by_names_alone() {
    let world = World::new().await;
    let task = world.record("individual", "team_a_2026", "1", &world.client()).await;
    speak(&world, &task, "9", 7).await;
    world.stop(&task).await;
    let began = world.over(&task).await["sliceStartTime"].as_i64().unwrap();
    let folder = world.objects().join("rec");
    let names = || std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let playlists: Vec<String> = names().filter(|name| name.ends_with(".m3u8")).collect();
    assert_eq!(playlists.len(), 1, "one m3u8 per folder: {playlists:?}");
    assert!(playlists[0].contains("_team_a_2026_"), "the channel is readable in the key");
    assert!(playlists[0].contains("_audio"), "the type is in the name");
    let uid = playlists[0].split("__uid_s_").nth(1).and_then(|rest| rest.split("__uid_e").next());
    assert_eq!(uid, Some("9"));
    let text = std::fs::read_to_string(folder.join(&playlists[0])).unwrap();
    let mut place = 0.0;
    for (name, seconds) in segments(&text) {
        assert!(names().any(|known| known == name), "in the same folder: {name}");
        assert!(!name.contains(['/', '?']), "relative, without a query: {name}");
        let parsed = MediaName::parse(name).unwrap();
        assert_eq!(parsed.cname, "team_a_2026", "split from the right");
        let at = (utc_ms(parsed.utc) - began) as f64 / 1000.0;
        assert!((at - place).abs() < 0.002, "{name} lies at {at} s, the playlist puts it at {place} s");
        place += seconds.parse::<f64>().unwrap();
    }
    assert!(text.trim_end().ends_with("#EXT-X-ENDLIST"), "ENDLIST makes it final");
}
