//! Memory that was freed and that the allocator still holds.

/// Gives it back to the system. The allocator keeps free pages between pieces that are in use, and
/// after many connections have gone quiet at once those are most of what it holds. Takes some
/// milliseconds for each ten thousand free pieces, during which others wait who want memory.
///
/// Does nothing where the C library is not glibc.
pub fn give_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: malloc_trim takes no pointer, locks what it looks at, and may be called by any thread.
    unsafe {
        libc::malloc_trim(0);
    }
}
