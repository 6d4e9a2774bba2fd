//! How a destination is addressed: whether the bucket's name goes into the path or into the host, and which region is signed for.
//!
//! What the caller did not say is asked for as most stores take it, with the bucket in the path. A store that refuses that is asked once more with
//! the bucket in the host, and one that names another region once more with a signature for that region. What was taken is
//! remembered ([`super::Abilities`]). Every connection looks at the addresses of its host anew, so a host that a bucket's name became
//! part of reaches no further than the endpoint did.

use std::sync::Arc;

use aws_sdk_s3::config::Builder;
use aws_sdk_s3::config::endpoint::{DefaultResolver, Endpoint, EndpointFuture, Params, ResolveEndpoint};
use aws_sdk_s3::error::BoxError;
use aws_smithy_types::endpoint::EndpointAuthScheme;
use url::{Host, Url};

use super::{Abilities, Bucket, BucketError};
use crate::Destination;

/// Longest label of a host name (RFC 1035 section 2.3.4).
const MAX_LABEL: usize = 63;

/// See the module's documentation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Address {
    pub(super) path_style: bool,
    pub(super) region: String,
}

/// One request: first to where the destination is known to be, then to where the store's refusal says that it is.
#[derive(Debug)]
pub(super) struct Addressed<'a> {
    bucket: &'a Bucket,
    known: Address,
    address: Address,
}

impl<'a> Addressed<'a> {
    pub(super) fn to(bucket: &'a Bucket) -> Self {
        let known = Address::of(&bucket.destination, &bucket.learned.abilities());
        Self { bucket, address: known.clone(), known }
    }

    /// What makes a client send the next attempt there.
    pub(super) fn config(&self) -> Builder {
        self.address.config(&self.bucket.destination)
    }

    /// The answer, if the request is not to be sent to another address.
    pub(super) fn end<T>(&mut self, answer: Result<T, BucketError>) -> Option<Result<T, BucketError>> {
        let better = answer.as_ref().err().and_then(|error| self.address.better(&self.bucket.destination, error));
        match better {
            // A region is taken over once: a store that names another one each time would be asked for ever.
            Some(better) if better.region == self.address.region || self.address.region == self.known.region => {
                self.address = better;
                None
            }
            _ => Some(self.remember(answer)),
        }
    }

    /// Remembers an address at which the store answered.
    fn remember<T>(&self, answer: Result<T, BucketError>) -> Result<T, BucketError> {
        let Self { bucket, known, address } = self;
        let turned = known.path_style && !address.path_style;
        match answer {
            Err(BucketError::Unreachable { place, cause, sent }) if turned => {
                let host = address.host(&bucket.destination);
                let cause = format!("it refuses the bucket in the path, and {host} can't be reached: {cause}");
                Err(BucketError::Unreachable { place, cause, sent })
            }
            Err(BucketError::TimedOut { place }) if turned => {
                let host = address.host(&bucket.destination);
                let cause = format!("it refuses the bucket in the path, and {host} does not answer in time");
                Err(BucketError::Unreachable { place, cause, sent: true })
            }
            Err(error @ (BucketError::WrongRegion { .. } | BucketError::PathStyle { .. })) => Err(error),
            answer => {
                if known != address {
                    bucket.learned.learn(|learned| {
                        if turned {
                            learned.path_style = Some(false);
                        }
                        if known.region != address.region {
                            learned.region = Some(address.region.clone());
                        }
                    });
                }
                answer
            }
        }
    }
}

impl Address {
    /// Where a destination is, as far as it is known.
    pub(super) fn of(destination: &Destination, learned: &Abilities) -> Self {
        let region = learned.region.clone().unwrap_or_else(|| destination.region.clone());
        let said = destination.path_style;
        let path_style = match &destination.endpoint {
            // The SDK knows Amazon's rules for names that can't be part of a host name.
            None => said.unwrap_or(false),
            Some(endpoint) => !fits_host(endpoint, &destination.bucket) || said.or(learned.path_style).unwrap_or(true),
        };
        Self { path_style, region }
    }

