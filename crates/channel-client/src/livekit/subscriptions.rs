//! Whose audio we ask the server for: the selection and the publications in, subscription requests out. Pure.

use std::collections::BTreeMap;

use livekit_protocol::{ParticipantTracks, UpdateSubscription};

use super::members::Published;
use recorder_core::recording::Selection;

/// What is subscribed on the present membership: `TR_…` to its publisher's `PA_…`.
#[derive(Debug, Default)]
pub(super) struct Subscriptions {
    held: BTreeMap<String, String>,
}

impl Subscriptions {
    /// The requests that lead from what is subscribed to what is selected: none, one or two. They count as made.
    pub(super) fn follow<'a>(
        &mut self,
        published: impl Iterator<Item = Published<'a>>,
        selection: &Selection,
    ) -> Vec<UpdateSubscription> {
        let mut stop = std::mem::take(&mut self.held);
        let mut begin = BTreeMap::new();
        let mut unwanted = BTreeMap::new();
        for published in published {
            let held = stop.remove(published.track);
            let entry = (published.track.to_owned(), published.member.to_owned());
            match (published.readable && selection.includes(published.uid), held) {
                (true, held) => {
                    if held.is_none() {
                        begin.extend([entry.clone()]);
                    }
                    self.held.extend([entry]);
                }
                (false, Some(_)) => unwanted.extend([entry]),
                (false, None) => {}
            }
        }
        // What is left in `stop` is no longer published: the server ended those subscriptions itself.
        [(begin, true), (unwanted, false)]
            .into_iter()
            .filter(|(tracks, _)| !tracks.is_empty())
            .map(|(tracks, subscribe)| request(&tracks, subscribe))
            .collect()
    }

    /// Everything that is subscribed, for a resume.
    pub(super) fn held(&self) -> UpdateSubscription {
        request(&self.held, true)
    }

    /// Whether a publication, `TR_…`, is subscribed.
    pub(super) fn holds(&self, track: &str) -> bool {
        self.held.contains_key(track)
    }

    /// A new membership begins with nothing subscribed.
    pub(super) fn clear(&mut self) {
        self.held.clear();
    }
}

/// Names the tracks alone and by publisher, as the SDKs do; servers read one or the other.
fn request(tracks: &BTreeMap<String, String>, subscribe: bool) -> UpdateSubscription {
    let mut by_member: BTreeMap<&String, Vec<String>> = BTreeMap::new();
    for (track, member) in tracks {
        by_member.entry(member).or_default().push(track.clone());
    }
    let participant_tracks = by_member
        .into_iter()
        .map(|(member, track_sids)| ParticipantTracks { participant_sid: member.clone(), track_sids })
        .collect();
    UpdateSubscription { track_sids: tracks.keys().cloned().collect(), subscribe, participant_tracks }
}

#[cfg(test)]
mod tests {
    use super::*;
    use recorder_core::units::Uid;

    struct Room(Vec<(Uid, &'static str)>);

    impl Room {
        fn new(published: &[(&str, &'static str)]) -> Self {
            Self(published.iter().map(|(uid, track)| (Uid::new(uid).unwrap(), *track)).collect())
        }

        fn published(&self) -> impl Iterator<Item = Published<'_>> {
            self.0.iter().map(|(uid, track)| Published {
                uid,
                member: uid.as_str(),
                track,
                readable: !track.starts_with("TR_E"),
            })
        }
    }

    fn only(uids: &[&str]) -> Selection {
        Selection::Only(uids.iter().map(|uid| Uid::new(uid).unwrap()).collect())
    }

    /// Tracks of each request, with a sign.
    fn plan(subscriptions: &mut Subscriptions, room: &Room, selection: &Selection) -> Vec<String> {
        let requests = subscriptions.follow(room.published(), selection);
        let sign = |subscribe| if subscribe { '+' } else { '-' };
        requests.iter().map(|r| format!("{}{}", sign(r.subscribe), r.track_sids.join(","))).collect()
    }

    #[test]
    fn everybody_is_asked_for_once() {
        let mut subscriptions = Subscriptions::default();
        let room = Room::new(&[("ann", "TR_1"), ("bob", "TR_2")]);
        assert_eq!(plan(&mut subscriptions, &room, &Selection::All), ["+TR_1,TR_2"]);
        assert_eq!(plan(&mut subscriptions, &room, &Selection::All), [""; 0]);
    }

    #[test]
    fn unselected_audio_is_never_asked_for() {
        let mut subscriptions = Subscriptions::default();
        let room = Room::new(&[("ann", "TR_1"), ("bob", "TR_2")]);
        assert_eq!(plan(&mut subscriptions, &room, &only(&["bob"])), ["+TR_2"]);
    }

    #[test]
    fn a_changed_selection_stops_some_and_begins_others() {
        let mut subscriptions = Subscriptions::default();
        let room = Room::new(&[("ann", "TR_1"), ("bob", "TR_2"), ("eve", "TR_3")]);
        plan(&mut subscriptions, &room, &only(&["ann", "eve"]));
        assert_eq!(plan(&mut subscriptions, &room, &only(&["bob", "eve"])), ["+TR_2", "-TR_1"]);
        assert_eq!(subscriptions.held().track_sids, ["TR_2", "TR_3"]);
    }

    #[test]
    fn what_is_no_longer_published_needs_no_request_and_a_republish_needs_one() {
        let mut subscriptions = Subscriptions::default();
        plan(&mut subscriptions, &Room::new(&[("ann", "TR_1")]), &Selection::All);
        assert_eq!(plan(&mut subscriptions, &Room::new(&[]), &Selection::All), [""; 0]);
        assert_eq!(plan(&mut subscriptions, &Room::new(&[("ann", "TR_2")]), &Selection::All), ["+TR_2"]);
        subscriptions.clear();
        assert_eq!(plan(&mut subscriptions, &Room::new(&[("ann", "TR_2")]), &Selection::All), ["+TR_2"]);
    }

    #[test]
    fn what_cannot_be_read_is_not_asked_for() {
        let mut subscriptions = Subscriptions::default();
        let room = Room::new(&[("ann", "TR_1"), ("ann", "TR_E2")]);
        assert_eq!(plan(&mut subscriptions, &room, &Selection::All), ["+TR_1"]);
        assert!(!subscriptions.holds("TR_E2"));
        subscriptions.held.insert("TR_E2".to_owned(), "ann".to_owned());
        assert_eq!(plan(&mut subscriptions, &room, &Selection::All), ["-TR_E2"], "and no longer, once it can't be");
    }

    #[test]
    fn requests_name_the_publishers_too() {
        let mut subscriptions = Subscriptions::default();
        let room = Room::new(&[("ann", "TR_1"), ("ann", "TR_2")]);
        let requests = subscriptions.follow(room.published(), &Selection::All);
        let tracks = ParticipantTracks {
            participant_sid: "ann".to_owned(),
            track_sids: vec!["TR_1".to_owned(), "TR_2".to_owned()],
        };
        assert_eq!(requests[0].participant_tracks, [tracks]);
    }
}
