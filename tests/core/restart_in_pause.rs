//! The worker dies while a talker is silent by DTX: nothing is known from the last input on, and nothing before it is in doubt.

use bytes::Bytes;
use cloud_recorder::recording::{Cause, Mode};
use cloud_recorder::units::Ticks;

use crate::crash::{Again, Crash, FLOWING, gaps, later_gaps};
use crate::world::{FRAME, InputStory, MS, SECOND, Talker, spec};

fn pause_struck_by(crash: Crash) {
    let (mut carl, mut anna) = (Talker::new(1, 7), Talker::new(2, 8));
    let mut sent = carl.talk(SECOND, 10 * SECOND);
    for turn in 0..50 {
        sent.push(carl.send(10 * SECOND + turn * 20 * FRAME, Bytes::copy_from_slice(&[0x78, turn as u8])));
        carl.pause(19 * FRAME);
    }
    sent.extend(carl.talk(30 * SECOND, 35 * SECOND));
    let mut story = InputStory::default();
    story.joins(0, "carl", 1).joins(0, "anna", 2).hears(sent.clone()).hears(anna.talk(SECOND, 35 * SECOND));
    let met = [("carl", 1), ("anna", 2)].map(|(name, track)| Again { name, track, muted: false });
    crash.strike(&mut story, &met);
    let recording = story.record(spec(Mode::Individual), 36 * SECOND);
    recording.assert_all_in_place("carl", &crash.survivors(&sent), 30 * MS);
    let account = recording.account("carl");
    let [(Cause::WorkerRestart, from, to), (Cause::UnheardTail, _, 36_000)] = later_gaps(account)[..] else {
        panic!("{crash:?} {:?}", gaps(account));
    };
    let (died, flowing) = (Ticks(crash.died).as_ms(), Ticks(crash.back + FLOWING).as_ms());
    assert!(from.abs_diff(died) <= 20, "{crash:?} from {from}");
    assert!((flowing..=flowing + 400).contains(&to), "{crash:?} to {to}, the first packet of a pause that goes on");
    assert_eq!((account.missing_ms, account.concealed_ms), (to - from, 0), "{crash:?}");
}

#[test]
fn a_pause_is_in_doubt_from_the_death_on() {
    for died in [20_010, 20_130, 20_399, 20_420] {
        for dead in [300, 1_500, 4_000] {
            pause_struck_by(Crash { died: died * MS, back: (died + dead) * MS });
        }
    }
}
