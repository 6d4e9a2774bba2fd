//! The rules in force, and what they say about somebody.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard};

use super::{KeeperError, MAX_RULES_PER_APP, NewRule, Rule, RuleError, RuleId, RuleKeeper};
use recorder_core::units::{AppId, Cname, Uid, WallMs};

/// Every app's rules, as they are kept.
#[derive(Debug)]
pub(crate) struct RuleTable {
    keeper: Arc<dyn RuleKeeper>,
    rules: Mutex<Vec<Rule>>,
}

/// Somebody in a channel, or about to be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Subject<'a> {
    pub(crate) app: &'a AppId,
    pub(crate) cname: &'a Cname,
    /// Nobody yet when the server assigns one.
    pub(crate) uid: Option<&'a Uid>,
    pub(crate) ip: Option<IpAddr>,
}

/// What is banned for somebody.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Bans {
    /// Being in the channel: the vendor's word for it.
    pub(crate) join: Option<&'static str>,
    /// Publishing audio: until then.
    pub(crate) audio: Option<WallMs>,
}

impl RuleTable {
    /// The rules that `keeper` has.
    pub(crate) async fn open(keeper: Arc<dyn RuleKeeper>, now: WallMs) -> Result<Self, KeeperError> {
        let rules = Mutex::new(keeper.load(now).await?);
        Ok(Self { keeper, rules })
    }

    pub(crate) async fn add(&self, order: NewRule) -> Result<RuleId, RuleError> {
        let own = |rules: &Vec<Rule>| rules.iter().filter(|rule| rule.order.app == order.app).count();
        {
            let mut rules = self.rules();
            rules.retain(|rule| rule.order.until > order.created);
            if own(&rules) >= MAX_RULES_PER_APP {
                return Err(RuleError::TooMany);
            }
        }
        let id = self.keeper.insert(&order).await.map_err(RuleError::Keeper)?;
        let updated = order.created;
        self.rules().push(Rule { id, order, updated });
        Ok(id)
    }

    /// Gives one of the app's rules a new end; answers with the rule as it is then. An end that has come already is its end.
    pub(crate) async fn change(&self, app: &AppId, id: RuleId, until: WallMs, now: WallMs) -> Result<Rule, RuleError> {
        self.find(app, id, now).ok_or(RuleError::Unknown)?;
        self.keeper.change(id, until, now).await.map_err(RuleError::Keeper)?;
        let mut rules = self.rules();
        let rule = rules.iter_mut().find(|rule| rule.id == id).ok_or(RuleError::Unknown)?;
        (rule.order.until, rule.updated) = (until, now);
        Ok(rule.clone())
    }

    pub(crate) async fn remove(&self, app: &AppId, id: RuleId, now: WallMs) -> Result<(), RuleError> {
        self.find(app, id, now).ok_or(RuleError::Unknown)?;
        self.keeper.remove(id).await.map_err(RuleError::Keeper)?;
        self.rules().retain(|rule| rule.id != id);
        Ok(())
    }

    /// An app's rules in force, oldest first.
    pub(crate) fn of(&self, app: &AppId, now: WallMs) -> Vec<Rule> {
        self.rules().iter().filter(|rule| rule.order.app == *app && rule.order.until > now).cloned().collect()
    }

    /// What is banned for somebody at `now`.
    pub(crate) fn bans(&self, subject: &Subject<'_>, now: WallMs) -> Bans {
        let rules = self.rules();
        let covering = rules.iter().filter(|rule| {
            rule.order.app == *subject.app && rule.order.until > now && rule.order.target.covers(subject)
        });
        covering.fold(Bans::default(), |bans, rule| Bans {
            join: bans.join.or_else(|| rule.order.banned.join.then(|| rule.order.target.word())),
            audio: if rule.order.banned.audio { bans.audio.max(Some(rule.order.until)) } else { bans.audio },
        })
    }

    fn find(&self, app: &AppId, id: RuleId, now: WallMs) -> Option<Rule> {
        self.of(app, now).into_iter().find(|rule| rule.id == id)
    }

