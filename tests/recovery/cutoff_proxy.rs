//! A door that can be shut: a TCP proxy on a port of its own. Shut, it resets what is open and refuses what comes.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

/// A proxy for one server. Gone when dropped.
pub(crate) struct CutoffProxy {
    /// Where callers go.
    pub(crate) address: SocketAddr,
    open: Arc<watch::Sender<bool>>,
    _task: AbortOnDropHandle<()>,
}

impl CutoffProxy {
    /// An open door to `server`.
    pub(crate) async fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let open = Arc::new(watch::Sender::new(true));
        let task = tokio::spawn(accept(listener, server, Arc::clone(&open)));
        Self { address, open, _task: AbortOnDropHandle::new(task) }
    }

    pub(crate) fn shut(&self) {
        self.open.send_replace(false);
    }

    pub(crate) fn open(&self) {
        self.open.send_replace(true);
    }

    /// `http://address`
    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }
}

async fn accept(listener: TcpListener, server: SocketAddr, open: Arc<watch::Sender<bool>>) {
    while let Ok((client, _)) = listener.accept().await {
        let mut open = open.subscribe();
        tokio::spawn(async move {
            tokio::select! {
                _ = open.wait_for(|open| !open) => {}
                () = join(client, server) => {}
            }
        });
    }
}

async fn join(mut client: TcpStream, server: SocketAddr) {
    let Ok(mut server) = TcpStream::connect(server).await else { return };
    // A connection that breaks is for its two ends to deal with.
    let _ = copy_bidirectional(&mut client, &mut server).await;
}
