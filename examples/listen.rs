//! Joins a channel as the recorder does and prints what the session would be told: for looking at a LiveKit server by hand.
//!
//! `cargo run --example listen -- URL KEY SECRET CHANNEL [UID,UID…]`; packets are summed up once a second. A line on the
//! standard input changes whom it listens to: uids separated by commas, or nothing for everybody.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, bail};
use cloud_recorder::channel::livekit::{IdleRoom, LiveKitChannel, Settings};
use cloud_recorder::channel::{Channel, ChannelUpdate, JoinRequest};
use cloud_recorder::recording::{Input, Selection};
use cloud_recorder::units::{Cname, Sid, TrackId, Uid};
use tokio::time::Instant;

/// What came of one track since it was last printed.
#[derive(Default)]
struct Tally {
    packets: u32,
    bytes: usize,
    empty: u32,
    reports: u32,
    missing: u32,
    last: Option<u16>,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt().with_env_filter(tracing_subscriber::EnvFilter::from_default_env()).init();
    let mut args = std::env::args().skip(1);
    let mut arg = |name: &'static str| args.next().context(name);
    let (url, api_key, api_secret) = (arg("URL")?, arg("KEY")?, arg("SECRET")?.into());
    let cname = Cname::new(&arg("CHANNEL")?)?;
    let selection = args.next().map_or(Ok(Selection::All), |uids| select(&uids))?;

    let channel = LiveKitChannel::new(Settings { url, api_key, api_secret, idle_room: IdleRoom::Hold })?;
    let sid = Sid::from_random(rand::random());
    let start = Instant::now();
    let mut handle = channel
        .join(JoinRequest { cname, sid, selection, patience: Duration::from_secs(10), idle: Duration::from_secs(30) })
        .await?;
    println!("{:8.3} in", start.elapsed().as_secs_f64());

    std::thread::spawn(move || {
        for line in std::io::stdin().lines().map_while(Result::ok) {
            match select(line.trim()) {
                Ok(selection) => drop(handle.selection.send_replace(selection)),
                Err(error) => eprintln!("{error}"),
            }
        }
    });

    let mut tallies: BTreeMap<TrackId, Tally> = BTreeMap::new();
    let mut tick = tokio::time::interval(Duration::from_secs(1));
    let mut interrupted = std::pin::pin!(tokio::signal::ctrl_c());
    loop {
        tokio::select! {
            said = handle.updates.recv() => {
                let Some((at, said)) = said else { bail!("the queue ended without a word") };
                let at = (at - start).as_secs_f64();
                match said {
                    ChannelUpdate::Input(Input::Packet(packet)) => {
                        let tally = tallies.entry(packet.track).or_default();
                        if tally.last.is_none() {
                            println!("{at:8.3} first {packet:?}");
                        }
                        if let Some(last) = tally.last.filter(|last| packet.sequence.wrapping_sub(*last) < 0x8000) {
                            tally.missing += u32::from(packet.sequence.wrapping_sub(last).saturating_sub(1));
                        }
                        tally.last = Some(packet.sequence);
                        tally.packets += 1;
                        tally.bytes += packet.payload.len();
                        tally.empty += u32::from(packet.payload.is_empty());
                    }
                    ChannelUpdate::Input(Input::SenderReport { track, .. }) => tallies.entry(track).or_default().reports += 1,
                    ChannelUpdate::Ended(reason) => {
                        println!("{at:8.3} ended: {reason}");
                        return Ok(());
                    }
                    other => println!("{at:8.3} {other:?}"),
                }
            }
            _ = tick.tick() => print(&mut tallies, start),
            _ = &mut interrupted => return Ok(()),
        }
    }
}

fn select(uids: &str) -> anyhow::Result<Selection> {
    if uids.is_empty() {
        return Ok(Selection::All);
    }
    Ok(Selection::Only(uids.split(',').map(Uid::new).collect::<Result<_, _>>()?))
}

fn print(tallies: &mut BTreeMap<TrackId, Tally>, start: Instant) {
    for (track, tally) in tallies {
        if tally.packets > 0 {
            println!(
                "{:8.3} track {}: {} packets, {} bytes, {} empty, {} missing, {} reports",
                start.elapsed().as_secs_f64(),
                track.0,
                tally.packets,
                tally.bytes,
                tally.empty,
                tally.missing,
                tally.reports
            );
        }
        *tally = Tally { last: tally.last, ..Tally::default() };
    }
}
