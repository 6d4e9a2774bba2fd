//! A data folder whose `seal.key` is gone: while recordings need it the worker does not start with another one, and says what to do.

use std::process::Command;

use cloud_recorder::clock;
use cloud_recorder::recording::Mode;
use cloud_recorder::store::{NewResource, NewSession, Store};
use cloud_recorder::units::{AppId, Cname, Sid, Uid};
use serde_json::json;

const APP: &str = "0123456789abcdef0123456789abcdef";

#[tokio::test(flavor = "multi_thread")]
async fn the_worker_names_the_file_and_what_helps() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    std::fs::create_dir(&data).unwrap();
    let store = Store::open(&data.join("recorder.db")).await.unwrap();
    let (app, cname, uid) = (AppId::new(APP).unwrap(), Cname::new("room").unwrap(), Uid::new("9").unwrap());
    let resource = NewResource {
        id: "resource".into(),
        app: app.clone(),
        cname: cname.clone(),
        uid: uid.clone(),
        expired_hours: 72,
        start_parameter: None,
    };
    store.resource_create(&resource, clock::now()).await.unwrap();
    let (sid, sealed) = (Sid::from_random([7; 16]), Some(b"sealed".to_vec()));
    let new =
        NewSession { sid, app, cname, uid, resource: "resource".into(), mode: Mode::Mix, request: json!({}), sealed };
    store.resource_bind(&new, [0; 32], clock::now()).await.unwrap();
    store.close().await;
    let config = folder.path().join("worker.toml");
    let text = format!(
        "[server]\nlisten = \"127.0.0.1:0\"\ndata_dir = {data:?}\n[channel_server]\nudp_listen = \"127.0.0.1:0\"\n\
         [[apps]]\nid = \"{APP}\"\ncertificate = \"{APP}\"\ncustomer_id = \"id\"\ncustomer_secret = \"secret\"\n"
    );
    std::fs::write(&config, text).unwrap();
    let mut serve = Command::new(env!("CARGO_BIN_EXE_cloud-recorder"));
    let output = tokio::task::spawn_blocking(move || serve.args(["serve", "--config"]).arg(&config).output().unwrap());
    let output = output.await.unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert_eq!(said.matches("seal.key").count(), 1, "{said}");
    assert!(
        said.contains("is missing, and the database holds secrets that it sealed") && said.contains("server.seal_key"),
        "{said}"
    );
    assert!(!data.join("seal.key").exists(), "no other key was made");
}
