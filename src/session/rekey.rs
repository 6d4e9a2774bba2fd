//! Fresh credentials for a running recording, or one on its way home from the backup: the bucket stays, who writes to it changes.

use super::live::Command;
use super::sessions::Sessions;
use super::{Error, Report, StorageConfigParts, TaskRef, sealed};
use crate::storage::{Bucket, Destination, vendor};
use crate::store::{Sealed, SessionUpdate};

impl Sessions {
    /// Writes with other credentials from here on. They are proven first; a recording can't move to another bucket.
    pub async fn rekey(&self, task: &TaskRef, parts: &StorageConfigParts) -> Result<Report, Error> {
        let entry = self.uploading(task).await?;
        let asked = vendor::destination(parts).map_err(|error| Error::Invalid(error.to_string()))?;
        let backing = &self.0.backing;
        let row = backing.store.session_get(&task.sid).await?;
        let sealed =
            row.and_then(|row| row.session.sealed).ok_or_else(|| Error::Gone(Some(Box::new(entry.report()))))?;
        let known = sealed::open(&backing.sealer, &sealed).map_err(|error| Error::Worker(error.to_string()))?;
        if (&asked.bucket, &asked.endpoint, &asked.region) != (&known.bucket, &known.endpoint, &known.region) {
            let problem = "names another bucket; a recording can't move, only its keys and token can change";
            return Err(Error::Invalid(format!("clientRequest.storageConfig {problem}")));
        }
        let destination = Destination { credentials: asked.credentials, ..known };
        let bucket = Bucket::connect(&destination);
        bucket.prove().await?;
        let sealed = Sealed::Replace(sealed::seal(&backing.sealer, &destination));
        backing.store.session_update(&task.sid, &SessionUpdate { sealed, ..SessionUpdate::default() }).await?;
        let told = entry.commands.send(Command::Rekey(bucket)).await;
        told.map_err(|_| Error::Gone(Some(Box::new(entry.report()))))?;
        Ok(entry.report())
    }
}
