//! The runtime's socket under a [`Stream`](super::stream::Stream): waiting until something has
//! arrived, and receiving it, are two steps.
//!
//! Who waits hands no memory to the kernel, and a wait may be dropped without loss. On a ring a
//! wait is a one-shot poll and the receive a system call that does not block: a receive that is
//! given to the ring before anything has arrived is tried once in vain and then waits in a poll all
//! the same. With epoll the runtime remembers what is readable and forgets it only in its own
//! receive, so that is used there, polled once.

use std::{
    cell::{Cell, RefCell, UnsafeCell},
    future::{Future, poll_fn},
    io::{self, IoSlice},
    mem::MaybeUninit,
    os::fd::{AsRawFd, RawFd},
    pin::{Pin, pin},
    rc::Rc,
    task::{Context, Poll, Waker},
};

use monoio::{buf::IoBufMut, io::AsyncReadRent, net::TcpStream};

use super::{buffer::Buffer, ring::Rung};

/// A connected socket of this core.
pub(super) struct Socket {
    inner: UnsafeCell<TcpStream>,
    fd: RawFd,
    is_epoll: bool,
    /// A watch is to wait, or waits.
    is_armed: Cell<bool>,
    /// Why the watch cannot wait.
    error: Cell<Option<io::Error>>,
}

/// A wait that is kept with its socket rather than with a task: whoever asks next, asks the same.
/// It is made once and armed again and again.
pub(super) struct Watch(RefCell<Pin<Box<dyn Future<Output = ()>>>>);

impl Socket {
    pub(super) fn new(inner: TcpStream, rung: Rung) -> Rc<Self> {
        let fd = inner.as_raw_fd();
        Rc::new(Self {
            inner: UnsafeCell::new(inner),
            fd,
            is_epoll: rung == Rung::Epoll,
            is_armed: Cell::new(false),
            error: Cell::default(),
        })
    }

