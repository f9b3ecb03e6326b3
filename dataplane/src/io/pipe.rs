//! Pipes through which bytes go from socket to socket without being copied.
//!
//! A pipe holds references to the pages that the kernel received into. It belongs to one direction
//! of a connection while there is something in it, and to nobody otherwise: so an idle connection
//! holds none, and a slow receiver one.

use std::{
    cell::Cell,
    io,
    os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd},
    rc::Rc,
};

use crate::shelf::Shelf;

/// Bytes that a pipe is asked to hold, and that are moved at a time: what a slow receiver makes the
/// kernel hold for one direction, besides the buffers of the two sockets. It is the most that the
/// kernel gives to an ordinary user by default (`fs.pipe-max-size`). One stream over loopback took
/// 264 ns of this proxy's CPU per KiB (226 to 361) through pipes, and 579 (517 to 721) through
/// buffers of up to 256 KiB (`pipes = 0`).
pub const PIPE_BYTES: usize = 1 << 20;

/// The pipes of one core.
#[derive(Debug)]
pub struct Pipes {
    spare: Shelf<Pipe>,
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
            spare: Shelf::new(max),
            in_use: Rc::default(),
            max,
        }
    }

    /// There may be some.
    pub fn is_allowed(&self) -> bool {
        self.max > 0
    }

    /// Not as many as are allowed are in use.
    pub fn has_room(&self) -> bool {
        self.in_use.get() < self.max
    }

    /// An empty pipe; `None` when as many as are allowed are in use, or the kernel gives none.
    pub fn take(&self) -> Option<Pipe> {
        if !self.has_room() {
            return None;
        }
        let mut pipe = match self.spare.take() {
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
            self.spare.put(pipe);
        }
    }

    /// Pipes that are taken.
    pub fn in_use(&self) -> usize {
        self.in_use.get()
    }

    /// Closes pipes that were not needed since the last call. To be called every second or so.
    pub fn tidy(&self) {
        self.spare.tidy(usize::MAX);
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
        unsafe {
            libc::fcntl(
                write_end.as_raw_fd(),
                libc::F_SETPIPE_SZ,
                PIPE_BYTES as libc::c_int,
            )
        };
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
        let write_end = self.write_end.as_raw_fd();
        let count = splice(socket, write_end, bytes_max)?;
        self.bytes += count;
        Ok(count)
    }

    pub(super) fn empty_into(&mut self, socket: RawFd) -> io::Result<usize> {
        let (read_end, bytes) = (self.read_end.as_raw_fd(), self.bytes);
        let count = splice(read_end, socket, bytes)?;
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

#[cfg(test)]
mod tests {
    use std::{
        io::{self, Write},
        os::{fd::AsRawFd, unix::net::UnixStream},
    };

    use super::{Pipe, Pipes};

    #[test]
    fn there_are_never_more_than_allowed() {
        let pipes = Pipes::new(2);
        let (first, second) = (pipes.take(), pipes.take());
        assert!(first.is_some() && second.is_some() && pipes.take().is_none());
        drop(second);
        pipes.give_back(first.unwrap());
        assert_eq!(pipes.in_use(), 0);
        assert_eq!(pipes.spare.len(), 1);
        pipes.tidy();
        assert_eq!(pipes.spare.len(), 1, "it was needed a moment ago");
        pipes.tidy();
        assert_eq!(pipes.spare.len(), 0);
        assert!(Pipes::new(0).take().is_none());
    }

    /// Both ways.
    #[test]
    fn a_socket_that_does_not_block_holds_nobody_up() {
        let (near, far) = UnixStream::pair().unwrap();
        near.set_nonblocking(true).unwrap();
        let mut pipe = Pipe::open().unwrap();
        let nothing = pipe.fill_from(near.as_raw_fd(), 100).unwrap_err();
        assert_eq!(nothing.kind(), io::ErrorKind::WouldBlock);
        let mut sent = 0;
        let full = loop {
            while pipe.is_empty() {
                (&far).write_all(&[0; 4096]).unwrap();
                pipe.fill_from(near.as_raw_fd(), 4096).unwrap();
            }
            match pipe.empty_into(near.as_raw_fd()) {
                Ok(count) => sent += count,
                Err(error) => break error,
            }
        };
        assert_eq!(full.kind(), io::ErrorKind::WouldBlock);
        assert!(sent > 0);
    }
}
