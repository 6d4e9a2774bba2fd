//! Who is connected, and who keeps the port waiting since when.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::sync::Notify;
use tokio::time::Instant;

use super::Limits;

/// All connections of a port.
#[derive(Debug)]
pub(super) struct Registry {
    pub(super) limits: Limits,
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    open: usize,
    /// The next wait's number: waits are in the order in which they began.
    next: u64,
    waiting: BTreeMap<u64, Weak<ConnectionPermit>>,
    /// Connections of each address; of trusted proxies none are counted.
    connections: HashMap<IpAddr, usize>,
    /// Requests under way of each address behind a trusted proxy.
    requests: HashMap<IpAddr, usize>,
}

/// A connection's place. Dropping it gives the place back.
#[derive(Debug)]
pub(super) struct ConnectionPermit {
    registry: Arc<Registry>,
    address: IpAddr,
    /// Whether it counts for its address.
    counted: bool,
    state: Mutex<State>,
    /// It was given to another.
    lost: AtomicBool,
    /// Wakes the connection's task: the deadline is another, or the place is lost.
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    wait: Option<Wait>,
    /// The number of this wait in the table.
    number: Option<u64>,
    deadline: Option<Instant>,
    /// When the client has to have taken something of what is being written.
    write_deadline: Option<Instant>,
    upgraded: bool,
    /// What the socket keeps when it was upgraded.
    request: Option<Request>,
}

/// What the port waits for; nothing while it works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wait {
    /// The first byte of a request.
    Request,
    /// The rest of its head.
    Head,
    /// More of its body.
    Body,
    /// Room for more of its answer.
    Answer,
}

/// A request under way. Dropping it says that it is over.
#[derive(Debug)]
pub(super) struct Request(Option<(Arc<Registry>, IpAddr)>);

impl Registry {
    pub(super) fn new(limits: Limits) -> Arc<Self> {
        Arc::new(Self { limits, table: Mutex::default() })
    }

    /// A place for a connection from `ip`, if there is or can be one.
    pub(super) fn enter(self: &Arc<Self>, ip: IpAddr) -> Option<Arc<ConnectionPermit>> {
        let counted = !self.is_proxy(ip);
        let address = network(ip);
        let mut table = self.table();
        let of_address = table.connections.get(&address).copied().unwrap_or_default();
        if counted && of_address >= self.limits.per_address && !table.close_for_another(Some(address)) {
            return None;
        }
        if table.open >= self.limits.connections && !table.close_for_another(None) {
            return None;
        }
        table.open += 1;
        if counted {
            *table.connections.entry(address).or_default() += 1;
        }
        drop(table);
        let place = Arc::new(ConnectionPermit {
            registry: Arc::clone(self),
            address,
            counted,
            state: Mutex::default(),
            lost: AtomicBool::new(false),
            changed: Notify::new(),
        });
        place.waits(Wait::Request, Some(Instant::now() + self.limits.head));
        Some(place)
    }

    /// A request of a client whose address a trusted proxy names. `None` where it has as many as it may.
    fn request(self: &Arc<Self>, client: IpAddr) -> Option<Request> {
        let client = network(client);
        let mut table = self.table();
        let under_way = table.requests.entry(client).or_default();
        if *under_way >= self.limits.per_address {
            return None;
        }
        *under_way += 1;
        Some(Request(Some((Arc::clone(self), client))))
    }

    fn is_proxy(&self, ip: IpAddr) -> bool {
        self.limits.trusted_proxies.iter().any(|proxy| proxy.to_canonical() == ip.to_canonical())
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    /// Closes the connection that has kept the port waiting for longest, of `address` if there is one.
    fn close_for_another(&mut self, address: Option<IpAddr>) -> bool {
        let found = self.waiting.iter().find_map(|(number, place)| {
            let place = place.upgrade().filter(|place| address.is_none_or(|address| place.address == address))?;
            Some((*number, place))
        });
        let Some((number, place)) = found else { return false };
        self.waiting.remove(&number);
        self.leave(&place);
        // Sets nothing that a lock of the place guards: its owner may hold that one and wait for this table.
        place.lost.store(true, Ordering::Release);
        place.changed.notify_one();
        true
    }

    fn leave(&mut self, place: &ConnectionPermit) {
        self.open -= 1;
        if place.counted {
            count_down(&mut self.connections, place.address);
        }
    }
}

impl ConnectionPermit {
    /// The port waits for the client from now on, at most until `deadline`. A wait of the same kind goes on.
    pub(super) fn waits(self: &Arc<Self>, wait: Wait, deadline: Option<Instant>) {
        let mut state = self.state();
        if state.upgraded {
            return;
        }
        state.deadline = deadline;
        if state.wait != Some(wait) {
            state.wait = Some(wait);
            self.number(&mut state);
        }
        self.changed.notify_one();
    }

