//! Sessions that nobody had to live through: copies of a real one in the store and in the journal of a worker that is not running.

use std::collections::BTreeSet;

use cloud_recorder::clock;
use cloud_recorder::recording::{Input, Packet, Spec, TimedInput, TrackKind};
use cloud_recorder::session::ResourceId;
use cloud_recorder::storage::journal::{Record, Writer};
use cloud_recorder::store::{Attempt, Binding, NewEvent, NewResource, NewSession, SessionRow, SessionUpdate, Store};
use cloud_recorder::units::{AppId, Cname, Sid, Ssrc, Ticks, TrackId, Uid, WallMs};
use serde_json::Value;

use crate::rest::Task;
use crate::sound_check::{FRAME_MS, Voice};
use crate::test_env::{APP, TestEnv};

/// Hours for which a copy's resource can be used.
const HOURS: u16 = 72;

/// A stopped worker's store and log.
pub(crate) struct SessionCopies {
    store: Store,
    log: Writer,
    spec: Spec,
}

impl SessionCopies {
    /// Of a worker that is dead now and was recording `open` when it died.
    pub(crate) async fn at(test_env: &TestEnv, open: &Task) -> Self {
        let store = Store::open(&test_env.data.join("recorder.db")).await.unwrap();
        let log = Writer::open(test_env.data.join("journal")).unwrap();
        let sid = Sid::new(&open.sid).unwrap();
        let started = log.inherited(&BTreeSet::from([sid])).find_map(|record| match record {
            Ok(Record::Started { spec }) => Some(spec),
            _ => None,
        });
        Self { store, log, spec: started.expect("the log holds the recording's start") }
    }

    /// A copy of a session that is over, with its log; everything was delivered.
    pub(crate) async fn finished(&self, model: &Task, number: usize) {
        let row = self.row(model).await;
        let task = self.bind(&row, number, "finished").await;
        let sid = Sid::new(&task.sid).unwrap();
        let summary = row.summary.as_ref().map(|summary| renamed(summary, &row, &task));
        let update = SessionUpdate { state: Some(row.state), ended: row.ended, summary, ..SessionUpdate::default() };
        self.tell(&row, &task, &update).await;
        for event in self.store.events(&sid, None, 1000).await.unwrap() {
            let attempt = Attempt { at: clock::now(), took_ms: 1, status: Some(200), error: None };
            self.store.mark_delivered(&event, &attempt, clock::now()).await.unwrap();
        }
    }

    /// A copy of a session that was being recorded when the worker died, with this much sound of one member in the log.
    pub(crate) async fn open(&self, model: &Task, number: usize, seconds: u64) -> Task {
        let row = self.row(model).await;
        let task = self.bind(&row, number, "open").await;
        let start = WallMs(clock::now().0 - seconds * 1000 - 500);
        let summary = row.summary.as_ref().map(|summary| renamed(summary, &row, &task));
        let update = SessionUpdate { state: Some(row.state), summary, ..SessionUpdate::default() };
        self.tell(&row, &task, &update).await;
        let (sid, cname) = (Sid::new(&task.sid).unwrap(), Cname::new(&task.room).unwrap());
        self.log
            .append(&Record::Started { spec: Spec { sid: sid.clone(), cname, start, ..self.spec.clone() } })
            .unwrap();
        let (uid, track) = (Uid::new(Voice::Tone.uid()).unwrap(), TrackId(1));
        let log = |at: Ticks, input: Input| {
            self.log.append(&Record::Input { sid: sid.clone(), input: TimedInput { at, input } }).unwrap();
        };
        log(Ticks::ZERO, Input::Joined { uid: uid.clone() });
        log(Ticks::ZERO, Input::TrackAdded { track, uid, muted: false, kind: TrackKind::default() });
        for frame in 0..seconds * 1000 / FRAME_MS {
            let packet = Packet {
                track,
                ssrc: Ssrc(7),
                sequence: frame as u16,
                timestamp: (frame * 960) as u32,
                marker: frame == 0,
                level: None,
                payload: Voice::Tone.packet(frame).unwrap(),
            };
            log(Ticks::from_ms((frame + 1) * FRAME_MS), Input::Packet(packet));
        }
        self.log.flush().await.unwrap();
        task
    }

    /// Everything is on the disk.
    pub(crate) async fn close(self) {
        self.log.flush().await.unwrap();
        self.store.close().await;
    }

    async fn row(&self, task: &Task) -> SessionRow {
        self.store.session_get(&Sid::new(&task.sid).unwrap()).await.unwrap().unwrap()
    }

    /// Makes the copy's resource and binds it.
    async fn bind(&self, row: &SessionRow, number: usize, kind: &str) -> Task {
        let sid = Sid::from_random(rand::random());
        let task = Task {
            room: format!("{kind}{number}"),
            uid: row.session.uid.as_str().to_owned(),
            resource: ResourceId::from_random(rand::random()).as_str().to_owned(),
            sid: sid.as_str().to_owned(),
            mode: "mix",
        };
        let resource = NewResource {
            id: task.resource.clone(),
            app: AppId::new(APP).unwrap(),
            cname: Cname::new(&task.room).unwrap(),
            uid: row.session.uid.clone(),
            expired_hours: HOURS,
            start_parameter: None,
        };
        self.store.resource_create(&resource, clock::now()).await.unwrap();
        let session = NewSession {
            sid,
            cname: resource.cname,
            resource: task.resource.clone(),
            request: renamed(&row.session.request, row, &task),
            ..row.session.clone()
        };
        assert_eq!(self.store.resource_bind(&session, [1; 32], clock::now()).await.unwrap(), Binding::Bound);
        task
    }

    /// Writes the model's log as the copy's.
    async fn tell(&self, row: &SessionRow, task: &Task, update: &SessionUpdate) {
        let events = self.store.events(&row.session.sid, None, 1000).await.unwrap();
        let events = events.into_iter().map(|event| NewEvent {
            event_type: event.event_type,
            service_type: event.service_type,
            details: renamed(&serde_json::from_str(&event.details).unwrap(), row, task),
        });
        let sid = Sid::new(&task.sid).unwrap();
        self.store.append_events(&sid, update, events.collect(), clock::now()).await.unwrap();
    }
}

/// What is said of the model, said of the copy.
fn renamed(value: &Value, row: &SessionRow, task: &Task) -> Value {
    let quoted = |text: &str| format!("\"{text}\"");
    let text = value.to_string();
    let text = text.replace(&format!("_{}", row.session.cname.as_str()), &format!("_{}", task.room));
    let text = text.replace(row.session.sid.as_str(), &task.sid).replace(&row.session.resource, &task.resource);
    serde_json::from_str(&text.replace(&quoted(row.session.cname.as_str()), &quoted(&task.room))).unwrap()
}
