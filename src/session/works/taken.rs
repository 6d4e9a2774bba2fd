//! A name that is taken: the bucket holds another object there than the recording made, and nothing is put over it.
//!
//! Of a media object the bucket's one counts: it was confirmed before, or it is somebody else's, and in both cases it stays. A playlist or a
//! document, which only a write-once bucket refuses, counts as settled with the text that is there. Event 2 says so each time.

use super::Works;
use crate::callback::event::{self, Module};
use crate::session::objects::Stored;
use crate::session::publication::Change;
use crate::session::upload::RE_UPLOAD;
use crate::storage::{Held, ObjectKind, SpoolError, SpooledObject};
use crate::store::NewEvent;

/// What is said of a name that is taken; `key` is the whole one.
pub(in crate::session) fn name_taken(key: &str) -> NewEvent {
    let said = event::warning(Module::Uploader, RE_UPLOAD).with("state", "name_taken");
    said.with("reason", "bucket_taken").with("fileName", key)
}

impl Works {
    /// Goes on with what the bucket holds.
    pub(super) async fn name_is_taken(&mut self, object: SpooledObject, held: Option<Held>) -> Result<(), SpoolError> {
        let (name, kind) = (object.name.clone(), object.kind);
        tracing::warn!(sid = %self.desk.plan.sid, name, ?held, "the bucket holds another object of this name, which stays");
        if let Some(Held { size, sha256: Some(sha256), .. }) = held {
            self.objects.insert(name.clone(), Stored { kind, size, sha256 });
        }
        let place = self.publication.place_of(&name);
        let change = match (kind, self.publication.playlist_named(&name)) {
            (ObjectKind::Playlist, Some(playlist)) => self.publication.playlist_kept(&playlist),
            (ObjectKind::Playlist | ObjectKind::Document, _) => Change::default(),
            _ => {
                self.unconfirmed.remove(&name);
                self.publication.stored(&name)
            }
        };
        self.queue.let_go(object);
        self.say(vec![name_taken(&self.desk.plan.key(&name))]).await;
        self.react(change).await?;
        self.came_home(place);
        self.refresh();
        Ok(())
    }
}
