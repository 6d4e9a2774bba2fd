//! What a member of the embedded channel server costs the worker while it only listens.

use cloud_recorder::channel_server::token::{MintLiveKit, mint_livekit};
use cloud_recorder::clock;
use cloud_recorder::units::{Cname, Uid};
use futures_util::StreamExt;
use secrecy::SecretString;
use tokio::net::TcpStream;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use crate::binary::Binary;

const APP: &str = "0123456789abcdef0123456789abcdef";
const CERTIFICATE: &str = "fedcba9876543210fedcba9876543210";

/// Each in a room of its own.
const MEMBERS: u32 = 60;

/// Of a member with its room, in KiB. It was 380 with a publishing connection that nobody used, and takes 150.
const MOST: u64 = 250;

type Member = WebSocketStream<MaybeTlsStream<TcpStream>>;

#[tokio::test(flavor = "multi_thread")]
async fn a_listener_takes_a_quarter_of_a_megabyte_at_most() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("config.toml");
    let data = toml::Value::String(folder.path().join("data").to_string_lossy().into_owned());
    let text = format!(
        "[server]\nlisten = \"127.0.0.1:0\"\ndata_dir = {data}\n[channel_server]\nudp_listen = \"127.0.0.1:0\"\n\
         [[apps]]\nid = \"{APP}\"\ncertificate = \"{CERTIFICATE}\"\ncustomer_id = \"customer\"\n\
         customer_secret = \"1f3870be274f6c49b3e31a0c6728957f\"\n"
    );
    std::fs::write(&config, text).unwrap();
    let binary = Binary::serve(folder.path(), &config, &[]).await;
    let channel = binary.url.replace("http://", "ws://");
    // What the first one takes is everybody's.
    let _first = join(&channel, 0).await;
    let before = binary.memory_kib();
    let mut members = Vec::new();
    for number in 1..=MEMBERS {
        members.push(join(&channel, number).await);
    }
    let each = binary.memory_kib().saturating_sub(before) / u64::from(MEMBERS);
    assert!(each > 20, "{each} KiB: they are there");
    assert!(each <= MOST, "{each} KiB a member");
    binary.stop().await;
}

/// A member that has its answer.
async fn join(channel: &str, number: u32) -> Member {
    let (room, identity) = (Cname::new(&format!("room-{number}")).unwrap(), Uid::new(&number.to_string()).unwrap());
    let now = clock::now();
    let mint = MintLiveKit { key: APP, app: None, room: &room, identity: &identity, publish: true, now, lifetime: 600 };
    let token = mint_livekit(mint, &SecretString::from(CERTIFICATE));
    let url = format!("{channel}/rtc?access_token={token}&auto_subscribe=1");
    let mut member = tokio_tungstenite::connect_async(url).await.unwrap().0;
    assert!(member.next().await.unwrap().unwrap().is_binary());
    member
}
