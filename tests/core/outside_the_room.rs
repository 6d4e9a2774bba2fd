//! The recorder waited outside for somebody to come: who spoke before it was back is missing from the join on, for that cause and no
//! other, and nobody else is.

use cloud_recorder::recording::{Cause, Input, Mode, Selection, TrackKind, Verdict};
use cloud_recorder::units::{Ticks, TrackId};

use crate::crash::{by_cause, gaps};
use crate::random_inputs::check_ledger;
use crate::world::{InputStory, MS, Recording, SECOND, Talker, spec, uid};

/// When the member came, when the recorder joined after it, and when it could hear.
const CAME: u64 = 40 * SECOND;
const END: u64 = 60 * SECOND;

fn unheard(name: &str, since: u64) -> Input {
    Input::Unheard { uid: uid(name), since: Ticks(since) }
}

/// Ben talks for ten seconds and leaves; Anna is there from `CAME` on and talks, the recorder joins at `joined`, and hears from
/// `heard` on; its connection is up a little earlier.
fn story(name: &str, joined: u64, heard: u64, muted: bool) -> InputStory {
    let mut story = InputStory::default();
    story.joins(0, "ben", 1);
    story.hears(Talker::new(1, 7).talk(SECOND, 10 * SECOND));
    story.happens(10 * SECOND, Input::Left { uid: uid("ben") });
    story.happens(joined, Input::Joined { uid: uid(name) });
    let added = Input::TrackAdded { track: TrackId(2), uid: uid(name), muted, kind: TrackKind::default() };
    story.happens(joined, added);
    if !muted {
        story.happens(joined, unheard(name, CAME));
        story.happens(heard - 40 * MS, unheard(name, joined));
        let mut said = Talker::new(2, 8).talk(CAME, END - SECOND);
        said.retain(|sent| sent.arrival >= heard);
        story.hears(said);
    }
    story
}

fn check(recording: &Recording, name: &str, missing_ms: u64) {
    check_ledger(recording, END);
    let account = recording.account(name);
    let lost: Vec<_> = by_cause(account).into_iter().filter(|(cause, _)| cause.loses()).collect();
    let [(Cause::RecorderOutside, outside)] = lost[..] else { panic!("{lost:?} in {:?}", gaps(account)) };
    assert!(outside.abs_diff(missing_ms) <= 40, "{outside} instead of {missing_ms}: {:?}", gaps(account));
    assert!(account.missing_ms.abs_diff(missing_ms) <= 40, "{account:?}");
    let from = gaps(account).into_iter().filter(|gap| gap.0 == Cause::RecorderOutside).map(|gap| gap.1).min();
    assert_eq!(from, Some(Ticks(CAME).as_ms()), "{:?}", gaps(account));
    assert_eq!(recording.ledger.verdict(), Verdict::Partial);
}

#[test]
fn who_speaks_before_the_recorder_is_back_is_missing_from_the_join_on() {
    for mode in [Mode::Individual, Mode::Both] {
        // Within the look-ahead, and so late that the time before was written as nobody's.
        for (joined, heard) in [(700 * MS, 1_200 * MS), (8 * SECOND, 8 * SECOND + 300 * MS)] {
            for name in ["anna", "ben"] {
                let recording = story(name, CAME + joined, CAME + heard, false).record(spec(mode), END);
                check(&recording, name, Ticks(heard).as_ms());
            }
        }
    }
}

#[test]
fn who_is_muted_or_not_selected_or_was_heard_misses_nothing() {
    let recording = story("anna", CAME + SECOND, CAME + 2 * SECOND, true).record(spec(Mode::Individual), END);
    check_ledger(&recording, END);
    assert_eq!(recording.account("anna").missing_ms, 0);
    assert_eq!(recording.account("ben").missing_ms, 0, "nobody was there");
    assert_eq!(recording.ledger.verdict(), Verdict::Complete);

    let mut story = story("anna", CAME + SECOND, CAME + 2 * SECOND, false);
    story.happens(0, Input::Select(Selection::Only([uid("ben")].into())));
    let recording = story.record(spec(Mode::Individual), END);
    assert!(recording.ledger.uids.iter().all(|account| account.missing_ms == 0), "{:?}", recording.ledger);
}
