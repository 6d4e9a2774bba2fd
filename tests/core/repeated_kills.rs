//! A worker that is killed again before what it heard is written: each run counts its tracks from one, in the order in which it meets the
//! members. What three runs heard waits at the same time then, and still each uid has one source.

use cloud_recorder::recording::{Cause, Input, Mode, TrackKind};
use cloud_recorder::units::{Ssrc, TrackId};
use proptest::prelude::*;

use crate::random_inputs::check_ledger;
use crate::world::{FRAME, InputStory, MS, SECOND, Sent, Talker, spec, uid};

const NAMES: [&str; 2] = ["anna", "ben"];

/// One run of the worker, in milliseconds.
#[derive(Clone, Copy, Debug)]
struct Run {
    /// How long it lives.
    lives: u64,
    /// How long nobody hears after its death.
    dead: u64,
    /// How much later than the fastest way its packets are delivered.
    delay: u64,
    /// Whether it meets the second member first.
    swaps: bool,
}

/// Two talkers through all runs: the story, what of each arrived, and its end.
fn play(runs: &[Run]) -> (InputStory, [Vec<Sent>; 2], u64) {
    let (mut story, mut heard) = (InputStory::default(), [Vec::new(), Vec::new()]);
    let end = SECOND + runs.iter().map(|run| (run.lives + run.dead) * MS).sum::<u64>() + 5 * SECOND;
    let mut talkers = [Talker::new(1, 7), Talker::new(2, 8)];
    let sent = talkers.each_mut().map(|talker| talker.talk(SECOND, end - SECOND));
    let mut from = 0;
    for (number, run) in runs.iter().chain([&Run { lives: 60_000, dead: 0, delay: 0, swaps: false }]).enumerate() {
        let died = if number == 0 { SECOND + run.lives * MS } else { from + run.lives * MS };
        if number > 0 {
            story.happens(from, Input::WorkerRestarted);
        }
        for place in 0..NAMES.len() {
            let (who, track) = (if run.swaps { 1 - place } else { place }, TrackId(place as u32 + 1));
            story.happens(from, Input::Joined { uid: uid(NAMES[who]) });
            let added = Input::TrackAdded { track, uid: uid(NAMES[who]), muted: false, kind: TrackKind::default() };
            story.happens(from, added);
            let packets = sent[who].iter().cloned().map(|mut sent| {
                sent.arrival += run.delay * MS;
                sent.packet.track = track;
                sent.packet.ssrc = Ssrc(sent.packet.ssrc.0 + 100 * number as u32);
                sent
            });
            let arrived: Vec<Sent> = packets.filter(|sent| (from..died.min(end)).contains(&sent.arrival)).collect();
            story.hears(arrived.clone());
            heard[who].extend(arrived);
        }
        from = died + run.dead * MS;
    }
    (story, heard, end)
}

fn check(runs: &[Run]) -> Result<(), TestCaseError> {
    let (story, heard, end) = play(runs);
    let recording = story.record(spec(Mode::Both), end);
    check_ledger(&recording, end);
    let sources: Vec<_> = recording.ledger.uids.iter().map(|uid| (uid.uid.as_str(), uid.source)).collect();
    prop_assert_eq!(sources, NAMES.map(|name| (name, None)));
    let slowest = runs.iter().map(|run| run.delay).max().unwrap_or_default();
    for (name, heard) in NAMES.iter().zip(&heard) {
        let account = recording.account(name);
        let lost = heard.iter().zip(recording.places(name, heard)).filter(|(_, place)| place.is_none()).count() as u64;
        // Where a run's way was slower than the next one's, the ends of both lie upon each other.
        prop_assert!(
            20 * lost <= runs.len() as u64 * (slowest + 20),
            "{lost} packets of {name} are not written: {:?}",
            account
        );
        let sent = (end - 2 * SECOND) / FRAME;
        let silent = 20 * (sent - heard.len() as u64 + lost);
        prop_assert!(account.missing_ms.abs_diff(silent) <= 60 + 2 * slowest, "{silent} ms are silent: {:?}", account);
        let unknown = account.gaps.iter().any(|gap| gap.cause == Cause::Unknown);
        prop_assert!(!unknown, "{:?}", account.gaps);
    }
    Ok(())
}

#[test]
fn three_runs_within_two_seconds_are_one_source() {
    let run = |lives, swaps| Run { lives, dead: 150, delay: 0, swaps };
    check(&[run(2_000, false), run(1_400, true), run(500, false), run(500, true)]).unwrap();
}

#[test]
fn a_faster_way_after_the_restart_is_no_second_source() {
    let run = |delay| Run { lives: 2_000, dead: 30, delay, swaps: false };
    check(&[run(120), run(0), run(90)]).unwrap();
}

fn run() -> impl Strategy<Value = Run> {
    (200..3_000_u64, 20..400_u64, 0..120_u64, any::<bool>()).prop_map(|(lives, dead, delay, swaps)| Run {
        lives,
        dead,
        delay,
        swaps,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn however_often_and_soon(mut runs in proptest::collection::vec(run(), 1..6)) {
        // Who began to speak within half a second before the death may be said to have done so a little earlier.
        runs[0].lives += 600;
        check(&runs)?;
    }
}
