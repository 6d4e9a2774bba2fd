use std::cell::RefCell;

use cloud_recorder::callback::{body, log_line};
use cloud_recorder::recording::Mode;
use cloud_recorder::store::{Event, canonical};
use cloud_recorder::units::{Cname, Sid, Uid, WallMs};
use proptest::prelude::*;
use serde_json::{Map, Value};

use crate::node::Node;
use crate::world::{SECRET, app};

/// Text with everything that makes JSON writers differ: quotes, slashes, control characters, separators of lines, planes
/// beyond the first, and digits that look like an index.
fn text() -> impl Strategy<Value = String> {
    let odd = prop::sample::select(vec![
        "\"",
        "\\",
        "/",
        "\0",
        "\u{1}",
        "\u{8}",
        "\t",
        "\n",
        "\u{b}",
        "\u{c}",
        "\r",
        "\u{1f}",
        "\u{7f}",
        "\u{80}",
        "\u{2028}",
        "\u{2029}",
        "\u{feff}",
        "\u{ffff}",
        "🎙",
        "é",
        "e\u{301}",
        "<",
        "&",
        "0",
        "42",
        "__proto__",
    ]);
    prop::collection::vec(prop_oneof![odd.prop_map(str::to_owned), any::<char>().prop_map(String::from)], 0..12)
        .prop_map(|parts| parts.concat())
}

fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        (0_u64..20_000_000_000_000).prop_map(Value::from),
        text().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec((text(), inner), 0..6)
                .prop_map(|members| Value::from(members.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

fn cname() -> impl Strategy<Value = Cname> {
    "[a-zA-Z0-9 !#$%&()+:;<=.>?@^_{}|~,\\[\\]-]{1,64}".prop_map(|text| Cname::new(&text).unwrap())
}

fn uid() -> impl Strategy<Value = Uid> {
    text().prop_filter_map("not an identity", |text| Uid::new(&text).ok())
}

#[test]
fn javascript_reprints_every_body_byte_for_byte() {
    let node = RefCell::new(Node::start(SECRET));
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::default() };
    proptest!(config, |(cname in cname(), uid in uid(), details in json(), sendts in 0_u64..20_000_000_000_000)| {
        let event = Event {
            app: app('a'),
            cname,
            uid,
            mode: Mode::Mix,
            sid: Sid::from_random([7; 16]),
            sequence: 0,
            notice_id: "0".repeat(32),
            event_type: 1,
            service_type: 0,
            details: canonical::render(&details),
            sendts: WallMs(sendts),
        };
        let mut node = node.borrow_mut();
        let sent = body(&event, WallMs(sendts + 1));
        prop_assert_eq!(&node.read(&sent).again, &sent);
        let line = log_line(&event);
        prop_assert_eq!(&node.read(line.strip_suffix('\n').unwrap()).again, line.trim_end_matches('\n'));
        let read: Value = serde_json::from_str(&sent).unwrap();
        prop_assert_eq!(read["payload"]["uid"].as_str(), Some(event.uid.as_str()));
        prop_assert_eq!(read["payload"]["cname"].as_str(), Some(event.cname.as_str()));
    });
}
