//! Bodies on their way in, whose time is limited, and on their way out, whose end is noted.

use std::error::Error;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::body::HttpBody;
use axum::body::{Body, Bytes};
use http_body_util::BodyExt;
use http_body_util::combinators::UnsyncBoxBody;
use tokio::time::{Instant, Sleep};

use super::BodyTime;
use super::registry::{ConnectionPermit, Request, Wait};

type Frame = http_body::Frame<Bytes>;
type BoxError = Box<dyn Error + Send + Sync>;

/// A body did not come in the time that it had.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the request's body did not arrive in time")]
pub struct TooSlow;

impl TooSlow {
    /// Whether this is why a body could not be read.
    pub fn is_cause_of(error: &(dyn Error + 'static)) -> bool {
        let mut cause = Some(error);
        while let Some(error) = cause {
            if error.is::<Self>() {
                return true;
            }
            cause = error.source();
        }
        false
    }
}

/// A request's body: while it does not come, its connection keeps the port waiting.
pub(super) struct Incoming {
    inner: UnsyncBoxBody<Bytes, BoxError>,
    place: Arc<ConnectionPermit>,
    time: BodyTime,
    /// Made at the first wait.
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Incoming {
    pub(super) fn wrap<B>(inner: B, place: &Arc<ConnectionPermit>) -> Body
    where
        B: HttpBody<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let inner = inner.map_err(Into::into).boxed_unsync();
        Body::new(Self { inner, place: Arc::clone(place), time: place.limits().body, sleep: None })
    }
}

impl HttpBody for Incoming {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame, BoxError>>> {
        let this = &mut *self;
        if let Poll::Ready(frame) = Pin::new(&mut this.inner).poll_frame(cx) {
            this.place.works();
            if matches!(this.time, BodyTime::Pause(_)) {
                this.sleep = None;
            }
            return Poll::Ready(frame);
        }
        this.place.waits(Wait::Body, None);
        let (BodyTime::Whole(time) | BodyTime::Pause(time)) = this.time;
        let sleep = this.sleep.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(Instant::now() + time)));
        ready!(sleep.as_mut().poll(cx));
        this.place.works();
        Poll::Ready(Some(Err(TooSlow.into())))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.inner.size_hint()
    }
}

/// An answer's body: when it is gone, the connection waits for its next request.
pub(super) struct Outgoing {
    pub(super) inner: Body,
    pub(super) place: Arc<ConnectionPermit>,
    pub(super) _request: Request,
}

impl HttpBody for Outgoing {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame, axum::Error>>> {
        Pin::new(&mut self.inner).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.inner.size_hint()
    }
}

impl Drop for Outgoing {
    fn drop(&mut self) {
        self.place.answered();
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};
    use std::time::Duration;

    use futures_util::StreamExt;

    use super::*;
    use crate::serving::Limits;
    use crate::serving::registry::Registry;

    fn incoming(time: BodyTime, pause: Duration) -> Body {
        let registry = Registry::new(Limits { body: time, ..Limits::default() });
        let place = registry.enter(IpAddr::V4(Ipv4Addr::LOCALHOST)).unwrap();
        let pieces = futures_util::stream::iter(0..10).then(move |_| async move {
            tokio::time::sleep(pause).await;
            Ok::<_, axum::Error>(Bytes::from_static(b"x"))
        });
        Incoming::wrap(Body::from_stream(pieces), &place)
    }

    async fn comes(time: BodyTime, pause: u64) -> bool {
        match incoming(time, Duration::from_secs(pause)).collect().await {
            Ok(collected) => collected.to_bytes().len() == 10,
            Err(error) => {
                assert!(TooSlow::is_cause_of(&error));
                false
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_whole_body_and_its_pieces_have_their_time() {
        let limit = Duration::from_secs(25);
        assert!(comes(BodyTime::Whole(limit), 2).await);
        assert!(!comes(BodyTime::Whole(limit), 3).await);
        assert!(comes(BodyTime::Pause(limit), 24).await);
        assert!(!comes(BodyTime::Pause(limit), 26).await);
    }
}
