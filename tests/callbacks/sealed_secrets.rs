use cloud_recorder::store::seal::Sealer;
use cloud_recorder::store::{NewSession, Store};

use crate::world::{app, new_session, start};

#[tokio::test]
async fn no_file_of_the_database_holds_a_sealed_secret() {
    let secret = b"wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
    let dir = tempfile::tempdir().unwrap();
    let sealer = Sealer::from_file(&dir.path().join("seal.key")).unwrap();
    let path = dir.path().join("store.db");
    let store = Store::open(&path).await.unwrap();
    let new = NewSession { sealed: Some(sealer.seal(secret)), ..new_session(&app('a'), 1) };
    let sid = start(&store, &new).await;

    let mut bytes_seen = 0;
    for file in std::fs::read_dir(dir.path()).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        bytes_seen += bytes.len();
        assert!(!bytes.windows(8).any(|part| secret.windows(8).any(|other| other == part)));
    }
    assert!(bytes_seen > secret.len());

    store.close().await;
    let row = Store::open(&path).await.unwrap().session_get(&sid).await.unwrap().unwrap();
    assert_eq!(sealer.open(&row.session.sealed.unwrap()).unwrap().as_slice(), secret);
}
