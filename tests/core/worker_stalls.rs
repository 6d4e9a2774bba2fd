//! The worker stood still, starved, lost its connection or a part of its journal: what was not heard meanwhile is missing for that cause,
//! for everybody who was to be heard, and no sender is blamed.

use std::collections::BTreeMap;

use cloud_recorder::recording::{Cause, Input, Mode, Recorder, StallCause, TrackKind, TrackLedger, Verdict};
use cloud_recorder::units::{Ssrc, Ticks, TrackId};

use crate::crash::{by_cause, gaps};
use crate::random_inputs::check_ledger;
use crate::world::{InputStory, MS, Recording, SECOND, Sent, Talker, spec, uid};

/// Whoever the worker does not hear from here.
const FROM: u64 = 20 * SECOND;

const NAMES: [&str; 2] = ["anna", "ben"];

fn stalled(from: u64, cause: StallCause) -> Input {
    Input::Stalled { from: Ticks(from), cause }
}

/// Anna and Ben talk without a pause, Cora is muted, Dora is silent by DTX. What arrived in `FROM..to` was dropped, but for the first
/// `kept`, which the kernel delivers at `to`.
fn story(to: u64, kept: u64, end: u64) -> (InputStory, [Vec<Sent>; 2]) {
    let mut story = InputStory::default();
    let (mut anna, mut ben, mut dora) = (Talker::new(1, 7), Talker::new(2, 8), Talker::new(4, 10));
    for (track, name) in [(1, "anna"), (2, "ben"), (3, "cora"), (4, "dora")] {
        story.joins(0, name, track);
    }
    story.happens(2 * SECOND, Input::Muted { track: TrackId(3), muted: true });
    let mut sent = [anna.talk(SECOND, end - SECOND), ben.talk(SECOND, end - SECOND)];
    let mut pause = dora.talk(SECOND, 2 * SECOND + 200 * MS);
    for turn in 0..(end - 3 * SECOND) / (400 * MS) {
        pause.push(dora.send(2 * SECOND + 200 * MS + turn * 400 * MS, vec![0x78, turn as u8].into()));
        dora.pause(380 * MS);
    }
    for sent in sent.iter_mut().chain([&mut pause]) {
        sent.retain(|sent| !(FROM + kept..to).contains(&sent.arrival));
        sent.iter_mut().filter(|sent| (FROM..to).contains(&sent.arrival)).for_each(|sent| sent.arrival = to);
        story.hears(sent.clone());
    }
    (story, sent)
}

fn losing(account: &TrackLedger) -> BTreeMap<Cause, u64> {
    by_cause(account).into_iter().filter(|(cause, _)| cause.loses()).collect()
}

fn blamed(recording: &Recording, name: &str) -> u64 {
    let late = |gap: &&(Cause, u64, u64)| gap.1 > 3_000 && gap.2 < Ticks(recording.end()).as_ms() - 500;
    let sender = |gap: &&(Cause, u64, u64)| matches!(gap.0, Cause::SenderStall | Cause::Left | Cause::NotPublishing);
    gaps(recording.account(name)).iter().filter(late).filter(sender).map(|gap| gap.2 - gap.1).sum()
}

#[test]
fn a_worker_that_stood_still_says_so_however_long_and_in_every_mode() {
    for seconds in [1, 3, 10, 18, 30, 60] {
        for mode in [Mode::Individual, Mode::Both] {
            let (to, end) = (FROM + seconds * SECOND, FROM + seconds * SECOND + 10 * SECOND);
            let (mut story, _) = story(to, 0, end);
            story.happens(to, stalled(FROM, StallCause::WorkerStalled));
            let recording = story.record(spec(mode), end);
            check_ledger(&recording, end);
            for name in NAMES {
                let account = recording.account(name);
                assert_eq!(blamed(&recording, name), 0, "{:?}", gaps(account));
                let losing = losing(account);
                assert!(losing.keys().eq([&Cause::WorkerStalled]), "{losing:?}");
                assert!(losing[&Cause::WorkerStalled].abs_diff(1_000 * seconds) <= 20, "{losing:?}");
                assert!((account.missing_ms + account.concealed_ms).abs_diff(1_000 * seconds) <= 20, "{account:?}");
            }
            assert_eq!(recording.account("cora").missing_ms, 0, "she was muted");
            assert_eq!(recording.ledger.verdict(), Verdict::Partial);
        }
    }
}

