//! From one publisher to all who hear it. Sequence numbers and timestamps stay the sender's, so that a listener sees real loss
//! and real gaps; SSRC and payload type become the listener's, extensions are dropped. A packet with redundancy goes to who takes RED as
//! it is, and to everybody else as the Opus packet that it would have been without, behind those before it that were lost.
//!
//! A packet that is not of the track's codec (comfort noise, tones of a keypad) goes on without its payload: its number is not missing,
//! and nobody takes it for sound.

use std::sync::{Arc, Mutex, PoisonError, RwLock};

use bytes::Bytes;
use futures_util::FutureExt;
use rtc::rtp::Packet;
use tokio_util::sync::CancellationToken;
use webrtc::media_stream::track_local::TrackLocal;
use webrtc::media_stream::track_local::static_rtp::TrackLocalStaticRTP;

use super::red::{self, History, Red};
use crate::ids::{MemberId, TrackSid};
use crate::room::Label;
use crate::sdp::Coded;
use channel_client::peer::Codec;

/// A live track.
#[derive(Debug)]
pub(crate) struct Publication {
    pub(crate) sid: TrackSid,
    pub(crate) owner: MemberId,
    pub(crate) label: Label,
    /// Cancelled when the track is over.
    pub(crate) over: CancellationToken,
    /// As its publisher's description says; `None` where that is not known, and it is taken for Opus.
    coded: RwLock<Option<Coded>>,
    listeners: RwLock<Arc<[Arc<Listener>]>>,
    /// What was sent on as plain Opus, from the first packet on.
    history: Mutex<Option<History>>,
}

/// One listener's end of a track.
pub(super) struct Listener {
    pub(super) track: Arc<TrackLocalStaticRTP>,
    ssrc: u32,
    payload_types: RwLock<PayloadTypes>,
}

/// What a listener's description settled on; `None` is what it does not take.
#[derive(Clone, Copy, Debug)]
pub(super) struct PayloadTypes {
    pub(super) opus: Option<u8>,
    pub(super) red: Option<u8>,
    pub(super) pcmu: Option<u8>,
    pub(super) pcma: Option<u8>,
}

impl PayloadTypes {
    const fn of(self, codec: Codec) -> Option<u8> {
        match codec {
            Codec::Opus => self.opus,
            Codec::Pcmu => self.pcmu,
            Codec::Pcma => self.pcma,
        }
    }

    /// The payload type of RED for a packet that goes on as it is: its blocks name payload types, which have to be the listener's.
    fn red_around(self, unpacked: &Red) -> Option<u8> {
        self.red.filter(|_| unpacked.payload_type.is_some() && unpacked.payload_type == self.opus)
    }
}

impl Publication {
    pub(crate) fn new(sid: TrackSid, owner: MemberId, label: Label, coded: Option<Coded>) -> Self {
        Self {
            sid,
            owner,
            label,
            over: CancellationToken::new(),
            coded: RwLock::new(coded),
            listeners: RwLock::new(Arc::new([])),
            history: Mutex::default(),
        }
    }

    /// Its codec.
    pub(super) fn codec(&self) -> Codec {
        self.coded().map(|coded| coded.codec).unwrap_or_default()
    }

    /// A later description of its publisher says it otherwise.
    pub(crate) fn set_coded(&self, coded: Coded) {
        *self.coded.write().unwrap_or_else(PoisonError::into_inner) = Some(coded);
    }

