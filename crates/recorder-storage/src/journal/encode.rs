//! Records to bytes. Pure; the state is what the format leaves out because the file said it before.

use std::collections::HashMap;

use super::checkpoint::{self, MAX_CHECKPOINT_BYTES};
use super::clock::{CLOCK_TICKS, Clock, ClockRecord};
use super::cursor::{put_varint, put_zigzag};
use super::{Record, StoredObject, frame, kind};
use recorder_core::recording::{Coding, Input, Packet, Selection, Source, Spec, StallCause, TimedInput, TrackKind};
use recorder_core::units::{BootTime, Sid, Ssrc, Ticks, TrackId, Uid};

/// Why a record was not encoded; nothing was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// The session was not introduced in this file.
    #[error("the session was not started in this journal; its first record must be Started")]
    NotStarted,
    /// The record does not fit a frame.
    #[error("a journal record must not be longer than {} bytes", super::MAX_BODY_BYTES)]
    TooLong,
    /// The state of a checkpoint is too long.
    #[error(
        "a checkpoint of {bytes} bytes is above the limit of {MAX_CHECKPOINT_BYTES}; the session goes on without one"
    )]
    CheckpointTooLong {
        /// Its length in bytes.
        bytes: usize,
    },
}

/// Encodes the records of one file, in order.
#[derive(Debug, Default)]
pub(super) struct Encoder {
    sessions: HashMap<Sid, Session>,
    introduced: u64,
}

#[derive(Debug)]
struct Session {
    sid: Sid,
    index: u64,
    at: Ticks,
    /// Time of the last clock record behind a record with a time.
    clocked: Option<Ticks>,
    /// Clock records so far: behind each, every SSRC is said again.
    clocks: u64,
    /// Checkpoints so far.
    checkpoints: u8,
    /// The SSRC of each track, and how many clock records there were when it was said last.
    sources: HashMap<TrackId, (Ssrc, u64)>,
}

impl Encoder {
    /// For the start of a file.
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// The file header; comes first, once.
    pub(super) fn header() -> [u8; frame::HEADER_BYTES] {
        frame::header()
    }

    /// Appends `record` to `out`, and a clock record where one is due; `now` is when the record is appended. An audio level keeps its
    /// lower 7 bits, all that RFC 6464 has.
    pub(super) fn encode(&mut self, record: &Record, now: BootTime, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        match record {
            Record::Started { spec } => self.introduce(kind::STARTED, spec, Ticks::ZERO, out),
            Record::Continued { spec } => self.introduce(kind::CONTINUED, spec, Ticks::ZERO, out),
            Record::Input { sid, input } => {
                let session = self.session(sid)?;
                session.encode_input(input, out)?;
                session.append_time(now, out);
                Ok(())
            }
            Record::Finished { sid, at } => {
                let session = self.session(sid)?;
                session.put(kind::FINISHED, *at, out, |_| ())?;
                session.append_time(now, out);
                Ok(())
            }
            Record::Stored { sid, object } => self.session(sid)?.encode_stored(object, out),
            Record::Checkpoint { sid, state } => {
                let session = self.session(sid)?;
                session.encode_checkpoint(state, out)?;
                session.put_clock(BootTime::UNKNOWN, out);
                Ok(())
            }
        }
    }

    /// Introduces a session that began in an earlier file and whose last record was at `at`. One whose [`Spec`] is lost is introduced
    /// by its clock record alone.
    pub(super) fn go_on(
        &mut self,
        sid: &Sid,
        spec: Option<&Spec>,
        at: Ticks,
        out: &mut Vec<u8>,
    ) -> Result<(), EncodeError> {
        if let Some(spec) = spec {
            return self.introduce(kind::CONTINUED, spec, at, out);
        }
        self.add(sid, at, out);
        Ok(())
    }

    /// Says the time of each session once more, where it went on since it was said: the file ends.
    pub(super) fn end(&mut self, out: &mut Vec<u8>) {
        let mut sessions: Vec<_> =
            self.sessions.values_mut().filter(|session| session.clocked.is_some_and(|at| at != session.at)).collect();
        sessions.sort_by_key(|session| session.index);
        sessions.into_iter().for_each(|session| session.put_clock(BootTime::UNKNOWN, out));
    }

    /// Drops what is remembered about a session that writes no more.
    pub(super) fn forget(&mut self, sid: &Sid) {
        self.sessions.remove(sid);
    }

