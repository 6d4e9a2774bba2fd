//! What `serve` says when it is up: addresses always, credentials and a curl to paste only in development.

use std::path::Path;

use secrecy::ExposeSecret;

use super::Worker;
use crate::cli::output::{self, OutputError};
use crate::config::Config;

/// Prints to standard output; `development` is the file with the credentials that were made.
pub(super) fn print(config: &Config, worker: &Worker, development: Option<&Path>) -> Result<(), OutputError> {
    let base = format!("http://{}", worker.http);
    output::line(format_args!("REST API            {base}/v1/apps/…"))?;
    output::line(format_args!("Voice room page     {base}/room"))?;
    if let Some(udp) = worker.udp {
        output::line(format_args!("Channel server      ws://{} (media on UDP {udp})", worker.http))?;
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
