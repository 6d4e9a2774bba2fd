//! The embedded bucket's port with more connections on it than it takes: heads that never end, and bodies that never come. Objects go in
//! and out meanwhile.

use cloud_recorder::storage::bucket_server::{self, BucketServer, Settings};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpSocket, TcpStream};

use crate::support::{ACCESS_KEY, BUCKET, SECRET_KEY, client};

/// What the port takes, and how many come.
const PLACES: usize = 32;
const ATTACKERS: usize = 100;

async fn attack(server: &BucketServer, text: &str) -> Vec<TcpStream> {
    let mut streams = Vec::new();
    for attacker in 0..ATTACKERS {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(format!("127.0.0.{}:0", 2 + attacker % 7).parse().unwrap()).unwrap();
        let mut stream = socket.connect(server.addr()).await.unwrap();
        // Who came before may have been closed for the ones after it.
        let _ = stream.write_all(text.as_bytes()).await;
        streams.push(stream);
    }
    streams
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_go_in_and_out_while_strangers_hold_the_port() {
    let dir = tempfile::tempdir().unwrap();
    let settings = Settings {
        listen: ([127, 0, 0, 1], 0).into(),
        dir: dir.path().join("buckets"),
        access_key: ACCESS_KEY.into(),
        secret_key: SECRET_KEY.into(),
        public_read: true,
    };
    let server = BucketServer::bind_within(settings, bucket_server::limits(PLACES)).await.unwrap();
    server.ensure_bucket(BUCKET).await.unwrap();
    for text in ["GET /x HTTP/1.1\r\nX", "", "PUT /calls/x HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n "] {
        let _held = attack(&server, text).await;
        // A client of its own: no connection from before the attack.
        let client = client(&server.endpoint(), ACCESS_KEY, SECRET_KEY);
        client.put_object().bucket(BUCKET).key("a").body(b"sound".to_vec().into()).send().await.unwrap();
        let got = client.get_object().bucket(BUCKET).key("a").send().await.unwrap();
        assert_eq!(got.body.collect().await.unwrap().into_bytes().as_ref(), b"sound");
    }
    server.shutdown().await;
}
