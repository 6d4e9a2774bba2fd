//! The part of the contract about channel events, the delivery log, and events that nobody wants.

use serde_json::json;

use super::*;
use crate::units::{ChannelSid, EventTypes};

const DAY: u64 = 24 * 3_600_000;

/// Leaves the store as it was, but for channel events.
pub(super) async fn hold(store: &Store) {
    channel_events_are_delivered_in_the_order_of_their_session(store).await;
    attempts_are_remembered_the_last_ones_first_to_stay(store).await;
    what_is_not_wanted_is_passed_over_and_holds_nobody_up(store).await;
    old_channel_events_are_forgotten(store).await;
}

async fn channel_events_are_delivered_in_the_order_of_their_session(store: &Store) {
    let new = [notice(1, 101), notice(2, 101), notice(1, 107), notice(1, 108)];
    assert_eq!(store.append_channel_notices(&new, NOW).await.unwrap(), 0);
    store.append_channel_notices(&[notice(1, 102)], WallMs(NOW.0 + 1)).await.unwrap();
    let all = all(store).await;
    let known: Vec<_> =
        all.iter().map(|one| (one.event.session.clone(), one.event.sequence, one.event.event_type)).collect();
    let expected: Vec<_> = [(1, 0, 101), (1, 1, 107), (1, 2, 108), (1, 3, 102), (2, 0, 101)]
        .map(|(session, sequence, number)| (self::session(session), sequence, number))
        .into();
    assert_eq!(known, expected);
    assert_eq!(all[0].event.payload, r#"{"channelName":"room","ts":5}"#);
    for one in &all {
        let parts: Vec<&str> = one.event.notice_id.split(':').collect();
        assert!(parts.len() == 3 && parts.iter().all(|part| part.parse::<u64>().is_ok()), "{}", one.event.notice_id);
        assert_eq!(parts[2], one.event.event_type.to_string());
    }
    let due = heads(store).await;
    assert_eq!(due.iter().map(|one| one.event.event_type).collect::<Vec<_>>(), [101, 101], "one a session");
    assert!(store.pending_deliveries::<Event>(&app(), 100).await.unwrap().iter().all(|one| one.event.sid != sid(0)));

    store.mark_attempt(&due[0].event, &refused(503), WallMs(NOW.0 + 9)).await.unwrap();
    store.mark_dead(&due[0].event, &refused(503), NOW).await.unwrap();
    assert_eq!(heads(store).await[0].event.sequence, 1, "a dead letter lets the next one pass");
    assert_eq!(store.outstanding(&[app()]).await.unwrap().dead, 1);
    let foreign = AppId::new(&"b".repeat(32)).unwrap();
    assert_eq!(store.redeliver::<ChannelNotice>(&foreign, None, NOW, 10).await.unwrap(), 0);
    let one = session(1);
    assert_eq!(store.channel_sessions_without(&app(), 102, 9).await.unwrap(), [session(2)]);
    assert_eq!(store.channel_sessions_without(&app(), 111, 1).await.unwrap(), [session(1)]);
    assert!(store.channel_sessions_without(&foreign, 102, 9).await.unwrap().is_empty());
    assert_eq!(store.redeliver::<ChannelNotice>(&app(), Some(one.as_str()), NOW, 10).await.unwrap(), 1);
    assert_eq!(heads(store).await[0].event.sequence, 0, "and comes first again when it is asked for");
}

async fn attempts_are_remembered_the_last_ones_first_to_stay(store: &Store) {
    let head = heads(store).await.remove(0);
    for number in 0..u64::from(MAX_ATTEMPTS_KEPT) + 5 {
        let attempt = Attempt { at: WallMs(NOW.0 + number), ..refused(500) };
        store.mark_attempt(&head.event, &attempt, NOW).await.unwrap();
    }
    store.mark_delivered(&head.event, &taken(), NOW).await.unwrap();
    store.mark_delivered(&head.event, &taken(), NOW).await.unwrap();
    let all = all(store).await;
    let log = store.attempts(&all).await.unwrap();
    assert_eq!((log.len(), log[0].len()), (all.len(), MAX_ATTEMPTS_KEPT as usize));
    assert_eq!(log[0].last(), Some(&taken()), "once, though it was said twice");
    assert_eq!(log[0][MAX_ATTEMPTS_KEPT as usize - 2].at, WallMs(NOW.0 + u64::from(MAX_ATTEMPTS_KEPT) + 4));
    assert!(log[1].is_empty());
    assert_eq!(all[0].attempts, 2 + MAX_ATTEMPTS_KEPT + 5, "how many failed is counted beside them");
    assert_eq!(store.attempts::<ChannelNotice>(&[]).await.unwrap(), Vec::<Vec<Attempt>>::new());
}

async fn what_is_not_wanted_is_passed_over_and_holds_nobody_up(store: &Store) {
    let head = heads(store).await.remove(0);
    assert_eq!(head.event.event_type, 107);
    let wanted = EventTypes::Only([102].into());
    store.pass_over(&head.event, &EventTypes::All, NOW).await.unwrap();
    assert_eq!(heads(store).await[0].event.event_type, 107, "everything is wanted");
    store.pass_over(&head.event, &wanted, NOW).await.unwrap();
    let states: Vec<_> = all(store).await.iter().map(|one| one.state).collect();
    let (delivered, passed, due) =
        (DeliveryState::Delivered(NOW), DeliveryState::Filtered(NOW), DeliveryState::Due(NOW));
    assert_eq!(states, [delivered, passed, passed, due, due]);
    let passed = store.dead_letters::<ChannelNotice>(&app(), UndeliveredFilter::Filtered, None, None, 9).await.unwrap();
    assert_eq!(passed.len(), 2);
    let pending = store.dead_letters::<ChannelNotice>(&app(), UndeliveredFilter::Pending, None, None, 9).await.unwrap();
    assert_eq!(pending.iter().map(|one| one.event.event_type).collect::<Vec<_>>(), [102, 101]);

    let recorded = store.pending_deliveries::<Event>(&app(), 100).await.unwrap().remove(0).event;
    store.pass_over(&recorded, &EventTypes::Only([recorded.event_type].into()), NOW).await.unwrap();
    let same = store.dead_letters::<Event>(&app(), UndeliveredFilter::Filtered, None, None, 9).await.unwrap();
    assert!(same.is_empty(), "recordings go by the numbers of their own log");
}

async fn old_channel_events_are_forgotten(store: &Store) {
    store.append_channel_notices(&[notice(2, 102)], WallMs(NOW.0 + DAY)).await.unwrap();
    let later = WallMs(NOW.0 + DAY);
    while store.forget_channel_notices(later, 1).await.unwrap() > 0 {}
    let left: Vec<_> = all(store).await.iter().map(|one| (one.event.session.clone(), one.event.event_type)).collect();
    assert_eq!(left, [(session(2), 101), (session(2), 102)], "what a younger one waits for stays");
    while store.forget_channel_notices(WallMs(later.0 + 1), 10).await.unwrap() > 0 {}
    assert!(all(store).await.is_empty());
}

async fn all(store: &Store) -> Vec<Delivery<ChannelNotice>> {
    store.dead_letters(&app(), UndeliveredFilter::All, None, None, 100).await.unwrap()
}

async fn heads(store: &Store) -> Vec<Delivery<ChannelNotice>> {
    let mut heads = store.pending_deliveries::<ChannelNotice>(&app(), 10).await.unwrap();
    heads.sort_by_key(|one| one.event.session.clone());
    heads
}

fn session(number: u8) -> ChannelSid {
    ChannelSid::from_random([number; 16])
}

fn notice(session: u8, event_type: u16) -> NewChannelNotice {
    let payload = json!({"channelName": "room", "ts": 5});
    NewChannelNotice { app: app(), session: self::session(session), event_type, payload }
}
