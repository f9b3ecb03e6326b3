//! A TCP connection that one task may read and write at the same time.

use std::{
    cell::{Cell, OnceCell},
    io::{self, IoSlice},
    mem::MaybeUninit,
    net::SocketAddr,
    os::fd::{AsRawFd, FromRawFd, IntoRawFd, OwnedFd, RawFd},
    rc::Rc,
    task::{Context, Poll},
    time::Duration,
};

use monoio::{io::AsyncWriteRent, net::TcpStream};

use self::secure::Secure;
use super::{
    buffer::{Buffer, Part},
    deadline::{Deadline, Deadlines},
    pipe::Pipe,
    race::{Either, race},
    socket::{Socket, Watch},
};

mod ends;
mod secure;

pub use ends::PeerState;

/// A connected TCP socket of this core. It does not block, which splicing relies on:
/// `SPLICE_F_NONBLOCK` is about the pipe only, and a socket that blocks would hold up the core for
/// as long as its peer likes.
pub struct Stream {
    /// Dropped first: its slot must not outlive the descriptor.
    deadline: Deadline,
    /// Of a connection that was kept in a pool.
    watch: OnceCell<Watch>,
    socket: Rc<Socket>,
    fd: RawFd,
    /// The next receive is to be tried before it is waited for: there is more already, most likely,
    /// or the runtime would say so in any case.
    try_first: Cell<bool>,
    /// Receives and sends since the others on this core had their turn.
    moves: Cell<u8>,
    /// The last receive filled all the room that it was given.
    has_more: Cell<bool>,
    /// The last body that came was moved. Then the next one may be, and little of it is to be
    /// copied with its head.
    expects_bulk: Cell<bool>,
    /// The peer has sent its last byte, or we stopped reading.
    ended: Cell<bool>,
    /// By [`Self::abort`].
    aborted: Cell<bool>,
    /// Of a connection that carries TLS.
    secure: OnceCell<Box<Secure>>,
}

/// What a receive brought.
#[derive(Debug, PartialEq, Eq)]
pub enum Received {
    /// So many bytes, appended to the buffer.
    Bytes(usize),
    /// The peer will send no more, or the deadline stopped the reading.
    End,
}

impl Received {
    fn of(count: usize) -> Self {
        match count {
            0 => Self::End,
            count => Self::Bytes(count),
        }
    }
}

/// What is received at once with a head that a long body follows: most heads fit, and all of the
/// body that is in it is copied.
const BULK_HEAD_BYTES: usize = 4096;
/// Receives and sends of a connection before others have their turn.
const MOVES_MAX: u8 = 32;
impl Stream {
    /// Takes over an accepted socket, which must not block.
    ///
    /// # Errors
    /// When it cannot be registered with epoll.
    pub fn accepted(fd: OwnedFd, deadlines: &Rc<Deadlines>) -> io::Result<Self> {
        let stream = Self::new(TcpStream::from_std(fd.into())?, deadlines);
        // When connections queue, the first request is there before its connection is accepted.
        stream.try_first.set(true);
        Ok(stream)
    }

    /// Connects to `address`.
    ///
    /// # Errors
    /// The kernel's, or [`io::ErrorKind::TimedOut`] after `timeout`.
    pub async fn connect(
        address: SocketAddr,
        timeout: Duration,
        deadlines: &Rc<Deadlines>,
    ) -> io::Result<Self> {
        let connect = TcpStream::connect_addr(address);
        // Dropping a connect is harmless: the operation owns the socket and closes it.
        let stream = match race(connect, monoio::time::sleep(timeout)).await {
            Either::First(connected) => connected?,
            Either::Second(()) => return Err(io::ErrorKind::TimedOut.into()),
        };
        stream.set_nodelay(true)?;
        let stream = Self::new(stream, deadlines);
        stream.socket.stop_blocking()?;
        Ok(stream)
    }

