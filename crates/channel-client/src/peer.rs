//! Peer connections as both sides of a channel need them: their codecs, lost packets asked for again, sender reports kept.
//!
//! The bot and the embedded channel server build on the same [`builder`]; addresses, runtime and handler are theirs to add.
//! Handlers must not hold their peer connection strongly: that cycle leaks it (docs/protocol/livekit.md section 8).

mod codec;
mod level;
mod runtime;
mod sender_reports;

use std::net::SocketAddr;
use std::time::Duration;

use rtc::ice::mdns::MulticastDnsMode;
use rtc::interceptor::{NackGeneratorBuilder, NackResponderBuilder, Slot};
use rtc::rtp_transceiver::rtp_sender::{
    RTCRtpCodec, RTCRtpCodecParameters, RTCRtpHeaderExtensionCapability, RtpCodecKind,
};
use webrtc::error::Result;
use webrtc::peer_connection::{
    MediaEngine, PeerConnectionBuilder, RTCConfigurationBuilder, RTCIceServer, Registry, SettingEngineBuilder,
    configure_rtcp_reports,
};

pub use codec::{Codec, MIME_TYPE_RED, OPUS_FMTP, RED_PAYLOAD_TYPE};
pub use level::{audio_level, audio_level_id};
pub use runtime::SocketRuntime;
pub use sender_reports::SenderReportTap;

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

/// As [`builder`], for who sends or receives G.711 too.
pub fn builder_with_g711(ice_servers: Vec<RTCIceServer>) -> Result<PeerConnectionBuilder<SocketAddr>> {
    Ok(builder(ice_servers)?.with_media_engine(engine_with_g711()?))
}

/// As [`builder`], for who sends and receives RED (RFC 2198) around Opus, and G.711.
pub fn builder_with_all_codecs(ice_servers: Vec<RTCIceServer>) -> Result<PeerConnectionBuilder<SocketAddr>> {
    let mut engine = engine_with_g711()?;
    let rtp_codec = RTCRtpCodec {
        mime_type: MIME_TYPE_RED.to_owned(),
        sdp_fmtp_line: format!("{0}/{0}", Codec::Opus.payload_type()),
        ..Codec::Opus.rtp()
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

/// Opus and nothing else: a sender of RED has to unpack it for us, and video is refused in the answer.
fn media_engine() -> Result<MediaEngine> {
    let mut engine = MediaEngine::default();
    engine.register_codec(parameters(Codec::Opus), RtpCodecKind::Audio)?;
    for uri in [MID_URI, AUDIO_LEVEL_URI] {
        let extension = RTCRtpHeaderExtensionCapability { uri: uri.to_owned() };
        engine.register_header_extension(extension, RtpCodecKind::Audio, None)?;
    }
    Ok(engine)
}

fn engine_with_g711() -> Result<MediaEngine> {
    let mut engine = media_engine()?;
    for codec in [Codec::Pcmu, Codec::Pcma] {
        engine.register_codec(parameters(codec), RtpCodecKind::Audio)?;
    }
    Ok(engine)
}

fn parameters(codec: Codec) -> RTCRtpCodecParameters {
    RTCRtpCodecParameters { rtp_codec: codec.rtp(), payload_type: codec.payload_type() }
}

fn interceptors() -> Registry {
    configure_rtcp_reports(Registry::new())
        .with(Slot::NackResponder, NackResponderBuilder::new().build())
        .with(Slot::NackGenerator, NackGeneratorBuilder::new().build())
        .with(SenderReportTap::SLOT, SenderReportTap::default())
}
