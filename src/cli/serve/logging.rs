//! The log: to standard error, filtered by `RUST_LOG`.

use tracing_subscriber::EnvFilter;

/// What is logged when `RUST_LOG` does not say otherwise: our own news, and of the media stack nothing below an error. Its
/// warnings come with every packet of a kind that it does not know (facts/livekit.md section 10).
const DEFAULT: &str = "warn,cloud_recorder=info,rtc=error,webrtc=error,rtc_ice=error,rtc_sctp=error,rtc_dtls=error";

/// Starts the log. A second start in one process changes nothing.
pub(super) fn start() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(DEFAULT));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).finish();
    // Fails only where a log runs already, which is as good.
    let _ = tracing::subscriber::set_global_default(log);
}
