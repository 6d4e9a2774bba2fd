//! SIGTERM and Ctrl-C mean the same: go, in good order; a second one: go sooner. SIGHUP: read the configuration again. SIGUSR1 and
//! SIGUSR2 mean nothing, and do nothing.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Hears both from the moment it is made on; what comes while nobody waits is not lost.
pub(in crate::cli) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
    /// Heard, so that they do not end the process.
    _unused: [Signal; 2],
}

/// What a worker is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cli) enum SignalAction {
    /// To go.
    Stop,
    /// To read the configuration again.
    Reload,
}

impl Signals {
    /// From here on none of them ends the process by itself. Needs a tokio runtime.
    pub(in crate::cli) fn listen() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
            _unused: [signal(SignalKind::user_defined1())?, signal(SignalKind::user_defined2())?],
        })
    }

    /// What the next one means.
    pub(in crate::cli) async fn wait(&mut self) -> SignalAction {
        tokio::select! {
            _ = self.terminate.recv() => SignalAction::Stop,
            _ = self.interrupt.recv() => SignalAction::Stop,
            _ = self.hang_up.recv() => SignalAction::Reload,
        }
    }

    /// Resolves at the next one that means to go.
    pub(in crate::cli) async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
