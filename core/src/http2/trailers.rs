//! Trailers, from and to the lines that end a chunked body of HTTP/1. The same fields are left out
//! as there: those that someone on the way could merge into the head (RFC 9110 section 6.5.1).

use super::is_connection_specific;
use http::{HeaderMap, HeaderName, HeaderValue};
use ringmain_config::tuning::UnderscoresInHeaders;

use crate::{
    header::is_control_byte,
    http1::{
        CRLF, Known, Limits, Reject,
        fields::check_line,
        trailers::{TRAILER_BYTES_MAX, goes_on, is_forbidden},
    },
};

/// Appends trailers that came over HTTP/2 as lines, each with its CRLF: what
/// [`encode_last_chunk`](crate::http1::encode_last_chunk) takes, and [`trailer_map`]. Fields that
/// must not be trailers are left out.
///
/// # Errors
/// Why they are refused: more fields than a head may have ([`Reject::TooManyHeaders`]), more bytes
/// than HTTP/1 trailers may have ([`Reject::TrailersTooLarge`]), a field about one connection, a
/// value with white space around it, or a name that holds `_` if `underscores` says so. Nothing is
/// appended then.
pub fn trailers_text(
    out: &mut Vec<u8>,
    trailers: &HeaderMap,
    limits: &Limits,
    underscores: UnderscoresInHeaders,
) -> Result<(), Reject> {
    if trailers.len() > limits.headers_max {
        return Err(Reject::TooManyHeaders);
    }
    let start = out.len();
    let written = push_lines(out, trailers, underscores);
    if written.is_err() {
        out.truncate(start);
    }
    written
}

fn push_lines(
    out: &mut Vec<u8>,
    trailers: &HeaderMap,
    underscores: UnderscoresInHeaders,
) -> Result<(), Reject> {
    let mut received = 0;
    for (name, value) in trailers {
        let (name, value) = (name.as_str(), value.as_bytes());
        received += name.len() + value.len() + 4;
        if received > TRAILER_BYTES_MAX {
            return Err(Reject::TrailersTooLarge);
        }
        match Known::of(name.as_bytes()) {
            Some(known) if is_connection_specific(known) => return Err(Reject::ConnectionField),
            _ if value.iter().copied().any(is_control_byte) => return Err(Reject::HeaderValue),
            _ if value.trim_ascii().len() != value.len() => return Err(Reject::HeaderSpace),
            _ if !goes_on(name.as_bytes(), underscores)? => continue,
            _ => {}
        }
        for part in [name.as_bytes(), b": ", value, CRLF] {
            out.extend_from_slice(part);
        }
    }
    Ok(())
}

/// Trailers for HTTP/2, of lines as [`BodyDecoder::trailers`](crate::http1::BodyDecoder::trailers)
/// or [`trailers_text`] gives them.
pub fn trailer_map(lines: &[u8]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for line in lines.split(|&byte| byte == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        // The lines were checked when they were received. What was not is left out.
        let Ok((name, value)) = check_line(line) else {
            debug_assert!(line.is_empty(), "{}", line.escape_ascii());
            continue;
        };
        if !is_forbidden(name)
            && let (Ok(name), Ok(value)) =
                (HeaderName::from_bytes(name), HeaderValue::from_bytes(value))
        {
            let appended = map.try_append(name, value);
            debug_assert!(appended.is_ok(), "trailers are short");
        }
    }
    map
}
