//! One session in one file: what the format leaves out because the file said it before, and what damage makes of that.
//!
//! Behind damage the session's time is unknown until its next clock record, and the SSRC of each track until it is said again. What
//! comes meanwhile waits, and all behind it too, so that the order stays.

use std::collections::{HashMap, VecDeque};

use super::checkpoint::{Gathering, Part};
use super::cursor::Cursor;
use super::held::{Held, Item, What};
use super::{Record, StoredObject, decode, kind};
use recorder_core::recording::{Input, TimedInput};
use recorder_core::units::{Sid, Ssrc, Ticks, TrackId};

/// What is known of a session at the end of a file, for the next one.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Carried {
    /// Time of its last record.
    pub(super) last: Option<Ticks>,
    /// Records that may be lost behind that one.
    pub(super) lost: Option<Lost>,
}

/// Records of a session that may be lost.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lost {
    /// Time of the last one before them.
    pub(super) from: Ticks,
    /// Whether a worker that begins anew explains it: a crash leaves a torn tail.
    pub(super) unless_restarted: bool,
}

#[derive(Debug)]
pub(super) struct Session {
    /// `None`: its introduction is damaged and no clock record came yet.
    sid: Option<Sid>,
    /// Its records are wanted from the one that ends here on; `None`: never.
    from: Option<u64>,
    at: Ticks,
    /// Whether `at` is its time, not only as far from it as those of the records around.
    timed: bool,
    /// Damaged stretches of the file that it knows of.
    damages: u64,
    /// Whether it had a record with a time in this file.
    counts: bool,
    /// What its last clock record behind one said.
    clocked: Option<Ticks>,
    /// Nothing more is waited for until the next damage.
    assuming: bool,
    /// The SSRC of each track, and `damages` when it was said.
    sources: HashMap<TrackId, (Ssrc, u64)>,
    checkpoint: Gathering,
    held: Held,
    carried: Carried,
}

impl Session {
    /// One that is introduced when the file has this many damaged stretches.
    pub(super) fn new(sid: Sid, from: Option<u64>, damages: u64, carried: Carried) -> Self {
        Self { sid: Some(sid), from, timed: true, damages, carried, ..Self::unknown() }
    }

    /// One whose introduction is damaged.
    pub(super) fn unknown() -> Self {
        Self {
            sid: None,
            from: None,
            at: Ticks::ZERO,
            timed: false,
            counts: false,
            clocked: None,
            damages: 0,
            assuming: false,
            sources: HashMap::new(),
            checkpoint: Gathering::default(),
            held: Held::default(),
            carried: Carried::default(),
        }
    }

    pub(super) fn sid(&self) -> Option<&Sid> {
        self.sid.as_ref()
    }

    pub(super) fn held(&self) -> &Held {
        &self.held
    }

    pub(super) fn carried(&self) -> Carried {
        self.carried
    }

    /// It is known by name now.
    pub(super) fn name(&mut self, sid: Sid, from: Option<u64>, carried: Carried) {
        (self.sid, self.from, self.carried) = (Some(sid), from, carried);
        if from.is_none() {
            self.held = Held::default();
        }
    }

    /// The file has this many damaged stretches; the last of them ends at `end`.
    pub(super) fn damaged(&mut self, damages: u64, end: u64) {
        if self.damages == damages || self.is_unwanted() {
            return;
        }
        (self.damages, self.timed, self.assuming) = (damages, false, false);
        self.held.assume_times();
        let mark = Item { what: What::Damage, end, unsaid: None };
        if self.sid.is_some() && self.held.is_empty() {
            self.mark(end);
        } else {
            self.held.push(mark, true);
        }
    }

    /// Its time is `at`.
    pub(super) fn clock(&mut self, at: Ticks, out: &mut VecDeque<Record>) {
        if !self.timed {
            self.held.shift(at.0.wrapping_sub(self.at.0));
        } else if let Some(clocked) = self.clocked.filter(|_| at != self.at) {
            // Whole frames are gone without a trace.
            self.lose(clocked);
        }
        (self.at, self.timed) = (at, true);
        self.clocked = Some(at).filter(|_| self.counts);
        self.settle(out);
        if self.held.is_empty() && at > Ticks::ZERO {
            self.carried.last = self.carried.last.max(Some(at));
        }
    }

