//! A client that sends exactly what it is told to.

use std::{
    net::{Shutdown, SocketAddr, TcpStream},
    time::Duration,
};

use socket2::{Domain, SockRef, Socket, Type};

use crate::message::{Broken, Message, Wire};

/// A connection to a proxy, or to anything else.
pub struct Client {
    /// Both directions.
    pub wire: Wire,
}

impl Client {
    /// Connected.
    pub fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address)
            .unwrap_or_else(|error| panic!("cannot connect to {address}: {error}"));
        Self {
            wire: Wire::new(stream),
        }
    }

    /// Connected, with a receive buffer as small as the kernel allows: what it does not read stays
    /// with the sender.
    pub fn connect_narrow(address: SocketAddr) -> Self {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None).unwrap();
        socket.set_recv_buffer_size(1).unwrap();
        socket.connect(&address.into()).unwrap();
        Self {
            wire: Wire::new(socket.into()),
        }
    }

    /// Its own address.
    pub fn address(&self) -> SocketAddr {
        self.wire.stream.local_addr().unwrap()
    }

    /// Sends bytes as they are; the peer must be there.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.wire.send(bytes).expect("the peer takes what is sent");
    }

    /// A whole response to a request of this method.
    pub fn response(&mut self, method: &str) -> Message {
        self.wire
            .response(method)
            .unwrap_or_else(|broken| panic!("no whole response: {broken}"))
    }

    /// Sends a request without body, or with the body in its text, and reads the response.
    pub fn exchange(&mut self, request: impl AsRef<[u8]>) -> Message {
        let request = request.as_ref();
        let method = request.split(|&byte| byte == b' ').next().unwrap();
        let method = String::from_utf8_lossy(method).into_owned();
        self.send(request);
        self.response(&method)
    }

    /// `GET path` with a Host and nothing else.
    pub fn get(&mut self, path: &str) -> Message {
        self.exchange(format!("GET {path} HTTP/1.1\r\nhost: example.test\r\n\r\n"))
    }

    /// Sends no more.
    pub fn finish(&self) {
        self.wire.stream.shutdown(Shutdown::Write).unwrap();
    }

    /// Closes the connection with a reset.
    pub fn reset(self) {
        reset(self.wire.stream);
    }

    /// The peer ends the connection, in whatever way, without another byte.
    pub fn expect_end(&mut self) {
        match self.wire.head() {
            Err(Broken::Closed) => {}
            other => panic!("the connection was to end, but there is {other:?}"),
        }
    }

    /// Does not read for this time, as a slow reader.
    pub fn pause(&self, time: Duration) {
        std::thread::sleep(time);
    }

    /// Nothing comes for this time.
    pub fn expect_silence(&mut self, time: Duration) {
        self.wire.stream.set_read_timeout(Some(time)).unwrap();
        let filled = self.wire.fill();
        assert!(
            filled.is_err(),
            "something came: {:?}",
            String::from_utf8_lossy(self.wire.unread())
        );
        let timeout = Some(crate::wait::PATIENCE);
        self.wire.stream.set_read_timeout(timeout).unwrap();
    }
}

/// Closes a connection with a reset.
pub(crate) fn reset(stream: TcpStream) {
    SockRef::from(&stream)
        .set_linger(Some(Duration::ZERO))
        .unwrap();
}
