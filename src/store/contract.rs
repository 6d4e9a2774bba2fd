//! What every engine behind [`Store`] has to hold; run here on SQLite in memory and in a file.

mod dead_letters;

use serde_json::json;

use super::*;
use crate::recording::Mode;
use crate::units::{AppId, Cname, Sid, Uid, WallMs};

const NOW: WallMs = WallMs(1_700_000_000_000);

#[tokio::test]
async fn sqlite_in_memory_holds_the_contract() {
    holds(&Store::in_memory().await.unwrap()).await;
}

#[tokio::test]
async fn sqlite_in_a_file_holds_the_contract_and_remembers() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store.db");
    let store = Store::open(&path).await.unwrap();
    holds(&store).await;
    let before = store.events(&sid(3), None, 100).await.unwrap();
    store.close().await;
    let reopened = Store::open(&path).await.unwrap();
    assert_eq!(reopened.events(&sid(3), None, 100).await.unwrap(), before);
    assert_eq!(reopened.session_get(&sid(3)).await.unwrap().unwrap().state, SessionState::Starting);
}

#[tokio::test]
async fn a_disk_that_was_full_takes_everything_again() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("store.db")).await.unwrap();
    store.resource_create(&new_resource("r-1", "room-1"), NOW).await.unwrap();
    store.resource_bind(&new_session(1, "r-1", "room-1"), [1; 32], NOW).await.unwrap();
    let pages: i64 = sqlx::query_scalar("PRAGMA page_count").fetch_one(&store.writer).await.unwrap();
    sqlx::query(sqlx::AssertSqlSafe(format!("PRAGMA max_page_count = {}", pages + 4)))
        .execute(&store.writer)
        .await
        .unwrap();
    let event = || NewEvent { event_type: 1, service_type: 0, details: json!({ "text": "x".repeat(9000) }) };
    let mut written = 0;
    while store.append_event(&sid(1), event(), NOW).await.is_ok() {
        written += 1;
        assert!(written < 100, "the database does not notice that it is full");
    }
    // The limit was the connection's, and the connection is gone with the transaction that it could not end.
    assert_eq!(store.append_event(&sid(1), event(), NOW).await.unwrap().sequence, written);
}

/// Every promise of the API on an empty store.
async fn holds(store: &Store) {
    a_resource_is_bound_once(store).await;
    concurrent_starts_have_one_winner(store).await;
    a_running_session_keeps_its_place(store).await;
    a_released_resource_can_be_started_again(store).await;
    updates_change_what_they_name(store).await;
    events_are_numbered_without_a_hole(store).await;
    concurrent_events_are_numbered_without_a_hole(store).await;
    a_change_and_its_events_are_one(store).await;
    only_the_oldest_pending_event_is_due(store).await;
    a_dead_letter_can_be_asked_for_again(store).await;
    dead_letters::hold(store).await;
    old_sessions_are_forgotten_when_their_news_is_out(store).await;
    resources_that_were_never_started_are_forgotten(store).await;
}

async fn a_resource_is_bound_once(store: &Store) {
    let resource = new_resource("r-1", "room-1");
    store.resource_create(&resource, NOW).await.unwrap();
    assert_eq!(store.resource_get("r-1").await.unwrap().unwrap().resource, resource);
    assert_eq!(store.resource_get("r-0").await.unwrap(), None);

    let late = WallMs(NOW.0 + RESOURCE_LIFE_MS);
    let new = new_session(1, "r-1", "room-1");
    assert_eq!(store.resource_bind(&new, [1; 32], late).await.unwrap(), Binding::Expired);
    assert_eq!(store.resource_bind(&new, [1; 32], NOW).await.unwrap(), Binding::Bound);
    let again = new_session(2, "r-1", "room-1");
    assert_eq!(store.resource_bind(&again, [1; 32], late).await.unwrap(), Binding::SameStart(sid(1)));
    assert_eq!(store.resource_bind(&again, [2; 32], NOW).await.unwrap(), Binding::OtherStart(sid(1)));

    let unknown = new_session(2, "r-0", "room-1");
    assert_eq!(store.resource_bind(&unknown, [1; 32], NOW).await.unwrap(), Binding::UnknownResource);
    let foreign = NewSession { app: AppId::new(&"b".repeat(32)).unwrap(), ..again };
    assert_eq!(store.resource_bind(&foreign, [1; 32], NOW).await.unwrap(), Binding::UnknownResource);

    let row = store.resource_get("r-1").await.unwrap().unwrap();
    assert_eq!(row.bound, Some((sid(1), NOW)));
    assert!(!row.access_expired(WallMs(NOW.0 + 72 * 3_600_000 - 1)));
    assert!(row.access_expired(WallMs(NOW.0 + 72 * 3_600_000)));
    let row = store.session_get(&sid(1)).await.unwrap().unwrap();
    assert_eq!((row.session, row.state, row.created, row.ended), (new, SessionState::Starting, NOW, None));
}

