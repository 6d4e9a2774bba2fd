//! Whether what a PUT left in the store is what was sent.
//!
//! What nobody says is not a reason to call an object altered: an answer without a checksum is asked for in other ways (the ETag of the PUT,
//! HEAD, the first byte), and a store that shows an object a little later is asked again. An object is altered where the store says so of
//! the version that it took.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use tokio::time::{Instant, sleep};

use super::body::Body;
use super::error::{Action, cant_read};
use super::put::Answer;
use super::{Bucket, BucketError, Held, Proof};

/// The pause before the second look, twice as long before each next one.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// How often a store that does not show an object is asked for it: 3 s in all.
const MAX_LOOKS: u32 = 6;

/// What one look tells.
enum Seen {
    Proven(Proof),
    /// It may be another version than the one that was taken.
    Differs,
    NotThere,
    /// It is there, and nothing is said of it.
    Untold,
}

impl Bucket {
    /// What proves that the store holds what it took; no look begins after `until`.
    pub(super) async fn confirm(
        &self,
        key: &str,
        body: &Body,
        answer: &Answer,
        until: Instant,
    ) -> Result<Proof, BucketError> {
        match &answer.checksum {
            Some(theirs) if *theirs == BASE64.encode(body.sha256()) => return Ok(Proof::Checksum),
            Some(_) => return Err(BucketError::Altered { key: key.to_owned() }),
            None => {}
        }
        if let Some(etag) = &answer.etag
            && self.is_md5(etag, body).await?
        {
            return Ok(Proof::ETag);
        }
        match self.look(key, body, answer, until).await {
            // Who may only write sees no more than the answer.
            Err(error) if cant_read(&error) && answer.etag.is_some() => Ok(Proof::Signed),
            Err(error @ BucketError::Altered { .. }) => Err(error),
            Err(error) => Err(BucketError::Unconfirmed(Box::new(error))),
            proof => proof,
        }
    }

    /// Asks for what the answer to the PUT did not say, until the store shows the object or the time is over.
    async fn look(&self, key: &str, body: &Body, answer: &Answer, until: Instant) -> Result<Proof, BucketError> {
        let mut pause = FIRST_PAUSE;
        for looks in 1.. {
            let seen = match self.head(key).await? {
                None => Seen::NotThere,
                Some(held) => self.compare(key, body, answer, &held).await?,
            };
            if let Seen::Proven(proof) = seen {
                return Ok(proof);
            }
            if looks == MAX_LOOKS || Instant::now() + pause > until || matches!(seen, Seen::Untold) {
                let (place, key) = (self.place(Action::Read).to_string(), key.to_owned());
                return Err(match seen {
                    Seen::NotThere => BucketError::Unseen { place, key },
                    Seen::Untold => BucketError::Untold { place, key },
                    Seen::Proven(_) | Seen::Differs => BucketError::Altered { key },
                });
            }
            sleep(pause).await;
            pause *= 2;
        }
        unreachable!("the number of looks has a bound")
    }

    async fn compare(&self, key: &str, body: &Body, answer: &Answer, held: &Held) -> Result<Seen, BucketError> {
        if let Some(theirs) = &held.sha256 {
            let same = *theirs == hex::encode(body.sha256());
            return Ok(if same { Seen::Proven(Proof::Checksum) } else { Seen::Differs });
        }
        // The version that the store took.
        let taken = held.etag.is_some() && held.etag == answer.etag;
        let size = match held.size {
            // What stands between may have changed the length of a HEAD.
            Some(size) if size != body.len() && taken => {
                self.first_byte(key).await.ok().flatten().and_then(|seen| seen.size)
            }
            size => size,
        };
        Ok(match size {
            Some(size) if size == body.len() => Seen::Proven(Proof::Length),
            Some(_) => Seen::Differs,
            None if taken => Seen::Proven(Proof::Signed),
            None => match &held.etag {
                Some(etag) if self.is_md5(etag, body).await? => Seen::Proven(Proof::ETag),
                _ => Seen::Untold,
            },
        })
    }
}
