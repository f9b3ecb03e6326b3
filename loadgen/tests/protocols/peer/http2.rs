//! A server of HTTP/2 without TLS, on the h2 crate, that does what its script says.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

use bytes::Bytes;
use h2::{
    Reason, RecvStream,
    server::{Connection, SendResponse},
};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use tokio::net::{TcpListener, TcpStream};

/// What to do with a request.
#[derive(Clone, Debug)]
pub(crate) enum Reply {
    Answer(Answer),
    Reset(Reason),
    /// Nothing.
    Silence,
    /// The connection ends by GOAWAY, whatever else is under way.
    GoAway(Reason),
    /// The connection ends without a word.
    Drop,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Answer {
    /// 200 when it is 0.
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, &'static str)>,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: Option<Vec<(&'static str, &'static str)>>,
}

/// A request that was read to its end.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    /// Counts from 0, over all connections.
    pub(crate) number: u64,
    pub(crate) head: Arc<Request<()>>,
    pub(crate) body: Vec<u8>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    connections: Arc<AtomicU64>,
    requests: Arc<AtomicU64>,
}

impl Seen {
    pub(crate) fn connections(&self) -> u64 {
        self.connections.load(Ordering::SeqCst)
    }

    pub(crate) fn requests(&self) -> u64 {
        self.requests.load(Ordering::SeqCst)
    }
}

type Script = Arc<dyn Fn(Asked) -> Reply + Send + Sync>;

/// Serves until the process ends.
pub(crate) fn serve(script: impl Fn(Asked) -> Reply + Send + Sync + 'static) -> (SocketAddr, Seen) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    let seen = Seen::default();
    let (counts, script): (_, Script) = (seen.clone(), Arc::new(script));
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .build()
            .unwrap();
        runtime.block_on(async move {
            let listener = TcpListener::from_std(listener).unwrap();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                stream.set_nodelay(true).unwrap();
                counts.connections.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(converse(stream, counts.clone(), Arc::clone(&script)));
            }
        });
    });
    (address, seen)
}

async fn converse(stream: TcpStream, seen: Seen, script: Script) {
    let Ok(mut connection) = h2::server::handshake(stream).await else {
        return;
    };
    // Streams that are answered with silence.
    let mut held = Vec::new();
    let (ends, mut end) = tokio::sync::mpsc::unbounded_channel();
    loop {
        tokio::select! {
            accepted = connection.accept() => {
                let Some(Ok((request, respond))) = accepted else { return };
                let number = seen.requests.fetch_add(1, Ordering::SeqCst);
                let (script, ends) = (Arc::clone(&script), ends.clone());
                tokio::spawn(async move {
                    if let Some(left) = answer(number, request, respond, &script).await {
                        // The connection may be gone.
                        let _ = ends.send(left);
                    }
                });
            }
            Some(left) = end.recv() => match left {
                Left::Held(respond) => held.push(respond),
                Left::GoAway(reason, _respond) => return say_goodbye(connection, reason).await,
                Left::Drop(_respond) => return,
            },
        }
    }
}

/// What the connection has to do for a stream. Dropping it would reset the stream before.
enum Left {
    Held(SendResponse<Bytes>),
    GoAway(Reason, SendResponse<Bytes>),
    Drop(SendResponse<Bytes>),
}

async fn say_goodbye(mut connection: Connection<TcpStream, Bytes>, reason: Reason) {
    connection.abrupt_shutdown(reason);
    while connection.accept().await.is_some() {}
}

async fn answer(
    number: u64,
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
    script: &Script,
) -> Option<Left> {
    let (parts, mut incoming) = request.into_parts();
    let mut body = Vec::new();
    while let Some(data) = incoming.data().await {
        let data = data.ok()?;
        incoming.flow_control().release_capacity(data.len()).ok()?;
        body.extend_from_slice(&data);
    }
    let head = Arc::new(Request::from_parts(parts, ()));
    match script(Asked { number, head, body }) {
        Reply::Reset(reason) => {
            respond.send_reset(reason);
            None
        }
        Reply::Silence => Some(Left::Held(respond)),
        Reply::GoAway(reason) => Some(Left::GoAway(reason, respond)),
        Reply::Drop => Some(Left::Drop(respond)),
        Reply::Answer(answer) => {
            // A client that has gone wants no answer.
            let _ = send(respond, answer);
            None
        }
    }
}

fn send(mut respond: SendResponse<Bytes>, answer: Answer) -> Result<(), h2::Error> {
    let mut response = Response::new(());
    if answer.status != 0 {
        *response.status_mut() = answer.status.try_into().unwrap();
    }
    *response.headers_mut() = fields(&answer.headers);
    let ends_with_head = answer.body.is_empty() && answer.trailers.is_none();
    let mut stream = respond.send_response(response, ends_with_head)?;
    if !answer.body.is_empty() {
        stream.send_data(answer.body.into(), answer.trailers.is_none())?;
    }
    match answer.trailers {
        Some(trailers) => stream.send_trailers(fields(&trailers)),
        None => Ok(()),
    }
}

fn fields(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
    let fields = pairs.iter().map(|(name, value)| {
        let name = HeaderName::from_static(name);
        (name, HeaderValue::from_static(value))
    });
    fields.collect()
}