async fn concurrent_starts_have_one_winner(store: &Store) {
    store.resource_create(&new_resource("r-race", "race"), NOW).await.unwrap();
    let (one, other) = (new_session(0x10, "r-race", "race"), new_session(0x11, "r-race", "race"));
    let (one, other) = tokio::join!(store.resource_bind(&one, [1; 32], NOW), store.resource_bind(&other, [1; 32], NOW));
    let outcomes = [one.unwrap(), other.unwrap()];
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == Binding::Bound).count(), 1, "{outcomes:?}");
    assert!(outcomes.iter().any(|outcome| matches!(outcome, Binding::SameStart(_))), "{outcomes:?}");
}

async fn a_running_session_keeps_its_place(store: &Store) {
    store.resource_create(&new_resource("r-2", "room-1"), NOW).await.unwrap();
    let second = new_session(2, "r-2", "room-1");
    assert_eq!(store.resource_bind(&second, [1; 32], NOW).await.unwrap(), Binding::Conflict(sid(1)));
    let found = store.session_by_cname_uid(&app(), &second.cname, &second.uid).await.unwrap();
    assert_eq!(found.unwrap().session.sid, sid(1));

    store.session_stopping(&sid(1)).await.unwrap();
    assert_eq!(store.session_get(&sid(1)).await.unwrap().unwrap().state, SessionState::Stopping);
    assert_eq!(store.session_by_cname_uid(&app(), &second.cname, &second.uid).await.unwrap(), None);
    assert_eq!(store.resource_bind(&second, [1; 32], NOW).await.unwrap(), Binding::Bound);
    let open: Vec<Sid> = store
        .sessions_open()
        .await
        .unwrap()
        .into_iter()
        .map(|row| row.session.sid)
        .filter(|sid| *sid < self::sid(3))
        .collect();
    assert_eq!(open, [sid(1), sid(2)]);
}

async fn a_released_resource_can_be_started_again(store: &Store) {
    let failed = SessionUpdate { state: Some(SessionState::Failed), ended: Some(NOW), ..SessionUpdate::default() };
    assert!(store.sessions_sealed().await.unwrap().is_empty(), "those that are not over don't count");
    store.session_update(&sid(2), &failed).await.unwrap();
    assert_eq!(store.sessions_sealed().await.unwrap()[0].session.sid, sid(2));
    store.session_stopping(&sid(2)).await.unwrap();
    assert_eq!(store.session_get(&sid(2)).await.unwrap().unwrap().state, SessionState::Failed, "it is over");
    let forget = SessionUpdate { sealed: Sealed::Forget, ..SessionUpdate::default() };
    store.session_update(&sid(2), &forget).await.unwrap();
    assert!(store.sessions_sealed().await.unwrap().is_empty());
    store.resource_release("r-2", &sid(9)).await.unwrap();
    assert!(store.resource_get("r-2").await.unwrap().unwrap().bound.is_some(), "only its own session releases it");
    store.resource_release("r-2", &sid(2)).await.unwrap();
    let third = new_session(3, "r-2", "room-1");
    assert_eq!(store.resource_bind(&third, [3; 32], NOW).await.unwrap(), Binding::Bound);
}

