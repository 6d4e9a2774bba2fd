//! docs/protocol/agora.md section 2.3: storageConfig, its vendors, regions and prefixes.

use cloud_recorder::storage::vendor::{StorageConfigParts, destination};
use serde_json::{Value, json};

use crate::contract::{accepted, refused};
use crate::world::{Options, World};

/// The regions of vendor 1 by number, as the vendor writes them.
const AMAZON: [&str; 26] = [
    "US_EAST_1",
    "US_EAST_2",
    "US_WEST_1",
    "US_WEST_2",
    "EU_WEST_1",
    "EU_WEST_2",
    "EU_WEST_3",
    "EU_CENTRAL_1",
    "AP_SOUTHEAST_1",
    "AP_SOUTHEAST_2",
    "AP_NORTHEAST_1",
    "AP_NORTHEAST_2",
    "SA_EAST_1",
    "CA_CENTRAL_1",
    "AP_SOUTH_1",
    "CN_NORTH_1",
    "CN_NORTHWEST_1",
    "US_GOV_WEST_1",
    "AF_SOUTH_1",
    "AP_EAST_1",
    "AP_NORTHEAST_3",
    "EU_NORTH_1",
    "ME_SOUTH_1",
    "US_GOV_EAST_1",
    "AP_SOUTHEAST_3",
    "EU_SOUTH_1",
];

#[test]
fn the_regions_of_vendor_1_are_the_vendors() {
    for (number, name) in AMAZON.iter().enumerate() {
        let parts: StorageConfigParts = serde_json::from_value(json!({
            "vendor": 1, "region": number, "bucket": "calls", "accessKey": "a", "secretKey": "s"
        }))
        .unwrap();
        let written = name.to_lowercase().replace('_', "-");
        assert_eq!(destination(&parts).unwrap().region, written, "2.3 vendor 1, region {number}");
    }
}

/// Of each other vendor its first and last region (8 from 1), as the vendor writes them, and the store's host.
const OTHERS: [(u8, i64, &str, &str); 9] = [
    (2, 0, "CN_Hangzhou", "s3.oss-cn-hangzhou.aliyuncs.com"),
    (2, 25, "CN_Wulanchabu", "s3.oss-cn-wulanchabu.aliyuncs.com"),
    (3, 0, "AP_Beijing_1", "cos.ap-beijing-1.myqcloud.com"),
    (3, 19, "EU_Moscow", "cos.eu-moscow.myqcloud.com"),
    (6, 0, "auto", "storage.googleapis.com"),
    (7, 0, "CN_North_1", "obs.cn-north-1.myhuaweicloud.com"),
    (7, 15, "SA_Chile_1", "obs.sa-chile-1.myhuaweicloud.com"),
    (8, 1, "bd", "s3.bd.bcebos.com"),
    (8, 7, "fsh", "s3.fsh.bcebos.com"),
];

#[test]
fn the_other_vendors_have_s3_endpoints_by_region() {
    for (vendor, number, name, host) in OTHERS {
        let parts: StorageConfigParts = serde_json::from_value(json!({
            "vendor": vendor, "region": number, "bucket": "calls", "accessKey": "a", "secretKey": "s"
        }))
        .unwrap();
        let place = destination(&parts).unwrap();
        assert_eq!(place.region, name.to_lowercase().replace('_', "-"), "2.3 vendor {vendor}, region {number}");
        let url = place.url().unwrap();
        let host_style = matches!(vendor, 2 | 3 | 7);
        let expected = if host_style { format!("https://calls.{host}/") } else { format!("https://{host}/calls") };
        assert_eq!(url.as_str(), expected, "2.3 vendor {vendor}, region {number}");
    }
}

