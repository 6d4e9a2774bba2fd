//! Serves the channel server alone, for trying SDKs by hand: `cargo run --example channel -- 7880`.
//!
//! API key `devkey`, secret `devsecret-devsecret-devsecret-000`; app `0123…cdef` with certificate `fedc…3210`.

use std::net::SocketAddr;

use cloud_recorder::channel_server::{AppKeys, ChannelServer, Limits, Settings};
use cloud_recorder::units::AppId;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt().with_env_filter(tracing_subscriber::EnvFilter::from_default_env()).init();
    let port: u16 = std::env::args().nth(1).unwrap_or_else(|| "7880".to_owned()).parse()?;
    let server = ChannelServer::start(Settings {
        apps: vec![AppKeys {
            app_id: AppId::new("0123456789abcdef0123456789abcdef")?,
            certificate: Some("fedcba9876543210fedcba9876543210".to_owned().into()),
        }],
        api_key: "devkey".to_owned(),
        api_secret: "devsecret-devsecret-devsecret-000".to_owned().into(),
        udp_listen: ([127, 0, 0, 1], 0).into(),
        announce: None,
        trusted_proxies: Vec::new(),
        rule_keeper: None,
        limits: Limits::default(),
    })
    .await?;
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await?;
    println!("signalling on ws://{}, media on udp {:?}", listener.local_addr()?, server.media_addresses());
    let mut notices = server.notices();
    tokio::spawn(async move {
        while let Ok(notices) = notices.recv().await {
            println!("{notices:?}");
        }
    });
    axum::serve(listener, server.router().into_make_service_with_connect_info::<SocketAddr>()).await?;
    Ok(())
}