    /// An accepted socket has its options from the one that listens ([`super::listen::bind`]).
    fn new(stream: TcpStream, deadlines: &Rc<Deadlines>) -> Self {
        let fd = stream.as_raw_fd();
        Self {
            deadline: deadlines.watch(fd),
            watch: OnceCell::new(),
            socket: Socket::new(stream, deadlines.rung),
            fd,
            try_first: Cell::new(false),
            moves: Cell::new(0),
            has_more: Cell::new(false),
            expects_bulk: Cell::new(false),
            ended: Cell::new(false),
            aborted: Cell::new(false),
            secure: OnceCell::new(),
        }
    }

    /// When it is late, and what happens then.
    pub fn deadline(&self) -> &Deadline {
        &self.deadline
    }

    /// Local address.
    ///
    /// # Errors
    /// The kernel's, when the socket is gone.
    pub fn local_address(&self) -> io::Result<SocketAddr> {
        self.socket.shared().local_addr()
    }

    /// Waits, without a buffer, until something may have arrived. May be dropped.
    ///
    /// # Errors
    /// The kernel's.
    pub async fn readable(&self) -> io::Result<()> {
        // What was not there a moment ago is seldom there now: a try would be in vain.
        if self.try_first.take() {
            return Ok(());
        }
        self.socket.readable().await
    }

    /// It is time for the others ([`super::turn`]).
    fn ends_turn(&self) -> bool {
        if !self.socket.is_epoll() {
            return false;
        }
        let moves = (self.moves.get() + 1) % MOVES_MAX;
        self.moves.set(moves);
        moves == 0
    }

    /// The last receive filled all the room that it was given: there is more already, most likely.
    pub fn has_more(&self) -> bool {
        self.has_more.get()
    }

    /// Whether the last body was long enough to be moved. Then a receive into an empty buffer takes
    /// a head, but little of what comes behind it.
    pub fn expect_bulk(&self, is_bulk: bool) {
        self.expects_bulk.set(is_bulk);
    }

    /// Appends what has arrived to `buffer`, which must not be full, without waiting;
    /// [`io::ErrorKind::WouldBlock`] when nothing has.
    ///
    /// # Errors
    /// The kernel's.
    pub fn receive_now(&self, buffer: &mut Buffer) -> io::Result<Received> {
        if !self.is_plain() {
            return self.receive_secure(buffer);
        }
        buffer.hold();
        let room = match self.expects_bulk.get() && buffer.is_empty() {
            true => buffer.room().min(BULK_HEAD_BYTES),
            false => buffer.room(),
        };
        let count = self.socket.receive(buffer, room)?;
        self.note_received(count, room);
        Ok(Received::of(count))
    }

    #[inline]
    fn note_received(&self, count: usize, room: usize) {
        self.has_more.set(count == room);
        self.try_first.set(count == room || self.socket.is_epoll());
        if count == 0 {
            self.ended.set(true);
        }
    }

    /// As [`Self::receive_now`], for the bridge: to the front of `space`, which is not empty. How
    /// many bytes of it are initialised then; 0: the end.
    pub(super) fn receive_to(&self, space: &mut [MaybeUninit<u8>]) -> io::Result<usize> {
        if !self.is_plain() {
            return self.receive_secure_to(space);
        }
        let count = self.socket.receive_to(space)?;
        self.note_received(count, space.len());
        Ok(count)
    }

    /// As [`Self::readable`], for the bridge. `is_waiting` is its to keep, and false at first.
    pub(super) fn poll_readable(
        &self,
        is_waiting: &mut bool,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        if !*is_waiting && self.try_first.take() {
            return Poll::Ready(Ok(()));
        }
        let watch = || Watch::new(Rc::clone(&self.socket));
        let watch = self.watch.get_or_init(watch);
        watch.poll_seen(&self.socket, is_waiting, context)
    }

    /// The next receive is to be waited for, by way of the ring, although there is more.
    pub(super) fn wait_first(&self) {
        self.try_first.set(self.holds_more());
    }

