//! The vendor's `storageConfig` to a [`Destination`] (docs/protocol/agora.md section 2.3, docs/protocol/callers.md section 1).

mod endpoint;
mod regions;
mod stores;

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer};
use url::Url;

use super::destination::{Credentials, Destination, Encryption, KeyPrefix, PrefixError};
use recorder_core::error_class::{Classify, ErrorClass};

/// `storageConfig` as it was sent; every field may be missing. Unknown fields are ignored, as the original does.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct StorageConfigParts {
    /// Who keeps the bucket: 1 Amazon S3, 2 Alibaba, 3 Tencent, 6 Google, 7 Huawei, 8 Baidu, 11 any S3-compatible store.
    pub vendor: Option<i64>,
    /// The vendor's region number; ignored for vendors 6 and 11.
    pub region: Option<i64>,
    /// The bucket's name.
    pub bucket: Option<String>,
    /// Access key id.
    #[serde(deserialize_with = "secret")]
    pub access_key: Option<SecretString>,
    /// Secret access key.
    #[serde(deserialize_with = "secret")]
    pub secret_key: Option<SecretString>,
    /// Session token of temporary credentials.
    #[serde(deserialize_with = "secret")]
    pub sts_token: Option<SecretString>,
    /// Folders, outermost first.
    pub file_name_prefix: Option<Vec<String>>,
    /// What only some vendors have.
    pub extension_params: Option<ExtensionParams>,
}

/// `storageConfig.extensionParams`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ExtensionParams {
    /// The store's URL (vendor 11). Without a scheme `https` is meant.
    pub endpoint: Option<String>,
    /// The region that requests are signed for (vendor 11; ours, the original has no such field). Else it is read from the
    /// endpoint's host name where that names one, else `us-east-1`.
    pub region: Option<String>,
    /// Whether the bucket goes into the path of each request, or into its host name (ours). Else the store's answer decides.
    pub path_style: Option<bool>,
    /// Server-side encryption: `aes256`, `kms` or `none`.
    pub sse: Option<String>,
}

impl StorageConfigParts {
    /// Whether neither vendor nor bucket is said: only keys come along.
    pub fn names_no_place(&self) -> bool {
        matches!(self.vendor, None | Some(0)) && self.bucket.as_ref().is_none_or(String::is_empty)
    }

    /// Whether nothing is said: no vendor or vendor 0, no bucket and no keys. The app's default storage is meant.
    pub fn is_blank(&self) -> bool {
        let no_key = |key: &Option<SecretString>| key.as_ref().is_none_or(|key| key.expose_secret().is_empty());
        matches!(self.vendor, None | Some(0))
            && self.bucket.as_ref().is_none_or(String::is_empty)
            && no_key(&self.access_key)
            && no_key(&self.secret_key)
    }
}

/// What is wrong with a `storageConfig`. Each message names the field.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VendorError {
    /// A field that is needed is missing or empty.
    #[error("clientRequest.storageConfig.{0} is missing or empty")]
    Missing(&'static str),
    /// A vendor that we don't write to.
    #[error(
        "clientRequest.storageConfig.vendor {0} is not supported: it has no S3 endpoint by region; use 1 (Amazon S3), 2 (Alibaba), \
         3 (Tencent), 6 (Google), 7 (Huawei), 8 (Baidu), or 11 (any S3-compatible store) with extensionParams.endpoint"
    )]
    Vendor(i64),
    /// A region number that the vendor's table does not have.
    #[error("clientRequest.storageConfig.region {number} is unknown; vendor {vendor} has regions {first} to {last}")]
    Region {
        /// Which vendor.
        vendor: i64,
        /// The number that it does not have.
        number: i64,
        /// Its first one.
        first: i64,
        /// Its last one.
        last: i64,
    },
    /// A field that can't be what it says.
    #[error("clientRequest.storageConfig.{field} {problem}")]
    Field {
        /// Which field.
        field: &'static str,
        /// What it must be.
        problem: &'static str,
    },
    /// A prefix that would lead astray.
    #[error("clientRequest.storageConfig.fileNamePrefix{0}")]
    Prefix(#[from] PrefixError),
}

