//! Open files: the limit is raised as far as it may be, and shared so that connections of callers leave enough for what records.

use rustix::process::{Resource, getrlimit, setrlimit};

use crate::config::Config;

/// What a worker holds open for itself: database, journal, log, receivers, listeners.
const WORKER: u64 = 128;

/// What a recording holds open: its bot's signalling and media sockets, its part of the uploads, its files in the spool.
const RECORDING: u64 = 8;

/// The fewest connections that a port is given.
const LEAST: usize = 16;

/// How many connections each port may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct DescriptorBudget {
    pub(super) http: usize,
    pub(super) bucket: usize,
}

/// Raises the soft limit of open files to the hard one, and says what it is. None: there is no limit.
pub(super) fn raise() -> Option<u64> {
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        let before = limit.current;
        limit.current = limit.maximum;
        if let Err(error) = setrlimit(Resource::Nofile, limit) {
            tracing::debug!(%error, "the limit of open files can't be raised");
            return before;
        }
    }
    limit.current
}

impl DescriptorBudget {
    /// Shares `limit` between the ports and a reserve for recordings. Says so where it is too low for what is configured.
    pub(super) fn share(limit: Option<u64>, config: &Config) -> Self {
        let wanted = u64::from(config.server.max_recordings) * RECORDING + WORKER;
        let bucket = if config.bucket.enabled { config.bucket.max_connections } else { 0 };
        let full = Self { http: config.server.max_connections as usize, bucket: bucket as usize };
        let needed = wanted + u64::from(config.server.max_connections) + u64::from(bucket);
        let Some(limit) = limit.filter(|limit| *limit < needed) else { return full };
        let rest = usize::try_from(limit - wanted.min(limit / 2)).unwrap_or(usize::MAX);
        let bucket = full.bucket.min(rest / 4);
        let shared = Self { http: full.http.min(rest - bucket).max(LEAST), bucket: bucket.max(LEAST) };
        tracing::warn!(
            limit,
            needed,
            http_connections = shared.http,
            "the limit of open files is low for server.max_recordings and max_connections: the ports take fewer connections; raise it \
             (LimitNOFILE in a systemd unit, --ulimit nofile for a container, ulimit -Hn), or lower these"
        );
        shared
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(recordings: u32, connections: u32, bucket: bool) -> Config {
        let mut config = Config::default();
        (config.server.max_recordings, config.server.max_connections) = (recordings, connections);
        config.bucket.enabled = bucket;
        config
    }

    #[test]
    fn half_of_a_low_limit_at_least_is_for_what_records() {
        let low = DescriptorBudget::share(Some(1024), &config(500, 4096, true));
        assert_eq!(low, DescriptorBudget { http: 384, bucket: 128 });
        let few = DescriptorBudget::share(Some(1024), &config(10, 4096, false));
        assert_eq!(few.http, 1024 - 208);
        assert_eq!(
            DescriptorBudget::share(Some(65_536), &config(500, 4096, true)),
            DescriptorBudget { http: 4096, bucket: 1024 }
        );
        assert_eq!(DescriptorBudget::share(None, &config(500, 4096, true)).http, 4096);
    }

    #[test]
    fn the_limit_is_raised_as_far_as_it_may_be() {
        let raised = raise();
        assert_eq!(raised, getrlimit(Resource::Nofile).maximum);
    }
}