#[test]
fn what_the_kernel_kept_is_placed_or_missing_for_the_stall() {
    for (seconds, kept) in [(1, 900), (3, 1_000), (20, 1_000)] {
        let (to, end) = (FROM + seconds * SECOND, FROM + seconds * SECOND + 10 * SECOND);
        let (mut story, sent) = story(to, kept * MS, end);
        story.happens(to, stalled(FROM, StallCause::WorkerStalled));
        let recording = story.record(spec(Mode::Individual), end);
        check_ledger(&recording, end);
        for (name, sent) in NAMES.iter().zip(&sent) {
            let account = recording.account(name);
            let absent = sent.len() as u64 - account.packets.placed;
            assert_eq!(absent, account.packets.late, "{seconds} {kept} {account:?}");
            assert_eq!(blamed(&recording, name), 0);
            let expected = 1_000 * seconds - kept + 20 * absent;
            let losing = losing(account);
            assert!(losing.keys().eq([&Cause::WorkerStalled]), "{losing:?}");
            assert!(losing[&Cause::WorkerStalled].abs_diff(expected) <= 40, "{losing:?} instead of {expected}");
            assert!(
                seconds > 1 || absent == 0,
                "a stall that is shorter than the look-ahead loses nothing that was kept"
            );
        }
    }
}

#[test]
fn a_stall_that_is_told_of_later_corrects_what_was_written() {
    for (later, cause, booked) in [
        (SECOND, StallCause::WorkerStalled, Cause::WorkerStalled),
        (20 * SECOND, StallCause::Overload, Cause::Overload),
        (58 * SECOND, StallCause::WorkerStalled, Cause::WorkerStalled),
    ] {
        let (to, end) = (FROM + 2 * SECOND, FROM + 70 * SECOND);
        let (mut story, _) = story(to, 0, end);
        // The input says from when until now: told later, it explains all until then.
        story.happens(to + later, stalled(FROM, cause));
        let recording = story.record(spec(Mode::Individual), end);
        check_ledger(&recording, end);
        for name in NAMES {
            let losing = losing(recording.account(name));
            assert!(losing.keys().eq([&booked]) && losing[&booked].abs_diff(2_000) <= 20, "{losing:?}");
        }
    }
}

#[test]
fn senders_who_fell_silent_are_corrected_a_minute_later_though_they_were_muted_meanwhile() {
    let mut anna = Talker::new(1, 7);
    let mut story = InputStory::default();
    story.joins(0, "anna", 1).hears(anna.talk(SECOND, FROM));
    story.happens(FROM + 10 * SECOND, Input::Muted { track: TrackId(1), muted: true });
    story.happens(FROM + 55 * SECOND, stalled(FROM, StallCause::WorkerStalled));
    let recording = story.record(spec(Mode::Individual), 80 * SECOND);
    let causes = by_cause(recording.account("anna"));
    assert!(causes[&Cause::WorkerStalled].abs_diff(10_000) <= 540, "{causes:?}");
    assert!(causes[&Cause::Muted].abs_diff(50_000) <= 540, "{causes:?}");
}

/// After a stall the connection is found dead and the bot joins anew: new tracks, new SSRCs.
fn rejoins(story: &mut InputStory, back: u64) {
    story.rewrite(|mut inputs| {
        for (at, input) in inputs.iter_mut().filter(|(at, _)| *at >= back) {
            if let Input::Packet(packet) = input {
                packet.track = TrackId(packet.track.0 + 100);
                packet.ssrc = Ssrc(packet.ssrc.0 + 100);
                let _ = at;
            }
        }
        inputs
    });
    story.happens(back - 500 * MS, Input::ChannelUp);
    for (track, name) in [(101, "anna"), (102, "ben"), (103, "cora"), (104, "dora")] {
        story.joins(back - 400 * MS, name, track);
    }
    story.happens(back - 390 * MS, Input::Muted { track: TrackId(103), muted: true });
}

