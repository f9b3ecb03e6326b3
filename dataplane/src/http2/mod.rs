//! HTTP/2 on both sides, with the h2 crate: what is here stands between its connections and
//! streams, and the one story of a request in [`crate::exchange`].
//!
//! A connection is one task that drives the crate's state ([`server`], [`client`]); each request
//! has its own, which sees a stream in two halves ([`stream`]). Heads of messages are written as
//! HTTP/1 has them as soon as they arrive, and made from that form when they leave
//! (`ringmain_core::http2`), so that decisions, edits and logs know one form only.

pub mod client;
mod keep_alive;
pub mod server;
mod settings;
pub mod stream;

pub use settings::Settings;

use ringmain_core::detect::PREFACE;

/// What the first bytes of a connection say about what is spoken on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beginning {
    /// They are, or begin with, HTTP/2's preface.
    Http2,
    /// They may become it.
    Unclear,
    /// They are something else.
    Other,
}

impl Beginning {
    /// Of a connection that begins with these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        if bytes.starts_with(PREFACE) {
            Self::Http2
        } else if PREFACE.starts_with(bytes) {
            Self::Unclear
        } else {
            Self::Other
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Beginning, PREFACE};

    #[test]
    fn a_preface_is_known_when_it_is_complete() {
        for (bytes, expected) in [
            (&PREFACE[..], Beginning::Http2),
            (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0", Beginning::Http2),
            (b"", Beginning::Unclear),
            (b"P", Beginning::Unclear),
            (b"PRI * HTTP/2.0\r\n\r\n", Beginning::Unclear),
            (b"PO", Beginning::Other),
            (b"PRI * HTTP/2.0\r\nHost: a\r\n\r\n", Beginning::Other),
            (b"GET", Beginning::Other),
        ] {
            assert_eq!(Beginning::of(bytes), expected, "{bytes:?}");
        }
    }
}
