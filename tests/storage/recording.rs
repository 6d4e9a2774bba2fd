//! What a session gives to its upload, in small.

use bytes::Bytes;
use cloud_recorder::storage::{ObjectKind, SessionSpool, UploadQueue};

/// Everything that must be in the bucket at the end: name and bytes.
pub(crate) type Objects = Vec<(String, Bytes)>;

/// A recording with some playlists, made as a session makes it: each segment, then the playlist that names it; at the end the
/// closed playlists and a manifest.
pub(crate) struct Recording {
    queue: UploadQueue,
    spool: SessionSpool,
    lists: Vec<String>,
    segments: usize,
    objects: Objects,
}

impl Recording {
    pub(crate) fn new(queue: &UploadQueue, spool: &SessionSpool, playlists: usize) -> Self {
        let lists = vec![String::from("#EXTM3U\n"); playlists];
        Self { queue: queue.clone(), spool: spool.clone(), lists, segments: 0, objects: Objects::new() }
    }

    /// So many segments more in each playlist.
    pub(crate) async fn go_on(&mut self, segments: usize) {
        for _ in 0..segments {
            for (number, list) in self.lists.iter_mut().enumerate() {
                let name = format!("s{number}_{}.m4s", self.segments);
                let bytes = Bytes::from(format!("{name} ").repeat(200));
                submit(&self.queue, &self.spool, &name, ObjectKind::Segment, bytes.clone()).await;
                self.objects.push((name.clone(), bytes));
                list.push_str(&format!("#EXTINF:6.0,\n{name}\n"));
                let bytes = Bytes::from(list.clone());
                submit(&self.queue, &self.spool, &format!("s{number}.m3u8"), ObjectKind::Playlist, bytes).await;
            }
            self.segments += 1;
        }
    }

    /// Closes it; what the bucket must hold.
    pub(crate) async fn finish(mut self) -> Objects {
        for (number, list) in self.lists.iter().enumerate() {
            let (name, bytes) = (format!("s{number}.m3u8"), Bytes::from(format!("{list}#EXT-X-ENDLIST\n")));
            submit(&self.queue, &self.spool, &name, ObjectKind::Playlist, bytes.clone()).await;
            self.objects.push((name, bytes));
        }
        let manifest = (String::from("s_manifest.json"), Bytes::from_static(b"{}"));
        submit(&self.queue, &self.spool, &manifest.0, ObjectKind::Document, manifest.1.clone()).await;
        self.objects.push(manifest);
        self.objects
    }
}

/// A whole recording at once.
pub(crate) async fn make(queue: &UploadQueue, spool: &SessionSpool, playlists: usize, segments: usize) -> Objects {
    let mut recording = Recording::new(queue, spool, playlists);
    recording.go_on(segments).await;
    recording.finish().await
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
