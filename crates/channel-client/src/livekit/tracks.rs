//! The media of the publications: one forwarder a track reads packets and passes them to the session's queue.
//!
//! A publication that is subscribed anew comes on the same [`TrackRemote`] without a word (webrtc 0.21.1 raises a track id
//! once a connection), so remote tracks are kept for the life of their connection.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use rtc::rtcp::sender_report::SenderReport;
use tokio_util::task::AbortOnDropHandle;
use webrtc::media_stream::track_remote::{TrackRemote, TrackRemoteEvent};

use super::members::Members;
use super::outbox::{Era, Outbox};
use crate::peer;
use recorder_core::recording::Packet;
use recorder_core::units::{Ssrc, TrackId};

/// The header extension id of the audio level, once negotiated.
#[derive(Debug, Default)]
pub(super) struct Level(AtomicU8);

impl Level {
    pub(super) fn negotiated(&self, id: u8) {
        self.0.store(id, Ordering::Relaxed);
    }

    fn of(&self, packet: &rtc::rtp::Packet) -> Option<u8> {
        match self.0.load(Ordering::Relaxed) {
            0 => None,
            id => peer::audio_level(packet, id),
        }
    }
}

/// The remote tracks of one peer connection, by publication (`TR_…`), and their forwarders.
#[derive(Default)]
pub(super) struct Tracks {
    remote: HashMap<String, Arc<dyn TrackRemote>>,
    forwarders: HashMap<TrackId, AbortOnDropHandle<()>>,
}

impl Tracks {
    /// Media of the publication `sid` arrives.
    pub(super) fn insert(&mut self, sid: String, track: Arc<dyn TrackRemote>) {
        self.remote.insert(sid, track);
    }

    /// Starts a forwarder for each announced track whose media arrives, and stops those of ended tracks. To be called when
    /// the members' updates have been sent.
    pub(super) fn bind(&mut self, members: &Members, level: &Arc<Level>, outbox: &Arc<Outbox>) {
        let mut running = std::mem::take(&mut self.forwarders);
        for (sid, remote) in &self.remote {
            let Some(id) = members.track(sid) else { continue };
            let forwarder = running.remove(&id).unwrap_or_else(|| {
                let sink = Sink { track: id, era: outbox.era(), level: Arc::clone(level), outbox: Arc::clone(outbox) };
                let forward = forward(Arc::clone(remote), sink);
                AbortOnDropHandle::new(tokio::spawn(forward))
            });
            self.forwarders.insert(id, forwarder);
        }
    }
}

/// Where a forwarder brings the packets of its track.
struct Sink {
    track: TrackId,
    era: Era,
    level: Arc<Level>,
    outbox: Arc<Outbox>,
}

async fn forward(remote: Arc<dyn TrackRemote>, sink: Sink) {
    let Sink { track, era, level, outbox } = sink;
    let mut ssrc = None;
    while let Some(event) = remote.poll().await {
        match event {
            TrackRemoteEvent::OnRtpPacket(packet) => {
                ssrc = Some(packet.header.ssrc);
                let level = level.of(&packet);
                if !outbox.packet(era, convert(track, packet, level)) {
                    return;
                }
            }
            TrackRemoteEvent::OnRtcpPacket(reports) => {
                for report in reports.iter().filter_map(|report| report.as_any().downcast_ref::<SenderReport>()) {
                    if ssrc == Some(report.ssrc) {
                        outbox.sender_report(era, track, report.ntp_time, report.rtp_time);
                    }
                }
            }
            _ => {}
        }
    }
}

/// The parts that a recorder needs. Padding has been removed when the packet was parsed.
fn convert(track: TrackId, packet: rtc::rtp::Packet, level: Option<u8>) -> Packet {
    Packet {
        track,
        ssrc: Ssrc(packet.header.ssrc),
        sequence: packet.header.sequence_number,
        timestamp: packet.header.timestamp,
        marker: packet.header.marker,
        level,
        payload: packet.payload,
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use rtc::shared::marshal::Unmarshal;

    use super::*;

    /// Version 2, padding and extension bits, marker and payload type 111, sequence 7, time 960, source 5; one extension
    /// (id 1, level 30 with voice); then `payload`.
    fn wire(payload: &[u8]) -> Bytes {
        let mut wire = vec![0xb0, 0x80 | 111, 0, 7, 0, 0, 3, 0xc0, 0, 0, 0, 5, 0xbe, 0xde, 0, 1, 0x10, 0x80 | 30, 0, 0];
        wire.extend_from_slice(payload);
        wire.into()
    }

    #[test]
    fn padding_is_removed_and_the_level_is_read() {
        let packet = rtc::rtp::Packet::unmarshal(&mut wire(&[0xfc, 1, 2, 0, 0, 3])).unwrap();
        let level = Level::default();
        assert_eq!(level.of(&packet), None);
        level.negotiated(1);
        let level = level.of(&packet);
        let converted = convert(TrackId(9), packet, level);
        let payload = Bytes::from_static(&[0xfc, 1, 2]);
        let expected = Packet {
            track: TrackId(9),
            ssrc: Ssrc(5),
            sequence: 7,
            timestamp: 960,
            marker: true,
            level: Some(30),
            payload,
        };
        assert_eq!(converted, expected);
    }

    #[test]
    fn nothing_but_padding_is_an_empty_payload() {
        let packet = rtc::rtp::Packet::unmarshal(&mut wire(&[0, 0, 3])).unwrap();
        assert!(convert(TrackId(1), packet, None).payload.is_empty());
    }
}
