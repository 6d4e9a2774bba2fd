//! An aws-sdk-s3 client for a destination.

use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{
    BehaviorVersion, Builder, Credentials, Region, RequestChecksumCalculation, ResponseChecksumValidation,
};
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::{Builder as HttpBuilder, tls};
use aws_smithy_runtime_api::client::dns::{DnsFuture, ResolveDns, ResolveDnsError};
use secrecy::ExposeSecret;

use crate::Destination;
use recorder_edge::address_policy::{self, AddressPolicy};

/// How long a connection may take.
const CONNECT_TIME: Duration = Duration::from_secs(3);

/// A client that follows no redirect: the SDK never does. Where a request goes is added to each one ([`super::address`]).
pub(super) fn build(destination: &Destination, address_policy: AddressPolicy) -> Client {
    let credentials = &destination.credentials;
    let credentials = Credentials::new(
        credentials.access_key.expose_secret(),
        credentials.secret_key.expose_secret(),
        credentials.sts_token.as_ref().map(|token| token.expose_secret().to_owned()),
        None,
        "storageConfig",
    );
    // How long an answer may take is the caller's to say.
    let timeouts = TimeoutConfig::builder().connect_timeout(CONNECT_TIME).build();
    let mut config = Builder::new()
        .behavior_version(BehaviorVersion::latest())
        .credentials_provider(credentials)
        .region(Region::new(destination.region.clone()))
        // Each PUT carries a SHA-256 of ours; a second checksum as a trailer is what third-party stores stumble over.
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
        .retry_config(RetryConfig::disabled())
        .timeout_config(timeouts);
    let http = HttpBuilder::new().tls_provider(tls::Provider::Rustls(CryptoMode::AwsLc));
    config.set_http_client(Some(http.build_with_resolver(Names(address_policy))));
    Client::from_conf(config.build())
}

/// Resolves a name for each connection, and only where it may lead then.
#[derive(Clone, Debug)]
struct Names(AddressPolicy);

impl ResolveDns for Names {
    fn resolve_dns<'a>(&'a self, name: &'a str) -> DnsFuture<'a> {
        DnsFuture::new(async move { address_policy::look_up(name, self.0).await.map_err(ResolveDnsError::new) })
    }
}