    /// What the store's refusal asks for instead.
    fn better(&self, destination: &Destination, error: &BucketError) -> Option<Self> {
        match error {
            BucketError::WrongRegion { named: Some(region), .. } if *region != self.region => {
                Some(Self { region: region.clone(), ..self.clone() })
            }
            BucketError::PathStyle { .. } if self.path_style && destination.path_style.is_none() => {
                let endpoint = destination.endpoint.as_ref()?;
                fits_host(endpoint, &destination.bucket).then(|| Self { path_style: false, ..self.clone() })
            }
            _ => None,
        }
    }

    /// The host that requests go to.
    fn host(&self, destination: &Destination) -> String {
        let endpoint = destination.endpoint.as_ref();
        let url = endpoint.map(|endpoint| url(endpoint, &destination.bucket, self.path_style));
        url.and_then(|url| Some(url.host_str()?.to_owned())).unwrap_or_default()
    }

    /// What makes a client send a request there.
    fn config(&self, destination: &Arc<Destination>) -> Builder {
        Builder::new().endpoint_resolver(Resolver { destination: Arc::clone(destination), address: self.clone() })
    }
}

impl Destination {
    /// The URL of the bucket as it is asked for first; none for Amazon, whose URLs follow from the region.
    pub fn url(&self) -> Option<Url> {
        let path_style = Address::of(self, &Abilities::default()).path_style;
        self.endpoint.as_ref().map(|endpoint| url(endpoint, &self.bucket, path_style))
    }
}

/// Whether a bucket can be a label in front of the endpoint's host: a dot would make two of it, which no certificate for `*.host` covers.
pub(super) fn fits_host(endpoint: &Url, bucket: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    matches!(endpoint.host(), Some(Host::Domain(_)))
        && bucket.len() <= MAX_LABEL
        && bucket.bytes().all(allowed)
        && !bucket.starts_with('-')
        && !bucket.ends_with('-')
}

/// The URL of a bucket.
pub(super) fn url(endpoint: &Url, bucket: &str, path_style: bool) -> Url {
    let mut url = endpoint.clone();
    let folders = url.path().split('/').chain(path_style.then_some(bucket));
    let path: Vec<&str> = folders.filter(|part| !part.is_empty()).collect();
    let path = path.join("/");
    url.set_path(&path);
    if !path_style {
        let host = format!("{bucket}.{}", url.host_str().unwrap_or_default());
        // A label in front of a domain, which [`fits_host`] saw.
        let _ = url.set_host(Some(&host));
    }
    url
}

/// Sends requests to one address.
#[derive(Debug)]
struct Resolver {
    destination: Arc<Destination>,
    address: Address,
}

impl ResolveEndpoint for Resolver {
    fn resolve_endpoint<'a>(&'a self, _: &'a Params) -> EndpointFuture<'a> {
        let Destination { endpoint, bucket, .. } = &*self.destination;
        let Address { path_style, region } = &self.address;
        match endpoint {
            None => EndpointFuture::new(amazon(bucket, region, *path_style)),
            Some(endpoint) => {
                // S3 signs a path as it is sent.
                let scheme = EndpointAuthScheme::with_capacity("sigv4", 4);
                let scheme = scheme.put("signingName", "s3").put("signingRegion", region.clone());
                let scheme = scheme.put("disableDoubleEncoding", true).put("disableNormalizePath", true);
                let endpoint = Endpoint::builder().url(String::from(url(endpoint, bucket, *path_style)));
                EndpointFuture::ready(Ok(endpoint.auth_scheme(scheme).build()))
            }
        }
    }
}

