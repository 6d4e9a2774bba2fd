//! Which datagram goes to which peer connection.

use std::collections::HashMap;
use std::net::SocketAddr;

use tokio::sync::mpsc;

use super::{Datagram, stun};
use crate::channel_server::limits::{MAX_ADDRESSES, MAX_NAMES};

/// The routing table. Fragments are ours and random; addresses are learnt.
#[derive(Debug, Default)]
pub(super) struct Routes {
    next: u64,
    ends: HashMap<u64, End>,
    by_name: HashMap<String, u64>,
    by_address: HashMap<SocketAddr, u64>,
}

#[derive(Debug)]
struct End {
    inbound: mpsc::Sender<Datagram>,
    names: Vec<String>,
    addresses: Vec<SocketAddr>,
}

impl Routes {
    pub(super) fn add(&mut self, inbound: mpsc::Sender<Datagram>) -> u64 {
        self.next += 1;
        self.ends.insert(self.next, End { inbound, names: Vec::new(), addresses: Vec::new() });
        self.next
    }

    pub(super) fn name(&mut self, id: u64, ufrag: &str) {
        if let Some(end) = self.ends.get_mut(&id)
            && !end.names.iter().any(|name| name == ufrag)
        {
            if end.names.len() >= MAX_NAMES {
                self.by_name.remove(&end.names.remove(0));
            }
            end.names.push(ufrag.to_owned());
            self.by_name.insert(ufrag.to_owned(), id);
        }
    }

    pub(super) fn remove(&mut self, id: u64) {
        if let Some(end) = self.ends.remove(&id) {
            end.names.iter().for_each(|name| _ = self.by_name.remove(name));
            self.by_address.retain(|_, owner| *owner != id);
        }
    }

    /// Hands the datagram over, or drops it: nobody's, or its receiver is behind.
    pub(super) fn deliver(&mut self, datagram: Datagram) {
        let named = stun::addressee(&datagram.bytes).and_then(|ufrag| self.by_name.get(ufrag).copied());
        if let Some(id) = named {
            self.learn(id, datagram.from, true);
        }
        let id = named.or_else(|| self.by_address.get(&datagram.from).copied());
        if let Some(end) = id.and_then(|id| self.ends.get(&id)) {
            let _ = end.inbound.try_send(datagram);
        }
    }

    /// `id` sends to `to`, so answers from there are for it, unless somebody's request came from there.
    pub(super) fn sending(&mut self, id: u64, to: SocketAddr) {
        if !self.by_address.contains_key(&to) {
            self.learn(id, to, false);
        }
    }

    /// An address named by a request of its own moves to the connection that the request was for, and pushes out the oldest
    /// that this connection has; one that we only sent to waits for a free place.
    fn learn(&mut self, id: u64, address: SocketAddr, named: bool) {
        if self.by_address.get(&address) == Some(&id) {
            return;
        }
        let Some(end) = self.ends.get_mut(&id) else { return };
        if end.addresses.len() >= MAX_ADDRESSES {
            if !named {
                return;
            }
            let oldest = end.addresses.remove(0);
            if self.by_address.get(&oldest) == Some(&id) {
                self.by_address.remove(&oldest);
            }
        }
        end.addresses.push(address);
        self.by_address.insert(address, id);
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    struct Table {
        routes: Routes,
        inbound: HashMap<u64, mpsc::Receiver<Datagram>>,
    }

    impl Table {
        fn new() -> Self {
            Self { routes: Routes::default(), inbound: HashMap::new() }
        }

        fn add(&mut self, ufrag: &str) -> u64 {
            let (sender, receiver) = mpsc::channel(4);
            let id = self.routes.add(sender);
            self.routes.name(id, ufrag);
            self.inbound.insert(id, receiver);
            id
        }

        /// Who got it.
        fn deliver(&mut self, port: u16, bytes: &[u8]) -> Option<u64> {
            self.routes.deliver(Datagram { from: address(port), bytes: Bytes::copy_from_slice(bytes) });
            self.inbound.iter_mut().find_map(|(id, inbound)| inbound.try_recv().ok().map(|_| *id))
        }
    }

    fn address(port: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    #[test]
    fn an_address_belongs_to_whom_its_last_request_named() {
        let mut table = Table::new();
        let (a, b) = (table.add("a"), table.add("b"));
        assert_eq!(table.deliver(1, b"early"), None);
        assert_eq!(table.deliver(1, &stun::request("a:x")), Some(a));
        assert_eq!(table.deliver(1, b"media"), Some(a));
        assert_eq!(table.deliver(1, &stun::request("b:x")), Some(b));
        assert_eq!(table.deliver(1, b"media"), Some(b));
        table.routes.remove(b);
        assert_eq!(table.deliver(1, b"media"), None);
        assert_eq!(table.deliver(1, &stun::request("b:x")), None);
    }

    #[test]
    fn an_ice_restart_adds_a_name_and_keeps_the_old_one() {
        let mut table = Table::new();
        let a = table.add("a");
        table.routes.name(a, "a2");
        assert_eq!(table.deliver(1, &stun::request("a2:x")), Some(a));
        assert_eq!(table.deliver(2, &stun::request("a:x")), Some(a));
    }

    #[test]
    fn sending_somewhere_does_not_take_it_from_its_owner() {
        let mut table = Table::new();
        let (a, b) = (table.add("a"), table.add("b"));
        table.routes.sending(a, address(9));
        assert_eq!(table.deliver(9, b"answer"), Some(a));
        assert_eq!(table.deliver(1, &stun::request("a:x")), Some(a));
        table.routes.sending(b, address(1));
        assert_eq!(table.deliver(1, b"media"), Some(a));
    }

    #[test]
    fn one_connection_learns_a_bounded_number_of_addresses() {
        let mut table = Table::new();
        let a = table.add("a");
        for port in 1..=200 {
            table.routes.sending(a, address(port));
            table.deliver(1000 + port, &stun::request("a:x"));
        }
        assert_eq!(table.routes.by_address.len(), MAX_ADDRESSES);
        assert_eq!(table.deliver(1200, b"media"), Some(a), "the newest address works");
    }

    #[test]
    fn a_receiver_that_is_behind_loses_its_own_datagrams_only() {
        let mut table = Table::new();
        let (a, b) = (table.add("a"), table.add("b"));
        for _ in 0..10 {
            let bytes = Bytes::from(stun::request("a:x"));
            table.routes.deliver(Datagram { from: address(1), bytes });
        }
        let bytes = Bytes::from(stun::request("b:x"));
        table.routes.deliver(Datagram { from: address(2), bytes });
        let waiting =
            |id: u64, table: &mut Table| std::iter::from_fn(|| table.inbound.get_mut(&id)?.try_recv().ok()).count();
        assert_eq!((waiting(a, &mut table), waiting(b, &mut table)), (4, 1));
    }
}
