//! A destination with its secrets, sealed for the store, so that another run of the worker can go on uploading; and what was known of
//! it, so that it need not be probed again.

use secrecy::ExposeSecret;
use secrecy::zeroize::Zeroizing;
use serde::{Deserialize, Serialize};
use url::Url;

use crate::storage::{Abilities, Credentials, Destination, Encryption, KeyPrefix};
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
    path_style: bool,
    encryption: Option<bool>,
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
        path_style: destination.path_style,
        encryption: destination.encryption.map(|encryption| encryption == Encryption::Kms),
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
    let destination = Destination {
        endpoint: plain.endpoint.as_deref().map(Url::parse).transpose().map_err(|_| SealError::Open)?,
        region: plain.region,
        bucket: plain.bucket,
        prefix: KeyPrefix::new(&folders).map_err(|_| SealError::Open)?,
        credentials: Credentials {
            access_key: plain.access_key.into(),
            secret_key: plain.secret_key.into(),
            sts_token: plain.sts_token.map(Into::into),
        },
        path_style: plain.path_style,
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
            path_style: true,
            encryption: Some(Encryption::Kms),
        };
        let abilities = Abilities { conditional: Some(true), readable: Some(false), write_once: None };
        let sealed = seal(&sealer, &destination, abilities);
        assert!(!String::from_utf8_lossy(&sealed).contains("the-"));
        let (back, known) = open(&sealer, &sealed).unwrap();
        assert_eq!(known, abilities);
        assert_eq!(back.prefix.key("x"), "a/b/x");
        assert_eq!(back.credentials.secret_key.expose_secret(), "the-secret");
        assert_eq!((back.endpoint, back.encryption), (destination.endpoint, destination.encryption));
    }

    #[test]
    fn of_a_row_that_an_older_worker_wrote_nothing_is_known() {
        let sealer = Sealer::from_hex(&SecretString::from("0f".repeat(32))).unwrap();
        let text = r#"{"endpoint":null,"region":"r","bucket":"b","prefix":"","access_key":"a","secret_key":"s",
            "sts_token":null,"path_style":false,"encryption":null}"#;
        let (destination, known) = open(&sealer, &sealer.seal(text.as_bytes())).unwrap();
        assert_eq!((destination.bucket.as_str(), known), ("b", Abilities::default()));
    }
}
