//! The agents of a LiveKit server, and rooms that nobody but a bot opened (docs/protocol/livekit.md section 11).
//!
//! The server sends every agent without a name into each new room, unless whoever made the room named the agents that it wants. So
//! the bot's join wants one that nobody is: [`NOBODY`]. When the first member is there the bot takes that back and asks for what the server
//! would have done. Of several bots in a room one does it: who succeeds in taking it back.

use std::time::Duration;

use livekit_protocol::{
    AgentDispatch, CreateAgentDispatchRequest, DeleteAgentDispatchRequest, ListAgentDispatchRequest,
    ListAgentDispatchResponse,
};
use secrecy::SecretString;

use super::server_api::ServerApi;
use crate::JoinError;

/// The agent that a room waits for which a bot opened.
pub(super) const NOBODY: &str = "cloud-recorder-waits-for-a-member";

/// How often it is tried.
const ATTEMPTS: u32 = 5;

/// How long after an attempt that failed the next one is made.
const NEXT_ATTEMPT: Duration = Duration::from_secs(1);

/// A member is in `room`: the agents may come, if a bot kept them out.
pub(super) async fn let_in(api: ServerApi, room: String, token: SecretString) {
    let mut taken_back = false;
    for attempt in 1..=ATTEMPTS {
        match api.let_agents_in(&room, &token, &mut taken_back).await {
            Ok(()) => return,
            Err(error) => {
                tracing::warn!(room, attempt, %error, "the room's agents can't be called; they wait for it");
                tokio::time::sleep(NEXT_ATTEMPT).await;
            }
        }
    }
}

impl ServerApi {
    /// Takes the dispatch for [`NOBODY`] back, if it is there, and asks for all agents without a name. `taken_back`: that much is done.
    async fn let_agents_in(&self, room: &str, token: &SecretString, taken_back: &mut bool) -> Result<(), JoinError> {
        if !*taken_back {
            let list = ListAgentDispatchRequest { room: room.to_owned(), ..Default::default() };
            let list: Option<ListAgentDispatchResponse> = self.call(LIST, &list, token).await?;
            let dispatches = list.unwrap_or_default().agent_dispatches;
            let Some(AgentDispatch { id, .. }) = dispatches.into_iter().find(|known| known.agent_name == NOBODY) else {
                return Ok(());
            };
            let back = DeleteAgentDispatchRequest { dispatch_id: id, room: room.to_owned() };
            let gone: Option<AgentDispatch> = self.call(DELETE, &back, token).await?;
            *taken_back = gone.is_some();
        }
        // To ask for agents would make a room that has closed meanwhile.
        if *taken_back && self.is_somebody_in(room, token).await? {
            let all = CreateAgentDispatchRequest { room: room.to_owned(), ..Default::default() };
            self.call::<_, AgentDispatch>(CREATE, &all, token).await?;
        }
        Ok(())
    }
}

const LIST: &str = "AgentDispatchService/ListDispatch";
const DELETE: &str = "AgentDispatchService/DeleteDispatch";
const CREATE: &str = "AgentDispatchService/CreateDispatch";