    /// Sends what fits into the send buffer, without waiting.
    pub(super) fn send_now(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        if !self.is_plain() {
            return self.send_secure_slices(slices);
        }
        self.socket.send_now(slices)
    }

    pub(super) fn is_epoll(&self) -> bool {
        self.socket.is_epoll()
    }

    /// Appends what arrives next to `buffer`, which must not be full. While it waits, an empty
    /// buffer holds no memory. May be dropped.
    ///
    /// # Errors
    /// The kernel's.
    pub async fn receive(&self, buffer: &mut Buffer) -> io::Result<Received> {
        if self.ends_turn() {
            self.deadline.table().turns.give_way().await;
        }
        loop {
            if !self.try_first.take() {
                buffer.release();
                match self.watch.get() {
                    Some(watch) => watch.seen(&self.socket).await?,
                    None => self.socket.readable().await?,
                }
            }
            match self.receive_now(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => return result,
            }
        }
    }

    /// To be called when an answer is complete: what arrives from now on was not asked for, and
    /// [`Self::stayed_silent`] tells.
    pub fn expect_nothing(&self) {
        self.try_first.set(false);
        if !self.socket.is_epoll() {
            let watch = || Watch::new(Rc::clone(&self.socket));
            self.watch.get_or_init(watch).arm(&self.socket);
        }
    }

    /// Nothing has arrived since [`Self::expect_nothing`] and the peer has not closed: a pooled
    /// connection can be used once more. When not, it cannot be used any more at all.
    ///
    /// On a ring this costs no system call: it is what the loop had heard of when it last waited.
    /// So what comes within a turn of the loop is not seen, as with any proxy that asks for events
    /// once a turn.
    pub fn stayed_silent(&self) -> bool {
        if self.ended.get() || self.holds_more() {
            return false;
        }
        let is_silent = match self.watch.get() {
            Some(watch) => !watch.has_seen(&self.socket),
            None => self.socket.stayed_silent(),
        };
        if is_silent || self.is_plain() || !self.secure_stayed_silent() {
            return is_silent;
        }
        self.expect_nothing();
        true
    }

    /// Waits until [`Self::receive_into`] would not block.
    ///
    /// # Errors
    /// The kernel's.
    pub async fn spliceable(&self) -> io::Result<()> {
        self.socket.shared().readable(false).await
    }

    /// Moves at most `bytes_max` bytes that have arrived into `pipe`, which must be empty, without
    /// copying them. Does not wait. [`io::ErrorKind::WouldBlock`] when nothing has arrived, or what
    /// has begins with urgent data, which only [`Self::receive`] gets past; for the same reason an
    /// end that this finds may have bytes before it.
    ///
    /// # Errors
    /// The kernel's.
    pub fn receive_into(&self, pipe: &mut Pipe, bytes_max: usize) -> io::Result<Received> {
        self.try_first.set(self.socket.is_epoll());
        pipe.fill_from(self.fd, bytes_max).map(Received::of)
    }

