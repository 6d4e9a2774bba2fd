//! Attempts that nobody knows the end of: a PUT without an answer can take effect after its successor did, and an older playlist
//! would lie over the newest.
//!
//! So the newest text of a name is looked at again, until what is on its way can no longer land, and put again if it is not there
//! any more. Segments are never in doubt: their bytes are the same on each attempt. Time is a parameter.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::bucket::Confirmed;
use crate::spool::SpooledObject;

/// The first look comes after this part of the doubt, each next one after twice as long.
const FIRST_LOOK: u32 = 32;

/// Which names are in doubt, and until when. One entry a name.
#[derive(Debug, Default)]
pub(super) struct UnackedPuts(HashMap<String, UnackedPut>);

#[derive(Clone, Copy, Debug)]
struct UnackedPut {
    /// The last text without an answer.
    order: u64,
    /// Until when it may land.
    until: Instant,
    /// Until when one before it may land.
    older: Option<Instant>,
}

impl UnackedPuts {
    /// An attempt at this object had no answer; it may land until then.
    pub(super) fn unknown(&mut self, object: &SpooledObject, until: Instant) {
        let unacked_put =
            self.0.entry(object.name.clone()).or_insert(UnackedPut { order: object.order, until, older: None });
        if unacked_put.order != object.order {
            unacked_put.older = unacked_put.older.max(Some(unacked_put.until));
            unacked_put.order = object.order;
        }
        unacked_put.until = until;
    }

    /// Until when another text of its name may take the place of this one, which was just confirmed.
    pub(super) fn of(&mut self, object: &SpooledObject, now: Instant) -> Option<Instant> {
        let unacked_put = *self.0.get(&object.name)?;
        if unacked_put.until.max(unacked_put.older.unwrap_or(unacked_put.until)) <= now {
            self.0.remove(&object.name);
            return None;
        }
        // The same text is harmless, however often it lands.
        let until = if unacked_put.order == object.order {
            unacked_put.older
        } else {
            unacked_put.older.max(Some(unacked_put.until))
        };
        until.filter(|until| *until > now)
    }
}

/// The newest text of a name, watched until nothing can take its place any more.
#[derive(Debug)]
pub(super) struct Guard {
    pub(super) object: SpooledObject,
    pub(super) confirmed: Confirmed,
    until: Instant,
    /// The next look; none while one is under way.
    look: Option<Instant>,
    step: Duration,
}

impl Guard {
    /// Begins to watch.
    pub(super) fn new(object: SpooledObject, confirmed: Confirmed, until: Instant, now: Instant) -> Self {
        let step = until.saturating_duration_since(now) / FIRST_LOOK;
        Self { object, confirmed, until, look: Some((now + step).min(until)), step }
    }

    /// When to look next.
    pub(super) const fn look(&self) -> Option<Instant> {
        self.look
    }

    /// A look begins.
    pub(super) fn looking(&mut self) {
        self.look = None;
    }

    /// The text is still there. Whether the watch is over.
    pub(super) fn seen(&mut self, begun: Instant, now: Instant) -> bool {
        self.step *= 2;
        self.look = Some((now + self.step).min(self.until).max(now));
        begun >= self.until
    }

    /// The look failed; the next one is due then, or when the doubt ends if that is sooner than never.
    pub(super) fn blind(&mut self, next: Instant) {
        self.look = Some(next);
    }

    /// Whether nothing can land any more that has not by now.
    pub(super) fn is_over(&self, now: Instant) -> bool {
        now >= self.until
    }

    /// The end of the doubt.
    pub(super) const fn until(&self) -> Instant {
        self.until
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bucket::Proof;
    use crate::spool::ObjectKind;

    fn text(order: u64) -> SpooledObject {
        SpooledObject { order, name: "a.m3u8".into(), kind: ObjectKind::Playlist, size: 1 }
    }

    #[tokio::test]
    async fn only_another_text_that_may_still_land_is_a_doubt() {
        let now = Instant::now();
        let at = |secs| now + Duration::from_secs(secs);
        let mut unacked_puts = UnackedPuts::default();
        assert_eq!(unacked_puts.of(&text(0), now), None);
        unacked_puts.unknown(&text(0), at(60));
        assert_eq!(unacked_puts.of(&text(0), at(1)), None, "the same bytes may land twice");
        assert_eq!(unacked_puts.of(&text(1), at(1)), Some(at(60)));
        unacked_puts.unknown(&text(1), at(90));
        assert_eq!(unacked_puts.of(&text(1), at(1)), Some(at(60)), "the first one is still on its way");
        assert_eq!(unacked_puts.of(&text(2), at(1)), Some(at(90)));
        assert_eq!(unacked_puts.of(&text(2), at(90)), None);
        assert_eq!(unacked_puts.of(&text(3), at(1)), None, "what is over is forgotten");
    }

    #[tokio::test]
    async fn looks_get_rarer_and_the_last_one_is_after_the_doubt() {
        let (now, unacked_put) = (Instant::now(), Duration::from_secs(64));
        let confirmed = Confirmed { size: 1, sha256: String::new(), proof: Proof::Checksum };
        let mut guard = Guard::new(text(0), confirmed, now + unacked_put, now);
        let mut looks = Vec::new();
        loop {
            let at = guard.look().unwrap();
            looks.push((at - now).as_secs());
            guard.looking();
            if guard.seen(at, at) {
                break;
            }
        }
        assert_eq!(looks, [2, 6, 14, 30, 62, 64]);
    }
}
