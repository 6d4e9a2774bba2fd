//! `cloud-recorder demo`: everything in one process. Three talkers join over real WebRTC, the demo calls its own REST API over
//! HTTP, records a mix and individual tracks, receives the callbacks, and then checks what lies in the bucket.

mod checks;
mod cost;
mod receiver;
mod rest;
mod show;
mod sound;
mod talkers;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use cpu_time::ProcessTime;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};
use url::Url;

use self::checks::Check;
use self::cost::Cost;
use self::receiver::Receiver;
use self::rest::{Rest, Started};
use self::talkers::{Talked, VOICES};
use super::output;
use super::serve::{Signals, Worker, development};
use crate::channel_server::token::{MintLiveKit, mint_livekit};
use crate::clock;
use crate::config::{Config, LogFormat, PrivateUrl};
use crate::units::{Cname, EventType, Uid, WallMs};

/// The channel that the demo talks in.
const CNAME: &str = "demo";

/// How long after a stop its last event may take.
const END_TIMEOUT: Duration = Duration::from_secs(60);

/// Events that belong to a good recording (docs/protocol/agora.md section 5.1): in every mode the same.
const SCRIPT: [EventType; 9] = [
    EventType::RecorderStarted,
    EventType::UploaderStarted,
    EventType::AudioStreamState,
    EventType::RecorderSliceStart,
    EventType::FileInfos,
    EventType::UploadingProgress,
    EventType::RecorderLeave,
    EventType::Uploaded,
    EventType::SessionExit,
];

/// Arguments of `demo`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// How long the three talk, in seconds
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(12..=3600))]
    seconds: u32,
    /// Where bucket, journal and database lie afterwards
    #[arg(long, value_name = "DIR", default_value = "demo-out")]
    out: PathBuf,
    /// Serve on when the checks are done, so that you can listen
    #[arg(long)]
    keep: bool,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    super::serve::runtime(LogFormat::Text)?.block_on(demo(args))
}

