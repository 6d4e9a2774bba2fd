//! Publishing: announced, live, muted, over.

use livekit_protocol::request_response::{Reason, Request};
use livekit_protocol::signal_response::Message;
use livekit_protocol::{
    AddTrackRequest, AudioTrackFeature, MuteTrackRequest, SimulcastCodecInfo, TrackInfo, TrackPublishedResponse,
    TrackSource, TrackSubscribed, TrackType, TrackUnpublishedResponse, UpdateLocalAudioTrack, encryption,
};

use super::member::{Member, Track};
use super::{Effect, Effects, Room, messages, send};
use crate::ids::{MemberId, TrackSid};
use crate::limits::MAX_TEXT_BYTES;
use crate::notices::RoomEvent;
use crate::peer::Sent;
use crate::quotas::{AppFull, QuotaPermit};
use crate::sdp::OpusParameters;
use crate::token::Grants;
use channel_client::peer::{Codec, MIME_TYPE_RED};

/// What the codec of a track is called that can't be taken.
const REFUSED_CODEC: &str = "audio/refused";

/// What a listener's connection has to call a track.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Label {
    /// `PA_…|TR_…`, or `PA_…|<stream>` for tracks that play in step.
    pub(crate) stream: String,
    /// `TR_…`
    pub(crate) track: String,
}

/// A track that is live from now on, and what follows from it.
#[derive(Debug)]
pub(crate) struct Started {
    pub(crate) sid: TrackSid,
    pub(crate) label: Label,
    pub(crate) effects: Effects,
}

/// A section of a publisher's description in which it sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sending<'a> {
    /// The section's media id.
    pub(crate) mid: &'a str,
    /// The client's own id of the track.
    pub(crate) cid: &'a str,
}

impl Room {
    /// A client announces a track. Its media may arrive before or after. `place` is the one among its app's tracks, if there is one.
    pub(crate) fn add_track(
        &mut self,
        id: &MemberId,
        request: AddTrackRequest,
        place: Result<QuotaPermit, AppFull>,
    ) -> Effects {
        let mut effects = Effects::new();
        let limit = self.limits.tracks_per_member;
        let Some(member) = self.member_mut(id) else { return effects };
        if let Some(known) = member.tracks.iter().find(|track| track.cid == request.cid) {
            send(&mut effects, id, published(known));
            return effects;
        }
        let allowed = match refusal(member, &request) {
            Some((reason, why)) => Err((reason, why.to_owned())),
            None if member.tracks.len() >= limit => {
                let why = format!("a member may have {limit} tracks at once; unpublish one");
                Err((Reason::LimitExceeded, why))
            }
            None => place.map_err(|full| (Reason::LimitExceeded, full.to_string())),
        };
        let place = match allowed {
            Ok(place) => place,
            Err((reason, why)) => {
                send(&mut effects, id, messages::response(0, reason, &why, Some(Request::AddTrack(request))));
                return effects;
            }
        };
        let sid = TrackSid::new();
        let info = track_info(&sid, &request);
        let track = Track { sid, cid: request.cid, info, live: false, heard: false, _place: place };
        send(&mut effects, id, published(&track));
        member.tracks.push(track);
        effects
    }

    /// The client's description sends the track that it calls `cid`: from here on others know of it, whether a packet has come or not.
    /// `None` when the track is not announced yet, or live already, or the description does not send it.
    pub(crate) fn start_track(&mut self, id: &MemberId, cid: &str, sent: &Sent) -> Option<Started> {
        sent.mid.as_ref()?;
        let member = self.member(id)?;
        let at = member.tracks.iter().position(|track| !track.live && track.cid == cid)?;
        self.start(id, at, cid, sent)
    }

    /// A later description of the client sends the live track that it calls `cid` in another codec, or its answer no longer takes it.
    /// `None` when nothing changes.
    pub(crate) fn recode(&mut self, id: &MemberId, cid: &str, sent: &Sent) -> Option<(TrackSid, Effects)> {
        sent.mid.as_ref()?;
        let track = self.member_mut(id)?.tracks.iter_mut().find(|track| track.live && track.cid == cid)?;
        let (sid, before) = (track.sid.clone(), track.info.mime_type.clone());
        name_sent(&mut track.info, sent);
        let changed = track.info.mime_type != before;
        let mut effects = Effects::new();
        if changed {
            self.send_member(id, &mut effects);
        }
        Some((sid, effects))
    }

    /// Media arrives that the client calls `cid`. Answers with the live track it belongs to, which may be started by it: the one
    /// of this id, or, for clients that rewrite ids, the only one that still waits.
    pub(crate) fn media(&mut self, id: &MemberId, cid: &str, sent: &Sent) -> Option<Result<TrackSid, Started>> {
        let member = self.member(id)?;
        if let Some(track) = member.live().find(|track| track.cid == cid) {
            return Some(Ok(track.sid.clone()));
        }
        let at = waiting(member, cid)?;
        self.start(id, at, cid, sent).map(Err)
    }

