//! Which channels there are and who is in them.

use std::collections::BTreeMap;

use axum::response::Response;
use serde_json::{Map, Value, json};

use super::answer::data;
use super::order::Page;
use crate::ids::uid_number;
use crate::{ChannelServer, MemberSummary, Profile, Role, RoomSummary};
use recorder_core::units::{AppId, Cname, Uid};

/// Audience members that a list names; `audience_total` counts all.
const MAX_AUDIENCE: usize = 10_000;

/// `GET /dev/v1/channel/{app}`: by name, so that pages don't shift by themselves.
pub(super) fn channels(server: &ChannelServer, app: &AppId, page: Page) -> Response {
    let mut rooms: Vec<_> = server.rooms().into_iter().filter(|room| room.app == *app).collect();
    rooms.sort_by(|one, other| one.cname.cmp(&other.cname));
    let total = rooms.len();
    let listed = rooms.iter().skip(page.number.saturating_mul(page.size)).take(page.size);
    let listed: Vec<_> =
        listed.map(|room| json!({ "channel_name": room.cname, "user_count": users_of(room).count() })).collect();
    data(&json!({ "channels": listed, "total_size": total }))
}

/// `GET /dev/v1/channel/user/{app}/{channel}`, all or hosts only. There are hosts in live channels only.
pub(super) fn users(server: &ChannelServer, app: &AppId, channel: &Cname, hosts_only: bool) -> Response {
    let Some(room) = server.room(app, channel) else { return data(&json!({ "channel_exist": false })) };
    let mut answer = Map::new();
    let mut put = |name: &str, value: Value| answer.insert(name.to_owned(), value);
    put("channel_exist", json!(true));
    put("mode", json!(room.profile.number()));
    let with = |role: Role| users_of(&room).filter(move |member| member.role == role);
    let numbers = |role: Role, most: usize| with(role).take(most).map(number).collect::<Vec<_>>();
    match (room.profile, hosts_only) {
        (Profile::Communication, true) => {}
        (Profile::Communication, false) => {
            put("total", json!(with(Role::User).count()));
            put("users", json!(numbers(Role::User, usize::MAX)));
        }
        (Profile::Live, _) => {
            put("broadcasters", json!(numbers(Role::Host, usize::MAX)));
            if !hosts_only {
                put("audience", json!(numbers(Role::Audience, MAX_AUDIENCE)));
                put("audience_total", json!(with(Role::Audience).count()));
            }
        }
    }
    let accounts: BTreeMap<_, _> = users_of(&room).filter(|member| is_account(&member.uid)).map(named).collect();
    if !accounts.is_empty() {
        put("accounts", json!(accounts));
    }
    data(&Value::Object(answer))
}

/// `GET /dev/v1/channel/user/property/{app}/{uid}/{channel}`: the uid is a number, or an account's name.
pub(super) fn property(server: &ChannelServer, app: &AppId, uid: &Uid, channel: &Cname) -> Response {
    let room = server.room(app, channel);
    let wanted = |member: &&MemberSummary| member.uid == *uid || uid.as_str() == number(member).to_string();
    let Some(member) = room.as_ref().and_then(|room| users_of(room).find(wanted)) else {
        return data(&json!({ "in_channel": false }));
    };
    data(&json!({
        "in_channel": true,
        "uid": number(member),
        "join": member.joined.0 / 1000,
        "role": member.role.number(),
        "platform": member.platform.number(),
    }))
}

fn users_of(room: &RoomSummary) -> impl Iterator<Item = &MemberSummary> {
    room.members.iter().filter(|member| !member.recorder)
}

fn number(member: &MemberSummary) -> u32 {
    uid_number(&member.uid)
}

fn named(member: &MemberSummary) -> (String, &Uid) {
    (number(member).to_string(), &member.uid)
}

fn is_account(uid: &Uid) -> bool {
    uid_number(uid).to_string() != uid.as_str()
}
