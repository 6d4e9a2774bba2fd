//! How a uid does at present.

use super::TrackKind;
use crate::units::{Ticks, Uid};

/// How one uid does: of those that are to be recorded and are in the channel.
#[derive(Clone, Debug, PartialEq)]
pub struct Health {
    /// Who.
    pub uid: Uid,
    /// When its last packet with sound arrived (DTX counts, padding does not); `None`: never.
    pub last_packet: Option<Ticks>,
    /// The level of about a second of sound, some two seconds ago: root mean square in dBFS, 0 for a square wave at full scale,
    /// -127 for silence. From the decoded sound where there is a mix, else from the audio levels (RFC 6464) that packets carry.
    /// `None`: neither has been seen.
    pub level_dbfs: Option<f32>,
    /// What it publishes at present and can't be read, muted or not, in the order of publication.
    pub unreadable: Vec<TrackKind>,
}
