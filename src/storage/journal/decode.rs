//! Bytes to records. Pure; trusts nothing.

use std::collections::HashMap;

use bytes::Bytes;

use super::checkpoint::{Gathering, Part};
use super::cursor::Cursor;
use super::{Record, StoredObject, kind};
use crate::recording::{Input, Packet, Selection, Spec, StallCause, TimedInput};
use crate::units::{Sid, Ssrc, Ticks, TrackId, Uid};

/// Which records of a file are wanted.
#[derive(Debug, Default)]
pub(super) enum Wanted {
    /// All.
    #[default]
    All,
    /// Those of these sessions, from the one that ends at this byte of the file on.
    From(HashMap<Sid, u64>),
}

impl Wanted {
    fn from(&self, sid: &Sid) -> Option<u64> {
        match self {
            Self::All => Some(0),
            Self::From(sessions) => sessions.get(sid).copied(),
        }
    }
}

/// Decodes the frame bodies of one file, in order. What it remembers grows with what the file introduced: a session, a track,
/// the parts of a checkpoint.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    sessions: Vec<Session>,
    wanted: Wanted,
}

#[derive(Debug)]
struct Session {
    sid: Sid,
    /// Its records are wanted from the one that ends here on; `None`: never.
    from: Option<u64>,
    at: Ticks,
    sources: HashMap<TrackId, Ssrc>,
    checkpoint: Gathering,
}

impl Decoder {
    /// For the start of a file.
    pub(super) fn new(wanted: Wanted) -> Self {
        Self { sessions: Vec::new(), wanted }
    }

    /// The record in the body of a frame that ends at byte `end` of the file, or what is wrong with it. `None`: it is not wanted, or
    /// others belong to it that are still to come. What is not wanted is not looked at closely.
    pub(super) fn decode(&mut self, body: &[u8], end: u64) -> Result<Option<Record>, &'static str> {
        let (kind, index, mut body) = open(body)?;
        let record = match kind {
            kind::STARTED => Record::Started { spec: self.introduce(index, &mut body)? },
            kind::CONTINUED => Record::Continued { spec: self.introduce(index, &mut body)? },
            _ => {
                let session = usize::try_from(index).ok().and_then(|index| self.sessions.get_mut(index));
                let session = session.ok_or("a session that was not introduced")?;
                let Some(from) = session.from else { return Ok(None) };
                return session.decode(kind, &mut body, end >= from);
            }
        };
        Ok(self.wanted.from(record.sid()).filter(|from| end >= *from).map(|_| record))
    }

    fn introduce(&mut self, index: u64, body: &mut Cursor<'_>) -> Result<Spec, &'static str> {
        if index != self.sessions.len() as u64 {
            return Err("sessions are not introduced in order");
        }
        let spec = spec(body)?;
        self.sessions.push(Session {
            sid: spec.sid.clone(),
            from: self.wanted.from(&spec.sid),
            at: Ticks::ZERO,
            sources: HashMap::new(),
            checkpoint: Gathering::default(),
        });
        Ok(spec)
    }
}

