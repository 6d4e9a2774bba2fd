use cloud_recorder::callback::Dispatcher;
use cloud_recorder::store::Store;

use crate::receiver::{Answer, Receiver};
use crate::world::{app, happen, new_session, settings, settled, start};

#[tokio::test]
async fn a_redirect_is_a_failed_attempt() {
    let elsewhere = Receiver::scripted(&[]).await;
    let receiver = Receiver::scripted(&[Answer::Redirect(elsewhere.url.clone())]).await;
    let app = app('a');
    let store = Store::in_memory().await.unwrap();
    let sid = start(&store, &new_session(&app, 1)).await;
    happen(&store, &sid, 1).await;
    let _dispatcher = Dispatcher::spawn(store.clone(), settings(&[(&app, &receiver.url)])).unwrap();
    settled(&store, std::slice::from_ref(&sid)).await;
    assert!(receiver.attempts().len() >= 2);
    assert!(elsewhere.attempts().is_empty());
}
