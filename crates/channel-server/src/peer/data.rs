//! Data packets: taken from a member's channels, checked, and carried to those they are for.
//!
//! Who sent a packet is what the server knows, never what the packet says.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use livekit_protocol::{DataPacket, data_packet::Value};
use prost::Message;
use tokio::sync::{mpsc, watch};
use webrtc::data_channel::{DataChannel, DataChannelEvent};

use crate::ids::MemberId;
use crate::limits::{DATA_TIMEOUT, MAX_DATA_BYTES};
use recorder_core::units::Uid;

/// Which of a connection's channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DataKind {
    /// Ordered and complete.
    Reliable,
    /// Neither.
    Lossy,
}

impl DataKind {
    pub(super) const fn label(self) -> &'static str {
        match self {
            Self::Reliable => "_reliable",
            Self::Lossy => "_lossy",
        }
    }

    pub(super) fn of(label: &str) -> Option<Self> {
        [Self::Reliable, Self::Lossy].into_iter().find(|data_kind| data_kind.label() == label)
    }
}

/// A packet on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Carried {
    pub(crate) data_kind: DataKind,
    pub(crate) bytes: Bytes,
}

/// A packet as its sender may send it, and whom it is for (nobody named: everybody else). `None` when it is none, or of a
/// kind that only a server sends.
pub(crate) fn accept(bytes: &[u8], sender: &MemberId, uid: &Uid) -> Option<(Bytes, Vec<String>)> {
    if bytes.len() > MAX_DATA_BYTES {
        return None;
    }
    let mut packet = DataPacket::decode(bytes).ok()?;
    let mut to = std::mem::take(&mut packet.destination_identities);
    packet.participant_identity = uid.to_string();
    packet.participant_sid = sender.to_string();
    #[allow(deprecated, reason = "servers of old said so who speaks; a client that does is lying")]
    match packet.value.as_mut()? {
        Value::Speaker(_) => return None,
        Value::User(user) => stamp(user, sender, uid, &mut to),
        _ => {}
    }
    packet.destination_identities.clone_from(&to);
    Some((packet.encode_to_vec().into(), to))
}

/// Older clients name themselves and the receivers inside.
#[allow(deprecated, reason = "SDKs that are older than the packet's own fields still write and read these")]
fn stamp(user: &mut livekit_protocol::UserPacket, sender: &MemberId, uid: &Uid, to: &mut Vec<String>) {
    user.participant_sid = sender.to_string();
    user.participant_identity = uid.to_string();
    to.append(&mut user.destination_identities);
}

/// Hands each message of a client's channel to `take`, until the channel ends.
pub(super) async fn receive(channel: Arc<dyn DataChannel>, take: impl Fn(DataKind, &[u8])) {
    let Some(data_kind) = channel.label().await.ok().and_then(|label| DataKind::of(&label)) else {
        while channel.poll().await.is_some() {}
        return;
    };
    while let Some(event) = channel.poll().await {
        match event {
            DataChannelEvent::OnMessage(message) => take(data_kind, &message.data),
            DataChannelEvent::OnClose => break,
            _ => {}
        }
    }
}

/// Sends what is queued, as fast as the receiver takes it. A packet that it does not take in time is dropped.
pub(super) async fn send(
    mut queue: mpsc::Receiver<Carried>,
    reliable: Arc<dyn DataChannel>,
    lossy: Arc<dyn DataChannel>,
) {
    let (opened, mut open) = watch::channel(0_usize);
    let drain = |channel: Arc<dyn DataChannel>| {
        let opened = opened.clone();
        async move {
            while let Some(event) = channel.poll().await {
                if matches!(event, DataChannelEvent::OnOpen) {
                    opened.send_modify(|count| *count += 1);
                }
            }
        }
    };
    let write = async {
        if open.wait_for(|count| *count >= 2).await.is_err() {
            return;
        }
        while let Some(Carried { data_kind, bytes }) = queue.recv().await {
            let channel = if data_kind == DataKind::Reliable { &reliable } else { &lossy };
            let sent = tokio::time::timeout(DATA_TIMEOUT, channel.send(BytesMut::from(bytes.as_ref()))).await;
            if !matches!(sent, Ok(Ok(()))) {
                tracing::debug!(?data_kind, "a receiver doesn't take data; a packet is dropped");
            }
        }
    };
    tokio::select! {
        () = write => {}
        ((), ()) = async { tokio::join!(drain(Arc::clone(&reliable)), drain(Arc::clone(&lossy))) } => {}
    }
}

#[cfg(test)]
mod tests {
    use livekit_protocol::{ChatMessage, UserPacket};
    use proptest::prelude::*;

    use super::*;

    fn sender() -> (MemberId, Uid) {
        (MemberId::from("PA_sender"), Uid::new("alice").unwrap())
    }

    #[allow(deprecated)]
    fn user(destinations: &[&str]) -> UserPacket {
        UserPacket {
            participant_identity: "mallory".into(),
            payload: b"hi".to_vec(),
            destination_identities: destinations.iter().map(|text| (*text).to_owned()).collect(),
            ..UserPacket::default()
        }
    }

    #[test]
    fn the_sender_is_who_the_server_knows() {
        let (id, uid) = sender();
        let forged = DataPacket {
            participant_identity: "mallory".into(),
            destination_identities: vec!["bob".into()],
            value: Some(Value::User(user(&["carol"]))),
            ..DataPacket::default()
        };
        let (bytes, to) = accept(&forged.encode_to_vec(), &id, &uid).unwrap();
        assert_eq!(to, ["bob", "carol"]);
        let packet = DataPacket::decode(bytes).unwrap();
        assert_eq!((packet.participant_identity.as_str(), packet.participant_sid.as_str()), ("alice", "PA_sender"));
        let Some(Value::User(user)) = packet.value else { panic!("still a user packet") };
        #[allow(deprecated)]
        let inner = user.participant_identity;
        assert_eq!((inner.as_str(), user.payload.as_slice()), ("alice", b"hi".as_slice()));
    }

    #[test]
    #[allow(deprecated)]
    fn what_only_servers_say_is_refused() {
        let (id, uid) = sender();
        let speaker = DataPacket { value: Some(Value::Speaker(Default::default())), ..DataPacket::default() };
        assert_eq!(accept(&speaker.encode_to_vec(), &id, &uid), None);
        assert_eq!(accept(&DataPacket::default().encode_to_vec(), &id, &uid), None);
        let message = "x".repeat(MAX_DATA_BYTES);
        let large = Value::ChatMessage(ChatMessage { message, ..ChatMessage::default() });
        let large = DataPacket { value: Some(large), ..DataPacket::default() };
        assert_eq!(accept(&large.encode_to_vec(), &id, &uid), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let (id, uid) = sender();
            accept(&bytes, &id, &uid);
        }
    }
}
