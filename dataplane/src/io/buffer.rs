//! Buffers that come from a pool of their core and go back to it when they are dropped.
//!
//! A connection holds memory only while there are bytes in it: an empty buffer gives its memory
//! back while it waits ([`Buffer::release`]) and takes some again when bytes have arrived. What was
//! given back last is taken next, so that busy connections share a few buffers that the core's
//! caches hold. Three sizes: most messages fit the smallest, and a transfer that keeps filling its
//! buffer moves up.

use std::{cell::Cell, mem::MaybeUninit, rc::Rc};

use monoio::buf::IoBuf;

use crate::shelf::Shelf;

/// Capacities of the larger sizes in bytes. 256 KiB cost a fifth less per KiB than 64 KiB in a TCP
/// copy on loopback, and beyond it little is gained.
const LARGER: [usize; 2] = [64 << 10, 256 << 10];
/// Free buffers of a size kept for reuse; more are given back to the allocator, which costs a
/// system call each. [`BufferPool::tidy`] takes care that they are not kept for long.
const FREE_MAX: [usize; 3] = [4096, 64, 16];
/// Buffers of a size that are freed at once, so that the core is not held up.
const TIDIED_MAX: usize = 1024;

/// The buffers of one core.
#[derive(Debug)]
pub struct BufferPool {
    capacities: [usize; 3],
    free: [Shelf<Vec<u8>>; 3],
    in_use: Cell<usize>,
}

impl BufferPool {
    /// An empty pool whose smallest buffers hold `smallest` bytes, at most 64 KiB.
    pub fn new(smallest: usize) -> Rc<Self> {
        let capacities = [smallest, LARGER[0], LARGER[1]];
        Rc::new(Self {
            capacities,
            free: FREE_MAX.map(Shelf::new),
            in_use: Cell::new(0),
        })
    }

    /// An empty buffer of the smallest size.
    pub fn take(self: &Rc<Self>) -> Buffer {
        self.take_size(0)
    }

    /// A buffer of the smallest size that has no memory yet ([`Buffer::hold`]).
    pub fn none(self: &Rc<Self>) -> Buffer {
        Buffer {
            bytes: Vec::new(),
            start: 0,
            size: 0,
            margin: 0,
            pool: Rc::clone(self),
        }
    }

    /// Buffers that hold memory.
    pub fn in_use(&self) -> usize {
        self.in_use.get()
    }

    /// Buffers that are free and kept for the next.
    pub fn spare(&self) -> usize {
        self.free.iter().map(Shelf::len).sum()
    }

    /// Frees buffers that were not needed since the last call. To be called every second or so.
    pub fn tidy(&self) {
        self.free.iter().for_each(|free| free.tidy(TIDIED_MAX));
    }

    fn take_size(self: &Rc<Self>, size: usize) -> Buffer {
        Buffer {
            bytes: self.take_memory(size),
            start: 0,
            size,
            margin: 0,
            pool: Rc::clone(self),
        }
    }

    fn take_memory(&self, size: usize) -> Vec<u8> {
        self.in_use.set(self.in_use.get() + 1);
        let free = self.free[size].take();
        free.unwrap_or_else(|| Vec::with_capacity(self.capacities[size]))
    }

    /// Memory that was taken with this `size`.
    fn give_back(&self, mut bytes: Vec<u8>, size: usize) {
        let capacity = bytes.capacity();
        if capacity == 0 {
            return;
        }
        self.in_use.set(self.in_use.get() - 1);
        // An encoder may have made it larger.
        if capacity == self.capacities[size] {
            bytes.clear();
            self.free[size].put(bytes);
        }
    }
}

/// Bytes that were received and not yet consumed, and room for more behind them.
#[derive(Debug)]
pub struct Buffer {
    bytes: Vec<u8>,
    /// Bytes before it are consumed. At most `bytes.len()`.
    start: usize,
    /// Index of its capacity, also while it has no memory.
    size: usize,
    /// Bytes that are left free in front when it takes memory.
    margin: usize,
    pool: Rc<BufferPool>,
}

impl Buffer {
    /// What is not consumed.
    pub fn filled(&self) -> &[u8] {
        &self.bytes[self.start..]
    }

