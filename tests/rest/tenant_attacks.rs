//! Two tenants of one worker, as it is built and served. One of them knows every name that the other has and tries them on every
//! endpoint: each answer is the one that made-up names get, and nothing of the other changes.

use std::path::Path;
use std::time::Duration;

use cloud_recorder::channel::JoinError;
use cloud_recorder::channel::livekit::Talker;
use cloud_recorder::channel_server::token::{Mint007, MintLiveKit, Privileges, Role, mint_007, mint_livekit};
use cloud_recorder::clock;
use cloud_recorder::session::ResourceId;
use cloud_recorder::units::{AppId, Cname, SecretHash, Uid};
use reqwest::{Client, Method};
use secrecy::SecretString;
use serde_json::{Value, json};
use tokio_util::task::AbortOnDropHandle;

use crate::binary::Binary;
use crate::media;
use crate::world::until;

const VICTIM: Tenant = Tenant {
    app: "0123456789abcdef0123456789abcdef",
    certificate: "fedcba9876543210fedcba9876543210",
    customer: "victim",
    secret: "1f3870be274f6c49b3e31a0c6728957f",
};
const ATTACKER: Tenant = Tenant {
    app: "ffffffffffffffffffffffffffffffff",
    certificate: "00000000000000000000000000000001",
    customer: "attacker",
    secret: "8b1a9953c4611296a827abf8c47804d7",
};
const BUCKET_SECRET: &str = "c4ca4238a0b923820dcc509a6f75849b";
const ROOM: &str = "private-room";
const KEY: &str = "the-victims-key";

struct Tenant {
    app: &'static str,
    certificate: &'static str,
    customer: &'static str,
    secret: &'static str,
}

/// What one has to know of a tenant to attack it.
struct Names {
    app: String,
    /// Of the recording.
    resource: String,
    sid: String,
    /// Acquired, not started.
    spare: String,
    cname: String,
    uid: String,
    rule: String,
    /// The idempotency key of the start.
    key: &'static str,
}

impl Names {
    fn made_up() -> Self {
        let resource = |byte| ResourceId::from_random([byte; 20]).to_string();
        Self {
            app: "e".repeat(32),
            resource: resource(1),
            sid: "e".repeat(32),
            spare: resource(2),
            cname: "no-such-room".into(),
            uid: "8".into(),
            rule: "987654321".into(),
            key: "no-such-key",
        }
    }