#[tokio::test]
async fn what_can_not_be_written_to_is_refused_by_name() {
    let world = World::with(Options { max_sessions: 100, ..Options::default() }).await;
    let plain = world.storage(&["rec"]);
    let with = |field: &str, value: Value| {
        let mut storage = plain.clone();
        storage[field] = value;
        storage
    };
    let mut tagged = plain.clone();
    tagged["extensionParams"]["tag"] = json!("team=a");
    let mut cases = vec![
        ("2.3 vendor 1, region 26", with("vendor", json!(1)), "region"),
        ("2.3 vendor, absent", with("vendor", json!(null)), "storageConfig.vendor is missing"),
        ("2.3 bucket, absent", with("bucket", json!("")), "storageConfig.bucket"),
        ("2.3 accessKey, absent", with("accessKey", json!("")), "storageConfig.accessKey"),
        ("2.3 secretKey, absent", with("secretKey", json!(null)), "storageConfig.secretKey"),
        ("2.3 secretKey, wrong", with("secretKey", json!("wrong")), "storageConfig.secretKey"),
        ("2.3 bucket, unknown", with("bucket", json!("no-such-bucket")), "storageConfig.bucket"),
        (
            "2.3 extensionParams.sse, unknown",
            with("extensionParams", json!({ "sse": "x", "endpoint": "http://x.example" })),
            "sse",
        ),
        ("2.3 extensionParams.tag", tagged, "extensionParams.tag"),
        (
            "2.3 extensionParams.pathStyle, no truth",
            with("extensionParams", json!({ "endpoint": "http://x.example", "pathStyle": "yes" })),
            "extensionParams.pathStyle",
        ),
        (
            "2.3 extensionParams.endpoint, it names the bucket",
            with("extensionParams", json!({ "endpoint": "http://calls.store.example" })),
            "extensionParams.endpoint",
        ),
        ("2.3 vendor 11 without endpoint", with("extensionParams", json!({})), "extensionParams.endpoint"),
        ("2.3 fileNamePrefix, upwards", with("fileNamePrefix", json!(["a/../b"])), "fileNamePrefix[0]"),
        (
            "2.3 fileNamePrefix, a control character",
            with("fileNamePrefix", json!(["a", "b/\u{1}"])),
            "fileNamePrefix[1]",
        ),
        ("2.3 fileNamePrefix, 129 characters", with("fileNamePrefix", json!(["x".repeat(129)])), "fileNamePrefix"),
    ];
    cases[0].1["region"] = json!(26);
    cases.extend(
        [0, 4, 5].map(|vendor| ("2.3 the other vendors", with("vendor", json!(vendor)), "storageConfig.vendor")),
    );
    let resource = world.acquire("room", "1").await;
    for (row, storage, field) in cases {
        let answer = world.start(&resource, "mix", "room", "1", &json!({ "storageConfig": storage })).await;
        refused(row, &answer, 400, 2, field);
    }
    assert_eq!(world.joins(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn prefixes_are_folders_in_the_order_of_the_list() {
    let world = World::new().await;
    for (uid, row, prefix, folder) in [
        ("1", "2.3 fileNamePrefix", vec!["directory1", "directory2"], "directory1/directory2/"),
        ("2", "callers.md 1, with _ and -, four deep", vec!["a_b", "c-d", "e", "Team call"], "a_b/c-d/e/Team call/"),
        ("3", "2.3 fileNamePrefix, none", vec![], ""),
        ("4", "callers.md 1, slashes in an element", vec!["recordings/2024/", "/x//y"], "recordings/2024/x/y/"),
        ("5", "callers.md 1, an empty element", vec!["", "/"], ""),
    ] {
        let mut storage = world.storage(&prefix);
        storage["stsToken"] = json!("");
        storage["stsExpiration"] = json!(1_900_000_000);
        let resource = world.acquire("room", uid).await;
        let answer = world.start(&resource, "mix", "room", uid, &json!({ "storageConfig": storage })).await;
        accepted(row, &answer);
        let path = format!("/v1/apps/{}/recordings/{}", crate::world::APP, answer.body["sid"].as_str().unwrap());
        let name = world.get(&path).await.body["fileList"][0]["fileName"].as_str().unwrap().to_owned();
        assert_eq!(name, format!("{folder}{}_room.m3u8", answer.body["sid"].as_str().unwrap()), "{row}");
    }
}
