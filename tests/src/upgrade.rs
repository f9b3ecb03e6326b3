//! Connections that speak another protocol behind an Upgrade of HTTP/1.1.

use std::io::{Read, Write};

use crate::{
    client::Client,
    message::Message,
    origin::{Conversation, Origin},
};

/// A request for a protocol that nobody has heard of.
pub const REQUEST: &str =
    "GET /up HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n";
/// An answer that agrees to it.
pub const AGREEMENT: &str =
    "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n";

/// An origin that agrees to every first request, and then does what `script` says.
pub fn agreeing(script: impl Fn(&mut Conversation) + Send + Sync + 'static) -> Origin {
    Origin::start(move |conversation| {
        if conversation.head().is_ok() && conversation.send(AGREEMENT) {
            script(conversation);
        }
    })
}

/// An origin that agrees, then sends back what comes, until its end.
pub fn echoing() -> Origin {
    agreeing(echo)
}

/// The script of [`echoing`].
pub fn echo(conversation: &mut Conversation) {
    let first = conversation.wire.unread().to_vec();
    let mut stream = &conversation.wire.stream;
    if stream.write_all(&first).is_err() {
        return;
    }
    let mut chunk = vec![0; 1 << 16];
    while let Ok(count @ 1..) = stream.read(&mut chunk) {
        if stream.write_all(&chunk[..count]).is_err() {
            break;
        }
    }
}

/// Asks, and is answered with a 101.
pub fn switch(client: &mut Client) -> Message {
    client.send(REQUEST);
    agreed(client)
}

/// The answer to what was sent is a 101.
pub fn agreed(client: &mut Client) -> Message {
    let answer = client.wire.head().expect("an answer comes");
    assert_eq!(answer.status(), 101, "{answer:?}");
    answer
}

/// Bytes there and back.
pub fn ping(client: &mut Client) {
    client.send("ping");
    assert_eq!(client.wire.bytes(4).unwrap(), b"ping");
}
