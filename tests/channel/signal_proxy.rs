//! The road to a server's signalling: a TCP relay that can be cut, closed and led elsewhere.

use std::sync::{Arc, Mutex};

use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_util::task::AbortOnDropHandle;

#[derive(Default)]
struct State {
    /// `None` while the road is closed.
    target: Option<String>,
    sockets: JoinSet<()>,
}

pub(crate) struct SignalProxy {
    pub(crate) address: String,
    state: Arc<Mutex<State>>,
    _relay: AbortOnDropHandle<()>,
}

impl SignalProxy {
    pub(crate) async fn to(target: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let state = Arc::new(Mutex::new(State { target: Some(target.to_owned()), sockets: JoinSet::new() }));
        let relay = AbortOnDropHandle::new(tokio::spawn(relay(listener, Arc::clone(&state))));
        Self { address, state, _relay: relay }
    }

    /// Cuts every socket; new ones lead to `target`, or nowhere.
    pub(crate) fn cut(&self, target: Option<&str>) {
        let mut state = self.state.lock().unwrap();
        state.target = target.map(ToOwned::to_owned);
        state.sockets.abort_all();
    }
}

async fn relay(listener: TcpListener, state: Arc<Mutex<State>>) {
    loop {
        let (mut near, _) = listener.accept().await.unwrap();
        let mut state = state.lock().unwrap();
        if let Some(target) = state.target.clone() {
            state.sockets.spawn(async move {
                let mut far = TcpStream::connect(target).await.unwrap();
                // Either end may go first; both are closed then.
                let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
            });
        }
    }
}