    fn rules(&self) -> MutexGuard<'_, Vec<Rule>> {
        self.rules.lock().expect("nothing panics while it holds the rules")
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Banned, Memory, Target};
    use super::*;

    const NOW: WallMs = WallMs(1_000_000);

    fn app(letter: char) -> AppId {
        AppId::new(&letter.to_string().repeat(32)).unwrap()
    }

    fn cname(text: &str) -> Cname {
        Cname::new(text).unwrap()
    }

    fn uid(text: &str) -> Uid {
        Uid::new(text).unwrap()
    }

    async fn table() -> RuleTable {
        RuleTable::open(Arc::new(Memory::default()), NOW).await.unwrap()
    }

    fn rule(channel: Option<&str>, user: Option<&str>, ip: Option<&str>) -> NewRule {
        let target = Target::new(channel.map(cname), user.map(uid), ip.map(|ip| ip.parse().unwrap())).unwrap();
        let banned = Banned { join: true, ..Banned::default() };
        NewRule { app: app('a'), target, banned, created: NOW, until: WallMs(NOW.0 + 60_000) }
    }

    fn banned(table: &RuleTable, channel: &str, user: &str, ip: &str) -> Option<&'static str> {
        let (app, cname, uid) = (app('a'), cname(channel), uid(user));
        let subject = Subject { app: &app, cname: &cname, uid: Some(&uid), ip: ip.parse().ok() };
        table.bans(&subject, NOW).join
    }

    /// The combinations of the vendor's table, and all others: every named part has to fit.
    #[tokio::test]
    async fn a_rule_applies_to_whom_all_its_parts_fit() {
        for (rule, expected) in [
            (rule(None, None, Some("192.0.2.1")), [Some("IP_BANNED"), Some("IP_BANNED"), Some("IP_BANNED"), None]),
            (
                rule(Some("one"), None, None),
                [Some("CHANNEL_BANNED"), Some("CHANNEL_BANNED"), None, Some("CHANNEL_BANNED")],
            ),
            (rule(None, Some("7"), None), [Some("UID_BANNED"), None, Some("UID_BANNED"), Some("UID_BANNED")]),
            (rule(Some("one"), Some("7"), None), [Some("UID_BANNED"), None, None, Some("UID_BANNED")]),
            (rule(Some("one"), None, Some("192.0.2.1")), [Some("IP_BANNED"), Some("IP_BANNED"), None, None]),
            (rule(None, Some("7"), Some("192.0.2.1")), [Some("UID_BANNED"), None, Some("UID_BANNED"), None]),
            (rule(Some("one"), Some("7"), Some("192.0.2.1")), [Some("UID_BANNED"), None, None, None]),
        ] {
            let table = table().await;
            let told = format!("{rule:?}");
            table.add(rule).await.unwrap();
            let got = [
                ("one", "7", "192.0.2.1"),
                ("one", "8", "192.0.2.1"),
                ("two", "7", "192.0.2.1"),
                ("one", "7", "192.0.2.2"),
            ]
            .map(|(channel, user, ip)| banned(&table, channel, user, ip));
            assert_eq!(got, expected, "{told}");
        }
        assert_eq!(Target::new(None, None, None), None);
    }

    #[tokio::test]
    async fn an_account_is_named_by_its_number_too_and_mapped_addresses_are_plain() {
        let table = table().await;
        let number = super::super::uid_number(&uid("alice")).to_string();
        table.add(rule(None, Some(&number), None)).await.unwrap();
        table.add(rule(None, None, Some("::ffff:192.0.2.9"))).await.unwrap();
        assert_eq!(banned(&table, "one", "alice", ""), Some("UID_BANNED"));
        assert_eq!(banned(&table, "one", "bob", "192.0.2.9"), Some("IP_BANNED"));
    }

    #[tokio::test]
    async fn rules_end_change_go_and_belong_to_one_app() {
        let table = table().await;
        let id = table.add(rule(None, Some("7"), None)).await.unwrap();
        let (a, b) = (app('a'), app('b'));
        assert_eq!((table.of(&a, NOW).len(), table.of(&b, NOW).len()), (1, 0));
        assert!(matches!(table.change(&b, id, NOW, NOW).await, Err(RuleError::Unknown)));
        assert!(matches!(table.remove(&b, id, NOW).await, Err(RuleError::Unknown)));
        let later = WallMs(NOW.0 + 120_000);
        assert_eq!(table.change(&a, id, later, NOW).await.unwrap().order.until, later);
        assert!(table.of(&a, WallMs(later.0 - 1)).len() == 1 && table.of(&a, later).is_empty());
        table.remove(&a, id, NOW).await.unwrap();
        assert_eq!(banned(&table, "one", "7", ""), None);
    }

    #[tokio::test]
    async fn the_longest_ban_on_audio_counts() {
        let table = table().await;
        let audio = Banned { audio: true, ..Banned::default() };
        for seconds in [60, 90, 30] {
            let until = WallMs(NOW.0 + seconds * 1000);
            table.add(NewRule { banned: audio, until, ..rule(None, Some("7"), None) }).await.unwrap();
        }
        let (app, cname, uid) = (app('a'), cname("one"), uid("7"));
        let subject = Subject { app: &app, cname: &cname, uid: Some(&uid), ip: None };
        assert_eq!(table.bans(&subject, NOW), Bans { join: None, audio: Some(WallMs(NOW.0 + 90_000)) });
    }
}
