use livekit_protocol::{ParticipantPermission, SimulcastCodecInfo};

use super::*;

fn audio(sid: &str) -> TrackInfo {
    TrackInfo { sid: sid.to_owned(), r#type: TrackType::Audio as i32, ..Default::default() }
}

fn encrypted(sid: &str) -> TrackInfo {
    TrackInfo { encryption: encryption::Type::Gcm as i32, ..audio(sid) }
}

fn info(identity: &str, sid: &str, version: u32, tracks: &[TrackInfo]) -> ParticipantInfo {
    ParticipantInfo {
        identity: identity.to_owned(),
        sid: sid.to_owned(),
        version,
        state: participant_info::State::Active as i32,
        tracks: tracks.to_vec(),
        ..Default::default()
    }
}

fn gone(identity: &str, sid: &str) -> ParticipantInfo {
    ParticipantInfo { state: participant_info::State::Disconnected as i32, ..info(identity, sid, 9, &[]) }
}

fn uid(identity: &str) -> Uid {
    Uid::new(identity).unwrap()
}

fn joined(identity: &str) -> Input {
    Input::Joined { uid: uid(identity) }
}

fn left(identity: &str) -> Input {
    Input::Left { uid: uid(identity) }
}

fn added(track: u32, identity: &str) -> Input {
    Input::TrackAdded { track: TrackId(track), uid: uid(identity), muted: false, kind: TrackKind::default() }
}

fn removed(track: u32) -> Input {
    Input::TrackRemoved { track: TrackId(track) }
}

fn members() -> Members {
    Members::new("recorder-1".to_owned())
}

/// Ann with one track, which has the id 1.
fn with_ann() -> Members {
    let mut members = members();
    assert_eq!(members.update(&[info("ann", "PA_1", 1, &[audio("TR_1")])]), [joined("ann"), added(1, "ann")]);
    members
}

#[test]
fn a_member_joins_publishes_mutes_unpublishes_and_leaves() {
    let mut members = members();
    assert_eq!(members.update(&[info("ann", "PA_1", 1, &[])]), [joined("ann")]);
    assert_eq!(members.update(&[info("ann", "PA_1", 2, &[audio("TR_1")])]), [added(1, "ann")]);
    let muted = TrackInfo { muted: true, ..audio("TR_1") };
    let track = TrackId(1);
    assert_eq!(members.update(&[info("ann", "PA_1", 3, &[muted])]), [Input::Muted { track, muted: true }]);
    assert_eq!(members.update(&[info("ann", "PA_1", 4, &[audio("TR_1")])]), [Input::Muted { track, muted: false }]);
    assert_eq!(members.update(&[info("ann", "PA_1", 5, &[])]), [removed(1)]);
    assert_eq!(members.update(&[info("ann", "PA_1", 6, &[audio("TR_2")])]), [added(2, "ann")], "a republish is new");
    assert_eq!(members.update(&[gone("ann", "PA_1")]), [left("ann")]);
    assert_eq!(members.update(&[gone("ann", "PA_1")]), [], "nobody leaves twice");
}

#[test]
fn older_versions_are_dropped() {
    let mut members = members();
    members.update(&[info("ann", "PA_1", 5, &[audio("TR_1")])]);
    assert_eq!(members.update(&[info("ann", "PA_1", 4, &[])]), []);
    assert_eq!(members.update(&[info("ann", "PA_1", 5, &[])]), [removed(1)], "the same version may say more");
}

#[test]
fn hidden_participants_and_the_bot_are_no_members() {
    let mut members = with_ann();
    let permission = Some(ParticipantPermission { hidden: true, ..Default::default() });
    let hidden = ParticipantInfo { permission, ..info("spy", "PA_2", 1, &[audio("TR_2")]) };
    assert_eq!(members.update(&[hidden.clone(), info("recorder-1", "PA_3", 1, &[])]), []);
    let ann_hides = ParticipantInfo { identity: "ann".to_owned(), sid: "PA_1".to_owned(), ..hidden };
    assert_eq!(members.update(&[ann_hides]), [left("ann")]);
}

#[test]
fn a_new_membership_of_the_same_person_is_no_leave() {
    let mut members = with_ann();
    assert_eq!(members.update(&[info("ann", "PA_2", 0, &[audio("TR_2")])]), [removed(1), added(2, "ann")]);
    assert_eq!(members.update(&[gone("ann", "PA_1")]), [], "the old membership's end comes late");
    assert_eq!(members.update(&[gone("ann", "PA_2")]), [left("ann")]);
}

#[test]
fn every_audio_publication_is_announced_with_its_coding_and_video_is_not() {
    let video = TrackInfo { r#type: TrackType::Video as i32, ..audio("TR_0") };
    let codec = |mime: &str| SimulcastCodecInfo { mime_type: mime.to_owned(), ..Default::default() };
    let mime = |sid: &str, mime: &str| TrackInfo { mime_type: mime.to_owned(), ..audio(sid) };
    let tracks = [
        video,
        encrypted("TR_1"),
        mime("TR_2", "audio/PCMU"),
        mime("TR_3", "audio/red"),
        mime("TR_4", "audio/G722"),
        TrackInfo { codecs: vec![codec("audio/PCMA")], ..audio("TR_5") },
        audio("TR_6"),
    ];
    let updates = members().update(&[info("ann", "PA_1", 1, &tracks)]);
    let codings: Vec<Coding> = updates
        .iter()
        .filter_map(|input| match input {
            Input::TrackAdded { kind, .. } => Some(kind.coding),
            _ => None,
        })
        .collect();
    use Coding::{Encrypted, Opus, Pcma, Pcmu, Unsupported};
    assert_eq!(codings, [Encrypted, Pcmu, Opus, Unsupported, Pcma, Opus]);
}

#[test]
fn what_cannot_be_read_is_neither_bound_nor_subscribed_nor_audible() {
    let mut members = members();
    members.update(&[info("ann", "PA_1", 1, &[encrypted("TR_1"), audio("TR_2")])]);
    assert_eq!((members.track("TR_1"), members.track("TR_2")), (None, Some(TrackId(2))));
    assert_eq!(members.published().map(|published| published.readable).collect::<Vec<_>>(), [false, true]);
    assert!(!members.is_audible("PA_1", |_| true), "nobody knows which of the two the server means");
    let muted = TrackInfo { muted: true, ..encrypted("TR_1") };
    members.update(&[info("ann", "PA_1", 2, &[muted, audio("TR_2")])]);
    assert!(members.is_audible("PA_1", |track| track == "TR_2"));
}

#[test]
fn a_publication_whose_coding_changes_is_a_new_one() {
    let mut members = with_ann();
    let kind = TrackKind { coding: Coding::Encrypted, ..TrackKind::default() };
    let again = Input::TrackAdded { track: TrackId(2), uid: uid("ann"), muted: false, kind };
    assert_eq!(members.update(&[info("ann", "PA_1", 2, &[encrypted("TR_1")])]), [removed(1), again]);
    assert_eq!(members.update(&[info("ann", "PA_1", 3, &[encrypted("TR_1")])]), []);
    assert_eq!(members.update(&[info("ann", "PA_1", 4, &[audio("TR_1")])]), [removed(2), added(3, "ann")]);
    assert_eq!(members.track("TR_1"), Some(TrackId(3)));
}

#[test]
fn unusable_identities_are_left_out() {
    assert_eq!(
        members().update(&[info("a\nb", "PA_1", 1, &[audio("TR_1")]), info("ann", "PA_2", 1, &[])]),
        [joined("ann")]
    );
}

#[test]
fn after_a_rejoin_those_who_are_still_there_did_not_leave() {
    let mut members = with_ann();
    members.update(&[info("bob", "PA_2", 1, &[audio("TR_2")]), info("eve", "PA_3", 1, &[])]);
    let list = [info("ann", "PA_9", 0, &[audio("TR_9")]), info("dan", "PA_8", 0, &[])];
    let updates = members.snapshot(&list, Snapshot::Rejoined);
    assert_eq!(updates, [removed(1), removed(2), added(3, "ann"), joined("dan")]);
    assert!(members.unsettled());
    assert_eq!(members.update(&[info("bob", "PA_7", 0, &[audio("TR_7")])]), [added(4, "bob")], "bob came back in time");
    assert_eq!(members.settle(), [left("eve")]);
    assert!(!members.unsettled());
    assert_eq!(members.settle(), []);
}

#[test]
fn after_a_rejoin_with_the_same_ids_nothing_is_announced() {
    let mut members = with_ann();
    assert_eq!(members.snapshot(&[info("ann", "PA_1", 1, &[audio("TR_1")])], Snapshot::Rejoined), []);
    assert_eq!(members.track("TR_1"), Some(TrackId(1)));
}

#[test]
fn after_a_resume_the_missing_keep_their_tracks_until_settled() {
    let mut members = with_ann();
    assert_eq!(members.snapshot(&[], Snapshot::Resumed), []);
    assert_eq!(members.track("TR_1"), Some(TrackId(1)));
    assert_eq!(members.update(&[info("ann", "PA_1", 1, &[audio("TR_1")])]), []);
    assert_eq!(members.settle(), []);
    members.snapshot(&[], Snapshot::Resumed);
    assert_eq!(members.settle(), [left("ann")]);
}

#[test]
fn publications_know_publisher_and_membership() {
    let members = with_ann();
    let published: Vec<_> = members.published().collect();
    assert_eq!(published, [Published { uid: &uid("ann"), member: "PA_1", track: "TR_1", readable: true }]);
}

#[test]
fn tracks_of_one_member_are_limited() {
    let tracks: Vec<_> = (0..MAX_TRACKS_PER_MEMBER + 5).map(|n| audio(&format!("TR_{n}"))).collect();
    let updates = members().update(&[info("ann", "PA_1", 1, &tracks)]);
    assert_eq!(updates.len(), 1 + MAX_TRACKS_PER_MEMBER);
}

#[test]
fn who_was_given_up_by_the_server_did_not_leave_by_itself() {
    for (reason, given_up) in [
        (DisconnectReason::ConnectionTimeout, true),
        (DisconnectReason::MediaFailure, true),
        (DisconnectReason::SignalClose, true),
        (DisconnectReason::ClientInitiated, false),
        (DisconnectReason::ParticipantRemoved, false),
        (DisconnectReason::UnknownReason, false),
    ] {
        let told = with_ann().update(&[ParticipantInfo { disconnect_reason: reason as i32, ..gone("ann", "PA_1") }]);
        let expected = given_up.then(|| Input::GivenUp { uid: uid("ann") }).into_iter().chain([left("ann")]);
        assert_eq!(told, expected.collect::<Vec<_>>(), "{reason:?}");
    }
}
