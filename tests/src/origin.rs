//! A scripted server: it keeps every byte it received, and does what the test says.

use std::{
    net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread::{self, JoinHandle},
};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use socket2::{Domain, Socket, Type};

use crate::{
    client,
    http2::Peer,
    message::{Broken, Message, Wire},
    place, wait,
};

/// A server at an address of its own.
pub struct Origin {
    address: SocketAddr,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    is_over: AtomicBool,
    /// Connections whose script has not ended.
    open: AtomicUsize,
    requests: Mutex<Vec<Message>>,
    connections: Mutex<Vec<Connection>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

/// What is kept of a connection.
struct Connection {
    /// `None` when its script has ended.
    stream: Option<TcpStream>,
    received: Arc<Mutex<Vec<u8>>>,
}

/// A connection as its script sees it.
pub struct Conversation {
    /// Both directions.
    pub wire: Wire,
    /// 0 for the first connection.
    pub index: usize,
    shared: Arc<Shared>,
    is_reset: bool,
}

impl Origin {
    /// Runs `script` for each connection, on a thread of its own; the connection is closed when it
    /// returns.
    pub fn start(script: impl Fn(&mut Conversation) + Send + Sync + 'static) -> Self {
        Self::listen(place::address(), None, script)
    }

    /// As [`Self::start`], at this address.
    pub fn at(address: IpAddr, script: impl Fn(&mut Conversation) + Send + Sync + 'static) -> Self {
        Self::listen(address, None, script)
    }

    /// As [`Self::start`], with receive buffers as small as the kernel allows.
    pub fn narrow(script: impl Fn(&mut Conversation) + Send + Sync + 'static) -> Self {
        Self::listen(place::address(), Some(1), script)
    }

    /// Speaks HTTP/2 with these settings, and runs `script` for each whole request.
    pub fn http2(
        settings: &'static [(u16, u32)],
        script: impl Fn(&mut Peer, u32, &Message) + Send + Sync + 'static,
    ) -> Self {
        Self::start(move |conversation| {
            let Ok(mut peer) = conversation.http2(settings) else {
                return;
            };
            while let Ok((stream, request)) = peer.request() {
                conversation.keep(&request);
                script(&mut peer, stream, &request);
            }
        })
    }

    /// Answers each request with the same bytes.
    pub fn answering(response: impl Into<Vec<u8>>) -> Self {
        let response = response.into();
        Self::start(
            move |conversation| {
                while conversation.request().is_ok() && conversation.send(&response) {}
            },
        )
    }

    /// Answers each request with a text of its own.
    pub fn saying(text: &str) -> Self {
        Self::answering(response(text))
    }

    /// Answers each request with its body, chunked if that was.
    pub fn echo() -> Self {
        Self::start(|conversation| {
            while let Ok(request) = conversation.request() {
                let length = request.body.len();
                let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n");
                if !(conversation.send(head) && conversation.send(&request.body)) {
                    break;
                }
            }
        })
    }

    fn listen(
        address: IpAddr,
        receive_buffer: Option<usize>,
        script: impl Fn(&mut Conversation) + Send + Sync + 'static,
    ) -> Self {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        if let Some(bytes) = receive_buffer {
            // Accepted sockets have the listening one's.
            socket.set_recv_buffer_size(bytes).unwrap();
        }
        socket.bind(&SocketAddr::new(address, 0).into()).unwrap();
        socket.listen(1024).unwrap();
        let listener: TcpListener = socket.into();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared::default());
        let accepted = Arc::clone(&shared);
        let script = Arc::new(script);
        let acceptor = thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                if accepted.is_over.load(Ordering::SeqCst) {
                    break;
                }
                converse(&accepted, stream, &script);
            }
        });
        Self {
            address,
            shared,
            acceptor: Some(acceptor),
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whole requests so far, in the order in which they were complete.
    pub fn requests(&self) -> Vec<Message> {
        self.shared.requests.lock().unwrap().clone()
    }

    /// The only request so far.
    pub fn request(&self) -> Message {
        let requests = self.requests();
        assert_eq!(requests.len(), 1, "{requests:?}");
        requests.into_iter().next().unwrap()
    }

    /// Connections so far.
    pub fn connections(&self) -> usize {
        self.shared.connections.lock().unwrap().len()
    }

    /// Connections whose script runs.
    pub fn open_connections(&self) -> usize {
        self.shared.open.load(Ordering::SeqCst)
    }

    /// All that came on the connection of this index, as it was received.
    pub fn received(&self, index: usize) -> Vec<u8> {
        let connections = self.shared.connections.lock().unwrap();
        connections[index].received.lock().unwrap().clone()
    }

    /// Bytes that came on all connections.
    pub fn received_bytes(&self) -> usize {
        let connections = self.shared.connections.lock().unwrap();
        connections
            .iter()
            .map(|connection| connection.received.lock().unwrap().len())
            .sum()
    }

    /// Waits until so many requests have come whole.
    pub fn wait_for_requests(&self, count: usize) {
        wait::until_equal("requests at the origin", count, || self.requests().len());
    }

    /// Waits until no script runs any more: the proxy has let go of every connection.
    pub fn wait_for_end_of_connections(&self) {
        wait::until_equal("open connections at the origin", 0, || {
            self.open_connections()
        });
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::SeqCst);
        drop(TcpStream::connect(self.address));
        drop(self.acceptor.take().map(JoinHandle::join));
        for connection in self.shared.connections.lock().unwrap().iter() {
            drop(
                connection
                    .stream
                    .as_ref()
                    .map(|stream| stream.shutdown(Shutdown::Both)),
            );
        }
        let threads = std::mem::take(&mut *self.shared.threads.lock().unwrap());
        threads.into_iter().for_each(|thread| drop(thread.join()));
    }
}

