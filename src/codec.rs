//! Bytes in, bytes out: Opus, fragmented MP4, playlists, file names. Pure: no I/O, no clock.
