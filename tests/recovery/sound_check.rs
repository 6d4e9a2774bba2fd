//! Three voices that are functions of wall time, so that each stretch of decoded sound tells when it was said.
//!
//! * The *staircase*: another frequency every 200 ms, none twice within 12.2 s.
//! * The *tone*: always the same.
//! * The *bursts*: 1.2 s of something like speech, 0.8 s of nothing, sent with DTX as browsers do.
//!
//! The voices lie in bands of their own, so that each is found in a mix. All times are wall-clock milliseconds.

use std::sync::OnceLock;

use bytes::Bytes;
use opus::{Application, Bitrate, Channels};

/// Milliseconds in a packet.
pub(crate) const FRAME_MS: u64 = 20;
/// Milliseconds on one step of the staircase.
pub(crate) const STEP_MS: u64 = 200;
/// Steps before the staircase begins again.
const STEPS: u64 = 61;
/// Samples in a packet.
const FRAME: usize = 960;
const TONE_HERTZ: u64 = 5_000;
/// The strongest partial of the bursts.
const BURST_HERTZ: u64 = 4_400;
const BURST_PERIOD_MS: u64 = 2_000;
const BURST_MS: u64 = 1_200;
/// A packet this short says that nothing is said. Senders send the first one of a row and leave the others out, as libwebrtc
/// does.
const DTX_BYTES: usize = 2;

/// One of the three.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Voice {
    Staircase,
    Tone,
    Bursts,
}

/// All three.
pub(crate) const VOICES: [Voice; 3] = [Voice::Staircase, Voice::Tone, Voice::Bursts];

impl Voice {
    /// The uid it talks under.
    pub(crate) const fn uid(self) -> &'static str {
        match self {
            Self::Staircase => "101",
            Self::Tone => "102",
            Self::Bursts => "103",
        }
    }

    /// What is heard at `wall`: the strongest frequency in hertz, or nothing.
    pub(crate) const fn hertz(self, wall: u64) -> Option<f64> {
        match self {
            Self::Staircase => Some(staircase(wall / STEP_MS) as f64),
            Self::Tone => Some(TONE_HERTZ as f64),
            Self::Bursts if wall % BURST_PERIOD_MS < BURST_MS => Some(BURST_HERTZ as f64),
            Self::Bursts => None,
        }
    }

    /// The packet with the sound from `frame * 20 ms` on, unless DTX leaves it out.
    pub(crate) fn packet(self, frame: u64) -> Option<Bytes> {
        static PACKETS: [OnceLock<Vec<Bytes>>; 3] = [const { OnceLock::new() }; 3];
        let packets = PACKETS[self as usize].get_or_init(|| self.encode());
        let at = |frame: u64| &packets[(frame % packets.len() as u64) as usize];
        let silent = |frame: u64| at(frame).len() <= DTX_BYTES;
        (!silent(frame) || !silent(frame + packets.len() as u64 - 1)).then(|| at(frame).clone())
    }

    /// Milliseconds after which it begins again.
    const fn period(self) -> u64 {
        match self {
            Self::Staircase => STEPS * STEP_MS,
            Self::Tone => 1_000,
            Self::Bursts => BURST_PERIOD_MS,
        }
    }

    /// Every packet of a period, as they are when it comes round: the first round is for the coder to settle.
    fn encode(self) -> Vec<Bytes> {
        let application = if self == Self::Bursts { Application::Voip } else { Application::Audio };
        let mut coder = opus::Encoder::new(48_000, Channels::Mono, application).unwrap();
        coder.set_bitrate(Bitrate::Bits(48_000)).unwrap();
        coder.set_complexity(5).unwrap();
        coder.set_dtx(self == Self::Bursts).unwrap();
        let frames = self.period() / FRAME_MS;
        let mut encode = |frame: u64| {
            let sound: Vec<f32> = (0..FRAME).map(|sample| self.sample(frame, sample)).collect();
            Bytes::from(coder.encode_vec_float(&sound, 1500).unwrap())
        };
        (0..frames).for_each(|frame| drop(encode(frame)));
        (frames..2 * frames).map(encode).collect()
    }

    fn sample(self, frame: u64, sample: usize) -> f32 {
        let Some(hertz) = self.hertz(frame * FRAME_MS) else { return 0.0 };
        let seconds = ((frame % 610) * FRAME as u64 + sample as u64) as f64 / 48_000.0;
        let wave = |hertz: f64| (std::f64::consts::TAU * hertz * seconds).sin();
        let value = match self {
            Self::Staircase => 0.25 * wave(hertz),
            Self::Tone => 0.2 * wave(hertz),
            // Three partials that a syllable rate of 5 Hz opens and closes.
            Self::Bursts => {
                let open = 0.6 + 0.4 * wave(5.0);
                open * (0.18 * wave(hertz) + 0.06 * wave(hertz - 130.0) + 0.06 * wave(hertz + 130.0))
            }
        };
        value as f32
    }
}

/// Steps side by side are far apart, so that 20 ms tell them from each other.
const fn staircase(step: u64) -> u64 {
    600 + 50 * ((step * 23) % STEPS)
}

#[test]
fn every_step_of_the_staircase_names_its_time() {
    let steps: std::collections::BTreeSet<u64> = (0..STEPS).map(staircase).collect();
    assert_eq!(steps.len() as u64, STEPS);
    assert!((0..STEPS).all(|step| staircase(step).abs_diff(staircase(step + 1)) >= 1_000));
    assert!(steps.last() < Some(&(BURST_HERTZ - 400)));
}

#[test]
fn dtx_leaves_out_pauses_and_nothing_else() {
    let sent = |from: u64, to: u64| (from / 20..to / 20).filter(|frame| Voice::Bursts.packet(*frame).is_some()).count();
    assert_eq!(sent(0, BURST_MS), 60);
    let in_pause = sent(BURST_MS, BURST_PERIOD_MS);
    assert!((1..35).contains(&in_pause), "{in_pause} of 40 packets are sent in a pause");
    assert_eq!(Voice::Staircase.packet(7), Voice::Staircase.packet(7 + 610));
}
