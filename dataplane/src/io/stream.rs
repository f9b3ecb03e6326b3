//! A TCP connection that one task may read and write at the same time.

use std::{
    cell::{Cell, UnsafeCell},
    io,
    net::SocketAddr,
    os::fd::{AsRawFd, FromRawFd, IntoRawFd, OwnedFd, RawFd},
    rc::Rc,
    time::Duration,
};

use monoio::{
    io::{AsyncReadRent, AsyncWriteRent, CancelableAsyncReadRent},
    net::TcpStream,
};

use super::{
    buffer::{Buffer, Part},
    deadline::{Deadline, Deadlines},
    pipe::Pipe,
    race::{Either, race},
};

/// A connected TCP socket of this core.
pub struct Stream {
    /// Dropped first: its slot must not outlive the descriptor.
    deadline: Deadline,
    inner: UnsafeCell<TcpStream>,
    fd: RawFd,
    /// The peer has sent its last byte, or we stopped reading.
    ended: Cell<bool>,
    /// By [`Self::abort`].
    aborted: Cell<bool>,
}

/// What a receive brought.
#[derive(Debug, PartialEq, Eq)]
pub enum Received {
    /// So many bytes, appended to the buffer.
    Bytes(usize),
    /// The peer will send no more, or the deadline stopped the reading.
    End,
    /// The deadline cancelled the read ([`super::deadline::Expiry::CancelRead`]).
    Cancelled,
}

/// What is known of a peer without receiving.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeerState {
    /// Nothing in particular.
    Open,
    /// It sends no more; it may or may not still receive.
    Finished,
    /// The connection is reset, or ended in both directions.
    Gone,
}

/// Between two questions to a peer that may have gone.
const PROBE_SECONDS: libc::c_int = 5;

impl Stream {
    /// Takes over an accepted socket.
    ///
    /// # Errors
    /// When it cannot be registered with epoll.
    pub fn accepted(fd: OwnedFd, deadlines: &Rc<Deadlines>) -> io::Result<Self> {
        Self::new(TcpStream::from_std(fd.into())?, deadlines)
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
        Self::new(stream, deadlines)
    }