impl Classify for VendorError {
    fn error_class(&self) -> ErrorClass {
        ErrorClass::caller("invalid_storage_config")
    }
}

/// Shortest secret that is looked for where it does not belong, in bytes; a shorter one is in other words by chance.
const TELLING_BYTES: usize = 16;

/// Parses `parts`. Nothing is tried: whether the place exists shows [`super::Bucket::prove`].
pub fn destination(parts: &StorageConfigParts) -> Result<Destination, VendorError> {
    refuse_misplaced_secrets(parts)?;
    let vendor = parts.vendor.ok_or(VendorError::Missing("vendor"))?;
    let bucket = bucket(parts.bucket.as_deref())?;
    let extension = parts.extension_params.clone().unwrap_or_default();
    let (endpoint, region) = match vendor {
        11 => {
            let text = extension.endpoint.as_deref().unwrap_or_default().trim();
            let endpoint = endpoint::parse(text, &bucket, extension.path_style)?;
            let said = extension.region.filter(|region| !region.is_empty());
            let region = said.or_else(|| endpoint.region.clone()).unwrap_or_else(|| "us-east-1".to_owned());
            (Some(endpoint), region)
        }
        vendor => {
            let region = region(vendor, parts.region)?;
            let url = region.host.map(regions::Host::url);
            let endpoint = url.map(|url| endpoint::parse(&url, &bucket, extension.path_style)).transpose()?;
            (endpoint, region.name.to_owned())
        }
    };
    check_region(&region)?;
    let credentials = credentials(parts)?;
    let prefix = KeyPrefix::new(parts.file_name_prefix.as_deref().unwrap_or_default())?;
    let encryption = encryption(extension.sse.as_deref())?;
    let path_style = endpoint.as_ref().map_or(extension.path_style, |endpoint| endpoint.path_style);
    let endpoint = endpoint.map(|endpoint| endpoint.url);
    Ok(Destination { path_style, endpoint, region, bucket, prefix, credentials, encryption })
}

/// A store's URL in the form in which [`destination`] gives it.
pub fn normal_endpoint(url: Url) -> Url {
    endpoint::normal(url)
}

/// The region that a vendor and a number name. Google has one for all its locations, so no number is needed there.
fn region(vendor: i64, number: Option<i64>) -> Result<regions::Region, VendorError> {
    let (first, last) = regions::numbers(vendor).ok_or(VendorError::Vendor(vendor))?;
    let number = if first == last { first } else { number.ok_or(VendorError::Missing("region"))? };
    regions::region(vendor, number).ok_or(VendorError::Region { vendor, number, first, last })
}

/// It goes into each signature, and for Amazon into the host's name.
fn check_region(region: &str) -> Result<(), VendorError> {
    if is_region(region) {
        return Ok(());
    }
    let problem = "must be the name of a region like eu-west-1: 1 to 64 characters of a-z A-Z 0-9 - _";
    Err(VendorError::Field { field: "extensionParams.region", problem })
}

/// Whether this can be the name of a region.
pub(crate) fn is_region(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    (1..=64).contains(&name.len()) && name.bytes().all(allowed)
}

/// Who writes, whatever else `parts` say.
pub fn credentials(parts: &StorageConfigParts) -> Result<Credentials, VendorError> {
    Ok(Credentials {
        access_key: needed("accessKey", &parts.access_key)?,
        secret_key: needed("secretKey", &parts.secret_key)?,
        sts_token: parts.sts_token.clone().filter(|token| !token.expose_secret().is_empty()),
    })
}

fn bucket(name: Option<&str>) -> Result<String, VendorError> {
    let name = name.filter(|name| !name.is_empty()).ok_or(VendorError::Missing("bucket"))?;
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if !(3..=255).contains(&name.len()) || !name.bytes().all(allowed) || name.bytes().all(|byte| byte == b'.') {
        let problem = "must be 3 to 255 characters of a-z A-Z 0-9 . _ -";
        return Err(VendorError::Field { field: "bucket", problem });
    }
    Ok(name.to_owned())
}

fn needed(field: &'static str, key: &Option<SecretString>) -> Result<SecretString, VendorError> {
    key.clone().filter(|key| !key.expose_secret().is_empty()).ok_or(VendorError::Missing(field))
}

