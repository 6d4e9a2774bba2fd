//! The audio level a sender puts into its packets (RFC 6464).

use rtc::rtp::Packet;

use super::AUDIO_LEVEL_URI;

/// The id under which a description negotiates the audio level, from its first `a=extmap` line for it. Within a BUNDLE group
/// an id means one extension (RFC 8843 section 9), so one line speaks for all.
pub fn audio_level_id(sdp: &str) -> Option<u8> {
    sdp.lines().find_map(|line| {
        let (id, uri) = line.trim_end().strip_prefix("a=extmap:")?.split_once(' ')?;
        let id = id.split('/').next()?;
        (uri.split(' ').next() == Some(AUDIO_LEVEL_URI)).then(|| id.parse().ok())?
    })
}

/// The level in a packet, 0 (loudest) to 127, in -dBov; `id` comes from [`audio_level_id`].
pub fn audio_level(packet: &Packet, id: u8) -> Option<u8> {
    packet.header.get_extension(id)?.first().map(|byte| byte & 0x7f)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[test]
    fn the_id_is_read_with_direction_and_attributes() {
        let line = |id: &str, rest: &str| {
            format!("v=0\r\na=extmap:{id} urn:x\r\na=extmap:7{rest} {AUDIO_LEVEL_URI} vad=on\r\n")
        };
        assert_eq!(audio_level_id(&line("3", "")), Some(7));
        assert_eq!(audio_level_id(&line("3", "/sendonly")), Some(7));
        assert_eq!(audio_level_id("a=extmap:1 urn:y\r\n"), None);
        assert_eq!(audio_level_id("a=extmap:"), None);
    }

    #[test]
    fn the_voice_flag_is_no_part_of_the_level() {
        let mut packet = Packet::default();
        packet.header.set_extension(7, Bytes::from_static(&[0x80 | 42])).unwrap();
        assert_eq!(audio_level(&packet, 7), Some(42));
        assert_eq!(audio_level(&packet, 8), None);
    }
}
