use cloud_recorder::store::{Binding, NewResource, NewSession, Store};
use cloud_recorder::units::Sid;

use crate::world::{app, new_session, now};

#[tokio::test(flavor = "multi_thread")]
async fn of_concurrent_starts_on_one_resource_exactly_one_wins() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("store.db")).await.unwrap();
    let template = new_session(&app('a'), 1);
    create(&store, &template).await;

    let starts = (0..8).map(|number: u8| {
        let (store, sid) = (store.clone(), Sid::from_random([number; 16]));
        let new = NewSession { sid, ..template.clone() };
        tokio::spawn(async move { store.resource_bind(&new, [number % 2; 32], now()).await.unwrap() })
    });
    let outcomes: Vec<Binding> =
        futures_util::future::join_all(starts).await.into_iter().map(|outcome| outcome.unwrap()).collect();
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == Binding::Bound).count(), 1, "{outcomes:?}");
    assert_eq!(store.sessions_open().await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_concurrent_starts_for_one_channel_and_uid_exactly_one_runs() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("store.db")).await.unwrap();
    let template = new_session(&app('a'), 1);
    let mut starts = Vec::new();
    for number in 0..8_u8 {
        let new = NewSession {
            sid: Sid::from_random([number; 16]),
            resource: format!("resource-{number}"),
            ..template.clone()
        };
        create(&store, &new).await;
        let store = store.clone();
        starts.push(tokio::spawn(async move { store.resource_bind(&new, [0; 32], now()).await.unwrap() }));
    }
    let outcomes: Vec<Binding> =
        futures_util::future::join_all(starts).await.into_iter().map(|outcome| outcome.unwrap()).collect();
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == Binding::Bound).count(), 1, "{outcomes:?}");
    assert_eq!(outcomes.iter().filter(|outcome| matches!(outcome, Binding::Conflict(_))).count(), 7, "{outcomes:?}");
}

async fn create(store: &Store, new: &NewSession) {
    let resource = NewResource {
        id: new.resource.clone(),
        app: new.app.clone(),
        cname: new.cname.clone(),
        uid: new.uid.clone(),
        expired_hours: 72,
        start_parameter: None,
    };
    store.resource_create(&resource, now()).await.unwrap();
}
