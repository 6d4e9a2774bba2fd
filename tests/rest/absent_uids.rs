//! What a recording puts in its bucket while nothing happens, in the scripted channel's time: an hour is told at once. The requests are
//! counted on their way.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cloud_recorder::codec::playlist::Playlist;
use cloud_recorder::recording::Input;
use cloud_recorder::units::{TrackId, Uid};
use serde_json::json;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::channel::ScriptedChannel;
use crate::media;
use crate::talker::Talker;
use crate::world::{Task, World, until};

const HOUR_MS: u64 = 3_600_000;
/// How a request for an object of the bucket begins. No object holds these words.
const PUT: &[u8] = b"PUT /calls/";
/// Nothing is on its way if nothing came for so long.
const QUIET: Duration = Duration::from_millis(400);

/// A way to the bucket on which PUTs are counted.
struct Counted {
    endpoint: String,
    puts: Arc<AtomicU64>,
}

impl Counted {
    async fn to(bucket: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (endpoint, puts) = (format!("http://{}", listener.local_addr().unwrap()), Arc::<AtomicU64>::default());
        let (bucket, counter) = (bucket.trim_start_matches("http://").trim_end_matches('/').to_owned(), puts.clone());
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(&bucket).await.unwrap();
                let ((from, mut to), (mut answers, requests)) = (client.into_split(), server.into_split());
                tokio::spawn(count(from, requests, counter.clone()));
                tokio::spawn(async move { tokio::io::copy(&mut answers, &mut to).await });
            }
        });
        Self { endpoint, puts }
    }

    fn puts(&self) -> u64 {
        self.puts.load(Ordering::Relaxed)
    }

    /// The PUTs when no more come; at least so many.
    async fn settled(&self, least: u64) -> u64 {
        until(async || {
            let before = self.puts();
            tokio::time::sleep(QUIET).await;
            (before >= least && self.puts() == before).then_some(before)
        })
        .await
    }
}

/// Passes on what comes, and counts where requests begin.
async fn count(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWriteExt + Unpin, puts: Arc<AtomicU64>) {
    let (mut bytes, mut seen) = (vec![0; 64 << 10], Vec::new());
    while let Ok(length @ 1..) = from.read(&mut bytes).await {
        seen.extend_from_slice(&bytes[..length]);
        let found = seen.windows(PUT.len()).filter(|window| *window == PUT).count();
        puts.fetch_add(found as u64, Ordering::Relaxed);
        seen.drain(..seen.len().saturating_sub(PUT.len() - 1));
        if to.write_all(&bytes[..length]).await.is_err() {
            return;
        }
    }
}

/// A recording whose PUTs are counted.
async fn record(world: &World, mode: &str, max_idle_secs: u64) -> (Counted, Task, ScriptedChannel) {
    let mut client = world.client();
    let counted = Counted::to(client["storageConfig"]["extensionParams"]["endpoint"].as_str().unwrap()).await;
    client["storageConfig"]["extensionParams"]["endpoint"] = json!(counted.endpoint);
    client["recordingConfig"]["maxIdleTime"] = json!(max_idle_secs);
    let task = world.record(mode, "room", "1", &client).await;
    let scripted_channel = world.channel.scripted_channel(&task.sid);
    (counted, task, scripted_channel)
}

/// Somebody without a track looks in, which brings the session's time to `ms`.
async fn pass(scripted_channel: &ScriptedChannel, ms: u64, stays: u64) {
    let uid = Uid::new("passer-by").unwrap();
    scripted_channel.at(ms, Input::Joined { uid: uid.clone() }).await;
    scripted_channel.at(ms + stays, Input::Left { uid }).await;
}

