//! What an app's receiver has and lacks, how it is asked to take what it lacks after all, and how it is tried.

use super::Error;
use super::sessions::Sessions;
use crate::callback::{TestEventError, TestEventResult};
use crate::store::{Attempt, ChannelNotice, Deliverable, Delivery, Event, EventPosition, UndeliveredFilter};
use crate::units::AppId;

/// Dead letters that one call brings back; a caller with more calls again.
pub const MAX_REDELIVERED: u32 = 1000;

impl Sessions {
    /// Whether the app's events are delivered to anybody.
    pub fn has_receiver(&self, app: &AppId) -> bool {
        self.0.backing.dispatcher.delivers(app)
    }

    /// Up to `limit` events of the app, or of one of its recordings or channel sessions, behind `after`, each with its last
    /// attempts.
    pub async fn dead_letters<L: Deliverable>(
        &self,
        app: &AppId,
        standing: UndeliveredFilter,
        stream: Option<&str>,
        after: Option<&EventPosition>,
        limit: u32,
    ) -> Result<Vec<(Delivery<L>, Vec<Attempt>)>, Error> {
        let store = &self.0.backing.store;
        let dead_letters = store.dead_letters(app, standing, stream, after, limit).await?;
        let attempts = store.attempts(&dead_letters).await?;
        Ok(dead_letters.into_iter().zip(attempts).collect())
    }

    /// Delivers dead letters of the app, or of one of its recordings or channel sessions, once more: with their noticeIds, in
    /// their order, for a day of trying from now. Says how many; [`MAX_REDELIVERED`] means that there may be more.
    pub async fn redeliver(&self, app: &AppId, stream: Option<&str>) -> Result<u64, Error> {
        let (backing, now) = (&self.0.backing, self.0.now());
        let mut count = backing.store.redeliver::<Event>(app, stream, now, MAX_REDELIVERED).await?;
        let room = MAX_REDELIVERED.saturating_sub(u32::try_from(count).unwrap_or(u32::MAX));
        count += backing.store.redeliver::<ChannelNotice>(app, stream, now, room).await?;
        backing.dispatcher.hurry(app);
        Ok(count)
    }

    /// Sends the app's receiver a test event, once.
    pub async fn test_receiver(&self, app: &AppId, event_type: u16) -> Result<TestEventResult, TestEventError> {
        self.0.backing.dispatcher.test(app, event_type).await
    }
}
