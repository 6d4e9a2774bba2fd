//! Silence is constant, sound begins cleanly, and when a slot is planned changes nothing.

use bytes::Bytes;

use super::*;
use crate::codec::fmp4;
use crate::codec::opus::Encoder;
use crate::recording::member::Member;
use crate::units::Uid;

const SECOND: i64 = 48_000;

/// One uid: a second of packets from 3 s on, silence before and after.
fn chunks() -> Vec<Chunk> {
    let mut encoder = Encoder::new(1, 32_000, 5).unwrap();
    let sound = |frame: i64| {
        let tone: Vec<f32> = (0..960).map(|n| ((frame * 960 + n) as f32 * 0.05).sin() * 0.5).collect();
        let at = 3 * SECOND + frame * SLOT;
        (at, tone)
    };
    let mut chunks = vec![Chunk::Silence { at: 0, length: 3 * SECOND, resumes: true }];
    for (at, tone) in (0..50).map(sound) {
        chunks.push(Chunk::Sound {
            at,
            exact: at,
            packet: encoder.encode(&tone).unwrap(),
            duration: SLOT,
            level: None,
        });
    }
    chunks.push(Chunk::Silence { at: 4 * SECOND, length: 4 * SECOND, resumes: false });
    chunks
}

/// The mix's packets when the timeline becomes known in steps of so many ticks.
fn packets(step: i64) -> Vec<Bytes> {
    let (mut out, chunks) = (Vec::new(), chunks());
    let mut present = Member::new(Uid::new("1").unwrap(), true);
    present.presence.change(0, |state| state.present = true);
    let members = [present];
    let mut mixer = Mixer::new(AudioProfile::Mono64, Ticks::from_secs(2), &mut out);
    let (mut known, mut told) = (0, 0);
    while known < 8 * SECOND {
        known += step;
        let upto = chunks.partition_point(|chunk| chunk.at() < known);
        mixer.listen(0, &chunks[told..upto]);
        told = upto;
        mixer.run(known.min(8 * SECOND), Attendance(&members), &mut out);
    }
    mixer.finish(8 * SECOND, Attendance(&members), &mut out);
    let segments = out.iter().filter_map(|output| match output {
        Output::Segment(segment) => Some(segment),
        _ => None,
    });
    segments
        .flat_map(|segment| {
            let samples = fmp4::read_segment(&segment.bytes).unwrap().samples;
            samples.into_iter().map(|sample| segment.bytes.slice(sample.range)).collect::<Vec<_>>()
        })
        .collect()
}

#[test]
fn silence_is_constant_and_sound_comes_after_one_frame_that_resets() {
    let packets = packets(4_800);
    assert_eq!(packets.len(), 400);
    let resets: Vec<usize> = (0..400).filter(|slot| packets[*slot] == opus::RESET_FRAME[..]).collect();
    let silent = |slot: &usize| packets[*slot] == [0xF8, 0xFF, 0xFE][..];
    let begins = ((3 * SECOND - LEAD) / SLOT) as usize;
    assert_eq!(resets, [begins - 1]);
    assert!((0..begins - 1).all(|slot| silent(&slot)));
    assert!((begins + 1..200).all(|slot| !silent(&slot)));
    assert!((225..400).all(|slot| silent(&slot)));
}

#[test]
fn when_a_slot_is_planned_changes_nothing() {
    let once = packets(8 * SECOND);
    for step in [960, 4_800, 7_777] {
        assert!(packets(step) == once, "in steps of {step}");
    }
}
