//! A recording that goes on though a bucket did not say what it holds, where the journal may know less than that.
//!
//! What is made then is kept in the spool (and copied to a second bucket, where one is used), and none of it goes to the bucket before
//! both have answered: what either has is final. With each answer the ends of the playlists that are not in the bucket are taken
//! back and added anew around it ([`super::tails`]); then everything that is left is uploaded. The recording's own bucket is waited for as
//! long as the recording lasts, and for [`AWAY_TIMEOUT`] after its end where all of it is in the second one; the second bucket for
//! [`copies::TIMEOUT`].

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};
use tokio_util::task::AbortOnDropHandle;

use super::Pipeline;
use super::copies::{self, Copy, Fetched};
use super::packed::Cores;
use super::pending_bucket::PendingBucket;
use crate::callback::event::{ErrorCode, ErrorEvent, ErrorLevel, ErrorReason, Module, RecordingEvent};
use crate::error_class::Classify;
use crate::recording::PlaylistId;
use crate::session::in_bucket::{InBucket, Question};
use crate::session::objects::Stored;
use crate::storage::journal::StoredObject;
use crate::storage::{BucketError, Progress, SpoolError, SpooledObject, UploadError};

/// How far apart two questions to the buckets are.
const ASK_EVERY: Duration = Duration::from_secs(3);
/// How long a recording that is over, and whose second bucket has all of it, waits for the word of its own.
const AWAY_TIMEOUT: Duration = Duration::from_secs(600);

/// What the buckets said when they were asked what they hold; none of one that was not asked.
#[derive(Debug)]
pub(in crate::session) struct Answer {
    home: Option<Result<InBucket, BucketError>>,
    copies: Option<Fetched>,
}

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct UnreadPrimary {
    /// While the recording's own bucket did not answer.
    home: Option<Silent>,
    /// While the second one did not.
    copies: Option<Awaited>,
    /// The journal's word of what the bucket confirmed.
    confirmed: Vec<StoredObject>,
    ask_at: Instant,
    asking: Option<AbortOnDropHandle<Answer>>,
    /// What is not handed over to the bucket: what an earlier run left in the spool, and what was made since.
    pub(super) left: Vec<SpooledObject>,
    pub(super) made: Vec<SpooledObject>,
    /// What a checkpoint calls unconfirmed and the spool has no more.
    pub(super) gone: Vec<(String, Stored)>,
    /// What of that the recording's own bucket does not have.
    pub(super) lost: Vec<(String, Stored)>,
    /// What segments that are packed anew were made of.
    pub(super) cores: Cores,
    /// Playlists whose end would have been said.
    ends: BTreeSet<PlaylistId>,
}

/// A bucket that does not answer.
#[derive(Debug)]
struct Silent {
    since: Instant,
    /// What it, or the network, said last.
    error: UploadError,
    attempts: u32,
    /// When the recording was over, as far as it is.
    over: Option<Instant>,
}

/// A second bucket that is waited for.
#[derive(Debug)]
struct Awaited {
    until: Instant,
    /// The code of the last fault.
    code: &'static str,
    /// What was fetched so far.
    fetched: Vec<Copy>,
}

impl UnreadPrimary {
    /// The recording's own bucket did not answer.
    pub(super) fn about_home(known: PendingBucket, gone: Vec<(String, Stored)>) -> Self {
        let PendingBucket { confirmed, error, attempts, left } = known;
        let home = Silent { since: Instant::now(), error, attempts, over: None };
        Self { home: Some(home), left, gone, ..Self::new(confirmed) }
    }

    fn new(confirmed: Vec<StoredObject>) -> Self {
        Self {
            home: None,
            copies: None,
            confirmed,
            ask_at: Instant::now() + ASK_EVERY,
            asking: None,
            left: Vec::new(),
            made: Vec::new(),
            gone: Vec::new(),
            lost: Vec::new(),
            cores: Cores::default(),
            ends: BTreeSet::new(),
        }
    }

    /// Waits until an answer comes, or is to be asked for. Cancelling loses nothing.
    pub(super) async fn next(unread_primary: &mut Option<Self>) -> Option<Answer> {
        let Some(unread_primary) = unread_primary else { return std::future::pending().await };
        match &mut unread_primary.asking {
            Some(asking) => {
                let answered = asking.await;
                unread_primary.asking = None;
                // One that was broken off told nothing.
                answered.ok()
            }
            None => {
                sleep_until(unread_primary.ask_at).await;
                None
            }
        }
    }

    /// Whether the recording's own bucket has said what it holds.
    pub(super) const fn is_home_known(&self) -> bool {
        self.home.is_none()
    }

    /// Whether both have.
    pub(super) const fn is_over(&self) -> bool {
        self.home.is_none() && self.copies.is_none()
    }

    /// Whether the recording may be over without its bucket's word.
    fn may_be_away(&self) -> bool {
        let home = |home: &Silent| home.over.is_some_and(|over| over.elapsed() >= AWAY_TIMEOUT);
        self.copies.is_none() && self.home.as_ref().is_none_or(home)
    }

