//! The Content-Security-Policy of the pages: our own port, the configured buckets and channel servers, and nothing else.

use std::collections::BTreeSet;

use super::Settings;

/// For pages that are HTML and a style sheet alone.
pub(super) const STATIC: &str =
    "default-src 'none'; style-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The header's value. `blob:` is for the media source that the player feeds.
pub(super) fn content_security_policy(settings: &Settings) -> String {
    let dev = settings.dev.iter().flat_map(|dev| [Some(&dev.bucket.endpoint), dev.channel_url.as_ref()]).flatten();
    let (http, ws): (BTreeSet<String>, BTreeSet<String>) =
        settings.origins.iter().chain(dev).filter_map(origin).partition(|origin| origin.starts_with("http"));
    let join = |origins: &BTreeSet<String>| origins.iter().map(|origin| format!(" {origin}")).collect::<String>();
    let (http, ws) = (join(&http), join(&ws));
    // A LiveKit client asks its server's `validate` over http when a WebSocket is refused.
    let validate = ws.replace(" ws", " http");
    format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
         connect-src 'self'{http}{ws}{validate}; media-src 'self' blob:{http}; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
}

/// `scheme://host[:port]` of a URL with a host that can stand in the header.
fn origin(url: &url::Url) -> Option<String> {
    let host = url.host_str()?;
    let scheme = url.scheme();
    if !["http", "https", "ws", "wss"].contains(&scheme) || host.contains([';', ',', ' ', '\'']) {
        return None;
    }
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    Some(format!("{scheme}://{host}{port}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(origins: &[&str]) -> Settings {
        Settings { origins: origins.iter().map(|origin| origin.parse().unwrap()).collect(), ..Settings::default() }
    }

    #[test]
    fn a_page_talks_to_nobody_but_us() {
        let policy = content_security_policy(&settings(&[]));
        assert!(policy.starts_with("default-src 'none'; script-src 'self';"), "{policy}");
        assert!(policy.contains("connect-src 'self';"), "{policy}");
        assert!(policy.contains("media-src 'self' blob:;"), "{policy}");
    }

    #[test]
    fn buckets_and_channel_servers_are_named_by_origin() {
        let policy = content_security_policy(&settings(&[
            "http://127.0.0.1:9000/bucket/key?secret=1",
            "wss://voice.example:7443/path",
            "wss://voice.example:7443/other",
        ]));
        let connect = "connect-src 'self' http://127.0.0.1:9000 wss://voice.example:7443 https://voice.example:7443;";
        assert!(policy.contains(connect), "{policy}");
        assert!(policy.contains("media-src 'self' blob: http://127.0.0.1:9000;"), "{policy}");
        assert!(!policy.contains("secret"), "{policy}");
    }

    #[test]
    fn what_is_no_web_origin_is_left_out() {
        let policy = content_security_policy(&settings(&["file:///etc/passwd", "javascript:alert(1)"]));
        assert!(policy.contains("connect-src 'self';"), "{policy}");
    }
}
