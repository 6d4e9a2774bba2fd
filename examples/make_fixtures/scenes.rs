//! The scenes; `fixtures/README.md` says what each is for, `tests/core/fixtures_sound.rs` what is heard in each.

use cloud_recorder::recording::{AudioProfile, Input, Mode, SegmentLength, Selection, Spec, TimedInput, TrackKind};
use cloud_recorder::units::{Cname, Sid, Ticks, TrackId, Uid, WallMs};

use crate::chance::Chance;
use crate::sender::{Kind, Sender};
use crate::sound::{RATE, Speech, place, room, shout, stereo};

/// One journal.
pub(crate) struct Scene {
    /// Its name is the spec's cname.
    pub(crate) spec: Spec,
    /// In order of arrival.
    pub(crate) inputs: Vec<TimedInput>,
    /// When the recording is stopped.
    pub(crate) end: Ticks,
}

/// Wall time at tick 0 of every scene: 2025-11-21T00:00:00Z.
const START: WallMs = WallMs(1_763_683_200_000);

const ANNA: &str = "1001";
const BEN: &str = "1002";
const CORA: &str = "1003";

/// All scenes.
pub(crate) fn all(speech: &Speech) -> anyhow::Result<Vec<Scene>> {
    Ok(vec![
        two_talkers_with_dtx(speech)?,
        late_joiner_and_leaver(speech)?,
        loss_reordering_duplicates(speech)?,
        mute_stops_the_clock(speech)?,
        stereo_talker(speech)?,
        double_talk(speech)?,
    ])
}

/// Takes turns of 4.5 s: Anna at 1, 12 and 24 s, Ben at 6.5 and 17.5 s. Both send DTX in between.
fn two_talkers_with_dtx(speech: &Speech) -> anyhow::Result<Scene> {
    let mut scene = Builder::new("two-talkers-dtx", 30)?;
    for (track, uid, voice, turns) in [(1, ANNA, "anna", &[1.0, 12.0, 24.0][..]), (2, BEN, "ben", &[6.5, 17.5])] {
        let mut sound = room(30, track.into());
        for (number, at) in turns.iter().enumerate() {
            place(&mut sound, speech.sentence(&format!("{voice}-{}", number + 1))?, *at, 4.5);
        }
        scene.publishes(0.1, uid, track)?;
        let mut sender = Sender::new(track, Kind::VoiceWithDtx)?;
        scene.add(sender.send(Ticks::from_ms(200), &sound)?);
    }
    scene.build()
}

/// Anna talks from the start and leaves at 20 s; Ben joins at 8 s, publishes at 8.5 s and talks to the end.
fn late_joiner_and_leaver(speech: &Speech) -> anyhow::Result<Scene> {
    let mut scene = Builder::new("late-joiner-and-leaver", 28)?;
    scene.publishes(0.1, ANNA, 1)?;
    let anna = speech.monologue("anna", 20)?;
    scene.add(Sender::new(1, Kind::Voice)?.send(Ticks::from_ms(200), &anna[..RATE * 197 / 10])?);
    scene.at(20.0, Input::TrackRemoved { track: TrackId(1) });
    scene.at(20.0, Input::Left { uid: Uid::new(ANNA)? });
    scene.at(8.0, Input::Joined { uid: Uid::new(BEN)? });
    scene.at(
        8.5,
        Input::TrackAdded { track: TrackId(2), uid: Uid::new(BEN)?, muted: false, kind: TrackKind::default() },
    );
    scene.add(Sender::new(2, Kind::Voice)?.send(Ticks::from_ms(8600), &speech.monologue("ben", 20)?)?);
    scene.build()
}

/// Anna talks for 30 s over a bad line: 5 % of the packets are lost, and all from 12.0 to 12.3 s; 4 % are 30 to 90 ms late, so
/// that they come out of order; 2 % come twice. Padding packets take sequence numbers in between.
fn loss_reordering_duplicates(speech: &Speech) -> anyhow::Result<Scene> {
    let mut scene = Builder::new("loss-reordering-duplicates", 30)?;
    scene.publishes(0.1, ANNA, 1)?;
    let mut sender = Sender::new(1, Kind::Voice)?;
    let mut chance = Chance::new(5);
    let sound = speech.monologue("anna", 30)?;
    for (second, sound) in sound.chunks(RATE).enumerate() {
        let at = Ticks::from_ms(200) + Ticks::from_secs(second as u64);
        for mut packet in sender.send(at, sound)? {
            let in_burst = (Ticks::from_ms(12_000)..Ticks::from_ms(12_300)).contains(&packet.at);
            if in_burst || chance.happens(5) {
                continue;
            }
            if chance.happens(4) {
                packet.at += Ticks::from_ms(30 + chance.below(60));
            }
            if chance.happens(2) {
                scene.add(vec![TimedInput { at: packet.at + Ticks::from_ms(chance.below(40)), ..packet.clone() }]);
            }
            scene.add(vec![packet]);
        }
        if second % 7 == 6 {
            let after = at + Ticks::from_ms(1045);
            scene.add(vec![sender.padding(after), sender.padding(after)]);
        }
    }
    scene.build()
}

