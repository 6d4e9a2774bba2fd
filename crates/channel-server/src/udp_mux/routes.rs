//! Which datagram goes to which peer connection.
//!
//! * A binding request goes to the connection that its USERNAME names, if it is signed with that connection's password; else to
//!   nobody. The WebRTC crate looks at some attributes before it looks at the signature, so that an unsigned request must not get there.
//! * A response goes to the connection that sent the request.
//! * Everything else goes to the connection that its source address belongs to.
//!
//! **Whom an address belongs to.** A source address can be forged, and a member has the password of its own connection: a signed
//! request alone proves nothing about the address that it came from. An address is *proven* when a response came from it to a
//! request that we sent there, whose 96 random bits nobody else has seen. Each connection asks every second, so a proof is never
//! old while the connection lives. An address that is proven for one connection stays its own until the proof is older than
//! [`PROOF_HOLDS`]. Until it is proven for somebody it belongs to whose signed request came last: media may overtake the proof.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::stun::{self, Kind, TransactionId};
use super::{Datagram, IceCredentials};
use crate::limits::{MAX_ADDRESSES, MAX_CHECKS, MAX_NAMES, MAX_SOURCES};

/// How long an address stays with the connection that it was proven for. A connection without an answer for so long has failed.
const PROOF_HOLDS: Duration = Duration::from_secs(10);

/// How long a request of ours may be answered; the WebRTC crate waits for four seconds.
const CHECK_LASTS: Duration = Duration::from_secs(5);

/// The routing table. Fragments, passwords and transactions are ours and random; addresses are learnt.
#[derive(Debug, Default)]
pub(super) struct Routes {
    next: u64,
    ends: HashMap<u64, End>,
    by_name: HashMap<String, Name>,
    by_address: HashMap<SocketAddr, Owner>,
    checks: HashMap<TransactionId, Check>,
}

#[derive(Debug)]
struct End {
    inbound: mpsc::Sender<Datagram>,
    names: Vec<String>,
    /// What is this connection's in the table of addresses, oldest first.
    addresses: Vec<SocketAddr>,
    /// Addresses that were new since the last description.
    sources: usize,
    /// Requests that may still be answered, oldest first.
    checks: VecDeque<(Instant, TransactionId)>,
}

#[derive(Debug)]
struct Name {
    id: u64,
    password: String,
}

#[derive(Clone, Copy, Debug)]
struct Owner {
    id: u64,
    proven: Option<Instant>,
}

impl Owner {
    fn holds(self, now: Instant) -> bool {
        self.proven.is_some_and(|proven| now.saturating_duration_since(proven) < PROOF_HOLDS)
    }
}

/// A request of ours.
#[derive(Clone, Copy, Debug)]
struct Check {
    id: u64,
    to: SocketAddr,
}

impl Routes {
    pub(super) fn add(&mut self, inbound: mpsc::Sender<Datagram>) -> u64 {
        self.next += 1;
        let (names, addresses, checks) = (Vec::new(), Vec::new(), VecDeque::new());
        self.ends.insert(self.next, End { inbound, names, addresses, sources: 0, checks });
        self.next
    }

    pub(super) fn name(&mut self, id: u64, IceCredentials { ufrag, password }: IceCredentials<'_>) {
        if let Some(end) = self.ends.get_mut(&id)
            && !end.names.iter().any(|name| name == ufrag)
            && !self.by_name.contains_key(ufrag)
        {
            if end.names.len() >= MAX_NAMES {
                self.by_name.remove(&end.names.remove(0));
            }
            end.names.push(ufrag.to_owned());
            end.sources = 0;
            self.by_name.insert(ufrag.to_owned(), Name { id, password: password.to_owned() });
        }
    }

    pub(super) fn remove(&mut self, id: u64) {
        if let Some(end) = self.ends.remove(&id) {
            end.names.iter().for_each(|name| _ = self.by_name.remove(name));
            end.checks.iter().for_each(|(_, check)| _ = self.checks.remove(check));
            self.by_address.retain(|_, owner| owner.id != id);
        }
    }

    /// Hands the datagram over, or drops it: nobody's, or its receiver is behind.
    pub(super) fn deliver(&mut self, datagram: Datagram, now: Instant) {
        let from = datagram.from;
        let id = match stun::kind(&datagram.bytes) {
            Kind::Request(request) => {
                let name = self.by_name.get(request.addressee).filter(|name| request.is_signed_with(&name.password));
                name.map(|name| name.id).filter(|id| self.asked_from(*id, from, now))
            }
            Kind::Response { id, success } => {
                let asked = self.checks.get(&id).copied().filter(|check| check.to == from);
                if let Some(check) = asked.filter(|_| success) {
                    self.prove(check.id, from, now);
                }
                asked.map(|check| check.id)
            }
            Kind::Unaddressed => None,
            Kind::Other => self.by_address.get(&from).map(|owner| owner.id),
        };
        if let Some(end) = id.and_then(|id| self.ends.get(&id)) {
            let _ = end.inbound.try_send(datagram);
        }
    }