    fn new(stream: TcpStream, deadlines: &Rc<Deadlines>) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        let fd = stream.as_raw_fd();
        Ok(Self {
            deadline: deadlines.watch(fd),
            inner: UnsafeCell::new(stream),
            fd,
            ended: Cell::new(false),
            aborted: Cell::new(false),
        })
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
        self.shared().local_addr()
    }

    /// Appends what arrives next to `buffer`, which must have room.
    pub async fn receive(&self, buffer: Buffer) -> (io::Result<Received>, Buffer) {
        debug_assert!(buffer.room() > 0, "an empty read looks like the peer's end");
        // SAFETY: see `exclusive`.
        let (result, buffer) = unsafe { self.exclusive() }.read(buffer).await;
        (result.map(|count| self.received(count)), buffer)
    }

    /// As [`Self::receive`], but the deadline may cancel it.
    pub async fn receive_cancelable(&self, buffer: Buffer) -> (io::Result<Received>, Buffer) {
        debug_assert!(buffer.room() > 0, "an empty read looks like the peer's end");
        let handle = self.deadline.cancel_handle();
        // SAFETY: see `exclusive`.
        let (result, buffer) = unsafe { self.exclusive() }
            .cancelable_read(buffer, handle)
            .await;
        let result = match result {
            Err(error) if error.raw_os_error() == Some(libc::ECANCELED) => Ok(Received::Cancelled),
            result => result.map(|count| self.received(count)),
        };
        (result, buffer)
    }

    /// Makes a pending [`Self::receive_cancelable`] end now, without loss.
    pub fn cancel_receive(&self) {
        self.deadline.cancel_receive();
    }

    /// Waits, without a buffer, until a receive would not wait.
    ///
    /// # Errors
    /// The kernel's.
    pub async fn readable(&self) -> io::Result<()> {
        self.shared().readable(false).await
    }

    /// Waits until some more can be sent.
    ///
    /// # Errors
    /// The kernel's.
    pub async fn writable(&self) -> io::Result<()> {
        self.shared().writable(false).await
    }

    /// Moves at most `bytes_max` bytes that have arrived into `pipe`, which must be empty, without
    /// copying them. Does not wait; [`io::ErrorKind::WouldBlock`] when nothing has arrived.
    ///
    /// To be called after [`Self::readable`] only: nothing else keeps a blocking socket from blocking.
    ///
    /// # Errors
    /// The kernel's.
    pub fn receive_into(&self, pipe: &mut Pipe, bytes_max: usize) -> io::Result<Received> {
        let count = pipe.fill_from(self.fd, bytes_max)?;
        Ok(self.received(count))
    }

    /// Sends what is in `pipe` as far as that does not wait; [`io::ErrorKind::WouldBlock`] when
    /// nothing can be sent. Says how many bytes were sent.
    ///
    /// # Errors
    /// The kernel's.
    pub fn send_from(&self, pipe: &mut Pipe) -> io::Result<usize> {
        pipe.empty_into(self.fd)
    }

    /// Ends the connection at once, in both directions, with a reset for the peer. Pending
    /// operations end with an error.
    pub fn reset(&self) {
        self.aborted.set(true);
        let nowhere = libc::sockaddr {
            sa_family: libc::AF_UNSPEC as libc::sa_family_t,
            sa_data: [0; 14],
        };
        // SAFETY: connecting to AF_UNSPEC dissolves a TCP association (connect(2)); the address
        // outlives the call. An error means that there is no connection any more.
        unsafe {
            libc::connect(
                self.fd,
                &raw const nowhere,
                size_of::<libc::sockaddr>() as libc::socklen_t,
            );
        }
        // Where the kernel would not, because an operation is under way.
        self.shutdown(libc::SHUT_RDWR);
    }

    /// Sends all that is filled in `buffer`, and consumes it.
    pub async fn send(&self, mut buffer: Buffer) -> (io::Result<()>, Buffer) {
        while !buffer.is_empty() {
            // SAFETY: see `exclusive`.
            let (result, returned) = unsafe { self.exclusive() }.write(buffer).await;
            buffer = returned;
            match result {
                Ok(0) => return (Err(io::ErrorKind::WriteZero.into()), buffer),
                Ok(count) => buffer.consume(count),
                Err(error) => return (Err(error), buffer),
            }
        }
        (Ok(()), buffer)
    }

    /// Sends a part of a buffer, and consumes nothing.
    pub async fn send_part(&self, mut part: Part) -> (io::Result<()>, Buffer) {
        while part.from < part.to {
            // SAFETY: see `exclusive`.
            let (result, returned) = unsafe { self.exclusive() }.write(part).await;
            part = returned;
            match result {
                Ok(0) => return (Err(io::ErrorKind::WriteZero.into()), part.buffer),
                Ok(count) => part.from += count,
                Err(error) => return (Err(error), part.buffer),
            }
        }
        (Ok(()), part.buffer)
    }

    /// Nothing more is sent; the peer sees the end after all that was sent before.
    pub fn finish(&self) {
        self.shutdown(libc::SHUT_WR);
    }

    /// Pending reads end now, and so do later ones.
    pub fn stop_reading(&self) {
        self.shutdown(libc::SHUT_RD);
    }

    /// Pending operations of both directions end now.
    pub fn abort(&self) {
        self.aborted.set(true);
        self.shutdown(libc::SHUT_RDWR);
    }

    /// An end that is received was made here, by [`Self::abort`] or by the deadline: it says
    /// nothing about the peer.
    pub fn was_stopped(&self) -> bool {
        self.aborted.get() || self.deadline.expired()
    }

    /// Nothing is waiting to be received and the peer has not closed: a pooled connection can be
    /// used once more. One system call.
    pub fn is_quiet(&self) -> bool {
        if self.ended.get() {
            return false;
        }
        let mut byte = 0_u8;
        // SAFETY: the buffer is one byte that outlives the call; MSG_PEEK takes nothing away and
        // MSG_DONTWAIT keeps a blocking socket from blocking.
        let count = unsafe {
            libc::recv(
                self.fd,
                (&raw mut byte).cast(),
                1,
                libc::MSG_PEEK | libc::MSG_DONTWAIT,
            )
        };
        count < 0 && io::Error::last_os_error().kind() == io::ErrorKind::WouldBlock
    }

    /// What is known of the peer without receiving. One system call.
    pub fn peer_state(&self) -> PeerState {
        let events = libc::POLLRDHUP;
        let mut poll = libc::pollfd {
            fd: self.fd,
            events,
            revents: 0,
        };
        // SAFETY: one pollfd that outlives the call; timeout 0 does not block.
        let ready = unsafe { libc::poll(&raw mut poll, 1, 0) };
        if ready == 1 && poll.revents & (libc::POLLERR | libc::POLLHUP) != 0 {
            return PeerState::Gone;
        }
        if ready == 1 && poll.revents & libc::POLLRDHUP != 0 {
            return PeerState::Finished;
        }
        PeerState::Open
    }

    /// Lets the kernel ask the peer every few seconds whether it still knows of the connection.
    pub fn probe(&self) {
        let options = [
            (libc::SOL_SOCKET, libc::SO_KEEPALIVE, 1),
            (libc::IPPROTO_TCP, libc::TCP_KEEPIDLE, PROBE_SECONDS),
            (libc::IPPROTO_TCP, libc::TCP_KEEPINTVL, PROBE_SECONDS),
        ];
        for (level, name, value) in options {
            // SAFETY: the option's value is an int that outlives the call. An error leaves the
            // socket unprobed, as it was.
            unsafe {
                libc::setsockopt(
                    self.fd,
                    level,
                    name,
                    (&raw const value).cast(),
                    size_of::<libc::c_int>() as libc::socklen_t,
                );
            }
        }
    }

    fn received(&self, count: usize) -> Received {
        if count == 0 {
            self.ended.set(true);
            return Received::End;
        }
        Received::Bytes(count)
    }

    fn shutdown(&self, how: libc::c_int) {
        // SAFETY: shutdown touches no memory, and the descriptor is ours. An error means that the
        // peer was faster.
        unsafe { libc::shutdown(self.fd, how) };
    }

    fn shared(&self) -> &TcpStream {
        // SAFETY: `exclusive` references never live across an await of another operation's start;
        // see there.
        unsafe { &*self.inner.get() }
    }

    /// # Safety
    /// monoio's operations take `&mut` but only clone the shared descriptor out of the stream when
    /// they are started, which happens before the first await; the stream is declared splittable
    /// (`monoio::io::Split`) for this reason. The reference must be used to start one operation
    /// and for nothing else.
    #[allow(clippy::mut_from_ref, reason = "see Safety")]
    unsafe fn exclusive(&self) -> &mut TcpStream {
        // SAFETY: required of the caller.
        unsafe { &mut *self.inner.get() }
    }
}

/// A socket that was accepted but belongs to no ring yet, so that it can move to another core.
pub struct Accepted {
    /// Blocking or not as the rung of the process wants it; closed on exec.
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
