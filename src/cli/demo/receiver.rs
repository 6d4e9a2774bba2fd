//! The demo's callback receiver: checks both signatures as an app server would and keeps what came.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use secrecy::SecretString;
use serde::Deserialize;
use tokio::sync::watch;

use crate::callback::signature;
use crate::units::{EventType, Sid};

/// Callbacks that are kept at most; a demo has some dozens.
const MAX_KEPT: usize = 10_000;

/// One callback as it came.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Callback {
    pub(super) sid: Sid,
    pub(super) event_type: u16,
    pub(super) notice_id: String,
    pub(super) payload: Payload,
}

impl Callback {
    pub(super) fn is(&self, event_type: EventType) -> bool {
        self.event_type == event_type.number()
    }
}

/// The part of a callback's payload that the demo reads.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Payload {
    pub(super) sequence: u64,
    pub(super) sendts: u64,
    pub(super) details: serde_json::Value,
}

/// A receiver on a loopback port of its own.
pub(super) struct Receiver {
    pub(super) address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    secret: SecretString,
    kept: Mutex<Vec<Callback>>,
    refused: Mutex<u64>,
    count: watch::Sender<usize>,
}

impl Receiver {
    /// Listens until the process ends.
    pub(super) async fn spawn(secret: SecretString) -> anyhow::Result<Self> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let (count, _) = watch::channel(0);
        let shared = Arc::new(Shared { secret, kept: Mutex::default(), refused: Mutex::default(), count });
        let router = axum::Router::new().fallback(receive).with_state(shared.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(Self { address, shared })
    }

    /// What came for this recording, in the order of arrival, each notice once.
    pub(super) fn of(&self, sid: &Sid) -> Vec<Callback> {
        let kept = self.shared.kept.lock().expect("nothing panics while it holds this lock");
        let mut seen = std::collections::HashSet::new();
        kept.iter()
            .filter(|callback| callback.sid == *sid && seen.insert(callback.notice_id.clone()))
            .cloned()
            .collect()
    }

    /// Callbacks whose signature or shape was wrong.
    pub(super) fn refused(&self) -> u64 {
        *self.shared.refused.lock().expect("nothing panics while it holds this lock")
    }

    /// Waits for an event of this type; `None` when it does not come in time.
    pub(super) async fn wait_for(&self, sid: &Sid, event_type: EventType, patience: Duration) -> Option<Callback> {
        let mut count = self.shared.count.subscribe();
        let found = async {
            loop {
                if let Some(callback) = self.of(sid).into_iter().find(|callback| callback.is(event_type)) {
                    return Some(callback);
                }
                count.changed().await.ok()?;
            }
        };
        tokio::time::timeout(patience, found).await.ok().flatten()
    }
}

async fn receive(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let signed =
        |name, expected: String| headers.get(name).is_some_and(|value| value.as_bytes() == expected.as_bytes());
    let genuine = signed(signature::HEADER_V1, signature::v1(&shared.secret, &body))
        && signed(signature::HEADER_V2, signature::v2(&shared.secret, &body));
    let Some(callback) = serde_json::from_slice::<Callback>(&body).ok().filter(|_| genuine) else {
        *shared.refused.lock().expect("nothing panics while it holds this lock") += 1;
        return StatusCode::BAD_REQUEST;
    };
    let mut kept = shared.kept.lock().expect("nothing panics while it holds this lock");
    if kept.len() < MAX_KEPT {
        kept.push(callback);
    }
    shared.count.send_replace(kept.len());
    StatusCode::OK
}
