//! What `serve` says when it is up: addresses always, credentials and a curl to paste only in development.

use std::net::SocketAddr;
use std::path::Path;

use secrecy::ExposeSecret;
use url::Url;

use super::Worker;
use crate::cli::output::{self, OutputError};
use crate::config::Config;

/// Prints to standard output; `development` is the file with the credentials that were made.
pub(super) fn print(config: &Config, worker: &Worker, development: Option<&Path>) -> Result<(), OutputError> {
    let base = base(config.server.public_url.as_ref(), worker.http);
    output::line(format_args!("REST API            {base}/v1/apps/…"))?;
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
    let (id, customer) = (&app.id, &app.customer_id);
    output::line(format_args!("\nDevelopment server; its credentials are kept in {}:", file.display()))?;
    output::line(format_args!("App id              {id}"))?;
    output::line(format_args!("App certificate     {certificate}"))?;
    output::line(format_args!("Customer id         {customer}"))?;
    output::line(format_args!("Customer secret     {secret}"))?;
    output::line(format_args!(
        r#"
Record the channel "demo" (somebody should talk in it: open {base}/room):

  RESOURCE=$(curl -s -u {customer}:{secret} -H 'Content-Type: application/json' \
    -d '{{"cname":"demo","uid":"900001","clientRequest":{{}}}}' \
    {base}/v1/apps/{id}/cloud_recording/acquire | sed 's/.*"resourceId":"\([^"]*\)".*/\1/')
  curl -s -u {customer}:{secret} -H 'Content-Type: application/json' \
    -d '{{"cname":"demo","uid":"900001","clientRequest":{{"recordingConfig":{{"channelType":0,"streamTypes":0,"maxIdleTime":300}}}}}}' \
    {base}/v1/apps/{id}/cloud_recording/resourceid/$RESOURCE/mode/mix/start
"#
    ))
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
