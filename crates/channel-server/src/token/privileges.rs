//! What an Agora token allows: a map from privilege to its expiry (docs/protocol/agora.md sections 8.1 and 8.2).

use std::collections::BTreeMap;

use super::bytes::{Reader, Writer};

const JOIN: u16 = 1;
const PUBLISH_AUDIO: u16 = 2;
const PUBLISH_VIDEO: u16 = 3;
const PUBLISH_DATA: u16 = 4;

/// The vendor's two roles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Joins, publishes audio, video and data.
    Publisher,
    /// Joins and listens.
    Subscriber,
}

/// Privileges with their expiry in seconds: after the issue in a 007 token, since 1970 in a 006 token. Zero means as long as
/// the token, and so does anything past its end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Privileges(BTreeMap<u16, u32>);

/// What the privileges say at one instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum UndeliveredFilter {
    /// Until this time, in seconds since 1970; `None` while the token lasts.
    Granted(Option<u64>),
    Expired,
    Absent,
}

impl Privileges {
    /// Those of a role, all with the same expiry.
    pub fn of(role: Role, expire: u32) -> Self {
        let granted: &[u16] = match role {
            Role::Publisher => &[JOIN, PUBLISH_AUDIO, PUBLISH_VIDEO, PUBLISH_DATA],
            Role::Subscriber => &[JOIN],
        };
        Self(granted.iter().map(|privilege| (*privilege, expire)).collect())
    }

    /// Each with its own expiry, in the order of the vendor's builder: joining, then publishing audio, video and data.
    pub fn each(join: u32, audio: u32, video: u32, data: u32) -> Self {
        Self(BTreeMap::from([(JOIN, join), (PUBLISH_AUDIO, audio), (PUBLISH_VIDEO, video), (PUBLISH_DATA, data)]))
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let count = reader.u16()?;
        (0..count).map(|_| Some((reader.u16()?, reader.u32()?))).collect::<Option<_>>().map(Self)
    }

    pub(super) fn write(&self, writer: Writer) -> Writer {
        let count = u16::try_from(self.0.len()).expect("keys are 16 bits wide and no token names them all");
        self.0.iter().fold(writer.u16(count), |writer, (privilege, expire)| writer.u16(*privilege).u32(*expire))
    }

    /// `base` is added to every expiry: the issue time of a 007 token, zero for a 006 token. `now` in seconds since 1970.
    pub(super) fn join(&self, base: u64, now: u64) -> UndeliveredFilter {
        self.standing(JOIN, base, now)
    }

    pub(super) fn publish_audio(&self, base: u64, now: u64) -> UndeliveredFilter {
        self.standing(PUBLISH_AUDIO, base, now)
    }

    pub(super) fn publish_data(&self, base: u64, now: u64) -> UndeliveredFilter {
        self.standing(PUBLISH_DATA, base, now)
    }

    fn standing(&self, privilege: u16, base: u64, now: u64) -> UndeliveredFilter {
        match self.0.get(&privilege) {
            None => UndeliveredFilter::Absent,
            Some(0) => UndeliveredFilter::Granted(None),
            Some(expire) => {
                let end = base + u64::from(*expire);
                if now < end { UndeliveredFilter::Granted(Some(end)) } else { UndeliveredFilter::Expired }
            }
        }
    }

    #[cfg(test)]
    pub(super) fn from_pairs(pairs: &[(u16, u32)]) -> Self {
        Self(pairs.iter().copied().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_lasts_as_long_as_the_token() {
        let privileges = Privileges::from_pairs(&[(1, 0), (2, 10)]);
        assert_eq!(privileges.join(100, 1_000_000), UndeliveredFilter::Granted(None));
        assert_eq!(privileges.publish_audio(100, 109), UndeliveredFilter::Granted(Some(110)));
        assert_eq!(
            privileges.publish_audio(100, 110),
            UndeliveredFilter::Expired,
            "the second of its expiry is past it"
        );
        assert_eq!(privileges.publish_data(100, 100), UndeliveredFilter::Absent);
        assert_eq!(Privileges::default().join(0, 0), UndeliveredFilter::Absent);
    }

    #[test]
    fn a_count_past_the_end_is_refused() {
        assert_eq!(Privileges::read(&mut Reader(&[255, 255, 1, 0, 0, 0, 0, 0])), None);
    }
}