async fn updates_change_what_they_name(store: &Store) {
    let update = SessionUpdate { summary: Some(json!({"fileList": []})), ..SessionUpdate::default() };
    store.session_update(&sid(3), &update).await.unwrap();
    let row = store.session_get(&sid(3)).await.unwrap().unwrap();
    assert_eq!((row.state, row.summary), (SessionState::Starting, Some(json!({"fileList": []}))));
    assert_eq!(row.session.sealed.as_deref(), Some(&b"sealed"[..]));
    assert_eq!(row.session.request, json!({"clientRequest": {}}), "it stays as it was");
    let asked = SessionUpdate { request: Some(json!({"selection": "all"})), ..SessionUpdate::default() };
    store.session_update(&sid(3), &asked).await.unwrap();
    assert_eq!(store.session_get(&sid(3)).await.unwrap().unwrap().session.request, json!({"selection": "all"}));
    let replaced = SessionUpdate { sealed: Sealed::Replace(vec![1]), ..SessionUpdate::default() };
    store.session_update(&sid(3), &replaced).await.unwrap();
    assert_eq!(store.session_get(&sid(3)).await.unwrap().unwrap().session.sealed, Some(vec![1]));
    let forgotten = SessionUpdate { sealed: Sealed::Forget, ..SessionUpdate::default() };
    store.session_update(&sid(3), &forgotten).await.unwrap();
    assert_eq!(store.session_get(&sid(3)).await.unwrap().unwrap().session.sealed, None);
    assert!(matches!(store.session_update(&sid(0xff), &update).await, Err(StoreError::UnknownSession(_))));
}

async fn events_are_numbered_without_a_hole(store: &Store) {
    for number in 0..3 {
        let event = store.append_event(&sid(1), new_event(number), WallMs(NOW.0 + number)).await.unwrap();
        assert_eq!((event.sequence, event.sendts.0), (number, NOW.0 + number));
        assert_eq!(event.details, format!("{{\"msgName\":\"x\",\"number\":{number}}}"));
        assert_eq!((&event.cname, &event.uid, event.mode), (&cname("room-1"), &uid(), Mode::Mix));
        assert!(event.notice_id.len() == 32 && event.notice_id.bytes().all(|byte| byte.is_ascii_hexdigit()));
    }
    let all = store.events(&sid(1), None, 10).await.unwrap();
    assert_eq!(all.iter().map(|event| event.sequence).collect::<Vec<_>>(), [0, 1, 2]);
    assert!(all[0].notice_id != all[1].notice_id);
    assert_eq!(store.events(&sid(1), Some(0), 1).await.unwrap(), [all[1].clone()]);
    assert!(matches!(store.append_event(&sid(0xff), new_event(0), NOW).await, Err(StoreError::UnknownSession(_))));
    let huge = NewEvent { details: json!({"text": "x".repeat(MAX_DETAILS_BYTES)}), ..new_event(0) };
    assert!(matches!(store.append_event(&sid(1), huge, NOW).await, Err(StoreError::DetailsTooLong { .. })));
}

async fn concurrent_events_are_numbered_without_a_hole(store: &Store) {
    let writers = (0..16).map(|number| {
        let store = store.clone();
        tokio::spawn(async move { store.append_event(&sid(3), new_event(number), NOW).await.unwrap().sequence })
    });
    let mut sequences: Vec<u64> =
        futures_util::future::join_all(writers).await.into_iter().map(|sequence| sequence.unwrap()).collect();
    sequences.sort_unstable();
    assert_eq!(sequences, (0..16).collect::<Vec<_>>());
}

async fn a_change_and_its_events_are_one(store: &Store) {
    let ended = SessionUpdate { state: Some(SessionState::Ended), ended: Some(NOW), ..SessionUpdate::default() };
    let huge = NewEvent { details: json!({"text": "x".repeat(MAX_DETAILS_BYTES)}), ..new_event(0) };
    assert!(store.append_events(&sid(1), &ended, vec![new_event(3), huge], NOW).await.is_err());
    assert_eq!(store.session_get(&sid(1)).await.unwrap().unwrap().state, SessionState::Stopping);
    assert_eq!(store.events(&sid(1), None, 10).await.unwrap().len(), 3);
    let events = store.append_events(&sid(1), &ended, vec![new_event(3), new_event(4)], NOW).await.unwrap();
    assert_eq!(events.iter().map(|event| event.sequence).collect::<Vec<_>>(), [3, 4]);
    assert_eq!(store.session_get(&sid(1)).await.unwrap().unwrap().state, SessionState::Ended);
}

