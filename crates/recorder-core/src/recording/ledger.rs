//! The ledger: per uid, what was expected, recorded, concealed and missing, and why. The words it uses, not the bookkeeping.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{Coding, SourceId};
use crate::units::{Ticks, Uid};

/// What a recording holds and lacks, uid by uid, ordered by uid.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Ledger {
    /// One entry for each uid that ever published audio that was to be recorded, and one for each further source of it that was heard
    /// beside its own sound.
    pub uids: Vec<TrackLedger>,
    /// What is missing of nobody knows whom; none where nothing is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unattributed: Option<Unattributed>,
    /// Milliseconds of playlists, of all of them together, that were kept as the bucket held them though the worker's record of
    /// them is lost; see [`Cause::Adopted`].
    #[serde(default, skip_serializing_if = "is_zero")]
    pub adopted_ms: u64,
}

impl Ledger {
    /// The verdict over all uids.
    pub fn verdict(&self) -> Verdict {
        let unattributed = self.unattributed.as_ref().is_some_and(|lost| lost.missing_ms > 0);
        if self.adopted_ms > 0 || unattributed {
            return Verdict::Partial;
        }
        if self.uids.iter().any(|uid| uid.missing_ms > 0) {
            return Verdict::Partial;
        }
        if self.holds_nothing() { Verdict::Empty } else { Verdict::Complete }
    }

    /// Whether no sound of anybody is in the recording.
    pub fn holds_nothing(&self) -> bool {
        self.adopted_ms == 0 && self.uids.iter().all(|uid| uid.recorded_ms == 0)
    }
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// What is missing of nobody knows whom: sound that arrived from tracks that were never announced, which is in no playlist, and time in
/// which the worker was dead, where its record of those whom it was hearing is lost.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Unattributed {
    /// Packets with sound.
    pub packets: u64,
    /// Milliseconds of sound that they held, of all tracks together, and of time in which nobody was heard. It is missing.
    pub missing_ms: u64,
    /// When they came, in order, with cause [`Cause::UnknownSource`], and when nobody was heard, with [`Cause::WorkerRestart`] (or
    /// [`Cause::Adopted`], where the bucket's sound was kept).
    pub gaps: Vec<Gap>,
    /// Gaps past the limit of the list, which are in the sums above all the same.
    #[serde(default)]
    pub gaps_omitted: u64,
}

/// The account of one uid, or of a further source of it. `expected = recorded + concealed + missing`, to a frame. Time in which nothing was due (before the join,
/// after the leave, muted, sender's DTX) is not expected; its gaps are listed all the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TrackLedger {
    /// Whose account.
    pub uid: Uid,
    /// Milliseconds of sound the sender made while it was to be recorded.
    pub expected_ms: u64,
    /// Milliseconds that arrived and are in the playlist. The sender's DTX counts as recorded.
    pub recorded_ms: u64,
    /// Milliseconds lost and bridged by concealment (at most 100 ms a gap), or recovered in the mix ([`Cause::RecoveredFec`]).
    pub concealed_ms: u64,
    /// Milliseconds lost and filled with silence.
    pub missing_ms: u64,
    /// Every stretch that is not the sender's own sound, in order, with its cause. An empty one (`from == to`) of
    /// [`Cause::ClockDrift`] is where a packet of a fast clock was left out; nothing of the wall time is missing there.
    pub gaps: Vec<Gap>,
    /// Gaps past the limit of the list, which are in the sums above all the same.
    #[serde(default)]
    pub gaps_omitted: u64,
    /// What became of the packets.
    #[serde(default)]
    pub packets: PacketCounts,
    /// What became of the sound in them, in samples at 48 kHz.
    #[serde(default)]
    pub samples: PacketCounts,
    /// Milliseconds of sound that arrived and is missing though there is no gap for it: other sound lies in its place. They are part of
    /// `missing_ms`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub overlaid_ms: BTreeMap<Cause, u64>,
    /// Which further source of the uid this is; none for its own sound: its microphone, else what it published first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<SourceId>,
    /// What the sender's packets were coded in, where that is not Opus: they were transcoded to it.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub transcoded_from: BTreeSet<Coding>,
}

impl TrackLedger {
    /// Milliseconds of the listed gaps and of what has no gap, cause by cause.
    pub fn by_cause(&self) -> BTreeMap<Cause, u64> {
        let mut ticks: BTreeMap<Cause, Ticks> = BTreeMap::new();
        for gap in &self.gaps {
            *ticks.entry(gap.cause).or_default() += gap.to - gap.from;
        }
        let mut sums: BTreeMap<Cause, u64> = ticks.into_iter().map(|(cause, length)| (cause, length.as_ms())).collect();
        for (cause, length) in &self.overlaid_ms {
            *sums.entry(*cause).or_default() += length;
        }
        sums
    }
}

/// What became of a uid's packets. When the recording is over each has one fate: `received` is the sum of all others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PacketCounts {
    /// Packets that arrived while the uid was to be recorded, of every kind.
    pub received: u64,
    /// Packets that are in the recording.
    pub placed: u64,
    /// Copies of packets that were there already.
    pub duplicate: u64,
    /// Came after their place had been written.
    pub late: u64,
    /// Not Opus, or with a time that makes no sense; or of a track that can't be read.
    pub malformed: u64,
    /// Came in greater number than the queue holds.
    pub overflow: u64,
    /// Left out to follow the wall clock.
    pub left_out: u64,
    /// Set aside for another stream of the uid that sounded: silence beside sound, which is no loss; what an older stream of a track
    /// sent while a newer one did ([`Cause::Superseded`]); or more than a uid has tracks for ([`Cause::TooManySources`]).
    pub superseded: u64,
    /// Without sound: RTP padding.
    #[serde(default)]
    pub padding: u64,
    /// Sound that was made before the recording began.
    #[serde(default)]
    pub before_start: u64,
    /// Sound that belongs past the recording's end.
    #[serde(default)]
    pub after_end: u64,
}

