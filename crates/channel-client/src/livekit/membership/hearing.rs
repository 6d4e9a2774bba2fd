//! Is the bot deaf? Whom the server reports as speaking against what arrives. Pure.
//!
//! A bot is deaf when members whom it should hear have been reported as speaking for [`DEAF_AFTER`] in all and not one RTP packet
//! came in that time. Pauses between words don't count, nor does time in which this worker stood still.

use std::collections::BTreeSet;
use std::time::Duration;

use livekit_protocol::SpeakerInfo;
use tokio::time::Instant;

use crate::livekit::members::MAX_MEMBERS;

/// How long somebody has to speak without a packet.
pub(super) const DEAF_AFTER: Duration = Duration::from_secs(5);

/// How far apart two joins because of deafness are at least: what one could not mend the next won't at once.
pub(super) const DEAF_REJOIN_EVERY: Duration = Duration::from_secs(5 * 60);

/// A deadline that is met later than this was not awake to hear.
const LATE: Duration = Duration::from_secs(1);

/// What to do about deafness.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Deafness {
    /// There is none.
    None,
    /// Say so: nothing has arrived since this.
    Tell(Instant),
    /// Say so and join anew.
    Rejoin(Instant),
}

/// See the module.
#[derive(Debug)]
pub(super) struct Hearing {
    /// Memberships, `PA_…`, that the server reports as speaking.
    reported: BTreeSet<String>,
    /// Since when one of them should be heard, or since this was last added up.
    active: Option<Instant>,
    /// For how long that was so since the last packet.
    spoken: Duration,
    /// The last packet, or the beginning of the membership.
    heard: Instant,
    /// Whether it was told.
    told: bool,
    rejoined: Option<Instant>,
}

impl Default for Hearing {
    fn default() -> Self {
        Self {
            reported: BTreeSet::new(),
            active: None,
            spoken: Duration::ZERO,
            heard: Instant::now(),
            told: false,
            rejoined: None,
        }
    }
}

impl Hearing {
    /// A new membership: nothing is reported yet.
    pub(super) fn begin(&mut self) {
        *self = Self { rejoined: self.rejoined, ..Self::default() };
    }

    /// The peer connection is there: nothing could be heard before.
    pub(super) fn connected(&mut self) {
        self.spoken = Duration::ZERO;
        self.active = self.active.map(|_| Instant::now());
    }

    /// The server reports changes: memberships that speak now and did not before, or the other way round.
    pub(super) fn report(&mut self, speakers: &[SpeakerInfo]) -> Vec<(String, bool)> {
        let mut changes = Vec::new();
        for speaker in speakers {
            let speaking = speaker.active && speaker.level > 0.0;
            let changed = match speaking {
                false => self.reported.remove(&speaker.sid),
                true => self.reported.len() < MAX_MEMBERS && self.reported.insert(speaker.sid.clone()),
            };
            if changed {
                changes.push((speaker.sid.clone(), speaking));
            }
        }
        changes
    }

    /// Adds up until now; `audible` says of a membership whether its sound should arrive.
    pub(super) fn review(&mut self, audible: impl Fn(&str) -> bool, last_packet: Option<Instant>) {
        let now = Instant::now();
        self.add_up(now, last_packet);
        let speaks = self.reported.iter().any(|sid| audible(sid));
        self.active = speaks.then_some(now);
    }

    /// When to ask for [`Self::deafness`].
    pub(super) fn deadline(&self) -> Option<Instant> {
        let due = self.active? + DEAF_AFTER.saturating_sub(self.spoken);
        let next = self.rejoined.map(|rejoined| rejoined + DEAF_REJOIN_EVERY);
        Some(if self.told { next.map_or(due, |next| due.max(next)) } else { due })
    }

    /// The deadline is met: what to do.
    pub(super) fn deafness(&mut self, last_packet: Option<Instant>) -> Deafness {
        let now = Instant::now();
        self.add_up(now, last_packet);
        if self.active.is_none() || self.spoken < DEAF_AFTER {
            return Deafness::None;
        }
        self.told = true;
        if self.rejoined.is_some_and(|rejoined| now < rejoined + DEAF_REJOIN_EVERY) {
            return Deafness::Tell(self.heard);
        }
        self.rejoined = Some(now);
        Deafness::Rejoin(self.heard)
    }

