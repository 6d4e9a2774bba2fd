//! The whole state of a recording as bytes, for the journal: a checkpoint. Another run of the worker goes on from there and needs no
//! earlier record.
//!
//! It is written when all that the core had ready is in the spool, so what is not confirmed in it is in the spool or was confirmed
//! later. Layout: the version (`u8`), the wall time of tick 0 (`u64`, little endian), then the state as postcard writes it, deflated; where
//! segments are packed anew, what the next ones need of those before follows the state in the same stream. The
//! state's types have no version of their own: whoever changes one of them gives the format a new [`VERSION`] and keeps a way to
//! read the one before, because a worker that is replaced by a newer one leaves its checkpoints to it.

use std::collections::BTreeMap;
use std::io::{Read, Write};

use bytes::Bytes;
use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;
use serde::{Deserialize, Serialize};

use super::Pipeline;
use super::packed::Recent;
use crate::recording::{Recorder, SnapshotError};
use crate::session::context::SessionContext;
use crate::session::objects::{Objects, Stored};
use crate::session::presence::Presence;
use crate::session::publication::Standing;
use crate::session::speech::Speech;
use crate::session::uploaded::Uploads;
use crate::storage::journal::Record;
use crate::units::{Ticks, WallMs};

/// The format that is written, and the only one so far.
const VERSION: u8 = 1;
/// Bytes before the state.
const HEADER: usize = 1 + 8;
/// Longest state that is read, in bytes: a month of many talkers.
const MAX_STATE_BYTES: u64 = 1 << 30;

/// Where a recording is, beside what its works know.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(in crate::session) struct Position {
    pub(in crate::session) presence: Presence,
    /// Arrival of the last input.
    pub(in crate::session) last: Ticks,
    /// When it was told to end, if it was.
    pub(in crate::session) finished: Option<Ticks>,
    /// Whether the way to the channel is broken.
    pub(in crate::session) down: bool,
}

#[derive(Serialize, Deserialize)]
struct State {
    recorder: Vec<u8>,
    standing: Standing,
    objects: Objects,
    unconfirmed: BTreeMap<String, Stored>,
    speech: Speech,
    packets_dropped: u64,
    position: Position,
}

/// Why a checkpoint can't be taken up.
#[derive(Debug, thiserror::Error)]
pub(in crate::session) enum CheckpointError {
    #[error("its checkpoint has format {0} and this worker reads format {VERSION}; start the version that wrote it")]
    Version(u8),
    #[error(transparent)]
    Recorder(#[from] SnapshotError),
    #[error("its checkpoint is damaged")]
    Damaged,
}

impl CheckpointError {
    /// Whether another version of this program can read it.
    pub(in crate::session) const fn is_foreign(&self) -> bool {
        matches!(self, Self::Version(_) | Self::Recorder(SnapshotError::Version(_)))
    }
}

impl Pipeline {
    /// Whether the whole recording can be put down: nothing that the core made is in memory only.
    pub(in crate::session) fn can_be_checkpointed(&self) -> bool {
        self.earlier_runs.is_none()
            && !self.is_primary_unread()
            && self.fixed.is_empty()
            && self.context.spool.memory_bytes() == 0
    }

    /// The whole recording; everything that the core has ready was shipped.
    pub(in crate::session) fn write_checkpoint(&self, position: Position) -> Record {
        let state = State {
            recorder: self.recorder.snapshot(),
            standing: self.publication.standing().clone(),
            objects: self.objects.clone(),
            unconfirmed: self.unconfirmed.clone(),
            speech: self.speech.clone(),
            packets_dropped: self.context.report.borrow().packets_dropped,
            position,
        };
        let state = Bytes::from(write(self.start, &state, &self.recent()));
        Record::Checkpoint { sid: self.context.plan.sid.clone(), state }
    }

