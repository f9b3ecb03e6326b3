//! HTTP/1.1 on buffers: heads and bodies in and out, strict about everything that two parsers could
//! read differently (RFC 9112).
//!
//! [`RequestHead`] and [`ResponseHead`] find a head in a buffer and remember offsets into it, so
//! the same bytes are handed in again to read a part. [`BodyDecoder`] takes the framing off a body,
//! in place. [`encode_request`] and [`encode_response`] write a decoded head for the next hop:
//! framing comes from typed values only, hop-by-hop fields stay behind, everything else keeps its
//! case and order. Nothing here does I/O, and nothing allocates per field.
//!
//! What is refused, and with which status, is the list in [`reject`].

pub(crate) mod authority;
pub(crate) mod block;
mod body;
mod chunk;
mod encode;
pub(crate) mod fields;
mod framing;
mod glimpse;
mod known;
mod limits;
mod local;
pub(crate) mod passing;
mod quick;
pub mod reject;
mod request;
mod request_line;
mod response;
mod scan;
pub(crate) mod span;
pub(crate) mod trailers;

pub use authority::is_authority;
pub use body::{BodyDecoder, Decoded, EndOfStream};
pub use chunk::{CRLF, ChunkHead, LAST_CHUNK, encode_chunk_head, encode_last_chunk};
pub use encode::{RequestWrite, ResponseWrite, encode_request, encode_response};
pub use fields::View;
pub use framing::Framing;
pub use glimpse::glimpse;
pub use known::Known;
pub use limits::Limits;
pub use local::{CONTINUE, encode_local_response, may_have_body, reason_phrase};
pub use reject::Reject;
pub use request::RequestHead;
pub use request_line::MethodKind;
pub use response::ResponseHead;