async fn only_the_oldest_pending_event_is_due(store: &Store) {
    let heads = store.pending_deliveries::<Event>(&app(), 10).await.unwrap();
    let heads: Vec<_> = heads.iter().map(|head| (head.event.sid.clone(), head.event.sequence)).collect();
    assert_eq!(heads, [(sid(1), 0), (sid(3), 0)]);

    store.mark_attempt(&deliverable(store, 0).await, &refused(500), WallMs(NOW.0 + 50)).await.unwrap();
    let heads = store.pending_deliveries::<Event>(&app(), 10).await.unwrap();
    assert_eq!(heads[0].event.sid, sid(3), "the earliest due comes first");
    assert_eq!((heads[1].attempts, heads[1].last_error.as_deref()), (1, Some("answered 500")));
    assert_eq!(heads[1].state, DeliveryState::Due(WallMs(NOW.0 + 50)));

    store.mark_delivered(&deliverable(store, 1).await, &taken(), NOW).await.unwrap();
    assert_eq!(store.deliveries(&sid(1), Some(0), 1).await.unwrap()[0].state, DeliveryState::Waiting, "no overtaking");
    store.mark_delivered(&deliverable(store, 0).await, &taken(), NOW).await.unwrap();
    store.mark_delivered(&deliverable(store, 0).await, &taken(), NOW).await.unwrap();
    store.mark_dead(&deliverable(store, 1).await, &refused(500), NOW).await.unwrap();
    let states: Vec<_> =
        store.deliveries(&sid(1), None, 10).await.unwrap().into_iter().map(|delivery| delivery.state).collect();
    assert_eq!(
        states,
        [
            DeliveryState::Delivered(NOW),
            DeliveryState::Dead(NOW),
            DeliveryState::Due(NOW),
            DeliveryState::Waiting,
            DeliveryState::Waiting
        ]
    );
    let dead = store.dead_letters::<Event>(&app(), UndeliveredFilter::Dead, None, None, 10).await.unwrap();
    assert_eq!(dead.iter().map(|letter| letter.event.sequence).collect::<Vec<_>>(), [1]);

    for sequence in 2..5 {
        store.mark_delivered(&deliverable(store, sequence).await, &taken(), NOW).await.unwrap();
    }
    assert!(store.pending_deliveries::<Event>(&app(), 10).await.unwrap().iter().all(|head| head.event.sid != sid(1)));
    store.append_event(&sid(1), new_event(5), NOW).await.unwrap();
    assert!(store.pending_deliveries::<Event>(&app(), 10).await.unwrap().iter().any(|head| head.event.sid == sid(1)));
}

async fn a_dead_letter_can_be_asked_for_again(store: &Store) {
    let counts = async || store.outstanding(&[app()]).await.unwrap();
    assert_eq!(counts().await, Undelivered { pending: 1 + 16, dead: 1 });
    let foreign = AppId::new(&"b".repeat(32)).unwrap();
    assert_eq!(store.redeliver::<Event>(&foreign, None, NOW, 10).await.unwrap(), 0);
    assert_eq!(store.redeliver::<Event>(&app(), Some(sid(3).as_str()), NOW, 10).await.unwrap(), 0);
    let later = WallMs(NOW.0 + 9);
    assert_eq!(store.redeliver::<Event>(&app(), Some(sid(1).as_str()), later, 10).await.unwrap(), 1);
    assert_eq!(counts().await, Undelivered { pending: 2 + 16, dead: 0 });
    let of = async |sequence: u64| store.deliveries(&sid(1), Some(sequence - 1), 1).await.unwrap().remove(0);
    assert_eq!((of(1).await.state, of(1).await.asked), (DeliveryState::Due(later), Some(later)));
    assert_eq!(of(5).await.state, DeliveryState::Waiting, "the older one comes first again");
    store.mark_delivered(&deliverable(store, 1).await, &taken(), NOW).await.unwrap();
    assert_eq!(of(2).await.state, DeliveryState::Delivered(NOW), "what was delivered stays so");
    assert_eq!(of(5).await.state, DeliveryState::Due(NOW), "and what waited is next");

    let mut places = Vec::new();
    let mut after: Option<EventPosition> = None;
    loop {
        let page =
            store.dead_letters::<Event>(&app(), UndeliveredFilter::Pending, None, after.as_ref(), 5).await.unwrap();
        places.extend(
            page.iter().map(|one| EventPosition { stream: one.event.sid.to_string(), sequence: one.event.sequence }),
        );
        if page.len() < 5 {
            break;
        }
        after = places.last().cloned();
    }
    let mut expected = vec![EventPosition { stream: sid(1).to_string(), sequence: 5 }];
    expected.extend((0..16).map(|sequence| EventPosition { stream: sid(3).to_string(), sequence }));
    assert_eq!(places, expected, "pages neither repeat nor skip");
}

