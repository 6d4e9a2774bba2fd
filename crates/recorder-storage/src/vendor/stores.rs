//! Stores that are known by their host names: which part of a name is the bucket, which is the region, and what a store takes.

/// A store's host, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Host<'a> {
    /// The bucket that it names, if it names one.
    pub(super) bucket: Option<&'a str>,
    /// The host without the bucket.
    pub(super) store: &'a str,
    /// The region to sign for, if the name or the store says it.
    pub(super) region: Option<&'a str>,
    /// Whether the store takes the bucket in the host name alone.
    pub(super) virtual_only: bool,
}

/// How the hosts of a store are made.
struct Pattern {
    /// The labels of the store before its domain. A `*` is the region, also at the end of a label; `?` is any label.
    labels: &'static [&'static str],
    domain: &'static str,
    /// The region where the name has none.
    region: Option<&'static str>,
    virtual_only: bool,
}

const fn paths(labels: &'static [&'static str], domain: &'static str) -> Pattern {
    Pattern { labels, domain, region: None, virtual_only: false }
}

const fn signed_for(region: &'static str, labels: &'static [&'static str], domain: &'static str) -> Pattern {
    Pattern { labels, domain, region: Some(region), virtual_only: false }
}

const fn hosts(labels: &'static [&'static str], domain: &'static str) -> Pattern {
    Pattern { labels, domain, region: None, virtual_only: true }
}

/// The first one that fits counts, so what is longer comes first. Each of these stores lives at the root of its host.
const PATTERNS: [Pattern; 40] = [
    // Private links: "bucket" is a word of Amazon's here.
    paths(&["bucket", "?", "s3", "*"], "vpce.amazonaws.com"),
    paths(&["s3", "dualstack", "*"], "amazonaws.com"),
    paths(&["s3", "dualstack", "*"], "amazonaws.com.cn"),
    paths(&["s3-fips", "dualstack", "*"], "amazonaws.com"),
    paths(&["s3-fips", "*"], "amazonaws.com"),
    paths(&["s3", "*"], "amazonaws.com"),
    paths(&["s3", "*"], "amazonaws.com.cn"),
    signed_for("us-east-1", &["s3-accelerate"], "amazonaws.com"),
    signed_for("us-east-1", &["s3-external-1"], "amazonaws.com"),
    paths(&["s3-*"], "amazonaws.com"),
    signed_for("us-east-1", &["s3"], "amazonaws.com"),
    Pattern { region: Some("cn-hangzhou"), ..hosts(&["s3", "oss-accelerate"], "aliyuncs.com") },
    Pattern { region: Some("cn-hangzhou"), ..hosts(&["oss-accelerate"], "aliyuncs.com") },
    hosts(&["s3", "oss-*"], "aliyuncs.com"),
    hosts(&["oss-*"], "aliyuncs.com"),
    hosts(&["cos", "*"], "myqcloud.com"),
    hosts(&["cos-internal", "*"], "tencentcos.cn"),
    hosts(&["cos", "*"], "tencentcos.cn"),
    hosts(&["obs", "*"], "myhuaweicloud.com"),
    hosts(&["obs", "*"], "myhuaweicloud.eu"),
    paths(&["s3", "*"], "bcebos.com"),
    paths(&["*"], "bcebos.com"),
    signed_for("auto", &["storage"], "googleapis.com"),
    signed_for("auto", &["?", "eu"], "r2.cloudflarestorage.com"),
    signed_for("auto", &["?", "fedramp"], "r2.cloudflarestorage.com"),
    signed_for("auto", &["?"], "r2.cloudflarestorage.com"),
    paths(&["s3", "*"], "backblazeb2.com"),
    paths(&["s3", "*"], "wasabisys.com"),
    signed_for("us-east-1", &["s3"], "wasabisys.com"),
    paths(&["*"], "digitaloceanspaces.com"),
    paths(&["*"], "linodeobjects.com"),
    paths(&["*"], "vultrobjects.com"),
    paths(&["*"], "your-objectstorage.com"),
    paths(&["s3", "*"], "scw.cloud"),
    paths(&["s3", "*"], "io.cloud.ovh.net"),
    paths(&["sos-*"], "exo.io"),
    paths(&["s3-*"], "qiniucs.com"),
    paths(&["s3", "*"], "qiniucs.com"),
    signed_for("ru-central1", &["storage"], "yandexcloud.net"),
    signed_for("ru-central1", &["s3"], "yandexcloud.net"),
];

