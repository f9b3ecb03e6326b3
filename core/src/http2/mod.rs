//! Heads and trailers of HTTP/2 (RFC 9113), from and to the form that everything else works on:
//! HTTP/1 text, and a [`RequestHead`](crate::http1::RequestHead) or
//! [`ResponseHead`](crate::http1::ResponseHead) of positions in it.
//!
//! A head that came over HTTP/2 is written as text from typed values ([`request_text`],
//! [`response_text`]) and then decoded by the strict decoder of HTTP/1, so that routing, edits,
//! framing and the log have one set of rules. A head that goes out over HTTP/2 is made of a decoded
//! one and what the HTTP/1 encoder would take ([`request`], [`response`]).
//!
//! In that form a body of unknown length is marked `transfer-encoding: chunked`. The mark is ours:
//! a peer that sends that field is refused, and it never goes out over HTTP/2.
//!
//! Upgrades have one form, too, that of HTTP/1.1 (RFC 9110 section 7.8). An extended CONNECT (RFC
//! 8441) is a GET with `connection: upgrade`, so [`RequestHead::upgrade`] says what is asked for,
//! and a response of status 2xx to one is a 101, so [`ResponseHead::upgrade`] says that it was
//! agreed to. The other way round they are translated back. HTTP/2 has no `sec-websocket-key` and
//! no `sec-websocket-accept`: the caller gives random bits for the first, the second is calculated
//! ([`websocket_accept`]).
//!
//! [`RequestHead::upgrade`]: crate::http1::RequestHead::upgrade
//! [`ResponseHead::upgrade`]: crate::http1::ResponseHead::upgrade

mod flood;
mod frame;
mod kept;
mod receive;
mod send;
mod trailers;
mod websocket;

pub use flood::{EARLY_MICROS, Flood, IdleFrames, Resets};
pub use kept::KeptRequest;
pub use receive::{
    Extended, ReceivedRequest, ReceivedResponse, Scheme, Upgrade, request_text, response_text,
};
pub use send::{local_response, request, response};
pub use trailers::{trailer_map, trailers_text};
pub use websocket::{websocket_accept, websocket_key};

use crate::http1::Known;

/// A field that HTTP/2 has no use for and refuses (RFC 9113 section 8.2.2). `te` is another matter:
/// a request may say `trailers` in it.
fn is_connection_specific(known: Known) -> bool {
    matches!(
        known,
        Known::Connection
            | Known::KeepAlive
            | Known::ProxyConnection
            | Known::TransferEncoding
            | Known::Upgrade
    )
}
