//! The document says what the code does.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use serde_json::{Value, json};
use test_support::judge::Judge;

use super::DOCUMENT;
use crate::api::path::{self, Action, Target};
use crate::api::wire::{acquire, start, task};
use crate::session::ResourceId;
use crate::units::AppId;

static JUDGE: LazyLock<Judge> = LazyLock::new(|| Judge::new(&DOCUMENT));

/// The example of a parameter of paths.
fn example(parameter: &str) -> &'static str {
    DOCUMENT["components"]["parameters"][parameter]["example"].as_str().unwrap()
}

/// What a program calls it. A new target has to get a name here and an operation of this name in the document.
fn operation_of(target: Target<'_>) -> &'static str {
    match target {
        Target::Acquire => "acquire",
        Target::Start { .. } => "start",
        Target::Task { action, .. } => match action {
            Action::Query => "query",
            Action::Update => "update",
            Action::UpdateLayout => "updateLayout",
            Action::Stop => "stop",
        },
        Target::Recordings => "recordings",
        Target::Recording { .. } => "recording",
        Target::Events { .. } => "events",
        Target::Callbacks => "callbacks",
        Target::Redeliver => "redeliver",
        Target::TestCallback => "testCallback",
    }
}

/// Takes a request's body as the API does, or says why not.
fn take(shape: &str, body: &Value) -> Result<(), String> {
    let app = AppId::new(example("appid")).unwrap();
    let resource = || ResourceId::parse(example("resourceid")).unwrap();
    match shape {
        "AcquireRequest" => acquire::parse(app, body).map(drop),
        // Some fields are looked at in one mode only.
        "StartRequest" => {
            let individual = start::parse(app.clone(), resource(), "individual", body);
            start::parse(app, resource(), "mix", body).and(individual).map(drop)
        }
        "UpdateRequest" => task::update(body).map(drop),
        "LayoutRequest" => task::update_layout(body).map(drop),
        "StopRequest" => task::stop(body).map(drop),
        _ => return Ok(()),
    }
    .map_err(|error| error.to_string())
}

fn operations() -> impl Iterator<Item = (&'static str, &'static str, &'static Value)> {
    let paths = DOCUMENT["paths"].as_object().unwrap();
    let of_path = |(path, item): (&'static String, &'static Value)| {
        let methods = item.as_object().unwrap().iter();
        methods.map(move |(method, operation)| (path.as_str(), method.as_str(), operation))
    };
    paths.iter().flat_map(of_path)
}

/// The path with the examples of its parameters.
fn filled(path: &str) -> String {
    let parameters = DOCUMENT["components"]["parameters"].as_object().unwrap();
    parameters.iter().fold(path.to_owned(), |path, (name, parameter)| {
        path.replace(&format!("{{{name}}}"), parameter["example"].as_str().unwrap())
    })
}

/// Each `{"schema", "examples"}` of an operation, with its place in words.
fn contents(operation: &'static Value) -> Vec<(String, &'static Value)> {
    let id = operation["operationId"].as_str().unwrap();
    let of = |place: String, holder: &'static Value| (place, &JUDGE.resolved(holder)["content"]["application/json"]);
    let request = operation.get("requestBody").map(|body| of(format!("the request of {id}"), body));
    let responses = operation["responses"].as_object().unwrap().iter();
    let responses = responses.map(|(status, response)| of(format!("the {status} of {id}"), response));
    request.into_iter().chain(responses).filter(|(_, content)| !content.is_null()).collect()
}

#[test]
fn every_path_is_a_route_and_every_route_has_its_operation() {
    let mut ids = BTreeSet::new();
    for (path, method, operation) in operations() {
        let id = operation["operationId"].as_str().unwrap();
        assert!(ids.insert(id), "{id} is there twice");
        if !path.starts_with("/v1/") {
            continue;
        }
        let full = filled(path);
        let method = method.to_uppercase().parse().unwrap();
        let call = path::parse(&method, &full).unwrap_or_else(|| panic!("{method} {full} is no route"));
        assert_eq!(operation_of(call.target), id, "{method} {full}");
        assert!(operation["responses"]["401"].is_object(), "{id} asks for credentials");
    }
    for (path, item) in DOCUMENT["paths"].as_object().unwrap().iter().filter(|(path, _)| path.starts_with("/v1/")) {
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE"] {
            let known = item.get(method.to_lowercase()).is_some();
            assert_eq!(path::parse(&method.parse().unwrap(), &filled(path)).is_some(), known, "{method} {path}");
        }
    }
}