    /// Another record of it, which ends at byte `end`. What is not wanted is not looked at closely.
    pub(super) fn take(
        &mut self,
        kind: u8,
        body: &mut Cursor<'_>,
        end: u64,
        out: &mut VecDeque<Record>,
    ) -> Result<(), &'static str> {
        if self.is_unwanted() {
            return Ok(());
        }
        if matches!(kind, kind::CHECKPOINT | kind::CHECKPOINT_COPY) {
            if let Some(state) = self.checkpoint.take(&Part::read(kind, body)?) {
                self.add(Item { what: What::Checkpoint(state), end, unsaid: None }, out);
            }
            return Ok(());
        }
        if kind == kind::STORED {
            let what = What::Stored(StoredObject::read(body)?);
            self.add(Item { what, end, unsaid: None }, out);
            return Ok(());
        }
        self.counts = true;
        let step = body.zigzag().ok_or("no time")?;
        let at = match self.timed {
            true => Ticks(self.at.0.checked_add_signed(step).ok_or("a time before the session's start")?),
            false => Ticks(self.at.0.wrapping_add_signed(step)),
        };
        if self.from.is_some_and(|from| end < from) {
            if decode::is_packet(kind) {
                self.source(kind, body)?;
            }
            self.at = at;
            self.carried.last = self.timed.then_some(at).or(self.carried.last);
            return Ok(());
        }
        let (what, unsaid) = match kind {
            kind::FINISHED => (What::Finished(at), None),
            _ if decode::is_packet(kind) => {
                let (track, ssrc, unsaid) = self.source(kind, body)?;
                let input = Input::Packet(decode::packet(kind, track, ssrc, body)?);
                (What::Input(TimedInput { at, input }), unsaid.then_some(track))
            }
            _ => (What::Input(TimedInput { at, input: decode::input(kind, at, self.timed, body)? }), None),
        };
        if !body.is_empty() {
            return Err("bytes left over in a record");
        }
        self.at = at;
        if let What::Input(TimedInput { input: Input::TrackRemoved { track }, .. }) = &what {
            self.held.report(*track, None);
        }
        self.add(Item { what, end, unsaid }, out);
        self.settle(out);
        Ok(())
    }

    /// Nothing more is waited for: what is known will do. A session that has no name yet is lost.
    pub(super) fn give_up(&mut self, out: &mut VecDeque<Record>) {
        if self.sid.is_none() {
            let end = self.held.begins().unwrap_or_default();
            self.held = Held::default();
            self.held.push(Item { what: What::Damage, end, unsaid: None }, true);
            return;
        }
        self.held.assume_times();
        self.held.assume_sources();
        (self.timed, self.assuming) = (true, true);
        self.at = if self.at.0 > i64::MAX as u64 { Ticks::ZERO } else { self.at };
        self.settle(out);
    }

    fn is_unwanted(&self) -> bool {
        self.sid.is_some() && self.from.is_none()
    }

    /// A packet's track and its SSRC, and whether that is not certain.
    fn source(&mut self, kind: u8, body: &mut Cursor<'_>) -> Result<(TrackId, Ssrc, bool), &'static str> {
        let (track, said) = decode::source(kind, body)?;
        let known = self.sources.get(&track).copied();
        if let Some(ssrc) = said {
            self.sources.insert(track, (ssrc, self.damages));
            let was = kind & kind::REPEATED != 0 || known.is_none();
            self.held.report(track, was.then_some(ssrc));
            return Ok((track, ssrc, false));
        }
        match known {
            Some((ssrc, damages)) => Ok((track, ssrc, damages != self.damages && !self.assuming)),
            None if self.damages == 0 => Err("a packet whose SSRC was never said"),
            // One that no sender is likely to have.
            None => Ok((track, Ssrc(0), !self.assuming)),
        }
    }

    fn add(&mut self, item: Item, out: &mut VecDeque<Record>) {
        if self.sid.is_some() && self.timed && self.held.is_empty() && item.unsaid.is_none() {
            self.give(item, out);
        } else {
            self.held.push(item, self.timed);
        }
    }

    /// Gives out what waits for nothing more.
    fn settle(&mut self, out: &mut VecDeque<Record>) {
        if self.sid.is_none() {
            return;
        }
        while let Some(item) = self.held.pop() {
            self.give(item, out);
        }
    }

    fn give(&mut self, Item { what, end, .. }: Item, out: &mut VecDeque<Record>) {
        let Some(sid) = self.sid.clone() else { return };
        let wanted = self.from.is_some_and(|from| end >= from);
        let record = match what {
            What::Damage => return self.mark(end),
            What::Input(input) => {
                self.pass(&sid, input.at, Some(&input.input).filter(|_| wanted), out);
                Record::Input { sid, input }
            }
            What::Finished(at) => {
                self.pass(&sid, at, None, out);
                Record::Finished { sid, at }
            }
            What::Stored(object) => Record::Stored { sid, object },
            What::Checkpoint(state) => Record::Checkpoint { sid, state },
        };
        out.extend(wanted.then_some(record));
    }

    /// Records may be lost from its last one on.
    fn mark(&mut self, end: u64) {
        let from = self.carried.last.unwrap_or_default();
        if self.from.is_some_and(|begun| end >= begun) {
            self.lose(from);
        }
    }

    fn lose(&mut self, from: Ticks) {
        let from = self.carried.lost.map_or(from, |lost| lost.from);
        self.carried.lost = Some(Lost { from, unless_restarted: false });
    }

    /// A record with a time is given out, after what is lost in front of it.
    fn pass(&mut self, sid: &Sid, at: Ticks, input: Option<&Input>, out: &mut VecDeque<Record>) {
        self.carried.last = Some(at);
        let Some(Lost { from, unless_restarted }) = self.carried.lost.take() else { return };
        if unless_restarted && matches!(input, None | Some(Input::WorkerRestarted)) {
            return;
        }
        let input = TimedInput { at, input: Input::InputsLost { from: from.min(at) } };
        out.push_back(Record::Input { sid: sid.clone(), input });
    }
}
