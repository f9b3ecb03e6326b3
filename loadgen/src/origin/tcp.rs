//! Services without a protocol: what goes through them is the whole story.

use std::{io, rc::Rc};

use monoio::{
    io::{AsyncReadRent, AsyncWriteRent, AsyncWriteRentExt},
    net::TcpStream,
};

use super::{Counts, add};

/// Of a read, and of a write of [`source`]: large enough that the copy costs more than the call.
const CHUNK_BYTES: usize = 256 << 10;
/// Enough for small messages; larger ones are sent back in parts.
const ECHO_BYTES: usize = 16 << 10;

/// Sends back what it receives, until the client has sent its last.
pub(super) async fn echo(mut stream: TcpStream, counts: Rc<Counts>) -> io::Result<()> {
    let mut buffer = Vec::with_capacity(ECHO_BYTES);
    loop {
        let (count, received) = stream.read(buffer).await;
        let count = count?;
        if count == 0 {
            return stream.shutdown().await;
        }
        add(&counts.echo_bytes, count);
        let (sent, received) = stream.write_all(received).await;
        sent?;
        buffer = received;
        buffer.clear();
    }
}

/// Takes what it receives; then says how much it was, as a decimal number, and closes.
pub(super) async fn sink(mut stream: TcpStream, counts: Rc<Counts>) -> io::Result<()> {
    let mut buffer = Vec::with_capacity(CHUNK_BYTES);
    let mut total = 0;
    loop {
        let (count, received) = stream.read(buffer).await;
        let count = count?;
        if count == 0 {
            stream.write_all(total.to_string().into_bytes()).await.0?;
            return stream.shutdown().await;
        }
        total += count;
        add(&counts.sink_bytes, count);
        buffer = received;
        buffer.clear();
    }
}

/// Sends zeros until the client closes the connection.
pub(super) async fn source(mut stream: TcpStream, counts: Rc<Counts>) -> io::Result<()> {
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        let (sent, again) = stream.write_all(chunk).await;
        add(&counts.source_bytes, sent?);
        chunk = again;
    }
}
