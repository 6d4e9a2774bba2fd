//! What a bot's media sockets tell: when something last came over them, how late it was read, and which sockets they are.
//!
//! Everything that arrives counts as a sign of life, RTP, RTCP and STUN alike: it shows that the way works. Dates are those of
//! the kernel, so a datagram that waited for this worker is not younger than it is.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Shared by the sockets of a membership, which write, and by whoever watches over it.
#[derive(Debug)]
pub struct MediaPath {
    /// What the times below are counted from.
    origin: Instant,
    /// Arrival of the newest datagram, in microseconds since `origin`, plus one; 0 while there is none.
    newest: AtomicU64,
    /// The longest wait of a datagram in its socket since that was last asked, in milliseconds.
    longest_wait: AtomicU64,
    /// Inodes of the open sockets: two a peer connection at most, and few connections at a time.
    sockets: Mutex<Vec<u64>>,
}

impl Default for MediaPath {
    fn default() -> Self {
        Self {
            origin: Instant::now(),
            newest: AtomicU64::new(0),
            longest_wait: AtomicU64::new(0),
            sockets: Mutex::default(),
        }
    }
}

impl MediaPath {
    /// A datagram was read that had waited for so long.
    pub fn received(&self, waited: Duration) {
        let age = self.origin.elapsed().saturating_sub(waited);
        self.newest.fetch_max(u64::try_from(age.as_micros()).unwrap_or(u64::MAX - 1) + 1, Ordering::Relaxed);
        self.longest_wait.fetch_max(u64::try_from(waited.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Arrival of the newest datagram.
    pub fn newest(&self) -> Option<Instant> {
        let micros = self.newest.load(Ordering::Relaxed).checked_sub(1)?;
        Some(self.origin + Duration::from_micros(micros))
    }

    /// The longest wait of a datagram since the last call.
    pub fn take_longest_wait(&self) -> Duration {
        Duration::from_millis(self.longest_wait.swap(0, Ordering::Relaxed))
    }

    /// A socket was opened.
    pub fn opened(&self, inode: u64) {
        self.lock().push(inode);
    }

    /// A socket was closed.
    pub fn closed(&self, inode: u64) {
        self.lock().retain(|open| *open != inode);
    }

    /// Calls `each` with the inode of every open socket.
    pub fn for_each_socket(&self, each: impl FnMut(u64)) {
        self.lock().iter().copied().for_each(each);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<u64>> {
        self.sockets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_newest_datagram_counts_and_a_late_one_is_dated_back() {
        let path = MediaPath::default();
        assert_eq!(path.newest(), None);
        tokio::time::advance(Duration::from_secs(5)).await;
        path.received(Duration::ZERO);
        let at = Instant::now();
        assert_eq!(path.newest(), Some(at));
        tokio::time::advance(Duration::from_secs(10)).await;
        path.received(Duration::from_secs(12));
        assert_eq!(path.newest(), Some(at), "it waited since before the newest one");
        path.received(Duration::from_secs(9));
        assert_eq!(path.newest(), Some(at + Duration::from_secs(1)));
        assert_eq!(path.take_longest_wait(), Duration::from_secs(12));
        assert_eq!(path.take_longest_wait(), Duration::ZERO);
    }

    #[test]
    fn sockets_come_and_go() {
        let path = MediaPath::default();
        path.opened(7);
        path.opened(8);
        path.closed(7);
        let mut open = Vec::new();
        path.for_each_socket(|inode| open.push(inode));
        assert_eq!(open, [8]);
    }
}
