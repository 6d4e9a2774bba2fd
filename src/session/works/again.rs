//! A recording that is made again from its journal: what an earlier run of the worker left of it, and what it need not do twice.

use std::collections::HashMap;

use bytes::Bytes;

use super::Works;
use crate::callback::event;
use crate::session::told::Told;
use crate::storage::{SpoolError, SpooledObject};
use crate::store::StoreError;

/// What the spool held when the worker came back, by name.
#[derive(Debug)]
pub(super) struct Again {
    left: HashMap<String, SpooledObject>,
}

impl Works {
    /// What follows until [`Self::caught_up`] was recorded by an earlier run: learns what that run has said, and hands over what
    /// it left in the spool.
    pub(in crate::session) async fn make_again(&mut self) -> Result<(), Trouble> {
        self.told = Told::load(&self.desk.store, &self.desk.plan.sid).await?;
        self.backup.resume(self.told.backup_since());
        self.publication.make_again();
        let left = self.desk.spool.list().await?;
        self.take_up_files(&left).await?;
        let again = Again { left: left.iter().map(|object| (object.name.clone(), object.clone())).collect() };
        self.queue.resume(left);
        // What left the spool was confirmed, after the checkpoint from which this recording goes on.
        for (name, stored) in self.unconfirmed.extract_if(.., |name, _| !again.left.contains_key(name)) {
            self.publication.stored(&name);
            self.objects.insert(name, stored);
        }
        self.again = Some(again);
        Ok(())
    }

    /// Everything that an earlier run can have made is made again: gives out what was held back.
    pub(in crate::session) async fn caught_up(&mut self) -> Result<(), SpoolError> {
        self.ship().await?;
        if self.again.take().is_none() {
            return Ok(());
        }
        let playlists: Vec<_> = self.publication.playlists().cloned().collect();
        for playlist in playlists {
            if self.told.was_said(&event::file_infos(&self.desk.plan.file(&playlist).key)) {
                self.publication.is_there(&playlist);
            }
        }
        for playlist in self.publication.caught_up() {
            self.upload_playlist(&playlist).await?;
        }
        self.account();
        self.make_full_files().await;
        Ok(())
    }

    /// Whether media that is made again is in the spool since an earlier run, byte for byte.
    pub(super) async fn is_left(&mut self, name: &str, bytes: &Bytes) -> bool {
        let left = self.again.as_mut().and_then(|again| again.left.remove(name));
        let Some(left) = left.filter(|left| left.size == bytes.len() as u64) else { return false };
        // What can't be read any more was confirmed meanwhile; putting it once more does no harm.
        self.desk.spool.read(&left).await.is_ok_and(|known| known == *bytes)
    }
}

/// Why a recording can't be taken up again.
#[derive(Debug, thiserror::Error)]
pub(in crate::session) enum Trouble {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Spool(#[from] SpoolError),
}
