//! Start: check, prove the destination, bind the resource, send the bot in.

use std::sync::Arc;

use tokio::sync::{oneshot, watch};
use tokio::time::timeout;

use super::actor::{Actor, State as Begin};
use super::command::Commands;
use super::endpoint;
use super::inner::Inner;
use super::input_log::InputLog;
use super::live::Joining;
use super::plan::{InitName, Plan};
use super::registry::{ENTER_TIMEOUT, Entry, Listed, Reservation};
use super::sealed;
use super::sessions::Sessions;
use super::{AppSettings, Error, Note, Once, Report, RequestHash, StartRequest, State};
use crate::channel::JoinError;
use crate::codec::container::Container;
use crate::codec::whole::FileType;
use crate::storage::{Bucket, Destination, vendor};
use crate::store::{Binding, CallKey, NewSession, Sealed, SessionState, SessionUpdate};
use crate::units::Sid;

impl Sessions {
    /// Starts a recording. Answers when the bot is in the channel, or after 2 s while it still tries.
    ///
    /// The same request again answers with the same recording; also when the first call is not answered yet, or its caller
    /// went away: a start that was begun is finished. With the same key it may come on another resource.
    pub async fn start(&self, request: StartRequest, once: Option<Once>) -> Result<Report, Error> {
        let inner = Arc::clone(&self.0);
        let begun = self.0.tasks.spawn(async move { start(inner, request, once.map(Once::into_key)).await });
        begun.await.map_err(|error| Error::Worker(error.to_string()))?
    }
}

/// Once, where there is a key.
async fn start(inner: Arc<Inner>, request: StartRequest, key: Option<CallKey>) -> Result<Report, Error> {
    let Some(key) = key else { return attempt(inner, request, None).await };
    let app = request.app.clone();
    if let Some(report) = inner.started_before(&app, &key).await? {
        return Ok(report);
    }
    match attempt(Arc::clone(&inner), request, Some(&key)).await {
        // Another start with this key may have been quicker, and be what stands in the way of this one.
        Err(refusal) => inner.started_before(&app, &key).await?.ok_or(refusal),
        started => started,
    }
}

async fn attempt(inner: Arc<Inner>, request: StartRequest, key: Option<&CallKey>) -> Result<Report, Error> {
    let resource = inner.backing.store.resource_get(request.resource.as_str()).await?;
    let row = resource.ok_or(Error::UnknownResource)?;
    if row.resource.app != request.app {
        return Err(Error::ForeignResource);
    }
    if row.resource.cname != request.cname {
        return Err(Error::ResourceMismatch("cname"));
    }
    if row.resource.uid != request.uid {
        return Err(Error::ResourceMismatch("uid"));
    }
    if row.resource.start_parameter.is_some_and(|promised| promised != request.promised.0) {
        return Err(Error::PromiseBroken);
    }
    if row.bound.is_none() && row.start_expired(inner.now()) {
        return Err(Error::ResourceExpired);
    }
    let app = match &row.bound {
        None => {
            inner.check_worker().await?;
            inner.check_capacity(&request.app)?
        }
        Some(_) => inner.settings.apps.get(&request.app).ok_or(Error::ForeignResource)?,
    };
    container(app, &request)?;
    let token_until = match &request.options.token {
        Some(token) if row.bound.is_none() => app.channel.admits(token, &request.cname, &request.uid, inner.now())?,
        _ => None,
    };
    let destination = destination(app, &request).await?;
    let bucket = endpoint::connect(Some(app), &destination, inner.backing.uploader.destinations());
    if row.bound.is_none() {
        bucket.prove().await?;
    }
    let mut plan = Plan { token_until, ..plan(&inner, app, &request, &destination) };
    if plan.container == Container::Ts {
        // Now they are.
        plan.notes.retain(|note| *note != Note::NotTranscoded);
    }
    if bucket.abilities().write_once == Some(true) {
        plan.notes.push(Note::WrittenOnce);
    }
    let bound = bind(&inner, app, plan, bucket, request.identity, key, &destination).await;
    match bound? {
        Bound::New { entry, entered, resource } => new(&inner, &entry, entered, &resource).await,
        Bound::Again(entry) => already_running(&entry).await,
    }
}

