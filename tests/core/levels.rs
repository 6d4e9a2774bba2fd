//! Health and waveforms: how loud everybody is, from decoded sound or from what packets say of themselves, before and after the
//! recorder was put away.

use cloud_recorder::codec::opus::Encoder;
use cloud_recorder::recording::{Health, Input, Mode, PeakSource, Recorder, Selection};
use cloud_recorder::units::Ticks;

use crate::world::{FRAME, InputStory, MS, SECOND, Sent, Talker, spec, uid};

/// Twelve seconds: anna's tone from 1 to 6 s, ben is there and sends nothing, carl is not published, dora not selected, emil gone.
fn recorder(mode: Mode, says: impl Fn(&mut Talker) -> Vec<Sent>) -> Recorder {
    let mut story = InputStory::default();
    story.joins(0, "anna", 1).joins(0, "ben", 2).joins(0, "dora", 3).joins(0, "emil", 4);
    story.happens(0, Input::Joined { uid: uid("carl") }).happens(5 * SECOND, Input::Left { uid: uid("emil") });
    story.hears(says(&mut Talker::new(1, 7)));
    let mut wanted = spec(mode);
    wanted.selection = Selection::Except([uid("dora")].into());
    let mut recorder = Recorder::new(wanted);
    story.inputs().into_iter().for_each(|input| recorder.push(input));
    recorder
}

/// Half of full scale: -9 dBFS.
fn tone(talker: &mut Talker) -> Vec<Sent> {
    let mut encoder = Encoder::new(1, 64_000, 5).unwrap();
    let frames = (SECOND..6 * SECOND).step_by(FRAME as usize);
    frames
        .map(|at| {
            let sine = |n: u64| (n as f64 * 0.05).sin() as f32 * 0.5;
            let frame: Vec<f32> = (at..at + FRAME).map(sine).collect();
            talker.send(at, encoder.encode(&frame).unwrap())
        })
        .collect()
}

/// Packets that say -20 dBov.
fn levels(talker: &mut Talker) -> Vec<Sent> {
    let mut sent = talker.talk(SECOND, 6 * SECOND);
    sent.iter_mut().for_each(|sent| sent.packet.level = Some(20));
    sent
}

fn taken_up(recorder: &Recorder) -> Recorder {
    Recorder::restore(&recorder.snapshot()).unwrap()
}

/// Name, arrival of the last packet in ms, level.
fn health(recorder: &Recorder) -> Vec<(String, Option<u64>, Option<f32>)> {
    assert_eq!(taken_up(recorder).health(), recorder.health());
    let told =
        |Health { uid, last_packet, level_dbfs, .. }| (uid.to_string(), last_packet.map(Ticks::as_ms), level_dbfs);
    recorder.health().into_iter().map(told).collect()
}

#[test]
fn a_mix_knows_how_loud_everybody_is() {
    for mode in [Mode::Mix, Mode::Both] {
        let mut recorder = recorder(mode, tone);
        let [(anna, last, Some(level)), (ben, None, Some(silence)), (carl, None, None)] = &health(&recorder)[..] else {
            panic!("{:?}", recorder.health());
        };
        assert_eq!((&anna[..], &ben[..], &carl[..], *last), ("anna", "ben", "carl", Some(6_010)));
        assert!((level + 9.0).abs() < 0.5 && *silence == -127.0, "{level} {silence}");
        recorder.advance(Ticks(10 * SECOND));
        assert_eq!(health(&recorder)[0], ("anna".to_owned(), Some(6_010), Some(-127.0)));
        assert_eq!(taken_up(&recorder).peaks(), recorder.peaks());
        let peaks = recorder.peaks();
        let waveforms = [(peaks.mix.as_ref().unwrap(), "mix"), (&peaks.uids[0].waveform, "anna")];
        for (waveform, whose) in waveforms {
            assert_eq!((waveform.source, waveform.step_ms), (PeakSource::Decoded, 100), "{whose}");
            let values = &waveform.values;
            assert!(values[..10].iter().all(|value| *value <= 1), "{whose} {values:?}");
            assert!(values[11..60].iter().all(|value| value.abs_diff(128) <= 6), "{whose} {values:?}");
            assert!(values.len() <= 62, "silence is not kept: {whose} {values:?}");
        }
        let uids: Vec<&str> = peaks.uids.iter().map(|entry| entry.uid.as_str()).collect();
        assert_eq!(uids, ["anna", "ben", "emil"], "as in the ledger");
        assert!(peaks.uids[1].waveform.values.is_empty(), "ben sent nothing");
    }
}

#[test]
fn without_a_mix_the_packets_levels_are_taken_where_there_are_any() {
    let mut recorder_with = recorder(Mode::Individual, levels);
    let [(_, last, Some(level)), (_, None, None), (_, None, None)] = &health(&recorder_with)[..] else {
        panic!("{:?}", recorder_with.health());
    };
    assert!(*last == Some(6_010) && (level + 20.0).abs() < 0.3, "{level}");
    recorder_with.advance(Ticks(10 * SECOND));
    assert_eq!(health(&recorder_with)[0].2, Some(-127.0));
    let peaks = recorder_with.peaks();
    assert_eq!(taken_up(&recorder_with).peaks(), peaks);
    assert!(peaks.mix.is_none() && peaks.uids.len() == 1);
    assert_eq!(peaks.uids[0].waveform.source, PeakSource::AudioLevel);
    assert!(peaks.uids[0].waveform.values[11..60].iter().all(|value| *value == 26));
    let json = serde_json::to_value(&peaks).unwrap();
    assert_eq!(json["uids"][0]["waveform"]["source"], "audio_level");

    let recorder_without = recorder(Mode::Individual, |talker| talker.talk(SECOND, 6 * SECOND));
    assert_eq!(health(&recorder_without)[0], ("anna".to_owned(), Some(6_010), None), "nothing is decoded just for it");
    assert_eq!(recorder_without.peaks().uids, []);
}

#[test]
fn a_packet_in_the_wrong_place_of_time_does_not_matter() {
    let mut talker = Talker::new(1, 7);
    let mut sent = levels(&mut talker);
    sent.iter_mut().for_each(|sent| sent.arrival += sent.captured % (40 * MS));
    let recorder = recorder(Mode::Individual, |_| sent.clone());
    let level = health(&recorder)[0].2.unwrap();
    assert!((level + 20.0).abs() < 0.3, "{level}");
}
