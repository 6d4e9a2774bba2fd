//! Channels, users and projects over REST: docs/protocol/agora.md section 7, row by row.

use livekit_protocol::UpdateParticipantMetadata;
use livekit_protocol::signal_request::Message as Request;
use reqwest::Method;
use serde_json::{Value, json};

use crate::client::Client;
use crate::rest::{call, get};
use crate::test_server::{APP, TestServer, app_elsewhere, recorder_token, token};

async fn join(test_server: &TestServer, channel: &str, identity: &str, query: &str) -> Client {
    let token = token(identity, &json!({ "room": channel }));
    Client::with_token(test_server, &format!("{token}&{query}")).await
}

/// Row "channels".
#[tokio::test]
async fn channels_are_listed_by_page() {
    let test_server = TestServer::open().await;
    let empty = json!({ "success": true, "data": { "channels": [], "total_size": 0 } });
    assert_eq!(get(&test_server, &format!("channel/{APP}")).await, empty);
    let mut members = Vec::new();
    for (channel, users) in [("b", 2), ("a", 1), ("c", 3)] {
        for user in 1..=users {
            members.push(join(&test_server, channel, &user.to_string(), "").await);
        }
    }
    let _recorder = Client::with_token(
        &test_server,
        &token("recorder-1", &json!({ "room": "a", "recorder": true, "hidden": true })),
    )
    .await;
    let list = |names: &[(&str, u32)]| {
        let channels: Vec<_> =
            names.iter().map(|(name, count)| json!({ "channel_name": name, "user_count": count })).collect();
        json!({ "success": true, "data": { "channels": channels, "total_size": 3 } })
    };
    assert_eq!(get(&test_server, &format!("channel/{APP}")).await, list(&[("a", 1), ("b", 2), ("c", 3)]));
    assert_eq!(get(&test_server, &format!("channel/{APP}?page_no=1&page_size=2")).await, list(&[("c", 3)]));
    assert_eq!(get(&test_server, &format!("channel/{APP}?page_no=7")).await, list(&[]), "past the last page");
    for wrong in ["page_size=0", "page_size=501", "page_no=x"] {
        let (status, answer) = call(&test_server, Method::GET, &format!("channel/{APP}?{wrong}"), None).await;
        assert!(status == 400 && answer["message"].is_string(), "{wrong}: {answer}");
    }
}

/// Rows "users" and "hosts", communication.
#[tokio::test]
async fn a_communication_channel_lists_its_users() {
    let test_server = TestServer::open().await;
    let path = format!("channel/user/{APP}/room");
    let absent = json!({ "success": true, "data": { "channel_exist": false } });
    assert_eq!(get(&test_server, &path).await, absent);
    let _one = join(&test_server, "room", "906218805", "").await;
    let _bot = Client::with_token(&test_server, &recorder_token("recorder-1")).await;
    let answer =
        json!({ "success": true, "data": { "channel_exist": true, "mode": 1, "total": 1, "users": [906_218_805] } });
    assert_eq!(get(&test_server, &path).await, answer, "the recorder is nobody's user");
    let hosts = get(&test_server, &format!("{path}/hosts_only")).await;
    assert_eq!(
        hosts,
        json!({ "success": true, "data": { "channel_exist": true, "mode": 1 } }),
        "for live channels only"
    );

    let _alice = join(&test_server, "room", "alice", "").await;
    let data = get(&test_server, &path).await["data"].clone();
    let number = data["users"][1].as_u64().expect("a number for an account");
    assert_eq!(data["accounts"], json!({ number.to_string(): "alice" }));
}

/// Rows "users" and "hosts", live.
#[tokio::test]
async fn a_live_channel_lists_hosts_and_audience() {
    let test_server = TestServer::open().await;
    // Names may hold what a path must not: it comes encoded.
    let (channel, path) = ("show #1?", format!("channel/user/{APP}/show%20%231%3F"));
    let _host = join(&test_server, channel, "2206227541", "profile=live&role=host").await;
    let mut guest = join(&test_server, channel, "906219905", "role=audience").await;
    let live = |hosts: Value, audience: Value| {
        let total = audience.as_array().unwrap().len();
        let data = json!({
            "channel_exist": true, "mode": 2, "broadcasters": hosts, "audience": audience, "audience_total": total
        });
        json!({ "success": true, "data": data })
    };
    assert_eq!(get(&test_server, &path).await, live(json!([2_206_227_541_u32]), json!([906_219_905])));
    let hosts =
        json!({ "success": true, "data": { "channel_exist": true, "mode": 2, "broadcasters": [2_206_227_541_u32] } });
    for hosts_only in [format!("{path}/hosts_only"), format!("{path}?hosts_only=true")] {
        assert_eq!(get(&test_server, &hosts_only).await, hosts);
    }

    let attributes = [("channel.role".to_owned(), "host".to_owned())].into();
    guest.send(Request::UpdateMetadata(UpdateParticipantMetadata { attributes, ..Default::default() })).await;
    guest.until_update(|info| info.attributes.get("channel.role").is_some_and(|role| role == "host")).await;
    assert_eq!(get(&test_server, &path).await, live(json!([2_206_227_541_u32, 906_219_905]), json!([])));
}

