//! A LiveKit server that closes an empty room, or deletes one: the bot holds the room or watches it, and is back with the next member.
//! The server is a script, so that its every move is known; the real one is driven by `tests/peers`.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::Path;
use axum::extract::ws::{Message as Frame, WebSocketUpgrade};
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use axum::routing::{any, post};
use cloud_recorder::channel::livekit::{IdleRoom, LiveKitChannel, Settings};
use cloud_recorder::channel::{Channel, ChannelHandle, ChannelUpdate, JoinRequest, jwt};
use cloud_recorder::clock;
use cloud_recorder::recording::{Input, Selection};
use cloud_recorder::units::Sid;
use livekit_protocol::leave_request::Action;
use livekit_protocol::signal_response::Message;
use livekit_protocol::{
    AgentDispatch, CreateAgentDispatchRequest, DeleteAgentDispatchRequest, DisconnectReason, JoinResponse,
    LeaveRequest, ListAgentDispatchResponse, ListParticipantsResponse, ParticipantInfo, SignalResponse, TrackInfo,
    TrackType, participant_info,
};
use prost::Message as _;
use serde_json::Value;
use tokio::sync::broadcast;
use tokio::time::Instant;

use crate::test_server::{KEY, room, secret, uid};

/// Longer than anything that is waited for here.
const TIMEOUT: Duration = Duration::from_secs(20);
/// How long the recording waits for a member.
const IDLE: Duration = Duration::from_secs(120);

/// What the server knows, and what it was asked.
#[derive(Clone)]
struct Script {
    address: String,
    state: Arc<Mutex<State>>,
    words: broadcast::Sender<DisconnectReason>,
}

#[derive(Default)]
struct State {
    people: Vec<ParticipantInfo>,
    /// The claims of each join's token.
    joins: Vec<Value>,
    looks: usize,
    /// The agents that the room wants.
    wanted: Vec<AgentDispatch>,
    /// What was asked about agents.
    asked: Vec<&'static str>,
    /// So many calls for agents fail.
    failures: usize,
}