    fn start(&mut self, id: &MemberId, at: usize, cid: &str, sent: &Sent) -> Option<Started> {
        let mut effects = Effects::new();
        let before = self.counts();
        let member = self.member_mut(id)?;
        let uid = member.uid.clone();
        let track = member.tracks.get_mut(at)?;
        track.live = true;
        name_sent(&mut track.info, sent);
        cid.clone_into(&mut track.cid);
        if let Some(mid) = &sent.mid {
            mid.clone_into(&mut track.info.mid);
        }
        let sid = track.sid.clone();
        let label = label(id, track);
        self.send_member(id, &mut effects);
        self.record_counts(before, None, &mut effects);
        effects.push(Effect::News(RoomEvent::Published { uid }));
        let listeners = self.members.iter().filter(|member| member.id != *id && member.wants(&sid));
        let heard = listeners.map(|member| Effect::Hear { listener: member.id.clone(), track: sid.clone() });
        effects.extend(heard.collect::<Vec<_>>());
        Some(Started { sid, label, effects })
    }

    /// The publisher muted or unmuted.
    pub(crate) fn mute(&mut self, id: &MemberId, request: &MuteTrackRequest) -> Effects {
        let mut effects = Effects::new();
        let before = self.level(id);
        let Some(member) = self.member_mut(id) else { return effects };
        let uid = member.uid.clone();
        let Some(track) = member.track(&request.sid.as_str().into()) else { return effects };
        if track.info.muted == request.muted {
            return effects;
        }
        track.info.muted = request.muted;
        if track.live {
            self.send_member(id, &mut effects);
            effects.push(Effect::News(RoomEvent::Muted { uid, muted: request.muted }));
        }
        self.send_level(id, before, &mut effects);
        effects
    }

    /// The publisher changed how it captures.
    pub(crate) fn update_audio(&mut self, id: &MemberId, request: UpdateLocalAudioTrack) -> Effects {
        let mut effects = Effects::new();
        let Some(member) = self.member_mut(id) else { return effects };
        if let Some(track) = member.track(&request.track_sid.as_str().into()) {
            track.info.audio_features = known_features(request.features);
            self.send_member(id, &mut effects);
        }
        effects
    }

