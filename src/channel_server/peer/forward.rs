//! From one publisher to all who hear it. Sequence numbers and timestamps stay the sender's, so that a listener sees real loss
//! and real gaps; SSRC and payload type become the listener's, extensions are dropped. A packet with redundancy goes to who takes RED as
//! it is, and to everybody else as the Opus packet that it would have been without, behind those before it that were lost.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use futures_util::FutureExt;
use rtc::rtp::Packet;
use tokio_util::sync::CancellationToken;
use webrtc::media_stream::track_local::TrackLocal;
use webrtc::media_stream::track_local::static_rtp::TrackLocalStaticRTP;

use super::red::{self, History, Red};
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
    /// What was sent on as plain Opus, from the first packet on.
    history: Mutex<Option<History>>,
}

/// One listener's end of a track.
pub(super) struct Listener {
    pub(super) track: Arc<TrackLocalStaticRTP>,
    ssrc: u32,
    opus: AtomicU8,
    /// [`NO_RED`] where the listener takes none.
    red: AtomicU8,
}

/// No payload type: they have seven bits.
const NO_RED: u8 = 0xff;

impl Publication {
    pub(in crate::channel_server) fn new(sid: TrackSid, owner: MemberId, label: Label) -> Self {
        Self {
            sid,
            owner,
            label,
            over: CancellationToken::new(),
            listeners: RwLock::new(Arc::new([])),
            history: Mutex::default(),
        }
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

    /// Sends a packet to everybody who hears the track; `red` is the publisher's payload type of RED. Never waits: a listener whose
    /// connection is behind loses it.
    pub(super) fn forward(&self, packet: &Packet, red: Option<u8>) {
        let redundant = red == Some(packet.header.payload_type);
        let unpacked = if redundant { red::parse(&packet.payload) } else { None };
        if redundant && unpacked.is_none() {
            tracing::trace!(track = %self.sid, "not a packet of RED; passed over");
            return;
        }
        let (recovered, new) = self.recover(packet, unpacked.as_ref());
        let listeners = Arc::clone(&self.listeners.read().expect("nothing panics while it holds the listeners"));
        for listener in listeners.iter() {
            let plain = !listener.takes(unpacked.as_ref());
            if plain {
                recovered.iter().for_each(|earlier| listener.write(earlier, None));
            }
            if new || !plain {
                listener.write(packet, unpacked.as_ref());
            }
        }
    }

    /// The packets before this one that it brings, and whether it is new itself, for who takes no RED.
    fn recover(&self, packet: &Packet, unpacked: Option<&Red>) -> (Vec<Packet>, bool) {
        let mut history = self.history.lock().unwrap_or_else(PoisonError::into_inner);
        let history = history.get_or_insert_with(|| History::since(packet));
        let recovered = unpacked.map(|red| history.recover(packet, red)).unwrap_or_default();
        (recovered, history.send(packet))
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
        Arc::new(Self { track, ssrc, opus: AtomicU8::new(OPUS_PAYLOAD_TYPE), red: AtomicU8::new(NO_RED) })
    }

    /// What the listener's description settled on.
    pub(super) fn set_payload_types(&self, opus: Option<u8>, red: Option<u8>) {
        self.opus.store(opus.unwrap_or(OPUS_PAYLOAD_TYPE), Ordering::Relaxed);
        self.red.store(red.unwrap_or(NO_RED), Ordering::Relaxed);
    }

    fn write(&self, packet: &Packet, unpacked: Option<&Red>) {
        let packet = self.own(packet, unpacked);
        // Ready at once unless the connection's queue is full.
        if let Some(Err(error)) = self.track.write_rtp(packet).now_or_never() {
            tracing::trace!(%error, "packet not forwarded");
        }
    }
}

impl Listener {
    /// Whether it gets the packet with its redundancy. The blocks name payload types, which have to be the listener's.
    fn takes(&self, unpacked: Option<&Red>) -> bool {
        let (opus, red) = (self.opus.load(Ordering::Relaxed), self.red.load(Ordering::Relaxed));
        red != NO_RED && unpacked.is_some_and(|unpacked| unpacked.payload_type == Some(opus))
    }

    /// The packet as the listener gets it.
    fn own(&self, packet: &Packet, unpacked: Option<&Red>) -> Packet {
        let (opus, red) = (self.opus.load(Ordering::Relaxed), self.red.load(Ordering::Relaxed));
        match unpacked {
            Some(_) if self.takes(unpacked) => readdressed(packet, self.ssrc, red),
            Some(Red { primary, .. }) => Packet { payload: primary.clone(), ..readdressed(packet, self.ssrc, opus) },
            None => readdressed(packet, self.ssrc, opus),
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
    use rtc::media_stream::MediaStreamTrack;
    use rtc::rtp_transceiver::rtp_sender::RtpCodecKind;
    use rtc::shared::marshal::Marshal;

    use super::*;

    #[test]
    fn redundancy_goes_to_who_takes_it() {
        let track = MediaStreamTrack::new(String::new(), String::new(), String::new(), RtpCodecKind::Audio, Vec::new());
        let listener = Listener::new(Arc::new(TrackLocalStaticRTP::new(track)), 7);
        let payload = red::tests::packed(111, b"before", b"now");
        let mut packet = Packet { payload: payload.clone(), ..Packet::default() };
        packet.header.sequence_number = 9;
        let got = |unpacked: Option<&Red>| {
            let own = listener.own(&packet, unpacked);
            assert_eq!((own.header.ssrc, own.header.sequence_number), (7, 9));
            (own.header.payload_type, own.payload)
        };
        let unpacked = red::parse(&payload);
        let plain = |payload_type| (payload_type, Bytes::from_static(b"now"));
        assert_eq!(got(unpacked.as_ref()), plain(111), "takes none");
        listener.set_payload_types(Some(111), Some(63));
        assert_eq!(got(unpacked.as_ref()), (63, payload.clone()));
        assert_eq!(got(None), (111, payload.clone()), "is no RED");
        listener.set_payload_types(Some(96), Some(63));
        assert_eq!(got(unpacked.as_ref()), plain(96), "its blocks would name another codec");
    }

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
