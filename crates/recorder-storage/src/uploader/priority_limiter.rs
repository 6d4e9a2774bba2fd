//! Places for requests to buckets, shared by all sessions of a worker.
//!
//! Of four places that get free, three go to the lowest rank (the oldest object), one to who has waited longest: an old backlog
//! comes in first, and nobody starves behind it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;
use tokio::time::Instant;

/// Of this many places one is given by the time of waiting.
const FAIR: u32 = 4;

/// Who goes first: the lowest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Priority {
    /// Failures in a row behind it.
    pub(super) streak: u32,
    /// Since when its object waits.
    pub(super) since: Instant,
}

/// A number of places.
#[derive(Debug)]
pub(super) struct PriorityLimiter(Mutex<State>);

#[derive(Debug)]
struct State {
    free: usize,
    given: u32,
    next: u64,
    /// By arrival.
    waiting: BTreeMap<u64, (Priority, oneshot::Sender<Permit>)>,
}

/// A place; free again when it is dropped.
#[derive(Debug)]
pub(super) struct Permit(Arc<PriorityLimiter>);

impl PriorityLimiter {
    /// With this many places.
    pub(super) fn new(places: usize) -> Arc<Self> {
        Arc::new(Self(Mutex::new(State { free: places, given: 0, next: 0, waiting: BTreeMap::new() })))
    }

    /// Waits for a place.
    pub(super) async fn enter(self: &Arc<Self>, priority: Priority) -> Permit {
        let (give, given) = oneshot::channel();
        {
            let mut state = self.state();
            let number = state.next;
            state.next += 1;
            state.waiting.insert(number, (priority, give));
        }
        self.give();
        given.await.expect("who waits is only taken off the list with a place")
    }

    /// Gives free places to those who wait.
    fn give(self: &Arc<Self>) {
        while let Some(waiter) = self.next_in_line() {
            // Who went away meanwhile gives the place back, which gives it to the next.
            drop(waiter.send(Permit(Arc::clone(self))));
        }
    }

    fn next_in_line(&self) -> Option<oneshot::Sender<Permit>> {
        let mut state = self.state();
        if state.free == 0 {
            return None;
        }
        let by_time = state.waiting.first_key_value().map(|(number, _)| *number)?;
        let by_rank = state
            .waiting
            .iter()
            .min_by_key(|(number, (priority, _))| (*priority, **number))
            .map(|(number, _)| *number)?;
        state.given = state.given.wrapping_add(1);
        let chosen = if state.given.is_multiple_of(FAIR) { by_time } else { by_rank };
        state.free -= 1;
        state.waiting.remove(&chosen).map(|(_, waiter)| waiter)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.state().free += 1;
        self.0.give();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::FutureExt;
    use futures_util::stream::{FuturesUnordered, StreamExt};

    use super::*;

    fn priority(origin: Instant, age: u64) -> Priority {
        Priority { streak: 0, since: origin - Duration::from_secs(age) }
    }

    #[tokio::test]
    async fn the_oldest_goes_first_and_every_fourth_place_goes_to_who_waits_longest() {
        let (priority_limiter, origin) = (PriorityLimiter::new(1), Instant::now() + Duration::from_secs(1000));
        let held = priority_limiter.enter(priority(origin, 0)).await;
        // A young object came first, then an old backlog that would never let it in.
        let mut waiting = FuturesUnordered::new();
        for age in [1, 100, 101, 102, 103, 104, 105] {
            let priority_limiter = Arc::clone(&priority_limiter);
            waiting.push(async move { (age, priority_limiter.enter(priority(origin, age)).await) }.boxed());
            assert!(waiting.next().now_or_never().is_none());
        }
        drop(held);
        let mut order = Vec::new();
        while let Some((age, place)) = waiting.next().await {
            order.push(age);
            drop(place);
        }
        // The place that was held counts too: three by age, then one by time.
        assert_eq!(order, [105, 104, 1, 103, 102, 101, 100]);
    }

    #[tokio::test]
    async fn who_goes_away_takes_no_place_along() {
        let (priority_limiter, now) = (PriorityLimiter::new(1), Instant::now());
        let held = priority_limiter.enter(priority(now, 0)).await;
        let mut remove = Box::pin(priority_limiter.enter(priority(now, 0)));
        assert!((&mut remove).now_or_never().is_none());
        let mut given = Box::pin(priority_limiter.enter(priority(now, 0)));
        assert!((&mut given).now_or_never().is_none());
        drop(remove);
        drop(held);
        drop(given);
        assert!(
            priority_limiter.enter(priority(now, 0)).now_or_never().is_some(),
            "a place that was given and never taken comes back"
        );
    }
}