/// What names a place is told in errors and logs, so a secret must not be in it.
fn refuse_misplaced_secrets(parts: &StorageConfigParts) -> Result<(), VendorError> {
    let secrets = [&parts.access_key, &parts.secret_key, &parts.sts_token].into_iter().flatten();
    let secrets = secrets.map(ExposeSecret::expose_secret).filter(|secret| secret.len() >= TELLING_BYTES);
    let secrets: Vec<&str> = secrets.collect();
    let extension = parts.extension_params.as_ref();
    let prefix = parts.file_name_prefix.iter().flatten().map(|folder| ("fileNamePrefix", folder));
    let places = [
        ("bucket", parts.bucket.as_ref()),
        ("extensionParams.endpoint", extension.and_then(|extension| extension.endpoint.as_ref())),
        ("extensionParams.region", extension.and_then(|extension| extension.region.as_ref())),
    ];
    let places = places.into_iter().filter_map(|(field, text)| Some((field, text?)));
    match places.chain(prefix).find(|(_, text)| secrets.iter().any(|secret| text.contains(secret))) {
        Some((field, _)) => {
            Err(VendorError::Field { field, problem: "must not hold the accessKey, secretKey or stsToken" })
        }
        None => Ok(()),
    }
}

fn encryption(sse: Option<&str>) -> Result<Option<Encryption>, VendorError> {
    match sse {
        None | Some("" | "none") => Ok(None),
        Some("aes256") => Ok(Some(Encryption::Aes256)),
        Some("kms") => Ok(Some(Encryption::Kms)),
        Some(_) => Err(VendorError::Field {
            field: "extensionParams.sse",
            problem: "must be \"aes256\", \"kms\" or \"none\", or left out",
        }),
    }
}