/// Takes the host of a known store apart; none for others.
pub(super) fn known(host: &str) -> Option<Host<'_>> {
    PATTERNS.iter().find_map(|pattern| pattern.take_apart(host))
}

impl Pattern {
    fn take_apart<'a>(&self, host: &'a str) -> Option<Host<'a>> {
        let mut rest = host.strip_suffix(self.domain)?.strip_suffix('.')?;
        let (mut region, mut is_whole) = (None, false);
        for pattern in self.labels.iter().rev() {
            if is_whole {
                return None;
            }
            let (before, label) = rest.rsplit_once('.').unwrap_or(("", rest));
            match pattern.strip_suffix('*') {
                _ if label.is_empty() => return None,
                Some(start) => {
                    let name = label.strip_prefix(start).filter(|name| !name.is_empty())?;
                    region = Some(name.strip_suffix("-internal").unwrap_or(name));
                }
                None if *pattern != "?" && *pattern != label => return None,
                None => {}
            }
            is_whole = rest == label;
            rest = before;
        }
        let bucket = (!is_whole).then_some(rest);
        let store = bucket.map_or(host, |bucket| &host[bucket.len() + 1..]);
        Some(Host { bucket, store, region: region.or(self.region), virtual_only: self.virtual_only })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_of_known_stores_are_taken_apart() {
        for (host, bucket, store, region) in [
            ("s3.amazonaws.com", None, "s3.amazonaws.com", Some("us-east-1")),
            ("s3.eu-west-1.amazonaws.com", None, "s3.eu-west-1.amazonaws.com", Some("eu-west-1")),
            ("calls.s3.eu-west-1.amazonaws.com", Some("calls"), "s3.eu-west-1.amazonaws.com", Some("eu-west-1")),
            ("a.b.s3-us-west-2.amazonaws.com", Some("a.b"), "s3-us-west-2.amazonaws.com", Some("us-west-2")),
            ("calls.s3.amazonaws.com", Some("calls"), "s3.amazonaws.com", Some("us-east-1")),
            ("s3.dualstack.eu-west-1.amazonaws.com", None, "s3.dualstack.eu-west-1.amazonaws.com", Some("eu-west-1")),
            ("s3.cn-north-1.amazonaws.com.cn", None, "s3.cn-north-1.amazonaws.com.cn", Some("cn-north-1")),
            (
                "bucket.vpce-1a-2b.s3.us-east-1.vpce.amazonaws.com",
                None,
                "bucket.vpce-1a-2b.s3.us-east-1.vpce.amazonaws.com",
                Some("us-east-1"),
            ),
            (
                "calls.oss-cn-beijing-internal.aliyuncs.com",
                Some("calls"),
                "oss-cn-beijing-internal.aliyuncs.com",
                Some("cn-beijing"),
            ),
            ("s3.oss-cn-beijing.aliyuncs.com", None, "s3.oss-cn-beijing.aliyuncs.com", Some("cn-beijing")),
            ("calls-125.cos.ap-tokyo.myqcloud.com", Some("calls-125"), "cos.ap-tokyo.myqcloud.com", Some("ap-tokyo")),
            ("storage.googleapis.com", None, "storage.googleapis.com", Some("auto")),
            ("0123.eu.r2.cloudflarestorage.com", None, "0123.eu.r2.cloudflarestorage.com", Some("auto")),
            ("calls.0123.r2.cloudflarestorage.com", Some("calls"), "0123.r2.cloudflarestorage.com", Some("auto")),
            ("s3.us-west-004.backblazeb2.com", None, "s3.us-west-004.backblazeb2.com", Some("us-west-004")),
            ("calls.fra1.digitaloceanspaces.com", Some("calls"), "fra1.digitaloceanspaces.com", Some("fra1")),
            ("calls.s3.bj.bcebos.com", Some("calls"), "s3.bj.bcebos.com", Some("bj")),
            ("s3.fr-par.scw.cloud", None, "s3.fr-par.scw.cloud", Some("fr-par")),
        ] {
            let known = known(host).unwrap_or_else(|| panic!("{host}"));
            assert_eq!((known.bucket, known.store, known.region), (bucket, store, region), "{host}");
        }
        for host in
            ["minio.example.com", "amazonaws.com", "r2.cloudflarestorage.com", "xs3.amazonaws.com", "localhost", ""]
        {
            assert_eq!(known(host), None, "{host}");
        }
        assert!(known("oss-cn-beijing.aliyuncs.com").unwrap().virtual_only);
        assert!(!known("s3.bj.bcebos.com").unwrap().virtual_only);
    }
}
