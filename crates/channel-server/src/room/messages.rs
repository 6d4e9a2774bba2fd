//! The server's messages, built in one place.

use livekit_protocol::leave_request::Action;
use livekit_protocol::request_response::{Reason, Request};
use livekit_protocol::signal_response::Message;
use livekit_protocol::{
    Codec, DisconnectReason, LeaveRequest, ParticipantInfo, ParticipantUpdate, RequestResponse, ServerInfo,
    SpeakerInfo, SpeakersChanged,
};

use crate::ids::MemberId;
use channel_client::peer::{self, MIME_TYPE_RED};

/// The LiveKit release whose behaviour we follow; SDKs switch features by it, so our own version would mislead them.
const LIVEKIT_VERSION: &str = "1.13.5";

/// The signalling protocol that we speak.
const PROTOCOL: i32 = 17;

pub(crate) fn server_info() -> ServerInfo {
    ServerInfo {
        version: LIVEKIT_VERSION.to_owned(),
        protocol: PROTOCOL,
        node_id: "cloud-recorder".to_owned(),
        ..ServerInfo::default()
    }
}

/// What a member may send: the codecs of sound, and Opus with redundancy.
pub(super) fn codecs() -> Vec<Codec> {
    let mime_types = peer::Codec::ALL.map(peer::Codec::mime_type).into_iter().chain([MIME_TYPE_RED]);
    mime_types.map(|mime| Codec { mime: mime.to_owned(), fmtp_line: String::new() }).collect()
}

pub(crate) fn leave(reason: DisconnectReason, action: Action) -> Message {
    Message::Leave(LeaveRequest {
        can_reconnect: action != Action::Disconnect,
        reason: reason.into(),
        action: action.into(),
        ..LeaveRequest::default()
    })
}

pub(super) fn update(participants: Vec<ParticipantInfo>) -> Message {
    Message::Update(ParticipantUpdate { participants })
}

pub(super) fn speakers(levels: impl IntoIterator<Item = (MemberId, f32)>) -> Message {
    let speaker =
        |(member, level): (MemberId, f32)| SpeakerInfo { sid: member.to_string(), level, active: level > 0.0 };
    Message::SpeakersChanged(SpeakersChanged { speakers: levels.into_iter().map(speaker).collect() })
}

pub(super) fn response(request_id: u32, reason: Reason, message: &str, request: Option<Request>) -> Message {
    let message = message.to_owned();
    Message::RequestResponse(RequestResponse { request_id, reason: reason.into(), message, request })
}