/// What a resource is bound to now.
enum Bound {
    New { entry: Arc<Entry>, entered: oneshot::Receiver<Result<(), JoinError>>, resource: String },
    Again(Arc<Entry>),
}

/// Binds the resource and starts the task. The transaction decides who wins. Starts with one key, or on one resource, come one after
/// the other, so that each finds what the one before has done before it is refused for want of room.
async fn bind(
    inner: &Arc<Inner>,
    app: &AppSettings,
    plan: Plan,
    bucket: Bucket,
    identity: RequestHash,
    key: Option<&CallKey>,
    destination: &Destination,
) -> Result<Bound, Error> {
    let _key = match key {
        Some(key) => Some(inner.registry.turn(format!("key {} {}", plan.app, key.key)).await),
        None => None,
    };
    let _resource = inner.registry.turn(format!("resource {}", plan.resource)).await;
    let (report, seen) = watch::channel(plan.report());
    let (commands, event_dedup) = Commands::channel();
    let entry = Arc::new(Entry::new(plan.app.clone(), seen, commands));
    // Others may have begun while the destination was proven.
    let row = inner.backing.store.resource_get(&plan.resource).await?;
    let is_free = row.is_some_and(|row| row.bound.is_none());
    let reserved = if is_free { Some(inner.reserve(app, &plan.sid, &entry)?) } else { None };
    let new = NewSession {
        sid: plan.sid.clone(),
        app: plan.app.clone(),
        cname: plan.cname.clone(),
        uid: plan.uid.clone(),
        resource: plan.resource.clone(),
        mode: plan.mode,
        request: plan.to_value(),
        sealed: Some(sealed::seal(&inner.backing.sealer, destination, bucket.abilities())),
    };
    match inner.backing.store.resource_bind_once(&new, identity.0, key, inner.now()).await? {
        Binding::Bound => {
            inner.settings.metrics.recording_started();
            let resource = plan.resource.clone();
            let listed = reserved.and_then(Reservation::keep);
            let listed = listed.unwrap_or_else(|| inner.registry.insert(plan.sid.clone(), Arc::clone(&entry)));
            let entered = live(inner, app, plan, bucket, (report, event_dedup, listed)).await?;
            Ok(Bound::New { entry, entered, resource })
        }
        Binding::SameStart(sid) => inner.registry.get(&sid).map(Bound::Again).ok_or(Error::StartedAndOver(sid)),
        Binding::OtherStart(sid) => Err(inner.reject_call(&sid, Error::AlreadyStarted(sid.clone()))),
        Binding::Conflict(sid) => Err(inner.reject_call(&sid, Error::TaskConflict(sid.clone()))),
        Binding::Expired => Err(Error::ResourceExpired),
        Binding::UnknownResource => Err(Error::UnknownResource),
        Binding::SameKey(_) => Err(Error::StartFailed),
        Binding::OtherKey => Err(Error::KeyReused),
        Binding::TooManyKeys => Err(Error::TooManyKeys),
    }
}

/// Whether its segments can be packed as they are to be, and whole files made of them.
fn container(app: &AppSettings, request: &StartRequest) -> Result<(), Error> {
    let container = request.options.container.unwrap_or(app.container);
    if !container.is_offered() {
        let built =
            "clientRequest.recordingFileConfig.container is ts, and this worker was built without AAC; use fmp4";
        return Err(Error::Invalid(built.into()));
    }
    if container == Container::Ts && request.options.files.contains(&FileType::Ogg) {
        let ogg = "clientRequest.recordingFileConfig.avFileType holds \"ogg\", which holds Opus; beside container ts use \"mp4\"";
        return Err(Error::Invalid(ogg.into()));
    }
    Ok(())
}

