//! How the process takes memory from the system and gives it back.
//!
//! The allocator is the program's choice, mimalloc, which keeps what a thread has freed for that
//! thread. An idle connection keeps a few hundred bytes; while it was busy it had a buffer and a
//! large future, which the worker keeps for the next one and frees when nobody needs them for a
//! while. Then the allocator is told, by the thread itself, to let go of what is free. That takes a
//! moment, so it is done once things have calmed down: never while buffers come and go under load.

use libmimalloc_sys::mi_collect;

/// Gives free pages back that the allocator still holds for this thread, or of threads that have
/// ended.
pub fn give_back() {
    // SAFETY: it takes no pointer, and frees nothing that is in use. Where another allocator is in
    // use, mimalloc holds nothing.
    unsafe {
        mi_collect(true);
    }
}

/// When a worker gives memory back: once much of what it held was freed, and no less is held than a
/// moment ago.
#[derive(Debug, Default)]
pub struct Watch {
    /// The most buffers since memory was given back.
    most: u64,
    /// At the last look.
    before: u64,
}

/// Fewer buffers than that are not worth the work.
const BUFFERS_MIN: u64 = 64;

impl Watch {
    /// Whether memory is to be given back now that the worker holds `held` buffers. To be called
    /// every second.
    pub fn is_due(&mut self, held: u64) -> bool {
        self.most = self.most.max(held);
        let has_settled = held >= std::mem::replace(&mut self.before, held);
        let has_freed = self.most - held >= BUFFERS_MIN.max(self.most / 2);
        let is_due = has_freed && has_settled;
        if is_due {
            self.most = held;
        }
        is_due
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

#[cfg(test)]
mod tests {
    use super::Watch;

    /// Each step: buffers held, and whether memory is given back.
    fn check(steps: &[(u64, bool)]) {
        let mut watch = Watch::default();
        for (index, &(held, expected)) in steps.iter().enumerate() {
            assert_eq!(watch.is_due(held), expected, "step {index} of {steps:?}");
        }
    }

    #[test]
    fn connections_that_have_gone_quiet() {
        // Under load, and while it ebbs, nothing; once afterwards.
        check(&[
            (1000, false),
            (900, false),
            (1000, false),
            (600, false),
            (10, false),
            (10, true),
            (10, false),
        ]);
        // Too few to matter.
        check(&[(60, false), (0, false), (0, false)]);
    }
}
