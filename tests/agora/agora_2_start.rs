//! docs/protocol/agora.md sections 2, 2.1, 2.2 and 2.4: each field of start's clientRequest is honoured, has no effect and says so, or is
//! refused by name.

use cloud_recorder::recording::Selection;
use serde_json::{Value, json};

use crate::contract::{accepted, noted, refused};
use crate::world::{Answer, Options, World};

/// The blocks of a plain clientRequest with others put over them.
fn over(world: &World, blocks: &Value) -> Value {
    let mut client = world.client();
    for (name, block) in blocks.as_object().unwrap() {
        client[name] = block.clone();
    }
    client
}

fn recording(config: Value) -> Value {
    let mut client = json!({});
    client["recordingConfig"] = config;
    client
}

/// Starts this in one mode; each with a recorder's uid of its own.
async fn start(world: &World, mode: &str, number: usize, blocks: &Value) -> Answer {
    let uid = (1000 + number).to_string();
    let resource = world.acquire("room", &uid).await;
    world.start(&resource, mode, "room", &uid, &over(world, blocks)).await
}

async fn roomy() -> World {
    World::with(Options { max_sessions: 1000, ..Options::default() }).await
}

const VIDEO: Option<&str> = Some("video is not");
const ANY: &str = "#allstream#";

#[tokio::test(flavor = "multi_thread")]
async fn fields_that_are_taken() {
    let world = roomy().await;
    let many: Vec<String> = (1..=32).map(|uid| uid.to_string()).collect();
    let web =
        json!({ "extensionServices": [{ "serviceName": "web_recorder_service", "serviceParam": { "url": "x" } }] });
    let video = json!({ "width": 5000, "height": 5000, "fps": 24, "bitrate": 99_999, "mixedVideoLayout": 9 });
    let cases = [
        ("2 token", "mix", json!({ "token": "007abc" }), None),
        ("2 token, empty", "mix", json!({ "token": "" }), None),
        ("2 recordingConfig, absent", "mix", json!({ "recordingConfig": null }), None),
        ("2 recordingFileConfig, hls", "individual", json!({ "recordingFileConfig": { "avFileType": ["hls"] } }), None),
        (
            "2 appsCollection, default",
            "individual",
            json!({ "appsCollection": { "combinationPolicy": "default" } }),
            None,
        ),
        (
            "2 appsCollection, postponed",
            "individual",
            json!({ "appsCollection": { "combinationPolicy": "postpone_transcoding" } }),
            Some("postpone_transcoding"),
        ),
        ("2 snapshotConfig", "individual", json!({ "snapshotConfig": { "fileType": ["jpg"] } }), Some("snapshots")),
        ("2.4 extensionServiceConfig, misplaced", "mix", json!({ "extensionServiceConfig": web }), Some("web page")),
        ("2.1 streamTypes 3", "mix", recording(json!({ "streamTypes": 3 })), Some("streamTypes 3")),
        ("2 unknown keys", "mix", json!({ "unknown": { "x": [1] } }), None),
        ("2.1 channelType 0", "mix", recording(json!({ "channelType": 0 })), None),
        ("2.1 channelType 1", "individual", recording(json!({ "channelType": 1 })), None),
        ("2.1 streamTypes 0", "mix", recording(json!({ "streamTypes": 0 })), None),
        ("2.1 streamTypes 2", "mix", recording(json!({ "streamTypes": 2 })), VIDEO),
        ("2.1 streamMode original", "individual", recording(json!({ "streamMode": "original" })), None),
        ("2.1 streamMode default", "individual", recording(json!({ "streamMode": "default" })), Some("Opus packets")),
        ("2.1 streamMode standard", "individual", recording(json!({ "streamMode": "standard" })), Some("Opus packets")),
        ("2.1 streamMode, in mix", "mix", recording(json!({ "streamMode": "default" })), None),
        ("2.1 decryptionMode 0", "mix", recording(json!({ "decryptionMode": 0, "secret": "", "salt": "" })), None),
        ("2.1 maxIdleTime, the least", "mix", recording(json!({ "maxIdleTime": 5 })), None),
        ("2.1 maxIdleTime, the most", "mix", recording(json!({ "maxIdleTime": 2_592_000 })), None),
        ("2.1 audioProfile 0", "mix", recording(json!({ "audioProfile": 0 })), None),
        ("2.1 audioProfile 1", "mix", recording(json!({ "audioProfile": 1 })), None),
        ("2.1 audioProfile 2", "mix", recording(json!({ "audioProfile": 2 })), None),
        ("2.1 videoStreamType 0", "mix", recording(json!({ "videoStreamType": 0 })), None),
        ("2.1 videoStreamType 1", "mix", recording(json!({ "videoStreamType": 1 })), None),
        ("2.1 subscribeAudioUids, 32", "individual", recording(json!({ "subscribeAudioUids": many })), None),
        (
            "2.1 subscribeVideoUids beside audio",
            "mix",
            recording(json!({ "streamTypes": 2, "subscribeVideoUids": [ANY], "subscribeAudioUids": [ANY] })),
            VIDEO,
        ),
        (
            "2.1 subscribeVideoUids with streamTypes 0",
            "mix",
            recording(json!({ "streamTypes": 0, "subscribeVideoUids": ["7"] })),
            None,
        ),
        ("2.1 subscribeUidGroup 0", "individual", recording(json!({ "subscribeUidGroup": 0 })), None),
        ("2.1 subscribeUidGroup 5", "individual", recording(json!({ "subscribeUidGroup": 5 })), None),
        ("2.1 privateParams", "mix", recording(json!({ "privateParams": "{\"correctEXTINF\":true}" })), None),
        ("2.1 privateParams, others", "mix", recording(json!({ "privateParams": "{\"x\":1}" })), Some("privateParams")),
        ("2.2 transcodingConfig", "mix", recording(json!({ "streamTypes": 2, "transcodingConfig": video })), VIDEO),
        (
            "2.2 transcodingConfig, audio alone",
            "mix",
            recording(json!({ "streamTypes": 0, "transcodingConfig": video })),
            None,
        ),
        ("2.2 transcodingConfig, no streamTypes", "mix", recording(json!({ "transcodingConfig": {} })), VIDEO),
    ];
    for (number, (row, mode, blocks, note)) in cases.into_iter().enumerate() {
        let answer = start(&world, mode, number, &blocks).await;
        accepted(row, &answer);
        match note {
            Some(words) => assert!(noted(&answer, words), "{row}: {}", answer.body),
            None => assert!(answer.body.get("notes").is_none(), "{row}: {}", answer.body),
        }
    }
}