impl PacketCounts {
    /// The sum of all fates.
    pub const fn fates(&self) -> u64 {
        let Self { received: _, placed, duplicate, late, malformed, overflow, left_out, superseded, .. } = *self;
        let sounds = placed + duplicate + late + malformed + overflow + left_out + superseded;
        sounds + self.padding + self.before_start + self.after_end
    }
}

/// A stretch of a playlist that is filled, and why. Half-open: `from..to`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// First tick.
    pub from: Ticks,
    /// First tick after it.
    pub to: Ticks,
    /// Why.
    pub cause: Cause,
}

/// Why a stretch holds no sound of the sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// Packets were lost on the way (sequence numbers are missing).
    NetworkLoss,
    /// The sender stopped sending without saying so: its sequence numbers go on without a hole when it sends again. Before its first
    /// packet, in the hole that is going on, and in half a second at an end, too: nothing says that sound was made.
    SenderStall,
    /// The sender's clock ran away and was pulled back to wall time.
    ClockDrift,
    /// The publisher muted.
    Muted,
    /// Not in the channel: before the join, after the leave.
    Left,
    /// In the channel, but not publishing.
    NotPublishing,
    /// Not selected for recording.
    Excluded,
    /// The worker was dead, or back and had not heard the member again, who was to be heard.
    WorkerRestart,
    /// The channel was out of reach.
    ChannelDisconnected,
    /// This worker had to drop packets.
    Overload,
    /// Arrived after its place on the timeline had been written.
    Late,
    /// It was recorded, but could not be kept: the worker's disk was full. See [`super::Recorder::lose`].
    DiskFull,
    /// This worker stood still and did not hear what was sent to it: it was stopped, or its machine was paused.
    WorkerStalled,
    /// The worker's record of what arrived is damaged: a part of its journal can't be read.
    JournalDamaged,
    /// It came from a track that was never announced, so that nobody knows whose it is. See [`Unattributed`].
    UnknownSource,
    /// Nobody knows why there is no sound: nothing says that none was made. The sender fell silent without a word and came back as
    /// another stream, so that its sequence numbers say nothing.
    Unknown,
    /// The worker's record of this stretch is lost; the sound in the bucket was kept as it was. See [`super::Recorder::adopt`].
    /// Counts as recorded, though something may be missing in it.
    Adopted,
    /// Nothing came any more up to the recording's end, and nothing says whether any was sent.
    UnheardTail,
    /// The worker died, was back, and could not get back into the channel.
    ChannelUnreachable,
    /// It came from an older stream (SSRC) of a track while a newer one sounded.
    Superseded,
    /// It was left out for the wall clock's sake, more of it than a clock drifts.
    LeftOut,
    /// What came there is not Opus, or has a time that makes no sense.
    Malformed,
    /// More came than the queue holds.
    Overflow,
    /// The recorder was outside: it waited for somebody to come, and the member spoke before it was back in the channel.
    RecorderOutside,
    /// More of a uid's sources sounded at once than [`super::MAX_SOURCES`], for each of which there is a track.
    TooManySources,
    /// A track was end-to-end encrypted: what was said on it while it was not muted is in no playlist. Nothing says that it was silent.
    Encrypted,
    /// A track had a codec that is not recorded: as [`Cause::Encrypted`].
    UnsupportedCodec,
    /// A packet was lost, and the mix holds its sound from the copy that the packet behind it carries (in-band FEC, RFC 6716 section 2.1.7),
    /// which is coarser. Counts as concealed: a uid's own playlist conceals it.
    RecoveredFec,
}

impl Cause {
    /// Whether sound can be lost by it: the sender may have spoken, and what it said did not get here or could not be kept.
    pub const fn loses(self) -> bool {
        match self {
            Self::NetworkLoss
            | Self::WorkerRestart
            | Self::ChannelDisconnected
            | Self::Overload
            | Self::Late
            | Self::DiskFull
            | Self::WorkerStalled
            | Self::JournalDamaged
            | Self::UnknownSource
            | Self::Unknown
            | Self::ChannelUnreachable
            | Self::Superseded
            | Self::LeftOut
            | Self::Malformed
            | Self::Overflow
            | Self::RecorderOutside
            | Self::TooManySources
            | Self::Encrypted
            | Self::UnsupportedCodec
            | Self::RecoveredFec => true,
            Self::SenderStall
            | Self::ClockDrift
            | Self::Muted
            | Self::Left
            | Self::NotPublishing
            | Self::Excluded
            | Self::Adopted
            | Self::UnheardTail => false,
        }
    }

    /// Whether sound is missing for it because the worker's own record is: what the bucket holds may be richer.
    pub const fn is_of_a_poor_journal(self) -> bool {
        matches!(self, Self::WorkerRestart | Self::JournalDamaged | Self::UnknownSource)
    }
}

/// The verdict on a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Everything that was sent is there.
    Complete,
    /// Something is missing; the ledger says what.
    Partial,
    /// Nobody sent anything.
    Empty,
}
