//! A file on a disk that can't read all of it: what can't be read counts as zeros, which a journal's reader passes over as damage.
//!
//! A kernel that meets a bad place refuses the read that touches it, so without this the first bad block would be the end of the file.
//! The stretch of a refused read is read again block by block. A block that is refused is zeros; each further one in a row doubles what
//! is passed over, so that a large bad area has an end. Invariants: the length never changes, no byte that was read is altered, and a
//! file costs [`MAX_REFUSALS`] refused reads at most. Offsets and lengths in bytes.

use std::io::{self, Read, Seek, SeekFrom};

/// What a disk reads or refuses as a whole: a page.
const BLOCK_BYTES: u64 = 4 << 10;
/// Most that is passed over for one refused read: 1 MiB.
const MAX_SKIP_BYTES: u64 = 1 << 20;
/// Refused reads of a file after which its disk is given up: each may take seconds.
const MAX_REFUSALS: u32 = 256;

/// See the module's documentation.
#[derive(Debug)]
pub struct ZeroFill<R> {
    source: R,
    /// Length of the source when it was opened.
    length: u64,
    /// Where the next byte is.
    at: u64,
    /// Up to here everything is zeros.
    zeros_to: u64,
    /// Up to here blocks are read one by one.
    careful_to: u64,
    /// What the next refused read passes over.
    skip: u64,
    refusals: u32,
}

impl<R: Read + Seek> ZeroFill<R> {
    /// Reads from the source's start. An error says that not even its length is known.
    pub fn new(mut source: R) -> io::Result<Self> {
        let length = source.seek(SeekFrom::End(0))?;
        source.rewind()?;
        Ok(Self { source, length, at: 0, zeros_to: 0, careful_to: 0, skip: BLOCK_BYTES, refusals: 0 })
    }

    /// The most that is read at once: to the end of the block where something near is bad.
    fn address_policy(&self, wanted: usize) -> usize {
        if self.at >= self.careful_to {
            return wanted;
        }
        at_most(wanted, BLOCK_BYTES - self.at % BLOCK_BYTES)
    }

    /// The source refused a read of `address_policy` bytes.
    fn refused(&mut self, address_policy: usize, error: io::Error) -> io::Result<()> {
        if !is_of_the_medium(&error) || self.at >= self.length || self.refusals == MAX_REFUSALS {
            return Err(error);
        }
        self.refusals += 1;
        self.source.seek(SeekFrom::Start(self.at))?;
        if self.at < self.careful_to {
            let begin = self.at - self.at % BLOCK_BYTES;
            self.zeros_to = self.length.min(begin + self.skip);
            self.skip = MAX_SKIP_BYTES.min(2 * self.skip);
            self.careful_to = self.careful_to.max(self.zeros_to + BLOCK_BYTES);
        } else {
            self.careful_to = self.at + (address_policy as u64).max(BLOCK_BYTES);
        }
        Ok(())
    }

    fn give_zeros(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = at_most(out.len(), self.zeros_to - self.at);
        out[..count].fill(0);
        self.at += count as u64;
        if self.at == self.zeros_to {
            self.source.seek(SeekFrom::Start(self.at))?;
        }
        Ok(count)
    }
}

impl<R: Read + Seek> Read for ZeroFill<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        loop {
            if self.at < self.zeros_to {
                return self.give_zeros(out);
            }
            let address_policy = self.address_policy(out.len());
            match self.source.read(&mut out[..address_policy]) {
                Ok(count) => {
                    self.at += count as u64;
                    self.skip = BLOCK_BYTES;
                    return Ok(count);
                }
                Err(error) => self.refused(address_policy, error)?,
            }
        }
    }
}

/// Whether an error says that a place on the disk is bad, not that the disk is full, read-only or forbidden.
pub(super) fn is_of_the_medium(error: &io::Error) -> bool {
    use rustix::io::Errno;
    // EIO: most disks; ENODATA: a medium error as the block layer names it; EILSEQ: a wrong sum on the way; EUCLEAN and EBADMSG: the file
    // system found its own sums wrong.
    let bad = [Errno::IO, Errno::NODATA, Errno::ILSEQ, Errno::UCLEAN, Errno::BADMSG];
    Errno::from_io_error(error).is_some_and(|errno| bad.contains(&errno))
}

fn at_most(count: usize, limit: u64) -> usize {
    usize::try_from(limit).map_or(count, |limit| count.min(limit))
}

