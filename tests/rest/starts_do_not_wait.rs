//! Starts for different channels do not wait for each other, whatever hangs in one of them: its bot, or its bucket.

use std::sync::Arc;

use axum::http::StatusCode;
use serde_json::{Value, json};
use test_support::world::APP;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use crate::channel::JoinAnswer;
use crate::world::{Answer, World, until};

/// A start that hangs gives up after 2 to 3 s. On a machine that is slower than that for another start, a later round shows what is so.
const ROUNDS: usize = 8;

/// A start that is not answered yet.
struct Hanging(JoinHandle<Answer>);

#[tokio::test(flavor = "multi_thread")]
async fn a_bot_that_is_not_let_in_holds_up_nobody() {
    let world = Arc::new(World::new().await);
    overtakes(&world, async |cname: String| {
        world.channel.next_door(JoinAnswer::Held(Arc::new(Notify::new())));
        let client = world.client();
        let hanging = start(&world, &cname, client).await;
        until(async || is_starting(&world, &cname).await.then_some(())).await;
        hanging
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_does_not_answer_holds_up_nobody() {
    let world = Arc::new(World::new().await);
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", silent.local_addr().unwrap());
    overtakes(&world, async |cname: String| {
        let mut client = world.client();
        client["storageConfig"]["extensionParams"]["endpoint"] = json!(endpoint);
        let hanging = start(&world, &cname, client).await;
        // The probe is on its way, and stays there.
        std::mem::forget(silent.accept().await.unwrap());
        hanging
    })
    .await;
}

/// Whether a start is answered while one that hangs is not.
async fn overtakes(world: &Arc<World>, hang: impl AsyncFn(String) -> Hanging) {
    for round in 0..ROUNDS {
        let resource = world.acquire(&format!("quick{round}"), "1").await;
        let hanging = hang(format!("slow{round}")).await;
        let quick = world.start(&resource, "mix", &format!("quick{round}"), "1", &world.client()).await;
        assert_eq!(quick.status, StatusCode::OK, "{}", quick.body);
        if !hanging.0.is_finished() {
            return;
        }
    }
    panic!("each start waited for the one before");
}

/// Begins a start, and does not wait for it.
async fn start(world: &Arc<World>, cname: &str, client: Value) -> Hanging {
    let resource = world.acquire(cname, "1").await;
    let (world, cname) = (Arc::clone(world), cname.to_owned());
    Hanging(tokio::spawn(async move { world.start(&resource, "mix", &cname, "1", &client).await }))
}

async fn is_starting(world: &World, cname: &str) -> bool {
    let listed = world.get(&format!("/v1/apps/{APP}/recordings?cname={cname}")).await.body;
    let listed = listed["recordings"].as_array().unwrap();
    listed.iter().any(|recording| recording["state"] == "starting")
}
