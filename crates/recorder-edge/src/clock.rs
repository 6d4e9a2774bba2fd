//! The one place where wall time and the boot clock are read. Doors call it and pass the values on; the core never does.

use std::sync::LazyLock;

use rustix::time::{ClockId, clock_gettime};

use recorder_core::units::{BootTime, WallMs};

/// Which start of the machine this is, if the kernel says so.
static BOOT: LazyLock<Option<[u8; 16]>> = LazyLock::new(|| {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    text.trim().parse::<uuid::Uuid>().ok().map(uuid::Uuid::into_bytes)
});

/// Wall-clock time now.
#[allow(clippy::disallowed_methods, reason = "this is the one place")]
pub fn now() -> WallMs {
    let ms = chrono::Utc::now().timestamp_millis();
    WallMs(u64::try_from(ms).unwrap_or(0))
}

/// The boot clock now. The first call reads a file of the kernel's.
pub fn boot_time() -> BootTime {
    let Some(boot) = *BOOT else { return BootTime::UNKNOWN };
    let now = clock_gettime(ClockId::Boottime);
    let ms = now.tv_sec.saturating_mul(1000).saturating_add(now.tv_nsec / 1_000_000);
    BootTime { boot, ms: u64::try_from(ms).unwrap_or(0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_boot_clock_goes_on() {
        let (one, other) = (boot_time(), boot_time());
        assert_ne!(one.boot, BootTime::UNKNOWN.boot, "this is Linux");
        assert!(other.since(one).is_some());
    }
}
