use cloud_recorder::callback::{Dispatcher, event, signature};
use cloud_recorder::recording::{Mode, PlaylistId};
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
        |playlist| event::UploadedFile {
            file_name: "дорога/to \u{2028}/a.m3u8".into(), playlist, slice_start: now()
        };
    let news = [
        event::error(event::Module::Uploader, event::ErrorLevel::Major, 47, "отказ: \"no\"\n\u{7f}\u{1}"),
        event::warning(event::Module::Uploader, 31),
        event::status_update(5, Mode::Individual, ""),
        event::file_infos("p/a.m3u8"),
        event::session_exit(event::ExitStatus::Normal).with("verdict", "complete").with("42", 4.25),
        event::uploader_started(),
        event::uploaded(&[file(mix.clone()), file(individual.clone())]),
        event::uploading_progress(event::PROGRESS_COMPLETE),
        event::recorder_started(),
        event::recorder_leave(event::LeaveCode::Idle),
        event::recorder_slice_start(&mix, now(), WallMs(now().0 - 1)),
        event::recorder_slice_start(&individual, now(), now()),
        event::audio_stream_state(&uid, false, now()),
    ];
    let count = news.len();
    for new in news {
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
