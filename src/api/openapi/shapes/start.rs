//! The body of start.

use serde_json::{Value, json};

use super::requests::{uids, who};
use super::{Shape, about};
use crate::api::openapi::word::{between, count, ignored, list, may, named, object, one_of, open, text, truth};

pub(super) fn all() -> Vec<Shape> {
    vec![
        ("StartRequest", start()),
        ("RecordingConfig", recording_config()),
        ("RecordingFileConfig", file_config()),
        ("StorageConfig", storage_config()),
    ]
}

fn start() -> Value {
    let collection = object([may(
        "combinationPolicy",
        text(
            "`default`, or `postpone_transcoding`: each track's MP4 is made as `[\"hls\",\"mp4\"]` makes it, and `notes` says so",
        ),
    )]);
    let client = about(
        object([
            may(
                "token",
                text(
                    "A channel token for `cname` and `uid`; the recorder needs none. One that is wrong or expired is refused (110, 109), \
                     and when one of the embedded channel server expires, the recording ends",
                ),
            ),
            may("recordingConfig", named("RecordingConfig")),
            may("recordingFileConfig", named("RecordingFileConfig")),
            may("storageConfig", named("StorageConfig")),
            may("appsCollection", collection),
        ]),
        "`snapshotConfig` and `extensionServiceConfig` have no effect, and `notes` says so; `transcodeOptions` is refused by name",
    );
    let [cname, uid] = who();
    object([cname, uid, may("clientRequest", client)])
}

fn recording_config() -> Value {
    let everybody = "`[]` and `[\"#allstream#\"]` mean everybody";
    object([
        may("channelType", between(0, 1, "0 communication (default), 1 live. Says what `maxIdleTime` waits for")),
        may(
            "streamTypes",
            one_of(
                &[0, 2, 3],
                "0 audio, 2 audio and video: the audio is recorded and `notes` says so, as with 3. 1, video alone, is refused",
            ),
        ),
        may(
            "streamMode",
            one_of(
                &["original", "default", "standard"],
                "Individual tracks keep the sender's Opus packets in every mode; `notes` says so where another was asked for",
            ),
        ),
        may("decryptionMode", one_of(&[0], "0: decryption is not offered")),
        may(
            "maxIdleTime",
            between(
                5,
                2_592_000,
                "Seconds after which the recording ends by itself, 30 when left out: without anybody in a \
             communication channel, without anybody who publishes in a live one",
            ),
        ),
        may(
            "audioProfile",
            between(0, 2, "The mix: 0 mono 64 kbit/s (default), 1 mono 128 kbit/s, 2 stereo 192 kbit/s"),
        ),
        may("subscribeAudioUids", uids(&format!("Record only these, at most 32; {everybody}"))),
        may("unSubscribeAudioUids", uids("Record everybody but these, at most 32. Not together with the other list")),
        may("unsubscribeAudioUids", uids("The same in another spelling")),
        may("subscribeUidGroup", between(0, 5, "No effect: any number of members can be recorded")),
        may("transcodingConfig", open("No effect: video is not recorded; `notes` says so")),
        may("alsoIndividual", truth("Addition, mode mix: individual tracks as well, from one subscription")),
        may("alsoMix", truth("Addition, mode individual: the mix as well, from one subscription")),
    ])
}

fn file_config() -> Value {
    let kinds = one_of(&["hls", "mp4", "ogg"], "A file type");
    object([
        may(
            "avFileType",
            list(
                kinds,
                "`[\"hls\"]`. `mp4` and `ogg` beside it, in every mode: whole files with the packets of the playlists; `notes` says so where \
                 they had to be given up",
            ),
        ),
        may(
            "container",
            one_of(
                &["fmp4", "ts"],
                "Addition: what segments are packed in. `fmp4`: Opus. `ts`: AAC-LC in MPEG-TS, without an init segment; `ogg` does not go \
                 with it. Left out: what the configuration says",
            ),
        ),
    ])
}

fn storage_config() -> Value {
    let extension = object([
        may(
            "endpoint",
            text(
                "Vendor 11: `https://host[:port][/path]` of the store, without the bucket. Private addresses only where the configuration \
                 allows",
            ),
        ),
        may(
            "region",
            text(
                "Vendor 11: the region to sign for, where it is not `us-east-1` and not in the endpoint's name. A store that names another one \
                 is asked once more with that",
            ),
        ),
        may(
            "pathStyle",
            truth(
                "Addition: true, the bucket goes into the path of each request; false, into its host name. Left out: into the path, and into \
                 the host name where the store refuses that. A bucket with dots is in the path in any case",
            ),
        ),
        may("sse", text("`kms`, `aes256` or `none`")),
        may(
            "enableLivePlaylist",
            truth(
                "Each playlist lies in the bucket as `live_<sid>_<cname>….m3u8` too, with the same text, while it grows and after",
            ),
        ),
    ]);
    about(
        object([
            may(
                "vendor",
                between(
                    0,
                    255,
                    "1 Amazon S3, 2 Alibaba, 3 Tencent, 6 Google, 7 Huawei, 8 Baidu, 11 S3-compatible; others are refused",
                ),
            ),
            may("region", count("The vendor's region number; ignored for vendors 6 and 11")),
            may("bucket", text("The bucket")),
            may("accessKey", text("Access key")),
            may("secretKey", text("Secret key. Sealed at rest, in no answer, event or log")),
            may("stsToken", text("Session token of short-lived keys; bring fresh ones with update")),
            may("stsExpiration", ignored("No effect: an expired token is seen when the bucket refuses it")),
            may(
                "fileNamePrefix",
                list(
                    json!({ "type": "string" }),
                    "Folders, joined with `/`. An element may name several, `recordings/2026/`; empty ones are dropped, `..` is refused",
                ),
            ),
            may("extensionParams", extension),
        ]),
        "Where the recording goes; left out or blank: the app's bucket of the configuration",
    )
}
