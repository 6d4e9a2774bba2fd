//! What a LiveKit server makes of a mute: it fills its beginning with silent frames of its own, the first with the RTP time of the last
//! packet before it, and gives what comes after it new RTP times, the first by its arrival. Read off LiveKit server 1.13.5.

use bytes::Bytes;
use cloud_recorder::recording::{Cause, Input, Mode, Recorder, Verdict};
use cloud_recorder::units::TrackId;

use crate::crash::gaps;
use crate::random_inputs::check_ledger;
use crate::world::{FRAME, InputStory, MS, Recording, SECOND, Sent, Talker, spec};

/// The server's silent frame: CELT, 20 ms, its silence flag set, padded to 80 bytes.
fn silent() -> Bytes {
    let mut frame = vec![0xF8, 0xFF, 0xFE];
    frame.resize(80, 0);
    frame.into()
}

/// Mute at 10 s, unmute at 13 s; what is said from then on stands in a queue of so many milliseconds, and its frames have these lengths.
fn muted(queue: u64) -> (Recording, Vec<Sent>) {
    let mut talker = Talker::new(1, 7);
    let mut sent = talker.talk(SECOND, 10 * SECOND);
    let mut story = InputStory::default();
    story.joins(0, "7", 1).hears(sent.clone());
    story.happens(10 * SECOND + 20 * MS, Input::Muted { track: TrackId(1), muted: true });
    talker.rtp -= FRAME as f64;
    for frame in 0..50 {
        let at = 10 * SECOND + 20 * MS + frame * FRAME;
        let mut filler = talker.send(at, silent());
        filler.arrival = at + 2 * MS;
        talker.rtp += 1.0;
        story.hears(vec![filler]);
    }
    let unmuted = 13 * SECOND;
    story.happens(unmuted, Input::Muted { track: TrackId(1), muted: false });
    // The server's clock: the first packet has the RTP time of its arrival.
    let arrival = unmuted + 30 * MS + queue * MS;
    talker.rtp += (arrival - (11 * SECOND + 20 * MS)) as f64;
    let mut rest = talker.talk(unmuted, 20 * SECOND);
    rest.iter_mut().for_each(|sent| sent.arrival = sent.arrival.max(arrival));
    sent.extend(rest.clone());
    story.hears(rest);
    let end = 21 * SECOND;
    let recording = story.record(spec(Mode::Individual), end);
    check_ledger(&recording, end);
    let parted = story.record_with(spec(Mode::Individual), end, |recorder, _| {
        *recorder = Recorder::restore(&recorder.snapshot()).unwrap();
    });
    assert!(recording.outputs == parted.outputs, "through checkpoints it is the same");
    (recording, sent)
}

#[test]
fn a_mute_costs_nothing() {
    let (recording, _) = muted(0);
    let account = recording.account("7");
    assert_eq!((account.missing_ms, account.concealed_ms), (0, 0), "{account:?}");
    assert_eq!(recording.ledger.verdict(), Verdict::Complete);
    assert!(recording.gap_ms("7", Cause::Muted) > 1_500, "{:?}", gaps(account));
}

#[test]
fn the_first_words_after_a_mute_lie_where_they_were_said() {
    for queue in [0, 40, 100, 200, 500, 900, 1_000] {
        let (recording, sent) = muted(queue);
        let account = recording.account("7");
        assert_eq!((account.missing_ms, account.concealed_ms), (0, 0), "{queue} ms: {account:?}");
        recording.assert_all_in_place("7", &sent, 40 * MS);
    }
}
