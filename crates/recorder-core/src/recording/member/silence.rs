//! A member that fell silent without a word: what says that it spoke all the same. All times in ticks of arrival.
//!
//! No packet comes from a member that publishes and is not muted, and its last one was not silent. Nobody knows what it said if the channel's
//! server gave it up in the end, or it left and was back soon, or the server reported it as speaking meanwhile: then the silence is
//! missing, cause [`Cause::Unknown`]. Without any of these a tail is only listed ([`Cause::UnheardTail`]). A sender that is known to send only
//! while it speaks is missing only where it was reported as speaking. A report is about a uid: it says nothing against a source of it while
//! another one is heard.

use serde::{Deserialize, Serialize};

use super::super::{Cause, Packet};
use super::Member;
use crate::codec::opus;
use crate::units::Ticks;

/// So long silent before it was gone, a member did not go by itself.
const TIMED_OUT: i64 = Ticks::from_secs(5).0 as i64;

/// Who is back so soon had not gone.
const RETURNS_SOON: i64 = Ticks::from_secs(15).0 as i64;

/// How long a report of the server may outlive the sound that it is about: it measures in windows and smooths.
const SMOOTHED: i64 = Ticks::from_secs(3).0 as i64;

/// See the module's documentation.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(super) struct Silence {
    /// The last packet was silent.
    silent: bool,
    /// Since when the server reports it as speaking.
    reported: Option<i64>,
    /// It left: since when it had been silent, and when.
    gone: Option<(i64, i64)>,
}

impl Silence {
    /// A packet with sound came.
    pub(super) fn sounds(&mut self, packet: &Packet) {
        self.silent = opus::is_silent(&packet.payload, None);
    }

    /// What the server reported is of before.
    pub(super) fn forget_report(&mut self) {
        self.reported = None;
    }
}

impl Member {
    /// The server has given it up.
    pub(in crate::recording) fn is_given_up(&mut self, at: i64) {
        if let Some(from) = self.fell_silent().filter(|from| at - from >= TIMED_OUT) {
            self.nobody_knows(from, at);
        }
    }

    /// The server reports that its uid speaks, or that it does not any more; the last packet of any of the uid's sources came at `heard`.
    pub(in crate::recording) fn is_reported(&mut self, speaking: bool, heard: Option<i64>, at: i64) {
        if !speaking {
            self.breaks_silence(heard, at);
            self.silence.reported = None;
        } else if self.presence.now().publishing {
            self.silence.reported.get_or_insert(at);
        }
    }

    /// Whether its uid is reported as speaking.
    pub(in crate::recording) fn is_said_to_speak(&self) -> bool {
        self.silence.reported.is_some()
    }

    /// A packet came, or a report ended: what the server reported until now without a packet of any source is missing.
    pub(in crate::recording) fn breaks_silence(&mut self, heard: Option<i64>, at: i64) {
        let Some(since) = self.silence.reported else {
            return;
        };
        let from = heard.map_or(since, |last| last.max(since));
        if at - from > SMOOTHED {
            self.nobody_knows(from, at);
        }
    }

    /// It is leaving.
    pub(super) fn goes(&mut self, at: i64) {
        self.silence.gone = self.fell_silent().filter(|from| at - from >= TIMED_OUT).map(|from| (from, at));
    }

    /// It is in the channel: if it had just gone, it never was away.
    pub(super) fn returns(&mut self, at: i64) {
        if let Some((from, gone)) = self.silence.gone.take().filter(|(_, gone)| at - gone <= RETURNS_SOON) {
            self.nobody_knows(from, gone);
        }
    }

    /// What it said in `from..to` did not get here.
    fn nobody_knows(&mut self, from: i64, to: i64) {
        self.presence.deafen(from, to, Cause::Unknown);
        self.correct(from, to);
    }

    /// Since when nothing came that was to come, if nothing explains it.
    fn fell_silent(&self) -> Option<i64> {
        let pauses = self.timeline.as_ref().is_none_or(|timeline| timeline.pauses());
        self.last_packet.filter(|_| !self.silence.silent && !pauses)
    }
}
