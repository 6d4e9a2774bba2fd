//! Which events: the vendor's numbers, and choices among them.

mod numbers;

use std::collections::BTreeSet;

pub use numbers::{ChannelEventType, EventType};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

/// Every recording event (productId 3) that the vendor has or had; what audio can't cause never comes
/// (docs/protocol/agora.md section 5.1).
pub const RECORDING_EVENTS: [u16; 31] = [
    1, 2, 3, 4, 11, 12, 13, 30, 31, 32, 33, 34, 40, 41, 42, 43, 44, 45, 46, 47, 60, 61, 70, 71, 72, 73, 80, 81, 90,
    100, 1001,
];

/// Every channel event (productId 1; docs/protocol/agora.md section 6).
pub const CHANNEL_EVENTS: [u16; 10] = [101, 102, 103, 104, 105, 106, 107, 108, 111, 112];

/// A choice among the events of a product. In text: `"all"`, `"none"`, a list of numbers, or the numbers with commas between.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EventTypes {
    /// Every event, also those that a later version adds.
    All,
    /// These.
    Only(BTreeSet<u16>),
}

impl EventTypes {
    /// No event at all.
    pub const fn none() -> Self {
        Self::Only(BTreeSet::new())
    }

    /// Whether an event is chosen.
    pub fn has(&self, event_type: u16) -> bool {
        match self {
            Self::All => true,
            Self::Only(chosen) => chosen.contains(&event_type),
        }
    }

    /// The first chosen number that is none of `known`.
    pub fn stranger(&self, known: &[u16]) -> Option<u16> {
        match self {
            Self::All => None,
            Self::Only(chosen) => chosen.iter().copied().find(|number| !known.contains(number)),
        }
    }
}

impl Serialize for EventTypes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::All => serializer.serialize_str("all"),
            Self::Only(chosen) if chosen.is_empty() => serializer.serialize_str("none"),
            Self::Only(chosen) => chosen.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for EventTypes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let wrong = || D::Error::custom("must be \"all\", \"none\" or a list of event numbers");
        match Spelling::deserialize(deserializer).map_err(|_| wrong())? {
            Spelling::Numbers(numbers) => Ok(Self::Only(numbers)),
            Spelling::Text(text) => match text.trim() {
                "all" => Ok(Self::All),
                "none" => Ok(Self::none()),
                list => list
                    .split(',')
                    .map(|number| number.trim().parse().map_err(|_| wrong()))
                    .collect::<Result<_, _>>()
                    .map(Self::Only),
            },
        }
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Spelling {
    Numbers(BTreeSet<u16>),
    Text(String),
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read(value: Value) -> Result<EventTypes, serde_json::Error> {
        serde_json::from_value(value)
    }

    #[test]
    fn a_choice_has_three_spellings() {
        let some = EventTypes::Only([1, 11, 31].into());
        assert_eq!(read(json!([31, 1, 11])).unwrap(), some);
        assert_eq!(read(json!("1, 11,31")).unwrap(), some, "as an environment variable has it");
        assert_eq!(read(json!("all")).unwrap(), EventTypes::All);
        assert_eq!(read(json!("none")).unwrap(), EventTypes::none());
        for wrong in [json!("some"), json!(""), json!(["x"]), json!(-1), json!([70_000])] {
            assert!(read(wrong.clone()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn strangers_are_found() {
        assert_eq!(EventTypes::Only([1, 101].into()).stranger(&RECORDING_EVENTS), Some(101));
        assert_eq!(EventTypes::Only([1, 1001].into()).stranger(&RECORDING_EVENTS), None);
        assert!(EventTypes::All.has(9999) && !EventTypes::none().has(1));
    }
}
