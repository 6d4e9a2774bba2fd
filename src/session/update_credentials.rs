//! Fresh credentials for a running recording, or one on its way home from the backup: the bucket stays, who writes to it changes.

use super::command::Command;
use super::sessions::Sessions;
use super::{Error, Report, StorageConfigParts, TaskRef, endpoint, sealed};
use crate::storage::vendor::{self, VendorError};
use crate::storage::{Credentials, Destination};
use crate::store::{Sealed, SessionUpdate};

impl Sessions {
    /// Writes with other credentials from here on. They are proven first; a recording can't move to another bucket, so vendor
    /// and bucket may be left out.
    pub async fn update_credentials(&self, task: &TaskRef, parts: &StorageConfigParts) -> Result<Report, Error> {
        let entry = self.uploading(task).await?;
        let backing = &self.0.backing;
        let row = backing.store.session_get(&task.sid).await?;
        let sealed =
            row.and_then(|row| row.session.sealed).ok_or_else(|| Error::Gone(Some(Box::new(entry.report()))))?;
        let (known, _) = sealed::open(&backing.sealer, &sealed).map_err(|error| Error::Worker(error.to_string()))?;
        let destination = Destination { credentials: credentials(parts, &known)?, ..known };
        let bucket =
            endpoint::connect(self.0.settings.apps.get(&task.app), &destination, backing.uploader.destinations());
        bucket.prove().await?;
        let sealed = Sealed::Replace(sealed::seal(&backing.sealer, &destination, bucket.abilities()));
        backing.store.session_update(&task.sid, &SessionUpdate { sealed, ..SessionUpdate::default() }).await?;
        let event_dedup = entry.commands.send(Command::Rekey(bucket)).await;
        event_dedup.map_err(|_| Error::Gone(Some(Box::new(entry.report()))))?;
        Ok(entry.report())
    }
}

/// The new credentials, if they are for the place that the recording goes to.
fn credentials(parts: &StorageConfigParts, known: &Destination) -> Result<Credentials, Error> {
    let invalid = |error: VendorError| Error::Invalid(error.to_string());
    if parts.names_no_place() {
        return vendor::credentials(parts).map_err(invalid);
    }
    let asked = vendor::destination(parts).map_err(invalid)?;
    if (&asked.bucket, &asked.endpoint, &asked.region) != (&known.bucket, &known.endpoint, &known.region) {
        let problem = "names another bucket; a recording can't move, only its keys and token can change";
        return Err(Error::Invalid(format!("clientRequest.storageConfig {problem}")));
    }
    Ok(asked.credentials)
}
