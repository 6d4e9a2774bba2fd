//! SIGTERM and Ctrl-C. Both mean the same: go, in good order; a second one: go sooner.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Hears both from the moment it is made on; what comes while nobody waits is not lost.
pub(in crate::cli) struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// From here on neither ends the process by itself. Needs a tokio runtime.
    pub(in crate::cli) fn listen() -> io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Resolves at the next one.
    pub(in crate::cli) async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
