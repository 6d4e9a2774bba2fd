//! The bot, and everything it was told.

use std::time::Duration;

use cloud_recorder::channel::livekit::{IdleRoom, LiveKitChannel, Settings, Talker};
use cloud_recorder::channel::{Channel, ChannelHandle, ChannelUpdate, EndReason, JoinRequest};
use cloud_recorder::recording::{Input, Selection};
use cloud_recorder::units::{Sid, TrackId, Uid};
use serde_json::json;
use tokio_util::task::AbortOnDropHandle;

use crate::test_server::{KEY, room, secret, token};

const TIMEOUT: Duration = Duration::from_secs(30);

pub(crate) struct AudioProbe {
    pub(crate) handle: ChannelHandle,
    /// Everything but packets, in order.
    pub(crate) told: Vec<Input>,
}

impl AudioProbe {
    pub(crate) async fn join(address: &str, selection: Selection) -> Self {
        let url = format!("http://{address}");
        let channel = LiveKitChannel::new(Settings {
            url,
            api_key: KEY.to_owned(),
            api_secret: secret(),
            idle_room: IdleRoom::Hold,
        })
        .unwrap();
        let sid = Sid::from_random(rand::random());
        let request = JoinRequest { cname: room(), sid, selection, patience: TIMEOUT, idle: TIMEOUT };
        Self { handle: channel.join(request).await.unwrap(), told: Vec::new() }
    }

    /// The first input that is `wanted`.
    pub(crate) async fn until(&mut self, wanted: impl Fn(&Input) -> bool) -> Input {
        let search = async {
            loop {
                let input = match self.handle.updates.recv().await.expect("the news ended") {
                    (_, ChannelUpdate::Input(input)) => input,
                    // As the session tells it, without its date.
                    (_, ChannelUpdate::Down { .. }) => Input::ChannelDown,
                    _ => continue,
                };
                if !matches!(input, Input::Packet(_) | Input::SenderReport { .. }) {
                    self.told.push(input.clone());
                }
                if wanted(&input) {
                    return input;
                }
            }
        };
        tokio::time::timeout(TIMEOUT, search).await.expect("it was never told")
    }

    pub(crate) async fn track_of(&mut self, of: &Uid) -> TrackId {
        match self.until(|input| matches!(input, Input::TrackAdded { uid, .. } if uid == of)).await {
            Input::TrackAdded { track, .. } => track,
            _ => unreachable!("only that was wanted"),
        }
    }

    /// The sequence numbers of the next packets of `track`.
    pub(crate) async fn hear(&mut self, track: TrackId, packets: usize) -> Vec<u16> {
        let mut heard = Vec::new();
        while heard.len() < packets {
            let of_track = |input: &Input| matches!(input, Input::Packet(packet) if packet.track == track);
            if let Input::Packet(packet) = self.until(of_track).await {
                heard.push(packet.sequence);
            }
        }
        heard
    }

    pub(crate) async fn end(&mut self) -> EndReason {
        tokio::time::timeout(TIMEOUT, self.end_at_last()).await.expect("it never ended")
    }

    /// The end, however long it takes.
    pub(crate) async fn end_at_last(&mut self) -> EndReason {
        loop {
            if let (_, ChannelUpdate::Ended(reason)) =
                self.handle.updates.recv().await.expect("the news ended without a word")
            {
                return reason;
            }
        }
    }
}

/// Somebody who sends a numbered packet every 20 ms until dropped, which is a client that vanishes.
pub(crate) struct Speech(#[expect(dead_code, reason = "held so that the speech goes on")] AbortOnDropHandle<()>);

impl Speech {
    pub(crate) async fn begin(address: &str, identity: &str) -> Self {
        let token = token(identity, &json!({})).into();
        let talker = Talker::join(&format!("ws://{address}"), &token).await.unwrap();
        Self(AbortOnDropHandle::new(tokio::spawn(async move {
            let mut ticks = tokio::time::interval(Duration::from_millis(20));
            for number in 0_u32.. {
                ticks.tick().await;
                let payload = number.to_be_bytes().to_vec().into();
                talker.send(payload, number as u16, number.wrapping_mul(960), false).await.unwrap();
            }
        })))
    }
}
