//! The frames of a file to the records of its sessions, whatever of the file is damaged. Pure; trusts nothing.
//!
//! A session whose introduction is damaged is introduced by its clock record. What a session has on both sides of a damaged stretch is
//! told apart by an [`Input::InputsLost`](recorder_core::recording::Input::InputsLost) in front of its first record behind.

use std::collections::{BTreeMap, HashMap, VecDeque};

use super::clock::ClockRecord;
use super::frames::Damage;
use super::held::{MAX_HELD_BYTES, MAX_HELD_RECORDS};
use super::session::{Carried, Lost, Session};
use super::{Record, decode, kind};
use recorder_core::recording::Spec;
use recorder_core::units::Sid;

/// Which records of a file are wanted.
#[derive(Debug, Default)]
pub(super) enum Wanted {
    /// All.
    #[default]
    All,
    /// Those of these sessions, from the one that ends at this byte of the file on.
    From(HashMap<Sid, u64>),
}

impl Wanted {
    fn from(&self, sid: &Sid) -> Option<u64> {
        match self {
            Self::All => Some(0),
            Self::From(sessions) => sessions.get(sid).copied(),
        }
    }
}

/// Decodes the frame bodies of one file, in order. What it remembers grows with what the file introduced: a session, a track, the parts
/// of a checkpoint, and up to [`MAX_HELD_RECORDS`] and [`MAX_HELD_BYTES`] of records that wait because of damage.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    sessions: BTreeMap<u64, Session>,
    wanted: Wanted,
    /// What earlier files said.
    carried: HashMap<Sid, Carried>,
    ready: VecDeque<Record>,
    /// Records and bytes that wait.
    held: (usize, usize),
    /// Damaged stretches so far, and where the last one ends.
    damages: u64,
    damage_end: u64,
}

impl Decoder {
    /// For the start of a file.
    pub(super) fn new(wanted: Wanted, carried: HashMap<Sid, Carried>) -> Self {
        Self { wanted, carried, ..Self::default() }
    }

    /// The next record that is wanted and waits for nothing more.
    pub(super) fn pop(&mut self) -> Option<Record> {
        self.ready.pop_front()
    }

    /// Here frames may be lost, of any session.
    pub(super) fn damage(&mut self, damage: Damage) {
        self.damages += 1;
        self.damage_end = damage.end();
    }

    /// The body of a frame that ends at byte `end` of the file. An error says what is wrong with it; it is damage then.
    pub(super) fn take(&mut self, body: &[u8], end: u64) -> Result<(), &'static str> {
        let (kind, index, mut body) = decode::open(body)?;
        match kind {
            kind::STARTED | kind::CONTINUED => self.introduce(index, kind, decode::spec(&mut body)?, end),
            kind::CLOCK => self.clock(index, ClockRecord::read(&mut body)?),
            _ => {
                if self.damages == 0 && !self.sessions.contains_key(&index) {
                    return Err("a session that was not introduced");
                }
                let (damages, damage_end) = (self.damages, self.damage_end);
                let ready = &mut self.ready;
                let session = self.sessions.entry(index).or_insert_with(Session::unknown);
                let before = session.held().weight();
                session.damaged(damages, damage_end);
                let taken = session.take(kind, &mut body, end, ready);
                let after = session.held().weight();
                self.weigh(before, after);
                taken?;
            }
        }
        if self.held.0 > MAX_HELD_RECORDS || self.held.1 > MAX_HELD_BYTES {
            self.give_up();
        }
        Ok(())
    }

    /// Nothing more comes: what waits is given out as it is, session after session.
    pub(super) fn give_up(&mut self) {
        let mut waiting: Vec<_> = self.sessions.values_mut().filter(|session| !session.held().is_empty()).collect();
        waiting.sort_by_key(|session| session.held().begins());
        let mut left = (0, 0);
        for session in waiting {
            session.give_up(&mut self.ready);
            let (records, bytes) = session.held().weight();
            left = (left.0 + records, left.1 + bytes);
        }
        self.held = left;
    }

    /// At the end of the file: what the next one has to know. `torn`: the file may have been longer.
    pub(super) fn carry(&mut self, torn: bool) -> HashMap<Sid, Carried> {
        let (damages, damage_end) = (self.damages, self.damage_end);
        let mut all = std::mem::take(&mut self.carried);
        let mut seen: HashMap<Sid, Carried> = HashMap::new();
        for session in self.sessions.values_mut() {
            session.damaged(damages, damage_end);
            seen.extend(session.sid().map(|sid| (sid.clone(), session.carried())));
        }
        if let Wanted::From(sessions) = &self.wanted {
            for sid in sessions.keys() {
                let here = seen.get(sid).copied();
                let carried = all.entry(sid.clone()).or_default();
                *carried = here.unwrap_or(*carried);
                if (damages > 0 && here.is_none()) || torn {
                    let from = carried.last.unwrap_or_default();
                    carried.lost.get_or_insert(Lost { from, unless_restarted: damages == 0 });
                }
            }
        }
        all
    }

    fn introduce(&mut self, index: u64, kind: u8, spec: Spec, end: u64) {
        let (sid, from) = (spec.sid.clone(), self.wanted.from(&spec.sid));
        let (record, carried) = match kind {
            kind::STARTED => (Record::Started { spec }, Carried::default()),
            _ => (Record::Continued { spec }, self.carried_of(&sid)),
        };
        self.replace(index, Session::new(sid, from, self.damages, carried));
        self.ready.extend(from.is_some_and(|from| end >= from).then_some(record));
    }

    /// Also introduces a session.
    fn clock(&mut self, index: u64, ClockRecord { sid, clock }: ClockRecord) {
        let (from, carried) = (self.wanted.from(&sid), self.carried_of(&sid));
        let known = self.sessions.get(&index).is_some_and(|session| session.sid().is_none_or(|known| *known == sid));
        if !known {
            // Whether something of it was lost is told by the first damage that it is shown.
            self.replace(index, Session::new(sid.clone(), from, 0, carried));
        }
        let Some(session) = self.sessions.get_mut(&index) else { return };
        let before = session.held().weight();
        session.damaged(self.damages, self.damage_end);
        if session.sid().is_none() {
            session.name(sid, from, carried);
        }
        session.clock(clock.ticks, &mut self.ready);
        let after = session.held().weight();
        self.weigh(before, after);
    }

    fn carried_of(&self, sid: &Sid) -> Carried {
        self.carried.get(sid).copied().unwrap_or_default()
    }

    /// The number stands for this session from here on.
    fn replace(&mut self, index: u64, session: Session) {
        if let Some(mut old) = self.sessions.insert(index, session) {
            let before = old.held().weight();
            old.give_up(&mut self.ready);
            self.weigh(before, (0, 0));
        }
    }

    fn weigh(&mut self, before: (usize, usize), after: (usize, usize)) {
        self.held = (self.held.0 + after.0 - before.0, self.held.1 + after.1 - before.1);
    }
}