fn converse<S>(shared: &Arc<Shared>, stream: TcpStream, script: &Arc<S>)
where
    S: Fn(&mut Conversation) + Send + Sync + 'static,
{
    let wire = Wire::new(stream.try_clone().unwrap());
    let mut connections = shared.connections.lock().unwrap();
    let index = connections.len();
    connections.push(Connection {
        stream: Some(stream),
        received: wire.recording(),
    });
    drop(connections);
    shared.open.fetch_add(1, Ordering::SeqCst);
    let (script, owner) = (Arc::clone(script), Arc::clone(shared));
    let thread = thread::spawn(move || {
        let mut conversation = Conversation {
            wire,
            index,
            shared: Arc::clone(&owner),
            is_reset: false,
        };
        script(&mut conversation);
        // A socket is closed when its last descriptor is.
        let other = owner.connections.lock().unwrap()[index].stream.take();
        drop(other);
        let Conversation { wire, is_reset, .. } = conversation;
        if is_reset {
            client::reset(wire.stream);
        } else {
            drop(wire.stream.shutdown(Shutdown::Both));
        }
        owner.open.fetch_sub(1, Ordering::SeqCst);
    });
    shared.threads.lock().unwrap().push(thread);
}

impl Conversation {
    /// The next request, whole.
    ///
    /// # Errors
    /// See [`Broken`].
    pub fn request(&mut self) -> Result<Message, Broken> {
        let request = self.wire.request(|_, _| {})?;
        self.keep(&request);
        Ok(request)
    }

    /// As [`Self::request`], with bytes that are sent when its head is there.
    ///
    /// # Errors
    /// See [`Broken`].
    pub fn request_answering_head(&mut self, bytes: &[u8]) -> Result<Message, Broken> {
        let request = self.wire.request(|_, wire| drop(wire.send(bytes)))?;
        self.keep(&request);
        Ok(request)
    }

    /// The head of the next request, and nothing behind it.
    ///
    /// # Errors
    /// See [`Broken`].
    pub fn head(&mut self) -> Result<Message, Broken> {
        let request = self.wire.head()?;
        self.keep(&request);
        Ok(request)
    }

    /// The connection, once its client has said that it speaks HTTP/2.
    ///
    /// # Errors
    /// See [`Broken`].
    pub fn http2(&self, settings: &[(u16, u32)]) -> Result<Peer, Broken> {
        Peer::server(&self.wire.stream, settings)
    }

    /// Takes note of a request, as [`Self::request`] does by itself.
    pub fn keep(&self, request: &Message) {
        self.shared.requests.lock().unwrap().push(request.clone());
    }

    /// Sends bytes. False when the peer takes none any more.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.wire.send(bytes).is_ok()
    }

    /// Waits until the peer ends the connection; what comes before is received.
    pub fn wait_for_end(&mut self) {
        while matches!(self.wire.fill(), Ok(true)) {}
    }

    /// Waits until the peer ends the connection, without receiving anything. Gives up after
    /// [`wait::PATIENCE`].
    pub fn wait_for_close(&self) {
        let mut fds = [PollFd::new(&self.wire.stream, PollFlags::RDHUP)];
        let patience = Timespec {
            tv_sec: wait::PATIENCE.as_secs().cast_signed(),
            tv_nsec: 0,
        };
        let _ = poll(&mut fds, Some(&patience));
    }

    /// The connection will end with a reset when the script ends.
    pub fn reset(&mut self) {
        self.is_reset = true;
    }
}

/// A response with a text.
pub fn response(text: &str) -> String {
    format!(
        "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{text}",
        text.len()
    )
}