#[test]
fn a_connection_that_turns_out_lost_takes_what_the_stall_did_not() {
    for (seconds, lost_first) in [(10, false), (18, false), (30, false), (30, true)] {
        let (woken, back) = (FROM + seconds * SECOND, FROM + (seconds + 4) * SECOND);
        let end = back + 10 * SECOND;
        let (mut story, _) = story(back, 0, end);
        let since = Ticks(FROM - 5 * MS);
        story.happens(woken + if lost_first { 0 } else { 800 * MS }, Input::ChannelLost { since });
        story.happens(woken + if lost_first { 800 * MS } else { 0 }, stalled(FROM, StallCause::WorkerStalled));
        rejoins(&mut story, back);
        let recording = story.record(spec(Mode::Both), end);
        check_ledger(&recording, end);
        for name in NAMES {
            let account = recording.account(name);
            let losing = losing(account);
            assert_eq!(blamed(&recording, name), 0, "{:?}", gaps(account));
            assert!(losing.keys().eq([&Cause::ChannelDisconnected, &Cause::WorkerStalled]), "{losing:?}");
            assert!(losing[&Cause::WorkerStalled].abs_diff(1_000 * seconds) <= 820, "{losing:?}");
            assert!((account.missing_ms + account.concealed_ms).abs_diff(1_000 * (seconds + 4)) <= 60, "{account:?}");
        }
        assert_eq!(recording.account("cora").missing_ms, 0);
    }
}

#[test]
fn an_outage_is_dated_from_the_last_packet_however_late_it_is_noticed() {
    for noticed in [5, 29, 31, 45, 90] {
        for lost in [true, false] {
            let (back, end) = (FROM + (noticed + 3) * SECOND, FROM + (noticed + 13) * SECOND);
            let (mut story, _) = story(back, 0, end);
            let since = Ticks(FROM - 2 * MS);
            let input = if lost { Input::ChannelLost { since } } else { Input::ChannelDown };
            story.happens(FROM + noticed * SECOND, input);
            rejoins(&mut story, back);
            let recording = story.record(spec(Mode::Individual), end);
            check_ledger(&recording, end);
            for name in NAMES {
                let account = recording.account(name);
                let losing = losing(account);
                let dead = 1_000 * (noticed + 3);
                assert!(losing.keys().eq([&Cause::ChannelDisconnected]), "{noticed} s: {losing:?}");
                assert!(losing[&Cause::ChannelDisconnected].abs_diff(dead) <= 60, "{noticed} s: {losing:?}");
                assert!((account.missing_ms + account.concealed_ms).abs_diff(dead) <= 60, "{account:?}");
            }
        }
    }
}

#[test]
fn who_had_stopped_before_the_channel_was_lost_is_due_from_then_only() {
    let (mut anna, mut ben) = (Talker::new(1, 7), Talker::new(2, 8));
    let mut story = InputStory::default();
    story.joins(0, "anna", 1).joins(0, "ben", 2);
    story.hears(anna.talk(SECOND, 10 * SECOND)).hears(ben.talk(SECOND, FROM));
    story.happens(FROM + 6 * SECOND, Input::ChannelLost { since: Ticks(FROM + 10 * MS) });
    let recording = story.record(spec(Mode::Individual), FROM + 10 * SECOND);
    for name in NAMES {
        let disconnected = recording.gap_ms(name, Cause::ChannelDisconnected);
        assert!(disconnected.abs_diff(10_000) <= 600, "{name}: {:?}", gaps(recording.account(name)));
    }
}

#[test]
fn a_damaged_stretch_of_the_journal_costs_what_it_held() {
    for milliseconds in [40, 400, 5_000] {
        let (to, end) = (FROM + milliseconds * MS, FROM + milliseconds * MS + 10 * SECOND);
        let (mut story, sent) = story(to, 0, end);
        story.happens(to, Input::InputsLost { from: Ticks(FROM - 3 * MS) });
        let recording = story.record(spec(Mode::Both), end);
        check_ledger(&recording, end);
        for (name, sent) in NAMES.iter().zip(&sent) {
            recording.assert_all_in_place(name, sent, 30 * MS);
            let account = recording.account(name);
            let losing = losing(account);
            assert!(losing.keys().eq([&Cause::JournalDamaged]), "{losing:?}");
            assert!(losing[&Cause::JournalDamaged].abs_diff(milliseconds) <= 20, "{losing:?}");
            assert!((account.missing_ms + account.concealed_ms).abs_diff(milliseconds) <= 20, "{account:?}");
        }
        let dora = recording.account("dora");
        assert!(milliseconds > 400 || dora.missing_ms + dora.concealed_ms <= 820, "{:?}", gaps(dora));
        assert!(milliseconds > 40 || dora.missing_ms == 0, "her sequence numbers go on: {:?}", gaps(dora));
    }
}