    /// Goes on from a checkpoint.
    pub(in crate::session) fn go_on(
        context: SessionContext,
        uploads: Uploads,
        checkpoint: CheckpointRead,
    ) -> (Self, Position) {
        let CheckpointRead { start, recorder, state, recent } = checkpoint;
        context.report.send_modify(|report| report.packets_dropped = state.packets_dropped);
        let mut pipeline = Self::with(context, start, recorder, uploads);
        pipeline.publication.go_on(state.standing, &state.objects);
        pipeline.recent = recent;
        (pipeline.objects, pipeline.unconfirmed, pipeline.speech) = (state.objects, state.unconfirmed, state.speech);
        (pipeline, state.position)
    }
}

fn write(start: WallMs, state: &State, recent: &Recent) -> Vec<u8> {
    let mut bytes = vec![VERSION];
    bytes.extend(start.0.to_le_bytes());
    let mut plain = postcard::to_stdvec(state).expect("every list of a recording knows its length");
    if !recent.is_empty() {
        plain.extend(postcard::to_stdvec(recent).expect("every list of a recording knows its length"));
    }
    let mut deflated = DeflateEncoder::new(bytes, Compression::fast());
    let written = deflated.write_all(&plain).and_then(|()| deflated.finish());
    written.expect("memory takes what is written")
}

/// A checkpoint that was read.
pub(in crate::session) struct CheckpointRead {
    start: WallMs,
    recorder: Recorder,
    state: State,
    recent: Recent,
}

impl CheckpointRead {
    /// Wall time at tick 0 of the recording in a checkpoint.
    pub(in crate::session) fn start(bytes: &[u8]) -> Result<WallMs, CheckpointError> {
        let (version, rest) = bytes.split_first().ok_or(CheckpointError::Damaged)?;
        if *version != VERSION {
            return Err(CheckpointError::Version(*version));
        }
        let start = rest.first_chunk().ok_or(CheckpointError::Damaged)?;
        Ok(WallMs(u64::from_le_bytes(*start)))
    }

    /// Reads a checkpoint.
    pub(in crate::session) fn read(bytes: &[u8]) -> Result<Self, CheckpointError> {
        let start = Self::start(bytes)?;
        let mut plain = Vec::new();
        let state = DeflateDecoder::new(&bytes[HEADER..]).take(MAX_STATE_BYTES).read_to_end(&mut plain);
        state.map_err(|_| CheckpointError::Damaged)?;
        let (state, rest): (State, _) = postcard::take_from_bytes(&plain).map_err(|_| CheckpointError::Damaged)?;
        let recent = if rest.is_empty() { Ok(Recent::default()) } else { postcard::from_bytes(rest) };
        let recent = recent.map_err(|_| CheckpointError::Damaged)?;
        Ok(Self { start, recorder: Recorder::restore(&state.recorder)?, state, recent })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::plan::tests::plan;

    fn bytes() -> Vec<u8> {
        let start = WallMs(1_700_000_000_000);
        let state = State {
            recorder: Recorder::new(plan().spec(start)).snapshot(),
            standing: Standing::default(),
            objects: Objects::default(),
            unconfirmed: BTreeMap::new(),
            speech: Speech::default(),
            packets_dropped: 3,
            position: Position { last: Ticks::from_secs(5), ..Position::default() },
        };
        write(start, &state, &Recent::default())
    }

    #[test]
    fn a_checkpoint_comes_back() {
        let checkpoint = CheckpointRead::read(&bytes()).unwrap();
        assert_eq!((checkpoint.start, checkpoint.state.packets_dropped), (WallMs(1_700_000_000_000), 3));
        assert_eq!((checkpoint.state.position.last, checkpoint.state.position.finished), (Ticks::from_secs(5), None));
        assert_eq!(checkpoint.recorder.next_wake(), Recorder::new(plan().spec(checkpoint.start)).next_wake());
    }

    #[test]
    fn another_version_and_damage_are_told_apart() {
        let mut other = bytes();
        other[0] = 9;
        let error = CheckpointRead::read(&other).err().unwrap();
        assert!(matches!(error, CheckpointError::Version(9)) && error.is_foreign());
        for cut in [0, 1, HEADER, HEADER + 10, bytes().len() - 1] {
            let error = CheckpointRead::read(&bytes()[..cut]).err().unwrap();
            assert!(!error.is_foreign(), "cut at {cut}: {error}");
        }
    }
}
