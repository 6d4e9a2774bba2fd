//! What a service manager is told (sd_notify(3)): ready, reading the configuration again, stopping, and that the worker is alive.
//!
//! Without `NOTIFY_SOCKET` nobody asked, and nothing is said.

use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use tokio_util::task::AbortOnDropHandle;

/// The way to the service manager.
pub(super) struct Notifier {
    to: Option<(UnixDatagram, SocketAddr)>,
    _watchdog: Option<AbortOnDropHandle<()>>,
}

impl Notifier {
    /// From the environment. Where a watchdog is set it hears from this runtime twice as often as it asks; a runtime that does no more
    /// work is silent. Needs a tokio runtime.
    pub(super) fn from_environment() -> Self {
        let asked = std::env::var_os("NOTIFY_SOCKET").filter(|path| !path.is_empty());
        let to = asked.and_then(|path| match connect(path.as_bytes()) {
            Ok(to) => Some(to),
            Err(error) => {
                tracing::warn!(%error, "NOTIFY_SOCKET can't be used: the service manager hears nothing");
                None
            }
        });
        let number = |name: &str| std::env::var(name).ok()?.parse::<u64>().ok();
        let own = number("WATCHDOG_PID").is_none_or(|pid| pid == u64::from(std::process::id()));
        let every = number("WATCHDOG_USEC").filter(|_| own).map(|us| Duration::from_micros(us) / 2);
        let watchdog =
            to.as_ref().zip(every.filter(|every| !every.is_zero())).and_then(|((socket, address), every)| {
                let (socket, address) = (socket.try_clone().ok()?, address.clone());
                Some(AbortOnDropHandle::new(tokio::spawn(async move {
                    loop {
                        send_to(&socket, &address, "WATCHDOG=1");
                        tokio::time::sleep(every).await;
                    }
                })))
            });
        Self { to, _watchdog: watchdog }
    }

    /// Everything runs.
    pub(super) fn ready(&self) {
        self.send("READY=1\nSTATUS=serving");
    }

    /// The configuration is read again; [`Self::ready`] ends it.
    pub(super) fn reloading(&self) {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        let us = now.tv_sec.saturating_mul(1_000_000).saturating_add(now.tv_nsec / 1_000);
        self.send(&format!("RELOADING=1\nMONOTONIC_USEC={us}"));
    }

    /// The worker goes.
    pub(super) fn stopping(&self) {
        self.send("STOPPING=1\nSTATUS=recordings are handed over");
    }

    fn send(&self, words: &str) {
        if let Some((socket, address)) = &self.to {
            send_to(socket, address, words);
        }
    }
}

fn connect(path: &[u8]) -> io::Result<(UnixDatagram, SocketAddr)> {
    let address = match path.split_first() {
        Some((b'@', name)) => SocketAddr::from_abstract_name(name)?,
        _ => SocketAddr::from_pathname(std::ffi::OsStr::from_bytes(path))?,
    };
    let socket = UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    Ok((socket, address))
}

fn send_to(socket: &UnixDatagram, address: &SocketAddr, words: &str) {
    // A manager that does not listen is no reason to stop.
    if let Err(error) = socket.send_to_addr(words.as_bytes(), address) {
        tracing::debug!(%error, "the service manager was not told");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manager_hears_it_at_a_path_and_at_an_abstract_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let abstract_name = format!("cloud-recorder-test-{}", std::process::id());
        let at_name = SocketAddr::from_abstract_name(&abstract_name).unwrap();
        for (manager, named) in [
            (UnixDatagram::bind(&path).unwrap(), path.to_str().unwrap().to_owned()),
            (UnixDatagram::bind_addr(&at_name).unwrap(), format!("@{abstract_name}")),
        ] {
            let notifier = Notifier { to: Some(connect(named.as_bytes()).unwrap()), _watchdog: None };
            notifier.ready();
            let mut said = [0; 64];
            let len = manager.recv(&mut said).unwrap();
            assert!(said[..len].starts_with(b"READY=1"));
        }
    }
}