fn secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SecretString>, D::Error> {
    Ok(Option::<String>::deserialize(deserializer)?.map(SecretString::from))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parse(config: serde_json::Value) -> Result<Destination, VendorError> {
        destination(&serde_json::from_value(config).unwrap())
    }

    #[test]
    fn amazon_regions_come_from_the_table() {
        let config = json!({"vendor": 1, "region": 10, "bucket": "calls", "accessKey": "a", "secretKey": "s", "stsToken": "t",
            "fileNamePrefix": ["dir_1", "dir-2"], "extensionParams": {"sse": "kms"}, "unknown": {}});
        let place = parse(config).unwrap();
        assert_eq!((place.endpoint, place.region.as_str(), place.path_style), (None, "ap-northeast-1", None));
        assert_eq!(place.prefix.key("x"), "dir_1/dir-2/x");
        assert_eq!(place.encryption, Some(Encryption::Kms));
        assert_eq!(place.credentials.sts_token.unwrap().expose_secret(), "t");
    }

    #[test]
    fn a_compatible_store_needs_its_endpoint() {
        let mut config =
            json!({"vendor": 11, "region": 0, "bucket": "calls", "accessKey": "a", "secretKey": "s", "stsToken": ""});
        let error = parse(config.clone()).unwrap_err().to_string();
        assert_eq!(error, "clientRequest.storageConfig.extensionParams.endpoint is missing or empty");
        config["extensionParams"] = json!({"endpoint": "http://127.0.0.1:9000"});
        let place = parse(config).unwrap();
        assert_eq!(place.endpoint.unwrap().as_str(), "http://127.0.0.1:9000/");
        assert!(place.path_style.is_none() && place.credentials.sts_token.is_none());
    }

    #[test]
    fn errors_name_the_field() {
        let good = json!({"vendor": 1, "region": 0, "bucket": "calls", "accessKey": "a", "secretKey": "s"});
        for (field, value, part) in [
            ("vendor", json!(5), "vendor 5 is not supported"),
            ("vendor", json!(null), "vendor is missing"),
            ("region", json!(99), "region 99 is unknown"),
            ("region", json!(-1), "region -1 is unknown"),
            ("region", json!(null), "region is missing"),
            ("bucket", json!(""), "bucket is missing"),
            ("bucket", json!("a/../b"), "bucket must be"),
            ("bucket", json!("..."), "bucket must be"),
            ("accessKey", json!(""), "accessKey is missing"),
            ("secretKey", json!(null), "secretKey is missing"),
            ("fileNamePrefix", json!(["a", ".."]), "fileNamePrefix[1] must not name a folder"),
            ("fileNamePrefix", json!(["a".repeat(129)]), "fileNamePrefix is 129 characters long"),
            ("extensionParams", json!({"sse": "x"}), "extensionParams.sse must be"),
            ("vendor", json!(8), "region 0 is unknown; vendor 8 has regions 1 to 7"),
        ] {
            let mut config = good.clone();
            config[field] = value;
            let error = parse(config).unwrap_err().to_string();
            assert!(error.starts_with(&format!("clientRequest.storageConfig.{part}")), "{error}");
        }
    }

    #[test]
    fn the_other_vendors_have_their_endpoints() {
        let keys = json!({"bucket": "calls", "accessKey": "a", "secretKey": "s", "region": 1});
        for (vendor, url, region, path_style) in [
            (2, "https://s3.oss-cn-shanghai.aliyuncs.com/", "cn-shanghai", Some(false)),
            (3, "https://cos.ap-beijing.myqcloud.com/", "ap-beijing", Some(false)),
            (6, "https://storage.googleapis.com/", "auto", None),
            (7, "https://obs.cn-north-4.myhuaweicloud.com/", "cn-north-4", Some(false)),
            (8, "https://s3.bd.bcebos.com/", "bd", None),
        ] {
            let mut config = keys.clone();
            config["vendor"] = json!(vendor);
            let place = parse(config.clone()).unwrap();
            assert_eq!(
                (place.endpoint.unwrap().as_str(), place.region.as_str(), place.path_style),
                (url, region, path_style)
            );
            config["extensionParams"] = json!({"sse": "none"});
            assert_eq!(parse(config).unwrap().encryption, None);
        }
        let google = json!({"vendor": 6, "bucket": "calls", "accessKey": "a", "secretKey": "s"});
        assert_eq!(parse(google).unwrap().region, "auto", "it has one region, so none has to be said");
    }

    #[test]
    fn a_region_is_a_name() {
        for (region, good) in [("eu-west-1", true), ("RegionOne", true), ("a/b", false), ("a b", false), ("ü", false)]
        {
            let config = json!({"vendor": 11, "bucket": "calls", "accessKey": "a", "secretKey": "s",
                "extensionParams": {"endpoint": "https://s3.example.com", "region": region}});
            assert_eq!(parse(config).is_ok(), good, "{region}");
        }
    }

    #[test]
    fn a_secret_in_the_wrong_place_is_refused_and_not_repeated() {
        let (key, secret, token) = ("AKIAX7YQ2N4V6B8M0K3J", "wJalrXUtnFEMI/K7MDENG", "FwoGZXIvYXdzEBYaDKJh");
        let good = json!({"vendor": 11, "bucket": "calls", "accessKey": key, "secretKey": secret, "stsToken": token,
            "extensionParams": {"endpoint": "https://s3.example.com"}});
        assert!(parse(good.clone()).is_ok());
        for (field, value) in [
            ("bucket", json!(key)),
            ("fileNamePrefix", json!(["a", format!("x{token}")])),
            ("extensionParams", json!({"endpoint": secret})),
            ("extensionParams", json!({"endpoint": "https://s3.example.com", "region": token})),
        ] {
            let mut config = good.clone();
            config[field] = value;
            let error = parse(config).unwrap_err().to_string();
            assert!(error.contains(field) && error.contains("must not hold"), "{error}");
            assert!(![key, secret, token].iter().any(|secret| error.contains(secret)), "{error}");
        }
    }

    #[test]
    fn a_blank_config_means_the_default_storage() {
        let blank = |config| serde_json::from_value::<StorageConfigParts>(config).unwrap().is_blank();
        assert!(blank(json!({})));
        assert!(blank(json!({"vendor": 0, "region": 0, "bucket": "", "accessKey": "", "secretKey": ""})));
        assert!(!blank(json!({"vendor": 0, "bucket": "calls"})));
        assert!(!blank(json!({"vendor": 1})));
    }
}