#[tokio::test]
async fn fields_that_are_refused() {
    let world = roomy().await;
    let many: Vec<String> = (1..=33).map(|uid| uid.to_string()).collect();
    let web =
        json!({ "extensionServices": [{ "serviceName": "web_recorder_service", "serviceParam": { "url": "x" } }] });
    let mix = json!({ "transConfig": { "transMode": "audioMix" }, "container": { "format": "mp3" } });
    let mut cases = vec![
        ("2 token, no string", "mix", json!({ "token": 5 }), "token"),
        ("2 storageConfig, absent", "mix", json!({ "storageConfig": null }), "storageConfig is missing"),
        ("2 recordingConfig, no object", "mix", json!({ "recordingConfig": [] }), "recordingConfig"),
        ("2 avFileType, mp4 alone", "mix", json!({ "recordingFileConfig": { "avFileType": ["mp4"] } }), "avFileType"),
        (
            "2 avFileType, unknown",
            "mix",
            json!({ "recordingFileConfig": { "avFileType": ["hls", "mkv"] } }),
            "avFileType",
        ),
        ("2 snapshotConfig, no object", "individual", json!({ "snapshotConfig": ["jpg"] }), "snapshotConfig"),
        ("2 transcodeOptions", "individual", json!({ "transcodeOptions": mix }), "transcodeOptions"),
        ("2.1 channelType 2", "mix", recording(json!({ "channelType": 2 })), "recordingConfig.channelType"),
        ("2.1 streamTypes 1", "mix", recording(json!({ "streamTypes": 1 })), "recordingConfig.streamTypes"),
        ("2.1 streamTypes 4", "mix", recording(json!({ "streamTypes": 4 })), "recordingConfig.streamTypes"),
        (
            "2.1 streamMode, unknown",
            "individual",
            recording(json!({ "streamMode": "x" })),
            "recordingConfig.streamMode",
        ),
        ("2.1 maxIdleTime 4", "mix", recording(json!({ "maxIdleTime": 4 })), "recordingConfig.maxIdleTime"),
        ("2.1 maxIdleTime, a day too long", "mix", recording(json!({ "maxIdleTime": 2_678_400 })), "maxIdleTime"),
        ("2.1 audioProfile 3", "mix", recording(json!({ "audioProfile": 3 })), "recordingConfig.audioProfile"),
        ("2.1 subscribeAudioUids, 33", "mix", recording(json!({ "subscribeAudioUids": many })), "subscribeAudioUids"),
        (
            "2.1 unSubscribeAudioUids, 33",
            "mix",
            recording(json!({ "unSubscribeAudioUids": many })),
            "unSubscribeAudioUids",
        ),
        (
            "2.1 mutually exclusive",
            "mix",
            recording(json!({ "subscribeAudioUids": ["1"], "unSubscribeAudioUids": ["2"] })),
            "exclude each other",
        ),
        (
            "2.1 a video list alone subscribes to no audio",
            "mix",
            recording(json!({ "streamTypes": 2, "subscribeVideoUids": ["7"] })),
            "recordingConfig.subscribeVideoUids",
        ),
        ("2.1 subscribeUidGroup 6", "individual", recording(json!({ "subscribeUidGroup": 6 })), "subscribeUidGroup"),
        ("1 mode web", "web", json!({ "extensionServiceConfig": web }), "mode is web"),
        ("1 mode, unknown", "loud", json!({}), "mode "),
    ];
    let secret = |mode: u8| recording(json!({ "decryptionMode": mode, "secret": "s3cr3t", "salt": "AAAA" }));
    cases.extend(
        (1..=9).map(|mode| ("2.1 decryptionMode, secret, salt", "mix", secret(mode), "recordingConfig.decryptionMode")),
    );
    for (number, (row, mode, blocks, field)) in cases.into_iter().enumerate() {
        let answer = start(&world, mode, number, &blocks).await;
        refused(row, &answer, 400, 2, field);
        assert!(!answer.body.to_string().contains("s3cr3t"), "{row}: {}", answer.body);
    }
    assert_eq!(world.joins(), 0, "nothing was recorded");
}