    fn coded(&self) -> Option<Coded> {
        *self.coded.read().unwrap_or_else(PoisonError::into_inner)
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
        let coded = self.coded();
        let codec = coded.map(|coded| coded.codec).unwrap_or_default();
        let redundant = codec == Codec::Opus && red == Some(packet.header.payload_type);
        let emptied = coded.filter(|_| !redundant).and_then(|coded| emptied(packet, coded));
        let packet = emptied.as_ref().unwrap_or(packet);
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
                recovered.iter().for_each(|earlier| listener.write(codec, earlier, None));
            }
            if new || !plain {
                listener.write(codec, packet, unpacked.as_ref());
            }
        }
    }

    /// The packets before this one that it brings, and whether it is new itself, for who takes no RED.
    fn recover(&self, packet: &Packet, unpacked: Option<&Red>) -> (Vec<Packet>, bool) {
        let mut history = self.history.lock().unwrap_or_else(PoisonError::into_inner);
        let history = history.get_or_insert_with(|| History::since(packet));
        history.meet(packet);
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
        let opus = Some(Codec::Opus.payload_type());
        let payload_types = RwLock::new(PayloadTypes { opus, red: None, pcmu: None, pcma: None });
        Arc::new(Self { track, ssrc, payload_types })
    }

    /// What the listener's description settled on.
    pub(super) fn set_payload_types(&self, payload_types: PayloadTypes) {
        *self.payload_types.write().unwrap_or_else(PoisonError::into_inner) = payload_types;
    }

    fn payload_types(&self) -> PayloadTypes {
        *self.payload_types.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, codec: Codec, packet: &Packet, unpacked: Option<&Red>) {
        let Some(packet) = self.own(codec, packet, unpacked) else { return };
        // Ready at once unless the connection's queue is full.
        if let Some(Err(error)) = self.track.write_rtp(packet).now_or_never() {
            tracing::trace!(%error, "packet not forwarded");
        }
    }

    /// Whether it gets the packet with its redundancy.
    fn takes(&self, unpacked: Option<&Red>) -> bool {
        unpacked.is_some_and(|unpacked| self.payload_types().red_around(unpacked).is_some())
    }

    /// The packet as the listener gets it; `None` where it does not take the codec.
    fn own(&self, codec: Codec, packet: &Packet, unpacked: Option<&Red>) -> Option<Packet> {
        let payload_types = self.payload_types();
        let plain = payload_types.of(codec);
        match unpacked {
            Some(red) => match payload_types.red_around(red) {
                Some(number) => Some(readdressed(packet, self.ssrc, number)),
                None => Some(Packet { payload: red.primary.clone(), ..readdressed(packet, self.ssrc, plain?) }),
            },
            None => Some(readdressed(packet, self.ssrc, plain?)),
        }
    }
}

/// A packet that is not of the track's codec, without its payload.
fn emptied(packet: &Packet, coded: Coded) -> Option<Packet> {
    let foreign = coded.payload_type != packet.header.payload_type;
    foreign.then(|| Packet { payload: Bytes::new(), ..packet.clone() })
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
            let own = listener.own(Codec::Opus, &packet, unpacked).unwrap();
            assert_eq!((own.header.ssrc, own.header.sequence_number), (7, 9));
            (own.header.payload_type, own.payload)
        };
        let takes = |opus, red| {
            listener.set_payload_types(PayloadTypes { opus: Some(opus), red, pcmu: Some(0), pcma: None });
        };
        let unpacked = red::parse(&payload);
        let plain = |payload_type| (payload_type, Bytes::from_static(b"now"));
        assert_eq!(got(unpacked.as_ref()), plain(111), "takes none");
        takes(111, Some(63));
        assert_eq!(got(unpacked.as_ref()), (63, payload.clone()));
        assert_eq!(got(None), (111, payload.clone()), "is no RED");
        takes(96, Some(63));
        assert_eq!(got(unpacked.as_ref()), plain(96), "its blocks would name another codec");
        let telephone = |codec| listener.own(codec, &packet, None).map(|own| own.header.payload_type);
        assert_eq!(
            (telephone(Codec::Pcmu), telephone(Codec::Pcma)),
            (Some(0), None),
            "nothing of what it does not take"
        );
    }

    #[test]
    fn a_packet_of_another_codec_keeps_its_number_alone() {
        let coded = Coded { codec: Codec::Pcmu, payload_type: 0 };
        let mut packet = Packet { payload: Bytes::from_static(&[0xff; 160]), ..Packet::default() };
        packet.header.sequence_number = 9;
        assert_eq!(emptied(&packet, coded), None);
        (packet.header.payload_type, packet.payload) = (13, Bytes::from_static(&[0x40]));
        let emptied = emptied(&packet, coded).unwrap();
        assert_eq!((emptied.header, emptied.payload), (packet.header, Bytes::new()));
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
