//! A worker that comes back three hours later into a channel that lives on.

use cloud_recorder::recording::{Cause, Mode};

use crate::crash::{Again, Crash, gaps, later_gaps};
use crate::world::{InputStory, MS, SECOND, Sent, Talker, spec};

#[test]
fn three_hours_are_one_gap_and_everything_after_them_is_in_its_place() {
    let crash = Crash { died: 20 * SECOND, back: (3 * 3_600 + 20) * SECOND };
    let end = crash.back + 30 * SECOND;
    let mut anna = Talker::new(1, 7);
    let mut sent: Vec<Sent> = anna.talk(SECOND, 20 * SECOND);
    anna.pause(crash.back - 20 * SECOND);
    sent.extend(anna.talk(crash.back, end - SECOND));
    let mut story = InputStory::default();
    story.joins(0, "anna", 1).joins(0, "ben", 2).hears(sent.clone());
    crash.strike(&mut story, &[Again { name: "anna", track: 1, muted: false }]);
    let recording = story.record(spec(Mode::Both), end);
    recording.assert_all_in_place("anna", &crash.survivors(&sent), 30 * MS);
    let account = recording.account("anna");
    let [(Cause::WorkerRestart, from, to), (Cause::UnheardTail, ..)] = later_gaps(account)[..] else {
        panic!("{:?}", gaps(account));
    };
    assert!(from.abs_diff(20_000) <= 20 && to.abs_diff(3 * 3_600_000 + 20_700) <= 20, "{from} to {to}");
    assert_eq!(account.missing_ms, to - from);
    let last = gaps(recording.account("ben")).pop();
    assert_eq!(last, Some((Cause::Left, 3 * 3_600_000 + 35_000, 3 * 3_600_000 + 50_000)), "ben never came back");
}
