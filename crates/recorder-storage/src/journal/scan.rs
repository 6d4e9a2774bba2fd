//! Which sessions a file holds, where each of them can be begun, and what its last clock record said, told without a look at anything
//! else in it.

use std::collections::HashMap;
use std::path::Path;

use super::checkpoint::{Part, Progress};
use super::clock::{Clock, ClockRecord};
use super::error::JournalError;
use super::frames::Frames;
use super::{StoredObject, decode, kind};
use recorder_core::recording::Spec;
use recorder_core::units::{BootTime, Sid};

/// What a file holds, as far as it can be read.
#[derive(Debug, Default)]
pub(super) struct Scan {
    /// The sessions that are known by name.
    pub(super) sessions: HashMap<Sid, Found>,
    /// Whether a part of it can't be read.
    pub(super) damaged: bool,
    /// Why nothing more of it can be.
    pub(super) error: Option<JournalError>,
}

/// A session in a file.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// `None`: its introduction is damaged.
    pub(super) spec: Option<Spec>,
    /// Where the last record ends with which a reader may begin: its start or a whole checkpoint. `None`: in an earlier file.
    pub(super) begun: Option<u64>,
    /// The last clock record that knew the machine's time.
    pub(super) clock: Option<Clock>,
    /// The one that tells best where the session's time lies on the machine's.
    pub(super) anchor: Option<Clock>,
    /// What the bucket confirmed since `begun`, in order.
    pub(super) stored: Vec<StoredObject>,
}

/// A session by its number.
#[derive(Debug, Default)]
struct Numbered {
    sid: Option<Sid>,
    found: Found,
    checkpoint: Progress,
}

/// Reads the file through. Blocking I/O.
pub(super) fn scan(path: &Path) -> Scan {
    let (mut scan, mut numbers) = (Scan::default(), HashMap::new());
    scan.error = scan.read(path, &mut numbers).err();
    numbers.into_values().for_each(|numbered| scan.add(numbered));
    scan
}

impl Scan {
    fn read(&mut self, path: &Path, numbers: &mut HashMap<u64, Numbered>) -> Result<(), JournalError> {
        let mut frames = Frames::open(path)?;
        while let Some(frame) = frames.next()? {
            self.damaged |= frame.damage.is_some();
            self.damaged |= self.take(frame.body, frame.end, numbers).is_err();
        }
        Ok(())
    }

    fn take(&mut self, body: &[u8], end: u64, numbers: &mut HashMap<u64, Numbered>) -> Result<(), &'static str> {
        let (kind, index, mut body) = decode::open(body)?;
        match kind {
            kind::STARTED | kind::CONTINUED => {
                let begun = (kind == kind::STARTED).then_some(end);
                let spec = decode::spec(&mut body)?;
                let sid = Some(spec.sid.clone());
                let found = Found { spec: Some(spec), begun, ..Found::default() };
                let old = numbers.insert(index, Numbered { sid, found, checkpoint: Progress::default() });
                old.into_iter().for_each(|old| self.add(old));
            }
            kind::CLOCK => {
                let ClockRecord { sid, clock } = ClockRecord::read(&mut body)?;
                let numbered = numbers.entry(index).or_default();
                if numbered.sid.as_ref().is_some_and(|known| *known != sid) {
                    self.add(std::mem::take(numbered));
                }
                numbered.sid = Some(sid);
                if clock.time.boot != BootTime::UNKNOWN.boot {
                    numbered.found.clock = Some(clock);
                    numbered.found.anchor = Some(numbered.found.anchor.map_or(clock, |known| known.or_better(clock)));
                }
            }
            kind::CHECKPOINT | kind::CHECKPOINT_COPY => {
                let part = Part::read(kind, &mut body)?;
                let numbered = numbers.entry(index).or_default();
                if numbered.checkpoint.take(&part) {
                    numbered.found.begun = Some(end);
                    numbered.found.stored.clear();
                }
            }
            kind::STORED => {
                numbers.entry(index).or_default().found.stored.push(StoredObject::read(&mut body)?);
            }
            _ => (),
        }
        Ok(())
    }

    fn add(&mut self, Numbered { sid, found, .. }: Numbered) {
        let Some(sid) = sid else { return };
        let Found { spec, begun, clock, anchor, stored } = found;
        let all = self.sessions.entry(sid).or_default();
        all.spec = spec.or_else(|| all.spec.take());
        all.begun = all.begun.max(begun);
        all.clock = clock.or(all.clock);
        all.anchor = better(all.anchor, anchor);
        all.stored.extend(stored);
    }
}

/// The better one of two anchors, the later one second.
pub(super) fn better(earlier: Option<Clock>, later: Option<Clock>) -> Option<Clock> {
    match (earlier, later) {
        (Some(earlier), Some(later)) => Some(earlier.or_better(later)),
        (earlier, later) => later.or(earlier),
    }
}
