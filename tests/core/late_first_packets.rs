//! A queue before the first packet: packets of a stretch that begins come late and the delay falls. All that are at most a second late
//! lie at their RTP time; what is later is missing, to the packet.

use cloud_recorder::recording::{Cause, Input, Mode, Recorder, TrackLedger, Verdict};
use cloud_recorder::storage::journal::{Reader, Record};
use cloud_recorder::units::TrackId;

use crate::crash::gaps;
use crate::random_inputs::check_ledger;
use crate::replayed::fixture;
use crate::several_sources::silence;
use crate::world::{FRAME, InputStory, MS, Recording, SECOND, Sent, Talker, spec};

/// Packets that were made from `from` on stand in a queue until `until`, and come then, `spread` apart from each other, until the queue is
/// empty.
fn queued(sent: &mut [Sent], from: u64, until: u64, spread: u64) {
    let mut free = until;
    for sent in sent.iter_mut().filter(|sent| sent.captured >= from) {
        if sent.arrival >= free {
            break;
        }
        sent.arrival = free;
        free += spread;
    }
}

fn record(story: &InputStory, end: u64) -> Recording {
    let recording = story.record(spec(Mode::Individual), end);
    check_ledger(&recording, end);
    let parted = story.record_with(spec(Mode::Individual), end, |recorder, _| {
        *recorder = Recorder::restore(&recorder.snapshot()).unwrap();
    });
    assert_eq!(recording.ledger, parted.ledger);
    assert!(recording.outputs == parted.outputs, "through checkpoints it is the same");
    recording
}

fn assert_whole(what: &str, recording: &Recording, sent: &[Sent]) {
    let account = recording.account("7");
    assert_eq!(account.packets.placed as usize, sent.len(), "{what}: {:?} {:?}", account.packets, gaps(account));
    recording.assert_all_in_place("7", sent, 30 * MS);
    assert_eq!((account.missing_ms, account.concealed_ms), (0, 0), "{what}: {:?}", gaps(account));
}

const QUEUES: [(u64, u64); 7] = [(100, 0), (200, 0), (500, 0), (1_000, 0), (500, 2), (900, 5), (1_000, 11)];

#[test]
fn on_joining() {
    for (late, spread) in QUEUES {
        let mut sent = Talker::new(1, 7).talk(2 * SECOND, 12 * SECOND);
        queued(&mut sent, 0, 2 * SECOND + 30 * MS + late * MS, spread * MS);
        let mut story = InputStory::default();
        story.joins(SECOND, "7", 1).hears(sent.clone());
        assert_whole(&format!("{late} ms, {spread} apart"), &record(&story, 13 * SECOND), &sent);
    }
}

#[test]
fn on_joining_with_a_pause_by_dtx_in_the_queue() {
    for (late, spread) in [(500, 0), (900, 0), (950, 3), (1_000, 0)] {
        let mut talker = Talker::new(1, 7);
        let mut sent = talker.talk(2 * SECOND, 2 * SECOND + 400 * MS);
        let pause = silence(&mut talker, 2 * SECOND + 400 * MS, 3 * SECOND + 200 * MS);
        let begins = sent.len();
        sent.extend(pause.into_iter().chain(talker.talk(3 * SECOND + 200 * MS, 9 * SECOND)));
        queued(&mut sent, 0, 2 * SECOND + 30 * MS + late * MS, spread * MS);
        let mut story = InputStory::default();
        story.joins(SECOND, "7", 1).hears(sent.clone());
        let recording = record(&story, 10 * SECOND);
        // Packets of DTX are alike.
        sent.drain(begins..begins + 2);
        let account = recording.account("7");
        assert_eq!((account.packets.placed as usize, account.missing_ms), (sent.len() + 2, 0), "{late}: {account:?}");
        recording.assert_all_in_place("7", &sent, 30 * MS);
    }
}

/// After a clock that stood still a packet of DTX is where its own time says, and not right before the speech behind it.
#[test]
fn dtx_behind_a_mute_does_not_move_what_was_before() {
    let mut talker = Talker::new(1, 7);
    let mut sent = talker.talk(SECOND, SECOND + 300 * MS);
    let pause = silence(&mut talker, SECOND + 600 * MS, 2 * SECOND + 400 * MS);
    sent.extend(talker.talk(2 * SECOND + 400 * MS, 3 * SECOND));
    let mut story = InputStory::default();
    story.joins(0, "7", 1).hears(sent.clone()).hears(pause);
    record(&story, 6 * SECOND).assert_all_in_place("7", &sent, 30 * MS);
}