#[test]
fn packets_of_a_track_whose_announcement_is_lost_are_missing_and_nobodys() {
    let (mut anna, mut ben) = (Talker::new(1, 7), Talker::new(2, 8));
    let mut story = InputStory::default();
    story.joins(0, "anna", 1).hears(anna.talk(SECOND, 30 * SECOND));
    story.happens(4 * SECOND, Input::Joined { uid: uid("ben") });
    story.happens(5 * SECOND, Input::InputsLost { from: Ticks(5 * SECOND - 20 * MS) });
    story.hears(ben.talk(6 * SECOND, 26 * SECOND));
    let recording = story.record(spec(Mode::Both), 32 * SECOND);
    let lost = recording.ledger.unattributed.clone().unwrap();
    assert_eq!((lost.packets, lost.missing_ms, lost.gaps_omitted), (1_000, 20_000, 0));
    let [gap] = &lost.gaps[..] else { panic!("{lost:?}") };
    assert_eq!(gap.cause, Cause::UnknownSource);
    assert!(gap.from.as_ms().abs_diff(6_010) <= 20 && gap.to.as_ms().abs_diff(26_010) <= 20, "{gap:?}");
    assert_eq!(recording.ledger.verdict(), Verdict::Partial);
    assert_eq!(recording.ledger.uids.len(), 1, "no uid is invented");
}

#[test]
fn a_clean_channel_has_no_unknown_sources() {
    let (mut anna, mut ben) = (Talker::new(1, 7), Talker::new(2, 8));
    let mut story = InputStory::default();
    // Anna's packets are faster than her announcement, go on for a second after her track is removed; Ben is not selected.
    story.happens(0, Input::Joined { uid: uid("anna") });
    story.happens(
        SECOND + 400 * MS,
        Input::TrackAdded { track: TrackId(1), uid: uid("anna"), muted: false, kind: TrackKind::default() },
    );
    story.hears(anna.talk(SECOND, 10 * SECOND)).happens(9 * SECOND, Input::TrackRemoved { track: TrackId(1) });
    story.joins(0, "ben", 2).hears(ben.talk(SECOND, 20 * SECOND));
    story.happens(11 * SECOND, Input::ChannelDown).happens(13 * SECOND, Input::ChannelUp);
    story.hears(Talker::new(5, 5).talk(12 * SECOND, 15 * SECOND));
    let mut wanted = spec(Mode::Individual);
    wanted.selection = cloud_recorder::recording::Selection::Only([uid("anna")].into());
    let recording = story.record(wanted, 21 * SECOND);
    assert_eq!(recording.ledger.unattributed, None);
}

#[test]
fn put_away_and_taken_up_in_all_of_this_it_is_the_same() {
    let (to, end) = (FROM + 5 * SECOND, FROM + 20 * SECOND);
    let (mut story, _) = story(to, 0, end);
    story.happens(to, stalled(FROM, StallCause::WorkerStalled));
    story.happens(to + 3 * SECOND, Input::InputsLost { from: Ticks(to + 2 * SECOND) });
    story.hears(Talker::new(77, 77).talk(3 * SECOND, end));
    let whole = story.record(spec(Mode::Individual), end);
    let parted = story.record_with(spec(Mode::Individual), end, |recorder, at| {
        if at.0 % 7 == 0 {
            *recorder = Recorder::restore(&recorder.snapshot()).unwrap();
        }
    });
    assert!(whole.ledger.unattributed.is_some());
    assert_eq!(whole.ledger, parted.ledger);
    assert!(whole.outputs == parted.outputs);
}
