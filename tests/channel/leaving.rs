//! A client that closes its socket gets the handshake to its end; browsers call everything else broken.

use futures_util::{SinkExt, StreamExt};
use livekit_protocol::signal_request::Message as Request;
use livekit_protocol::{LeaveRequest, SignalRequest};
use prost::Message as _;
use serde_json::json;
use tokio_tungstenite::tungstenite::Message as Frame;

use crate::client::connect;
use crate::test_server::{TestServer, token};

/// Several times, since the goodbye and the end of the membership race for the server's attention.
const TIMES: usize = 10;

#[tokio::test]
async fn a_close_is_answered_with_a_close() {
    let test_server = TestServer::open().await;
    for with_leave in [false, true].repeat(TIMES) {
        let mut socket = connect(&test_server, &format!("access_token={}", token("ann", &json!({})))).await;
        if with_leave {
            let leave = SignalRequest { message: Some(Request::Leave(LeaveRequest::default())) };
            socket.feed(Frame::Binary(leave.encode_to_vec().into())).await.unwrap();
        }
        socket.send(Frame::Close(None)).await.unwrap();
        let mut closed = false;
        while let Some(frame) = socket.next().await {
            closed |= matches!(frame.expect("the socket ends with the handshake"), Frame::Close(_));
        }
        assert!(closed, "no goodbye came back");
    }
}