    /// What waits for the bucket's word counts as waiting for the bucket.
    fn add_to(&self, progress: &Progress) -> Progress {
        let waiting = || self.left.iter().chain(&self.made);
        let home = self.home.as_ref();
        Progress {
            waiting_objects: progress.waiting_objects + waiting().count() as u64,
            waiting_bytes: progress.waiting_bytes + waiting().map(|object| object.size).sum::<u64>(),
            oldest: progress.oldest.into_iter().chain(home.map(|home| home.since)).min(),
            trouble: home.map(|home| home.error.error_class()).or(progress.trouble),
            ..progress.clone()
        }
    }
}

impl Pipeline {
    /// The bucket was waited for as long as can be: the recording goes on with what the journal knows.
    pub(in crate::session) async fn wait_no_longer(&mut self) {
        let what = "the recording goes on without knowing; what it makes is kept on the disk and goes to the bucket when that has answered";
        self.emit_wait(ErrorReason::BucketNotAsked, ErrorLevel::Major, what).await;
        let Some(pending_bucket) =
            self.earlier_runs.as_mut().and_then(|earlier_runs| earlier_runs.pending_bucket.take())
        else {
            return;
        };
        let gone = self.take_removed();
        self.unread_primary = Some(UnreadPrimary::about_home(pending_bucket, gone));
    }

    /// Whether the recording goes on without a bucket's word.
    pub(super) const fn is_primary_unread(&self) -> bool {
        self.unread_primary.is_some()
    }

    /// Whether the recording may be over without its bucket's word, if the second one has all of it.
    pub(super) fn may_be_away(&self) -> bool {
        self.unread_primary.as_ref().is_none_or(UnreadPrimary::may_be_away)
    }

    /// How far the way to the bucket is.
    pub(super) fn progress(&self) -> Progress {
        let progress = self.queue.progress();
        match &self.unread_primary {
            Some(unread_primary) => unread_primary.add_to(&progress),
            None => progress,
        }
    }

    /// Hands a spooled object over to the bucket, or keeps it back until that says what it holds.
    pub(super) fn hand_over(&mut self, kept: SpooledObject) {
        let pending_bucket = self.earlier_runs.as_mut().and_then(|earlier_runs| earlier_runs.pending_bucket.as_mut());
        match (&mut self.unread_primary, pending_bucket) {
            (Some(unread_primary), _) => unread_primary.made.push(kept),
            (None, Some(pending_bucket)) => pending_bucket.left.push(kept),
            (None, None) => self.queue.submit(kept),
        }
    }

    /// What is made from here on waits for the second bucket too, and what an earlier run `left`. `lost`: what only that can have.
    pub(super) fn doubt_copies(&mut self, lost: Vec<(String, Stored)>, left: Vec<SpooledObject>, code: &'static str) {
        let confirmed = self.context.journal.stored(&self.context.plan.sid);
        let unread_primary = self.unread_primary.get_or_insert_with(|| UnreadPrimary::new(confirmed));
        unread_primary.copies = Some(Awaited { until: Instant::now() + copies::TIMEOUT, code, fetched: Vec::new() });
        unread_primary.lost.extend(lost);
        unread_primary.left.extend(left);
    }

    /// There is no memory for what a bucket may hold otherwise: says that its word is waited for no more.
    pub(super) async fn tell_that_it_waits_no_more(&mut self) {
        let Some(UnreadPrimary { home, copies, .. }) = &self.unread_primary else { return };
        let reason = match (home, copies) {
            (Some(home), _) => ErrorReason::BucketNotAsked(home.error.error_class().code),
            (None, Some(awaited)) => ErrorReason::BackupNotAsked(awaited.code),
            (None, None) => return,
        };
        let text = "the worker's journal lacks a part of this recording, and there is no memory to wait longer for what its buckets \
                    hold; what only they know stays there, and may be in no playlist";
        tracing::error!(sid = %self.context.plan.sid, "{text}");
        let said = ErrorEvent::new(Module::Uploader, ErrorLevel::Major, ErrorCode::StorageConfiguration, text);
        self.append_events(vec![RecordingEvent::Error(said.because(reason))]).await;
    }

    /// Asks the buckets, or takes what they answered.
    pub(super) async fn poll_unread_primary(&mut self, answer: Option<Answer>) {
        let finished = self.finished;
        let Some(unread_primary) = &mut self.unread_primary else { return };
        unread_primary.ask_at = Instant::now() + ASK_EVERY;
        if let Some(home) = unread_primary.home.as_mut().filter(|_| finished) {
            home.over.get_or_insert_with(Instant::now);
        }
        let Some(Answer { home, copies }) = answer else { return self.ask() };
        let held = self.home_answered(home).await;
        let fetched = self.copies_answered(copies).await;
        if held.is_some() || fetched.is_some() {
            let well = held.is_some();
            if let Err(error) = self.settle(held, fetched.unwrap_or_default()).await {
                tracing::error!(sid = %self.context.plan.sid, "what a bucket holds could not be taken: {error}");
            }
            if well {
                let events = self.watch.recovered(&self.queue.progress(), Instant::now());
                self.append_events(events.into_iter().collect()).await;
            }
            if self.earlier_runs.is_none() {
                self.account();
            }
        }
        if self.unread_primary.as_ref().is_some_and(UnreadPrimary::is_over)
            && let Err(error) = self.let_go_of_doubt().await
        {
            tracing::error!(sid = %self.context.plan.sid, "a playlist could not be given out: {error}");
        }
    }

