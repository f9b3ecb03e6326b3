//! Answers that the proxy makes itself.

use super::{
    chunk::CRLF,
    encode::{push_field, push_framing, push_status},
    framing::Framing,
};

/// Asks the client for the body that it holds back (RFC 9110 section 15.2.1).
pub const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// Appends a whole answer: head with `headers`, `content-length`, and `body`, which is left out
/// when a HEAD is answered. 1xx, 204 and 304 have no body and no length; `body` is then ignored.
/// `keep_alive` false writes `connection: close`. 426 says what to upgrade to: HTTP/1.1 (RFC 9110
/// section 15.5.22).
pub fn encode_local_response(
    out: &mut Vec<u8>,
    status: u16,
    headers: &[(&str, &[u8])],
    body: &[u8],
    keep_alive: bool,
    head_request: bool,
) {
    let has_body = may_have_body(status);
    push_status(out, status);
    out.extend_from_slice(reason_phrase(status).as_bytes());
    out.extend_from_slice(CRLF);
    for (name, value) in headers {
        push_field(out, name, value);
    }
    let connection: &[u8] = match (status, keep_alive) {
        (426, true) => b"upgrade: HTTP/1.1\r\nconnection: upgrade\r\n",
        (426, false) => b"upgrade: HTTP/1.1\r\nconnection: upgrade, close\r\n",
        (_, true) => b"",
        (_, false) => b"connection: close\r\n",
    };
    out.extend_from_slice(connection);
    if has_body {
        push_framing(out, Framing::Length(body.len() as u64));
    }
    out.extend_from_slice(CRLF);
    if has_body && !head_request {
        out.extend_from_slice(body);
    }
}

/// Whether an answer of this status can have a body (RFC 9110 section 6.4.1); that to a HEAD has
/// none whatever its status.
pub fn may_have_body(status: u16) -> bool {
    !matches!(status, 100..=199 | 204 | 304)
}

/// The phrase that IANA registers for a status; empty for others.
pub fn reason_phrase(status: u16) -> &'static str {
    match status {
        100 => "Continue",
        101 => "Switching Protocols",
        102 => "Processing",
        103 => "Early Hints",
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        203 => "Non-Authoritative Information",
        204 => "No Content",
        205 => "Reset Content",
        206 => "Partial Content",
        207 => "Multi-Status",
        208 => "Already Reported",
        226 => "IM Used",
        300 => "Multiple Choices",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        304 => "Not Modified",
        305 => "Use Proxy",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        402 => "Payment Required",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        407 => "Proxy Authentication Required",
        408 => "Request Timeout",
        409 => "Conflict",
        410 => "Gone",
        411 => "Length Required",
        412 => "Precondition Failed",
        413 => "Content Too Large",
        414 => "URI Too Long",
        415 => "Unsupported Media Type",
        416 => "Range Not Satisfiable",
        417 => "Expectation Failed",
        421 => "Misdirected Request",
        422 => "Unprocessable Content",
        423 => "Locked",
        424 => "Failed Dependency",
        425 => "Too Early",
        426 => "Upgrade Required",
        428 => "Precondition Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        451 => "Unavailable For Legal Reasons",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        506 => "Variant Also Negotiates",
        507 => "Insufficient Storage",
        508 => "Loop Detected",
        511 => "Network Authentication Required",
        _ => "",
    }
}