/// Stops, and checks what lies in the bucket then; its playlists.
async fn stop_and_verify(world: &World, task: &Task) -> Vec<Playlist> {
    assert_eq!(world.stop(task).await.status.as_u16() / 100, 2);
    let known = world.over(task).await;
    assert!(["complete", "empty"].contains(&known["verdict"].as_str().unwrap()), "{known}");
    until(async || (world.spooled() == 0).then_some(())).await;
    let folder = world.objects().join("rec");
    media::verify(&folder.join(format!("{}_room_manifest.json", task.sid)));
    let lists = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
    let lists = lists.filter(|path| path.extension().is_some_and(|end| end == "m3u8"));
    lists.map(|path| Playlist::parse(&std::fs::read_to_string(path).unwrap()).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_channel_that_nobody_ever_entered() {
    let world = World::new().await;
    let (counted, task, scripted_channel) = record(&world, "mix", 7_200).await;
    pass(&scripted_channel, 1_000, 0).await;
    let init = world.objects().join("rec").join(format!("{}_room_init.m4s", task.sid));
    until(async || init.exists().then_some(())).await;
    let before = counted.settled(2).await;
    pass(&scripted_channel, HOUR_MS, 0).await;
    assert_eq!(counted.settled(before).await - before, 0, "not a PUT in an hour");
    let [playlist] = stop_and_verify(&world, &task).await.try_into().unwrap();
    assert!(playlist.end().as_ms() >= HOUR_MS && playlist.entries.len() <= 8, "{:?}", playlist.entries);
}

#[tokio::test(flavor = "multi_thread")]
async fn guests_who_left_and_an_empty_channel() {
    let world = World::new().await;
    let (counted, task, scripted_channel) = record(&world, "mix", 7_200).await;
    for guest in 1..=3_u32 {
        let from = u64::from(guest) * 100;
        scripted_channel.enter(from, &guest.to_string(), guest).await;
        scripted_channel.talk(&mut [Talker::new(guest, 440.0)], from, from + 1000).await;
        scripted_channel.leave(from + 1500, &guest.to_string()).await;
    }
    pass(&scripted_channel, 20_000, 0).await;
    // What start tries, the init segment, a segment or two, a playlist.
    let before = counted.settled(4).await;
    pass(&scripted_channel, HOUR_MS, 0).await;
    assert_eq!(counted.settled(before).await, before, "not a PUT in an hour");
    pass(&scripted_channel, HOUR_MS + 10, 3_000).await;
    pass(&scripted_channel, HOUR_MS + 12_000, 0).await;
    let after = counted.settled(before + 8).await;
    assert!(
        after - before <= 2 * 9,
        "an hour in six objects, two or three usual ones, and playlists: {}",
        after - before
    );
    let [playlist] = stop_and_verify(&world, &task).await.try_into().unwrap();
    assert!(playlist.end().as_ms() >= HOUR_MS && playlist.entries.len() <= 14, "{:?}", playlist.entries);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_guests_in_tracks_of_their_own() {
    let world = World::new().await;
    guests_in_tracks_of_their_own(&world, 100).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_guests_cost_at_the_end() {
    const GUESTS: u32 = 5;
    let world = World::new().await;
    let (counted, task) = guests_in_tracks_of_their_own(&world, GUESTS).await;
    let before = counted.puts();
    let playlists = stop_and_verify(&world, &task).await;
    assert_eq!(playlists.len(), GUESTS as usize);
    for playlist in playlists {
        assert!(playlist.end().as_ms() >= HOUR_MS - 20 && playlist.entries.len() <= 9, "{:?}", playlist.entries);
    }
    // An hour in six objects and the rest of it, a playlist or some, and what every recording ends with.
    let puts = counted.puts() - before;
    assert!(puts <= u64::from(GUESTS) * 16 + 5, "{puts}");
}

/// So many guests say a word and leave, and an hour passes.
async fn guests_in_tracks_of_their_own(world: &World, guests: u32) -> (Counted, Task) {
    let (counted, task, scripted_channel) = record(world, "individual", 7_200).await;
    for guest in 1..=guests {
        let from = u64::from(guest) * 10;
        scripted_channel.enter(from, &guest.to_string(), guest).await;
        scripted_channel.talk(&mut [Talker::new(guest, 440.0)], from, from + 200).await;
        scripted_channel.leave(from + 300, &guest.to_string()).await;
    }
    pass(&scripted_channel, 30_000, 0).await;
    // Of each an init segment, a segment, and a playlist.
    let before = counted.settled(3 * u64::from(guests)).await;
    for minute in [10, 30, 60] {
        pass(&scripted_channel, minute * 60_000, 0).await;
    }
    assert_eq!(counted.settled(before).await, before, "not a PUT in an hour");
    (counted, task)
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_present_and_silent_costs_two_puts_a_target_duration() {
    /// Target durations of two seconds.
    const COUNT: u64 = 12;
    let world = World::new().await;
    let (counted, task, scripted_channel) = record(&world, "individual", 7_200).await;
    scripted_channel.enter(0, "1", 1).await;
    scripted_channel.talk(&mut [Talker::new(1, 440.0)], 0, 1000).await;
    scripted_channel.at(1_000, Input::Muted { track: TrackId(1), muted: true }).await;
    pass(&scripted_channel, 60_000, 0).await;
    let mut before = counted.settled(32).await;
    for number in 1..=COUNT {
        pass(&scripted_channel, 60_000 + number * 2_000, 0).await;
        // One at a time, as in an hour that lasts an hour.
        until(async || (counted.puts() >= before + 2).then_some(())).await;
        before += 2;
    }
    assert_eq!(counted.settled(before).await, before, "a segment, and the playlist that names it");
    let [playlist] = stop_and_verify(&world, &task).await.try_into().unwrap();
    assert!(playlist.entries.iter().all(|entry| entry.duration.as_ms() <= 2_020), "{:?}", playlist.entries);
}
