//! The demo's talkers: 20 s of speech each, with a faint tone far above the voice by which each is found in a mix.

use std::path::Path;

use cloud_recorder::codec::opus::Encoder;

use crate::sound::{RATE, Speech};

/// Seconds a talker lasts before it begins anew. Each tone makes a whole number of waves in it.
const SECONDS: usize = 20;

/// Peak of the tone: -37 dB below full scale.
const TONE: f32 = 0.014;

/// Name and tone in hertz of each talker. The voices end at 8 kHz or little above.
const TALKERS: [(&str, f64); 3] = [("anna", 10_000.0), ("ben", 12_000.0), ("cora", 14_000.0)];

/// Writes `<name>.opk`: 1000 times a 16-bit little-endian length and a packet of 20 ms.
pub(crate) fn write(speech: &Speech, folder: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(folder)?;
    for (name, hertz) in TALKERS {
        let mut sound = speech.monologue(name, SECONDS)?;
        for (n, sample) in sound.iter_mut().enumerate() {
            let phase = (n as f64 * hertz / RATE as f64).fract() * std::f64::consts::TAU;
            *sample += phase.sin() as f32 * TONE;
        }
        let mut encoder = Encoder::new(1, 64_000, 10)?;
        let mut round = || sound.chunks_exact(960).map(|frame| encoder.encode(frame)).collect::<Result<Vec<_>, _>>();
        // The first round only brings the coder into the state that it has when the sound begins anew.
        round()?;
        let mut file = Vec::new();
        for packet in round()? {
            file.extend_from_slice(&u16::try_from(packet.len())?.to_le_bytes());
            file.extend_from_slice(&packet);
        }
        std::fs::write(folder.join(format!("{name}.opk")), file)?;
    }
    Ok(())
}
