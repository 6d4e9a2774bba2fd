//! The usual figures of a process, by the names that every Prometheus client gives them, read from `/proc/self` when somebody asks. Where there
//! is no such thing, none of them is told.

use std::fs;
use std::time::Duration;

use cpu_time::ProcessTime;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::{Registry, Unit};

/// Names the figures.
pub(super) fn register(registry: &mut Registry) {
    if let Ok(used) = ProcessTime::try_now() {
        let used: Duration = used.as_duration();
        let cpu = ConstCounter::new(used.as_secs_f64());
        registry.register_with_unit("process_cpu", "CPU time that the process used", Unit::Seconds, cpu);
    }
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    for (name, help, field) in [
        ("process_resident_memory", "Resident memory", "VmRSS:"),
        ("process_virtual_memory", "Virtual memory", "VmSize:"),
    ] {
        if let Some(kib) = number_after(&status, field) {
            registry.register_with_unit(name, help, Unit::Bytes, ConstGauge::new(kib * 1024));
        }
    }
    if let Some(threads) = number_after(&status, "Threads:") {
        registry.register("process_threads", "Threads", ConstGauge::new(threads));
    }
    if let Ok(open) = fs::read_dir("/proc/self/fd") {
        registry.register("process_open_fds", "Open file descriptors", ConstGauge::new(open.count() as u64));
    }
    let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
    if let Some(most) = number_after(&limits, "Max open files") {
        registry.register("process_max_fds", "Most file descriptors that may be open", ConstGauge::new(most));
    }
}

/// The number behind `label`, at the beginning of a line.
fn number_after(text: &str, label: &str) -> Option<u64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(label))?;
    rest.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_found_behind_their_labels() {
        let status = "Name:\tx\nVmRSS:\t  1234 kB\nThreads:\t7\n";
        assert_eq!(number_after(status, "VmRSS:"), Some(1234));
        assert_eq!(number_after(status, "Threads:"), Some(7));
        assert_eq!(number_after(status, "VmSize:"), None);
        assert_eq!(
            number_after("Max open files            1024                 524288               files", "Max open files"),
            Some(1024)
        );
        assert_eq!(number_after("Max open files            unlimited", "Max open files"), None);
    }
}
