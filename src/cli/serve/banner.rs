//! What `serve` says when it is up: addresses always, credentials and a curl to paste only in development.

use std::net::SocketAddr;
use std::path::Path;

use secrecy::ExposeSecret;
use url::Url;

use super::Worker;
use crate::cli::output::{self, OutputError};
use crate::config::{App, Config};

/// The channel of the first recording: the voice room page and the README name the same.
const CHANNEL: &str = "demo";

/// Prints to standard output; `development` is the file with the credentials that were made.
pub(super) fn print(config: &Config, worker: &Worker, development: Option<&Path>) -> Result<(), OutputError> {
    let base = base(config.server.public_url.as_ref(), worker.http);
    output::line(format_args!("First page          {base}/"))?;
    output::line(format_args!("REST API            {base}/v1/apps/…"))?;
    output::line(format_args!("API reference       {base}/docs"))?;
    output::line(format_args!("Voice room page     {base}/room"))?;
    if let Some(udp) = worker.udp {
        output::line(format_args!("Channel server      {} (media on UDP {udp})", sockets(&base)))?;
    }
    if let Some(bucket) = worker.bucket {
        output::line(format_args!("Bucket (S3)         http://{bucket}/{}", config.bucket.name))?;
    }
    output::line(format_args!("Data                {}", config.server.data_dir.display()))?;
    let (Some(file), Some(app)) = (development, config.apps.first()) else { return Ok(()) };
    let certificate = app.certificate.as_ref().map_or("", |secret| secret.expose_secret());
    let secret = app.customer_secret.as_ref().map_or("", |secret| secret.expose_secret());
    output::line(format_args!("\nDevelopment server; its credentials are kept in {}:", file.display()))?;
    output::line(format_args!("App id              {}", app.id))?;
    output::line(format_args!("App certificate     {certificate}"))?;
    output::line(format_args!("Customer id         {}", app.customer_id))?;
    output::line(format_args!("Customer secret     {secret}"))?;
    let bucket = worker.bucket.map(|bucket| format!("http://{bucket}/{}", config.bucket.name)).unwrap_or_default();
    output::line(format_args!("{}", commands(&base, app, secret, &bucket)))
}

/// What a first recording takes, to paste into a shell. `bucket` is where the embedded bucket's objects are read.
fn commands(base: &str, app: &App, secret: &str, bucket: &str) -> String {
    let (id, customer) = (&app.id, &app.customer_id);
    format!(
        r#"
To record the channel "{CHANNEL}", open {base}/room, join, share the microphone and press Record. Or, for an app server's eyes, paste:

  API={base}/v1/apps/{id}/cloud_recording
  call() {{ curl -s -u {customer}:{secret} -H 'Content-Type: application/json' "$@"; }}
  WHO='"cname":"{CHANNEL}","uid":"900001"'
  RESOURCE=$(call -d "{{$WHO,\"clientRequest\":{{}}}}" $API/acquire | sed 's/.*"resourceId":"\([^"]*\)".*/\1/')
  CONFIG='{{"channelType":0,"streamTypes":0,"maxIdleTime":300}}'
  SID=$(call -d "{{$WHO,\"clientRequest\":{{\"recordingConfig\":$CONFIG}}}}" \
    $API/resourceid/$RESOURCE/mode/mix/start | sed 's/.*"sid":"\([^"]*\)".*/\1/')
  TASK=$API/resourceid/$RESOURCE/sid/$SID/mode/mix

How it goes, its end (the answer says what is in the bucket), and the playlist, which is there from the first segment on:

  call $TASK/query
  call -d "{{$WHO,\"clientRequest\":{{}}}}" $TASK/stop
  echo {bucket}/${{SID}}_{CHANNEL}.m3u8

Somebody has to be in the channel: with nobody there the recording ends by itself after maxIdleTime, here 300 seconds (30 where a start
says nothing), and query then says "endReason": "idle". Every call: {base}/docs
"#
    )
}

/// How clients reach the worker, without a slash at its end.
fn base(public: Option<&Url>, http: SocketAddr) -> String {
    public.map_or_else(|| format!("http://{http}"), |url| url.as_str().trim_end_matches('/').to_owned())
}

/// The same place for WebSockets: `http` becomes `ws`, `https` `wss`.
fn sockets(base: &str) -> String {
    base.replacen("http", "ws", 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn banner_page_and_readme_name_one_channel() {
        let room = include_str!("../../console/web/src/room.html");
        assert!(
            room.contains(&format!("<input id=\"room\" name=\"room\" required maxlength=\"64\" value=\"{CHANNEL}\">"))
        );
        let readme = include_str!("../../../README.md");
        assert!(readme.contains(&format!("\"cname\":\"{CHANNEL}\"")));
        assert!(!readme.contains("lobby"), "one channel");
    }

    #[test]
    fn a_worker_behind_a_proxy_names_the_proxy() {
        let http = SocketAddr::from(([127, 0, 0, 1], 8080));
        let own = base(None, http);
        assert_eq!((own.as_str(), sockets(&own).as_str()), ("http://127.0.0.1:8080", "ws://127.0.0.1:8080"));
        for (public, there) in
            [("https://rec.example.com", "//rec.example.com"), ("https://example.com/rec/", "//example.com/rec")]
        {
            let base = base(Some(&Url::parse(public).unwrap()), http);
            assert_eq!((base.clone(), sockets(&base)), (format!("https:{there}"), format!("wss:{there}")));
        }
    }
}