    /// Sends all that is in `pipe`. `sent` is told of the bytes that the kernel has taken, whenever
    /// it has.
    ///
    /// # Errors
    /// The kernel's. Then the pipe is not empty.
    pub async fn send_from(&self, pipe: &mut Pipe, sent: impl Fn(usize)) -> io::Result<()> {
        if self.ends_turn() {
            self.deadline.table().turns.give_way().await;
        }
        while !pipe.is_empty() {
            match pipe.empty_into(self.fd) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => sent(count),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.writable().await?,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Sends all that is filled in `buffer`, and consumes it.
    pub async fn send(&self, buffer: Buffer) -> (io::Result<()>, Buffer) {
        let (sent, mut buffer) = self.send_part(Part::whole(buffer)).await;
        buffer.clear();
        (sent, buffer)
    }

    /// Sends a part of a buffer, and consumes nothing.
    pub async fn send_part(&self, part: Part) -> (io::Result<()>, Buffer) {
        if !self.is_plain() {
            // In a box: what it holds is large, and most connections have none.
            return Box::pin(self.send_secure(part)).await;
        }
        self.send_raw(part).await
    }

    /// As it is.
    async fn send_raw(&self, mut part: Part) -> (io::Result<()>, Buffer) {
        while part.from < part.to {
            // SAFETY: it starts one operation.
            let (result, returned) = unsafe { self.socket.exclusive() }.write(part).await;
            part = returned;
            let sent = match result {
                Ok(0) => Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => {
                    part.from += count;
                    Ok(())
                }
                // The kernel may refuse to wait on behalf of a socket that does not block.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.writable().await,
                Err(error) => Err(error),
            };
            if sent.is_err() {
                return (sent, part.buffer);
            }
        }
        if self.ends_turn() {
            self.deadline.table().turns.give_way().await;
        }
        (Ok(()), part.buffer)
    }

    /// Sends what fits into the send buffer, while more follows: the kernel may keep it to send it
    /// with what follows, until [`Self::push`] or the next send. Does not wait. Says how many bytes
    /// were taken.
    ///
    /// # Errors
    /// The kernel's.
    pub fn send_ahead(&self, bytes: &[u8]) -> io::Result<usize> {
        // What is encrypted cannot be taken in part.
        if bytes.is_empty() || !self.is_plain() {
            return Ok(0);
        }
        match self.socket.send_ahead(bytes) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
            result => result,
        }
    }

    /// What was to follow [`Self::send_ahead`] is not there yet: nothing is kept for it.
    pub fn push(&self) {
        // tcp(7): setting the option flushes what is pending. An error means that the connection is
        // gone, which the next send finds.
        drop(self.socket.shared().set_nodelay(true));
    }

    /// Waits until some more can be sent.
    pub(super) async fn writable(&self) -> io::Result<()> {
        self.socket.shared().writable(false).await
    }
}

/// A socket that was accepted but belongs to no ring yet, so that it can move to another core.
pub struct Accepted {
    /// It does not block, and is closed on exec.
    pub fd: OwnedFd,
    /// Whose it is.
    pub peer: SocketAddr,
}

impl Accepted {
    pub(super) fn from_raw(fd: RawFd, peer: SocketAddr) -> Self {
        // SAFETY: accept4 just returned it, nobody else owns it.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        Self { fd, peer }
    }
}

impl From<Accepted> for RawFd {
    fn from(accepted: Accepted) -> Self {
        accepted.fd.into_raw_fd()
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::{Deadlines, Stream};
    use crate::io::ring::{self, Rung};

    /// Bytes that were taken and not sent yet: SIOCOUTQNSD of Linux's `sockios.h`.
    fn unsent(stream: &Stream) -> libc::c_int {
        let mut bytes = 0;
        // SAFETY: the request writes an int that outlives the call.
        let result = unsafe { libc::ioctl(stream.fd, 0x894B, &raw mut bytes) };
        assert_eq!(result, 0);
        bytes
    }

    /// What was sent ahead is kept for what follows, and goes when that is not there.
    #[test]
    fn what_was_sent_ahead_goes_when_it_is_pushed() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let _far = listener.accept().unwrap();
        near.set_nodelay(true).unwrap();
        near.set_nonblocking(true).unwrap();
        let body = async move |rung| {
            let stream = Stream::accepted(near.into(), &Deadlines::new(rung)).unwrap();
            assert_eq!(stream.send_ahead(b"").unwrap(), 0);
            assert_eq!(stream.send_ahead(b"head").unwrap(), 4);
            stream.push();
            assert_eq!(unsent(&stream), 0);
        };
        let ran = ring::run(&[Rung::Epoll], 8, |rung, _| body(rung));
        assert!(ran.is_ok());
    }
}