#[cfg(test)]
pub(super) mod tests {
    use std::io::Cursor;
    use std::ops::Range;

    use proptest::prelude::*;

    use super::*;

    /// Bytes of which some can't be read: a read that touches one is refused, as by a kernel without a cache.
    #[derive(Debug)]
    pub(in crate::journal) struct Bad {
        bytes: Cursor<Vec<u8>>,
        bad: Vec<Range<u64>>,
        pub(in crate::journal) refused: u32,
    }

    impl Bad {
        pub(in crate::journal) fn new(bytes: Vec<u8>, bad: Range<u64>) -> Self {
            Self { bytes: Cursor::new(bytes), bad: vec![bad], refused: 0 }
        }
    }

    impl Read for Bad {
        fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
            let (from, length) = (self.bytes.position(), self.bytes.get_ref().len() as u64);
            let to = length.min(from + out.len() as u64);
            let blocks = (from / BLOCK_BYTES * BLOCK_BYTES)..to.div_ceil(BLOCK_BYTES) * BLOCK_BYTES;
            if from < to && self.bad.iter().any(|bad| bad.start < blocks.end && blocks.start < bad.end) {
                self.refused += 1;
                return Err(rustix::io::Errno::IO.into());
            }
            self.bytes.read(out)
        }
    }

    impl Seek for Bad {
        fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
            self.bytes.seek(to)
        }
    }

    fn numbered(length: usize) -> Vec<u8> {
        (0..length).map(|at| (at % 255) as u8 + 1).collect()
    }

    proptest! {
        #[test]
        fn what_can_be_read_is_read_and_the_rest_is_zeros(
            length in 1_usize..200_000,
            bad in prop::collection::vec((0_u64..200_000, 1_u64..9_000), 0..4),
            step in 1_usize..90_000,
        ) {
            let bytes = numbered(length);
            let bad: Vec<_> = bad.into_iter().map(|(from, long)| from..from + long).collect();
            let mut source = ZeroFill::new(Bad { bytes: Cursor::new(bytes.clone()), bad: bad.clone(), refused: 0 }).unwrap();
            let (mut read, mut piece) = (Vec::new(), vec![9; step]);
            loop {
                match source.read(&mut piece).unwrap() {
                    0 => break,
                    count => read.extend_from_slice(&piece[..count]),
                }
            }
            prop_assert_eq!(read.len(), length);
            let zeros = read.iter().filter(|byte| **byte == 0).count() as u64;
            // Blocks that are touched, and as much again behind each.
            let worst: u64 = bad.iter().map(|bad| 2 * (bad.end - bad.start + 2 * BLOCK_BYTES)).sum();
            prop_assert!(zeros <= worst, "{} of at most {}", zeros, worst);
            let same = read.iter().zip(&bytes).all(|(read, byte)| *read == 0 || read == byte);
            prop_assert!(same);
        }
    }

    #[test]
    fn one_bad_byte_costs_its_block() {
        let bytes = numbered(100_000);
        let mut source = ZeroFill::new(Bad::new(bytes.clone(), 50_000..50_001)).unwrap();
        let mut read = Vec::new();
        source.read_to_end(&mut read).unwrap();
        let block = 49_152..53_248;
        assert!(read[block.clone()].iter().all(|byte| *byte == 0));
        assert_eq!((&read[..block.start], &read[block.end..]), (&bytes[..block.start], &bytes[block.end..]));
    }

    #[test]
    fn a_disk_that_is_bad_all_over_is_left_after_a_few_attempts() {
        let mut source = ZeroFill::new(Bad::new(vec![7; 64 << 20], 0..u64::MAX)).unwrap();
        let mut read = Vec::new();
        source.read_to_end(&mut read).unwrap();
        assert!(read.len() == 64 << 20 && read.iter().all(|byte| *byte == 0));
        assert!(source.source.refused < 100, "{}", source.source.refused);
    }

    #[test]
    fn other_errors_stay_what_they_are() {
        struct Forbidden;
        impl Read for Forbidden {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(rustix::io::Errno::PERM.into())
            }
        }
        impl Seek for Forbidden {
            fn seek(&mut self, _: SeekFrom) -> io::Result<u64> {
                Ok(5)
            }
        }
        let refused = ZeroFill::new(Forbidden).unwrap().read(&mut [0; 5]).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::PermissionDenied);
    }
}
