//! Peer connections as both sides of a channel need them: Opus (a recorder takes G.711 too), lost packets asked for again, sender reports kept.
//!
//! The bot and the embedded channel server build on the same [`builder`]; addresses, runtime and handler are theirs to add.
//! Handlers must not hold their peer connection strongly: that cycle leaks it (docs/protocol/livekit.md section 8).

mod level;
mod runtime;
mod sender_reports;

use std::net::SocketAddr;
use std::time::Duration;

use rtc::ice::mdns::MulticastDnsMode;
use rtc::interceptor::{NackGeneratorBuilder, NackResponderBuilder, Slot};
use rtc::peer_connection::configuration::media_engine::{MIME_TYPE_OPUS, MIME_TYPE_PCMA, MIME_TYPE_PCMU};
use rtc::rtp_transceiver::rtp_sender::{
    RTCPFeedback, RTCRtpCodec, RTCRtpCodecParameters, RTCRtpHeaderExtensionCapability, RtpCodecKind,
};
use webrtc::error::Result;
use webrtc::peer_connection::{
    MediaEngine, PeerConnectionBuilder, RTCConfigurationBuilder, RTCIceServer, Registry, SettingEngineBuilder,
    configure_rtcp_reports,
};

pub use level::{audio_level, audio_level_id};
pub use runtime::SocketRuntime;
pub use sender_reports::SenderReportTap;

/// The payload type that we offer for Opus. An answer uses the offerer's.
pub const OPUS_PAYLOAD_TYPE: u8 = 111;

/// The payload type that we offer for RED, as browsers do.
const RED_PAYLOAD_TYPE: u8 = 63;

/// Opus with redundancy, as SDP and SDKs call it.
pub const MIME_TYPE_RED: &str = "audio/red";

/// URI of the audio level header extension (RFC 6464).
pub const AUDIO_LEVEL_URI: &str = "urn:ietf:params:rtp-hdrext:ssrc-audio-level";

/// URI of the media id header extension (RFC 9143).
const MID_URI: &str = "urn:ietf:params:rtp-hdrext:sdes:mid";

/// Silence on the network after which a peer connection counts as disconnected.
pub const ICE_DISCONNECTED_AFTER: Duration = Duration::from_secs(4);

/// Further silence after which it has failed and only an ICE restart or a new connection helps.
pub const ICE_FAILED_AFTER: Duration = Duration::from_secs(6);

/// How often a peer connection shows that it lives while nothing else is sent.
pub const ICE_KEEPALIVE: Duration = Duration::from_secs(1);

/// How often the ways to the other side are tried until one is found; the time to the first audio hangs on it.
pub const ICE_CHECK_INTERVAL: Duration = Duration::from_millis(50);

/// How often each of these ways is tried: for five seconds.
pub const ICE_CHECKS: u16 = 100;

/// As [`builder`], for who receives G.711 too.
pub fn builder_with_g711(ice_servers: Vec<RTCIceServer>) -> Result<PeerConnectionBuilder<SocketAddr>> {
    let mut engine = media_engine()?;
    // Their payload types are fixed (RFC 3551 section 6).
    for (mime_type, payload_type) in [(MIME_TYPE_PCMU, 0), (MIME_TYPE_PCMA, 8)] {
        let rtp_codec = RTCRtpCodec {
            mime_type: mime_type.to_owned(),
            clock_rate: 8_000,
            channels: 0,
            sdp_fmtp_line: String::new(),
            ..opus()
        };
        engine.register_codec(RTCRtpCodecParameters { rtp_codec, payload_type }, RtpCodecKind::Audio)?;
    }
    Ok(builder(ice_servers)?.with_media_engine(engine))
}

/// As [`builder`], for who sends and receives RED (RFC 2198) around Opus too.
pub fn builder_with_red(ice_servers: Vec<RTCIceServer>) -> Result<PeerConnectionBuilder<SocketAddr>> {
    let mut engine = media_engine()?;
    let rtp_codec = RTCRtpCodec {
        mime_type: MIME_TYPE_RED.to_owned(),
        sdp_fmtp_line: format!("{OPUS_PAYLOAD_TYPE}/{OPUS_PAYLOAD_TYPE}"),
        ..opus()
    };
    let codec = RTCRtpCodecParameters { rtp_codec, payload_type: RED_PAYLOAD_TYPE };
    engine.register_codec(codec, RtpCodecKind::Audio)?;
    Ok(builder(ice_servers)?.with_media_engine(engine))
}

/// A builder with everything but handler, addresses and runtime.
///
/// `with_setting_engine` replaces the settings: start from [`settings`] then.
pub fn builder(ice_servers: Vec<RTCIceServer>) -> Result<PeerConnectionBuilder<SocketAddr>> {
    Ok(PeerConnectionBuilder::new()
        .with_configuration(RTCConfigurationBuilder::new().with_ice_servers(ice_servers).build())
        .with_media_engine(media_engine()?)
        .with_interceptor_registry(interceptors())
        .with_setting_engine(settings().build()))
}

/// No mDNS (it would open a socket a peer), ICE time-outs short enough to notice a peer that is gone, and no second's wait for a
/// better way than one that works: a client's check may overtake the message that names its candidate.
pub fn settings() -> SettingEngineBuilder {
    SettingEngineBuilder::new()
        .with_multicast_dns_mode(MulticastDnsMode::Disabled)
        .with_ice_timeouts(Some(ICE_DISCONNECTED_AFTER), Some(ICE_FAILED_AFTER), Some(ICE_KEEPALIVE))
        .with_ice_connection_attempts(Some(ICE_CHECK_INTERVAL), Some(ICE_CHECKS))
        .with_prflx_acceptance_min_wait(Some(Duration::ZERO))
}

/// Opus as WebRTC offers it: 48 kHz, two channels in name whatever is inside (RFC 7587 section 7), NACK feedback.
pub fn opus() -> RTCRtpCodec {
    RTCRtpCodec {
        mime_type: MIME_TYPE_OPUS.to_owned(),
        clock_rate: 48_000,
        channels: 2,
        sdp_fmtp_line: "minptime=10;useinbandfec=1".to_owned(),
        rtcp_feedback: vec![RTCPFeedback { typ: "nack".to_owned(), parameter: String::new() }],
    }
}

/// Opus and nothing else: a sender of RED has to unpack it for us, and video is refused in the answer.
fn media_engine() -> Result<MediaEngine> {
    let mut engine = MediaEngine::default();
    let codec = RTCRtpCodecParameters { rtp_codec: opus(), payload_type: OPUS_PAYLOAD_TYPE };
    engine.register_codec(codec, RtpCodecKind::Audio)?;
    for uri in [MID_URI, AUDIO_LEVEL_URI] {
        let extension = RTCRtpHeaderExtensionCapability { uri: uri.to_owned() };
        engine.register_header_extension(extension, RtpCodecKind::Audio, None)?;
    }
    Ok(engine)
}

fn interceptors() -> Registry {
    configure_rtcp_reports(Registry::new())
        .with(Slot::NackResponder, NackResponderBuilder::new().build())
        .with(Slot::NackGenerator, NackGeneratorBuilder::new().build())
        .with(SenderReportTap::SLOT, SenderReportTap::default())
}
