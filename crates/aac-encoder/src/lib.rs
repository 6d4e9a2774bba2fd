//! AAC-LC at 48 kHz over libxaac (Apache-2.0): the only place of this workspace with `unsafe` code, which the worker's own crate forbids.
//!
//! What the C library wants and what this wrapper makes of it:
//! - **Memory.** The library asks for six blocks at creation, 57 MB in all, never again, and keeps its whole state in them. It fills them
//!   with zeros, so that all of it would be resident. `blocks` maps them, gives pages that are zero back to the system, and knows
//!   the few others: [`Encoder::reset`] makes an encoder as new without the 40 ms of a creation.
//! - **Frames.** One frame is [`FRAME`] samples a channel, in and out. The library does not say its delay: [`DELAY`] samples, measured.
//! - **Errors.** Negative results are fatal. Positive ones are remarks about a frame that was made all the same.
//!
//! Frames are raw data blocks (ISO/IEC 14496-3 section 4.4.2.1) without ADTS headers. The same samples give the same bytes.

mod blocks;

use std::ffi::c_void;

use blocks::Blocks;
use libxaac_sys::{
    AOT_AAC_LC, IA_MEMTYPE_INPUT, IA_MEMTYPE_OUTPUT, ixheaace_create, ixheaace_delete, ixheaace_process,
    ixheaace_user_config_struct,
};

/// Samples of a frame, for each channel.
pub const FRAME: usize = 1024;

/// How many samples later sound leaves a decoder than it entered the encoder.
pub const DELAY: usize = 1600;

const RATE: u32 = 48_000;

/// Bits of a sample.
const WORD: u32 = 16;

/// Size of the bit reservoir; the library's own programs use it for this profile.
const RESERVOIR: i32 = 768;

/// Bit rates that the library honours at this sample rate, for each channel; it takes others and encodes at the nearest of these.
const BIT_RATES: std::ops::RangeInclusive<u32> = 8_000..=288_000;

/// Why nothing was encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Channels or bit rate that are not offered.
    #[error("AAC has 1 or 2 channels here, at 8,000 to 288,000 bit/s each")]
    Settings,
    /// A frame of another length.
    #[error("a frame of AAC is made of 1024 samples a channel, not of {0} in all")]
    Length(usize),
    /// The library refused.
    #[error("libxaac could not {what} (error {code:#010x})")]
    Library {
        /// What it was asked for.
        what: &'static str,
        /// Its code.
        code: u32,
    },
}

/// An encoder of 1 or 2 channels.
pub struct Encoder {
    /// On the heap, since the library may keep its address.
    config: Box<ixheaace_user_config_struct>,
    blocks: Blocks,
    /// Samples of a frame, all channels.
    samples: usize,
}

// SAFETY: the library has no global or thread-local state that it writes; everything that it reads and writes while it encodes lies in
// `config` and `blocks`, which this value owns and reaches through `&mut` alone.
unsafe impl Send for Encoder {}

impl Encoder {
    /// An encoder for `channels` channels at `bit_rate` bit/s in all.
    pub fn new(channels: u8, bit_rate: u32) -> Result<Self, Error> {
        if !(1..=2).contains(&channels) || !BIT_RATES.contains(&(bit_rate / u32::from(channels))) {
            return Err(Error::Settings);
        }
        // SAFETY: a C struct of numbers, pointers and optional functions, for which zero is a value.
        let mut config: Box<ixheaace_user_config_struct> = Box::new(unsafe { std::mem::zeroed() });
        settings(&mut config, i32::from(channels), bit_rate as i32);
        config.output_config.malloc_xheaace = Some(blocks::allocate);
        config.output_config.free_xheaace = Some(blocks::free);
        // SAFETY: both parts of the config are whole and outlive the call; the callbacks keep to malloc's and free's contracts.
        let code = unsafe {
            ixheaace_create(
                (&raw mut config.input_config).cast::<c_void>(),
                (&raw mut config.output_config).cast::<c_void>(),
            )
        };
        if code < 0 {
            // It has freed what it had.
            return Err(Error::Library { what: "make an encoder", code: code as u32 });
        }
        // SAFETY: these blocks came from `blocks::allocate` and live until `ixheaace_delete` in `drop`.
        let blocks = unsafe { Blocks::of(&config.output_config.arr_alloc_memory) };
        Ok(Self { config, blocks, samples: FRAME * usize::from(channels) })
    }

    /// Makes it as it was when it was new.
    pub fn reset(&mut self) {
        self.blocks.restore();
    }

    /// One frame of interleaved samples as a raw data block.
    pub fn encode(&mut self, sound: &[i16]) -> Result<Vec<u8>, Error> {
        if sound.len() != self.samples {
            return Err(Error::Length(sound.len()));
        }
        let output = &self.config.output_config;
        let input = output.mem_info_table[IA_MEMTYPE_INPUT as usize];
        let result = output.mem_info_table[IA_MEMTYPE_OUTPUT as usize];
        if input.mem_ptr.is_null() || (input.ui_size as usize) < size_of_val(sound) {
            return Err(Error::Library { what: "take a frame", code: 0 });
        }
        // SAFETY: the library's input buffer has room for the frame, as was just seen; the two do not overlap.
        unsafe { std::ptr::copy_nonoverlapping(sound.as_ptr().cast::<u8>(), input.mem_ptr.cast(), size_of_val(sound)) };
        // SAFETY: the object and the config are those of a successful `ixheaace_create`.
        let code = unsafe {
            ixheaace_process(
                self.config.output_config.pv_ia_process_api_obj,
                (&raw mut self.config.input_config).cast::<c_void>(),
                (&raw mut self.config.output_config).cast::<c_void>(),
            )
        };
        if code < 0 {
            return Err(Error::Library { what: "encode a frame", code: code as u32 });
        }
        let length = usize::try_from(self.config.output_config.i_out_bytes).unwrap_or(0);
        if result.mem_ptr.is_null() || length == 0 || length > result.ui_size as usize {
            return Err(Error::Library { what: "give a frame", code: code as u32 });
        }
        // SAFETY: the library has written so many bytes there, no more than the buffer has, as was just seen.
        Ok(unsafe { std::slice::from_raw_parts(result.mem_ptr.cast::<u8>(), length) }.to_vec())
    }
}

