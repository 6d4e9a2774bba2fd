//! From one publisher to all who hear it. Sequence numbers and timestamps stay the sender's, so that a listener sees real loss
//! and real gaps; SSRC and payload type become the listener's, extensions are dropped.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, RwLock};

use futures_util::FutureExt;
use rtc::rtp::Packet;
use tokio_util::sync::CancellationToken;
use webrtc::media_stream::track_local::TrackLocal;
use webrtc::media_stream::track_local::static_rtp::TrackLocalStaticRTP;

use crate::channel::peer::OPUS_PAYLOAD_TYPE;
use crate::channel_server::ids::{MemberId, TrackSid};
use crate::channel_server::room::Label;

/// A live track.
#[derive(Debug)]
pub(in crate::channel_server) struct Publication {
    pub(in crate::channel_server) sid: TrackSid,
    pub(in crate::channel_server) owner: MemberId,
    pub(in crate::channel_server) label: Label,
    /// Cancelled when the track is over.
    pub(in crate::channel_server) over: CancellationToken,
    listeners: RwLock<Arc<[Arc<Listener>]>>,
}

/// One listener's end of a track.
pub(super) struct Listener {
    pub(super) track: Arc<TrackLocalStaticRTP>,
    ssrc: u32,
    payload_type: AtomicU8,
}

impl Publication {
    pub(in crate::channel_server) fn new(sid: TrackSid, owner: MemberId, label: Label) -> Self {
        Self { sid, owner, label, over: CancellationToken::new(), listeners: RwLock::new(Arc::new([])) }
    }

    pub(super) fn add(&self, listener: &Arc<Listener>) {
        self.change(|listeners| {
            if !listeners.iter().any(|other| Arc::ptr_eq(other, listener)) {
                listeners.push(Arc::clone(listener));
            }
        });
    }

    pub(super) fn remove(&self, listener: &Arc<Listener>) {
        self.change(|listeners| listeners.retain(|other| !Arc::ptr_eq(other, listener)));
    }

    /// Sends a packet to everybody who hears the track. Never waits: a listener whose connection is behind loses it.
    pub(super) fn forward(&self, packet: &Packet) {
        let listeners = Arc::clone(&self.listeners.read().expect("nothing panics while it holds the listeners"));
        for listener in listeners.iter() {
            listener.write(packet);
        }
    }

    fn change(&self, change: impl FnOnce(&mut Vec<Arc<Listener>>)) {
        let mut current = self.listeners.write().expect("nothing panics while it holds the listeners");
        let mut listeners = current.to_vec();
        change(&mut listeners);
        *current = listeners.into();
    }
}

impl std::fmt::Debug for Listener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Listener").field("ssrc", &self.ssrc).finish_non_exhaustive()
    }
}

impl Listener {
    pub(super) fn new(track: Arc<TrackLocalStaticRTP>, ssrc: u32) -> Arc<Self> {
        Arc::new(Self { track, ssrc, payload_type: AtomicU8::new(OPUS_PAYLOAD_TYPE) })
    }

    pub(super) fn set_payload_type(&self, payload_type: u8) {
        self.payload_type.store(payload_type, Ordering::Relaxed);
    }

    fn write(&self, packet: &Packet) {
        let packet = readdressed(packet, self.ssrc, self.payload_type.load(Ordering::Relaxed));
        // Ready at once unless the connection's queue is full.
        if let Some(Err(error)) = self.track.write_rtp(packet).now_or_never() {
            tracing::trace!(%error, "packet not forwarded");
        }
    }
}

fn readdressed(packet: &Packet, ssrc: u32, payload_type: u8) -> Packet {
    let mut packet = packet.clone();
    let header = &mut packet.header;
    (header.ssrc, header.payload_type) = (ssrc, payload_type);
    header.padding = false;
    header.csrc.clear();
    header.extension = false;
    header.extension_profile = 0;
    header.extensions.clear();
    header.extensions_padding = 0;
    packet
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use rtc::shared::marshal::Marshal;

    use super::*;

    #[test]
    fn only_the_address_of_a_packet_changes() {
        let mut packet = Packet { payload: Bytes::from_static(b"opus"), ..Packet::default() };
        (packet.header.sequence_number, packet.header.timestamp, packet.header.marker) = (65_535, 7, true);
        packet.header.csrc = vec![1, 2];
        packet.header.set_extension(3, Bytes::from_static(&[42])).unwrap();
        packet.header.padding = true;

        let out = readdressed(&packet, 99, 96);
        assert_eq!((out.header.ssrc, out.header.payload_type), (99, 96));
        assert_eq!((out.header.sequence_number, out.header.timestamp, out.header.marker), (65_535, 7, true));
        assert_eq!(out.payload, packet.payload);
        assert_eq!(out.marshal().unwrap().len(), 12 + 4, "nothing else is on the wire");
    }
}
