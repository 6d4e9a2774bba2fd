//! The library's memory: mapped pages, of which only those that are not zero are kept.
//!
//! A block is a mapping of its own. Its first page holds the mapping's length; what the library gets begins at the second page.

use std::ffi::c_void;

/// A page, or a multiple of one; what is smaller on this machine only makes more of them.
const PAGE: usize = 4096;

/// Blocks of one encoder, and what was in them when it was new. The library owns the mappings.
pub(crate) struct Blocks {
    blocks: Vec<Block>,
}

struct Block {
    at: *mut u8,
    length: usize,
    /// Pages that were not zero: where, and what was in them.
    pristine: Vec<(usize, Vec<u8>)>,
}

/// The library's malloc. Alignment beyond a page is not asked for.
pub(crate) unsafe extern "C" fn allocate(size: u32, _alignment: u32) -> *mut c_void {
    let Some(length) = (size as usize).checked_next_multiple_of(PAGE).and_then(|size| size.checked_add(PAGE)) else {
        return std::ptr::null_mut();
    };
    // SAFETY: a new private mapping without a file; nothing else is touched.
    let base = unsafe {
        libc::mmap(
            std::ptr::null_mut(),
            length,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
            -1,
            0,
        )
    };
    if base == libc::MAP_FAILED {
        return std::ptr::null_mut();
    }
    // SAFETY: the mapping begins with a page of its own for this number, and is longer than that.
    unsafe {
        base.cast::<usize>().write(length);
        base.byte_add(PAGE)
    }
}

/// The library's free.
pub(crate) unsafe extern "C" fn free(block: *mut c_void) {
    if block.is_null() {
        return;
    }
    // SAFETY: `block` came from `allocate`: a page before it stands the length of its mapping, which nobody uses any more.
    unsafe {
        let base = block.byte_sub(PAGE);
        libc::munmap(base, base.cast::<usize>().read());
    }
}

impl Blocks {
    /// Takes note of what is in these blocks, and gives the zeros among it back.
    ///
    /// # Safety
    /// Each pointer is null or came from [`allocate`] and is not freed while this lives.
    pub(crate) unsafe fn of(blocks: &[*mut c_void]) -> Self {
        let blocks = blocks.iter().filter(|block| !block.is_null()).map(|block| {
            // SAFETY: see above; a page before the block stands the length of its mapping.
            let length = unsafe { block.byte_sub(PAGE).cast::<usize>().read() } - PAGE;
            let at = block.cast::<u8>();
            // SAFETY: so many bytes are mapped, and the library is not running.
            let bytes = unsafe { std::slice::from_raw_parts(at, length) };
            let pages = bytes.chunks(PAGE).enumerate().filter(|(_, page)| page.iter().any(|byte| *byte != 0));
            let pristine = pages.map(|(number, page)| (number * PAGE, page.to_vec())).collect();
            Block { at, length, pristine }
        });
        let mut blocks = Self { blocks: blocks.collect() };
        blocks.restore();
        blocks
    }

    /// Makes the blocks as they were.
    pub(crate) fn restore(&mut self) {
        for block in &mut self.blocks {
            // SAFETY: the block is whole pages of a private mapping without a file, which read as zero after this.
            let dropped = unsafe { libc::madvise(block.at.cast(), block.length, libc::MADV_DONTNEED) } == 0;
            if !dropped {
                // SAFETY: so many bytes are mapped, and the library is not running.
                unsafe { std::ptr::write_bytes(block.at, 0, block.length) };
            }
            for (offset, page) in &block.pristine {
                // SAFETY: the page was read from there.
                unsafe { std::ptr::copy_nonoverlapping(page.as_ptr(), block.at.add(*offset), page.len()) };
            }
        }
    }

    /// How many bytes a new encoder has that are not on pages of zeros.
    #[cfg(test)]
    pub(crate) fn pristine_bytes(&self) -> usize {
        self.blocks.iter().flat_map(|block| &block.pristine).map(|(_, page)| page.len()).sum()
    }
}