    /// What is not consumed, to be changed in place.
    pub fn filled_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[self.start..]
    }

    /// Everything is consumed.
    pub fn is_empty(&self) -> bool {
        self.start == self.bytes.len()
    }

    /// Forgets the first `count` bytes of [`Self::filled`].
    pub fn consume(&mut self, count: usize) {
        assert!(
            count <= self.bytes.len() - self.start,
            "no more can be consumed than was filled"
        );
        self.start += count;
        if self.is_empty() {
            self.clear();
        }
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.start = 0;
    }

    /// The first `count` bytes, which are there, in another one of the same pool.
    pub fn copy_front(&self, count: usize) -> Self {
        let mut copy = self.pool.take_size(self.size);
        copy.bytes.extend_from_slice(&self.filled()[..count]);
        copy
    }

    /// Moves what is in it, with its memory, to another one of the same pool.
    pub fn take(&mut self) -> Self {
        Self {
            bytes: std::mem::take(&mut self.bytes),
            start: std::mem::take(&mut self.start),
            size: self.size,
            margin: self.margin,
            pool: Rc::clone(&self.pool),
        }
    }

    /// Gives its memory back if nothing is in it.
    pub fn release(&mut self) {
        if self.is_empty() {
            self.start = 0;
            self.pool
                .give_back(std::mem::take(&mut self.bytes), self.size);
        }
    }

    /// Takes memory if it has none.
    pub fn hold(&mut self) {
        if self.bytes.capacity() == 0 {
            self.bytes = self.pool.take_memory(self.size);
            self.bytes.resize(self.margin, 0);
            self.start = self.margin;
        }
    }

    /// It is to leave so many bytes of room in front, for [`Self::prepend`], when it takes memory.
    pub fn with_margin(mut self, margin: usize) -> Self {
        self.margin = margin;
        self
    }

    /// Puts `bytes` before what is filled, without moving that. False when there is no room.
    pub fn prepend(&mut self, bytes: &[u8]) -> bool {
        let Some(start) = self.start.checked_sub(bytes.len()) else {
            return false;
        };
        self.bytes[start..self.start].copy_from_slice(bytes);
        self.start = start;
        true
    }

    /// There is nothing in it, and it holds nothing.
    pub fn has_no_memory(&self) -> bool {
        self.bytes.capacity() == 0
    }

    /// To append to, behind what is filled. Growing it past the buffer's size is allowed, but such
    /// memory is not pooled again.
    pub fn tail(&mut self) -> &mut Vec<u8> {
        self.hold();
        &mut self.bytes
    }

    /// Room behind what is filled, to be written to by the kernel.
    pub(super) fn spare(&mut self) -> &mut [MaybeUninit<u8>] {
        self.bytes.spare_capacity_mut()
    }

    /// The kernel has written so many bytes to [`Self::spare`].
    ///
    /// # Safety
    /// It has.
    pub(super) unsafe fn received(&mut self, count: usize) {
        let length = self.bytes.len() + count;
        // SAFETY: required of the caller.
        unsafe { self.bytes.set_len(length) };
    }

    /// Bytes that fit behind what is filled.
    pub fn room(&self) -> usize {
        self.bytes.capacity() - self.bytes.len()
    }

    /// Makes room behind what is filled by moving it to the front, or else by moving to the next
    /// size. False when the buffer has the largest size and is full.
    pub fn make_room(&mut self) -> bool {
        if self.start > 0 {
            self.bytes.drain(..self.start);
            self.start = 0;
            return true;
        }
        if self.room() > 0 {
            return true;
        }
        self.grow()
    }

    /// Moves to the next size. False when this is the largest.
    pub fn grow(&mut self) -> bool {
        let sizes = &self.pool.capacities;
        let current = self.bytes.capacity().max(sizes[self.size]);
        let Some(size) = sizes.iter().position(|&capacity| capacity > current) else {
            return false;
        };
        let mut larger = self.pool.take_size(size);
        larger.bytes.extend_from_slice(self.filled());
        *self = larger;
        true
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        self.pool
            .give_back(std::mem::take(&mut self.bytes), self.size);
    }
}

// SAFETY: the pointer is into the vector's heap block, which does not move when the Buffer does,
// and `bytes_init` counts only initialised bytes of it.
unsafe impl IoBuf for Buffer {
    fn read_ptr(&self) -> *const u8 {
        self.filled().as_ptr()
    }

