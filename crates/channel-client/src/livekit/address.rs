//! Where the signalling socket is: `/rtc` of the server's URL, version 0 of the protocol (docs/protocol/livekit.md sections 2 and 5).

use url::Url;

/// Signalling protocol version that we speak: updates with versions, leave actions, packed stream ids.
const PROTOCOL: &str = "16";

/// Why a server URL can't be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Not a URL.
    #[error("the channel url is not a URL ({0}); write it as wss://host or ws://host:port")]
    Invalid(String),
    /// A URL of another kind.
    #[error("the channel url has the scheme {0}; use ws, wss, http or https")]
    Scheme(String),
}

/// A server's URL, known to be usable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Address(Url);

impl Address {
    /// `ws`, `wss`, `http` and `https` are accepted; a path before `/rtc` is kept.
    pub(super) fn parse(text: &str) -> Result<Self, AddressError> {
        let mut url = Url::parse(text).map_err(|error| AddressError::Invalid(error.to_string()))?;
        let scheme = match url.scheme() {
            "ws" | "http" => "ws",
            "wss" | "https" => "wss",
            other => return Err(AddressError::Scheme(other.to_owned())),
        };
        url.set_scheme(scheme).map_err(|()| AddressError::Scheme(scheme.to_owned()))?;
        url.set_query(None);
        url.set_fragment(None);
        url.path_segments_mut()
            .map_err(|()| AddressError::Invalid("it has no host".to_owned()))?
            .pop_if_empty()
            .push("rtc");
        Ok(Self(url))
    }

    /// A first join. Nothing is subscribed by itself: unselected audio and video must cost nothing.
    pub(super) fn join(&self) -> Url {
        let mut url = self.0.clone();
        url.query_pairs_mut().extend_pairs([
            ("auto_subscribe", "0"),
            ("auto_subscribe_data_track", "0"),
            ("adaptive_stream", "0"),
            ("sdk", "rust"),
            ("version", env!("CARGO_PKG_VERSION")),
            ("protocol", PROTOCOL),
        ]);
        url
    }

    /// Where the server API is; a call's service and name follow.
    pub(super) fn api(&self) -> Url {
        let mut url = self.0.clone();
        let scheme = if url.scheme() == "wss" { "https" } else { "http" };
        url.set_scheme(scheme).expect("both are schemes with a host");
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop().extend(["twirp", ""]);
        }
        url
    }

    /// A resume of the membership `sid` (`PA_…`) after its socket was lost.
    pub(super) fn resume(&self, sid: &str, reason: ResumeReason) -> Url {
        let mut url = self.join();
        let reason = (reason as u8).to_string();
        url.query_pairs_mut().extend_pairs([("reconnect", "1"), ("sid", sid), ("reconnect_reason", &reason)]);
        url
    }
}

/// What the server is told about a resume (`ReconnectReason` of the protocol).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ResumeReason {
    /// The signalling socket was lost.
    SignalDisconnected = 1,
    /// No media arrives on the peer connection.
    SubscriberFailed = 3,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base(text: &str) -> String {
        let mut url = Address::parse(text).unwrap().join();
        url.set_query(None);
        url.into()
    }

    #[test]
    fn all_four_schemes_lead_to_the_socket() {
        assert_eq!(base("ws://127.0.0.1:7880"), "ws://127.0.0.1:7880/rtc");
        assert_eq!(base("http://127.0.0.1:7880/"), "ws://127.0.0.1:7880/rtc");
        assert_eq!(base("wss://example.com"), "wss://example.com/rtc");
        assert_eq!(base("https://example.com/livekit/?x=1#y"), "wss://example.com/livekit/rtc");
    }

    #[test]
    fn other_urls_are_refused_with_what_to_write() {
        assert_eq!(Address::parse("ftp://example.com"), Err(AddressError::Scheme("ftp".to_owned())));
        assert!(matches!(Address::parse("example.com"), Err(AddressError::Invalid(_))));
        assert!(matches!(Address::parse("127.0.0.1:7880"), Err(AddressError::Invalid(_))));
        assert!(Address::parse("").unwrap_err().to_string().contains("wss://host"));
    }

    #[test]
    fn the_server_api_is_beside_the_socket() {
        let api = |text: &str| String::from(Address::parse(text).unwrap().api());
        assert_eq!(api("ws://127.0.0.1:7880"), "http://127.0.0.1:7880/twirp/");
        assert_eq!(api("https://h/lk/"), "https://h/lk/twirp/");
    }

    #[test]
    fn nothing_is_subscribed_by_itself() {
        let url = Address::parse("ws://h").unwrap().join();
        assert!(url.query().is_some_and(|query| query.contains("auto_subscribe=0") && query.contains("protocol=16")));
    }

    #[test]
    fn a_resume_names_the_membership() {
        let url = Address::parse("ws://h").unwrap().resume("PA_1&x", ResumeReason::SubscriberFailed);
        let query = url.query().unwrap();
        assert!(query.ends_with("reconnect=1&sid=PA_1%26x&reconnect_reason=3"), "{query}");
    }
}
