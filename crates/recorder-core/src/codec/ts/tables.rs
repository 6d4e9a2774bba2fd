//! PAT and PMT (ISO/IEC 13818-1 sections 2.4.4.3 and 2.4.4.8): one program, one track of AAC in ADTS, which carries the clock.

use super::{AUDIO_PID, HEADER, PACKET, PAT_PID, PMT_PID, header};

const STREAM_ID: [u8; 2] = [0, 1];
const PROGRAM: [u8; 2] = [0, 1];
const ADTS_AAC: u8 = 0x0F;

/// The two packets that a segment begins with.
pub(super) fn write(file: &mut Vec<u8>) {
    let [pmt_high, pmt_low] = PMT_PID.to_be_bytes();
    let [audio_high, audio_low] = AUDIO_PID.to_be_bytes();
    let programs = [PROGRAM[0], PROGRAM[1], 0xE0 | pmt_high, pmt_low];
    packet(PAT_PID, &section(0x00, STREAM_ID, &programs), file);
    let program = [0xE0 | audio_high, audio_low, 0xF0, 0, ADTS_AAC, 0xE0 | audio_high, audio_low, 0xF0, 0];
    packet(PMT_PID, &section(0x02, PROGRAM, &program), file);
}

/// A table of one section, its checksum included.
fn section(table: u8, id: [u8; 2], body: &[u8]) -> Vec<u8> {
    const AROUND: usize = 9;
    let length = (body.len() + AROUND) as u8;
    let mut section = vec![table, 0xB0, length, id[0], id[1], 0xC1, 0, 0];
    section.extend_from_slice(body);
    let sum = crc32(&section);
    section.extend_from_slice(&sum.to_be_bytes());
    section
}

fn packet(pid: u16, section: &[u8], file: &mut Vec<u8>) {
    let end = file.len() + PACKET;
    header(pid, true, 0x10, file);
    file.push(0);
    file.extend_from_slice(section);
    debug_assert!(file.len() < end && HEADER < PACKET);
    file.resize(end, 0xFF);
}

/// CRC-32 of MPEG-2: high bit first, begins with ones, not inverted.
fn crc32(bytes: &[u8]) -> u32 {
    let step = |sum: u32, byte: &u8| {
        (0..8).fold(sum ^ u32::from(*byte) << 24, |sum, _| sum << 1 ^ if sum >> 31 == 1 { 0x04C1_1DB7 } else { 0 })
    };
    bytes.iter().fold(u32::MAX, step)
}
