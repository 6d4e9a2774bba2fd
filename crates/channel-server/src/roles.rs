//! Channel profiles and roles (docs/protocol/agora.md sections 6 to 8): who may speak in a channel by the channel's own rules.
//!
//! In a communication channel everybody is a user. In a live channel there are hosts and an audience, which publishes nothing.
//! The first member to come decides the channel's profile, by its token's attribute `channel.profile` or the query parameter
//! `profile`; one that names none, and no role, wants communication. A member wishes for its role in the same way
//! (`channel.role`, `role`) and changes it by setting its attribute `channel.role`; others see the role in this attribute, and
//! in the member's permission. Who wishes for nothing, in a live channel, is a host if its token lets it speak.

use std::collections::HashMap;

/// The attribute of a token that names the profile.
pub(super) const PROFILE_ATTRIBUTE: &str = "channel.profile";

/// The attribute of a token or a member that names the role.
pub(super) const ROLE_ATTRIBUTE: &str = "channel.role";

/// What kind of channel it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Profile {
    /// Everybody talks to everybody.
    #[default]
    Communication,
    /// Hosts talk to an audience.
    Live,
}

/// What a member is in its channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// In a communication channel.
    User,
    /// May publish in a live channel.
    Host,
    /// Listens in a live channel.
    Audience,
}

/// What a client would like to be, where.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct RequestedRole {
    pub(super) profile: Option<Profile>,
    /// Host or audience.
    pub(super) role: Option<Role>,
}

impl Profile {
    /// The vendor's number: the `mode` of a user list.
    pub const fn number(self) -> u8 {
        match self {
            Self::Communication => 1,
            Self::Live => 2,
        }
    }

    fn parse(text: &str) -> Option<Self> {
        match text {
            "communication" | "rtc" => Some(Self::Communication),
            "live" => Some(Self::Live),
            _ => None,
        }
    }
}

impl Role {
    /// The vendor's number: the `role` of a user's property.
    pub const fn number(self) -> u8 {
        match self {
            Self::User => 1,
            Self::Host => 2,
            Self::Audience => 3,
        }
    }

    /// A role of a live channel.
    pub(super) fn parse(text: &str) -> Option<Self> {
        match text {
            "host" => Some(Self::Host),
            "audience" => Some(Self::Audience),
            _ => None,
        }
    }

    /// The word that [`Self::parse`] reads; none in a communication channel.
    pub(super) const fn word(self) -> Option<&'static str> {
        match self {
            Self::User => None,
            Self::Host => Some("host"),
            Self::Audience => Some("audience"),
        }
    }
}

impl RequestedRole {
    /// What the token's attributes say, and where they are silent, the query. A word that is none of ours wishes for nothing.
    pub(super) fn new(attributes: &HashMap<String, String>, profile: Option<&str>, role: Option<&str>) -> Self {
        let word =
            |attribute, query: Option<&str>| attributes.get(attribute).map(String::as_str).or(query).map(str::to_owned);
        Self {
            profile: word(PROFILE_ATTRIBUTE, profile).and_then(|word| Profile::parse(&word)),
            role: word(ROLE_ATTRIBUTE, role).and_then(|word| Role::parse(&word)),
        }
    }

    /// The profile of a channel that this client is the first to enter.
    pub(super) fn founds(self) -> Profile {
        let implied = if self.role.is_some() { Profile::Live } else { Profile::Communication };
        self.profile.unwrap_or(implied)
    }

    /// The role in a channel of this profile; `speaks` is whether the token lets publish audio. A host that may not is none.
    pub(super) fn role_in(self, profile: Profile, speaks: bool) -> Role {
        match (profile, self.role) {
            (Profile::Communication, _) => Role::User,
            (Profile::Live, Some(Role::Audience)) => Role::Audience,
            (Profile::Live, _) if speaks => Role::Host,
            (Profile::Live, _) => Role::Audience,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attributes(pairs: &[(&str, &str)]) -> HashMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn the_token_wins_over_the_query() {
        let signed = attributes(&[(ROLE_ATTRIBUTE, "audience")]);
        let requested_role = RequestedRole::new(&signed, Some("live"), Some("host"));
        assert_eq!(requested_role, RequestedRole { profile: Some(Profile::Live), role: Some(Role::Audience) });
        assert_eq!(RequestedRole::new(&attributes(&[]), Some("party"), Some("king")), RequestedRole::default());
    }

    #[test]
    fn the_first_member_founds_a_channel() {
        let requested_role = |profile, role| RequestedRole::new(&attributes(&[]), profile, role);
        assert_eq!(requested_role(None, None).founds(), Profile::Communication);
        assert_eq!(requested_role(None, Some("host")).founds(), Profile::Live, "there are roles in live channels only");
        assert_eq!(requested_role(Some("rtc"), Some("host")).founds(), Profile::Communication);
        assert_eq!(requested_role(Some("live"), None).founds(), Profile::Live);
    }

    #[test]
    fn a_role_needs_its_channel_and_its_right() {
        let requested_role = |role| RequestedRole { profile: None, role };
        assert_eq!(requested_role(Some(Role::Host)).role_in(Profile::Communication, true), Role::User);
        assert_eq!(requested_role(Some(Role::Host)).role_in(Profile::Live, false), Role::Audience);
        assert_eq!(requested_role(Some(Role::Audience)).role_in(Profile::Live, true), Role::Audience);
        assert_eq!(requested_role(None).role_in(Profile::Live, true), Role::Host);
        assert_eq!(requested_role(None).role_in(Profile::Live, false), Role::Audience);
    }
}