    /// `id` sends to `to`. If it is a request, its answer is for `id`.
    pub(super) fn sending(&mut self, id: u64, to: SocketAddr, bytes: &[u8], now: Instant) {
        let (Some(request), Some(end)) = (stun::request_id(bytes), self.ends.get_mut(&id)) else { return };
        let checks = &mut end.checks;
        while checks.len() >= MAX_CHECKS
            || checks.front().is_some_and(|(sent, _)| now.saturating_duration_since(*sent) > CHECK_LASTS)
        {
            if let Some((_, old)) = checks.pop_front() {
                self.checks.remove(&old);
            }
        }
        if checks.capacity() > 4 * (checks.len() + 4) {
            checks.shrink_to(2 * (checks.len() + 4));
        }
        checks.push_back((now, request));
        self.checks.insert(request, Check { id, to });
    }

    /// A signed request for `id` came from `from`. Says whether it may have it: a connection hears of a bounded number of addresses,
    /// since it keeps each of them.
    fn asked_from(&mut self, id: u64, from: SocketAddr, now: Instant) -> bool {
        let owner = self.by_address.get(&from).copied();
        if owner.is_some_and(|owner| owner.id == id) {
            return true;
        }
        let Some(end) = self.ends.get_mut(&id) else { return false };
        if end.sources >= MAX_SOURCES {
            return false;
        }
        end.sources += 1;
        if !owner.is_some_and(|owner| owner.holds(now)) {
            self.assign(id, from, None, now);
        }
        true
    }

    /// Who answers from `from` is there: the address is the connection's, unless it is proven for another.
    fn prove(&mut self, id: u64, from: SocketAddr, now: Instant) {
        match self.by_address.get_mut(&from) {
            Some(owner) if owner.id == id => owner.proven = Some(now),
            Some(owner) if owner.holds(now) => {}
            _ => self.assign(id, from, Some(now), now),
        }
    }