    /// A ring connects sockets that block.
    pub(super) fn stop_blocking(&self) -> io::Result<()> {
        let yes: libc::c_int = 1;
        // SAFETY: the request reads an int that outlives the call.
        match unsafe { libc::ioctl(self.fd, libc::FIONBIO, &raw const yes) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// Waits until something may have arrived. May be dropped.
    pub(super) fn readable(&self) -> impl Future<Output = io::Result<()>> {
        self.shared().readable(true)
    }

    /// Takes what has arrived, at most `room` bytes of what `buffer` has room for, without waiting;
    /// [`io::ErrorKind::WouldBlock`] when nothing has.
    pub(super) fn receive(&self, buffer: &mut Buffer, room: usize) -> io::Result<usize> {
        let count = self.receive_to(&mut buffer.spare()[..room])?;
        // SAFETY: the kernel wrote so many bytes to the spare room.
        unsafe { buffer.received(count) };
        Ok(count)
    }

    /// As [`Self::receive`], to the front of `space`, which is not empty: so many bytes of it are
    /// initialised then.
    #[inline]
    pub(super) fn receive_to(&self, space: &mut [MaybeUninit<u8>]) -> io::Result<usize> {
        let (start, room) = (space.as_mut_ptr().cast::<u8>(), space.len());
        debug_assert!(room > 0, "an empty read looks like the peer's end");
        match self.is_epoll {
            true => self.receive_registered(Space { start, room }),
            false => self.receive_directly(start, room),
        }
    }

    fn receive_directly(&self, start: *mut u8, room: usize) -> io::Result<usize> {
        // SAFETY: the caller's memory of `room` bytes outlives the call.
        let count = unsafe { libc::recv(self.fd, start.cast(), room, libc::MSG_DONTWAIT) };
        usize::try_from(count).map_err(|_| io::Error::last_os_error())
    }

    /// Sends what does not wait to be sent, while more follows: the kernel may keep a packet that
    /// is not full for it. [`io::ErrorKind::WouldBlock`] when nothing can be sent. Says how many
    /// bytes were taken.
    pub(super) fn send_ahead(&self, bytes: &[u8]) -> io::Result<usize> {
        let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL | libc::MSG_MORE;
        // SAFETY: the bytes outlive the call.
        let count = unsafe { libc::send(self.fd, bytes.as_ptr().cast(), bytes.len(), flags) };
        usize::try_from(count).map_err(|_| io::Error::last_os_error())
    }

    /// Sends what does not wait to be sent, of `slices` one after another.
    /// [`io::ErrorKind::WouldBlock`] when nothing can be sent. Says how many bytes were taken.
    pub(super) fn send_now(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        // SAFETY: all zeros is an empty message (sendmsg(2)).
        let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
        // An `IoSlice` is an `iovec`, by its documentation; what it says is read only.
        message.msg_iov = slices.as_ptr().cast_mut().cast();
        message.msg_iovlen = slices.len().min(SLICES_MAX);
        let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
        // SAFETY: the message, its slices and their bytes outlive the call.
        let count = unsafe { libc::sendmsg(self.fd, &raw const message, flags) };
        usize::try_from(count).map_err(|_| io::Error::last_os_error())
    }

    fn receive_registered(&self, space: Space) -> io::Result<usize> {
        // SAFETY: see `exclusive`.
        let receive = pin!(unsafe { self.exclusive() }.read(space));
        // Nobody is to be woken: who wants to wait does so in `readable`.
        match receive.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready((result, _)) => result,
            Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
        }
    }

    /// Unwatched: nothing has arrived and the peer has not closed, which the runtime then knows,
    /// too. Something that has arrived may be lost.
    pub(super) fn stayed_silent(&self) -> bool {
        let mut byte = 0_u8;
        let received = match self.is_epoll {
            true => self.receive_registered(Space {
                start: &raw mut byte,
                room: 1,
            }),
            false => self.receive_directly(&raw mut byte, 1),
        };
        received.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
    }

    /// Nothing is waiting to be received and the peer has not closed. One system call.
    pub(super) fn is_quiet(&self) -> bool {
        let mut byte = 0_u8;
        // SAFETY: the buffer is one byte that outlives the call. MSG_PEEK takes nothing away.
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

    /// The runtime remembers what was readable until a receive finds nothing.
    pub(super) fn is_epoll(&self) -> bool {
        self.is_epoll
    }

    pub(super) fn shared(&self) -> &TcpStream {
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
    pub(super) unsafe fn exclusive(&self) -> &mut TcpStream {
        // SAFETY: required of the caller.
        unsafe { &mut *self.inner.get() }
    }
}

impl Watch {
    pub(super) fn new(socket: Rc<Socket>) -> Self {
        Self(RefCell::new(Box::pin(keep_watch(socket))))
    }

    /// Begins to wait, unless it does already.
    pub(super) fn arm(&self, socket: &Socket) {
        if !socket.is_armed.replace(true) {
            let mut nobody = Context::from_waker(Waker::noop());
            drop(self.poll(socket, &mut nobody));
        }
    }

    /// Something may have arrived since it was armed. Wakes nobody when it does later.
    pub(super) fn has_seen(&self, socket: &Socket) -> bool {
        let mut nobody = Context::from_waker(Waker::noop());
        self.poll(socket, &mut nobody).is_ready()
    }

    /// Waits until something may have arrived, since it was armed if it is.
    pub(super) async fn seen(&self, socket: &Socket) -> io::Result<()> {
        socket.is_armed.set(true);
        poll_fn(|context| self.poll(socket, context)).await
    }

    /// As [`Self::seen`]: begins to wait, unless it does already. The wait goes on when it is not
    /// polled any more.
    pub(super) fn poll_seen(
        &self,
        socket: &Socket,
        is_waiting: &mut bool,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        if !std::mem::replace(is_waiting, true) {
            socket.is_armed.set(true);
        }
        let seen = self.poll(socket, context);
        *is_waiting = seen.is_pending();
        seen
    }

    fn poll(&self, socket: &Socket, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if socket.is_armed.get() {
            let ended = self.0.borrow_mut().as_mut().poll(context);
            debug_assert!(ended.is_pending(), "a watch never ends");
        }
        match socket.is_armed.get() {
            true => Poll::Pending,
            false => Poll::Ready(socket.error.take().map_or(Ok(()), Err)),
        }
    }
}

/// Waits whenever it is armed, for ever.
async fn keep_watch(socket: Rc<Socket>) {
    loop {
        socket.error.set(socket.readable().await.err());
        socket.is_armed.set(false);
        poll_fn(|_| match socket.is_armed.get() {
            true => Poll::Ready(()),
            false => Poll::Pending,
        })
        .await;
    }
}

/// Of one `sendmsg(2)`: Linux's UIO_MAXIOV.
const SLICES_MAX: usize = 1024;

/// Room in somebody's buffer, for an operation that is polled once and then dropped.
struct Space {
    start: *mut u8,
    room: usize,
}

// SAFETY: the memory outlives the one poll in which epoll's operation writes to it; the operation
// gives nothing to the kernel that outlives the call.
unsafe impl IoBufMut for Space {
    fn write_ptr(&mut self) -> *mut u8 {
        self.start
    }

    fn bytes_total(&mut self) -> usize {
        self.room
    }

    unsafe fn set_init(&mut self, _count: usize) {}
}
