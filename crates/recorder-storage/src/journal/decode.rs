//! Bytes of a body to what they say. Pure; trusts nothing.

use bytes::Bytes;

use super::cursor::Cursor;
use super::kind;
use recorder_core::recording::{Coding, Input, Packet, Selection, Source, Spec, StallCause, TrackKind};
use recorder_core::units::{Ssrc, Ticks, TrackId, Uid};

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

/// The input in a body, behind its time. `timed`: whether `at` is its time, or only as far from it as those around it are.
pub(super) fn input(kind: u8, at: Ticks, timed: bool, body: &mut Cursor<'_>) -> Result<Input, &'static str> {
    Ok(match kind {
        kind::JOINED => Input::Joined { uid: uid(body)? },
        kind::LEFT => Input::Left { uid: uid(body)? },
        kind::GIVEN_UP => Input::GivenUp { uid: uid(body)? },
        kind::SPEAKING => {
            let speaking = body.boolean().ok_or("a speaking state that is neither 0 nor 1")?;
            Input::Speaking { speaking, uid: uid(body)? }
        }
        kind::TRACK_ADDED => {
            let (track, muted) = (track(body)?, body.boolean().ok_or("a mute state that is neither 0 nor 1")?);
            Input::TrackAdded { track, muted, uid: uid(body)?, kind: TrackKind::default() }
        }
        kind::TRACK_PUBLISHED => {
            let (track, muted) = (track(body)?, body.boolean().ok_or("a mute state that is neither 0 nor 1")?);
            let kind = TrackKind { source: track_source(body)?, coding: coding(body)? };
            Input::TrackAdded { track, muted, uid: uid(body)?, kind }
        }
        kind::TRACK_REMOVED => Input::TrackRemoved { track: track(body)? },
        kind::MUTED => {
            Input::Muted { track: track(body)?, muted: body.boolean().ok_or("a mute state that is neither 0 nor 1")? }
        }
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
        kind::STALLED => Input::Stalled { from: before(at, timed, body)?, cause: stall(body)? },
        kind::CHANNEL_LOST => Input::ChannelLost { since: before(at, timed, body)? },
        kind::UNHEARD => {
            let since = before(at, timed, body)?;
            Input::Unheard { uid: uid(body)?, since }
        }
        kind::INPUTS_LOST => Input::InputsLost { from: before(at, timed, body)? },
        _ => return Err("an unknown kind of record"),
    })
}

/// A packet's track, and its SSRC where it is said.
pub(super) fn source(kind: u8, body: &mut Cursor<'_>) -> Result<(TrackId, Option<Ssrc>), &'static str> {
    let track = track(body)?;
    let said = if kind & kind::SSRC == 0 { None } else { Some(Ssrc(body.u32().ok_or("a short packet")?)) };
    Ok((track, said))
}

/// The packet in a body, behind its track and its SSRC.
pub(super) fn packet(kind: u8, track: TrackId, ssrc: Ssrc, body: &mut Cursor<'_>) -> Result<Packet, &'static str> {
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

pub(super) fn is_packet(kind: u8) -> bool {
    kind & !kind::PACKET_FLAGS == kind::PACKET
}

fn track(body: &mut Cursor<'_>) -> Result<TrackId, &'static str> {
    let number = body.varint().ok_or("no track number")?;
    u32::try_from(number).map(TrackId).map_err(|_| "a track number above 2^32")
}

/// A time that is said as a distance back from `at`.
fn before(at: Ticks, timed: bool, body: &mut Cursor<'_>) -> Result<Ticks, &'static str> {
    let back = body.varint().ok_or("no distance in time")?;
    if !timed {
        return Ok(Ticks(at.0.wrapping_sub(back)));
    }
    at.0.checked_sub(back).map(Ticks).ok_or("a time before the session's start")
}

fn stall(body: &mut Cursor<'_>) -> Result<StallCause, &'static str> {
    match body.u8() {
        Some(0) => Ok(StallCause::WorkerStalled),
        Some(1) => Ok(StallCause::Overload),
        _ => Err("an unknown cause of a stall"),
    }
}

fn track_source(body: &mut Cursor<'_>) -> Result<Source, &'static str> {
    match body.u8() {
        Some(0) => Ok(Source::Unspecified),
        Some(1) => Ok(Source::Microphone),
        Some(2) => Ok(Source::ScreenAudio),
        _ => Err("an unknown source of a track"),
    }
}

fn coding(body: &mut Cursor<'_>) -> Result<Coding, &'static str> {
    match body.u8() {
        Some(0) => Ok(Coding::Opus),
        Some(1) => Ok(Coding::Pcmu),
        Some(2) => Ok(Coding::Pcma),
        Some(3) => Ok(Coding::Unsupported),
        Some(4) => Ok(Coding::Encrypted),
        _ => Err("an unknown coding of a track"),
    }
}

fn uid(body: &mut Cursor<'_>) -> Result<Uid, &'static str> {
    let text = std::str::from_utf8(body.rest()).map_err(|_| "a uid that is not UTF-8")?;
    Uid::new(text).map_err(|invalid| invalid.problem)
}

fn selection(body: &mut Cursor<'_>) -> Result<Selection, &'static str> {
    serde_json::from_slice(body.rest()).map_err(|_| "a selection that is not understood")
}
