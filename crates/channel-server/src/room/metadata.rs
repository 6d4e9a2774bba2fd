//! What members say about themselves: name, metadata, attributes, and by one attribute their role.

use livekit_protocol::UpdateParticipantMetadata;
use livekit_protocol::request_response::{Reason, Request};

use super::member::Member;
use super::{Effects, Room, messages, send};
use crate::ids::MemberId;
use crate::limits::{MAX_ATTRIBUTES_BYTES, MAX_METADATA_BYTES, MAX_NAME_BYTES};
use crate::roles::{PROFILE_ATTRIBUTE, ROLE_ATTRIBUTE};

impl Room {
    /// A client changes its name, metadata or attributes; an empty attribute deletes it, an empty name or metadata is no change.
    /// All of it is done or nothing. The role is everybody's to change, the rest needs the token's grant.
    pub(crate) fn update_metadata(&mut self, id: &MemberId, request: UpdateParticipantMetadata) -> Effects {
        let mut effects = Effects::new();
        let number = request.request_id;
        match self.change(id, request.clone()) {
            Ok(changed) => {
                effects.extend(changed);
                send(&mut effects, id, messages::response(number, Reason::Ok, "", None));
            }
            Err((reason, why)) => {
                let request = Some(Request::UpdateMetadata(request));
                send(&mut effects, id, messages::response(number, reason, why, request));
            }
        }
        effects
    }

    fn change(&mut self, id: &MemberId, mut request: UpdateParticipantMetadata) -> Result<Effects, Problem> {
        let mut effects = Effects::new();
        if request.attributes.contains_key(PROFILE_ATTRIBUTE) {
            return Err((Reason::NotAllowed, "a channel keeps its profile"));
        }
        let role = request.attributes.remove(ROLE_ATTRIBUTE).map(|name| self.asked_role(id, &name)).transpose()?;
        let more = !request.attributes.is_empty() || !request.name.is_empty() || !request.metadata.is_empty();
        let Some(member) = self.member_mut(id) else { return Ok(effects) };
        if more || role.is_none() {
            apply(member, &request)?;
            self.send_member(id, &mut effects);
        }
        if let Some(role) = role {
            effects.extend(self.take_role(id, role));
        }
        Ok(effects)
    }
}

type Problem = (Reason, &'static str);

fn apply(member: &mut Member, request: &UpdateParticipantMetadata) -> Result<(), Problem> {
    if !member.verified.grants.own_metadata {
        return Err((Reason::NotAllowed, "the token doesn't allow changing metadata"));
    }
    if request.name.len() > MAX_NAME_BYTES || request.metadata.len() > MAX_METADATA_BYTES {
        return Err((Reason::LimitExceeded, "name or metadata is too long"));
    }
    let mut attributes = member.verified.attributes.clone();
    attributes.extend(request.attributes.clone());
    attributes.retain(|_, value| !value.is_empty());
    if attributes.iter().map(|(key, value)| key.len() + value.len()).sum::<usize>() > MAX_ATTRIBUTES_BYTES {
        return Err((Reason::LimitExceeded, "the attributes are too large"));
    }
    member.verified.attributes = attributes;
    for (text, place) in
        [(&request.name, &mut member.verified.name), (&request.metadata, &mut member.verified.metadata)]
    {
        if !text.is_empty() {
            place.clone_from(text);
        }
    }
    Ok(())
}
