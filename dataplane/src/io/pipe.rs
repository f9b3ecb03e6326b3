//! Pipes through which bytes go from socket to socket without being copied.
//!
//! A pipe holds references to the pages that the kernel received into. It belongs to one direction
//! of a connection while there is something in it, and to nobody otherwise: so an idle connection
//! holds none, and a slow receiver one.

use std::{
    cell::{Cell, RefCell},
    io,
    os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd},
    rc::Rc,
};

/// Bytes that a pipe is asked to hold, which is the most that the kernel gives to an ordinary user by
/// default (`fs.pipe-max-size`). Moving 1 MiB at a time cost half as much CPU per KiB on loopback as
/// copying through a buffer of 256 KiB.
const PIPE_BYTES: libc::c_int = 1 << 20;

/// The pipes of one core.
#[derive(Debug)]
pub struct Pipes {
    spare: RefCell<Vec<Pipe>>,
    /// The fewest spare ones since the last [`Self::tidy`].
    unneeded: Cell<usize>,
    in_use: Rc<Cell<usize>>,
    max: usize,
}

/// One pipe.
#[derive(Debug)]
pub struct Pipe {
    read_end: OwnedFd,
    write_end: OwnedFd,
    bytes: usize,
    /// Of the pool that it counts in while it is taken.
    in_use: Option<Rc<Cell<usize>>>,
}

impl Pipes {
    /// At most `max` pipes at a time. With 0 there are none.
    pub fn new(max: usize) -> Self {
        Self {
            spare: RefCell::default(),
            unneeded: Cell::new(0),
            in_use: Rc::default(),
            max,
        }
    }

    /// There may be some.
    pub fn is_allowed(&self) -> bool {
        self.max > 0
    }

    /// An empty pipe; `None` when as many as are allowed are in use, or the kernel gives none.
    pub fn take(&self) -> Option<Pipe> {
        if self.in_use.get() >= self.max {
            return None;
        }
        let mut spare = self.spare.borrow_mut();
        let pipe = spare.pop();
        self.unneeded.set(self.unneeded.get().min(spare.len()));
        drop(spare);
        let mut pipe = match pipe {
            Some(pipe) => pipe,
            None => Pipe::open().ok()?,
        };
        self.in_use.set(self.in_use.get() + 1);
        pipe.in_use = Some(Rc::clone(&self.in_use));
        Some(pipe)
    }

    /// Takes back a pipe. One that is not empty is closed, with what is in it.
    pub fn give_back(&self, mut pipe: Pipe) {
        pipe.let_go();
        if pipe.bytes == 0 {
            self.spare.borrow_mut().push(pipe);
        }
    }

    /// Pipes that are taken.
    pub fn in_use(&self) -> usize {
        self.in_use.get()
    }

    /// Closes pipes that were not needed since the last call. To be called every second or so.
    pub fn tidy(&self) {
        let mut spare = self.spare.borrow_mut();
        let kept = spare.len() - self.unneeded.get().min(spare.len());
        spare.truncate(kept);
        self.unneeded.set(kept);
    }
}

impl Pipe {
    fn open() -> io::Result<Self> {
        let mut ends: [RawFd; 2] = [0; 2];
        // SAFETY: the array has room for the two descriptors and outlives the call.
        if unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC | libc::O_NONBLOCK) } < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: pipe2 just made them, nobody else owns them.
        let [read_end, write_end] = ends.map(|end| unsafe { OwnedFd::from_raw_fd(end) });
        // SAFETY: fcntl with an integer touches no memory. A refusal leaves the pipe smaller, which
        // costs more calls.
        unsafe { libc::fcntl(write_end.as_raw_fd(), libc::F_SETPIPE_SZ, PIPE_BYTES) };
        Ok(Self {
            read_end,
            write_end,
            bytes: 0,
            in_use: None,
        })
    }

    /// Nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    pub(super) fn fill_from(&mut self, socket: RawFd, bytes_max: usize) -> io::Result<usize> {
        let count = splice(socket, self.write_end.as_raw_fd(), bytes_max)?;
        self.bytes += count;
        Ok(count)
    }

    pub(super) fn empty_into(&mut self, socket: RawFd) -> io::Result<usize> {
        let count = splice(self.read_end.as_raw_fd(), socket, self.bytes)?;
        self.bytes -= count;
        Ok(count)
    }

    fn let_go(&mut self) {
        if let Some(in_use) = self.in_use.take() {
            in_use.set(in_use.get() - 1);
        }
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        self.let_go();
    }
}

fn splice(from: RawFd, to: RawFd, bytes: usize) -> io::Result<usize> {
    let flags = libc::SPLICE_F_NONBLOCK | libc::SPLICE_F_MOVE;
    let nowhere = std::ptr::null_mut();
    // SAFETY: splice touches no memory of ours when the offsets are null, and both descriptors are
    // open: their owners are borrowed.
    let moved = unsafe { libc::splice(from, nowhere, to, nowhere, bytes, flags) };
    usize::try_from(moved).map_err(|_| io::Error::last_os_error())
}

/// Whether the kernel lets a pipe be emptied into a socket of `rung` without ever blocking: on a
/// blocking socket, `SPLICE_F_NONBLOCK` is heeded since Linux 6.5.
pub fn may_splice(blocking_sockets: bool) -> bool {
    !blocking_sockets || kernel().is_some_and(|version| version >= (6, 5))
}

fn kernel() -> Option<(u32, u32)> {
    let mut name = std::mem::MaybeUninit::<libc::utsname>::zeroed();
    // SAFETY: uname fills the structure, which outlives the call; zeroes are valid in it as well.
    let name = unsafe {
        libc::uname(name.as_mut_ptr());
        name.assume_init()
    };
    let release: Vec<u8> = name.release.iter().map(|&byte| byte as u8).collect();
    version(std::str::from_utf8(release.split(|&byte| byte == 0).next()?).ok()?)
}

/// `6.18` of `6.18.44-something`.
fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|digit: char| !digit.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::{Pipes, version};

    #[test]
    fn there_are_never_more_than_allowed() {
        let pipes = Pipes::new(2);
        let (first, second) = (pipes.take(), pipes.take());
        assert!(first.is_some() && second.is_some() && pipes.take().is_none());
        drop(second);
        pipes.give_back(first.unwrap());
        assert_eq!(pipes.in_use(), 0);
        assert_eq!(pipes.spare.borrow().len(), 1);
        pipes.tidy();
        assert_eq!(pipes.spare.borrow().len(), 1, "it was needed a moment ago");
        pipes.tidy();
        assert_eq!(pipes.spare.borrow().len(), 0);
        assert!(Pipes::new(0).take().is_none());
    }

    #[test]
    fn versions() {
        for (release, expected) in [
            ("6.18.44-fc", Some((6, 18))),
            ("6.1.0-13-amd64", Some((6, 1))),
            ("5.15", Some((5, 15))),
            ("x", None),
        ] {
            assert_eq!(version(release), expected, "{release}");
        }
    }
}
