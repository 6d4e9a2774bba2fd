//! Who spoke when, from the core's stream states, for the manifest. Pure.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::units::{Ticks, Uid};

/// Spans that are written down; later ones are only counted.
const MAX_SPANS: usize = 100_000;

/// A stretch in which a member's packets arrived.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Span {
    /// Who.
    pub uid: Uid,
    /// Milliseconds from the recording's start.
    pub from_ms: u64,
    /// Milliseconds from the recording's start; none when it lasted to the end.
    pub to_ms: Option<u64>,
}

/// The spans so far, in the order of their beginnings.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Speech {
    spans: Vec<Span>,
    open: BTreeMap<Uid, usize>,
    untold: u64,
}

impl Speech {
    /// Takes note of a stream state.
    pub(super) fn observe(&mut self, uid: &Uid, receiving: bool, at: Ticks) {
        if !receiving {
            if let Some(place) = self.open.remove(uid) {
                self.spans[place].to_ms = Some(at.as_ms());
            }
        } else if self.spans.len() < MAX_SPANS {
            self.open.insert(uid.clone(), self.spans.len());
            self.spans.push(Span { uid: uid.clone(), from_ms: at.as_ms(), to_ms: None });
        } else {
            self.untold += 1;
        }
    }

    /// The spans, and how many are not in the list.
    pub(super) fn spans(&self) -> (&[Span], u64) {
        (&self.spans, self.untold)
    }
}