    /// Gives the address to the connection. The oldest address that is not proven has to go where there is no place, then the oldest;
    /// but never one whose proof holds for one without a proof.
    fn assign(&mut self, id: u64, address: SocketAddr, proven: Option<Instant>, now: Instant) {
        let by_address = &mut self.by_address;
        let Some(end) = self.ends.get_mut(&id) else { return };
        // What went to another connection meanwhile takes no place here.
        end.addresses.retain(|address| by_address.get(address).is_some_and(|owner| owner.id == id));
        if end.addresses.len() >= MAX_ADDRESSES {
            let held = |address: &SocketAddr| by_address.get(address).is_some_and(|owner| owner.holds(now));
            let Some(oldest) = end.addresses.iter().position(|address| !held(address)).or_else(|| proven.map(|_| 0))
            else {
                return;
            };
            by_address.remove(&end.addresses.remove(oldest));
        }
        end.addresses.push(address);
        by_address.insert(address, Owner { id, proven });
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    struct Table {
        routes: Routes,
        inbound: HashMap<u64, mpsc::Receiver<Datagram>>,
        now: Instant,
        transactions: u64,
    }

    impl Table {
        fn new() -> Self {
            Self { routes: Routes::default(), inbound: HashMap::new(), now: Instant::now(), transactions: 0 }
        }

        fn add(&mut self, ufrag: &str) -> u64 {
            let (sender, receiver) = mpsc::channel(4);
            let id = self.routes.add(sender);
            self.routes.name(id, IceCredentials { ufrag, password: &password(ufrag) });
            self.inbound.insert(id, receiver);
            id
        }

        /// Who got it.
        fn deliver(&mut self, port: u16, bytes: &[u8]) -> Option<u64> {
            self.routes.deliver(Datagram { from: address(port), bytes: Bytes::copy_from_slice(bytes) }, self.now);
            self.inbound.iter_mut().find_map(|(id, inbound)| inbound.try_recv().ok().map(|_| *id))
        }

        /// `id` asks the port, which answers.
        fn proves(&mut self, id: u64, port: u16) -> Option<u64> {
            let check = self.check(id, port);
            self.deliver(port, &stun::response(check, true))
        }

        fn check(&mut self, id: u64, port: u16) -> TransactionId {
            self.transactions += 1;
            let mut transaction = [0; 12];
            transaction[..8].copy_from_slice(&self.transactions.to_be_bytes());
            let request = stun::binding_request("theirs:ours", Some("their secret"), transaction);
            self.routes.sending(id, address(port), &request, self.now);
            transaction
        }

        fn later(&mut self, by: Duration) {
            self.now += by;
        }
    }

    fn password(ufrag: &str) -> String {
        format!("password of {ufrag}")
    }

    fn address(port: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    fn signed(ufrag: &str) -> Vec<u8> {
        stun::binding_request(&format!("{ufrag}:x"), Some(&password(ufrag)), [9; 12])
    }

    #[test]
    fn media_follows_the_last_signed_request_until_the_address_is_proven() {
        let mut table = Table::new();
        let (a, b) = (table.add("a"), table.add("b"));
        assert_eq!(table.deliver(1, b"early"), None);
        assert_eq!(table.deliver(1, &signed("a")), Some(a));
        assert_eq!(table.deliver(1, b"media"), Some(a));
        assert_eq!(table.deliver(1, &signed("b")), Some(b));
        assert_eq!(table.deliver(1, b"media"), Some(b));
        assert_eq!(table.proves(a, 1), Some(a));
        assert_eq!(table.deliver(1, b"media"), Some(a), "who answers there is there");
        table.routes.remove(a);
        assert_eq!(table.deliver(1, b"media"), None);
        assert_eq!(table.deliver(1, &signed("a")), None);
    }

    #[test]
    fn nobody_takes_an_address_that_another_connection_answers_from() {
        let mut table = Table::new();
        let (victim, attacker) = (table.add("victim"), table.add("attacker"));
        table.deliver(1, &signed("victim"));
        table.proves(victim, 1);
        for _ in 0..30 {
            assert_eq!(table.deliver(1, &signed("attacker")), Some(attacker), "its own request, its own connection");
            assert_eq!(table.proves(attacker, 1), Some(attacker), "even with an answer that it saw on the way");
            assert_eq!(table.deliver(1, b"media"), Some(victim));
            table.later(Duration::from_secs(1));
            table.proves(victim, 1);
        }
        table.later(PROOF_HOLDS);
        table.deliver(1, &signed("attacker"));
        assert_eq!(table.deliver(1, b"media"), Some(attacker), "the next one there is welcome");
    }

    #[test]
    fn a_request_that_is_not_signed_reaches_nobody_and_teaches_nothing() {
        let mut table = Table::new();
        let victim = table.add("victim");
        table.proves(victim, 1);
        let wrong = [None, Some("wrong"), Some("password of attacker")];
        for (port, password) in wrong.into_iter().cycle().take(3 * MAX_ADDRESSES).enumerate() {
            let request = stun::binding_request("victim:x", password, [9; 12]);
            let port = 100 + u16::try_from(port).unwrap();
            assert_eq!(table.deliver(port, &request), None);
            assert_eq!(table.deliver(port, b"media"), None);
        }
        assert_eq!(table.deliver(1, b"media"), Some(victim));
    }

    #[test]
    fn replayed_requests_push_nothing_out() {
        let mut table = Table::new();
        let victim = table.add("victim");
        table.deliver(1, &signed("victim"));
        table.proves(victim, 1);
        let heard = (2..1_000).filter(|port| table.deliver(*port, &signed("victim")).is_some()).count();
        assert_eq!(heard, MAX_SOURCES - 1, "and the connection hears of a bounded number");
        assert_eq!(table.routes.by_address.len(), MAX_ADDRESSES);
        assert_eq!(table.deliver(1, b"media"), Some(victim));
        table.routes.name(victim, IceCredentials { ufrag: "new", password: &password("new") });
        assert_eq!(table.deliver(2_000, &signed("new")), Some(victim), "a restart hears of new ones");
        table.proves(victim, 2_000);
        assert_eq!(table.deliver(2_000, b"media"), Some(victim));
    }

    #[test]
    fn only_who_was_asked_can_answer() {
        let mut table = Table::new();
        let (a, b) = (table.add("a"), table.add("b"));
        let check = table.check(a, 1);
        assert_eq!(table.deliver(2, &stun::response(check, true)), None, "from elsewhere");
        assert_eq!(table.deliver(1, &stun::response([1; 12], true)), None, "to what nobody asked");
        assert_eq!(table.deliver(1, &stun::response(check, false)), Some(a), "a refusal is for who asked");
        assert_eq!(table.deliver(1, b"media"), None, "and proves nothing");
        table.later(2 * CHECK_LASTS);
        table.proves(b, 5);
        for port in 10..=10 + 3 * u16::try_from(MAX_CHECKS).unwrap() {
            table.check(a, port);
        }
        assert!(table.routes.checks.len() <= MAX_CHECKS + 1);
        assert_eq!(table.deliver(1, &stun::response(check, true)), None, "too late");
        table.routes.remove(a);
        assert_eq!(table.routes.checks.len(), 1);
    }

    #[test]
    fn an_ice_restart_adds_a_name_and_keeps_the_old_one() {
        let mut table = Table::new();
        let a = table.add("a");
        table.routes.name(a, IceCredentials { ufrag: "a2", password: &password("a2") });
        assert_eq!(table.deliver(1, &signed("a2")), Some(a));
        assert_eq!(table.deliver(2, &signed("a")), Some(a));
    }

    #[test]
    fn a_receiver_that_is_behind_loses_its_own_datagrams_only() {
        let mut table = Table::new();
        let (a, b) = (table.add("a"), table.add("b"));
        for _ in 0..10 {
            table.routes.deliver(Datagram { from: address(1), bytes: signed("a").into() }, table.now);
        }
        table.routes.deliver(Datagram { from: address(2), bytes: signed("b").into() }, table.now);
        let waiting =
            |id: u64, table: &mut Table| std::iter::from_fn(|| table.inbound.get_mut(&id)?.try_recv().ok()).count();
        assert_eq!((waiting(a, &mut table), waiting(b, &mut table)), (4, 1));
    }
}
