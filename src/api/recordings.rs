//! Additive: an app's recordings, newest first, for who lost a sid.
//!
//! `GET /v1/apps/{appid}/recordings?cname=&uid=&state=&limit=&cursor=`. `state` is one state or several with commas between. `next` is
//! the `cursor` of the following page, null on the last one; it names a place in the list, so what begins or ends in between moves
//! nothing. States change while one reads, and a page of some states may hold fewer entries than `limit`, even none.

use std::borrow::Cow;
use std::collections::HashMap;

use serde_json::{Value, json};

use super::error::Failure;
use super::wire::answer;
use super::wire::fields::BadField;
use crate::session::{ListPosition, RecordingFilter, Sessions, State};
use crate::units::{AppId, Cname, Sid, Uid, WallMs};

/// Entries of a page where the caller says nothing, and at most.
const PAGE: u32 = 50;
const MAX_PAGE: u32 = 200;

/// One page.
pub(crate) async fn list(sessions: &Sessions, app: &AppId, query: Option<&str>) -> Result<Value, Failure> {
    let asked = Asked::parse(query.unwrap_or_default())?;
    let page = sessions.recordings(app, &asked.filter, asked.after.as_ref(), asked.limit).await?;
    Ok(json!({
        "recordings": page.reports.iter().map(answer::listed).collect::<Vec<Value>>(),
        "next": page.next.map(|list_position| format!("{}-{}", list_position.created.0, list_position.sid)),
    }))
}

#[derive(Debug)]
struct Asked {
    filter: RecordingFilter,
    after: Option<ListPosition>,
    limit: u32,
}

impl Asked {
    fn parse(query: &str) -> Result<Self, BadField> {
        let mut query: HashMap<Cow<'_, str>, Cow<'_, str>> = url::form_urlencoded::parse(query.as_bytes()).collect();
        let mut text = |name: &str| query.remove(name).filter(|text| !text.is_empty());
        let cname = text("cname").map(|text| Cname::new(&text)).transpose();
        let uid = text("uid").map(|text| Uid::new(&text)).transpose();
        let states = text("state").map_or(Ok(Vec::new()), |text| text.split(',').map(state).collect());
        let after = text("cursor").map(|text| list_position(&text)).transpose()?;
        let limit = text("limit").map_or(Ok(PAGE), |text| limit(&text))?;
        let filter = RecordingFilter {
            cname: cname.map_err(|error| BadField::new("cname", error.problem))?,
            uid: uid.map_err(|error| BadField::new("uid", error.problem))?,
            states: states?,
        };
        match query.keys().next() {
            None => Ok(Self { filter, after, limit }),
            Some(name) => {
                let name: String = name.chars().take(32).collect();
                Err(BadField::new(name, "is no parameter of this list; use cname, uid, state, limit and cursor"))
            }
        }
    }
}

fn state(word: &str) -> Result<State, BadField> {
    let known = State::UNDERWAY.into_iter().chain([State::Ended, State::Failed]).find(|state| state.word() == word);
    let problem =
        "must be starting, recording, recovering, stopping, ended or failed, or several of them with commas between";
    known.ok_or_else(|| BadField::new("state", problem))
}

fn limit(text: &str) -> Result<u32, BadField> {
    let limit = text.parse().ok().filter(|limit| (1..=MAX_PAGE).contains(limit));
    limit.ok_or_else(|| BadField::new("limit", format!("must be a number from 1 to {MAX_PAGE}")))
}

fn list_position(text: &str) -> Result<ListPosition, BadField> {
    let parts = text.split_once('-').and_then(|(created, sid)| Some((created.parse().ok()?, Sid::new(sid).ok()?)));
    let (created, sid) = parts.ok_or_else(|| BadField::new("cursor", "must be the next of an earlier page"))?;
    Ok(ListPosition { created: WallMs(created), sid })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_read_and_empty_ones_are_absent() {
        let sid = "ab".repeat(16);
        let query = format!("cname=room%201&uid=7&state=recording,recovering&limit=5&cursor=1700000000000-{sid}");
        let asked = Asked::parse(&query).unwrap();
        assert_eq!((asked.filter.cname.unwrap().as_str(), asked.filter.uid.unwrap().as_str()), ("room 1", "7"));
        assert_eq!(asked.filter.states, [State::Recording, State::Recovering]);
        assert_eq!((asked.limit, asked.after.unwrap().created), (5, WallMs(1_700_000_000_000)));
        let asked = Asked::parse("cname=&uid=&state=&limit=&cursor=").unwrap();
        assert!(asked.filter.cname.is_none() && asked.filter.states.is_empty() && asked.after.is_none());
        assert_eq!(asked.limit, PAGE);
    }

    #[test]
    fn every_refusal_names_its_parameter() {
        for (query, name) in [
            ("cname=%C3%A9", "cname"),
            ("state=running", "state"),
            ("state=recording,", "state"),
            ("limit=0", "limit"),
            ("limit=201", "limit"),
            ("cursor=1", "cursor"),
            ("cursor=x-abababababababababababababababab", "cursor"),
            ("channel=room", "channel"),
        ] {
            assert_eq!(Asked::parse(query).unwrap_err().field, name, "{query}");
        }
    }
}
