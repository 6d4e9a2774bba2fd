//! A worker that dies again and again, a few seconds apart.

use cloud_recorder::recording::{Cause, Mode};

use crate::crash::{Again, Crash, by_cause, gaps};
use crate::random_inputs::check_ledger;
use crate::world::{InputStory, MS, SECOND, Talker, spec};

#[test]
fn each_costs_its_own_gap_and_no_more() {
    let end = 180 * SECOND;
    let (mut anna, mut ben) = (Talker::new(1, 7), Talker::new(2, 8));
    let (mut annas, mut bens) = (anna.talk(SECOND, end), ben.talk(SECOND + 333, end));
    let mut story = InputStory::default();
    story.joins(0, "anna", 1).joins(0, "ben", 2).hears(annas.clone()).hears(bens.clone());
    for turn in 0..20 {
        let died = 10 * SECOND + turn * 8 * SECOND;
        let crash = Crash { died, back: died + 1_700 * MS + turn * 100 * MS };
        let track = |base: u32| base + 1_000 * turn as u32;
        let met = [("anna", 1), ("ben", 2)].map(|(name, base)| Again { name, track: track(base), muted: false });
        crash.strike(&mut story, &met);
        (annas, bens) = (crash.survivors(&annas), crash.survivors(&bens));
    }
    let recording = story.record(spec(Mode::Both), end);
    check_ledger(&recording, end);
    for (name, sent) in [("anna", &annas), ("ben", &bens)] {
        let arrived: Vec<_> = sent.iter().filter(|sent| sent.arrival < end - 30 * MS).cloned().collect();
        recording.assert_all_in_place(name, &arrived, 30 * MS);
        let account = recording.account(name);
        let restarts = gaps(account).iter().filter(|(cause, ..)| *cause == Cause::WorkerRestart).count();
        assert_eq!(restarts, 20, "{:?}", gaps(account));
        let lost = (0..20).map(|turn| 1_700 + 100 * turn + 700).sum::<u64>();
        assert!(by_cause(account)[&Cause::WorkerRestart].abs_diff(lost) <= 20 * 20, "{:?}", by_cause(account));
        assert_eq!(account.missing_ms, by_cause(account)[&Cause::WorkerRestart]);
        assert_eq!(account.concealed_ms, 0);
    }
}