impl Script {
    async fn open() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let script = Self { address, state: Arc::default(), words: broadcast::Sender::new(8) };
        let (signalling, list, agents) = (script.clone(), script.clone(), script.clone());
        let router = Router::new()
            .route("/rtc", any(async move |headers: HeaderMap, upgrade| signalling.join(&headers, upgrade)))
            .route(
                "/twirp/livekit.RoomService/ListParticipants",
                post(async move |headers: HeaderMap, _: Bytes| list.look(&headers)),
            )
            .route(
                "/twirp/livekit.AgentDispatchService/{name}",
                post(async move |Path(name): Path<String>, body: Bytes| agents.dispatch(&name, &body)),
            );
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        script
    }

    fn join(&self, headers: &HeaderMap, upgrade: WebSocketUpgrade) -> impl IntoResponse + use<> {
        let people = {
            let mut state = self.state.lock().unwrap();
            let claims = claims(headers);
            let name = claims["roomConfig"]["agents"][0]["agentName"].as_str().unwrap_or_default().to_owned();
            if state.joins.is_empty() {
                state.wanted.push(AgentDispatch { id: "AD_1".to_owned(), agent_name: name, ..Default::default() });
            }
            state.joins.push(claims);
            state.people.clone()
        };
        let mut words = self.words.subscribe();
        upgrade.on_upgrade(async move |mut socket| {
            let own = ParticipantInfo { sid: "PA_own".to_owned(), ..Default::default() };
            let join = JoinResponse { participant: Some(own), other_participants: people, ..Default::default() };
            let frame = |message| Frame::Binary(SignalResponse { message: Some(message) }.encode_to_vec().into());
            socket.send(frame(Message::Join(join))).await.unwrap();
            let reason = loop {
                tokio::select! {
                    reason = words.recv() => break reason.unwrap(),
                    frame = socket.recv() => if frame.is_none_or(|frame| frame.is_err()) { return },
                }
            };
            let action = Action::Disconnect.into();
            let leave = LeaveRequest { reason: reason.into(), action, ..Default::default() };
            let _ = socket.send(frame(Message::Leave(leave))).await;
        })
    }

    fn look(&self, headers: &HeaderMap) -> impl IntoResponse + use<> {
        let claims = claims(headers);
        assert_eq!((&claims["video"]["roomAdmin"], &claims["video"]["room"]), (&true.into(), &"room".into()));
        let mut state = self.state.lock().unwrap();
        state.looks += 1;
        ListParticipantsResponse { participants: state.people.clone() }.encode_to_vec()
    }

    fn dispatch(&self, name: &str, body: &[u8]) -> (StatusCode, Vec<u8>) {
        let mut state = self.state.lock().unwrap();
        match name {
            "ListDispatch" => {
                state.asked.push("list");
                let list = ListAgentDispatchResponse { agent_dispatches: state.wanted.clone() };
                (StatusCode::OK, list.encode_to_vec())
            }
            "DeleteDispatch" => {
                state.asked.push("delete");
                let id = DeleteAgentDispatchRequest::decode(body).unwrap().dispatch_id;
                match state.wanted.iter().position(|wanted| wanted.id == id) {
                    Some(at) => (StatusCode::OK, state.wanted.remove(at).encode_to_vec()),
                    None => (StatusCode::NOT_FOUND, br#"{"code":"not_found"}"#.to_vec()),
                }
            }
            _ => {
                assert_eq!(CreateAgentDispatchRequest::decode(body).unwrap().agent_name, "");
                state.asked.push("create");
                let fails = state.failures > 0;
                state.failures = state.failures.saturating_sub(1);
                if fails { (StatusCode::SERVICE_UNAVAILABLE, Vec::new()) } else { (StatusCode::OK, Vec::new()) }
            }
        }
    }

    fn asked(&self) -> Vec<&'static str> {
        self.state.lock().unwrap().asked.clone()
    }

    async fn bot(&self, idle_room: IdleRoom) -> ChannelHandle {
        let url = format!("ws://{}", self.address);
        let settings = Settings { url, api_key: KEY.to_owned(), api_secret: secret(), idle_room };
        let sid = Sid::from_random(rand::random());
        let request = JoinRequest { cname: room(), sid, selection: Selection::All, patience: TIMEOUT, idle: IDLE };
        LiveKitChannel::new(settings).unwrap().with_agents().join(request).await.unwrap()
    }

    /// Somebody comes and publishes, and was there for `ms` before the server tells it.
    fn enters(&self, identity: &str, ms: u64) {
        let audio = TrackInfo { sid: format!("TR_{identity}"), r#type: TrackType::Audio.into(), ..Default::default() };
        self.state.lock().unwrap().people.push(ParticipantInfo {
            sid: format!("PA_{identity}"),
            identity: identity.to_owned(),
            state: participant_info::State::Active.into(),
            joined_at_ms: (clock::now().0 - ms) as i64,
            tracks: vec![audio],
            ..Default::default()
        });
    }

    /// Everybody goes, and the bot is sent away.
    fn ends(&self, reason: DisconnectReason) {
        self.state.lock().unwrap().people.clear();
        self.words.send(reason).unwrap();
    }

    fn joins(&self) -> usize {
        self.state.lock().unwrap().joins.len()
    }

    fn looks(&self) -> usize {
        self.state.lock().unwrap().looks
    }

    /// How long the room of the last join is to last.
    fn empty_timeout(&self) -> u64 {
        self.state.lock().unwrap().joins.last().unwrap()["roomConfig"]["emptyTimeout"].as_u64().unwrap()
    }
}

fn claims(headers: &HeaderMap) -> Value {
    let token = headers["authorization"].to_str().unwrap().strip_prefix("Bearer ").unwrap();
    jwt::verify(token, &secret()).unwrap()
}

/// News until one is `wanted`, that included.
async fn until(bot: &mut ChannelHandle, wanted: impl Fn(&ChannelUpdate) -> bool) -> Vec<ChannelUpdate> {
    let mut told = Vec::new();
    let search = async {
        while !told.last().is_some_and(&wanted) {
            told.push(bot.updates.recv().await.expect("the news ended").1);
        }
    };
    tokio::time::timeout(TIMEOUT, search).await.unwrap_or_else(|_| panic!("it was never told"));
    told
}

fn joined(updates: &ChannelUpdate, name: &str) -> bool {
    *updates == ChannelUpdate::Input(Input::Joined { uid: uid(name) })
}

fn left(updates: &ChannelUpdate, name: &str) -> bool {
    *updates == ChannelUpdate::Input(Input::Left { uid: uid(name) })
}

fn is_trouble(updates: &ChannelUpdate) -> bool {
    matches!(updates, ChannelUpdate::Down { .. } | ChannelUpdate::Ended(_))
}