/// Amazon's own rules.
async fn amazon(bucket: &str, region: &str, path_style: bool) -> Result<Endpoint, BoxError> {
    let params = Params::builder().bucket(bucket.to_owned()).region(region.to_owned()).force_path_style(path_style);
    let (params, rules) = (params.build()?, DefaultResolver::new());
    ResolveEndpoint::resolve_endpoint(&rules, &params).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vendor::{self, StorageConfigParts};

    fn destination(config: &serde_json::Value) -> Destination {
        let mut whole = serde_json::json!({"bucket": "calls", "accessKey": "a", "secretKey": "s"});
        for (key, value) in config.as_object().unwrap() {
            whole[key] = value.clone();
        }
        vendor::destination(&serde_json::from_value::<StorageConfigParts>(whole).unwrap()).unwrap()
    }

    /// Where the first request goes, and the region that it is signed for.
    async fn first(destination: Destination, learned: &Abilities) -> (String, String) {
        let address = Address::of(&destination, learned);
        let region = address.region.clone();
        let resolver = Resolver { destination: Arc::new(destination), address };
        let endpoint = resolver.resolve_endpoint(&Params::builder().build().unwrap()).await.unwrap();
        (endpoint.url().to_owned(), region)
    }

    #[tokio::test]
    async fn each_vendor_has_its_address() {
        use serde_json::json;
        let at = |endpoint: &str| json!({"vendor": 11, "extensionParams": {"endpoint": endpoint}});
        for (config, url, region) in [
            (json!({"vendor": 1, "region": 4}), "https://calls.s3.eu-west-1.amazonaws.com", "eu-west-1"),
            (json!({"vendor": 1, "region": 15}), "https://calls.s3.cn-north-1.amazonaws.com.cn", "cn-north-1"),
            (
                json!({"vendor": 1, "region": 0, "bucket": "my.calls"}),
                "https://s3.us-east-1.amazonaws.com/my.calls",
                "us-east-1",
            ),
            (json!({"vendor": 2, "region": 7}), "https://calls.s3.oss-cn-hongkong.aliyuncs.com/", "cn-hongkong"),
            (json!({"vendor": 3, "region": 10}), "https://calls.cos.ap-singapore.myqcloud.com/", "ap-singapore"),
            (json!({"vendor": 6, "region": 0}), "https://storage.googleapis.com/calls", "auto"),
            (
                json!({"vendor": 7, "region": 6}),
                "https://calls.obs.ap-southeast-1.myhuaweicloud.com/",
                "ap-southeast-1",
            ),
            (json!({"vendor": 8, "region": 5}), "https://s3.sin.bcebos.com/calls", "sin"),
            (at("https://host/a"), "https://host/a/calls", "us-east-1"),
            (at("http://127.0.0.1:9000/a/b/"), "http://127.0.0.1:9000/a/b/calls", "us-east-1"),
            (at("http://[::1]:9000"), "http://[::1]:9000/calls", "us-east-1"),
            (at("https://calls.s3.example.com/a"), "https://calls.s3.example.com/a", "us-east-1"),
            (at("https://s3.fr-par.scw.cloud/calls"), "https://s3.fr-par.scw.cloud/calls", "fr-par"),
        ] {
            let (to, signed) = first(destination(&config), &Abilities::default()).await;
            assert_eq!((to.as_str(), signed.as_str()), (url, region));
        }
    }

    #[tokio::test]
    async fn what_was_said_goes_before_what_was_learned_and_some_names_stay_in_the_path() {
        use serde_json::json;
        let learned = Abilities { path_style: Some(false), region: Some("fr-par".into()), ..Abilities::default() };
        let at = |bucket: &str, endpoint: &str, path_style: Option<bool>| {
            let extension = json!({"endpoint": endpoint, "pathStyle": path_style});
            destination(&json!({"vendor": 11, "bucket": bucket, "extensionParams": extension}))
        };
        for (bucket, endpoint, said, url) in [
            ("calls", "https://host/a", None, "https://calls.host/a"),
            ("calls", "https://host:8443", Some(true), "https://host:8443/calls"),
            ("calls", "https://host:8443", Some(false), "https://calls.host:8443/"),
            ("my.calls", "https://host", Some(false), "https://host/my.calls"),
            ("my_calls", "https://host", None, "https://host/my_calls"),
            ("Calls", "https://host", None, "https://host/Calls"),
            ("calls", "https://127.0.0.1", Some(false), "https://127.0.0.1/calls"),
            ("calls", "https://[2606:4700::1111]", None, "https://[2606:4700::1111]/calls"),
        ] {
            let (to, region) = first(at(bucket, endpoint, said), &learned).await;
            assert_eq!((to.as_str(), region.as_str()), (url, "fr-par"));
        }
        let amazon = destination(&json!({"vendor": 1, "region": 0, "extensionParams": {"pathStyle": true}}));
        assert_eq!(first(amazon, &learned).await.0, "https://s3.fr-par.amazonaws.com/calls");
    }
}
