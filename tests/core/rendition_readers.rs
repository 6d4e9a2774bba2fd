//! MP4 and Ogg files made of segments: shiguredo_mp4 finds every packet, bit for bit, and ffmpeg plays them without a word, to the
//! sample. After two hours a new one begins.

use std::path::Path;
use std::process::Command;

use bytes::Bytes;
use cloud_recorder::codec::fmp4::{PASS_THROUGH_CHANNELS, Sample, media_segment, read_segment};
use cloud_recorder::codec::opus::{LOOKAHEAD, silence};
use cloud_recorder::codec::whole::Roll;
use cloud_recorder::codec::{mp4, ogg};
use cloud_recorder::units::Ticks;
use shiguredo_mp4::demux::{Input, Mp4FileDemuxer};
use tempfile::TempDir;

use crate::audio_probe::{self, level_db, tone_db};
use crate::hls::{Hls, sine};

fn mp4_of(segments: &[(Ticks, Bytes, Vec<Sample>)], channels: u8) -> Bytes {
    let (mut table, mut media) = (mp4::Table::default(), Vec::new());
    for (_, file, _) in segments {
        let segment = read_segment(file).unwrap();
        table.add(&segment).unwrap();
        media.extend_from_slice(&file[segment.media()]);
    }
    [&table.head(channels)[..], &media].concat().into()
}

fn ogg_of(segments: &[(Ticks, Bytes, Vec<Sample>)], channels: u8) -> Bytes {
    let (mut writer, mut file) = (ogg::Writer::new(channels, 1), Vec::new());
    for (_, _, samples) in segments {
        samples.iter().for_each(|sample| writer.push(&sample.bytes, sample.duration));
        file.extend(writer.take());
    }
    file.extend(writer.finish());
    file.into()
}

/// Every packet is where shiguredo_mp4 finds it, with its time.
fn demultiplexes(file: &Bytes, segments: &[(Ticks, Bytes, Vec<Sample>)]) {
    let mut demuxer = Mp4FileDemuxer::new();
    demuxer.handle_input(Input { position: 0, data: file });
    let length: u64 = segments.iter().flat_map(|(_, _, samples)| samples).map(|sample| sample.duration.0).sum();
    let tracks = demuxer.tracks().unwrap();
    assert_eq!((tracks.len(), tracks[0].duration, tracks[0].timescale.get()), (1, length, 48_000));
    let mut at = 0;
    for sample in segments.iter().flat_map(|(_, _, samples)| samples) {
        let found = demuxer.next_sample().unwrap().expect("no packet is left out");
        let from = found.data_offset as usize;
        assert_eq!(file[from..from + found.data_size], sample.bytes);
        assert_eq!((found.timestamp, u64::from(found.duration)), (at, sample.duration.0));
        at += sample.duration.0;
    }
    assert!(demuxer.next_sample().unwrap().is_none());
}

/// The kinds of the boxes at the top of a file.
fn boxes(file: &[u8]) -> Vec<String> {
    let (mut kinds, mut at) = (Vec::new(), 0);
    while at < file.len() {
        kinds.push(String::from_utf8(file[at + 4..at + 8].to_vec()).unwrap());
        at += u32::from_be_bytes(file[at..at + 4].try_into().unwrap()) as usize;
    }
    assert_eq!(at, file.len());
    kinds
}

