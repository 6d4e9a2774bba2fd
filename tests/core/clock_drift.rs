//! Eight hours of a sender whose clock is 100 ppm fast, two of one that is 400 ppm slow: three seconds of difference, and never
//! more than a frame of it shows.

use cloud_recorder::recording::{Cause, Mode, Recorder};
use cloud_recorder::units::Ticks;

use crate::world::{Dice, FRAME, InputStory, MS, Recording, SECOND, Talker, spec};

fn drift(ppm: f64, hours: u64) {
    let end = hours * 3_600 * SECOND;
    let mut talker = Talker::new(1, 7);
    talker.rate = 1.0 + ppm / 1e6;
    let mut dice = Dice(1);
    let mut sent = talker.talk(SECOND, end - SECOND);
    for packet in &mut sent {
        packet.arrival += dice.below(25) * MS;
    }
    let recording = InputStory::default().joins(0, "7", 1).hears(sent.clone()).record(spec(Mode::Individual), end);

    let (mut missing, mut worst) = (0_u64, 0);
    for (sent, place) in sent.iter().zip(recording.places("7", &sent)) {
        match place {
            Some(place) => worst = worst.max((place as i64 - (sent.captured + 30 * MS) as i64).unsigned_abs()),
            None => missing += 1,
        }
    }
    assert!(worst <= FRAME, "{worst} ticks off");
    let frames = (hours as f64 * 3_600.0 * ppm.abs() / 1e6 / 0.020) as u64;
    let account = recording.account("7");
    if ppm > 0.0 {
        assert!(missing.abs_diff(frames) <= 2 && account.packets.left_out == missing, "{missing} left out");
    } else {
        assert_eq!(missing, 0);
        assert!(recording.gap_ms("7", Cause::ClockDrift).abs_diff(20 * frames) <= 40);
    }
    assert_eq!(account.missing_ms + account.concealed_ms, 0, "a wrong clock loses nothing");
}

#[test]
fn a_fast_clock_loses_a_packet_now_and_then() {
    drift(100.0, 8);
}

#[test]
fn a_slow_clock_gets_a_filler_now_and_then() {
    drift(-400.0, 2);
}

#[test]
fn idle_hours_cost_little_and_come_out_in_order() {
    let mut recorder = Recorder::new(spec(Mode::Individual));
    for input in InputStory::default().joins(0, "7", 1).inputs() {
        recorder.push(input);
    }
    let end = 8 * 3_600 * SECOND;
    let mut wakes = 0;
    let mut outputs = Vec::new();
    while let Some(wake) = recorder.next_wake().filter(|wake| wake.0 < end) {
        recorder.advance(wake);
        let before = outputs.len();
        outputs.extend(std::iter::from_fn(|| recorder.poll()));
        assert!(outputs.len() > before, "woken for nothing at {wake:?}");
        wakes += 1;
    }
    recorder.finish(Ticks(end));
    outputs.extend(std::iter::from_fn(|| recorder.poll()));
    assert!(wakes <= 8 * 600 + 1, "woken {wakes} times");
    Recording::new(outputs, recorder.ledger(), end);
}