#[test]
fn every_example_has_the_shape_that_it_is_an_example_of() {
    for (_, _, operation) in operations() {
        for (place, content) in contents(operation) {
            for (name, example) in content["examples"].as_object().into_iter().flatten() {
                let problems = JUDGE.problems(&content["schema"], &JUDGE.resolved(example)["value"]);
                assert!(problems.is_empty(), "{name}, an example of {place}:\n{}", problems.join("\n"));
            }
        }
        for parameter in operation["parameters"].as_array().into_iter().flatten().map(|one| JUDGE.resolved(one)) {
            let problems = JUDGE.problems(&parameter["schema"], &parameter["example"]);
            assert!(problems.is_empty(), "{}: {problems:?}", parameter["name"]);
        }
    }
}

#[test]
fn every_component_is_used_and_every_reference_leads_somewhere() {
    let mut used = BTreeSet::new();
    let mut rest = vec![&*DOCUMENT];
    while let Some(value) = rest.pop() {
        rest.extend(value.as_object().into_iter().flat_map(|map| map.values()));
        rest.extend(value.as_array().into_iter().flatten());
        if let Some(reference) = value.get("$ref").and_then(Value::as_str) {
            JUDGE.resolved(value);
            used.extend(reference.strip_prefix("#/components/"));
        }
    }
    let parts = DOCUMENT["components"].as_object().unwrap().iter().filter(|(part, _)| *part != "securitySchemes");
    let all =
        parts.flat_map(|(part, items)| items.as_object().unwrap().keys().map(move |name| format!("{part}/{name}")));
    assert_eq!(all.collect::<BTreeSet<_>>(), used.into_iter().map(str::to_owned).collect());
}

#[test]
fn what_is_said_of_files_tokens_and_folders_is_what_starts_do() {
    let read = |mode: &str, client: Value| {
        let body = json!({ "cname": "room", "uid": "1", "clientRequest": client });
        let app = AppId::new(example("appid")).unwrap();
        start::parse(app, ResourceId::parse(example("resourceid")).unwrap(), mode, &body).unwrap().options
    };
    let described = |pointer: &str| {
        let text = DOCUMENT.pointer(&format!("/components/schemas/{pointer}/description"));
        text.unwrap_or_else(|| panic!("{pointer} is not described")).as_str().unwrap()
    };
    // Whole files are made in every mode, and no note says otherwise.
    assert!(described("RecordingFileConfig/properties/avFileType").contains("in every mode"));
    for mode in ["mix", "individual"] {
        let files = json!({ "recordingFileConfig": { "avFileType": ["hls", "mp4", "ogg"] } });
        let options = read(mode, files);
        assert_eq!((options.files.len(), options.notes.len()), (2, 0), "{mode}");
    }
    // A token is looked at (tests/rest/token_expiry.rs), and may be left out.
    let token = described("StartRequest/properties/clientRequest/properties/token");
    assert!(token.contains("the recorder needs none") && token.contains("refused (110, 109)"));
    assert!(read("mix", json!({})).token.is_none() && read("mix", json!({ "token": "t" })).token.is_some());
    // A start without a storageConfig has no folders of its own: the app's prefix is all of them.
    assert!(read("mix", json!({})).storage.is_none());
    let page = include_str!("../../../docs/config.md");
    assert!(
        page.contains("whose start brings no storageConfig") && !page.contains("each recording's own fileNamePrefix")
    );
}

#[test]
fn the_parsers_take_every_example() {
    let mut taken = 0;
    for (_, _, operation) in operations() {
        let Some(content) = operation.get("requestBody").map(|body| &body["content"]["application/json"]) else {
            continue;
        };
        let shape = content["schema"]["$ref"].as_str().unwrap().rsplit('/').next().unwrap();
        for (name, example) in content["examples"].as_object().unwrap() {
            take(shape, &JUDGE.resolved(example)["value"])
                .unwrap_or_else(|problem| panic!("{shape} {name}: {problem}"));
            taken += 1;
        }
    }
    assert!(taken >= 10);
}

