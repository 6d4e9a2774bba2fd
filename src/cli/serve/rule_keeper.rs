//! Keeps the channel server's kicking rules in the store.

use async_trait::async_trait;

use crate::channel_server::rules::{Banned, KeeperError, NewRule, Rule, RuleId, RuleKeeper, Target};
use crate::store::{KickingRule, Store};
use crate::units::{AppId, Cname, Uid, WallMs};

/// The store, as the channel server sees it.
#[derive(Debug)]
pub(super) struct StoredRules(pub(super) Store);

#[async_trait]
impl RuleKeeper for StoredRules {
    async fn load(&self, now: WallMs) -> Result<Vec<Rule>, KeeperError> {
        self.0.kicking_rules(now).await?.iter().map(rule).collect()
    }

    async fn insert(&self, order: &NewRule) -> Result<RuleId, KeeperError> {
        Ok(RuleId(self.0.insert_kicking_rule(&row(order)).await?))
    }

    async fn change(&self, id: RuleId, until: WallMs, now: WallMs) -> Result<(), KeeperError> {
        Ok(self.0.change_kicking_rule(id.0, until, now).await?)
    }

    async fn remove(&self, id: RuleId) -> Result<(), KeeperError> {
        Ok(self.0.remove_kicking_rule(id.0).await?)
    }
}

fn row(order: &NewRule) -> KickingRule {
    let Banned { join, audio, video } = order.banned;
    KickingRule {
        id: 0,
        app: order.app.to_string(),
        cname: order.target.cname().map(Cname::to_string),
        uid: order.target.uid().map(Uid::to_string),
        ip: order.target.ip().map(|ip| ip.to_string()),
        banned: [join, audio, video],
        created: order.created,
        updated: order.created,
        until: order.until,
    }
}

fn rule(row: &KickingRule) -> Result<Rule, KeeperError> {
    let cname = row.cname.as_deref().map(Cname::new).transpose()?;
    let uid = row.uid.as_deref().map(Uid::new).transpose()?;
    let ip = row.ip.as_deref().map(str::parse).transpose()?;
    let target = Target::new(cname, uid, ip).ok_or("a kept rule names nobody")?;
    let [join, audio, video] = row.banned;
    let banned = Banned { join, audio, video };
    let order = NewRule { app: AppId::new(&row.app)?, target, banned, created: row.created, until: row.until };
    Ok(Rule { id: RuleId(row.id), order, updated: row.updated })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_rule_comes_back_as_it_was() {
        let keeper = StoredRules(Store::in_memory().await.unwrap());
        let target = Target::new(Some(Cname::new("room").unwrap()), None, Some([192, 0, 2, 1].into())).unwrap();
        let order = NewRule {
            app: AppId::new(&"a".repeat(32)).unwrap(),
            target,
            banned: Banned { audio: true, ..Banned::default() },
            created: WallMs(1_000),
            until: WallMs(60_000),
        };
        let id = keeper.insert(&order).await.unwrap();
        keeper.change(id, WallMs(90_000), WallMs(2_000)).await.unwrap();
        let kept = keeper.load(WallMs(2_000)).await.unwrap();
        let order = NewRule { until: WallMs(90_000), ..order };
        assert_eq!(kept, [Rule { id, order, updated: WallMs(2_000) }]);
        keeper.remove(id).await.unwrap();
        assert!(keeper.load(WallMs(2_000)).await.unwrap().is_empty());
    }
}
