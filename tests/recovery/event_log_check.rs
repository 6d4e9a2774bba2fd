//! Is the news of a recording whole? Callbacks as they came, the log over REST and the log in the bucket are one story.

use std::collections::BTreeMap;
use std::time::Duration;

use cloud_recorder::callback::signature;
use serde_json::Value;

use crate::HANG_LIMIT;
use crate::checks::until_file;
use crate::receiver::Attempt;
use crate::rest::{Rest, Task};
use crate::test_env::{CALLBACK_SECRET, TestEnv};

/// The last event of every story.
const EXIT: u64 = 11;
/// What is said once in a recording.
const ONCE: [u64; 5] = [30, 31, 40, 41, EXIT];
/// What is said once for each playlist.
const ONCE_A_PLAYLIST: [u64; 2] = [4, 42];

/// Waits for the last event, then says what is wrong with them all.
pub(crate) async fn check(test_env: &TestEnv, task: &Task) -> Vec<String> {
    if !ends(test_env, &task.sid).await {
        let types: Vec<u64> = test_env.receiver.heard(&task.sid).iter().map(event_type).collect();
        return vec![format!("{}: the last event never came after {types:?}", task.sid)];
    }
    let attempts: Vec<Attempt> =
        test_env.receiver.attempts().into_iter().filter(|attempt| attempt.sid() == task.sid).collect();
    let mut problems = deliveries(&attempts);
    let heard: Vec<Value> = test_env.receiver.heard(&task.sid).into_iter().map(|attempt| attempt.json).collect();
    problems.extend(plot(&heard));
    problems.extend(logs(test_env, task, &heard).await);
    problems.into_iter().map(|problem| format!("{}: {problem}", task.sid)).collect()
}

/// Whether the last event comes.
pub(crate) async fn ends(test_env: &TestEnv, sid: &str) -> bool {
    let ended = async {
        while !test_env.receiver.heard(sid).iter().any(|attempt| event_type(attempt) == EXIT) {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(HANG_LIMIT, ended).await.is_ok()
}

fn event_type(attempt: &Attempt) -> u64 {
    attempt.json["eventType"].as_u64().unwrap_or(0)
}

/// Signed, in order, none left out; what comes again is the same again.
fn deliveries(attempts: &[Attempt]) -> Vec<String> {
    let mut problems = Vec::new();
    let mut known: BTreeMap<u64, &Attempt> = BTreeMap::new();
    for attempt in attempts {
        let secret = CALLBACK_SECRET.to_owned().into();
        let signed =
            |name: &str, wanted: String| attempt.headers.get(name).is_some_and(|value| value == wanted.as_str());
        let genuine = signed(signature::HEADER_V1, signature::v1(&secret, &attempt.body))
            && signed(signature::HEADER_V2, signature::v2(&secret, &attempt.body));
        if !genuine {
            problems.push(format!("event {} is not signed right", attempt.sequence()));
        }
        let next = known.len() as u64;
        match known.get(&attempt.sequence()) {
            Some(first) if first.notice_id() != attempt.notice_id() => {
                problems.push(format!("event {} has two noticeIds", attempt.sequence()));
            }
            Some(first) if first.json["payload"] != attempt.json["payload"] => {
                problems.push(format!("event {} came again and says something else", attempt.sequence()));
            }
            Some(_) => {}
            None if attempt.sequence() != next => {
                problems.push(format!("event {} came when {next} was due", attempt.sequence()));
            }
            None => drop(known.insert(attempt.sequence(), attempt)),
        }
    }
    problems
}

/// What must be said is said, as often as it must be.
fn plot(heard: &[Value]) -> Vec<String> {
    let mut problems = Vec::new();
    let types: Vec<u64> = heard.iter().map(|event| event["eventType"].as_u64().unwrap_or(0)).collect();
    let first = |event: &&Value| {
        // A playlist that goes on after its worker died is told once more, with the end of its last slice before.
        let details = &event["payload"]["details"];
        details["startUtcMs"] == details["discontinueUtcMs"]
    };
    let count = |wanted: u64| heard.iter().filter(|event| event["eventType"] == wanted).filter(first).count();
    let playlists = heard.iter().find(|event| event["eventType"] == 31);
    let playlists = playlists.and_then(|event| event["payload"]["details"]["fileList"].as_array()).map_or(0, Vec::len);
    for wanted in ONCE {
        if count(wanted) != 1 {
            problems.push(format!("event {wanted} came {} times: {types:?}", count(wanted)));
        }
    }
    for wanted in ONCE_A_PLAYLIST {
        if count(wanted) != playlists {
            problems.push(format!("event {wanted} came {} times for {playlists} playlists: {types:?}", count(wanted)));
        }
    }
    let test_env = |wanted: u64| types.iter().position(|found| *found == wanted);
    if test_env(41) > test_env(31) || test_env(31) > test_env(EXIT) || types.last() != Some(&EXIT) {
        problems.push(format!("the end is out of order: {types:?}"));
    }
    let exit = heard.last().map(|event| &event["payload"]["details"]["exitStatus"]);
    if exit != Some(&Value::from(0)) {
        let errors: Vec<_> = heard.iter().filter(|event| event["eventType"] == 1).collect();
        problems.push(format!("the exit status is {exit:?} after {errors:?}"));
    }
    problems
}

/// A line of the log in the bucket without the hash of the line before.
fn unchained(line: &str) -> serde_json::Result<Value> {
    let mut line: Value = serde_json::from_str(line)?;
    if let Value::Object(fields) = &mut line {
        fields.shift_remove("prev");
    }
    Ok(line)
}

/// The log over REST and the log in the bucket say the same.
async fn logs(test_env: &TestEnv, task: &Task, heard: &[Value]) -> Vec<String> {
    let mut problems = Vec::new();
    let wanted: Vec<Value> = heard.iter().cloned().map(without_attempt).collect();
    if Rest::new(&test_env.door).log(&task.sid).await != wanted {
        problems.push("the log over REST is not what the receiver heard".to_owned());
    }
    let path = test_env.objects().join(format!("{}_{}_events.jsonl", task.sid, task.room));
    let same = |text: &str| {
        let lines: Result<Vec<Value>, _> = text.lines().map(unchained).collect();
        lines.is_ok_and(|lines| lines == wanted)
    };
    if !until_file(&path, same).await {
        problems.push("the log in the bucket is not what the receiver heard".to_owned());
    }
    problems
}

/// A callback without the time of its attempt.
fn without_attempt(mut event: Value) -> Value {
    if let Some(map) = event.as_object_mut() {
        map.shift_remove("notifyMs");
    }
    event
}
