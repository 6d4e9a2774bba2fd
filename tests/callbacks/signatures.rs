use cloud_recorder::callback::event::{
    ErrorCode, ErrorEvent, ErrorLevel, ExitStatus, LeaveCode, Module, PROGRESS_COMPLETE, RecordingEvent, StatusReason,
    UploadWarning, UploadedFile, Warning,
};
use cloud_recorder::callback::{Dispatcher, signature};
use cloud_recorder::recording::{Mode, PlaylistId, Verdict};
use cloud_recorder::store::Store;
use cloud_recorder::units::{Uid, WallMs};
use secrecy::SecretString;

use crate::node::Node;
use crate::receiver::Receiver;
use crate::world::{SECRET, app, append, new_session, now, settings, settled, start};

#[tokio::test]
async fn every_event_passes_the_check_over_raw_bytes_and_the_one_over_reprinted_json() {
    let receiver = Receiver::scripted(&[]).await;
    let app = app('a');
    let store = Store::in_memory().await.unwrap();
    let sid = start(&store, &new_session(&app, 1)).await;
    let uid = Uid::new("комната \"1\"/\\ 🎙").unwrap();
    let (mix, individual) = (PlaylistId::Mix, PlaylistId::Individual(uid.clone()));
    let file =
        |playlist| UploadedFile { file_name: "дорога/to \u{2028}/a.m3u8".into(), playlist, slice_start: now() };
    let refused = "отказ: \"no\"\n\u{7f}\u{1}";
    let refused = ErrorEvent::new(Module::Uploader, ErrorLevel::Major, ErrorCode::UploadFailed, refused);
    let slice = |playlist, discontinue| RecordingEvent::RecorderSliceStart { playlist, start: now(), discontinue };
    let (verdict, end_reason) = (Some(Verdict::Complete), Some("stopped"));
    let delivery = [
        RecordingEvent::Error(refused).encode(),
        RecordingEvent::Warning(Warning::Upload(UploadWarning::Retrying { reason: "bucket_busy", waiting: None }))
            .encode(),
        RecordingEvent::StatusUpdate {
            status: 5,
            mode: Mode::Individual,
            file_list: String::new(),
            why: StatusReason::Notes(Vec::new()),
        }
        .encode(),
        RecordingEvent::FileInfos { file_list: "p/a.m3u8".into() }.encode(),
        RecordingEvent::SessionExit { status: ExitStatus::Normal, verdict, end_reason }.encode().with("42", 4.25),
        RecordingEvent::UploaderStarted.encode(),
        RecordingEvent::Uploaded { files: vec![file(mix.clone()), file(individual.clone())], verdict: None }.encode(),
        RecordingEvent::UploadingProgress(PROGRESS_COMPLETE).encode(),
        RecordingEvent::RecorderStarted.encode(),
        RecordingEvent::RecorderLeave(LeaveCode::Idle).encode(),
        slice(mix, WallMs(now().0 - 1)).encode(),
        slice(individual, now()).encode(),
        RecordingEvent::AudioStreamState { uid, receiving: false, at: now() }.encode(),
    ];
    let count = delivery.len();
    for new in delivery {
        append(&store, &sid, new).await;
    }
    let _dispatcher = Dispatcher::spawn(store.clone(), settings(&[(&app, &receiver.url)])).unwrap();
    settled(&store, std::slice::from_ref(&sid)).await;

    let secret = SecretString::from(SECRET);
    let mut node = Node::start(SECRET);
    let heard = receiver.heard(sid.as_str());
    assert_eq!(heard.len(), count);
    for attempt in heard {
        let header = |name| attempt.headers[name].to_str().unwrap().to_owned();
        assert_eq!(header(signature::HEADER_V1), signature::v1(&secret, &attempt.body));
        assert_eq!(header(signature::HEADER_V2), signature::v2(&secret, &attempt.body));
        let reading = node.read(std::str::from_utf8(&attempt.body).unwrap());
        assert_eq!(reading.again.as_bytes(), attempt.body);
        assert_eq!((header(signature::HEADER_V1), header(signature::HEADER_V2)), (reading.v1, reading.v2));
        assert_eq!(attempt.json["sid"], attempt.json["payload"]["sid"]);
    }
}