/// The kind of the record in a body, the number of its session, and the rest.
pub(super) fn open(body: &[u8]) -> Result<(u8, u64, Cursor<'_>), &'static str> {
    let mut body = Cursor::new(body);
    let kind = body.u8().ok_or("an empty record")?;
    let index = body.varint().ok_or("no session number")?;
    Ok((kind, index, body))
}

/// The rest of a record that introduces a session.
pub(super) fn spec(body: &mut Cursor<'_>) -> Result<Spec, &'static str> {
    serde_json::from_slice(body.rest()).map_err(|_| "a session's description is not understood")
}

impl Session {
    fn decode(&mut self, kind: u8, body: &mut Cursor<'_>, wanted: bool) -> Result<Option<Record>, &'static str> {
        if kind == kind::CHECKPOINT {
            let state = self.checkpoint.take(&Part::read(body)?).filter(|_| wanted);
            return Ok(state.map(|state| Record::Checkpoint { sid: self.sid.clone(), state }));
        }
        if kind == kind::STORED {
            let object = StoredObject::read(body)?;
            return Ok(wanted.then(|| Record::Stored { sid: self.sid.clone(), object }));
        }
        let step = body.zigzag().ok_or("no time")?;
        let at = Ticks(self.at.0.checked_add_signed(step).ok_or("a time before the session's start")?);
        if !wanted {
            self.at = at;
            if is_packet(kind) {
                self.source(kind, body)?;
            }
            return Ok(None);
        }
        let record = if kind == kind::FINISHED {
            Record::Finished { sid: self.sid.clone(), at }
        } else {
            let input = self.input(kind, at, body)?;
            Record::Input { sid: self.sid.clone(), input: TimedInput { at, input } }
        };
        if !body.is_empty() {
            return Err("bytes left over in a record");
        }
        self.at = at;
        Ok(Some(record))
    }

    fn input(&mut self, kind: u8, at: Ticks, body: &mut Cursor<'_>) -> Result<Input, &'static str> {
        Ok(match kind {
            kind::JOINED => Input::Joined { uid: uid(body)? },
            kind::LEFT => Input::Left { uid: uid(body)? },
            kind::TRACK_ADDED => {
                let (track, muted) = (track(body)?, body.boolean().ok_or("a mute state that is neither 0 nor 1")?);
                Input::TrackAdded { track, muted, uid: uid(body)? }
            }
            kind::TRACK_REMOVED => Input::TrackRemoved { track: track(body)? },
            kind::MUTED => Input::Muted {
                track: track(body)?,
                muted: body.boolean().ok_or("a mute state that is neither 0 nor 1")?,
            },
            kind::OVERLOADED => Input::Overloaded {
                track: track(body)?,
                overloaded: body.boolean().ok_or("an overload state that is neither 0 nor 1")?,
            },
            kind::SENDER_REPORT => Input::SenderReport {
                track: track(body)?,
                ntp: body.u64().ok_or("a short sender report")?,
                rtp: body.u32().ok_or("a short sender report")?,
            },
            kind::CHANNEL_DOWN => Input::ChannelDown,
            kind::CHANNEL_UP => Input::ChannelUp,
            kind::SELECT => Input::Select(selection(body)?),
            kind::WORKER_RESTARTED => Input::WorkerRestarted,
            kind::CODERS_RESTARTED => Input::CodersRestarted,
            kind::STALLED => Input::Stalled { from: before(at, body)?, cause: stall(body)? },
            kind::CHANNEL_LOST => Input::ChannelLost { since: before(at, body)? },
            kind::INPUTS_LOST => Input::InputsLost { from: before(at, body)? },
            _ if is_packet(kind) => Input::Packet(self.packet(kind, body)?),
            _ => return Err("an unknown kind of record"),
        })
    }

    fn packet(&mut self, kind: u8, body: &mut Cursor<'_>) -> Result<Packet, &'static str> {
        let (track, ssrc) = self.source(kind, body)?;
        let sequence = body.u16().ok_or("a short packet")?;
        let timestamp = body.u32().ok_or("a short packet")?;
        let level = match kind & kind::LEVEL {
            0 => None,
            _ => Some(body.u8().filter(|level| *level < 0x80).ok_or("an audio level above 127")?),
        };
        let marker = kind & kind::MARKER != 0;
        let payload = Bytes::copy_from_slice(body.rest());
        Ok(Packet { track, ssrc, sequence, timestamp, marker, level, payload })
    }

    /// A packet's track and its SSRC, said here or remembered.
    fn source(&mut self, kind: u8, body: &mut Cursor<'_>) -> Result<(TrackId, Ssrc), &'static str> {
        let track = track(body)?;
        if kind & kind::SSRC != 0 {
            self.sources.insert(track, Ssrc(body.u32().ok_or("a short packet")?));
        }
        let ssrc = *self.sources.get(&track).ok_or("a packet whose SSRC was never said")?;
        Ok((track, ssrc))
    }
}

fn is_packet(kind: u8) -> bool {
    kind & !kind::PACKET_FLAGS == kind::PACKET
}

fn track(body: &mut Cursor<'_>) -> Result<TrackId, &'static str> {
    let number = body.varint().ok_or("no track number")?;
    u32::try_from(number).map(TrackId).map_err(|_| "a track number above 2^32")
}

/// A time that is said as a distance back from `at`.
fn before(at: Ticks, body: &mut Cursor<'_>) -> Result<Ticks, &'static str> {
    let back = body.varint().ok_or("no distance in time")?;
    at.0.checked_sub(back).map(Ticks).ok_or("a time before the session's start")
}

fn stall(body: &mut Cursor<'_>) -> Result<StallCause, &'static str> {
    match body.u8() {
        Some(0) => Ok(StallCause::WorkerStalled),
        Some(1) => Ok(StallCause::Overload),
        _ => Err("an unknown cause of a stall"),
    }
}

fn uid(body: &mut Cursor<'_>) -> Result<Uid, &'static str> {
    let text = std::str::from_utf8(body.rest()).map_err(|_| "a uid that is not UTF-8")?;
    Uid::new(text).map_err(|invalid| invalid.problem)
}

fn selection(body: &mut Cursor<'_>) -> Result<Selection, &'static str> {
    serde_json::from_slice(body.rest()).map_err(|_| "a selection that is not understood")
}