    /// The word of a bucket is waited for no more: what was made goes to the recording's own as it is.
    pub(in crate::session) async fn end_unread_primary(&mut self) -> Result<(), SpoolError> {
        let Some(unread_primary) = &mut self.unread_primary else { return Ok(()) };
        let (gone, lost) = (std::mem::take(&mut unread_primary.gone), std::mem::take(&mut unread_primary.lost));
        self.settle_as_confirmed(gone);
        let replaced = self.replace_all_lost(lost).await;
        replaced.and(self.let_go_of_doubt().await)
    }

    /// Whether the end of a playlist is not to be said yet, which is remembered.
    pub(super) fn is_end_doubted(&mut self, playlist: &PlaylistId) -> bool {
        let ends = self.publication.has_ended(playlist);
        self.unread_primary
            .as_mut()
            .filter(|_| ends)
            .map(|unread_primary| unread_primary.ends.insert(playlist.clone()))
            .is_some()
    }

    /// Hands over what was kept back.
    async fn let_go_of_doubt(&mut self) -> Result<(), SpoolError> {
        let Some(UnreadPrimary { left, made, ends, .. }) = self.unread_primary.take() else { return Ok(()) };
        self.queue.resume(left);
        made.into_iter().for_each(|object| self.queue.submit(object));
        for playlist in ends {
            if !self.publication.is_promised() && self.publication.has_ended(&playlist) {
                self.upload_playlist(&playlist).await?;
            }
        }
        Ok(())
    }

    fn ask(&mut self) {
        let Some(unread_primary) = &self.unread_primary else { return };
        let bucket = self.queue.bucket();
        let home = unread_primary.home.is_some();
        let home =
            home.then(|| Question::beside_stored(&self.context.plan, &unread_primary.confirmed, &self.publication));
        let copies = unread_primary.copies.as_ref().and_then(|awaited| {
            let lacking = unread_primary.gone.iter().chain(&unread_primary.lost).map(|(name, _)| name.as_str());
            // What was made since gives way to what is there, which may have the same name.
            let lacking = lacking.chain(unread_primary.made.iter().map(|object| object.name.as_str()));
            let ask = self.ask_copies(None, &unread_primary.confirmed, lacking)?;
            let fetched = awaited.fetched.iter().map(|(_, object)| object.name.as_str());
            Some(ask.beside_spooled(unread_primary.left.iter()).beside(fetched))
        });
        let asking = self.context.tasks.spawn(async move {
            let home = async { Some(InBucket::look(&bucket, home.as_ref()?).await) };
            let copies = async { Some(copies?.fetch().await) };
            let (home, copies) = tokio::join!(home, copies);
            Answer { home, copies }
        });
        if let Some(unread_primary) = &mut self.unread_primary {
            unread_primary.asking = Some(AbortOnDropHandle::new(asking));
        }
    }

    /// What the recording's own bucket holds, if it said so just now.
    async fn home_answered(&mut self, answer: Option<Result<InBucket, BucketError>>) -> Option<InBucket> {
        let silent = self.unread_primary.as_mut()?.home.as_mut()?;
        match answer? {
            Ok(held) => {
                self.unread_primary.as_mut()?.home = None;
                Some(held)
            }
            Err(error) => {
                silent.attempts = silent.attempts.saturating_add(1);
                let (error, attempts) = (UploadError::from(error), silent.attempts);
                self.trouble("what the bucket holds", &error, attempts).await;
                self.unread_primary.as_mut()?.home.as_mut()?.error = error;
                None
            }
        }
    }

    /// What was fetched from the second bucket, if that is all, or all that is waited for.
    async fn copies_answered(&mut self, answer: Option<Fetched>) -> Option<Vec<Copy>> {
        let unread_primary = self.unread_primary.as_mut()?;
        let Fetched { copies, error, .. } = answer?;
        let awaited = unread_primary.copies.as_mut()?;
        awaited.fetched.extend(copies);
        awaited.code = error.as_ref().map_or(awaited.code, |error| error.error_class().code);
        let waits = error.as_ref().is_some_and(copies::may_be_asked_later) && Instant::now() < awaited.until;
        if waits {
            return None;
        }
        let fetched = std::mem::take(&mut awaited.fetched);
        unread_primary.copies = None;
        if let Some(error) = error {
            self.copies_stay(&error).await;
        }
        Some(fetched)
    }
}