    /// An answer with these names taken out.
    fn without(&self, answer: &str) -> String {
        let names = [&self.app, &self.resource, &self.sid, &self.spare, &self.cname];
        names.iter().fold(answer.to_owned(), |answer, name| answer.replace(*name, "…"))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_a_tenant_is_seen_or_changed_by_another() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("config.toml");
    std::fs::write(&config, configuration(&folder.path().join("data"))).unwrap();
    let binary = Binary::serve(folder.path(), &config, &[]).await;
    let house = House { http: Client::new(), url: binary.url.clone() };
    let channel = binary.url.replace("http://", "ws://");
    let _voice = speak(&channel).await;
    let names = victim(&house, &binary.said("Bucket (S3)")).await;
    let before = state(&house, &names).await;

    let made_up = Names::made_up();
    for (real, fake) in attacks(&names).into_iter().zip(attacks(&made_up)) {
        for (customer, secret) in [
            (ATTACKER.customer, ATTACKER.secret),
            (VICTIM.customer, ATTACKER.secret),
            ("nobody", ATTACKER.secret),
            (VICTIM.customer, ""),
        ] {
            let (said, of_nothing) =
                (house.send(customer, secret, &real).await, house.send(customer, secret, &fake).await);
            // The vendor has a code for another app's resource. Its id is random: who has it knows that there is one.
            if said.1.contains("foreign_resource") && of_nothing.1.contains("not_on_this_worker") {
                continue;
            }
            assert_eq!(
                (said.0, names.without(&said.1)),
                (of_nothing.0, made_up.without(&of_nothing.1)),
                "{} {} as {customer}",
                real.method,
                real.path
            );
            assert!(
                said.0 != 500 && (customer == ATTACKER.customer || said.0 == 401),
                "{} {}: {}",
                real.path,
                said.0,
                said.1
            );
        }
        let unknown = house.send("nobody", ATTACKER.secret, &real).await;
        assert_eq!(house.send(VICTIM.customer, ATTACKER.secret, &real).await, unknown, "no customer id is given away");
    }
    what_is_allowed_hits_the_attacker_alone(&house, &names, &binary.said("Bucket (S3)")).await;
    tokens_open_no_foreign_channel(&house, &channel, &names).await;

    assert_eq!(state(&house, &names).await, before);
    let start = start(&names.spare, "2", &binary.said("Bucket (S3)"));
    assert_eq!(house.send(VICTIM.customer, VICTIM.secret, &start).await.0, 200, "what was acquired is still its own");
    binary.stop().await;
}

/// Every endpoint, with these names: the attacker's own app in the path, and the other's.
fn attacks(names: &Names) -> Vec<Call> {
    let Names { app, resource, sid, spare, cname, uid, rule, key } = names;
    let mut calls = Vec::new();
    for path_app in [ATTACKER.app, app] {
        let recording = format!("/v1/apps/{path_app}/cloud_recording");
        let body = json!({ "cname": cname, "uid": "1", "clientRequest": {} });
        for resource in [resource, spare] {
            let start = format!("{recording}/resourceid/{resource}/mode/mix/start");
            calls.push(Call { key: Some(key), ..Call::post(&start, body.clone()) });
            calls.push(Call::post(&start, body.clone()));
        }
        let task = format!("{recording}/resourceid/{resource}/sid/{sid}/mode/mix");
        let select = json!({ "streamSubscribe": { "audioUidList": { "unSubscribeAudioUids": [uid] } } });
        let keys =
            json!({ "storageConfig": { "vendor": 11, "bucket": "recordings", "accessKey": "a", "secretKey": "b" } });
        calls.push(Call::get(&format!("{task}/query")));
        calls.push(Call::get(&format!("{recording}/resourceid/{spare}/sid/{sid}/mode/mix/query")));
        for change in [select, keys] {
            let change = json!({ "cname": cname, "uid": "1", "clientRequest": change });
            calls.push(Call::post(&format!("{task}/update"), change));
        }
        let layout = json!({ "cname": cname, "uid": "1", "clientRequest": { "mixedVideoLayout": 1 } });
        calls.push(Call::post(&format!("{task}/updateLayout"), layout));
        calls.push(Call::post(&format!("{task}/stop"), body.clone()));
        let list = format!("/v1/apps/{path_app}");
        for path in [
            format!("{list}/recordings?cname={cname}"),
            format!("{list}/recordings?uid=1&state=recording&cursor=9999999999999-{sid}"),
            format!("{list}/recordings/{sid}"),
            format!("{list}/recordings/{sid}/events"),
            format!("{list}/callbacks?state=pending&after={sid}-0"),
            format!("{list}/callbacks?state=dead&after={sid}-0"),
        ] {
            calls.push(Call::get(&path));
        }
        calls.push(Call::post(&format!("{list}/callbacks/redeliver"), json!({ "sid": sid })));
        for path in [
            format!("/dev/v1/channel/user/{path_app}/{cname}"),
            format!("/dev/v1/channel/user/{path_app}/{cname}/hosts_only"),
            format!("/dev/v1/channel/user/property/{path_app}/{uid}/{cname}"),
        ] {
            calls.push(Call::get(&path));
        }
        calls.push(Call::change(
            Method::PUT,
            json!({ "appid": path_app, "id": rule.parse::<u64>().unwrap(), "time": 1 }),
        ));
        calls.push(Call::change(Method::DELETE, json!({ "appid": path_app, "id": rule.parse::<u64>().unwrap() })));
    }
    calls.push(Call::get(&format!("/dev/v1/channel/{app}")));
    calls.push(Call::get(&format!("/dev/v1/kicking-rule?appid={app}")));
    calls.push(Call::change(Method::POST, json!({ "appid": app, "cname": cname, "uid": uid, "time": 1 })));
    calls.push(Call::get(&format!("/dev/v1/project?id={app}")));
    calls.push(Call::get(&format!("/dev/v1/project?name={app}")));
    calls.push(Call::post(&format!("/v1/apps/{app}/cloud_recording/acquire"), json!({ "cname": cname, "uid": "1" })));
    calls
}

/// Calls that any tenant may make, with names that the other uses too.
async fn what_is_allowed_hits_the_attacker_alone(house: &House, names: &Names, bucket: &str) {
    let own = async |call: Call| {
        let (status, text) = house.send(ATTACKER.customer, ATTACKER.secret, &call).await;
        (status, serde_json::from_str::<Value>(&text).unwrap())
    };
    let (status, projects) = own(Call::get("/dev/v1/projects")).await;
    assert_eq!((status, projects["projects"].as_array().unwrap().len()), (200, 1));
    assert_eq!(projects["projects"][0]["id"], ATTACKER.app);
    let kick = json!({ "appid": ATTACKER.app, "cname": ROOM, "uid": names.uid, "time": 60 });
    assert_eq!(own(Call::change(Method::POST, kick)).await.0, 200, "in its own channel of that name");

    let acquire = format!("/v1/apps/{}/cloud_recording/acquire", ATTACKER.app);
    let call = Call { key: Some(KEY), ..Call::post(&acquire, json!({ "cname": ROOM, "uid": "1" })) };
    let (status, acquired) = own(call).await;
    let resource = acquired["resourceId"].as_str().unwrap();
    assert!(status == 200 && resource != names.resource && resource != names.spare);
    let task = format!("resourceid/{}/sid/{}/mode/mix/query", resource, names.sid);
    let (status, told) = own(Call::get(&format!("/v1/apps/{}/cloud_recording/{task}", ATTACKER.app))).await;
    assert_eq!(
        (status, &told["state"]),
        (404, &json!("never_started")),
        "its own resource, and a sid that is not there"
    );
    let mut start = start(resource, "1", bucket);
    start.path = start.path.replace(VICTIM.app, ATTACKER.app);
    let (status, refused) = own(start).await;
    assert_eq!((status, &refused["code"]), (400, &json!(2)), "{refused}");
    assert!(refused["reason"].as_str().unwrap().contains("endpoint"), "the other's bucket is out of reach: {refused}");
}

async fn tokens_open_no_foreign_channel(house: &House, channel: &str, names: &Names) {
    let (victim, attacker) = (AppId::new(VICTIM.app).unwrap(), AppId::new(ATTACKER.app).unwrap());
    let certificate = SecretString::from(ATTACKER.certificate);
    let (room, identity, now) = (Cname::new(ROOM).unwrap(), Uid::new("66").unwrap(), clock::now());
    let issued = u32::try_from(now.0 / 1000).unwrap();
    let privileges = Privileges::of(Role::Publisher, 600);
    let agora =
        Mint007 { app: &victim, channel: &room, uid: "66", privileges: &privileges, issued, lifetime: 600, salt: 1 };
    let forged =
        MintLiveKit { key: VICTIM.app, app: None, room: &room, identity: &identity, publish: true, now, lifetime: 600 };
    for token in [mint_007(agora, &certificate), mint_livekit(forged, &certificate)] {
        let refused = Talker::join(channel, &SecretString::from(token)).await.map(|_| ()).unwrap_err();
        assert!(matches!(refused, JoinError::Refused(_)), "{refused}");
    }
    let own = MintLiveKit { key: ATTACKER.app, app: Some(&victim), ..forged };
    let intruder = Talker::join(channel, &SecretString::from(mint_livekit(own, &certificate))).await.unwrap();
    let users = Call::get(&format!("/dev/v1/channel/user/{attacker}/{ROOM}"));
    let (_, users) = house.send(ATTACKER.customer, ATTACKER.secret, &users).await;
    assert!(users.contains("66"), "it is in its own app's channel of that name: {users}");
    assert_eq!(state(house, names).await["uids"], json!(["7"]), "and nobody hears it in the other's");
    intruder.leave().await;
}

/// A recording, a resource in reserve and a kicking rule.
async fn victim(house: &House, bucket: &str) -> Names {
    let own = async |call: &Call| {
        let (status, text) = house.send(VICTIM.customer, VICTIM.secret, call).await;
        assert_eq!(status, 200, "{text}");
        serde_json::from_str::<Value>(&text).unwrap()
    };
    let acquire = async |uid: &str| {
        let path = format!("/v1/apps/{}/cloud_recording/acquire", VICTIM.app);
        let acquired = own(&Call::post(&path, json!({ "cname": ROOM, "uid": uid }))).await;
        acquired["resourceId"].as_str().unwrap().to_owned()
    };
    let (resource, spare) = (acquire("1").await, acquire("2").await);
    let started = own(&Call { key: Some(KEY), ..start(&resource, "1", bucket) }).await;
    let rule = json!({ "appid": VICTIM.app, "cname": "another-room", "time": 60 });
    let rule = own(&Call::change(Method::POST, rule)).await["id"].to_string();
    let sid = started["sid"].as_str().unwrap().to_owned();
    let names =
        Names { app: VICTIM.app.into(), resource, sid, spare, cname: ROOM.into(), uid: "7".into(), rule, key: KEY };
    until(async || (state(house, &names).await["uids"] == json!(["7"])).then_some(())).await;
    names
}

/// What the victim sees of what it has.
async fn state(house: &House, names: &Names) -> Value {
    let own = async |path: String| {
        let (status, text) = house.send(VICTIM.customer, VICTIM.secret, &Call::get(&path)).await;
        assert_eq!(status, 200, "{text}");
        serde_json::from_str::<Value>(&text).unwrap()
    };
    let Names { app, resource, sid, .. } = names;
    let query = own(format!("/v1/apps/{app}/cloud_recording/resourceid/{resource}/sid/{sid}/mode/mix/query")).await;
    let heard = query["health"]["uids"].as_array().unwrap();
    let list = own(format!("/v1/apps/{app}/recordings")).await;
    let users = own(format!("/dev/v1/channel/user/{app}/{ROOM}")).await;
    json!({
        "state": query["state"],
        "uids": heard.iter().map(|uid| uid["uid"].clone()).collect::<Vec<_>>(),
        "recordings": list["recordings"].as_array().unwrap().len(),
        "users": users["data"],
        "rules": own(format!("/dev/v1/kicking-rule?appid={app}")).await,
    })
}

/// The victim's member 7, who talks until the end.
async fn speak(channel: &str) -> AbortOnDropHandle<()> {
    let (room, identity, now) = (Cname::new(ROOM).unwrap(), Uid::new("7").unwrap(), clock::now());
    let mint = MintLiveKit {
        key: VICTIM.app,
        app: None,
        room: &room,
        identity: &identity,
        publish: true,
        now,
        lifetime: 3600,
    };
    let token = mint_livekit(mint, &SecretString::from(VICTIM.certificate));
    let member = Talker::join(channel, &SecretString::from(token)).await.unwrap();
    AbortOnDropHandle::new(tokio::spawn(async move {
        media::send_tone(&member, 0..).await;
    }))
}

fn start(resource: &str, uid: &str, bucket: &str) -> Call {
    let path = format!("/v1/apps/{}/cloud_recording/resourceid/{resource}/mode/mix/start", VICTIM.app);
    let storage = json!({ "vendor": 11, "region": 0, "bucket": "recordings", "accessKey": "cloud-recorder",
        "secretKey": BUCKET_SECRET, "extensionParams": { "endpoint": bucket } });
    Call::post(&path, json!({ "cname": ROOM, "uid": uid, "clientRequest": { "storageConfig": storage } }))
}

struct Call {
    method: Method,
    path: String,
    body: Value,
    key: Option<&'static str>,
}

impl Call {
    fn get(path: &str) -> Self {
        Self { method: Method::GET, path: path.to_owned(), body: Value::Null, key: None }
    }