/// 2.1 subscribeAudioUids and unSubscribeAudioUids, as the bot goes by them.
#[tokio::test(flavor = "multi_thread")]
async fn lists_say_who_is_recorded() {
    let world = roomy().await;
    let uids = |list: &[&str]| list.iter().map(|uid| uid.parse().unwrap()).collect();
    for (number, (row, config, wanted)) in [
        ("2.1 subscribeAudioUids", json!({ "subscribeAudioUids": ["7", 8] }), Selection::Only(uids(&["7", "8"]))),
        ("2.1 unSubscribeAudioUids", json!({ "unSubscribeAudioUids": ["7"] }), Selection::Except(uids(&["7"]))),
        ("10.1 unsubscribeAudioUids", json!({ "unsubscribeAudioUids": ["7"] }), Selection::Except(uids(&["7"]))),
        ("2.1 #allstream#", json!({ "subscribeAudioUids": [ANY] }), Selection::All),
        ("callers.md 1, [] is everybody", json!({ "subscribeAudioUids": [] }), Selection::All),
    ]
    .into_iter()
    .enumerate()
    {
        let answer = start(&world, "mix", number, &recording(config)).await;
        accepted(row, &answer);
        let scripted_channel = world.channel.scripted_channel(answer.body["sid"].as_str().unwrap());
        assert_eq!(*scripted_channel.selection.borrow(), wanted, "{row}");
    }
}
