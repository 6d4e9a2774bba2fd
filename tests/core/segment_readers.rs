//! shiguredo_mp4 demultiplexes every segment, ffmpeg plays the playlist without a word, to the sample.

use cloud_recorder::codec::fmp4::{PASS_THROUGH_CHANNELS, init_segment};
use cloud_recorder::codec::opus::{LOOKAHEAD, concealment, silence};
use cloud_recorder::units::Ticks;
use shiguredo_mp4::demux::Fmp4SegmentDemuxer;

use crate::audio_probe::{self, RATE, level_db, tone_db};
use crate::hls::{Hls, sine};

/// Every packet is where shiguredo_mp4 finds it, with our times.
fn demultiplexes(hls: &Hls, channels: u8) {
    let mut demuxer = Fmp4SegmentDemuxer::new();
    demuxer.handle_init_segment(&init_segment(channels)).unwrap();
    for (start, file, samples) in &hls.segments {
        let found = demuxer.handle_media_segment(file).unwrap();
        assert_eq!(found.len(), samples.len());
        let mut at = *start;
        for (found, sample) in found.iter().zip(samples) {
            let from = found.data_offset as usize;
            assert_eq!(file[from..from + found.data_size], sample.bytes);
            assert_eq!((found.timestamp, u64::from(found.duration)), (at.0, sample.duration.0));
            assert!(found.keyframe);
            at += sample.duration;
        }
    }
}

#[test]
fn ffmpeg_decodes_a_tone_gapless_and_to_the_sample() {
    let hls = Hls::new(1, &sine(1000.0, 20, 1));
    demultiplexes(&hls, 1);
    let sound = audio_probe::decode(&hls.playlist(), 1);
    assert_eq!(sound.len() as u64, hls.packets as u64 * 960 - LOOKAHEAD.0);
    let omega = std::f64::consts::TAU * 1000.0 / RATE as f64;
    for border in [6.0, 12.0, 18.0] {
        let near = sound.part(0, border - 0.02, border + 0.02);
        // A sine is predicted by its two samples before; a click is not.
        let residual =
            near.windows(3).map(|w| (f64::from(w[2]) - 2.0 * omega.cos() * f64::from(w[1]) + f64::from(w[0])).abs());
        assert!(residual.fold(0.0, f64::max) < 0.01, "a click at {border} s");
    }
}

#[test]
fn mono_stereo_and_filler_live_in_one_track_at_the_right_times() {
    let mut packets = sine(600.0, 4, 1);
    packets.extend(silence(Ticks::from_ms(5000), true));
    packets.extend(sine(900.0, 4, 2));
    let last = packets.last().unwrap().bytes.clone();
    packets.extend((0..5).map(|_| concealment(&last).unwrap()));
    packets.extend(silence(Ticks::from_ms(900), true));
    let hls = Hls::new(PASS_THROUGH_CHANNELS, &packets);
    demultiplexes(&hls, PASS_THROUGH_CHANNELS);

    let sound = audio_probe::decode(&hls.playlist(), 2);
    assert_eq!(sound.len() as u64, 14 * RATE as u64 - LOOKAHEAD.0);
    assert!((tone_db(sound.part(1, 1.0, 3.0), 600.0) + 9.0).abs() < 0.5, "mono sounds on both sides");
    assert!(level_db(sound.part(0, 4.1, 8.9)) < -80.0, "the hole is silent");
    assert!((tone_db(sound.part(0, 10.0, 12.0), 900.0) + 9.0).abs() < 0.5);
    assert!((tone_db(sound.part(1, 10.0, 12.0), 900.0) + 15.0).abs() < 0.5, "the right side is fainter");
    assert!(level_db(sound.part(0, 13.2, 14.0)) < -80.0);
}

#[test]
fn packets_of_any_length_keep_their_times() {
    let mut packets = Vec::new();
    for round in 0..40 {
        packets.extend(silence(Ticks::from_ms(20 * round) + Ticks(120 * (round % 8)), false));
        packets.extend(sine(440.0, 1, 1).into_iter().skip(10).take(5));
    }
    let hls = Hls::new(PASS_THROUGH_CHANNELS, &packets);
    demultiplexes(&hls, PASS_THROUGH_CHANNELS);
    let length: u64 = packets.iter().map(|packet| packet.duration.0).sum();
    assert_eq!(audio_probe::decode(&hls.playlist(), 2).len() as u64, length - LOOKAHEAD.0);
}
