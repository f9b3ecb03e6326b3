//! Clients and servers of extended CONNECT (RFC 8441) with the h2 crate. What a stream carries is
//! given to a test as a socket, which closes and is closed as the stream is.

use std::{
    net::SocketAddr,
    os::unix::net::UnixStream,
    sync::{Arc, mpsc},
    thread,
};

use bytes::Bytes;
use h2::{Reason, RecvStream, SendStream, client, ext::Protocol, server};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use ringmain_tests::{place, wait};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::oneshot,
};

/// A client's stream.
pub(crate) struct Stream {
    pub(crate) status: StatusCode,
    pub(crate) fields: HeaderMap,
    /// What is spoken on it, if that was agreed to.
    pub(crate) socket: UnixStream,
    reset: oneshot::Sender<()>,
}

impl Stream {
    /// Resets it.
    pub(crate) fn reset(self) {
        self.reset.send(()).unwrap();
    }
}

fn run(future: impl Future<Output = ()> + Send + 'static) {
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        runtime.unwrap().block_on(future);
    });
}

/// Asks `gateway` for this protocol, on a connection of its own.
pub(crate) fn connect(gateway: SocketAddr, protocol: &'static str, fields: HeaderMap) -> Stream {
    connect_to(gateway, "http://a/up", protocol, fields)
}

/// As [`connect`], for this URL.
pub(crate) fn connect_to(
    gateway: SocketAddr,
    url: &'static str,
    protocol: &'static str,
    fields: HeaderMap,
) -> Stream {
    let (answer, answered) = mpsc::channel();
    run(async move {
        let stream = TcpStream::connect(gateway).await.unwrap();
        let (mut requests, mut connection) = client::handshake(stream).await.unwrap();
        let mut pings = connection.ping_pong().unwrap();
        let driven = tokio::spawn(connection);
        pings.ping(h2::Ping::opaque()).await.unwrap();
        assert!(requests.is_extended_connect_protocol_enabled());
        let mut request = Request::builder()
            .method(Method::CONNECT)
            .uri(url)
            .extension(Protocol::from_static(protocol))
            .body(())
            .unwrap();
        *request.headers_mut() = fields;
        let (response, outgoing) = requests.send_request(request, false).unwrap();
        let (parts, incoming) = response.await.unwrap().into_parts();
        let (near, far) = UnixStream::pair().unwrap();
        near.set_read_timeout(Some(wait::PATIENCE)).unwrap();
        let (reset, stop) = oneshot::channel();
        let stream = Stream {
            status: parts.status,
            fields: parts.headers,
            socket: near,
            reset,
        };
        answer.send(stream).unwrap();
        carry(far, outgoing, incoming, stop).await;
        drop((requests, pings));
        drop(driven.await);
    });
    answered.recv_timeout(wait::PATIENCE).unwrap()
}

/// Asks, and sends bytes before the answer; that one's status.
pub(crate) fn connect_early(
    gateway: SocketAddr,
    protocol: &'static str,
    early: &'static [u8],
) -> StatusCode {
    let (answer, answered) = mpsc::channel();
    run(async move {
        let stream = TcpStream::connect(gateway).await.unwrap();
        let (mut requests, connection) = client::handshake(stream).await.unwrap();
        tokio::spawn(connection);
        let request = Request::builder()
            .method(Method::CONNECT)
            .uri("http://a/up")
            .extension(Protocol::from_static(protocol));
        let sent = requests.send_request(request.body(()).unwrap(), false);
        let (response, mut outgoing) = sent.unwrap();
        outgoing
            .send_data(Bytes::from_static(early), false)
            .unwrap();
        answer.send(response.await.unwrap().status()).unwrap();
    });
    answered.recv_timeout(wait::PATIENCE).unwrap()
}