/// Anna talks to 8 s, mutes, and talks on from 14 s. Her sender stops while muted: sequence numbers and timestamps go on as if
/// no time had passed.
fn mute_stops_the_clock(speech: &Speech) -> anyhow::Result<Scene> {
    let mut scene = Builder::new("mute-stops-the-clock", 24)?;
    scene.publishes(0.1, ANNA, 1)?;
    let mut sender = Sender::new(1, Kind::Voice)?;
    let sound = speech.monologue("anna", 18)?;
    scene.add(sender.send(Ticks::from_ms(200), &sound[..RATE * 39 / 5])?);
    scene.at(8.05, Input::Muted { track: TrackId(1), muted: true });
    scene.at(13.95, Input::Muted { track: TrackId(1), muted: false });
    scene.add(sender.send(Ticks::from_secs(14), &sound[RATE * 39 / 5..])?);
    scene.build()
}

/// Ben sends stereo: he talks on the left to 8 s, then on the right. The mix is stereo too.
fn stereo_talker(speech: &Speech) -> anyhow::Result<Scene> {
    let mut scene = Builder::new("stereo-talker", 16)?;
    scene.spec.profile = AudioProfile::Stereo192;
    scene.publishes(0.1, BEN, 1)?;
    let voice = speech.monologue("ben", 16)?;
    let (mut left, mut right) = (room(16, 1), room(16, 2));
    place(&mut left, &voice, 0.0, 7.8);
    place(&mut right, &voice[RATE * 39 / 5..], 7.8, 8.2);
    scene.add(Sender::new(1, Kind::Stereo)?.send(Ticks::from_ms(200), &stereo(&left, &right))?);
    scene.build()
}

/// Anna and Cora shout at each other from 1 to 14 s, each just below full scale: the sum goes far over it.
fn double_talk(speech: &Speech) -> anyhow::Result<Scene> {
    let mut scene = Builder::new("double-talk", 15)?;
    for (track, uid, voice) in [(1, ANNA, "anna"), (2, CORA, "cora")] {
        let mut loud = speech.monologue(voice, 13)?;
        shout(&mut loud);
        let mut sound = room(15, track.into());
        place(&mut sound, &loud, 0.8, 13.0);
        scene.publishes(0.1, uid, track)?;
        scene.add(Sender::new(track, Kind::Voice)?.send(Ticks::from_ms(200), &sound)?);
    }
    scene.build()
}

/// A scene in the making.
struct Builder {
    spec: Spec,
    inputs: Vec<TimedInput>,
    end: Ticks,
}

impl Builder {
    fn new(name: &str, seconds: u64) -> anyhow::Result<Self> {
        let mut id = [0; 16];
        for (byte, letter) in id.iter_mut().zip(name.bytes()) {
            *byte = letter;
        }
        let spec = Spec {
            sid: Sid::from_random(id),
            cname: Cname::new(name)?,
            start: START,
            mode: Mode::Both,
            profile: AudioProfile::Mono64,
            segment: SegmentLength::default(),
            selection: Selection::All,
        };
        Ok(Self { spec, inputs: Vec::new(), end: Ticks::from_secs(seconds) })
    }

    fn at(&mut self, seconds: f64, input: Input) {
        self.inputs.push(TimedInput { at: Ticks((seconds * RATE as f64) as u64), input });
    }

    fn add(&mut self, inputs: Vec<TimedInput>) {
        self.inputs.extend(inputs);
    }

    /// A member is there and publishes.
    fn publishes(&mut self, seconds: f64, uid: &str, track: u32) -> anyhow::Result<()> {
        self.at(seconds, Input::Joined { uid: Uid::new(uid)? });
        self.at(
            seconds,
            Input::TrackAdded { track: TrackId(track), uid: Uid::new(uid)?, muted: false, kind: TrackKind::default() },
        );
        Ok(())
    }

    fn build(mut self) -> anyhow::Result<Scene> {
        self.inputs.sort_by_key(|input| input.at);
        self.inputs.retain(|input| input.at < self.end);
        Ok(Scene { spec: self.spec, inputs: self.inputs, end: self.end })
    }
}
