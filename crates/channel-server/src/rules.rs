//! Kicking rules (docs/protocol/agora.md section 7): who may not join, or not publish, for how long.
//!
//! A rule is kept by a [`RuleKeeper`] before it counts, and looked up in memory. It is about users: recorders are exempt, since
//! a recording is ended by its own calls and no rule may cost one. Publishing video is banned by name only, as there is none.

mod memory;
mod table;

use std::net::IpAddr;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

pub(super) use memory::Memory;
pub(super) use table::{Bans, RuleTable, Subject};

use super::ids::uid_number;
use recorder_core::error_class::{Classify, ErrorClass};
use recorder_core::units::{AppId, Cname, Uid, WallMs};

/// Rules of one app at once. Far above what moderators make; a program gone wild stops here.
pub const MAX_RULES_PER_APP: usize = 10_000;

/// A rule's number, never given twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RuleId(pub u64);

/// A rule in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Its number.
    pub id: RuleId,
    /// What it says.
    pub order: NewRule,
    /// When its end was last set.
    pub updated: WallMs,
}

/// What a rule says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewRule {
    /// In whose channels.
    pub app: AppId,
    /// To whom it applies.
    pub target: Target,
    /// What is banned.
    pub banned: Banned,
    /// When it was made.
    pub created: WallMs,
    /// Until when it is in force.
    pub until: WallMs,
}

/// To whom a rule applies: to everybody whom all the named parts fit. At least one is named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    cname: Option<Cname>,
    uid: Option<Uid>,
    ip: Option<IpAddr>,
}

/// What a rule bans.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Banned {
    /// Being in a channel.
    pub join: bool,
    /// Publishing audio.
    pub audio: bool,
    /// Publishing video.
    pub video: bool,
}

/// Keeps rules over restarts.
#[async_trait]
pub trait RuleKeeper: std::fmt::Debug + Send + Sync {
    /// All rules that are in force at `now`.
    async fn load(&self, now: WallMs) -> Result<Vec<Rule>, KeeperError>;

    /// Keeps a new rule and numbers it.
    async fn insert(&self, order: &NewRule) -> Result<RuleId, KeeperError>;

    /// Gives a rule a new end.
    async fn change(&self, id: RuleId, until: WallMs, now: WallMs) -> Result<(), KeeperError>;

    /// Forgets a rule.
    async fn remove(&self, id: RuleId) -> Result<(), KeeperError>;
}

/// Why rules can't be kept, in the keeper's words.
pub type KeeperError = Box<dyn std::error::Error + Send + Sync>;

/// Why a rule can't be made or changed.
#[derive(Debug, thiserror::Error)]
pub enum RuleError {
    /// [`MAX_RULES_PER_APP`].
    #[error("the app has {MAX_RULES_PER_APP} rules already; delete some")]
    TooMany,
    /// Never there, deleted or over.
    #[error("there is no rule with this id")]
    Unknown,
    /// The keeper's trouble.
    #[error("rules can't be kept: {0}")]
    Keeper(KeeperError),
}

impl Classify for RuleError {
    fn error_class(&self) -> ErrorClass {
        match self {
            Self::TooMany => ErrorClass::caller("too_many_rules"),
            Self::Unknown => ErrorClass::caller("unknown_rule"),
            Self::Keeper(_) => ErrorClass::ours("rules", true),
        }
    }
}

impl Target {
    /// `None` when nothing is named.
    pub fn new(cname: Option<Cname>, uid: Option<Uid>, ip: Option<IpAddr>) -> Option<Self> {
        let named = cname.is_some() || uid.is_some() || ip.is_some();
        let ip = ip.map(|ip| ip.to_canonical());
        named.then_some(Self { cname, uid, ip })
    }

    /// The one channel, where it isn't all of them.
    pub const fn cname(&self) -> Option<&Cname> {
        self.cname.as_ref()
    }

    /// The one user.
    pub const fn uid(&self) -> Option<&Uid> {
        self.uid.as_ref()
    }

    /// The one address.
    pub const fn ip(&self) -> Option<IpAddr> {
        self.ip
    }

    /// Whether it applies to somebody. A member's number, made from its identity, names it as well as the identity does.
    pub(super) fn covers(&self, subject: &Subject<'_>) -> bool {
        let same_uid = |uid: &Uid| {
            subject.uid.is_some_and(|member| member == uid || uid.as_str() == uid_number(member).to_string())
        };
        self.cname.as_ref().is_none_or(|cname| cname == subject.cname)
            && self.uid.as_ref().is_none_or(same_uid)
            && self.ip.is_none_or(|ip| subject.ip == Some(ip))
    }

    /// The vendor's word for who is banned.
    const fn word(&self) -> &'static str {
        match (&self.uid, &self.ip) {
            (Some(_), _) => "UID_BANNED",
            (None, Some(_)) => "IP_BANNED",
            (None, None) => "CHANNEL_BANNED",
        }
    }
}
