//! The one place where wall time is read. Doors call it and pass the value on; the core never does.

use crate::units::WallMs;

/// Wall-clock time now.
#[allow(clippy::disallowed_methods, reason = "this is the one place")]
pub fn now() -> WallMs {
    let ms = chrono::Utc::now().timestamp_millis();
    WallMs(u64::try_from(ms).unwrap_or(0))
}
