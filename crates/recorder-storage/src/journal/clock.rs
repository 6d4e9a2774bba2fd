//! Clock records: what a reader has to know again after damage, and where a session's time lies on the machine's (layout in [`super`]).

use super::cursor::{Cursor, put_varint};
use recorder_core::units::{BootTime, Sid, TICKS_PER_MS, TICKS_PER_SECOND, Ticks};

/// Longest time of a session between two clock records, in ticks, while it has records: 1 s.
pub(super) const CLOCK_TICKS: u64 = TICKS_PER_SECOND;

/// A tick of a session, and when that was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clock {
    /// The session's time.
    pub ticks: Ticks,
    /// The machine's at that time, as the record says it that was appended with the least delay.
    pub time: BootTime,
}

/// Two notes that differ by less, in ticks, tell the same: boot time is read in whole milliseconds.
const SAME: i128 = TICKS_PER_MS as i128;

impl Clock {
    /// Of two notes, `self` the earlier one, the one that tells better where the session's time lies on the machine's. A record is appended
    /// some time after what it tells of, longer on a busy machine, so within one run of the machine that is the one with the least delay.
    pub(super) fn or_better(self, later: Self) -> Self {
        let offset = |clock: &Self| i128::from(clock.time.ms) * i128::from(TICKS_PER_MS) - i128::from(clock.ticks.0);
        let same = self.time.boot == later.time.boot;
        if same && offset(&self) < offset(&later) + SAME { self } else { later }
    }

    /// When the session's time is `at`, on the machine's clock.
    pub(super) fn time_of(self, at: Ticks) -> BootTime {
        let ms = |ticks: u64| (ticks + TICKS_PER_MS / 2) / TICKS_PER_MS;
        let (ahead, behind) = (at.0.saturating_sub(self.ticks.0), self.ticks.0.saturating_sub(at.0));
        BootTime { ms: (self.time.ms + ms(ahead)).saturating_sub(ms(behind)), ..self.time }
    }
}

/// What a clock record says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ClockRecord {
    /// Whose number it is.
    pub(super) sid: Sid,
    /// The time that the session's next difference counts from.
    pub(super) clock: Clock,
}

impl ClockRecord {
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        put_varint(out, self.clock.ticks.0);
        let digits = self.sid.as_str().as_bytes().chunks_exact(2);
        out.extend(digits.map(|pair| digit(pair[0]) << 4 | digit(pair[1])));
        out.extend_from_slice(&self.clock.time.boot);
        put_varint(out, self.clock.time.ms);
    }

    pub(super) fn read(body: &mut Cursor<'_>) -> Result<Self, &'static str> {
        let short = "a short clock record";
        let ticks = Ticks(body.varint().ok_or(short)?);
        let mut sixteen = || body.bytes(16)?.first_chunk::<16>().copied();
        let (sid, boot) = (sixteen().ok_or(short)?, sixteen().ok_or(short)?);
        let ms = body.varint().ok_or(short)?;
        if !body.is_empty() {
            return Err("bytes left over in a record");
        }
        Ok(Self { sid: Sid::from_random(sid), clock: Clock { ticks, time: BootTime { boot, ms } } })
    }
}

/// The value of a hexadecimal digit, which a [`Sid`] consists of.
const fn digit(letter: u8) -> u8 {
    match letter {
        b'0'..=b'9' => letter - b'0',
        _ => (letter & 0x0f) + 9,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_late_tells_less() {
        let clock = |second: u64, boot: u8, ms: u64| Clock {
            ticks: Ticks::from_secs(second),
            time: BootTime { boot: [boot; 16], ms },
        };
        let (first, late, soon) = (clock(1, 7, 501_010), clock(2, 7, 502_300), clock(3, 7, 503_002));
        assert_eq!(first.or_better(late), first);
        assert_eq!(first.or_better(late).or_better(soon), soon);
        assert_eq!(soon.or_better(clock(4, 8, 20_000)), clock(4, 8, 20_000), "the machine was started anew");
        assert_eq!(first.or_better(clock(9, 7, 509_009)), clock(9, 7, 509_009));
        assert_eq!(first.or_better(clock(9, 7, 509_010)), first, "no better");
    }

    #[test]
    fn the_time_of_a_record_follows_from_another_one() {
        let clock = Clock { ticks: Ticks(48_000), time: BootTime { boot: [7; 16], ms: 500_000 } };
        let ms = |at: u64| clock.time_of(Ticks(at)).ms;
        assert_eq!(
            [ms(0), ms(48_000), ms(48_023), ms(48_024), ms(96_000)],
            [499_000, 500_000, 500_000, 500_001, 501_000]
        );
    }

    #[test]
    fn a_clock_survives_the_round_trip() {
        let sid = Sid::new("0123456789abcdef00ff10e7a55a9f42").unwrap();
        let record =
            ClockRecord { sid, clock: Clock { ticks: Ticks(96_001), time: BootTime { boot: [7; 16], ms: 1 << 40 } } };
        let mut body = Vec::new();
        record.write(&mut body);
        assert_eq!(ClockRecord::read(&mut Cursor::new(&body)), Ok(record));
        for cut in 0..body.len() {
            assert!(ClockRecord::read(&mut Cursor::new(&body[..cut])).is_err(), "cut at {cut}");
        }
    }
}