/// A line of the first session.
async fn deliverable(store: &Store, sequence: u64) -> Event {
    store.deliveries(&sid(1), sequence.checked_sub(1), 1).await.unwrap().remove(0).event
}

fn taken() -> Attempt {
    Attempt { at: NOW, took_ms: 7, status: Some(200), error: None }
}

fn refused(status: u16) -> Attempt {
    Attempt { status: Some(status), error: Some(format!("answered {status}")), ..taken() }
}

async fn old_sessions_are_forgotten_when_their_news_is_out(store: &Store) {
    let later = WallMs(NOW.0 + 1);
    assert_eq!(store.forget(later, NOW, 10).await.unwrap(), 1, "the failed one; an ended one still has news to tell");
    assert_eq!(store.session_get(&sid(2)).await.unwrap(), None);
    assert!(store.session_get(&sid(1)).await.unwrap().is_some());
    assert!(store.resource_get("r-1").await.unwrap().is_some());
    assert_eq!(store.forget(later, later, 10).await.unwrap(), 1, "nobody ever fetched that news");
    assert_eq!(store.events(&sid(1), None, 10).await.unwrap(), []);
    assert_eq!(store.resource_get("r-1").await.unwrap(), None);
    assert!(store.session_get(&sid(3)).await.unwrap().is_some(), "a session that did not end stays");
    let sealed = Sealed::Replace(vec![1]);
    let away = SessionUpdate { state: Some(SessionState::Ended), sealed, ..SessionUpdate::default() };
    store.session_update(&sid(3), &away).await.unwrap();
    assert_eq!(store.forget(later, later, 10).await.unwrap(), 0, "one that is over and not at home stays too");
    assert_eq!(store.sessions_sealed().await.unwrap()[0].session.sid, sid(3));
    let before = SessionUpdate { state: Some(SessionState::Starting), ..SessionUpdate::default() };
    store.session_update(&sid(3), &before).await.unwrap();
}

async fn resources_that_were_never_started_are_forgotten(store: &Store) {
    store.resource_create(&new_resource("r-old", "room-1"), NOW).await.unwrap();
    let day = 24 * 3_600_000;
    store.resource_create(&new_resource("r-new", "room-1"), WallMs(NOW.0 + day)).await.unwrap();
    assert!(store.resource_get("r-old").await.unwrap().is_some(), "a day is not over");
    store.resource_create(&new_resource("r-newer", "room-1"), WallMs(NOW.0 + day + 1)).await.unwrap();
    assert_eq!(store.resource_get("r-old").await.unwrap(), None);
    assert!(store.resource_get("r-2").await.unwrap().is_some(), "started ones stay");
}

fn new_resource(id: &str, channel: &str) -> NewResource {
    NewResource {
        id: id.into(),
        app: app(),
        cname: cname(channel),
        uid: uid(),
        expired_hours: 72,
        start_parameter: Some([7; 32]),
    }
}

fn new_session(number: u8, resource: &str, channel: &str) -> NewSession {
    NewSession {
        sid: sid(number),
        app: app(),
        cname: cname(channel),
        uid: uid(),
        resource: resource.into(),
        mode: Mode::Mix,
        request: json!({"clientRequest": {}}),
        sealed: Some(b"sealed".to_vec()),
    }
}

fn new_event(number: u64) -> NewEvent {
    NewEvent { event_type: 40, service_type: 1, details: json!({"msgName": "x", "number": number}) }
}

fn app() -> AppId {
    AppId::new(&"a".repeat(32)).unwrap()
}

fn cname(text: &str) -> Cname {
    Cname::new(text).unwrap()
}

fn uid() -> Uid {
    Uid::new("999").unwrap()
}

fn sid(number: u8) -> Sid {
    Sid::from_random([number; 16])
}
