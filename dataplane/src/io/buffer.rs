//! Buffers that come from a pool of their core and go back to it when they are dropped.
//!
//! A connection holds one only while it is busy; an idle one gives its buffer back. Three sizes:
//! most messages fit the smallest, and a transfer that keeps filling its buffer moves up.

use std::{cell::Cell, cell::RefCell, rc::Rc};

use monoio::buf::{IoBuf, IoBufMut};

/// Capacities of the larger sizes in bytes. 256 KiB cost a fifth less per KiB than 64 KiB in a TCP
/// copy on loopback, and beyond it little is gained.
const LARGER: [usize; 2] = [64 << 10, 256 << 10];
/// Free buffers of a size kept for reuse; more are given back to the allocator, which costs a system
/// call each. [`BufferPool::tidy`] takes care that they are not kept for long.
const FREE_MAX: [usize; 3] = [4096, 64, 16];
/// Buffers of a size that are freed at once, so that the core is not held up.
const TIDIED_MAX: usize = 1024;

/// The buffers of one core.
#[derive(Debug)]
pub struct BufferPool {
    capacities: [usize; 3],
    free: [RefCell<Vec<Vec<u8>>>; 3],
    /// The fewest free ones of each size since the last [`Self::tidy`]: so many were not needed.
    unneeded: [Cell<usize>; 3],
    in_use: Cell<usize>,
}

impl BufferPool {
    /// An empty pool whose smallest buffers hold `smallest` bytes, at most 64 KiB.
    pub fn new(smallest: usize) -> Rc<Self> {
        let capacities = [smallest, LARGER[0], LARGER[1]];
        Rc::new(Self {
            capacities,
            free: Default::default(),
            unneeded: Default::default(),
            in_use: Cell::new(0),
        })
    }

    /// An empty buffer of the smallest size.
    pub fn take(self: &Rc<Self>) -> Buffer {
        self.take_size(0)
    }

    /// A buffer without memory, to stand in for one that an operation owns.
    pub fn none(self: &Rc<Self>) -> Buffer {
        self.in_use.set(self.in_use.get() + 1);
        Buffer {
            bytes: Vec::new(),
            start: 0,
            pool: Rc::clone(self),
        }
    }

    /// Buffers that are taken and not yet given back.
    pub fn in_use(&self) -> usize {
        self.in_use.get()
    }

    /// Buffers that are free and kept for the next.
    pub fn spare(&self) -> usize {
        self.free.iter().map(|free| free.borrow().len()).sum()
    }

    /// Frees buffers that were not needed since the last call. To be called every second or so.
    pub fn tidy(&self) {
        for (free, unneeded) in self.free.iter().zip(&self.unneeded) {
            let mut free = free.borrow_mut();
            let kept = free.len() - unneeded.get().min(TIDIED_MAX);
            free.truncate(kept);
            unneeded.set(kept);
        }
    }

    fn take_size(self: &Rc<Self>, size: usize) -> Buffer {
        self.in_use.set(self.in_use.get() + 1);
        let mut spare = self.free[size].borrow_mut();
        let free = spare.pop();
        let unneeded = &self.unneeded[size];
        unneeded.set(unneeded.get().min(spare.len()));
        drop(spare);
        let bytes = free.unwrap_or_else(|| Vec::with_capacity(self.capacities[size]));
        Buffer {
            bytes,
            start: 0,
            pool: Rc::clone(self),
        }
    }

    fn size_of(&self, capacity: usize) -> Option<usize> {
        self.capacities.iter().position(|&size| size == capacity)
    }

    fn give_back(&self, mut bytes: Vec<u8>) {
        self.in_use.set(self.in_use.get() - 1);
        let Some(size) = self.size_of(bytes.capacity()) else {
            return; // grown past every size by an encoder
        };
        let mut free = self.free[size].borrow_mut();
        if free.len() < FREE_MAX[size] {
            bytes.clear();
            free.push(bytes);
        }
    }
}

/// Bytes that were received and not yet consumed, and room for more behind them.
#[derive(Debug)]
pub struct Buffer {
    bytes: Vec<u8>,
    /// Bytes before it are consumed. At most `bytes.len()`.
    start: usize,
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

    /// To append to, behind what is filled. Growing it past the buffer's size is allowed, but such
    /// a buffer is not pooled again.
    pub fn tail(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
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
        let mut sizes = self.pool.capacities.iter();
        let Some(size) = sizes.position(|&capacity| capacity > self.bytes.capacity()) else {
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
        self.pool.give_back(std::mem::take(&mut self.bytes));
    }
}

// SAFETY: the pointer is into the vector's heap block, which does not move when the Buffer does, and
// `bytes_init` counts only initialised bytes of it.
unsafe impl IoBuf for Buffer {
    fn read_ptr(&self) -> *const u8 {
        self.filled().as_ptr()
    }

    fn bytes_init(&self) -> usize {
        self.filled().len()
    }
}

/// A receive appends: the kernel writes behind what is filled.
// SAFETY: the pointer and the length name the vector's spare capacity, which stays in place while
// the operation owns the Buffer.
unsafe impl IoBufMut for Buffer {
    fn write_ptr(&mut self) -> *mut u8 {
        self.bytes.spare_capacity_mut().as_mut_ptr().cast()
    }

    fn bytes_total(&mut self) -> usize {
        self.room()
    }

    unsafe fn set_init(&mut self, received: usize) {
        let length = self.bytes.len() + received;
        // SAFETY: the kernel wrote `received` bytes from `write_ptr` on, at most `bytes_total`.
        unsafe { self.bytes.set_len(length) };
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