    fn bytes_init(&self) -> usize {
        self.filled().len()
    }
}

/// A part of a buffer's filled bytes, to be sent without moving it.
#[derive(Debug)]
pub struct Part {
    /// The whole buffer.
    pub buffer: Buffer,
    /// Offset of the part's first byte in [`Buffer::filled`].
    pub from: usize,
    /// Offset behind its last byte.
    pub to: usize,
}

impl Part {
    /// All that is filled.
    pub fn whole(buffer: Buffer) -> Self {
        let to = buffer.filled().len();
        Self {
            buffer,
            from: 0,
            to,
        }
    }
}

// SAFETY: as for Buffer; the range is checked against the initialised bytes on every call.
unsafe impl IoBuf for Part {
    fn read_ptr(&self) -> *const u8 {
        self.buffer.filled()[self.from..self.to].as_ptr()
    }

    fn bytes_init(&self) -> usize {
        self.to - self.from
    }
}

#[cfg(test)]
mod tests {
    use super::{BufferPool, LARGER};

    const SMALLEST: usize = 4096;

    #[test]
    fn comes_back_to_its_pool() {
        let pool = BufferPool::new(SMALLEST);
        let buffer = pool.take();
        assert_eq!(pool.in_use(), 1);
        let address = buffer.bytes.as_ptr();
        drop(buffer);
        assert_eq!(pool.in_use(), 0);
        assert_eq!(pool.take().bytes.as_ptr(), address);
    }

    #[test]
    fn what_is_not_needed_is_freed() {
        let pool = BufferPool::new(SMALLEST);
        let check = |taken: usize, spare: usize| {
            let buffers: Vec<_> = (0..taken).map(|_| pool.take()).collect();
            drop(buffers);
            pool.tidy();
            assert_eq!(pool.spare(), spare, "after {taken} were taken");
        };
        check(0, 0);
        check(5, 5); // there was a time without any
        check(2, 2); // three stayed
        check(2, 2);
        check(0, 0);
    }

    #[test]
    fn takes_a_head_in_front_of_what_is_left() {
        let pool = BufferPool::new(SMALLEST);
        let mut buffer = pool.none().with_margin(2);
        buffer.hold();
        assert_eq!((buffer.is_empty(), buffer.room()), (true, SMALLEST - 2));
        buffer.tail().extend_from_slice(b"abc");
        buffer.consume(1);
        assert!(!buffer.prepend(b"1234") && buffer.prepend(b"123"));
        assert_eq!(buffer.filled(), b"123bc");
    }

    #[test]
    fn has_memory_only_while_there_is_something_in_it() {
        let pool = BufferPool::new(SMALLEST);
        let mut buffer = pool.none();
        assert_eq!((buffer.room(), pool.in_use()), (0, 0));
        buffer.hold();
        assert_eq!((buffer.room(), pool.in_use()), (SMALLEST, 1));
        buffer.tail().push(b'a');
        buffer.release();
        assert_eq!((buffer.filled(), pool.in_use()), (&b"a"[..], 1));
        buffer.consume(1);
        assert!(buffer.grow());
        buffer.release();
        assert_eq!((buffer.room(), pool.in_use()), (0, 0));
        buffer.hold();
        assert_eq!((buffer.room(), pool.in_use()), (LARGER[0], 1));
        drop(buffer);
        assert_eq!((pool.spare(), pool.in_use()), (2, 0));
    }

    #[test]
    fn consumes_moves_and_grows() {
        let pool = BufferPool::new(SMALLEST);
        let mut buffer = pool.take();
        buffer.tail().extend_from_slice(&vec![b'a'; SMALLEST - 1]);
        buffer.tail().push(b'b');
        assert_eq!(buffer.room(), 0);
        buffer.consume(SMALLEST - 1);
        assert!(buffer.make_room());
        assert_eq!(buffer.filled(), b"b");
        assert_eq!(buffer.room(), SMALLEST - 1);
        assert!(buffer.grow() && buffer.grow());
        assert!(!buffer.grow());
        assert_eq!(buffer.filled(), b"b");
        assert_eq!(buffer.room(), LARGER[1] - 1);
        assert_eq!(pool.in_use(), 1);
    }
}
