//! How a connection ends, by us or by the peer.

use std::io;

use super::Stream;

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

/// The same of a peer of whom nothing else says that it has: noticed after ten minutes, with the
/// kernel's nine questions, at a cost of one segment a minute.
const KEEP_ALIVE_SECONDS: libc::c_int = 60;

impl Stream {
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

    /// Nothing more is sent; the peer sees the end after all that was sent before.
    pub fn finish(&self) {
        self.close_secure();
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

    /// Nothing is waiting to be received and the peer has not closed. One system call.
    pub fn is_quiet(&self) -> bool {
        let has_plaintext = || self.with_session(|session| !session.plaintext().is_empty());
        !self.ended.get() && self.socket.is_quiet() && has_plaintext() != Some(true)
    }

    /// Looks at what has arrived and takes none of it; 0 when the peer sends no more.
    /// [`io::ErrorKind::WouldBlock`] when nothing has. One system call.
    ///
    /// # Errors
    /// The kernel's.
    pub fn peek(&self, bytes: &mut [u8]) -> io::Result<usize> {
        if !self.is_plain() {
            return self.peek_secure(bytes);
        }
        let flags = libc::MSG_PEEK | libc::MSG_DONTWAIT;
        // SAFETY: the bytes outlive the call, which writes no more of them than there are.
        let count = unsafe { libc::recv(self.fd, bytes.as_mut_ptr().cast(), bytes.len(), flags) };
        usize::try_from(count).map_err(|_| io::Error::last_os_error())
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
        self.probe_every(PROBE_SECONDS);
    }

    /// The same, seldom: for a connection that may be quiet for as long as both sides like.
    pub fn keep_alive(&self) {
        self.probe_every(KEEP_ALIVE_SECONDS);
    }

    fn probe_every(&self, seconds: libc::c_int) {
        let options = [
            (libc::SOL_SOCKET, libc::SO_KEEPALIVE, 1),
            (libc::IPPROTO_TCP, libc::TCP_KEEPIDLE, seconds),
            (libc::IPPROTO_TCP, libc::TCP_KEEPINTVL, seconds),
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

    fn shutdown(&self, how: libc::c_int) {
        // SAFETY: shutdown touches no memory, and the descriptor is ours. An error means that the
        // peer was faster.
        unsafe { libc::shutdown(self.fd, how) };
    }
}
