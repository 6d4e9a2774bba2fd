//! The socket that one peer connection sees.

use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::time::Instant;
use webrtc::runtime::{AsyncUdpSocket, RecvMeta, Transmit};

use super::{Datagram, Endpoint};

/// Receives what the endpoint gets, sends through the shared port.
#[derive(Debug)]
pub(super) struct MuxSocket {
    endpoint: Arc<Endpoint>,
    /// What the peer connection believes to be bound to.
    local: SocketAddr,
}

impl MuxSocket {
    pub(super) const fn new(endpoint: Arc<Endpoint>, local: SocketAddr) -> Self {
        Self { endpoint, local }
    }
}

impl AsyncUdpSocket for MuxSocket {
    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.local)
    }

    /// Never waits: a full send buffer loses the datagram, as any router on the way might. Waiting would stall one peer
    /// connection for another's traffic.
    fn poll_send(&self, _: &mut Context<'_>, transmit: &Transmit<'_>) -> Poll<io::Result<usize>> {
        let shared = &self.endpoint.shared;
        shared.routes().sending(self.endpoint.id, transmit.destination, transmit.contents, Instant::now());
        match shared.socket.try_send_to(transmit.contents, transmit.destination) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Poll::Ready(Ok(transmit.contents.len())),
            sent => Poll::Ready(sent),
        }
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        let mut inbound = self.endpoint.inbound.lock().expect("nothing panics while it holds the queue");
        let room = buffers.len().min(meta.len());
        let mut filled = 0;
        while filled < room {
            match inbound.poll_recv(cx) {
                Poll::Ready(Some(datagram)) => {
                    meta[filled] = copy(&datagram, &mut buffers[filled]);
                    filled += 1;
                }
                Poll::Ready(None) if filled == 0 => return Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
                Poll::Pending if filled == 0 => return Poll::Pending,
                Poll::Ready(None) | Poll::Pending => break,
            }
        }
        Poll::Ready(Ok(filled))
    }
}

fn copy(datagram: &Datagram, buffer: &mut [u8]) -> RecvMeta {
    let len = datagram.bytes.len().min(buffer.len());
    buffer[..len].copy_from_slice(&datagram.bytes[..len]);
    let mut meta = RecvMeta::default();
    meta.addr = datagram.from;
    meta.len = len;
    meta.stride = len.max(1);
    meta
}
