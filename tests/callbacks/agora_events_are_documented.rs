//! `docs/events.md` shows what is sent, byte for byte. To bring its examples up to date: `EVENTS_PAGE=write cargo test --test
//! callbacks documented`.

use std::path::Path;

use cloud_recorder::callback::{body, channel_body, samples};
use cloud_recorder::channel_server::ChannelEvent;
use cloud_recorder::store::{ChannelNotice, canonical};
use cloud_recorder::units::{AppId, CHANNEL_EVENTS, RECORDING_EVENTS, WallMs};

const AT: WallMs = WallMs(1_700_000_000_000);

/// Stands in front of each example.
fn mark(event_type: u16) -> String {
    format!("<!-- event {event_type} -->\n```json\n")
}

/// Each event's number and body.
fn bodies() -> Vec<(u16, String)> {
    let app = AppId::new(&"0123456789abcdef".repeat(2)).unwrap();
    let recording = samples::samples(AT).into_iter().map(|sample| {
        let line = samples::line(&app, &sample.encode(), AT, format!("{:032x}", sample.number()));
        (sample.number(), body(&line, AT))
    });
    let channel = ChannelEvent::samples(&app, AT).into_iter().map(|event| {
        let number = event.number();
        let notice = ChannelNotice {
            app: event.app.clone(),
            session: event.session.clone(),
            sequence: 0,
            notice_id: format!("1217926940:819614:{number}"),
            event_type: number,
            payload: canonical::render(&event.payload()),
            written: AT,
        };
        (number, channel_body(&notice, AT))
    });
    recording.chain(channel).collect()
}

#[test]
fn documented_examples_are_what_is_sent() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/events.md");
    let mut page = std::fs::read_to_string(&path).unwrap();
    if std::env::var_os("EVENTS_PAGE").is_some_and(|wish| wish == "write") {
        for (number, body) in bodies() {
            let mark = mark(number);
            let begin = page.find(&mark).unwrap_or_else(|| panic!("the page has no example of {number}")) + mark.len();
            let end = begin + page[begin..].find("```").unwrap();
            page.replace_range(begin..end, &format!("{body}\n"));
        }
        std::fs::write(&path, &page).unwrap();
    }
    for (number, body) in bodies() {
        let expected = format!("{}{body}\n```\n", mark(number));
        assert!(page.contains(&expected), "docs/events.md has no, or an old, example of event {number}: {body}");
    }
}

/// Each number has a row, and each row says whether it is sent.
#[test]
fn every_event_of_the_vendor_has_a_row() {
    let page = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/events.md")).unwrap();
    let rows: Vec<(u16, bool)> = page
        .lines()
        .filter_map(|line| {
            let cells: Vec<&str> = line.split('|').map(str::trim).collect();
            Some((cells.get(1)?.parse().ok()?, *cells.get(3)? == "sent"))
        })
        .collect();
    let numbers: Vec<u16> = rows.iter().map(|(number, _)| *number).collect();
    assert_eq!(numbers, RECORDING_EVENTS.into_iter().chain(CHANNEL_EVENTS).collect::<Vec<_>>());
    let examples: Vec<u16> = bodies().iter().map(|(number, _)| *number).collect();
    for (number, sent) in rows {
        assert_eq!(sent, examples.contains(&number), "the row of {number} is wrong");
    }
}
