//! A door that can be shut: a TCP proxy on a port of its own. Shut, it resets what is open and refuses what comes; a busy one answers each
//! request with 503.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

/// What becomes of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Open,
    Shut,
    Busy,
}

/// A proxy for one server. Gone when dropped.
pub(crate) struct CutoffProxy {
    /// Where callers go.
    pub(crate) address: SocketAddr,
    way: Arc<watch::Sender<Way>>,
    _task: AbortOnDropHandle<()>,
}

impl CutoffProxy {
    /// An open door to `server`.
    pub(crate) async fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let way = Arc::new(watch::Sender::new(Way::Open));
        let task = tokio::spawn(accept(listener, server, Arc::clone(&way)));
        Self { address, way, _task: AbortOnDropHandle::new(task) }
    }

    pub(crate) fn shut(&self) {
        self.way.send_replace(Way::Shut);
    }

    pub(crate) fn be_busy(&self) {
        self.way.send_replace(Way::Busy);
    }

    pub(crate) fn open(&self) {
        self.way.send_replace(Way::Open);
    }

    /// `http://address`
    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }
}

async fn accept(listener: TcpListener, server: SocketAddr, way: Arc<watch::Sender<Way>>) {
    while let Ok((client, _)) = listener.accept().await {
        let mut way = way.subscribe();
        tokio::spawn(async move {
            let found = *way.borrow_and_update();
            let served = async {
                match found {
                    Way::Open => join(client, server).await,
                    Way::Busy => refuse(client).await,
                    Way::Shut => {}
                }
            };
            tokio::select! {
                _ = way.wait_for(|way| *way != found) => {}
                () = served => {}
            }
        });
    }
}

async fn refuse(mut client: TcpStream) {
    let mut request = [0; 1 << 16];
    // A client that is gone needs no answer.
    let Ok(1..) = client.read(&mut request).await else { return };
    let answer = "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    let _ = client.write_all(answer.as_bytes()).await;
    let _ = client.shutdown().await;
    while let Ok(1..) = client.read(&mut request).await {}
}

async fn join(mut client: TcpStream, server: SocketAddr) {
    let Ok(mut server) = TcpStream::connect(server).await else { return };
    // A connection that breaks is for its two ends to deal with.
    let _ = copy_bidirectional(&mut client, &mut server).await;
}