fn probe(path: &Path, entry: &str) -> String {
    let arguments = ["-v", "warning", "-show_entries", entry, "-of", "default=nw=1:nk=1"];
    let output = Command::new("ffprobe").args(arguments).arg(path).output().expect("ffprobe is installed");
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// Mono, stereo, fillers and a pause, as a pass-through track has them.
fn mixed() -> Hls {
    let mut packets = sine(600.0, 4, 1);
    packets.extend(silence(Ticks::from_ms(5_000) + Ticks(1_320), true));
    packets.extend(sine(900.0, 4, 2));
    Hls::new(PASS_THROUGH_CHANNELS, &packets)
}

#[test]
fn both_kinds_play_as_the_playlist_does() {
    let (hls, folder) = (mixed(), TempDir::new().unwrap());
    let (mp4, ogg) = (mp4_of(&hls.segments, 2), ogg_of(&hls.segments, 2));
    assert_eq!(boxes(&mp4), ["ftyp", "moov", "mdat"], "a player can begin before it has the whole file");
    demultiplexes(&mp4, &hls.segments);
    let played = audio_probe::decode(&hls.playlist(), 2);
    for (name, file) in [("a.mp4", &mp4), ("a.ogg", &ogg)] {
        let path = folder.path().join(name);
        std::fs::write(&path, file).unwrap();
        let sound = audio_probe::decode(&path, 2);
        assert_eq!(sound.len(), played.len(), "{name}");
        assert!(sound.channels == played.channels, "{name}: the same sound, sample by sample");
        assert!((tone_db(sound.part(0, 1.0, 3.0), 600.0) + 9.0).abs() < 0.5);
        assert!(level_db(sound.part(0, 4.1, 8.9)) < -80.0);
        let seconds: f64 = probe(&path, "format=duration").parse().unwrap();
        assert!((seconds - played.len() as f64 / 48_000.0).abs() < 0.02, "{name} says {seconds} s");
        assert_eq!(probe(&path, "stream=codec_name,channels,sample_rate"), "opus\n48000\n2");
    }
}

#[test]
fn packets_read_back_as_the_segments_have_them() {
    let hls = mixed();
    let packets: Vec<Sample> = hls.segments.iter().flat_map(|(_, _, samples)| samples.clone()).collect();
    let (mp4, ogg) = (mp4::read(&mp4_of(&hls.segments, 2)).unwrap(), ogg::read(&ogg_of(&hls.segments, 1)).unwrap());
    assert_eq!((mp4.init.pre_skip, ogg.init.pre_skip), (LOOKAHEAD, LOOKAHEAD));
    assert_eq!((mp4.init.channels, ogg.init.channels), (2, 1));
    assert!(mp4.samples == packets && ogg.samples == packets);
}

#[test]
fn five_hours_are_three_files_that_follow_each_other() {
    let packet = Sample { bytes: Bytes::from_static(&[0xF8, 0xFF, 0xFE]), duration: Ticks(960) };
    let (folder, mut at) = (TempDir::new().unwrap(), Ticks::ZERO);
    let segments: Vec<_> = (1..=3_000_u32)
        .map(|number| {
            let (start, samples) = (at, vec![packet.clone(); 300]);
            at += Ticks::from_secs(6);
            (start, media_segment(number, start, &samples), samples)
        })
        .collect();
    let (mut rest, mut lengths) = (&segments[..], Vec::new());
    while !rest.is_empty() {
        let sizes = rest.iter().map(|(_, file, _)| (Ticks::from_secs(6), file.len() as u64));
        let (part, after) = rest.split_at(Roll::default().fill(sizes).unwrap_or(rest.len()));
        let start = lengths.iter().sum::<u64>();
        assert_eq!(part[0].0, Ticks::from_secs(start), "a file begins where the one before ended");
        let (mp4, ogg) = (mp4_of(part, 1), ogg_of(part, 1));
        demultiplexes(&mp4, part);
        let seconds: Vec<f64> = [("a.mp4", mp4), ("a.ogg", ogg)]
            .map(|(name, file)| {
                let path = folder.path().join(name);
                std::fs::write(&path, file).unwrap();
                probe(&path, "format=duration").parse().unwrap()
            })
            .into();
        let length = 6 * part.len() as u64;
        assert!(seconds.iter().all(|seconds| (seconds - length as f64).abs() < 0.02), "{seconds:?} of {length}");
        lengths.push(length);
        rest = after;
    }
    assert_eq!(lengths, [7_200, 7_200, 3_600]);
}