/// Asks for a tunnel; the answer's status.
pub(crate) fn plain_connect(gateway: SocketAddr) -> StatusCode {
    let (answer, answered) = mpsc::channel();
    run(async move {
        let stream = TcpStream::connect(gateway).await.unwrap();
        let (mut requests, connection) = client::handshake(stream).await.unwrap();
        tokio::spawn(connection);
        let request = Request::builder().method(Method::CONNECT).uri("a:80");
        let sent = requests.send_request(request.body(()).unwrap(), false);
        let (response, _outgoing) = sent.unwrap();
        answer.send(response.await.unwrap().status()).unwrap();
    });
    answered.recv_timeout(wait::PATIENCE).unwrap()
}

/// A server that agrees to every extended CONNECT and gives `script` what is spoken. Without
/// `agrees`, it never says that there may be any.
pub(crate) fn serve(
    agrees: bool,
    script: impl Fn(UnixStream, Request<()>) + Send + Sync + 'static,
) -> SocketAddr {
    let script = Arc::new(script);
    let listener = std::net::TcpListener::bind((place::address(), 0)).unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    run(async move {
        let listener = TcpListener::from_std(listener).unwrap();
        while let Ok((stream, _)) = listener.accept().await {
            let script = Arc::clone(&script);
            tokio::spawn(async move {
                let mut builder = server::Builder::new();
                if agrees {
                    builder.enable_connect_protocol();
                }
                let Ok(mut connection) = builder.handshake::<_, Bytes>(stream).await else {
                    return;
                };
                while let Some(Ok((request, respond))) = connection.accept().await {
                    answer(request, respond, Arc::clone(&script));
                }
            });
        }
    });
    address
}

fn answer(
    request: Request<RecvStream>,
    mut respond: server::SendResponse<Bytes>,
    script: Arc<impl Fn(UnixStream, Request<()>) + Send + Sync + 'static>,
) {
    let (parts, incoming) = request.into_parts();
    let is_upgrade = parts.extensions.get::<Protocol>().is_some();
    let status = if is_upgrade { 200 } else { 204 };
    let response = Response::builder().status(status).body(()).unwrap();
    let sent = respond.send_response(response, !is_upgrade);
    let (Ok(outgoing), true) = (sent, is_upgrade) else {
        return;
    };
    let (near, far) = UnixStream::pair().unwrap();
    thread::spawn(move || script(near, Request::from_parts(parts, ())));
    tokio::spawn(async move {
        let (_never, stop) = oneshot::channel();
        carry(far, outgoing, incoming, stop).await;
    });
}

/// Both directions, until both have ended or the stream is reset.
async fn carry(
    socket: UnixStream,
    mut outgoing: SendStream<Bytes>,
    mut incoming: RecvStream,
    stop: oneshot::Receiver<()>,
) {
    socket.set_nonblocking(true).unwrap();
    let (mut from, mut to) = tokio::net::UnixStream::from_std(socket)
        .unwrap()
        .into_split();
    let down = async move {
        while let Some(Ok(bytes)) = incoming.data().await {
            if to.write_all(&bytes).await.is_err() {
                return;
            }
            drop(incoming.flow_control().release_capacity(bytes.len()));
        }
    };
    let up = async {
        let mut chunk = vec![0; 1 << 14];
        while let Ok(count @ 1..) = from.read(&mut chunk).await {
            let mut bytes = Bytes::copy_from_slice(&chunk[..count]);
            while !bytes.is_empty() {
                outgoing.reserve_capacity(bytes.len());
                let room = std::future::poll_fn(|context| outgoing.poll_capacity(context));
                let Some(Ok(room)) = room.await else { return };
                let part = bytes.split_to(room.min(bytes.len()));
                if outgoing.send_data(part, false).is_err() {
                    return;
                }
            }
        }
        drop(outgoing.send_data(Bytes::new(), true));
    };
    let is_stopped = tokio::select! {
        _ = async { tokio::join!(up, down) } => false,
        Ok(()) = stop => true,
    };
    if is_stopped {
        outgoing.send_reset(Reason::CANCEL);
    }
}