/// Row "user".
#[tokio::test]
async fn a_users_property_says_where_and_what_it_is() {
    let test_server = TestServer::open().await;
    let property = async |uid: &str, channel: &str| {
        get(&test_server, &format!("channel/user/property/{APP}/{uid}/{channel}")).await["data"].clone()
    };
    let before = cloud_recorder::clock::now().0 / 1000;
    let _user = join(&test_server, "call", "7", "sdk=js&os=Windows").await;
    let _host = join(&test_server, "show", "8", "role=host&sdk=android&os=Android").await;
    let _guest = join(&test_server, "show", "alice", "role=audience&sdk=python&os=linux").await;
    for (uid, channel, number, role, platform) in
        [("7", "call", Some(7), 1, 7), ("8", "show", Some(8), 2, 1), ("alice", "show", None, 3, 6)]
    {
        let data = property(uid, channel).await;
        assert_eq!(
            data.as_object().unwrap().keys().collect::<Vec<_>>(),
            ["in_channel", "uid", "join", "role", "platform"]
        );
        assert_eq!(
            (&data["in_channel"], &data["role"], &data["platform"]),
            (&json!(true), &json!(role), &json!(platform))
        );
        assert!(number.is_none_or(|number: u64| data["uid"] == number));
        assert!((before..before + 60).contains(&data["join"].as_u64().unwrap()), "in seconds");
        let by_number = property(&data["uid"].to_string(), channel).await;
        assert_eq!(by_number, data, "an account is found by its number too");
    }
    for (uid, channel) in [("9", "call"), ("7", "show"), ("7", "nowhere")] {
        assert_eq!(property(uid, channel).await, json!({ "in_channel": false }));
    }
}

/// The last rows: projects, and what may not be done to them.
#[tokio::test]
async fn projects_are_the_apps_of_the_credentials() {
    let test_server = TestServer::open().await;
    for path in ["projects", "projects/"] {
        let projects = get(&test_server, path).await["projects"].clone();
        let keys: Vec<_> = projects.as_array().unwrap().iter().map(|project| project["vendor_key"].clone()).collect();
        assert_eq!(keys, [json!(APP), json!(app_elsewhere())]);
        let fields: Vec<_> = projects[0].as_object().unwrap().keys().cloned().collect();
        assert_eq!(fields, ["id", "name", "vendor_key", "sign_key", "recording_server", "status", "created"]);
        assert_eq!(
            (&projects[0]["sign_key"], &projects[0]["status"]),
            (&json!(""), &json!(1)),
            "certificates stay here"
        );
    }
    assert_eq!(get(&test_server, &format!("project?id={APP}")).await["projects"].as_array().unwrap().len(), 1);
    assert_eq!(get(&test_server, "project?name=nobody").await, json!({ "projects": [] }));
    for path in ["project", "project_status", "signkey", "reset_signkey", "recording_config"] {
        let (status, answer) = call(&test_server, Method::POST, path, Some(json!({ "id": APP }))).await;
        assert!(status == 403 && answer["message"].as_str().unwrap().contains("configuration"), "{answer}");
    }
}

/// Errors: `{"message": …}`, with the statuses that are listed.
#[tokio::test]
async fn refusals_are_messages() {
    let test_server = TestServer::open().await;
    let elsewhere = app_elsewhere();
    for (method, path, status, words) in [
        (Method::GET, format!("channel/{}", "f".repeat(32)), 400, "appid is invalid"),
        (Method::GET, format!("channel/{elsewhere}"), 404, "does not host"),
        (Method::GET, format!("channel/user/{elsewhere}/room"), 404, "does not host"),
        (Method::GET, format!("kicking-rule?appid={elsewhere}"), 404, "does not host"),
        (Method::GET, format!("channel/user/{APP}/{}", "x".repeat(65)), 400, "64 bytes"),
        (Method::GET, "nothing".to_owned(), 404, "no Route matched"),
        (Method::PUT, format!("channel/{APP}"), 404, "no Route matched"),
        (Method::GET, "kicking-rule".to_owned(), 400, "appid is invalid"),
    ] {
        let (got, answer) = call(&test_server, method, &path, None).await;
        assert!(got == status && answer["message"].as_str().unwrap().contains(words), "{path}: {got} {answer}");
    }
    for path in ["projects", "kicking-rule?appid=x", &format!("channel/{APP}")] {
        let answer = reqwest::get(format!("http://{}/dev/v1/{path}", test_server.address)).await.unwrap();
        assert_eq!(answer.status().as_u16(), 401, "without credentials: {path}");
    }
}