#[tokio::test]
async fn a_held_room_is_made_again_once_and_then_watched() {
    let server = Script::open().await;
    server.enters("alice", 0);
    let mut bot = server.bot(IdleRoom::Hold).await;
    until(&mut bot, |updates| joined(updates, "alice")).await;
    assert!((IDLE.as_secs()..IDLE.as_secs() + 30).contains(&server.empty_timeout()), "{}", server.empty_timeout());
    let closed = Instant::now();
    server.ends(DisconnectReason::RoomClosed);
    until(&mut bot, |updates| left(updates, "alice")).await;
    let told = until(&mut bot, |updates| *updates == ChannelUpdate::Inside).await;
    assert!(!told.iter().any(is_trouble) && closed.elapsed() >= Duration::from_secs(1), "{told:?}");
    assert_eq!(server.joins(), 2);
    assert!((IDLE.as_secs()..=IDLE.as_secs() + 10).contains(&server.empty_timeout()), "{}", server.empty_timeout());

    // The server does not keep it, whatever it was asked.
    server.ends(DisconnectReason::RoomClosed);
    let told = until(&mut bot, |updates| *updates == ChannelUpdate::Outside { deleted: false }).await;
    assert!(!told.iter().any(is_trouble), "{told:?}");
    tokio::time::sleep(Duration::from_millis(500)).await;
    server.enters("bob", 300);
    let came = Instant::now() - Duration::from_millis(300);
    let told = until(&mut bot, |updates| matches!(updates, ChannelUpdate::Unheard { .. })).await;
    let Some(ChannelUpdate::Unheard { uid: who, since }) = told.last() else { unreachable!() };
    assert!(told.iter().any(|updates| joined(updates, "bob")) && told.contains(&ChannelUpdate::Inside), "{told:?}");
    assert_eq!(who.as_str(), "bob");
    assert!(since.max(&came).duration_since(*since.min(&came)) < Duration::from_millis(100), "missing since he came");
    assert_eq!(server.joins(), 3);

    // A member was there: the room may be held once more.
    server.ends(DisconnectReason::RoomClosed);
    until(&mut bot, |updates| *updates == ChannelUpdate::Inside).await;
    assert_eq!(server.joins(), 4);
}

#[tokio::test]
async fn agents_are_called_by_one_bot_once_a_member_is_there() {
    let server = Script::open().await;
    server.state.lock().unwrap().failures = 1;
    let _waiting = server.bot(IdleRoom::Hold).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(server.asked().is_empty(), "nobody is there");
    server.enters("alice", 0);
    let mut first = server.bot(IdleRoom::Hold).await;
    until(&mut first, |updates| joined(updates, "alice")).await;
    let asked = async |last: &str| {
        while server.asked().last() != Some(&last) || server.asked().len() < 3 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        server.asked()
    };
    assert_eq!(tokio::time::timeout(TIMEOUT, asked("create")).await.unwrap(), ["list", "delete", "create"]);
    let mut second = server.bot(IdleRoom::Watch).await;
    until(&mut second, |updates| joined(updates, "alice")).await;
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    let asked = server.asked();
    assert_eq!(asked.iter().filter(|asked| **asked == "delete").count(), 1, "{asked:?}");
    assert_eq!(asked.iter().filter(|asked| **asked == "create").count(), 2, "once more, since it failed: {asked:?}");
}

#[tokio::test]
async fn a_watched_room_is_never_made() {
    let server = Script::open().await;
    let mut bot = server.bot(IdleRoom::Watch).await;
    until(&mut bot, |updates| *updates == ChannelUpdate::Outside { deleted: false }).await;
    let (looks, begun) = (server.looks(), Instant::now());
    tokio::time::sleep(Duration::from_millis(2500)).await;
    let looked = server.looks() - looks;
    assert!(looked <= begun.elapsed().as_secs() as usize + 2 && looked >= 1, "once a second: {looked}");
    assert_eq!(server.joins(), 0);
    server.enters("alice", 0);
    let told = until(&mut bot, |updates| matches!(updates, ChannelUpdate::Unheard { .. })).await;
    assert!(told.iter().any(|updates| joined(updates, "alice")) && !told.iter().any(is_trouble), "{told:?}");
    assert_eq!(server.joins(), 1);
    server.ends(DisconnectReason::RoomClosed);
    until(&mut bot, |updates| *updates == ChannelUpdate::Outside { deleted: false }).await;
    let leaving = Instant::now();
    drop(bot);
    let looks = server.looks();
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert!(server.looks() <= looks + 1, "nobody looks any more after {:?}", leaving.elapsed());
    assert_eq!(server.joins(), 1);
}

#[tokio::test]
async fn a_deleted_room_is_not_made_again() {
    let server = Script::open().await;
    server.enters("alice", 0);
    let mut bot = server.bot(IdleRoom::Hold).await;
    until(&mut bot, |updates| joined(updates, "alice")).await;
    server.ends(DisconnectReason::RoomDeleted);
    let told = until(&mut bot, |updates| *updates == ChannelUpdate::Outside { deleted: true }).await;
    assert!(told.iter().any(|updates| left(updates, "alice")) && !told.iter().any(is_trouble), "{told:?}");
    tokio::time::sleep(Duration::from_millis(2200)).await;
    assert_eq!(server.joins(), 1, "its owner does not want it");
    assert!(server.looks() >= 1);
    server.enters("alice", 0);
    let told = until(&mut bot, |updates| matches!(updates, ChannelUpdate::Unheard { .. })).await;
    assert!(told.iter().any(|updates| joined(updates, "alice")), "{told:?}");
}
