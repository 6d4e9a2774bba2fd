//! The lines of a recording's event log in the bucket, chained by hash.
//!
//! Each line is the event as [`log_line`](super::log_line) has it, with one more field at its end: `prev`, the SHA-256 of the whole line
//! before it, its line feed included (`sed -n 7p LOG | sha256sum` is what line 8 must name). The first line's is
//! [`FIRST`]. A changed, missing, added or swapped line breaks the chain; the last line is covered by the digest object
//! beside the log. Nothing in a line changes once it is written, so the same events always give the same bytes.

use sha2::{Digest, Sha256};

use super::body::log_line;
use crate::store::Event;

/// `prev` of the first line: 64 zeros.
pub const FIRST: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// Renders the lines one after the other.
#[derive(Clone, Debug)]
pub struct LogChain {
    prev: String,
}

impl Default for LogChain {
    fn default() -> Self {
        Self { prev: FIRST.to_owned() }
    }
}

impl LogChain {
    /// The next event's line, with its line feed.
    pub fn line(&mut self, event: &Event) -> String {
        let plain = log_line(event);
        let open = plain.strip_suffix("}\n").expect("a line is a JSON object and a line feed");
        let line = format!("{open},\"prev\":\"{}\"}}\n", self.prev);
        self.prev = link(line.as_bytes());
        line
    }
}

/// What the line after `line` must name as its `prev`: the SHA-256 of `line`, its line feed included, in lower-case hexadecimal.
pub fn link(line: &[u8]) -> String {
    format!("{:x}", Sha256::digest(line))
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::callback::event::RecordingEvent;
    use crate::callback::samples;
    use crate::units::{AppId, WallMs};

    fn events() -> Vec<Event> {
        let app = AppId::new(&"a".repeat(32)).unwrap();
        let listed = RecordingEvent::FileInfos { file_list: "p/é.m3u8".into() };
        let new =
            [RecordingEvent::RecorderStarted, RecordingEvent::UploaderStarted, listed].map(|event| event.encode());
        let line = |(number, new): (u64, &_)| Event {
            sequence: number,
            ..samples::line(&app, new, WallMs(1_700_000_000_000 + number), format!("{number:032x}"))
        };
        (0..).zip(&new).map(line).collect()
    }

    #[test]
    fn each_line_names_the_one_before_it_and_is_otherwise_the_event() {
        let (mut chain, mut before) = (LogChain::default(), FIRST.to_owned());
        for event in events() {
            let line = chain.line(&event);
            assert!(line.ends_with("\"}\n") && line.matches('\n').count() == 1);
            let mut value: Value = serde_json::from_str(&line).unwrap();
            assert_eq!(value.as_object_mut().unwrap().remove("prev").unwrap(), before);
            assert_eq!(value, serde_json::from_str::<Value>(&log_line(&event)).unwrap());
            before = link(line.as_bytes());
        }
    }

    #[test]
    fn a_prefix_of_the_events_is_a_prefix_of_the_bytes() {
        let text = |count: usize| {
            let mut chain = LogChain::default();
            events()[..count].iter().map(|event| chain.line(event)).collect::<String>()
        };
        assert!(text(3).starts_with(&text(2)) && text(2).starts_with(&text(1)));
    }
}
