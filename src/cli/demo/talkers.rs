//! Three people who talk: anna all the time, ben comes late, cora leaves early. Each voice carries a faint tone by which it is
//! found again in the mix.

use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use secrecy::SecretString;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use crate::channel::livekit::Talker;
use crate::clock;
use crate::units::WallMs;

/// The length of a talker's packet.
const PACKET: Duration = Duration::from_millis(20);

/// Ticks of a talker's packet.
const PACKET_TICKS: u32 = 960;

/// A voice: its uid, name, tone in hertz and packets.
#[derive(Clone, Copy, Debug)]
pub(super) struct Voice {
    pub(super) uid: &'static str,
    pub(super) name: &'static str,
    pub(super) hertz: f64,
    packets: &'static [u8],
}

/// The voices of `fixtures/talkers`.
pub(super) const VOICES: [Voice; 3] = [
    Voice { uid: "101", name: "anna", hertz: 10_000.0, packets: include_bytes!("../../../fixtures/talkers/anna.opk") },
    Voice { uid: "102", name: "ben", hertz: 12_000.0, packets: include_bytes!("../../../fixtures/talkers/ben.opk") },
    Voice { uid: "103", name: "cora", hertz: 14_000.0, packets: include_bytes!("../../../fixtures/talkers/cora.opk") },
];

/// When somebody talked, by the wall clock.
#[derive(Clone, Copy, Debug)]
pub(super) struct Talked {
    pub(super) voice: Voice,
    pub(super) from: WallMs,
    pub(super) to: WallMs,
}

impl Voice {
    /// Joins with `token` at `begin`, talks until `end` and leaves.
    pub(super) async fn talk(
        self,
        url: String,
        token: SecretString,
        begin: Instant,
        end: Instant,
    ) -> anyhow::Result<Talked> {
        let packets = packets(self.packets);
        sleep_until(begin).await;
        let talker = Talker::join(&url, &token).await.with_context(|| format!("{} can't join", self.name))?;
        let from = clock::now();
        let mut ticks = interval(PACKET);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let (mut sequence, mut timestamp) = (rand::random::<u16>(), rand::random::<u32>());
        for (n, packet) in packets.iter().cycle().enumerate() {
            if ticks.tick().await >= end {
                break;
            }
            talker
                .send(packet.clone(), sequence, timestamp, n == 0)
                .await
                .with_context(|| format!("{} can't send", self.name))?;
            sequence = sequence.wrapping_add(1);
            timestamp = timestamp.wrapping_add(PACKET_TICKS);
        }
        let to = clock::now();
        talker.leave().await;
        Ok(Talked { voice: self, from, to })
    }
}

/// Splits a file of `fixtures/talkers`: a 16-bit little-endian length and a packet, again and again.
fn packets(mut file: &'static [u8]) -> Vec<Bytes> {
    let mut packets = Vec::new();
    while let Some((length, rest)) = file.split_first_chunk::<2>() {
        let (packet, rest) = rest.split_at(usize::from(u16::from_le_bytes(*length)).min(rest.len()));
        packets.push(Bytes::from_static(packet));
        file = rest;
    }
    packets
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_voice_has_twenty_seconds_of_packets() {
        for voice in VOICES {
            let packets = packets(voice.packets);
            assert_eq!(packets.len(), 1000, "{}", voice.name);
            assert!(packets.iter().all(|packet| !packet.is_empty()));
        }
    }
}