impl Drop for Encoder {
    fn drop(&mut self) {
        // SAFETY: the config is that of a successful `ixheaace_create`, and is not used again. It frees the blocks.
        unsafe { ixheaace_delete((&raw mut self.config.output_config).cast::<c_void>()) };
    }
}

impl std::fmt::Debug for Encoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Encoder").field("samples", &self.samples).finish_non_exhaustive()
    }
}

fn settings(config: &mut ixheaace_user_config_struct, channels: i32, bit_rate: i32) {
    let input = &mut config.input_config;
    input.ui_pcm_wd_sz = WORD;
    input.i_bitrate = bit_rate;
    input.frame_length = FRAME as i32;
    input.aot = AOT_AAC_LC as i32;
    input.i_channels = channels;
    input.i_samp_freq = RATE;
    input.i_native_samp_freq = RATE as i32;
    input.i_mps_tree_config = -1;
    input.i_use_es = 1;
    input.user_tns_flag = 1;
    let aac = &mut input.aac_config;
    aac.sample_rate = RATE as i32;
    aac.bitrate = bit_rate;
    aac.num_channels_in = channels;
    aac.num_channels_out = channels;
    aac.use_tns = 1;
    aac.inv_quant = 2;
    aac.bitreservoir_size = RESERVOIR;
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Frames of something that is no silence and like nothing before.
    fn frames(count: usize, channels: usize) -> Vec<Vec<i16>> {
        let mut seed = 7_u32;
        let mut sample = |n: usize| {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let tone = (n as f32 * std::f32::consts::TAU * 440.0 / 48_000.0).sin() * 8_000.0;
            tone as i16 + (seed >> 22) as i16
        };
        (0..count).map(|frame| (0..FRAME * channels).map(|n| sample(frame * FRAME + n / channels)).collect()).collect()
    }

    fn encode(encoder: &mut Encoder, frames: &[Vec<i16>]) -> Vec<Vec<u8>> {
        frames.iter().map(|frame| encoder.encode(frame).unwrap()).collect()
    }

    #[test]
    fn the_same_sound_gives_the_same_bytes_on_every_thread_and_after_a_reset() {
        for channels in [1, 2] {
            let sound = frames(20, channels);
            let mut encoder = Encoder::new(channels as u8, 64_000).unwrap();
            let first = encode(&mut encoder, &sound);
            encode(&mut encoder, &frames(3, channels));
            encoder.reset();
            assert_eq!(encode(&mut encoder, &sound), first, "after a reset");
            let others: Vec<_> = (0..3)
                .map(|_| {
                    let (sound, mut encoder) = (sound.clone(), Encoder::new(channels as u8, 64_000).unwrap());
                    std::thread::spawn(move || encode(&mut encoder, &sound))
                })
                .collect();
            for other in others {
                assert_eq!(other.join().unwrap(), first, "on another thread");
            }
        }
    }

    #[test]
    fn the_bit_rate_is_kept() {
        let mut encoder = Encoder::new(1, 64_000).unwrap();
        let bytes: usize = encode(&mut encoder, &frames(200, 1)).iter().map(Vec::len).sum();
        let rate = bytes as f64 * 8.0 / (200.0 * FRAME as f64 / 48_000.0);
        assert!((58_000.0..66_000.0).contains(&rate), "{rate} bit/s");
    }

    #[test]
    fn odd_input_is_encoded_or_refused_by_name() {
        let mut encoder = Encoder::new(1, 48_000).unwrap();
        for value in [0, i16::MIN, i16::MAX, 1] {
            for _ in 0..5 {
                assert!(!encoder.encode(&[value; FRAME]).unwrap().is_empty());
            }
        }
        let square: Vec<i16> = (0..FRAME).map(|n| if n % 64 < 32 { i16::MIN } else { i16::MAX }).collect();
        assert!((0..20).all(|_| encoder.encode(&square).is_ok()));
        assert_eq!(encoder.encode(&[0; 3]), Err(Error::Length(3)));
        for (channels, bit_rate) in [(0, 64_000), (3, 64_000), (1, 0), (2, u32::MAX)] {
            assert_eq!(Encoder::new(channels, bit_rate).unwrap_err(), Error::Settings);
        }
    }

    #[test]
    fn most_of_an_encoders_memory_is_not_resident() {
        let encoder = Encoder::new(1, 64_000).unwrap();
        assert!(
            encoder.blocks.pristine_bytes() < 1 << 20,
            "{} bytes differ from zero",
            encoder.blocks.pristine_bytes()
        );
    }
}
