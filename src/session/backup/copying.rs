//! What was handed over to a second bucket while it is used, and how far it is.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use super::{Backup, Place, Text};
use crate::recording::PlaylistId;
use crate::session::publication::CopyText;
use crate::storage::{ObjectKind, SpooledObject};

impl Backup {
    /// How many segments each playlist has when the use begins: no text is given out that lists fewer, because an earlier run of the
    /// worker may have given out one that listed them.
    pub(in crate::session) fn expect(&mut self, made: BTreeMap<PlaylistId, usize>) {
        if let Some(using) = &mut self.using {
            let text = |made: usize| Text { segments: made.saturating_sub(1), ..Text::default() };
            using.texts = made.into_iter().map(|(playlist, made)| (playlist, text(made))).collect();
        }
    }

    /// Copies a spooled object; `place` is where a media file belongs.
    pub(in crate::session) fn copy(&mut self, object: &SpooledObject, place: Option<Place>) {
        if let Some(using) = &mut self.using {
            using.handed.insert(object.name.clone(), place);
            using.drained = false;
            using.queue.copy(object);
        }
    }

    /// Whether a playlist's init segment, called `name`, is neither there nor on its way.
    pub(in crate::session) fn needs_init(&self, playlist: &PlaylistId, name: &str) -> bool {
        let on_its_way = self.using.as_ref().is_none_or(|using| using.handed.contains_key(name));
        !on_its_way && !self.index.has_init(playlist)
    }

    /// Puts an init segment there that is not in the spool.
    pub(in crate::session) fn put_init(&mut self, playlist: &PlaylistId, name: &str, bytes: Bytes) {
        if let Some(using) = &mut self.using {
            using.handed.insert(name.to_owned(), Some((playlist.clone(), None)));
            using.drained = false;
            using.queue.put(name, ObjectKind::Init, bytes);
        }
    }

    /// An object that was handed over is there, or needed there no more; where it belongs, if it is a media file.
    pub(in crate::session) fn settle(&mut self, name: &str) -> Option<Place> {
        self.using.as_mut()?.handed.remove(name)?
    }

    /// Another object has the name there, and stays.
    pub(in crate::session) fn let_go(&self, object: SpooledObject) {
        if let Some(using) = &self.using {
            using.queue.let_go(object);
        }
    }

    /// A media file is there for sure.
    pub(in crate::session) fn holds_now(&mut self, place: &Place) {
        self.index.put(place);
    }

    /// The segments of a playlist from this place on are others now: what of them is there, or on its way, is in no text any more.
    pub(in crate::session) fn forget_from(&mut self, playlist: &PlaylistId, place: usize) {
        self.index.forget_from(playlist, place);
        let handed = self.using.iter_mut().flat_map(|using| using.handed.values_mut());
        for belongs in handed {
            if belongs.as_ref().is_some_and(|(of, at)| of == playlist && at.is_some_and(|at| at >= place)) {
                *belongs = None;
            }
        }
    }

    /// The places of the segments that are there and what the last text told, if another can be put: the playlist's init segment is
    /// there, and no text is on its way.
    pub(in crate::session) fn ready_for_text(
        &self,
        playlist: &PlaylistId,
    ) -> Option<(&BTreeSet<usize>, (usize, bool))> {
        let using = self.using.as_ref().filter(|using| using.proof.is_none())?;
        let text = using.texts.get(playlist).copied().unwrap_or_default();
        let index = self.index.of(playlist).filter(|index| index.init && !text.on_its_way)?;
        Some((&index.segments, (text.segments, text.ended)))
    }

    /// Puts a text there; where it can be put once, the final one only.
    pub(in crate::session) fn put_text(&mut self, playlist: &PlaylistId, copy: CopyText) {
        if let Some(using) = &mut self.using {
            if using.bucket.abilities().write_once == Some(true) && !copy.ended {
                return;
            }
            let text = Text { segments: copy.segments, ended: copy.ended, on_its_way: true };
            using.texts.insert(playlist.clone(), text);
            using.drained = false;
            using.queue.put_playlist(&copy.name, copy.text.into());
        }
    }

    /// A playlist's text is there.
    pub(in crate::session) fn text_landed(&mut self, playlist: &PlaylistId) {
        if let Some(text) = self.using.as_mut().and_then(|using| using.texts.get_mut(playlist)) {
            text.on_its_way = false;
        }
    }

    /// Another text of a playlist is there, and stays: whether it is the final one nobody knows.
    pub(in crate::session) fn text_is_taken(&mut self, playlist: &PlaylistId) {
        if let Some(text) = self.using.as_mut().and_then(|using| using.texts.get_mut(playlist)) {
            (text.on_its_way, text.ended) = (false, false);
        }
    }

    /// Whether everything that was handed over is there for good, and the final text of each of these playlists.
    pub(in crate::session) fn holds<'a>(&self, mut playlists: impl Iterator<Item = &'a PlaylistId>) -> bool {
        self.using.as_ref().is_some_and(|using| {
            let ended = |playlist| using.texts.get(playlist).is_some_and(|text| text.ended);
            using.drained && using.is_quiet() && playlists.all(ended)
        })
    }
}
