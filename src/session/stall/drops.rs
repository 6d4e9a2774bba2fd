//! What the kernel dropped at this process's sockets because nobody read them: the last column of `/proc/net/udp`.
//!
//! The table lists every UDP socket of the network namespace by inode. Where there is no such table nothing is known to be dropped.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::Path;

/// Both families have the same columns.
const TABLES: [&str; 2] = ["/proc/self/net/udp", "/proc/self/net/udp6"];

/// The column of a socket's inode.
const INODE: usize = 9;

/// The column of its drops, three further on.
const DROPS_AFTER_INODE: usize = 2;

/// What was dropped so far, by inode; sockets without drops are left out. Bounded by the kernel's table.
#[derive(Debug, Default)]
pub(super) struct Drops {
    known: HashMap<u64, u64>,
    /// Sockets of other processes that drop too.
    foreign: HashSet<u64>,
}

impl Drops {
    /// Reads the tables. What was dropped since they were last read, by inode.
    pub(super) fn read(&mut self) -> HashMap<u64, u64> {
        let mut now = HashMap::new();
        for table in TABLES {
            if let Ok(text) = fs::read_to_string(table) {
                now.extend(dropped(&text));
            }
        }
        self.grow(now)
    }

    /// Whether a socket that dropped is one of this process. Asked of sockets that no session knows: the embedded channel
    /// server's is one.
    pub(super) fn is_ours(&mut self, inode: u64) -> bool {
        if self.foreign.contains(&inode) {
            return false;
        }
        let link = format!("socket:[{inode}]");
        let open = fs::read_dir("/proc/self/fd").into_iter().flatten().flatten();
        let ours = open.into_iter().any(|file| fs::read_link(file.path()).is_ok_and(|to| to == Path::new(&link)));
        if !ours {
            self.foreign.insert(inode);
        }
        ours
    }

    fn grow(&mut self, now: HashMap<u64, u64>) -> HashMap<u64, u64> {
        let before = std::mem::replace(&mut self.known, now);
        self.foreign.retain(|inode| self.known.contains_key(inode));
        let grown = self.known.iter().map(|(inode, drops)| {
            // A smaller figure is another socket with an inode that was free again.
            let before = before.get(inode).filter(|before| *before <= drops).copied().unwrap_or(0);
            (*inode, drops - before)
        });
        grown.filter(|(_, grown)| *grown > 0).collect()
    }
}

/// Inode and drops of each socket that dropped something.
fn dropped(table: &str) -> impl Iterator<Item = (u64, u64)> {
    table.lines().skip(1).filter_map(|line| {
        let mut columns = line.split_ascii_whitespace().skip(INODE);
        let inode = columns.next()?.parse().ok()?;
        let drops = columns.nth(DROPS_AFTER_INODE)?.parse().ok()?;
        (drops > 0).then_some((inode, drops))
    })
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use super::*;

    const TABLE: &str = "   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops             
  389: 0100007F:C350 00000000:0000 07 00000000:00034200 00:00000000 00000000  1000        0 23718 2 00000000e8d3b1a5 17
  412: 00000000:14E9 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 19214 2 0000000000000000 0
";

    #[test]
    fn the_table_is_read_and_only_growth_counts() {
        assert_eq!(dropped(TABLE).collect::<Vec<_>>(), [(23718, 17)]);
        let mut drops = Drops::default();
        let mut read = |table: &str| {
            let grown = drops.grow(dropped(table).collect());
            grown.into_iter().collect::<Vec<_>>()
        };
        assert_eq!(read(TABLE), [(23718, 17)]);
        assert_eq!(read(TABLE), []);
        assert_eq!(read(&TABLE.replace("b1a5 17", "b1a5 20")), [(23718, 3)]);
        assert_eq!(read(&TABLE.replace("b1a5 17", "b1a5 2")), [(23718, 2)], "another socket");
    }

    /// The kernel's own figure, where it gives one.
    #[test]
    fn a_socket_that_nobody_reads_drops() {
        use std::os::linux::fs::MetadataExt;
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let inode = rustix::fs::fstat(&socket).unwrap().st_ino;
        let mut drops = Drops::default();
        drops.read();
        let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
        for _ in 0..5_000 {
            sender.send_to(&[0; 1_000], socket.local_addr().unwrap()).unwrap();
        }
        assert!(drops.read()[&inode] > 0);
        assert!(drops.is_ours(inode));
        assert!(!drops.is_ours(fs::metadata("/proc/self/status").unwrap().st_ino()));
    }
}
