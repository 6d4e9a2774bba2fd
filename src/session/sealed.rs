//! A destination with its secrets, sealed for the store, so that another run of the worker can go on uploading; and what was known of
//! it, so that it need not be probed again.

use secrecy::ExposeSecret;
use secrecy::zeroize::Zeroizing;
use serde::{Deserialize, Serialize};
use url::Url;

use crate::storage::{Abilities, Credentials, Destination, Encryption, KeyPrefix, vendor};
use crate::store::seal::{SealError, Sealer};

#[derive(Serialize, Deserialize)]
struct Plain {
    endpoint: Option<String>,
    region: String,
    bucket: String,
    prefix: String,
    access_key: String,
    secret_key: String,
    sts_token: Option<String>,
    /// What is in force.
    path_style: bool,
    encryption: Option<bool>,
    /// Whether the store's answer may change `path_style`. Rows of older workers lack it.
    #[serde(default)]
    path_style_open: bool,
    /// Rows of older workers lack it.
    #[serde(default)]
    abilities: Abilities,
}

/// Seals a destination.
pub(super) fn seal(sealer: &Sealer, destination: &Destination, abilities: Abilities) -> Vec<u8> {
    let keys = &destination.credentials;
    let plain = Plain {
        endpoint: destination.endpoint.as_ref().map(Url::to_string),
        region: destination.region.clone(),
        bucket: destination.bucket.clone(),
        prefix: destination.prefix.to_string(),
        access_key: keys.access_key.expose_secret().to_owned(),
        secret_key: keys.secret_key.expose_secret().to_owned(),
        sts_token: keys.sts_token.as_ref().map(|token| token.expose_secret().to_owned()),
        path_style: destination.path_style.or(abilities.path_style).unwrap_or_else(|| destination.endpoint.is_some()),
        encryption: destination.encryption.map(|encryption| encryption == Encryption::Kms),
        path_style_open: destination.path_style.is_none(),
        abilities,
    };
    let text = serde_json::to_vec(&plain).expect("a destination has string keys only");
    sealer.seal(&Zeroizing::new(text))
}

/// Opens what [`seal`] sealed.
pub(super) fn open(sealer: &Sealer, sealed: &[u8]) -> Result<(Destination, Abilities), SealError> {
    let text = sealer.open(sealed)?;
    let plain: Plain = serde_json::from_slice(&text).map_err(|_| SealError::Open)?;
    let folders: Vec<&str> = plain.prefix.split('/').filter(|part| !part.is_empty()).collect();
    let endpoint = plain.endpoint.as_deref().map(Url::parse).transpose();
    let destination = Destination {
        endpoint: endpoint.map_err(|_| SealError::Open)?.map(vendor::normal_endpoint),
        region: plain.region,
        bucket: plain.bucket,
        prefix: KeyPrefix::new(&folders).map_err(|_| SealError::Open)?,
        credentials: Credentials {
            access_key: plain.access_key.into(),
            secret_key: plain.secret_key.into(),
            sts_token: plain.sts_token.map(Into::into),
        },
        path_style: (!plain.path_style_open).then_some(plain.path_style),
        encryption: plain.encryption.map(|kms| if kms { Encryption::Kms } else { Encryption::Aes256 }),
    };
    Ok((destination, plain.abilities))
}

#[cfg(test)]
mod tests {
    use secrecy::SecretString;

    use super::*;

    #[test]
    fn a_destination_comes_back_whole_and_its_keys_are_hidden() {
        let sealer = Sealer::from_hex(&SecretString::from("0f".repeat(32))).unwrap();
        let destination = Destination {
            endpoint: Some(Url::parse("http://127.0.0.1:9000").unwrap()),
            region: "us-east-1".into(),
            bucket: "calls".into(),
            prefix: KeyPrefix::new(&["a", "b"]).unwrap(),
            credentials: Credentials {
                access_key: "the-key".into(),
                secret_key: "the-secret".into(),
                sts_token: Some("the-token".into()),
            },
            path_style: None,
            encryption: Some(Encryption::Kms),
        };
        let abilities = Abilities {
            conditional: Some(true),
            readable: Some(false),
            write_once: None,
            path_style: Some(false),
            region: Some("fr-par".into()),
        };
        let sealed = seal(&sealer, &destination, abilities.clone());
        assert!(!String::from_utf8_lossy(&sealed).contains("the-"));
        let (back, known) = open(&sealer, &sealed).unwrap();
        assert_eq!(known, abilities);
        assert_eq!(back.prefix.key("x"), "a/b/x");
        assert_eq!(back.credentials.secret_key.expose_secret(), "the-secret");
        assert_eq!((back.endpoint, back.encryption), (destination.endpoint.clone(), destination.encryption));
        assert_eq!(back.path_style, None, "the store's answer still decides");
        for said in [true, false] {
            let sealed =
                seal(&sealer, &Destination { path_style: Some(said), ..destination.clone() }, Abilities::default());
            assert_eq!(open(&sealer, &sealed).unwrap().0.path_style, Some(said));
        }
    }

    #[test]
    fn of_a_row_that_an_older_worker_wrote_nothing_is_known() {
        let sealer = Sealer::from_hex(&SecretString::from("0f".repeat(32))).unwrap();
        let text = r#"{"endpoint":null,"region":"r","bucket":"b","prefix":"","access_key":"a","secret_key":"s",
            "sts_token":null,"path_style":false,"encryption":null}"#;
        let (destination, known) = open(&sealer, &sealer.seal(text.as_bytes())).unwrap();
        assert_eq!((destination.bucket.as_str(), known), ("b", Abilities::default()));
        let text = r#"{"endpoint":"http://store/a/","region":"r","bucket":"b","prefix":"","access_key":"a","secret_key":"s",
            "sts_token":null,"path_style":true,"encryption":null,"abilities":{"conditional":true,"readable":null,"writeOnce":false}}"#;
        let (destination, known) = open(&sealer, &sealer.seal(text.as_bytes())).unwrap();
        assert_eq!(destination.path_style, Some(true), "it was taken with the bucket in the path");
        assert_eq!(destination.endpoint.unwrap().as_str(), "http://store/a");
        assert_eq!((known.conditional, known.write_once, known.region), (Some(true), Some(false), None));
    }
}