    /// The client did what was waited for, and what follows is ours to do.
    pub(super) fn works(&self) {
        let mut state = self.state();
        if state.wait.is_none() {
            return;
        }
        (state.wait, state.deadline) = (None, None);
        if let Some(number) = state.number.take() {
            self.registry.table().waiting.remove(&number);
        }
        self.changed.notify_one();
    }

    /// The client takes nothing of the answer, or it takes some again.
    pub(super) fn writes(self: &Arc<Self>, stalled: bool) {
        let mut state = self.state();
        if state.upgraded || stalled == state.write_deadline.is_some() {
            return;
        }
        state.write_deadline = stalled.then(|| Instant::now() + self.registry.limits.answer);
        let waits = match state.wait {
            None if stalled => Some(Wait::Answer),
            Some(Wait::Answer) if !stalled => None,
            wait => wait,
        };
        if waits != state.wait {
            state.wait = waits;
            if stalled {
                self.number(&mut state);
            } else if let Some(number) = state.number.take() {
                self.registry.table().waiting.remove(&number);
            }
        }
        self.changed.notify_one();
    }

    /// Bytes came.
    pub(super) fn reads(self: &Arc<Self>) {
        if self.state().wait == Some(Wait::Request) {
            self.waits(Wait::Head, Some(Instant::now() + self.registry.limits.head));
        }
    }

    /// The answer is out of our hands.
    pub(super) fn answered(self: &Arc<Self>) {
        self.waits(Wait::Request, Some(Instant::now() + self.registry.limits.idle));
    }

    /// The socket is no HTTP any more: from here on it is up to whom it was given to. It still counts.
    pub(super) fn upgraded(&self, request: Request) {
        self.works();
        let mut state = self.state();
        state.upgraded = true;
        (state.write_deadline, state.request) = (None, Some(request));
    }

    /// A request of this connection, in the name of `client`.
    pub(super) fn request(&self, client: Option<IpAddr>) -> Option<Request> {
        match client {
            Some(client) if !self.counted => self.registry.request(client),
            _ => Some(Request(None)),
        }
    }

    pub(super) fn limits(&self) -> &Limits {
        &self.registry.limits
    }

    /// Resolves when the connection has to be closed.
    pub(super) async fn over(&self) {
        loop {
            if self.lost.load(Ordering::Acquire) {
                return;
            }
            let deadline = {
                let state = self.state();
                state.deadline.into_iter().chain(state.write_deadline).min()
            };
            let changed = self.changed.notified();
            match deadline {
                None => changed.await,
                Some(deadline) if tokio::time::timeout_at(deadline, changed).await.is_err() => return,
                Some(_) => {}
            }
        }
    }