/// Where the recording goes, if the app may write there.
async fn destination(app: &AppSettings, request: &StartRequest) -> Result<Destination, Error> {
    let Some(parts) = &request.options.storage else {
        let missing = "clientRequest.storageConfig is missing or empty, and the app has no default storage; send vendor, region, \
                       bucket, accessKey and secretKey";
        return app.storage.clone().ok_or_else(|| Error::Invalid(missing.into()));
    };
    let destination = vendor::destination(parts).map_err(|error| Error::Invalid(error.to_string()))?;
    if let Some(url) = destination.url().filter(|_| !app.private_endpoints) {
        let field = "clientRequest.storageConfig.extensionParams.endpoint";
        let refused = |problem| Error::Invalid(format!("{field} can't be used: {problem}"));
        endpoint::refuse_private(&url).await.map_err(refused)?;
    }
    Ok(destination)
}

fn plan(inner: &Inner, app: &AppSettings, request: &StartRequest, destination: &Destination) -> Plan {
    let options = &request.options;
    Plan {
        sid: Sid::from_random(rand::random()),
        app: request.app.clone(),
        cname: request.cname.clone(),
        uid: request.uid.clone(),
        resource: request.resource.as_str().to_owned(),
        mode: options.mode,
        profile: options.profile,
        selection: options.selection.clone(),
        segment: app.segment,
        idle: options.idle,
        files: options.files.clone(),
        listing: options.listing,
        notes: options.notes.clone(),
        prefix: destination.prefix.to_string(),
        created: inner.now(),
        token_until: None,
        init: InitName::M4s,
        live_playlist: options.live_playlist,
        container: options.container.unwrap_or(app.container),
    }
}

/// Starts the task, at the inner ends of what the list shows of it.
async fn live(
    inner: &Arc<Inner>,
    app: &AppSettings,
    plan: Plan,
    bucket: Bucket,
    (report, event_dedup, listed): (watch::Sender<Report>, Commands, Listed),
) -> Result<oneshot::Receiver<Result<(), JoinError>>, Error> {
    let context = match inner.context(plan.clone(), report) {
        Ok(context) => context,
        Err(error) => {
            let failed = SessionUpdate {
                state: Some(SessionState::Failed),
                ended: Some(inner.now()),
                sealed: Sealed::Forget,
                ..SessionUpdate::default()
            };
            inner.backing.store.session_update(&plan.sid, &failed).await?;
            inner.backing.store.resource_release(&plan.resource, &plan.sid).await?;
            return Err(error.into());
        }
    };
    let (enter, entered) = oneshot::channel();
    let input_log = InputLog::new(&plan, inner.backing.journal.clone(), inner.settings.capture.as_deref());
    let uploads = inner.backing.uploader.spawn(bucket, context.spool.clone());
    let joining = Joining::new(context, uploads, input_log, &app.channel, enter);
    // A bot lives no longer than the channel that it joined, and a recording is on the list until its task ends.
    let held = (listed, Arc::clone(&app.channel));
    inner.tasks.spawn(async move {
        let _held = held;
        // Only a replay fails.
        let _joined = Actor::new(Begin::Joining(Box::new(joining)), event_dedup).run().await;
    });
    Ok(entered)
}

/// Waits for the bot of a new recording. One that did not get in gives its resource back, so that the same request can be sent
/// again.
async fn new(
    inner: &Inner,
    entry: &Entry,
    entered: oneshot::Receiver<Result<(), JoinError>>,
    resource: &str,
) -> Result<Report, Error> {
    match timeout(ENTER_TIMEOUT, entered).await {
        Ok(Ok(Err(error))) => {
            inner.backing.store.resource_release(resource, &entry.report().sid).await?;
            Err(Error::Channel(error))
        }
        _ => Ok(entry.report()),
    }
}

/// The same start once more.
async fn already_running(entry: &Entry) -> Result<Report, Error> {
    let entered = timeout(ENTER_TIMEOUT, entry.wait(|state| state != State::Starting)).await;
    let report = entered.unwrap_or_else(|_| entry.report());
    if report.state.is_over() { Err(Error::StartedAndOver(report.sid)) } else { Ok(report) }
}
