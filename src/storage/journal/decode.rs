//! Bytes to records. Pure; trusts nothing.

use std::collections::HashMap;

use bytes::Bytes;

use super::cursor::Cursor;
use super::{Record, kind};
use crate::recording::{Input, Packet, Selection, Spec, TimedInput};
use crate::units::{Sid, Ssrc, Ticks, TrackId, Uid};

/// Decodes the frame bodies of one file, in order. What it remembers grows with what the file introduced: a session, a track.
#[derive(Debug, Default)]
pub struct Decoder {
    sessions: Vec<Session>,
}

#[derive(Debug)]
struct Session {
    sid: Sid,
    at: Ticks,
    sources: HashMap<TrackId, Ssrc>,
}

impl Decoder {
    /// For the start of a file.
    pub fn new() -> Self {
        Self::default()
    }

    /// The record in a frame's body, or what is wrong with it.
    pub fn decode(&mut self, body: Bytes) -> Result<Record, &'static str> {
        let mut body = Cursor::new(body);
        let kind = body.u8().ok_or("an empty record")?;
        let index = body.varint().ok_or("no session number")?;
        match kind {
            kind::STARTED => Ok(Record::Started { spec: self.introduce(index, &mut body)? }),
            kind::CONTINUED => Ok(Record::Continued { spec: self.introduce(index, &mut body)? }),
            _ => {
                let session = usize::try_from(index).ok().and_then(|index| self.sessions.get_mut(index));
                session.ok_or("a session that was not introduced")?.decode(kind, &mut body)
            }
        }
    }

    fn introduce(&mut self, index: u64, body: &mut Cursor) -> Result<Spec, &'static str> {
        if index != self.sessions.len() as u64 {
            return Err("sessions are not introduced in order");
        }
        let spec: Spec =
            serde_json::from_slice(&body.rest()).map_err(|_| "a session's description is not understood")?;
        self.sessions.push(Session { sid: spec.sid.clone(), at: Ticks::ZERO, sources: HashMap::new() });
        Ok(spec)
    }
}

impl Session {
    fn decode(&mut self, kind: u8, body: &mut Cursor) -> Result<Record, &'static str> {
        let step = body.zigzag().ok_or("no time")?;
        let at = Ticks(self.at.0.checked_add_signed(step).ok_or("a time before the session's start")?);
        let record = if kind == kind::FINISHED {
            Record::Finished { sid: self.sid.clone(), at }
        } else {
            let input = self.input(kind, body)?;
            Record::Input { sid: self.sid.clone(), input: TimedInput { at, input } }
        };
        if !body.is_empty() {
            return Err("bytes left over in a record");
        }
        self.at = at;
        Ok(record)
    }

    fn input(&mut self, kind: u8, body: &mut Cursor) -> Result<Input, &'static str> {
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
            kind::SENDER_REPORT => Input::SenderReport {
                track: track(body)?,
                ntp: body.u64().ok_or("a short sender report")?,
                rtp: body.u32().ok_or("a short sender report")?,
            },
            kind::CHANNEL_DOWN => Input::ChannelDown,
            kind::CHANNEL_UP => Input::ChannelUp,
            kind::SELECT => Input::Select(selection(body)?),
            kind::WORKER_RESTARTED => Input::WorkerRestarted,
            _ if kind & !kind::PACKET_FLAGS == kind::PACKET => Input::Packet(self.packet(kind, body)?),
            _ => return Err("an unknown kind of record"),
        })
    }

    fn packet(&mut self, kind: u8, body: &mut Cursor) -> Result<Packet, &'static str> {
        let track = track(body)?;
        if kind & kind::SSRC != 0 {
            self.sources.insert(track, Ssrc(body.u32().ok_or("a short packet")?));
        }
        let ssrc = *self.sources.get(&track).ok_or("a packet whose SSRC was never said")?;
        let sequence = body.u16().ok_or("a short packet")?;
        let timestamp = body.u32().ok_or("a short packet")?;
        let level = match kind & kind::LEVEL {
            0 => None,
            _ => Some(body.u8().filter(|level| *level < 0x80).ok_or("an audio level above 127")?),
        };
        let marker = kind & kind::MARKER != 0;
        Ok(Packet { track, ssrc, sequence, timestamp, marker, level, payload: body.rest() })
    }
}

fn track(body: &mut Cursor) -> Result<TrackId, &'static str> {
    let number = body.varint().ok_or("no track number")?;
    u32::try_from(number).map(TrackId).map_err(|_| "a track number above 2^32")
}

fn uid(body: &mut Cursor) -> Result<Uid, &'static str> {
    let bytes = body.rest();
    let text = std::str::from_utf8(&bytes).map_err(|_| "a uid that is not UTF-8")?;
    Uid::new(text).map_err(|invalid| invalid.problem)
}

fn selection(body: &mut Cursor) -> Result<Selection, &'static str> {
    serde_json::from_slice(&body.rest()).map_err(|_| "a selection that is not understood")
}