#[test]
fn on_a_new_ssrc() {
    for (late, spread) in QUEUES {
        let mut sent = Talker::new(1, 7).talk(2 * SECOND, 6 * SECOND);
        let mut next = Talker { made: 9_000, ..Talker::new(1, 8) }.talk(6 * SECOND, 14 * SECOND);
        queued(&mut next, 0, 6 * SECOND + 30 * MS + late * MS, spread * MS);
        sent.extend(next);
        let mut story = InputStory::default();
        story.joins(SECOND, "7", 1).hears(sent.clone());
        assert_whole(&format!("{late} ms, {spread} apart"), &record(&story, 15 * SECOND), &sent);
    }
}

#[test]
fn on_unmuting_with_a_clock_that_stood_still() {
    for (late, spread) in QUEUES {
        let mut talker = Talker::new(1, 7);
        let mut sent = talker.talk(2 * SECOND, 6 * SECOND);
        let mut next = talker.talk(20 * SECOND, 28 * SECOND);
        queued(&mut next, 0, 20 * SECOND + 30 * MS + late * MS, spread * MS);
        sent.extend(next);
        let mut story = InputStory::default();
        story.joins(SECOND, "7", 1).hears(sent.clone());
        story.happens(6 * SECOND + 10 * MS, Input::Muted { track: TrackId(1), muted: true });
        story.happens(20 * SECOND, Input::Muted { track: TrackId(1), muted: false });
        assert_whole(&format!("{late} ms, {spread} apart"), &record(&story, 29 * SECOND), &sent);
    }
}

#[test]
fn what_is_later_than_a_second_is_missing_to_the_packet() {
    for late in [1_200, 1_500, 2_500] {
        let mut sent = Talker::new(1, 7).talk(4 * SECOND, 14 * SECOND);
        queued(&mut sent, 0, 4 * SECOND + 30 * MS + late * MS, 0);
        let mut story = InputStory::default();
        story.joins(SECOND, "7", 1).hears(sent.clone());
        let recording = record(&story, 15 * SECOND);
        let account: &TrackLedger = recording.account("7");
        assert_eq!(account.packets.placed + account.packets.late, sent.len() as u64, "{:?}", account.packets);
        assert!(account.packets.late <= (late - 1_000) / 20 + 3, "{late}: {:?}", account.packets);
        assert_eq!(account.missing_ms, 20 * account.packets.late, "{:?}", gaps(account));
        let placed: Vec<Sent> = sent[account.packets.late as usize..].to_vec();
        recording.assert_all_in_place("7", &placed, 30 * MS);
        let late_ms =
            recording.gap_ms("7", Cause::Late) + account.overlaid_ms.get(&Cause::Late).copied().unwrap_or_default();
        assert!(late_ms.abs_diff(account.missing_ms) <= 1, "{account:?}");
    }
}

#[test]
fn sound_from_before_the_start_is_not_due() {
    let mut sent = Talker::new(1, 7).talk(SECOND, 8 * SECOND);
    // The session begins 700 ms after the first of them was made, and they come then.
    for sent in &mut sent {
        sent.captured = sent.captured.saturating_sub(1_700 * MS - 30 * MS);
        sent.arrival = sent.arrival.saturating_sub(1_700 * MS).max(10 * MS);
    }
    let mut story = InputStory::default();
    story.joins(0, "7", 1).hears(sent.clone());
    let recording = record(&story, 8 * SECOND);
    let account = recording.account("7");
    assert!((33..=36).contains(&account.packets.before_start), "{:?}", account.packets);
    assert_eq!(account.packets.placed + account.packets.before_start, sent.len() as u64, "{:?}", account.packets);
    assert_eq!((account.missing_ms, account.concealed_ms, recording.ledger.verdict()), (0, 0, Verdict::Complete));
}

#[test]
fn the_small_cases_have_their_right_values() {
    for name in ["steady", "first-200ms-late", "first-1s-late"] {
        let mut recorder = None;
        for record in Reader::open(fixture(&format!("cases/{name}.journal"))).unwrap() {
            match record.unwrap() {
                Record::Started { spec } => recorder = Some(Recorder::new(spec)),
                Record::Input { input, .. } => recorder.as_mut().unwrap().push(input),
                Record::Finished { at, .. } => recorder.as_mut().unwrap().finish(at),
                _ => {}
            }
        }
        let ledger = recorder.unwrap().ledger();
        let account = &ledger.uids[0];
        assert_eq!((account.packets.placed, account.missing_ms), (100, 0), "{name}: {account:?}");
        assert_eq!((account.packets.received, ledger.verdict()), (100, Verdict::Complete), "{name}");
        assert_eq!(account.recorded_ms, 100 * FRAME / MS, "{name}");
    }
}
