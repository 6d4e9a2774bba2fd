//! Whether a uid's audio is coming in (callback 43). Times in ticks of arrival.
//!
//! It begins with the first packet of a track that is not muted. It ends when the last such track is muted, removed, left or
//! deselected, or when no packet came for [`TIMEOUT`], which is longer than any DTX pause: a DTX sender does not flap.

use serde::{Deserialize, Serialize};

use super::Output;
use crate::units::{Ticks, Uid};

/// How long nothing may come before nothing is received.
const TIMEOUT: i64 = Ticks::from_secs(2).0 as i64;

/// See the module's documentation.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Receiving {
    /// When the last packet came; `None` while nothing is received.
    last: Option<i64>,
}

impl Receiving {
    /// A packet came.
    pub(super) fn packet(&mut self, uid: &Uid, at: i64, out: &mut impl Extend<Output>) {
        self.step(uid, at, out);
        if self.last.replace(at).is_none() {
            out.extend([state(uid, true, at)]);
        }
    }

    /// Nothing is to come any more.
    pub(super) fn stop(&mut self, uid: &Uid, at: i64, out: &mut impl Extend<Output>) {
        if self.last.take().is_some() {
            out.extend([state(uid, false, at)]);
        }
    }

    /// Time passed.
    pub(super) fn step(&mut self, uid: &Uid, now: i64, out: &mut impl Extend<Output>) {
        if let Some(deadline) = self.deadline().filter(|deadline| *deadline <= now) {
            self.stop(uid, deadline, out);
        }
    }

    /// When it ends if nothing comes.
    pub(super) fn deadline(&self) -> Option<i64> {
        self.last.map(|last| last + TIMEOUT)
    }
}

fn state(uid: &Uid, receiving: bool, at: i64) -> Output {
    Output::StreamState { uid: uid.clone(), receiving, at: Ticks(at as u64) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_does_not_flap_over_dtx_and_ends_after_two_seconds() {
        let uid = Uid::new("7").unwrap();
        let (mut receiving, mut out) = (Receiving::default(), Vec::new());
        for packet in 0..10 {
            receiving.packet(&uid, packet * 19_200, &mut out);
        }
        assert_eq!(out, [state(&uid, true, 0)]);
        receiving.step(&uid, 9 * 19_200 + TIMEOUT, &mut out);
        receiving.packet(&uid, 9 * 19_200 + 2 * TIMEOUT, &mut out);
        receiving.stop(&uid, 9 * 19_200 + 2 * TIMEOUT + 1, &mut out);
        receiving.stop(&uid, 9 * 19_200 + 2 * TIMEOUT + 2, &mut out);
        let states: Vec<bool> =
            out.iter().map(|output| matches!(output, Output::StreamState { receiving: true, .. })).collect();
        assert_eq!(states, [true, false, true, false]);
    }
}