    /// Whether the session was introduced in this file.
    pub(super) fn knows(&self, sid: &Sid) -> bool {
        self.sessions.contains_key(sid)
    }

    fn session(&mut self, sid: &Sid) -> Result<&mut Session, EncodeError> {
        self.sessions.get_mut(sid).ok_or(EncodeError::NotStarted)
    }

    fn introduce(&mut self, kind: u8, spec: &Spec, at: Ticks, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        let start = frame::open(out);
        out.push(kind);
        put_varint(out, self.introduced);
        serde_json::to_writer(&mut *out, spec).expect("a spec has string keys only and a Vec takes every byte");
        if !frame::close(out, start) {
            return Err(EncodeError::TooLong);
        }
        self.add(&spec.sid, at, out);
        Ok(())
    }

    /// Numbers a session and says its time.
    fn add(&mut self, sid: &Sid, at: Ticks, out: &mut Vec<u8>) {
        let index = self.introduced;
        let mut session =
            Session { sid: sid.clone(), index, at, clocked: None, clocks: 0, checkpoints: 0, sources: HashMap::new() };
        session.put_clock(BootTime::UNKNOWN, out);
        self.introduced += 1;
        self.sessions.insert(sid.clone(), session);
    }
}

impl Session {
    /// Says the session's time behind its first record with one, and about once a second.
    fn append_time(&mut self, now: BootTime, out: &mut Vec<u8>) {
        if self.clocked.is_none_or(|clocked| self.at.0.abs_diff(clocked.0) >= CLOCK_TICKS) {
            self.clocked = Some(self.at);
            self.put_clock(now, out);
        }
    }

    fn put_clock(&mut self, time: BootTime, out: &mut Vec<u8>) {
        let start = frame::open(out);
        out.push(kind::CLOCK);
        put_varint(out, self.index);
        ClockRecord { sid: self.sid.clone(), clock: Clock { ticks: self.at, time } }.write(out);
        assert!(frame::close(out, start), "a clock record fits a frame with the longest numbers in it");
        self.clocks += 1;
    }

    fn encode_checkpoint(&mut self, state: &[u8], out: &mut Vec<u8>) -> Result<(), EncodeError> {
        if state.len() > MAX_CHECKPOINT_BYTES {
            return Err(EncodeError::CheckpointTooLong { bytes: state.len() });
        }
        self.checkpoints = self.checkpoints.wrapping_add(1);
        for part in checkpoint::parts(state, self.checkpoints) {
            let start = frame::open(out);
            out.push(kind::CHECKPOINT_COPY);
            put_varint(out, self.index);
            part.write(out);
            assert!(frame::close(out, start), "a part fits a frame with the longest numbers before it");
        }
        Ok(())
    }

    fn encode_stored(&self, object: &StoredObject, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        let start = frame::open(out);
        out.push(kind::STORED);
        put_varint(out, self.index);
        object.write(out);
        if frame::close(out, start) { Ok(()) } else { Err(EncodeError::TooLong) }
    }