    fn number(self: &Arc<Self>, state: &mut State) {
        let mut table = self.registry.table();
        if let Some(number) = state.number.take() {
            table.waiting.remove(&number);
        }
        if self.lost.load(Ordering::Acquire) {
            return;
        }
        table.next += 1;
        let number = table.next;
        table.waiting.insert(number, Arc::downgrade(self));
        state.number = Some(number);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        let number = self.state().number;
        let mut table = self.registry.table();
        if let Some(number) = number {
            table.waiting.remove(&number);
        }
        if !self.lost.load(Ordering::Acquire) {
            table.leave(self);
        }
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        if let Some((registry, client)) = self.0.take() {
            count_down(&mut registry.table().requests, client);
        }
    }
}

fn count_down(counts: &mut HashMap<IpAddr, usize>, address: IpAddr) {
    if let Some(count) = counts.get_mut(&address) {
        *count -= 1;
        if *count == 0 {
            counts.remove(&address);
        }
    }
}

/// Who has one IPv6 address has the whole /64.
fn network(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            IpAddr::V6([a, b, c, d, 0, 0, 0, 0].into())
        }
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn registry(connections: usize, per_address: usize) -> Arc<Registry> {
        let trusted_proxies = Arc::new(["10.9.9.9".parse().unwrap()]);
        Registry::new(Limits { connections, per_address, trusted_proxies, ..Limits::default() })
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn lost(place: &ConnectionPermit) -> bool {
        place.lost.load(Ordering::Acquire)
    }

    #[tokio::test]
    async fn who_waits_longest_gives_way_and_who_is_served_never_does() {
        let registry = registry(3, 10);
        let [a, b, c] = ["10.0.0.1", "10.0.0.2", "10.0.0.3"].map(|text| registry.enter(ip(text)).unwrap());
        a.works();
        let d = registry.enter(ip("10.0.0.4")).unwrap();
        assert!(lost(&b) && !lost(&a) && !lost(&c), "b came before c");
        a.answered();
        c.reads();
        let e = registry.enter(ip("10.0.0.5")).unwrap();
        assert!(lost(&d) && !lost(&a) && !lost(&c), "the waits of a and c began later");
        [&a, &c, &e].iter().for_each(|place| place.works());
        assert!(registry.enter(ip("10.0.0.6")).is_none());
        drop((a, b, d));
        assert!(registry.enter(ip("10.0.0.6")).is_some(), "a place that came free is one");
        drop((c, e));
        assert_eq!(registry.table().open, 0);
        assert!(registry.table().connections.is_empty() && registry.table().waiting.is_empty());
    }

    #[tokio::test]
    async fn an_address_that_has_its_share_takes_from_itself() {
        let registry = registry(10, 2);
        let other = registry.enter(ip("10.0.0.1")).unwrap();
        let [a, b] = ["2001:db8::1", "2001:db8::ffff"].map(|text| registry.enter(ip(text)).unwrap());
        let c = registry.enter(ip("2001:db8::2")).unwrap();
        assert!(lost(&a) && !lost(&other), "one network");
        [&b, &c].iter().for_each(|place| place.works());
        assert!(registry.enter(ip("2001:db8::3")).is_none());
        assert!(registry.enter(ip("2001:db8:0:1::3")).is_some());
    }

    #[tokio::test]
    async fn behind_a_proxy_the_address_that_it_names_counts() {
        let registry = registry(100, 2);
        let proxied: Vec<_> = (0..5).map(|_| registry.enter(ip("10.9.9.9")).unwrap()).collect();
        let mut requests: Vec<_> = proxied.iter().map(|place| place.request(Some(ip("192.0.2.1")))).collect();
        assert_eq!(requests.iter().flatten().count(), 2);
        assert!(proxied[3].request(Some(ip("192.0.2.2"))).is_some());
        requests.remove(0);
        assert!(proxied[3].request(Some(ip("192.0.2.1"))).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn waits_end_in_time() {
        let registry = registry(10, 10);
        let place = registry.enter(ip("10.0.0.1")).unwrap();
        let began = Instant::now();
        place.over().await;
        assert_eq!(began.elapsed(), registry.limits.head, "for the first byte");
        place.reads();
        tokio::time::advance(Duration::from_secs(3)).await;
        place.reads();
        place.over().await;
        assert_eq!(began.elapsed(), 2 * registry.limits.head, "more bytes give no more time");
        place.works();
        assert!(
            tokio::time::timeout(Duration::from_secs(3600), place.over()).await.is_err(),
            "answers take their time"
        );
        place.writes(true);
        let stalled = Instant::now();
        tokio::time::advance(Duration::from_secs(3)).await;
        place.writes(true);
        place.over().await;
        assert_eq!(stalled.elapsed(), registry.limits.answer);
        place.writes(false);
        place.answered();
        let idle = Instant::now();
        place.over().await;
        assert_eq!(idle.elapsed(), registry.limits.idle);
    }
}
