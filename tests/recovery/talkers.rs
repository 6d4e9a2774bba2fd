//! Talkers over real WebRTC, in the test's process: they talk on while a worker is dead.

use std::time::Duration;

use cloud_recorder::channel::livekit::Talker;
use cloud_recorder::clock;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

use crate::sound_check::{FRAME_MS, VOICES, Voice};
use crate::test_env::TestEnv;

/// Ticks of a packet.
const FRAME_TICKS: u32 = 960;

/// Who talks in a room until this is dropped.
pub(crate) struct Talkers(Vec<JoinHandle<()>>);

impl Talkers {
    /// The three voices in each of these rooms; they talk already.
    pub(crate) async fn join(test_env: &TestEnv, rooms: &[String]) -> Self {
        // Boxed: a join is too large for the stack of a test's thread.
        let joins = rooms.iter().flat_map(|room| VOICES.map(|voice| Box::pin(enter(test_env, room, voice))));
        let talkers = futures_util::future::join_all(joins).await;
        Self(talkers.into_iter().map(|(talker, voice)| tokio::spawn(talk(talker, voice))).collect())
    }

    /// Nobody stopped talking.
    pub(crate) fn assert_talking(&self) {
        assert!(self.0.iter().all(|talker| !talker.is_finished()), "a talker lost its connection: the test is void");
    }
}

impl Drop for Talkers {
    fn drop(&mut self) {
        self.0.iter().for_each(JoinHandle::abort);
    }
}

async fn enter(test_env: &TestEnv, room: &str, voice: Voice) -> (Talker, Voice) {
    let token = test_env.token(room, voice.uid());
    (Talker::join(&test_env.url(), &token).await.unwrap(), voice)
}

/// Sends each frame when its last sample is there, as a sound card would let it; catches up after a stall.
async fn talk(talker: Talker, voice: Voice) {
    let (now, wall) = (Instant::now(), clock::now().0);
    let mut sequence = voice as u16 * 1_000;
    let mut silent = true;
    for frame in wall / FRAME_MS.. {
        let due = (frame + 1) * FRAME_MS;
        sleep_until(now + Duration::from_millis(due.saturating_sub(wall))).await;
        let Some(packet) = voice.packet(frame) else {
            silent = true;
            continue;
        };
        let timestamp = (frame as u32).wrapping_mul(FRAME_TICKS);
        if talker.send(packet, sequence, timestamp, silent).await.is_err() {
            return;
        }
        sequence = sequence.wrapping_add(1);
        silent = false;
    }
}
