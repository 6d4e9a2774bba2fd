//! What `serve` says when it is up: addresses always, credentials and a curl to paste only in development.

use std::path::Path;

use secrecy::ExposeSecret;

use super::Worker;
use crate::config::Config;

/// Prints to standard output; `development` is the file with the credentials that were made.
pub(super) fn print(config: &Config, worker: &Worker, development: Option<&Path>) {
    let base = format!("http://{}", worker.http);
    println!("REST API            {base}/v1/apps/…");
    println!("Voice room page     {base}/room");
    if let Some(udp) = worker.udp {
        println!("Channel server      ws://{} (media on UDP {udp})", worker.http);
    }
    if let Some(bucket) = worker.bucket {
        println!("Bucket (S3)         http://{bucket}/{}", config.bucket.name);
    }
    println!("Data                {}", config.server.data_dir.display());
    let (Some(file), Some(app)) = (development, config.apps.first()) else { return };
    let certificate = app.certificate.as_ref().map_or("", |secret| secret.expose_secret());
    let secret = app.customer_secret.as_ref().map_or("", |secret| secret.expose_secret());
    let (id, customer) = (&app.id, &app.customer_id);
    println!("\nDevelopment server; its credentials are kept in {}:", file.display());
    println!("App id              {id}");
    println!("App certificate     {certificate}");
    println!("Customer id         {customer}");
    println!("Customer secret     {secret}");
    println!(
        r#"
Record the channel "demo" (somebody should talk in it: open {base}/room):

  RESOURCE=$(curl -s -u {customer}:{secret} -H 'Content-Type: application/json' \
    -d '{{"cname":"demo","uid":"900001","clientRequest":{{}}}}' \
    {base}/v1/apps/{id}/cloud_recording/acquire | sed 's/.*"resourceId":"\([^"]*\)".*/\1/')
  curl -s -u {customer}:{secret} -H 'Content-Type: application/json' \
    -d '{{"cname":"demo","uid":"900001","clientRequest":{{"recordingConfig":{{"channelType":0,"streamTypes":0,"maxIdleTime":300}}}}}}' \
    {base}/v1/apps/{id}/cloud_recording/resourceid/$RESOURCE/mode/mix/start
"#
    );
}
