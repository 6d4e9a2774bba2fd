//! What each app may take of the server, so that one app can't shut out the others: members, recorders, tracks and signalling sockets
//! are counted by app, each while its [`QuotaPermit`] lives. Rooms are counted where they are kept.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use super::limits::Limits;
use recorder_core::units::AppId;

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Members,
    Recorders,
    Tracks,
    Sockets,
}

/// An app has as much of one kind as it may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum AppFull {
    #[error(
        "this app has as many channels as it may have on this server; wait until one closes, or raise \
         channel_server.max_channels_per_app"
    )]
    Rooms,
    #[error(
        "this app has as many members as it may have on this server; wait until some leave, or raise \
         channel_server.max_members_per_app"
    )]
    Members,
    #[error(
        "this app has as many recorders as it may have on this server; wait until some leave, or raise \
         channel_server.max_channels_per_app"
    )]
    Recorders,
    #[error(
        "this app has as many tracks as it may have on this server; unpublish some, or raise \
         channel_server.max_tracks_per_app"
    )]
    Tracks,
    #[error(
        "this app has as many connections as it may have to this server; close some, or raise \
         channel_server.max_connections_per_app"
    )]
    Sockets,
}

/// The counts of all apps.
#[derive(Debug)]
pub(super) struct Quotas {
    limits: Limits,
    /// Only of apps whose tokens were accepted.
    apps: Mutex<HashMap<AppId, Arc<Counts>>>,
}

#[derive(Debug, Default)]
struct Counts {
    members: AtomicUsize,
    recorders: AtomicUsize,
    tracks: AtomicUsize,
    sockets: AtomicUsize,
}

/// One of what is counted; gives itself back when it is dropped. The default one counts nowhere.
#[derive(Debug, Default)]
pub(super) struct QuotaPermit(Option<(Arc<Counts>, Kind)>);

impl Quotas {
    pub(super) fn new(limits: Limits) -> Self {
        Self { limits, apps: Mutex::default() }
    }

    /// Takes a place of an app.
    pub(super) fn take(&self, app: &AppId, kind: Kind) -> Result<QuotaPermit, AppFull> {
        let (limit, full) = match kind {
            Kind::Members => (self.limits.members_per_app, AppFull::Members),
            Kind::Recorders => (self.limits.rooms_per_app, AppFull::Recorders),
            Kind::Tracks => (self.limits.tracks_per_app, AppFull::Tracks),
            Kind::Sockets => (self.limits.sockets_per_app, AppFull::Sockets),
        };
        let counts = self.counts(app);
        let more = |count: usize| (count < limit).then(|| count + 1);
        match counts.of(kind).fetch_update(Ordering::Relaxed, Ordering::Relaxed, more) {
            Ok(_) => Ok(QuotaPermit(Some((counts, kind)))),
            Err(_) => Err(full),
        }
    }

    /// Takes a place for what takes the place of another that is about to go: it is never refused.
    pub(super) fn replace(&self, app: &AppId, kind: Kind) -> QuotaPermit {
        let counts = self.counts(app);
        counts.of(kind).fetch_add(1, Ordering::Relaxed);
        QuotaPermit(Some((counts, kind)))
    }

    fn counts(&self, app: &AppId) -> Arc<Counts> {
        let mut apps = self.apps.lock().expect("nothing panics while it holds the counts");
        Arc::clone(apps.entry(app.clone()).or_default())
    }
}

impl Counts {
    const fn of(&self, kind: Kind) -> &AtomicUsize {
        match kind {
            Kind::Members => &self.members,
            Kind::Recorders => &self.recorders,
            Kind::Tracks => &self.tracks,
            Kind::Sockets => &self.sockets,
        }
    }
}

impl Drop for QuotaPermit {
    fn drop(&mut self) {
        if let Some((counts, kind)) = &self.0 {
            counts.of(*kind).fetch_sub(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_app_has_places_of_its_own_and_gets_them_back() {
        let quotas = Quotas::new(Limits { members_per_app: 2, ..Limits::default() });
        let app = |digit: &str| AppId::new(&digit.repeat(32)).unwrap();
        let first = quotas.take(&app("a"), Kind::Members).unwrap();
        let _second = quotas.take(&app("a"), Kind::Members).unwrap();
        assert_eq!(quotas.take(&app("a"), Kind::Members).unwrap_err(), AppFull::Members);
        assert!(quotas.take(&app("b"), Kind::Members).is_ok() && quotas.take(&app("a"), Kind::Tracks).is_ok());
        let third = quotas.replace(&app("a"), Kind::Members);
        drop(first);
        assert!(quotas.take(&app("a"), Kind::Members).is_err(), "the one in its place counts");
        drop(third);
        assert!(quotas.take(&app("a"), Kind::Members).is_ok());
    }
}
