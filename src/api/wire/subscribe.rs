//! Subscription lists: whose audio is recorded (docs/protocol/agora.md sections 2.1 and 1.4, docs/protocol/callers.md section 1).

use std::collections::BTreeSet;

use serde_json::Value;

use super::fields::{BadField, Fields};
use super::who::member_uid;
use crate::recording::Selection;
use crate::session::MAX_SELECTED_UIDS;
use crate::units::Uid;

/// The list entry that means everybody.
const ALL: &str = "#allstream#";

/// The selection that the lists of `fields` make, none when there is no list that says anything.
///
/// `[]` and `["#allstream#"]` as the list to subscribe mean everybody. Both spellings of the list of exceptions are read.
pub(crate) fn selection(fields: &Fields<'_>) -> Result<Option<Selection>, BadField> {
    let only = list(fields, "subscribeAudioUids")?;
    let except = match list(fields, "unSubscribeAudioUids")? {
        Some(list) => Some(("unSubscribeAudioUids", list)),
        None => list(fields, "unsubscribeAudioUids")?.map(|list| ("unsubscribeAudioUids", list)),
    };
    match (only, except) {
        (Some(List::Uids(only)), Some((_, List::Uids(except)))) if !only.is_empty() && !except.is_empty() => {
            Err(fields.bad("subscribeAudioUids", "and unSubscribeAudioUids exclude each other; send one of them"))
        }
        (_, Some((name, List::All))) => {
            Err(fields.bad(name, "holds #allstream#: nobody would be recorded; leave uids out one by one"))
        }
        (_, Some((_, List::Uids(except)))) if !except.is_empty() => Ok(Some(Selection::Except(except))),
        (Some(List::Uids(only)), _) if !only.is_empty() => Ok(Some(Selection::Only(only))),
        (Some(_), _) | (_, Some(_)) => Ok(Some(Selection::All)),
        (None, None) => Ok(None),
    }
}

/// The selection of a start. With the original, a list for video alone subscribes to nobody's audio, so it can't mean everybody's.
pub(crate) fn at_start(recording: &Fields<'_>) -> Result<Selection, BadField> {
    if let Some(selection) = selection(recording)? {
        return Ok(selection);
    }
    let video = recording.value("subscribeVideoUids").and_then(Value::as_array);
    if video.is_some_and(|uids| !uids.is_empty()) && recording.integer("streamTypes", 0, 2)? != Some(0) {
        let problem =
            "stands alone, which subscribes to no audio; add subscribeAudioUids, [\"#allstream#\"] for everybody";
        return Err(recording.bad("subscribeVideoUids", problem));
    }
    Ok(Selection::default())
}

enum List {
    All,
    Uids(BTreeSet<Uid>),
}

fn list(fields: &Fields<'_>, key: &str) -> Result<Option<List>, BadField> {
    if fields.value(key).is_none() {
        return Ok(None);
    }
    let items = fields.list(key)?;
    if items.iter().any(|item| item.as_str() == Some(ALL)) {
        return match items {
            [_] => Ok(Some(List::All)),
            _ => Err(fields.bad(key, "mixes #allstream# with uids; send #allstream# alone")),
        };
    }
    if items.len() > MAX_SELECTED_UIDS {
        return Err(fields.bad(key, format!("has {} entries; at most {MAX_SELECTED_UIDS} are allowed", items.len())));
    }
    let name = fields.name(key);
    let uids = items.iter().map(|item: &Value| member_uid(&name, item)).collect::<Result<_, _>>()?;
    Ok(Some(List::Uids(uids)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(body: &Value) -> Result<Option<Selection>, String> {
        selection(&Fields::root(body).unwrap()).map_err(|error| error.to_string())
    }

    fn uids(list: &[&str]) -> BTreeSet<Uid> {
        list.iter().map(|uid| Uid::new(uid).unwrap()).collect()
    }

    #[test]
    fn empty_lists_and_allstream_mean_everybody() {
        assert_eq!(read(&json!({})), Ok(None));
        for body in [
            json!({ "subscribeAudioUids": [] }),
            json!({ "subscribeAudioUids": ["#allstream#"] }),
            json!({ "unSubscribeAudioUids": [] }),
        ] {
            assert_eq!(read(&body), Ok(Some(Selection::All)), "{body}");
        }
    }

    #[test]
    fn both_spellings_and_numbers_are_read() {
        let except = Ok(Some(Selection::Except(uids(&["5"]))));
        assert_eq!(read(&json!({ "unsubscribeAudioUids": ["5"] })), except);
        assert_eq!(read(&json!({ "unSubscribeAudioUids": [5], "subscribeAudioUids": [] })), except);
        assert_eq!(read(&json!({ "subscribeAudioUids": [1, "2"] })), Ok(Some(Selection::Only(uids(&["1", "2"])))));
    }

    #[test]
    fn contradictions_are_refused() {
        let many: Vec<String> = (0..33).map(|uid| uid.to_string()).collect();
        for body in [
            json!({ "subscribeAudioUids": ["1"], "unSubscribeAudioUids": ["2"] }),
            json!({ "subscribeAudioUids": ["1", "#allstream#"] }),
            json!({ "unSubscribeAudioUids": ["#allstream#"] }),
            json!({ "subscribeAudioUids": many }),
            json!({ "subscribeAudioUids": "1" }),
            json!({ "subscribeAudioUids": [{}] }),
        ] {
            assert!(read(&body).unwrap_err().contains("ubscribeAudioUids"), "{body}");
        }
    }
}