#[test]
fn the_parsers_refuse_what_lies_beyond_a_limit_and_take_what_lies_within() {
    let who = json!({ "cname": example("channelName"), "uid": "1" });
    let busy = json!({ "clientRequest": { "streamSubscribe": { "audioUidList": { "subscribeAudioUids": [] } } } });
    for (shape, base) in [
        ("AcquireRequest", &who),
        ("StartRequest", &who),
        ("UpdateRequest", &busy),
        ("LayoutRequest", &who),
        ("StopRequest", &who),
    ] {
        let mut limits = Vec::new();
        collect(&DOCUMENT["components"]["schemas"][shape], "", &mut limits);
        assert!(!limits.is_empty(), "{shape}");
        for (place, value, right) in limits {
            let mut body = base.clone();
            let mut target = &mut body;
            for name in place.split('/').skip(1) {
                target = &mut target[name];
            }
            *target = value;
            let outcome = take(shape, &body);
            assert_eq!(outcome.is_ok(), right, "{shape} {place}: {body}: {outcome:?}");
        }
    }
}

/// Values at and beyond the limits of a shape's fields: place, value, whether it is within.
fn collect(schema: &Value, place: &str, limits: &mut Vec<(String, Value, bool)>) {
    let schema = JUDGE.resolved(schema);
    let mut limit = |value: Value, right| limits.push((place.to_owned(), value, right));
    match schema["type"].as_str() {
        Some("object") => {
            if !place.is_empty() {
                limit(json!([]), false);
            }
            for (name, field) in schema["properties"].as_object().into_iter().flatten() {
                collect(field, &format!("{place}/{name}"), limits);
            }
        }
        Some("integer") => {
            limit(json!("x"), false);
            limit(json!(-1), false);
            if let Some(values) = schema["enum"].as_array() {
                values.iter().for_each(|value| limit(value.clone(), true));
                limit(json!(values.iter().filter_map(Value::as_u64).max().unwrap() + 1), false);
            }
            if let (Some(low), Some(high)) = (schema["minimum"].as_u64(), schema["maximum"].as_u64()) {
                [low, high].into_iter().for_each(|value| limit(json!(value), true));
                [low.checked_sub(1), Some(high + 1)].into_iter().flatten().for_each(|value| limit(json!(value), false));
            }
        }
        Some("string") => {
            limit(json!({}), false);
            if let Some(values) = schema["enum"].as_array() {
                values.iter().for_each(|value| limit(value.clone(), true));
                limit(json!("nonsense"), false);
            }
        }
        Some("boolean") => {
            limit(json!(true), true);
            limit(json!("yes"), false);
        }
        Some("array") => {
            limit(json!("x"), false);
            limit(json!([]), true);
            if let Some(most) = schema["maxItems"].as_u64() {
                limit((0..most).collect(), true);
                limit((0..=most).collect(), false);
            }
        }
        _ => {}
    }
}

#[test]
fn an_answer_that_is_not_in_the_document_is_noticed() {
    let judge = |call, status, body: Value, headers: &[&str]| {
        JUDGE.answer(call, (status, &body), |name| headers.contains(&name))
    };
    let (live, alive) = (("GET", "/livez"), json!({ "alive": true }));
    let id = ["X-Request-Id"];
    assert_eq!(judge(live, 200, alive.clone(), &id), Ok(()));
    assert_eq!(judge(("GET", "/"), 404, json!({ "message": "no Route matched with those values" }), &id), Ok(()));
    for (call, status, body, headers) in [
        (live, 200, alive.clone(), &[][..]),
        (live, 500, alive.clone(), &id),
        (live, 200, json!({ "alive": true, "more": 1 }), &id),
        (live, 200, json!({ "alive": "yes" }), &id),
        (live, 200, json!({}), &id),
        (("GET", "/nowhere"), 200, alive.clone(), &id),
        (("POST", "/livez"), 200, alive, &id),
    ] {
        assert!(judge(call, status, body.clone(), headers).is_err(), "{call:?} {status} {body}");
    }
}

#[test]
fn the_document_has_the_version_of_the_worker() {
    assert_eq!(DOCUMENT["info"]["version"], env!("CARGO_PKG_VERSION"));
}