async fn demo(args: &Args) -> anyhow::Result<ExitCode> {
    let callback_secret = SecretString::from(format!("{:032x}", rand::random::<u128>()));
    let receiver = Receiver::spawn(callback_secret.clone()).await?;
    let config = config(args, &receiver, &callback_secret)?;
    let worker = Worker::start(config.clone(), true).await?;
    let stage = DemoServers::new(&config, &worker, receiver)?;
    let result = stage.play(args).await?;
    let printed = if args.json {
        output::line(format_args!("{:#}", serde_json::to_value(&result)?))
    } else {
        show::print(&result)
    };
    if args.keep {
        output::error(format_args!("\nServing on at {} until Ctrl-C; try {}room", stage.base, stage.base));
        Signals::listen()?.next().await;
    }
    worker.stop().await;
    printed?;
    Ok(if result.passed() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The development configuration on free ports, with the demo's own callback receiver.
fn config(args: &Args, receiver: &Receiver, secret: &SecretString) -> anyhow::Result<Config> {
    let mut config = Config::parse(&development::text(&args.out, &mut rand::rng()), std::iter::empty())?;
    config.server.listen.set_port(0);
    config.channel_server.udp_listen = SocketAddr::from(([127, 0, 0, 1], 0));
    config.bucket.listen.set_port(0);
    let app = config.apps.first_mut().context("the development configuration has an app")?;
    app.callback_url = Some(PrivateUrl(Url::parse(&format!("http://{}/", receiver.address))?));
    app.callback_secret = Some(secret.clone());
    app.storage = None;
    config.server.capture_dir = Some(args.out.join("captures"));
    Ok(config)
}

/// The running worker as its callers see it.
struct DemoServers {
    base: Url,
    bucket: Url,
    storage: Value,
    rest: Rest,
    cname: Cname,
    api_key: String,
    api_secret: SecretString,
    receiver: Receiver,
}

impl DemoServers {
    fn new(config: &Config, worker: &Worker, receiver: Receiver) -> anyhow::Result<Self> {
        let base = Url::parse(&format!("http://{}/", worker.http))?;
        let endpoint = worker.bucket.context("the development configuration has a bucket")?;
        let app = config.apps.first().context("the development configuration has an app")?;
        let secret = config.bucket.secret_key.clone().context("the development bucket has a secret")?;
        let storage = json!({
            "vendor": 11, "region": 0, "bucket": config.bucket.name, "accessKey": config.bucket.access_key,
            "secretKey": secret.expose_secret(), "fileNamePrefix": ["demo"],
            "extensionParams": { "endpoint": format!("http://{endpoint}") },
        });
        let password = app.customer_secret.clone().context("the development app has a plain REST secret")?;
        let rest = Rest::new(base.clone(), app.id.clone(), app.customer_id.clone(), password);
        Ok(Self {
            bucket: Url::parse(&format!("http://{endpoint}/{}/", config.bucket.name))?,
            base,
            storage,
            rest,
            cname: Cname::new(CNAME)?,
            api_key: app.id.as_str().to_owned(),
            api_secret: app.certificate.clone().context("the development app has a certificate")?,
            receiver,
        })
    }

    /// The whole demo, from the first talker to the last check.
    async fn play(&self, args: &Args) -> anyhow::Result<show::Outcome> {
        let length = Duration::from_secs(args.seconds.into());
        let (begin, process) = (Instant::now(), ProcessTime::now());
        let mut talking = JoinSet::new();
        let plan = [(Duration::ZERO, length), (length / 4, length), (Duration::ZERO, length * 2 / 3)];
        for (voice, (from, to)) in VOICES.into_iter().zip(plan) {
            let token = self.token(voice.uid)?;
            talking.spawn(voice.talk(self.base.to_string(), token, begin + from, begin + to));
        }
        let mix = self.start("900001", "mix").await?;
        let individual = self.start("900002", "individual").await?;
        self.progress(&mix.started, begin, length).await;
        let mix = self.stop(mix).await?;
        let individual = self.stop(individual).await?;
        let mut talked = Vec::new();
        while let Some(done) = talking.join_next().await {
            talked.push(done.context("a talker stopped short")??);
        }
        let capture = args.out.join("captures").join(format!("{}.journal", mix.running.started.sid));
        let cost = cost::measure(&capture, process, begin.elapsed().as_secs_f64())?;
        self.check(&mix, &individual, &talked, args, cost).await
    }

    fn token(&self, uid: &str) -> anyhow::Result<SecretString> {
        let mint = MintLiveKit {
            key: &self.api_key,
            app: None,
            room: &self.cname,
            identity: &Uid::new(uid)?,
            publish: true,
            now: clock::now(),
            lifetime: 24 * 3600,
        };
        Ok(mint_livekit(mint, &self.api_secret).into())
    }

    async fn start(&self, uid: &'static str, mode: &'static str) -> anyhow::Result<Running> {
        let started = self.rest.start(&self.cname, uid, mode, &self.storage).await?;
        output::error(format_args!("{mode}: recording {} has started", started.sid));
        Ok(Running { started, answered: clock::now() })
    }

    /// Says every two seconds what the API says.
    async fn progress(&self, started: &Started, begin: Instant, length: Duration) {
        let mut next = begin + Duration::from_secs(2);
        while next < begin + length {
            sleep_until(next).await;
            next += Duration::from_secs(2);
            match self.rest.query(started).await {
                Ok(answer) => output::error(format_args!(
                    "{:>4.0} s  mix: status {}, {}",
                    begin.elapsed().as_secs_f64(),
                    answer["serverResponse"]["status"],
                    show::stored(&answer["serverResponse"]),
                )),
                Err(error) => output::error(format_args!("{:>4.0} s  {error:#}", begin.elapsed().as_secs_f64())),
            }
        }
        sleep_until(begin + length).await;
    }

    async fn stop(&self, running: Running) -> anyhow::Result<Stopped> {
        let called = clock::now();
        self.rest.stop(&self.cname, &running.started).await?;
        let answered = clock::now();
        let exit = self.receiver.wait_for(&running.started.sid, EventType::SessionExit, END_TIMEOUT).await;
        let exit_after = exit.map(|exit| exit.payload.sendts.saturating_sub(called.0));
        Ok(Stopped { running, called, answered, exit_after })
    }

    async fn check(
        &self,
        mix: &Stopped,
        individual: &Stopped,
        talked: &[Talked],
        args: &Args,
        cost: Cost,
    ) -> anyhow::Result<show::Outcome> {
        let mut checks = Vec::new();
        let mut playlists = Vec::new();
        for (name, stopped) in [("mix", mix), ("individual", individual)] {
            let callbacks = self.receiver.of(&stopped.running.started.sid);
            checks.extend(checks::callbacks(name, &callbacks, &SCRIPT));
            let manifest = self.manifest(stopped).await?;
            checks.push(checks::ledger(name, &manifest));
            for key in manifest["playlists"].as_array().map(Vec::as_slice).unwrap_or_default() {
                let url = self.bucket.join(key.as_str().context("a playlist's key is text")?)?.to_string();
                let (name, expected) = expected(name, &url, talked);
                let listened = match checks::listen(&url).await {
                    Ok(listened) => listened,
                    Err(error) => {
                        checks.push(Check::new(format!("{name}: can be listened to"), false, format!("{error:#}")));
                        continue;
                    }
                };
                checks.extend(listened.whole(&name, stopped.called, stopped.answered));
                checks.extend(listened.voices(&name, &expected));
                checks.push(listened.level(&name));
                playlists.push(listened.url);
            }
        }
        checks.push(Check::new("four playlists", playlists.len() == 4, format!("{}", playlists.len())));
        let refused = self.receiver.refused();
        checks.push(Check::new("every callback signed both ways", refused == 0, format!("{refused} refused")));
        let first_audio = self.first_audio(mix);
        Ok(show::Outcome {
            checks,
            playlists,
            folder: args.out.display().to_string(),
            first_audio_ms: first_audio,
            cost,
            stop_to_exit_ms: [mix.exit_after, individual.exit_after],
        })
    }

    /// Milliseconds from the answer to start until the first audio is on the timeline.
    fn first_audio(&self, stopped: &Stopped) -> Option<i64> {
        let callbacks = self.receiver.of(&stopped.running.started.sid);
        let first = callbacks.iter().find(|callback| {
            callback.is(EventType::AudioStreamState) && callback.payload.details["state"].as_i64() == Some(0)
        })?;
        let details = &first.payload.details;
        let at = details["UtcMs"].as_i64().or_else(|| details["utcMs"].as_i64())?;
        Some(at - i64::try_from(stopped.running.answered.0).ok()?)
    }

    async fn manifest(&self, stopped: &Stopped) -> anyhow::Result<Value> {
        let name = crate::codec::names::manifest_name(&stopped.running.started.sid, &self.cname);
        let url = self.bucket.join(&format!("demo/{name}"))?;
        let answer = reqwest::get(url).await?.error_for_status().context("the manifest can't be read")?;
        Ok(answer.json().await?)
    }
}

/// Who should be heard in a playlist, and what it is called in the table.
fn expected(name: &str, url: &str, talked: &[Talked]) -> (String, Vec<Talked>) {
    let alone = talked.iter().find(|talked| url.contains(&format!("__uid_s_{}__uid_e_", talked.voice.uid)));
    match alone {
        Some(alone) => (alone.voice.name.to_owned(), vec![*alone]),
        None => (name.to_owned(), talked.to_vec()),
    }
}

struct Running {
    started: Started,
    answered: WallMs,
}

struct Stopped {
    running: Running,
    called: WallMs,
    answered: WallMs,
    exit_after: Option<u64>,
}
