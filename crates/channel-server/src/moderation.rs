//! Rules made, changed and deleted while members are in the rooms.

use std::time::Duration;

use super::ChannelServer;
use super::rules::{Banned, NewRule, Rule, RuleError, RuleId, Target};
use recorder_core::units::{AppId, WallMs};

/// How long a rule is in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Term {
    /// Not at all: those it applies to are removed, and may come back at once.
    Once,
    /// For this long from now.
    For(Duration),
}

impl ChannelServer {
    /// Makes a rule and applies it to who is there. When this returns the rule is kept and nobody is left whom it bans.
    pub async fn add_rule(
        &self,
        app: &AppId,
        target: Target,
        banned: Banned,
        term: Term,
        now: WallMs,
    ) -> Result<RuleId, RuleError> {
        let order = NewRule { app: app.clone(), target: target.clone(), banned, created: now, until: term.from(now) };
        let id = self.rooms.table().add(order).await?;
        self.apply_rules(app, &target, term);
        Ok(id)
    }

    /// Gives a rule a new end, counted from now; answers with the end.
    pub async fn change_rule(&self, app: &AppId, id: RuleId, term: Term, now: WallMs) -> Result<WallMs, RuleError> {
        let rule = self.rooms.table().change(app, id, term.from(now), now).await?;
        self.apply_rules(app, &rule.order.target, term);
        Ok(rule.order.until)
    }

    /// Deletes a rule; who was silenced by it may publish again.
    pub async fn delete_rule(&self, app: &AppId, id: RuleId, now: WallMs) -> Result<(), RuleError> {
        self.rooms.table().remove(app, id, now).await?;
        self.rooms.enforce(app);
        Ok(())
    }

    /// An app's rules in force, oldest first.
    pub fn rules(&self, app: &AppId, now: WallMs) -> Vec<Rule> {
        self.rooms.table().of(app, now)
    }

    fn apply_rules(&self, app: &AppId, target: &Target, term: Term) {
        if term == Term::Once {
            self.rooms.remove(app, target);
        }
        self.rooms.enforce(app);
    }
}

impl Term {
    fn from(self, now: WallMs) -> WallMs {
        match self {
            Self::Once => now,
            Self::For(time) => WallMs(now.0.saturating_add(u64::try_from(time.as_millis()).unwrap_or(u64::MAX))),
        }
    }
}
