//! Which endpoints a caller may name: without leave, none inside our own networks.

use std::io;

use url::Url;

use super::AppSettings;
use crate::address_policy::{AddressPolicy, literal, look_up_public};
use crate::storage::{Bucket, Destination, Destinations};
use crate::units::is_public;

/// Refuses an endpoint that is, or whose name resolves to, an address that is not public. The text names the problem.
///
/// The check at start tells the caller at once. A name is looked at again for each connection ([`connect`]).
pub(super) async fn refuse_private(endpoint: &Url) -> Result<(), String> {
    let public = match (literal(endpoint), endpoint.host_str()) {
        (Some(address), _) => is_public(address),
        (None, Some(name)) => match look_up_public(name).await {
            Ok(_) => true,
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => false,
            Err(_) => return Err(format!("the host name {name:?} can't be resolved")),
        },
        (None, None) => return Err("it names no host".into()),
    };
    if public {
        Ok(())
    } else {
        Err("it is in a loopback, private or link-local range, which this app may not use".into())
    }
}

/// The bucket at a destination of this app, reached as far as the app may reach. An app that is not served any more reaches public
/// addresses. What the worker knows of the destination, it knows too.
pub(super) fn connect(app: Option<&AppSettings>, destination: &Destination, known: &Destinations) -> Bucket {
    let (own, private) = (app.and_then(|app| app.storage.as_ref()), app.is_some_and(|app| app.private_endpoints));
    Bucket::connect_within(destination, address_policy(own, private, destination)).remembered(known)
}

/// What the operator named himself, as the app's `own` storage, may be anywhere; so may Amazon, whose names are ours.
fn address_policy(own: Option<&Destination>, private: bool, destination: &Destination) -> AddressPolicy {
    let named_by_us = destination.endpoint.is_none() || own.is_some_and(|own| own.endpoint == destination.endpoint);
    if private || named_by_us { AddressPolicy::Anywhere } else { AddressPolicy::Public }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::vendor::{self, ExtensionParams, StorageConfigParts};

    #[tokio::test]
    async fn addresses_inside_are_refused_however_they_are_spelt() {
        for url in [
            "http://127.0.0.1:9000",
            "http://2130706433/",
            "http://0x7f.1/",
            "http://localhost/",
            "http://10.1.2.3/",
            "http://169.254.169.254/latest/meta-data",
            "http://[::1]/",
            "http://[::ffff:10.0.0.1]/",
            "http://[fd00::1]/",
            "http://[64:ff9b::7f00:1]/",
            "http://[::127.0.0.1]/",
            "http://[fec0::1]/",
            "http://[::ffff:0:127.0.0.1]/",
            "http://100.64.0.1/",
            "http://0.0.0.0/",
        ] {
            assert!(refuse_private(&Url::parse(url).unwrap()).await.is_err(), "{url}");
        }
    }

    #[tokio::test]
    async fn public_addresses_pass() {
        for url in ["https://93.184.216.34/", "https://[2606:4700::1111]/"] {
            assert_eq!(refuse_private(&Url::parse(url).unwrap()).await, Ok(()), "{url}");
        }
    }

    #[test]
    fn names_that_callers_chose_reach_public_addresses_alone() {
        let at = |endpoint: &str| {
            let parts = StorageConfigParts {
                vendor: Some(11),
                bucket: Some("calls".into()),
                access_key: Some("access".into()),
                secret_key: Some("secret".into()),
                extension_params: Some(ExtensionParams {
                    endpoint: Some(endpoint.into()),
                    ..ExtensionParams::default()
                }),
                ..StorageConfigParts::default()
            };
            vendor::destination(&parts).unwrap()
        };
        let (ours, theirs) = (at("http://store.internal:9000"), at("http://store.example.com"));
        for (own, private, destination, allowed) in [
            (None, false, &theirs, AddressPolicy::Public),
            (Some(&ours), false, &theirs, AddressPolicy::Public),
            (Some(&ours), false, &ours, AddressPolicy::Anywhere),
            (None, false, &ours, AddressPolicy::Public),
            (None, true, &theirs, AddressPolicy::Anywhere),
        ] {
            assert_eq!(address_policy(own, private, destination), allowed);
        }
        let amazon = Destination { endpoint: None, ..theirs };
        assert_eq!(address_policy(None, false, &amazon), AddressPolicy::Anywhere);
    }
}
