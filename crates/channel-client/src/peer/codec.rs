//! The codecs of sound that a channel carries, as SDP names them.

use rtc::peer_connection::configuration::media_engine::{MIME_TYPE_OPUS, MIME_TYPE_PCMA, MIME_TYPE_PCMU};
use rtc::rtp_transceiver::rtp_sender::{RTCPFeedback, RTCRtpCodec};

/// Opus with redundancy, as SDP and SDKs call it.
pub const MIME_TYPE_RED: &str = "audio/red";

/// The payload type that we offer for RED, as browsers do.
pub const RED_PAYLOAD_TYPE: u8 = 63;

/// What our descriptions say of Opus (RFC 7587 section 6.1).
pub const OPUS_FMTP: &str = "minptime=10;useinbandfec=1";

/// A codec of sound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Codec {
    /// Opus, with or without RED around it.
    #[default]
    Opus,
    /// G.711 mu-law.
    Pcmu,
    /// G.711 A-law.
    Pcma,
}

impl Codec {
    /// All of them; the first is wished for most.
    pub const ALL: [Self; 3] = [Self::Opus, Self::Pcmu, Self::Pcma];

    /// As SDKs call it.
    pub const fn mime_type(self) -> &'static str {
        match self {
            Self::Opus => MIME_TYPE_OPUS,
            Self::Pcmu => MIME_TYPE_PCMU,
            Self::Pcma => MIME_TYPE_PCMA,
        }
    }

    /// As SDP calls it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Opus => "opus",
            Self::Pcmu => "PCMU",
            Self::Pcma => "PCMA",
        }
    }

    /// The value of `a=rtpmap` behind the payload type.
    pub const fn rtpmap(self) -> &'static str {
        match self {
            // Two channels in name, whatever is inside (RFC 7587 section 7).
            Self::Opus => "opus/48000/2",
            Self::Pcmu => "PCMU/8000",
            Self::Pcma => "PCMA/8000",
        }
    }

    /// The payload type that we offer; an answer uses the offerer's. Those of G.711 are fixed (RFC 3551 section 6).
    pub const fn payload_type(self) -> u8 {
        match self {
            Self::Opus => 111,
            Self::Pcmu => 0,
            Self::Pcma => 8,
        }
    }

    /// As WebRTC offers it, with NACK feedback.
    pub fn rtp(self) -> RTCRtpCodec {
        let (clock_rate, channels, fmtp) = if self == Self::Opus { (48_000, 2, OPUS_FMTP) } else { (8_000, 0, "") };
        RTCRtpCodec {
            mime_type: self.mime_type().to_owned(),
            clock_rate,
            channels,
            sdp_fmtp_line: fmtp.to_owned(),
            rtcp_feedback: vec![RTCPFeedback { typ: "nack".to_owned(), parameter: String::new() }],
        }
    }
}
