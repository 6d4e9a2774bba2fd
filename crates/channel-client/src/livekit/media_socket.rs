//! The UDP sockets of a bot's peer connection: tokio's, with a note of everything that arrives.

use std::io::{self, IoSliceMut};
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use webrtc::runtime::{AsyncUdpSocket, RecvMeta, Runtime, TokioRuntime, Transmit};

use crate::MediaPath;
use crate::peer::SocketRuntime;

/// The receive buffer asked of the kernel, in bytes; it may grant less.
const RECEIVE_BUFFER: usize = 4 * 1024 * 1024;

/// A longer wait than this is no wait: the wall clock was stepped.
const LONGEST_WAIT: Duration = Duration::from_secs(600);

/// A runtime whose sockets tell `path` what arrives.
pub(super) fn runtime(path: &Arc<MediaPath>) -> Arc<dyn Runtime> {
    let path = Arc::clone(path);
    SocketRuntime::build("tokio, watched sockets", move |socket| Ok(Arc::new(MediaSocket::new(socket, &path)?)))
}

/// One socket.
#[derive(Debug)]
struct MediaSocket {
    inner: Arc<dyn AsyncUdpSocket>,
    inode: u64,
    path: Arc<MediaPath>,
}

impl MediaSocket {
    fn new(socket: UdpSocket, path: &Arc<MediaPath>) -> io::Result<Self> {
        // A smaller buffer than asked for is no failure: the kernel's limit may not be ours to raise.
        let _ = socket2::SockRef::from(&socket).set_recv_buffer_size(RECEIVE_BUFFER);
        let inode = rustix::fs::fstat(&socket)?.st_ino;
        let inner = TokioRuntime.wrap_udp_socket(socket)?;
        path.opened(inode);
        Ok(Self { inner, inode, path: Arc::clone(path) })
    }
}

impl Drop for MediaSocket {
    fn drop(&mut self) {
        self.path.closed(self.inode);
    }
}

impl AsyncUdpSocket for MediaSocket {
    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.inner.local_addr()
    }

    fn poll_send(&self, cx: &mut Context<'_>, transmit: &Transmit<'_>) -> Poll<io::Result<usize>> {
        self.inner.poll_send(cx, transmit)
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        let count = ready!(self.inner.poll_recv(cx, buffers, meta))?;
        // Ordered by arrival: the first has waited longest, the last is the newest.
        if let [first, .., last] | [first @ last] = &meta[..count] {
            self.path.received(waited(first));
            self.path.received(waited(last));
        }
        Poll::Ready(Ok(count))
    }

    fn max_gso_segments(&self) -> usize {
        self.inner.max_gso_segments()
    }

    fn max_gro_segments(&self) -> usize {
        self.inner.max_gro_segments()
    }
}

/// How long ago the kernel took the datagram; nothing where it does not say.
fn waited(meta: &RecvMeta) -> Duration {
    let now = Duration::from_millis(recorder_edge::clock::now().0);
    let waited = meta.timestamp.map(|arrival| now.saturating_sub(arrival));
    waited.filter(|waited| *waited <= LONGEST_WAIT).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_arrives_is_noted_with_the_time_that_it_waited() {
        let path = Arc::new(MediaPath::default());
        let bound = UdpSocket::bind("127.0.0.1:0").unwrap();
        bound.set_nonblocking(true).unwrap();
        let address = bound.local_addr().unwrap();
        let socket = runtime(&path).wrap_udp_socket(bound).unwrap();
        let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
        assert_eq!(path.newest(), None);
        let mut buffer = [0; 16];
        let pause = Duration::from_millis(60);
        // The first socket of a machine that asks for time stamps has to wait for them a moment.
        for attempt in 0.. {
            sender.send_to(b"first", address).unwrap();
            tokio::time::sleep(pause).await;
            assert_eq!(socket.recv_from(&mut buffer).await.unwrap().0, 5);
            let age = path.newest().unwrap().elapsed();
            if age >= pause - Duration::from_millis(5) {
                break;
            }
            assert!(attempt < 100, "dated when it was read: {age:?}");
        }
        assert!(path.take_longest_wait() >= pause - Duration::from_millis(5));
        let mut open = 0;
        path.for_each_socket(|_| open += 1);
        drop(socket);
        path.for_each_socket(|_| open += 1);
        assert_eq!(open, 1);
    }

    #[test]
    fn a_stepped_wall_clock_is_no_wait() {
        let mut meta = RecvMeta::default();
        assert_eq!(waited(&meta), Duration::ZERO);
        let now = recorder_edge::clock::now().0;
        meta.timestamp = Some(Duration::from_millis(now + 5_000));
        assert_eq!(waited(&meta), Duration::ZERO);
        meta.timestamp = Some(Duration::from_millis(now - 3_600_000));
        assert_eq!(waited(&meta), Duration::ZERO);
    }
}
