//! Who is speaking: levels of packets (RFC 6464) in windows, pure.
//!
//! A window is loud when enough of its packets are; its level is the mean of the loud ones. Levels go to clients as 0 to 1.

use std::time::Duration;

/// How much audio one verdict is about.
pub(super) const WINDOW: Duration = Duration::from_millis(400);

/// A packet this loud or louder counts, in -dBov.
const LOUD: u8 = 35;

/// Loud packets that make a loud window: of 20 ms each, about two fifths of it.
const LOUD_PACKETS: u32 = 8;

/// Levels are said in this many steps, so that a steady voice changes nothing.
const STEPS: f32 = 8.0;

/// Measures one track.
#[derive(Debug, Default)]
pub(super) struct Meter {
    loud: u32,
    sum: u32,
    said: f32,
}

impl Meter {
    /// A packet's level, 0 (loudest) to 127, in -dBov.
    pub(super) fn packet(&mut self, level: u8) {
        if level <= LOUD {
            self.loud += 1;
            self.sum += u32::from(level);
        }
    }

    /// The window is over: the new level, 0 to 1, when it differs from the last one said. 0 means silent.
    pub(super) fn window(&mut self) -> Option<f32> {
        let level = self.level();
        (self.loud, self.sum) = (0, 0);
        if level == self.said {
            return None;
        }
        self.said = level;
        Some(level)
    }

    /// Whether silence would be a change.
    pub(super) fn speaking(&self) -> bool {
        self.said > 0.0
    }

    fn level(&self) -> f32 {
        if self.loud < LOUD_PACKETS {
            return 0.0;
        }
        let mean = self.sum as f32 / self.loud as f32;
        // Linear in amplitude, as clients draw it, and never zero while active.
        let amplitude = 10_f32.powf(-mean / 20.0);
        ((amplitude * STEPS).ceil() / STEPS).clamp(1.0 / STEPS, 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(meter: &mut Meter, loud: u32, level: u8) -> Option<f32> {
        (0..loud).for_each(|_| meter.packet(level));
        (loud..20).for_each(|_| meter.packet(127));
        meter.window()
    }

    #[test]
    fn a_voice_is_news_once_and_its_end_is_news_once() {
        let mut meter = Meter::default();
        assert_eq!(window(&mut meter, 0, 0), None);
        let level = window(&mut meter, 20, 10).unwrap();
        assert!(level > 0.3 && level < 0.5, "{level}");
        assert_eq!(window(&mut meter, 20, 10), None);
        assert!(meter.speaking());
        assert_eq!(window(&mut meter, 0, 0), Some(0.0));
        assert_eq!(window(&mut meter, 0, 0), None);
    }

    #[test]
    fn a_click_is_no_speech_and_a_whisper_is() {
        let mut meter = Meter::default();
        assert_eq!(window(&mut meter, 3, 0), None);
        assert_eq!(window(&mut meter, 8, 35), Some(0.125));
        assert_eq!(window(&mut meter, 20, 0), Some(1.0));
    }
}
