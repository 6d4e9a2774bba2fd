//! The recording core: inputs go in, segments, events and the ledger come out. Pure: no I/O, no clock, no tokio.
//!
//! Invariants:
//! * Position in any playlist is wall time since the session's start, to one frame (invariant 3).
//! * The same inputs give the same bytes (invariant 6): what comes out depends on the inputs and their arrival times alone,
//!   never on when [`Recorder::advance`] was called.
//! * Media times are [`crate::units::Ticks`]; arrival times too, measured from the session's start.
//!
//! A packet's way: [`Recorder`] -> the `member` that its track belongs to (a uid, or a further `source` of one) -> `timeline` (a
//! `stream` a voice puts packets in order, `rtp_clock` judges where each belongs, `pace` follows slow clocks, `timeline_writer` writes it all as
//! pieces without a hole and books every tick) -> `individual` and `mixer` -> `segmenter`. `presence` knows why there is no sound,
//! `attendance` when the channel is empty; `receiving` whether there is any. `unknown_tracks` counts the packets whose track nobody announced;
//! `stretches` are what the outside says of segments: lost, or kept as the bucket held them.

mod attendance;
mod audit;
mod baseline;
mod grid;
mod health;
mod individual;
mod input;
mod ledger;
mod ledger_builder;
mod limiter;
mod member;
mod meter;
mod mix_buffer;
mod mix_source;
mod mixer;
mod open_gap;
mod output;
mod pace;
mod peaks;
mod presence;
mod receiving;
mod recorder;
mod recut;
mod rtp_clock;
mod rtp_source;
mod segmenter;
mod snapshot;
mod source;
mod spec;
mod stream;
mod stretches;
mod timeline;
mod timeline_writer;
mod unknown_tracks;
mod unwrap;

pub use grid::LOOKAHEAD;
pub use health::Health;
pub use input::{Coding, Input, Packet, Source, StallCause, TimedInput, TrackKind};
pub use ledger::{Cause, Gap, Ledger, PacketCounts, TrackLedger, Unattributed, Verdict};
pub use output::{Output, PlaylistId, Segment};
pub use peaks::{PeakSource, Peaks, UidWaveform, Waveform};
pub use recorder::{MAX_LENGTH, MAX_UIDS, Recorder};
pub use recut::{Pauses, Recut, sounding, without};
pub use snapshot::SnapshotError;
pub use source::{InvalidSource, MAX_SOURCES, SourceId};
pub use spec::{AudioProfile, Mode, SegmentLength, Selection, Spec};
