//! The HTTP/1.1 codec, seen from outside: what it refuses, what it reads, what it writes.

mod bodies;
mod encoding;
mod properties;
mod request_fields;
mod requests;
mod responses;
mod ways;

use ringmain_core::http1::{Limits, MethodKind, Reject, RequestHead, ResponseHead};

/// Decodes a request head at once and byte by byte, which must agree. The length of the head, or
/// why it was refused; `None` when it is not complete.
fn decode_request(bytes: &[u8], limits: &Limits) -> (RequestHead, Result<Option<usize>, Reject>) {
    let mut whole = RequestHead::new();
    let verdict = whole.decode(bytes, limits);
    let mut pieces = RequestHead::new();
    let lengths = 0..=bytes.len();
    let piecewise = lengths
        .map(|length| pieces.decode(&bytes[..length], limits))
        .find(|verdict| !matches!(verdict, Ok(None)));
    assert_eq!(
        piecewise.unwrap_or(Ok(None)),
        verdict,
        "in pieces and whole: {}",
        bytes.escape_ascii()
    );
    (whole, verdict)
}

/// The same for a response.
fn decode_response(
    bytes: &[u8],
    limits: &Limits,
    request: MethodKind,
) -> (ResponseHead, Result<Option<usize>, Reject>) {
    let mut whole = ResponseHead::new();
    let verdict = whole.decode(bytes, limits, request);
    let mut pieces = ResponseHead::new();
    let lengths = 0..=bytes.len();
    let piecewise = lengths
        .map(|length| pieces.decode(&bytes[..length], limits, request))
        .find(|verdict| !matches!(verdict, Ok(None)));
    assert_eq!(
        piecewise.unwrap_or(Ok(None)),
        verdict,
        "in pieces and whole: {}",
        bytes.escape_ascii()
    );
    (whole, verdict)
}
