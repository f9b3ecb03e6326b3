//! HTTP/2 with prior knowledge, the paths of [`super::http`] but for delays and counts, and unary
//! gRPC: whatever the method, the answer is a message of 100 bytes with status 0.

use std::{io, rc::Rc};

use bytes::{BufMut, Bytes, BytesMut};
use h2::{
    RecvStream,
    server::{Builder, SendResponse},
};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, header};
use monoio::net::TcpStream;

use super::{
    Counts, add,
    http::{Ask, BYTES, BYTES_MAX, ask},
};
use crate::transport::Transport;

/// Of one body, and of all bodies of a connection: nothing here keeps a body, so a client need not
/// wait.
const WINDOW_BYTES: u32 = 16 << 20;
const STREAMS_MAX: u32 = 1000;
const GRPC: HeaderValue = HeaderValue::from_static("application/grpc");
const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");

/// Bodies of answers, which share their bytes.
pub(super) struct Bodies {
    digits: Bytes,
    message: Bytes,
}

impl Bodies {
    pub(super) fn new() -> Self {
        let digits = b"0123456789".iter().copied().cycle();
        let digits: Bytes = digits.take(BYTES_MAX).collect();
        let mut message = BytesMut::new();
        // Not compressed, then the length.
        message.put_u8(0);
        message.put_u32(BYTES as u32);
        message.put_slice(&digits[..BYTES]);
        let message = message.freeze();
        Self { digits, message }
    }
}

/// Serves one connection until either side closes it.
pub(super) async fn serve(
    stream: TcpStream,
    bodies: Rc<Bodies>,
    counts: Rc<Counts>,
) -> io::Result<()> {
    let mut builder = Builder::new();
    builder
        .initial_window_size(WINDOW_BYTES)
        .initial_connection_window_size(WINDOW_BYTES)
        .max_concurrent_streams(STREAMS_MAX);
    let bridge = Transport::Plain(stream).into_bridge();
    let connection = builder.handshake::<_, Bytes>(bridge).await;
    let mut connection = connection.map_err(io::Error::other)?;
    while let Some(request) = connection.accept().await {
        let (request, respond) = request.map_err(io::Error::other)?;
        let answered = answer(request, respond, Rc::clone(&bodies), Rc::clone(&counts));
        // A client that has gone wants no answer.
        monoio::spawn(async move { drop(answered.await) });
    }
    Ok(())
}

async fn answer(
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
    bodies: Rc<Bodies>,
    counts: Rc<Counts>,
) -> Result<(), h2::Error> {
    let (head, mut body) = request.into_parts();
    while let Some(data) = body.data().await {
        let bytes = data?.len();
        add(&counts.body_bytes, bytes);
        body.flow_control().release_capacity(bytes)?;
    }
    add(&counts.requests, 1);
    let mut response = Response::new(());
    let is_grpc = head.headers.get(header::CONTENT_TYPE) == Some(&GRPC);
    if is_grpc {
        response.headers_mut().insert(header::CONTENT_TYPE, GRPC);
        let mut stream = respond.send_response(response, false)?;
        stream.send_data(bodies.message.clone(), false)?;
        let trailers = [(GRPC_STATUS, HeaderValue::from_static("0"))];
        return stream.send_trailers(HeaderMap::from_iter(trailers));
    }
    let bytes = match ask(head.uri.path()) {
        Some(Ask::Bytes(bytes)) => bytes,
        Some(Ask::Delay(_) | Ask::Counts) | None => BYTES,
    };
    let fields = response.headers_mut();
    fields.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    fields.insert(header::CONTENT_LENGTH, HeaderValue::from(bytes));
    let mut stream = respond.send_response(response, false)?;
    stream.send_data(bodies.digits.slice(..bytes), true)
}
