//! From the vendor's privileges to a pass (docs/protocol/agora.md sections 8.1 and 8.2).

use std::collections::HashMap;

use livekit_protocol::participant_info::Kind;

use super::privileges::{Privileges, UndeliveredFilter};
use super::{Asked, Grants, Refusal, Terms, VerifiedToken};
use recorder_core::units::{AppId, Cname, Uid, WallMs};

/// When a token is read, and when it ends; seconds since 1970.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    /// Added to every privilege's expiry: the issue time of a 007 token, zero for a 006 token.
    pub(super) base: u64,
    /// The end of the whole token; no privilege outlives it.
    pub(super) end: u64,
    pub(super) now: u64,
}

/// The uid of the token, or the one asked for where the token is for any; both have to agree.
pub(super) fn agreed_identity(uid: &str, asked: &Asked) -> Result<Option<Uid>, Refusal> {
    let wanted = asked.identity.as_deref().filter(|identity| !identity.is_empty());
    match (uid, wanted) {
        ("", None) => Ok(None),
        ("", Some(identity)) => Ok(Some(Uid::new(identity)?)),
        (uid, Some(identity)) if uid != identity => Err(Refusal::Invalid("for another uid")),
        (uid, _) => Ok(Some(Uid::new(uid)?)),
    }
}

pub(super) fn verified(
    app: AppId,
    channel: &str,
    identity: Option<Uid>,
    privileges: &Privileges,
    times: Times,
) -> Result<VerifiedToken, Refusal> {
    let Times { base, end, now } = times;
    let stay = match privileges.join(base, now) {
        UndeliveredFilter::Granted(until) => until.map_or(end, |until| until.min(end)),
        UndeliveredFilter::Expired => return Err(Refusal::Expired),
        UndeliveredFilter::Absent => return Err(Refusal::Invalid("no right to join")),
    };
    let (audio, audio_ends) = part(privileges.publish_audio(base, now), stay);
    let (data, data_ends) = part(privileges.publish_data(base, now), stay);
    let grants = Grants {
        microphone: audio,
        screen_audio: audio,
        other_audio: audio,
        subscribe: true,
        data,
        own_metadata: false,
        hidden: false,
        recorder: false,
    };
    Ok(VerifiedToken {
        app,
        cname: Cname::new(channel)?,
        identity,
        name: String::new(),
        metadata: String::new(),
        attributes: HashMap::new(),
        kind: Kind::Standard,
        grants,
        terms: Terms { stay: Some(wall(stay)), audio: audio_ends, data: data_ends },
    })
}

/// Whether a privilege is granted, and when it ends if that is before the membership does.
fn part(standing: UndeliveredFilter, stay: u64) -> (bool, Option<WallMs>) {
    match standing {
        UndeliveredFilter::Granted(until) => (true, until.filter(|until| *until < stay).map(wall)),
        UndeliveredFilter::Expired | UndeliveredFilter::Absent => (false, None),
    }
}

const fn wall(seconds: u64) -> WallMs {
    WallMs(seconds.saturating_mul(1000))
}
