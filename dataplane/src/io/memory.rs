//! How the process takes memory from the system and gives it back.
//!
//! An idle connection keeps a few hundred bytes; while it was busy it had a buffer and a large
//! future, which the worker keeps for the next one and frees when nobody needs them for a while.
//! When those lie between the small pieces of other connections, freeing them frees hardly a whole
//! page. So pieces of a page and more are mapped on their own and unmapped when freed.
//!
//! Nothing here has an effect where the C library is not glibc.

/// Pieces of so many bytes are mapped on their own. Resident memory of each of 1000 (8000) idle
/// connections, by threshold, when each connection allocated its own: glibc's own 5500 (3800)
/// bytes, 16 KiB 4600 (2000), 4 KiB 1090 (790). Now that they share, 4 KiB gives 774 (762).
#[cfg(target_env = "gnu")]
const MAPPED_FROM: libc::c_int = 4096;
/// At most so many pieces are mapped, a quarter of what Linux allows a process
/// (`vm.max_map_count`); the others come from the heap.
#[cfg(target_env = "gnu")]
const MAPPED_MAX: libc::c_int = 16_384;

/// To be called once, before there are other threads.
pub fn set_up() {
    #[cfg(target_env = "gnu")]
    // SAFETY: mallopt takes no pointer. A setting that is refused leaves the default.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, MAPPED_FROM);
        libc::mallopt(libc::M_MMAP_MAX, MAPPED_MAX);
    }
}

/// Gives free pages back that the allocator still holds. Takes some milliseconds for each ten
/// thousand free pieces, during which others wait who want memory.
pub fn give_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: malloc_trim takes no pointer, locks what it looks at, and may be called by any
    // thread.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Takes the program's code out of resident memory: what runs next is mapped again, by a short
/// fault for each 64 KiB, from the page cache where it stays. A start runs much that is never
/// needed again (arguments, relocations, the first configuration), and the kernel maps the
/// neighbours of all that was touched: of 9.9 MiB after start, 4.5 were such code.
pub fn unmap_code() {
    // Both are provided by the linkers (ld, lld). Between them lie the headers, constants that need
    // no relocation, and code.
    unsafe extern "C" {
        static __executable_start: u8;
        static etext: u8;
    }
    let start = (&raw const __executable_start).cast_mut();
    let bytes = (&raw const etext).addr() - start.addr();
    // SAFETY: the range is mapped privately from the executable and never written, so what is read
    // there afterwards is what was read before (madvise(2), MADV_DONTNEED).
    unsafe {
        libc::madvise(start.cast(), bytes, libc::MADV_DONTNEED);
    }
}
