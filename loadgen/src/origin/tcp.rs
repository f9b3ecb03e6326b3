//! Services without a protocol: what goes through them is the whole story.

use std::{cell::Cell, io, rc::Rc};

use monoio::{
    io::{AsyncReadRent, AsyncWriteRent, AsyncWriteRentExt, Splitable},
    net::TcpStream,
};

use super::{Counts, add};

/// Of a read, and of a write of [`source`]: large enough that the copy costs more than the call.
const CHUNK_BYTES: usize = 256 << 10;
/// Enough for small messages; larger ones are sent back in parts.
const ECHO_BYTES: usize = 16 << 10;

/// `served`, counted as a connection that is open for so long.
pub(super) async fn counted(
    counts: Rc<Counts>,
    served: impl Future<Output = io::Result<()>>,
) -> io::Result<()> {
    add(&counts.streams, 1);
    let outcome = served.await;
    add(&counts.streams_closed, 1);
    outcome
}

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

/// Sends zeros until the client has sent its last, or closes the connection.
pub(super) async fn source(stream: TcpStream, counts: Rc<Counts>) -> io::Result<()> {
    let (mut reader, mut writer) = stream.into_split();
    let is_over = Rc::new(Cell::new(false));
    let over = Rc::clone(&is_over);
    let client = monoio::spawn(async move {
        // What a client says means nothing; only its end does.
        while let (Ok(1..), _) = reader.read(Vec::with_capacity(ECHO_BYTES)).await {}
        over.set(true);
    });
    let mut chunk = vec![0; CHUNK_BYTES];
    while !is_over.get() {
        let (sent, again) = writer.write_all(chunk).await;
        add(&counts.source_bytes, sent?);
        chunk = again;
    }
    writer.shutdown().await?;
    client.await;
    Ok(())
}
