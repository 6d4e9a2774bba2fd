//! What a token comes to once it is checked: who, where, what, until when.

use std::collections::HashMap;

use livekit_protocol::participant_info::Kind;

use recorder_core::units::{AppId, Cname, Uid, WallMs};

/// The right to be in a room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedToken {
    /// Whose room.
    pub app: AppId,
    /// Which room.
    pub cname: Cname,
    /// Who; `None` when the token is for any uid and the client asked for none: the server assigns one.
    pub identity: Option<Uid>,
    /// Display name.
    pub name: String,
    /// Free text for other members.
    pub metadata: String,
    /// Free pairs for other members.
    pub attributes: HashMap<String, String>,
    /// What the member is: a person, an agent, …
    pub kind: Kind,
    /// What the member may do.
    pub grants: Grants,
    /// Until when.
    pub terms: Terms,
}

impl VerifiedToken {
    /// Takes away what has ended by `now`; the right to be in the room is not looked at.
    pub fn lapse(&mut self, now: WallMs) {
        if ended(self.terms.audio, now) {
            let Grants { microphone, screen_audio, other_audio, .. } = &mut self.grants;
            (*microphone, *screen_audio, *other_audio, self.terms.audio) = (false, false, false, None);
        }
        if ended(self.terms.data, now) {
            (self.grants.data, self.terms.data) = (false, None);
        }
    }

    /// Takes the rights of a newer pass. Who the bearer is, what it hears and whether others see it stay as they were.
    pub fn renew(&mut self, newer: &Self) {
        let Grants { subscribe, hidden, recorder, .. } = self.grants;
        self.grants = Grants { subscribe, hidden, recorder, ..newer.grants };
        self.terms = newer.terms;
    }
}

/// What a member may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grants {
    /// Publish a microphone.
    pub microphone: bool,
    /// Publish the sound of a shared screen.
    pub screen_audio: bool,
    /// Publish audio that names no source. A token that names sources doesn't allow it, as on a LiveKit server.
    pub other_audio: bool,
    /// Hear others.
    pub subscribe: bool,
    /// Send data packets.
    pub data: bool,
    /// Change its own name, metadata and attributes.
    pub own_metadata: bool,
    /// Not seen by others.
    pub hidden: bool,
    /// Records: others see that the room is being recorded, and the room closes without it.
    pub recorder: bool,
}

impl Grants {
    /// Whether any audio may be published.
    pub const fn speaks(&self) -> bool {
        self.microphone || self.screen_audio || self.other_audio
    }
}

/// When the parts of a pass end; `None` means with the whole, and for the whole never.
///
/// A vendor's token ends a membership, as the original does it. A LiveKit token never does: it is read when a socket is opened
/// and at no other time, as on a LiveKit server, so its terms are empty.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    /// The right to be in the room.
    pub stay: Option<WallMs>,
    /// The right to publish audio.
    pub audio: Option<WallMs>,
    /// The right to send data.
    pub data: Option<WallMs>,
}

impl Terms {
    /// The next end of a part, if there is one.
    pub fn next(&self) -> Option<WallMs> {
        [self.stay, self.audio, self.data].into_iter().flatten().min()
    }
}

/// Whether an end has come.
pub(crate) fn ended(end: Option<WallMs>, now: WallMs) -> bool {
    end.is_some_and(|end| end <= now)
}
