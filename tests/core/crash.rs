//! The worker's death and return, as the core learns of it: what was not in the journal yet is lost, nothing arrives while it is
//! dead, then it is told, members and tracks are announced anew under other ids, and packets come again.

use std::collections::BTreeMap;

use cloud_recorder::recording::{Cause, Input, TrackKind, TrackLedger};
use cloud_recorder::units::{Ssrc, TrackId};

use crate::world::{InputStory, MS, Sent, uid};

/// When members are announced after the return.
pub(crate) const MET: u64 = 150 * MS;

/// When packets come again after the return.
pub(crate) const FLOWING: u64 = 700 * MS;

/// A death and a return.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Crash {
    /// What arrived from here on did not reach the journal.
    pub(crate) died: u64,
    /// The worker is back.
    pub(crate) back: u64,
}

/// Who is met again.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Again {
    /// Its uid.
    pub(crate) name: &'static str,
    /// Its track before.
    pub(crate) track: u32,
    /// Whether it comes back muted.
    pub(crate) muted: bool,
}

impl Crash {
    /// Lets it happen to a story. A track gets a number above 1000 and an SSRC of its own; its RTP clock goes on.
    pub(crate) fn strike(self, story: &mut InputStory, met: &[Again]) {
        let number = |track: u32| track + 1_000;
        story.rewrite(|inputs| {
            let lost = self.died..self.back + FLOWING;
            let mut left: Vec<(u64, Input)> = inputs.into_iter().filter(|(at, _)| !lost.contains(at)).collect();
            for (_, input) in left.iter_mut().filter(|(at, _)| *at >= self.back) {
                match input {
                    Input::Packet(packet) => {
                        packet.track = TrackId(number(packet.track.0));
                        packet.ssrc = Ssrc(packet.ssrc.0.wrapping_add(77_777));
                    }
                    Input::Muted { track, .. } | Input::TrackRemoved { track } | Input::TrackAdded { track, .. } => {
                        *track = TrackId(number(track.0));
                    }
                    _ => {}
                }
            }
            left
        });
        story.happens(self.back, Input::WorkerRestarted);
        for Again { name, track, muted } in met {
            story.happens(self.back + 100 * MS, Input::Joined { uid: uid(name) });
            let track = TrackId(number(*track));
            story.happens(
                self.back + MET,
                Input::TrackAdded { track, uid: uid(name), muted: *muted, kind: TrackKind::default() },
            );
        }
    }

    /// What of `sent` the recorder got.
    pub(crate) fn survivors(self, sent: &[Sent]) -> Vec<Sent> {
        let lost = self.died..self.back + FLOWING;
        sent.iter().filter(|sent| !lost.contains(&sent.arrival)).cloned().collect()
    }
}

/// A uid's gaps in milliseconds, in order.
pub(crate) fn gaps(account: &TrackLedger) -> Vec<(Cause, u64, u64)> {
    account.gaps.iter().map(|gap| (gap.cause, gap.from.as_ms(), gap.to.as_ms())).collect()
}

/// A uid's gaps after what is known of its ordinary beginning: those that begin past its fifth second.
pub(crate) fn later_gaps(account: &TrackLedger) -> Vec<(Cause, u64, u64)> {
    gaps(account).into_iter().filter(|(_, from, _)| *from > 5_000).collect()
}

/// Milliseconds by cause.
pub(crate) fn by_cause(account: &TrackLedger) -> BTreeMap<Cause, u64> {
    let mut sums = BTreeMap::new();
    gaps(account).into_iter().for_each(|(cause, from, to)| *sums.entry(cause).or_default() += to - from);
    sums
}