    fn add_up(&mut self, now: Instant, last_packet: Option<Instant>) {
        let late = self.deadline().is_some_and(|deadline| now > deadline + LATE);
        if let Some(heard) = last_packet.filter(|packet| *packet > self.heard) {
            (self.heard, self.spoken, self.told) = (heard, Duration::ZERO, false);
            self.active = self.active.map(|since| since.max(heard));
        }
        if let Some(since) = &mut self.active {
            let step = now.saturating_duration_since(std::mem::replace(since, now));
            self.spoken = if late { Duration::ZERO } else { self.spoken + step };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn speaker(sid: &str, level: f32) -> SpeakerInfo {
        SpeakerInfo { sid: sid.to_owned(), level, active: level > 0.0 }
    }

    /// Somebody speaks, or stops; packets have come until `last`.
    fn says(hearing: &mut Hearing, level: f32, last: Option<Instant>) {
        hearing.report(&[speaker("PA_1", level)]);
        hearing.review(|sid| sid == "PA_1", last);
    }

    async fn pass(seconds: f32) {
        tokio::time::advance(Duration::from_secs_f32(seconds)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn words_without_packets_add_up_over_pauses() {
        let (begun, mut hearing) = (Instant::now(), Hearing::default());
        for _ in 0..4 {
            says(&mut hearing, 0.5, None);
            pass(1.2).await;
            says(&mut hearing, 0.0, None);
            assert_eq!(hearing.deadline(), None);
            pass(1.0).await;
        }
        says(&mut hearing, 0.5, None);
        let due = hearing.deadline().unwrap();
        assert!((due - Instant::now()).abs_diff(Duration::from_millis(200)) < Duration::from_millis(1));
        assert_eq!(hearing.deafness(None), Deafness::None, "not yet");
        tokio::time::advance(due - Instant::now()).await;
        assert_eq!(hearing.deafness(None), Deafness::Rejoin(begun));
    }

    #[tokio::test(start_paused = true)]
    async fn a_packet_begins_the_count_anew() {
        let mut hearing = Hearing::default();
        says(&mut hearing, 0.5, None);
        pass(4.0).await;
        let packet = Instant::now();
        pass(1.0).await;
        assert_eq!(hearing.deafness(Some(packet)), Deafness::None);
        assert_eq!(hearing.deadline(), Some(packet + DEAF_AFTER));
        pass(4.0).await;
        assert_eq!(hearing.deafness(Some(packet)), Deafness::Rejoin(packet));
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_not_subscribed_or_muted_does_not_count() {
        let mut hearing = Hearing::default();
        hearing.report(&[speaker("PA_2", 1.0), SpeakerInfo { active: true, ..speaker("PA_1", 0.0) }]);
        hearing.review(|sid| sid == "PA_1", None);
        assert_eq!(hearing.deadline(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_worker_that_stood_still_is_not_deaf() {
        let mut hearing = Hearing::default();
        says(&mut hearing, 0.5, None);
        pass(30.0).await;
        assert_eq!(hearing.deafness(None), Deafness::None);
        assert_eq!(hearing.deadline(), Some(Instant::now() + DEAF_AFTER));
        pass(30.0).await;
        says(&mut hearing, 0.4, None);
        assert_eq!(hearing.deadline(), Some(Instant::now() + DEAF_AFTER), "the same when the news comes first");
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_told_at_once_and_mended_at_most_every_five_minutes() {
        let mut hearing = Hearing::default();
        says(&mut hearing, 0.5, None);
        pass(5.0).await;
        assert!(matches!(hearing.deafness(None), Deafness::Rejoin(_)));
        let rejoined = Instant::now();
        hearing.begin();
        assert_eq!(hearing.deadline(), None);
        says(&mut hearing, 0.5, None);
        pass(5.0).await;
        assert_eq!(hearing.deafness(None), Deafness::Tell(rejoined));
        assert_eq!(hearing.deadline(), Some(rejoined + DEAF_REJOIN_EVERY));
        pass(295.0).await;
        assert_eq!(hearing.deafness(None), Deafness::Rejoin(rejoined));
    }
}
