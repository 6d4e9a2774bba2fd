//! A destination with its secrets, sealed for the store, so that another run of the worker can go on uploading.

use secrecy::ExposeSecret;
use secrecy::zeroize::Zeroizing;
use serde::{Deserialize, Serialize};
use url::Url;

use crate::storage::{Credentials, Destination, Encryption, KeyPrefix};
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
}

/// Seals a destination.
pub(super) fn seal(sealer: &Sealer, destination: &Destination) -> Vec<u8> {
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
    };
    let text = serde_json::to_vec(&plain).expect("a destination has string keys only");
    sealer.seal(&Zeroizing::new(text))
}

/// Opens what [`seal`] sealed.
pub(super) fn open(sealer: &Sealer, sealed: &[u8]) -> Result<Destination, SealError> {
    let text = sealer.open(sealed)?;
    let plain: Plain = serde_json::from_slice(&text).map_err(|_| SealError::Open)?;
    let folders: Vec<&str> = plain.prefix.split('/').filter(|part| !part.is_empty()).collect();
    Ok(Destination {
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
    })
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
        let sealed = seal(&sealer, &destination);
        assert!(!String::from_utf8_lossy(&sealed).contains("the-"));
        let back = open(&sealer, &sealed).unwrap();
        assert_eq!(back.prefix.key("x"), "a/b/x");
        assert_eq!(back.credentials.secret_key.expose_secret(), "the-secret");
        assert_eq!((back.endpoint, back.encryption), (destination.endpoint, destination.encryption));
    }
}