    fn post(path: &str, body: Value) -> Self {
        Self { method: Method::POST, body, ..Self::get(path) }
    }

    /// A call about kicking rules.
    fn change(method: Method, body: Value) -> Self {
        Self { method, body, ..Self::get("/dev/v1/kicking-rule") }
    }
}

struct House {
    http: Client,
    url: String,
}

impl House {
    /// Status and text of an answer. Who is told to wait waits.
    async fn send(&self, customer: &str, secret: &str, call: &Call) -> (u16, String) {
        loop {
            let request = self.http.request(call.method.clone(), format!("{}{}", self.url, call.path));
            let mut request = request.basic_auth(customer, Some(secret)).header("content-type", "application/json");
            if let Some(key) = call.key {
                request = request.header("idempotency-key", key);
            }
            if !call.body.is_null() {
                request = request.body(call.body.to_string());
            }
            let answer = request.send().await.unwrap();
            if answer.status() == 429 {
                tokio::time::sleep(Duration::from_millis(200)).await;
                continue;
            }
            return (answer.status().as_u16(), answer.text().await.unwrap());
        }
    }
}

fn configuration(data: &Path) -> String {
    let data = toml::Value::String(data.to_string_lossy().into_owned());
    let hash = SecretHash::of(VICTIM.secret.as_bytes(), [3; 16]);
    let app = |tenant: &Tenant, secret: String, more: &str| {
        let Tenant { app, certificate, customer, .. } = tenant;
        format!(
            "[[apps]]\nid = \"{app}\"\ncertificate = \"{certificate}\"\ncustomer_id = \"{customer}\"\n{secret}\n{more}\n"
        )
    };
    format!(
        r#"
[server]
listen = "127.0.0.1:0"
data_dir = {data}

[channel_server]
udp_listen = "127.0.0.1:0"

[bucket]
enabled = true
listen = "127.0.0.1:0"
secret_key = "{BUCKET_SECRET}"

{}
{}
"#,
        app(
            &VICTIM,
            format!("customer_secret_hash = \"{hash}\""),
            "allow_private_endpoints = true\ncallback_url = \"http://127.0.0.1:1/\"\ncallback_secret = \"callbacks\""
        ),
        app(&ATTACKER, format!("customer_secret = \"{}\"", ATTACKER.secret), ""),
    )
}
