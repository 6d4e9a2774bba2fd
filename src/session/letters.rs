//! What an app's receiver lacks, and how it is asked to take it after all.

use super::Error;
use super::sessions::Sessions;
use crate::store::{Delivery, Lack, Place};
use crate::units::{AppId, Sid};

/// Dead letters that one call brings back; a caller with more calls again.
pub const MAX_REDELIVERED: u32 = 1000;

impl Sessions {
    /// Whether the app's events are delivered to anybody.
    pub fn has_receiver(&self, app: &AppId) -> bool {
        self.0.backing.dispatcher.delivers(app)
    }

    /// Up to `limit` events that the app's receiver lacks, recording by recording, behind `after`.
    pub async fn undelivered(
        &self,
        app: &AppId,
        lack: Lack,
        after: Option<&Place>,
        limit: u32,
    ) -> Result<Vec<Delivery>, Error> {
        Ok(self.0.backing.store.undelivered(app, lack, after, limit).await?)
    }

    /// Delivers dead letters of the app, or of one of its recordings, once more: with their noticeIds, in the order of each
    /// recording, for a day of trying from now. Says how many; [`MAX_REDELIVERED`] means that there may be more.
    pub async fn redeliver(&self, app: &AppId, sid: Option<&Sid>) -> Result<u64, Error> {
        let backing = &self.0.backing;
        let count = backing.store.redeliver(app, sid, self.0.now(), MAX_REDELIVERED).await?;
        backing.dispatcher.hurry(app);
        Ok(count)
    }
}