    /// What the publisher's description sends from now on. A live track is over when its section no longer sends, or now sends
    /// another announced track.
    pub(crate) fn still_sends(&mut self, id: &MemberId, sending: &[Sending<'_>]) -> Effects {
        let Some(member) = self.member(id) else { return Effects::new() };
        let announced = |cid: &str| member.tracks.iter().any(|track| !track.live && track.cid == cid);
        let goes_on = |track: &&Track| match sending.iter().find(|section| section.mid == track.info.mid) {
            Some(section) => section.cid == track.cid || !announced(section.cid),
            None => sending.iter().any(|section| section.cid == track.cid),
        };
        let over: Vec<_> = member.live().filter(|track| !goes_on(track)).map(|track| track.sid.clone()).collect();
        over.iter().flat_map(|sid| self.unpublish(id, sid)).collect()
    }

    /// A listener's connection is ready for the track; its owner hears of the first one.
    pub(crate) fn heard(&mut self, sid: &TrackSid) -> Effects {
        let mut effects = Effects::new();
        for member in &mut self.members {
            let id = member.id.clone();
            if let Some(track) = member.track(sid).filter(|track| !track.heard) {
                track.heard = true;
                send(&mut effects, &id, Message::TrackSubscribed(TrackSubscribed { track_sid: sid.to_string() }));
            }
        }
        effects
    }

    /// How the encoder of each announced track is asked to work, by the client's id of it.
    pub(crate) fn opus_parameters(&self, id: &MemberId, cid: &str) -> OpusParameters {
        let track = self.member(id).and_then(|member| member.tracks.iter().find(|track| track.cid == cid));
        let has = |feature: AudioTrackFeature| {
            track.is_some_and(|track| track.info.audio_features.contains(&i32::from(feature)))
        };
        OpusParameters {
            dtx: track.is_some() && !has(AudioTrackFeature::TfNoDtx),
            stereo: has(AudioTrackFeature::TfStereo),
            red: track.is_some_and(|track| wants_red(&track.info)),
        }
    }

    pub(super) fn unpublish(&mut self, id: &MemberId, sid: &TrackSid) -> Effects {
        let mut effects = Effects::new();
        let before = self.counts();
        let silenced = self.speaks(id, sid, 0.0);
        let Some(member) = self.member_mut(id) else { return effects };
        let Some(at) = member.tracks.iter().position(|track| track.sid == *sid) else { return effects };
        let live = member.tracks.remove(at).live;
        let uid = member.uid.clone();
        effects.extend(silenced);
        send(&mut effects, id, Message::TrackUnpublished(TrackUnpublishedResponse { track_sid: sid.to_string() }));
        if !live {
            return effects;
        }
        self.send_member(id, &mut effects);
        self.record_counts(before, None, &mut effects);
        effects.push(Effect::End(sid.clone()));
        self.members.iter_mut().for_each(|member| _ = member.choices.remove(sid));
        effects.push(Effect::News(RoomEvent::Unpublished { uid }));
        effects
    }
}

/// The place of an announced track that is not live.
fn waiting(member: &Member, cid: &str) -> Option<usize> {
    let mut waiting = member.tracks.iter().enumerate().filter(|(_, track)| !track.live);
    let named = waiting.clone().find(|(_, track)| track.cid == cid);
    let only = || waiting.next().filter(|_| waiting.next().is_none());
    named.or_else(only).map(|(at, _)| at)
}

/// Whether a track is to be sent with redundancy. Nobody but its receivers could unpack it where it is encrypted.
fn wants_red(info: &TrackInfo) -> bool {
    !info.disable_red && info.encryption == i32::from(encryption::Type::None)
}

/// Names the codec that a track is sent in. What the answer does not take will not be heard, and others, the recorder above all, are told
/// that it is of another codec.
fn name_sent(info: &mut TrackInfo, sent: &Sent) {
    let mime_type = match sent.coded.map(|coded| coded.codec).unwrap_or_default() {
        _ if !sent.taken => REFUSED_CODEC,
        Codec::Opus if sent.red && wants_red(info) => MIME_TYPE_RED,
        codec => codec.mime_type(),
    };
    name_codec(info, mime_type);
}

fn name_codec(info: &mut TrackInfo, mime_type: &str) {
    mime_type.clone_into(&mut info.mime_type);
    info.codecs.iter_mut().for_each(|codec| mime_type.clone_into(&mut codec.mime_type));
}

/// Streams are named as the real server does it, so that clients find the member and the track (docs/protocol/livekit.md section 3.7).
fn label(id: &MemberId, track: &Track) -> Label {
    let second = if track.info.stream.is_empty() { track.sid.as_str() } else { &track.info.stream };
    Label { stream: format!("{id}|{second}"), track: track.sid.to_string() }
}

fn published(track: &Track) -> Message {
    Message::TrackPublished(TrackPublishedResponse { cid: track.cid.clone(), track: Some(track.info.clone()) })
}

/// Whether a track of this source may be published.
pub(super) fn permits(grants: Grants, source: i32) -> bool {
    match TrackSource::try_from(source) {
        Ok(TrackSource::Unknown) => grants.other_audio,
        Ok(TrackSource::Microphone) => grants.microphone,
        Ok(TrackSource::ScreenShareAudio) => grants.screen_audio,
        Ok(TrackSource::Camera | TrackSource::ScreenShare) | Err(_) => false,
    }
}

fn refusal(member: &Member, request: &AddTrackRequest) -> Option<(Reason, &'static str)> {
    if request.r#type != i32::from(TrackType::Audio) {
        return Some((Reason::NotAllowed, "this server carries audio only"));
    }
    if !permits(member.grants(), request.source) {
        return Some((Reason::NotAllowed, "the token, the role or a rule doesn't allow this source"));
    }
    let texts = [&request.cid, &request.name, &request.stream];
    let fine = |text: &String| text.len() <= MAX_TEXT_BYTES && !text.chars().any(char::is_control);
    // The stream's name becomes a token of a description.
    let token = request.stream.chars().all(|char| char.is_ascii_graphic() && char != '|');
    if request.cid.is_empty() || !texts.into_iter().all(fine) || !token {
        return Some((Reason::InvalidName, "cid, name or stream is empty, too long or malformed"));
    }
    None
}

#[allow(deprecated, reason = "stereo and disable_dtx are how SDKs say it that are older than audio_features")]
fn track_info(sid: &TrackSid, request: &AddTrackRequest) -> TrackInfo {
    let mut features = known_features(request.audio_features.clone());
    for (flag, feature) in
        [(request.stereo, AudioTrackFeature::TfStereo), (request.disable_dtx, AudioTrackFeature::TfNoDtx)]
    {
        if flag && !features.contains(&feature.into()) {
            features.push(feature.into());
        }
    }
    let has = |feature: AudioTrackFeature| features.contains(&feature.into());
    let mut info = TrackInfo {
        sid: sid.to_string(),
        r#type: TrackType::Audio.into(),
        name: request.name.clone(),
        muted: request.muted,
        source: request.source,
        stereo: has(AudioTrackFeature::TfStereo),
        disable_dtx: has(AudioTrackFeature::TfNoDtx),
        disable_red: request.disable_red,
        mime_type: Codec::Opus.mime_type().to_owned(),
        codecs: vec![SimulcastCodecInfo {
            mime_type: Codec::Opus.mime_type().to_owned(),
            cid: request.cid.clone(),
            ..SimulcastCodecInfo::default()
        }],
        encryption: request.encryption,
        stream: request.stream.clone(),
        audio_features: features,
        ..TrackInfo::default()
    };
    if wants_red(&info) {
        name_codec(&mut info, MIME_TYPE_RED);
    }
    info
}

fn known_features(mut features: Vec<i32>) -> Vec<i32> {
    features.retain(|feature| AudioTrackFeature::try_from(*feature).is_ok());
    features.sort_unstable();
    features.dedup();
    features
}
