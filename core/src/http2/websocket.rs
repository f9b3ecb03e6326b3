//! The two header fields of a WebSocket handshake that HTTP/2 does not have (RFC 6455 section 4).

use data_encoding::BASE64;
use sha1::{Digest, Sha1};

/// `sec-websocket-key` is only for servers and proxies that do not know WebSocket, and would not
/// calculate the other one from it.
pub(super) const KEY: &str = "sec-websocket-key";
pub(super) const ACCEPT: &str = "sec-websocket-accept";

/// A `sec-websocket-key` of random bits.
pub fn websocket_key(random: [u8; 16]) -> String {
    BASE64.encode(&random)
}

/// The `sec-websocket-accept` that answers `key`, a `sec-websocket-key` as it was sent.
pub fn websocket_accept(key: &[u8]) -> String {
    let mut digest = Sha1::new();
    digest.update(key);
    digest.update(b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    BASE64.encode(&digest.finalize())
}

#[cfg(test)]
mod tests {
    use super::{websocket_accept, websocket_key};

    /// The example of RFC 6455 section 1.3.
    #[test]
    fn the_example_of_the_specification() {
        assert_eq!(
            websocket_accept(b"dGhlIHNhbXBsZSBub25jZQ=="),
            "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
        );
        assert_eq!(
            websocket_key(*b"the sample nonce"),
            "dGhlIHNhbXBsZSBub25jZQ=="
        );
    }
}
