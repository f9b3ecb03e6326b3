//! Listening sockets: bound once by the supervisor, one per worker, accepted on by the workers.

use std::{
    cell::Cell,
    io,
    net::{SocketAddr, TcpListener},
    os::fd::{AsRawFd, OwnedFd},
    rc::Rc,
};

use monoio::net::TcpStream;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use super::stream::Accepted;

/// Connections the kernel keeps for us until they are accepted; it is capped by
/// `net.core.somaxconn`.
const BACKLOG: i32 = 4096;

/// With whom an address may be shared when it is bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sharing {
    /// It must be free.
    WithNobody,
    /// Sockets of this process may hold it for a moment longer.
    WithOwn,
}

/// Binds `count` sockets to `address`, over which the kernel spreads connections.
///
/// Another process must not share the address by accident: the first socket is bound without
/// `SO_REUSEPORT`, which fails when anybody holds the address, and is opened to the others after.
/// The kernel cannot tell sockets of ours from those of another process of this user that shares
/// its ports, so [`Sharing::WithOwn`] gives that up.
///
/// # Errors
/// The kernel's: the address is in use, is not of this host, or its port is privileged.
pub fn bind(address: SocketAddr, count: usize, sharing: Sharing) -> io::Result<Vec<TcpListener>> {
    let mut address = address;
    (0..count)
        .map(|index| {
            let domain = if address.is_ipv4() {
                Domain::IPV4
            } else {
                Domain::IPV6
            };
            let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
            socket.set_reuse_address(true)?;
            if address.is_ipv6() {
                socket.set_only_v6(false)?;
            }
            if index > 0 || sharing == Sharing::WithOwn {
                socket.set_reuse_port(true)?;
            }
            socket.bind(&SockAddr::from(address))?;
            if address.port() == 0
                && let Some(own) = socket.local_addr()?.as_socket()
            {
                // The others share the port that the first one got.
                address.set_port(own.port());
            }
            socket.set_reuse_port(true)?;
            // For all that are accepted: they have the options of the socket that listens (tcp(7)).
            socket.set_tcp_nodelay(true)?;
            socket.listen(BACKLOG)?;
            socket.set_nonblocking(true)?;
            Ok(socket.into())
        })
        .collect()
}

/// A listening socket of this core.
pub struct Listener {
    socket: TcpListener,
    /// The same socket, for readiness only: it is polled, never read.
    readiness: TcpStream,
    closed: Cell<bool>,
}

impl Listener {
    /// Takes over a socket that [`bind`] made.
    ///
    /// # Errors
    /// The kernel's, when the descriptor cannot be duplicated or registered.
    pub fn new(socket: TcpListener) -> io::Result<Rc<Self>> {
        let duplicate = OwnedFd::from(socket.try_clone()?);
        let readiness = TcpStream::from_std(duplicate.into())?;
        Ok(Rc::new(Self {
            socket,
            readiness,
            closed: Cell::new(false),
        }))
    }

    /// Waits until somebody may be waiting to be accepted. False once it is closed.
    pub async fn ready(&self) -> bool {
        let readable = self.readiness.readable(false).await;
        readable.is_ok() && !self.closed.get()
    }

    /// The next waiting connection, if there is one.
    ///
    /// # Errors
    /// The kernel's: too many open files, for example. Errors of the connection itself are skipped.
    pub fn accept(&self) -> io::Result<Option<Accepted>> {
        let flags = libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
        loop {
            // SAFETY: the closure hands accept4 a storage and a length that outlive the call, and
            // on success the kernel has written an address of that length.
            let accepted = unsafe {
                SockAddr::try_init(|storage, length| {
                    let fd = libc::accept4(self.socket.as_raw_fd(), storage.cast(), length, flags);
                    if fd < 0 {
                        Err(io::Error::last_os_error())
                    } else {
                        Ok(fd)
                    }
                })
            };
            match accepted {
                Ok((fd, peer)) => {
                    let unknown = SocketAddr::from(([0, 0, 0, 0], 0));
                    let peer = peer.as_socket().unwrap_or(unknown);
                    return Ok(Some(Accepted::from_raw(fd, peer)));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(error) if is_of_the_connection(&error) => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Connections are not begun any more; to be followed by a last [`Self::accept`] of those that
    /// were, and [`Self::close`]. Without this, one that comes between the two would be reset with
    /// the request that its client has sent already. A client whose first packet is dropped tries
    /// again a second later, and finds the port closed or somebody else there.
    pub fn begin_no_more(&self) {
        let statement = |code: u32, jt, jf, k| libc::sock_filter {
            code: code as u16,
            jt,
            jf,
            k,
        };
        // The filter sees packets from their TCP header on (RFC 9293 section 3.1): those with SYN
        // are dropped, all others pass.
        let mut program = [
            statement(libc::BPF_LD | libc::BPF_B | libc::BPF_ABS, 0, 0, 13),
            statement(libc::BPF_JMP | libc::BPF_JSET | libc::BPF_K, 0, 1, 0x02),
            statement(libc::BPF_RET | libc::BPF_K, 0, 0, 0),
            statement(libc::BPF_RET | libc::BPF_K, 0, 0, u32::MAX),
        ];
        let filter = libc::sock_fprog {
            len: 4,
            filter: program.as_mut_ptr(),
        };
        // SAFETY: the option's value is a program of four statements that outlives the call, which
        // copies it. An error leaves the socket as it was: a connection may be reset then.
        unsafe {
            libc::setsockopt(
                self.socket.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_ATTACH_FILTER,
                (&raw const filter).cast(),
                size_of::<libc::sock_fprog>() as libc::socklen_t,
            );
        }
    }

    /// Stops listening: [`Self::ready`] ends, and new connections are refused.
    pub fn close(&self) {
        self.closed.set(true);
        // SAFETY: shutdown touches no memory; on a listening socket it stops the listening and
        // completes the pending poll.
        unsafe { libc::shutdown(self.socket.as_raw_fd(), libc::SHUT_RD) };
    }
}

/// accept(2): the connection died while it waited, or the network under it has an error; the next
/// one may be fine.
fn is_of_the_connection(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(
            libc::ECONNABORTED
                | libc::EINTR
                | libc::EPROTO
                | libc::ENETDOWN
                | libc::ENOPROTOOPT
                | libc::EHOSTDOWN
                | libc::ENONET
                | libc::EHOSTUNREACH
                | libc::EOPNOTSUPP
                | libc::ENETUNREACH
        )
    )
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddr, TcpListener};

    use super::{Sharing, bind};

    /// `held`: what this process listens on already.
    fn check(held: Ipv4Addr, new: Ipv4Addr, sharing: Sharing, expected: bool) {
        let held = bind(SocketAddr::from((held, 0)), 2, Sharing::WithNobody);
        let held: Vec<TcpListener> = held.expect("there is a free port");
        let ports = held.iter().map(TcpListener::local_addr);
        let ports: Vec<_> = ports.map(|own| own.expect("it is bound").port()).collect();
        assert_eq!(ports[0], ports[1], "one port for all workers");
        let bound = bind(SocketAddr::from((new, ports[0])), 2, sharing);
        assert_eq!(bound.is_ok(), expected, "{new} {sharing:?}: {bound:?}");
    }

    #[test]
    fn an_address_is_shared_only_when_asked_to() {
        let (wide, one) = (Ipv4Addr::UNSPECIFIED, Ipv4Addr::new(127, 77, 9, 1));
        for (held, new) in [(one, one), (one, wide), (wide, one)] {
            check(held, new, Sharing::WithNobody, false);
            check(held, new, Sharing::WithOwn, true);
        }
    }
}