    fn encode_input(&mut self, TimedInput { at, input }: &TimedInput, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        let at = *at;
        match input {
            Input::Joined { uid } => self.put(kind::JOINED, at, out, |out| put_uid(out, uid)),
            Input::Left { uid } => self.put(kind::LEFT, at, out, |out| put_uid(out, uid)),
            Input::GivenUp { uid } => self.put(kind::GIVEN_UP, at, out, |out| put_uid(out, uid)),
            Input::Speaking { uid, speaking } => self.put(kind::SPEAKING, at, out, |out| {
                out.push(u8::from(*speaking));
                put_uid(out, uid);
            }),
            Input::TrackAdded { track, uid, muted, kind: what } => {
                let told = *what != TrackKind::default();
                let kind = if told { kind::TRACK_PUBLISHED } else { kind::TRACK_ADDED };
                self.put(kind, at, out, |out| {
                    put_track(out, *track);
                    out.push(u8::from(*muted));
                    if told {
                        out.extend_from_slice(&[source_code(what.source), coding_code(what.coding)]);
                    }
                    put_uid(out, uid);
                })
            }
            Input::TrackRemoved { track } => self.put(kind::TRACK_REMOVED, at, out, |out| put_track(out, *track)),
            Input::Muted { track, muted } => self.put(kind::MUTED, at, out, |out| {
                put_track(out, *track);
                out.push(u8::from(*muted));
            }),
            Input::Overloaded { track, overloaded } => self.put(kind::OVERLOADED, at, out, |out| {
                put_track(out, *track);
                out.push(u8::from(*overloaded));
            }),
            Input::Packet(packet) => self.encode_packet(packet, at, out),
            Input::SenderReport { track, ntp, rtp } => self.put(kind::SENDER_REPORT, at, out, |out| {
                put_track(out, *track);
                out.extend_from_slice(&ntp.to_le_bytes());
                out.extend_from_slice(&rtp.to_le_bytes());
            }),
            Input::ChannelDown => self.put(kind::CHANNEL_DOWN, at, out, |_| ()),
            Input::ChannelUp => self.put(kind::CHANNEL_UP, at, out, |_| ()),
            Input::Select(selection) => self.put(kind::SELECT, at, out, |out| put_selection(out, selection)),
            Input::WorkerRestarted => self.put(kind::WORKER_RESTARTED, at, out, |_| ()),
            Input::CodersRestarted => self.put(kind::CODERS_RESTARTED, at, out, |_| ()),
            Input::Stalled { from, cause } => self.put(kind::STALLED, at, out, |out| {
                put_varint(out, (at - *from).0);
                out.push(stall_code(*cause));
            }),
            Input::ChannelLost { since } => {
                self.put(kind::CHANNEL_LOST, at, out, |out| put_varint(out, (at - *since).0))
            }
            Input::Unheard { uid, since } => self.put(kind::UNHEARD, at, out, |out| {
                put_varint(out, (at - *since).0);
                put_uid(out, uid);
            }),
            Input::InputsLost { from } => self.put(kind::INPUTS_LOST, at, out, |out| put_varint(out, (at - *from).0)),
        }
    }

    fn encode_packet(&mut self, packet: &Packet, at: Ticks, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        let said = self.sources.get(&packet.track).copied();
        let known = said.is_some_and(|(ssrc, _)| ssrc == packet.ssrc);
        let due = said != Some((packet.ssrc, self.clocks));
        let mut kind = kind::PACKET;
        kind |= if packet.marker { kind::MARKER } else { 0 };
        kind |= if packet.level.is_some() { kind::LEVEL } else { 0 };
        kind |= if due { kind::SSRC } else { 0 };
        kind |= if due && known { kind::REPEATED } else { 0 };
        self.put(kind, at, out, |out| {
            put_track(out, packet.track);
            if due {
                out.extend_from_slice(&packet.ssrc.0.to_le_bytes());
            }
            out.extend_from_slice(&packet.sequence.to_le_bytes());
            out.extend_from_slice(&packet.timestamp.to_le_bytes());
            out.extend(packet.level.map(|level| level & 0x7f));
            out.extend_from_slice(&packet.payload);
        })?;
        if due {
            self.sources.insert(packet.track, (packet.ssrc, self.clocks));
        }
        Ok(())
    }

    fn put(
        &mut self,
        kind: u8,
        at: Ticks,
        out: &mut Vec<u8>,
        rest: impl FnOnce(&mut Vec<u8>),
    ) -> Result<(), EncodeError> {
        let start = frame::open(out);
        out.push(kind);
        put_varint(out, self.index);
        put_zigzag(out, at.signed_since(self.at));
        rest(out);
        if !frame::close(out, start) {
            return Err(EncodeError::TooLong);
        }
        self.at = at;
        Ok(())
    }
}

fn put_track(out: &mut Vec<u8>, track: TrackId) {
    put_varint(out, u64::from(track.0));
}

/// The byte for the cause of a stall.
const fn stall_code(cause: StallCause) -> u8 {
    match cause {
        StallCause::WorkerStalled => 0,
        StallCause::Overload => 1,
    }
}

const fn source_code(source: Source) -> u8 {
    match source {
        Source::Unspecified => 0,
        Source::Microphone => 1,
        Source::ScreenAudio => 2,
    }
}

const fn coding_code(coding: Coding) -> u8 {
    match coding {
        Coding::Opus => 0,
        Coding::Pcmu => 1,
        Coding::Pcma => 2,
        Coding::Unsupported => 3,
        Coding::Encrypted => 4,
    }
}

fn put_uid(out: &mut Vec<u8>, uid: &Uid) {
    out.extend_from_slice(uid.as_str().as_bytes());
}

fn put_selection(out: &mut Vec<u8>, selection: &Selection) {
    serde_json::to_writer(out, selection).expect("a selection has string keys only and a Vec takes every byte");
}
