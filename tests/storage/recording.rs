//! What a session gives to its upload, in small.

use bytes::Bytes;
use cloud_recorder::storage::{ObjectKind, SessionSpool, UploadQueue};

/// Everything that must be in the bucket at the end: name and bytes.
pub(crate) type Objects = Vec<(String, Bytes)>;

/// Spools and submits a recording with `playlists` playlists of `segments` segments each, as a session does: each segment, then
/// the playlist that names it; at the end the closed playlists and a manifest.
pub(crate) async fn make(queue: &UploadQueue, spool: &SessionSpool, playlists: usize, segments: usize) -> Objects {
    let mut objects = Objects::new();
    let mut lists = vec![String::from("#EXTM3U\n"); playlists];
    for segment in 0..segments {
        for (number, list) in lists.iter_mut().enumerate() {
            let name = format!("s{number}_{segment}.m4s");
            let bytes = Bytes::from(format!("{name} ").repeat(200));
            submit(queue, spool, &name, ObjectKind::Segment, bytes.clone()).await;
            objects.push((name.clone(), bytes));
            list.push_str(&format!("#EXTINF:6.0,\n{name}\n"));
            let bytes = Bytes::from(list.clone());
            submit(queue, spool, &format!("s{number}.m3u8"), ObjectKind::Playlist, bytes).await;
        }
    }
    for (number, list) in lists.iter().enumerate() {
        let (name, bytes) = (format!("s{number}.m3u8"), Bytes::from(format!("{list}#EXT-X-ENDLIST\n")));
        submit(queue, spool, &name, ObjectKind::Playlist, bytes.clone()).await;
        objects.push((name, bytes));
    }
    let manifest = (String::from("s_manifest.json"), Bytes::from_static(b"{}"));
    submit(queue, spool, &manifest.0, ObjectKind::Document, manifest.1.clone()).await;
    objects.push(manifest);
    objects
}

pub(crate) async fn submit(queue: &UploadQueue, spool: &SessionSpool, name: &str, kind: ObjectKind, bytes: Bytes) {
    queue.submit(spool.put(name, kind, bytes).await.unwrap());
}

/// Fails unless the bucket holds exactly `objects` under the test destination's prefix.
pub(crate) async fn assert_bucket_holds(client: &aws_sdk_s3::Client, bucket: &str, objects: &Objects) {
    let mut held = 0;
    let mut pages = client.list_objects_v2().bucket(bucket).into_paginator().send();
    while let Some(page) = pages.next().await {
        held += page.unwrap().contents().len();
    }
    assert_eq!(held, objects.len());
    for (name, bytes) in objects {
        let get = client.get_object().bucket(bucket).key(format!("recordings/room_1/{name}")).send().await.unwrap();
        assert_eq!(get.body.collect().await.unwrap().into_bytes(), bytes, "{name}");
    }
}
