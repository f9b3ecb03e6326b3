//! What a proxy must know of gRPC: which requests are, how long they may take, and how they are
//! told that they failed.
//!
//! See "gRPC over HTTP2" (PROTOCOL-HTTP2.md) and "HTTP to gRPC status code mapping" of the gRPC
//! documentation. A message is never read: gRPC is HTTP with `content-type: application/grpc`.

use std::time::Duration;

use crate::header::Headers;

/// Is a message with this `content-type` gRPC? `application/grpc`, perhaps with `+proto` or the
/// like or with parameters; gRPC-Web is something else, whose status stands in the body.
pub fn is_grpc(content_type: &[u8]) -> bool {
    let Some((start, rest)) = content_type.split_at_checked(CONTENT_TYPE.len()) else {
        return false;
    };
    start.eq_ignore_ascii_case(CONTENT_TYPE.as_bytes())
        && matches!(rest, [] | [b'+' | b';' | b' ', ..])
}

/// `content-type` of an answer.
pub const CONTENT_TYPE: &str = "application/grpc";

/// The time that a call has from its head on: what its client gives it (`grpc-timeout`), but never
/// more than its route allows. `None` when the client says nothing of it.
pub fn call_timeout<H: Headers + ?Sized>(headers: &H, route: Option<Duration>) -> Option<Duration> {
    let given = timeout(&headers.value("grpc-timeout")?)?;
    Some(route.map_or(given, |route| given.min(route)))
}

/// The time that a `grpc-timeout` gives: 1 to 8 digits and a unit, `H`, `M`, `S`, `m`, `u` or `n`.
/// `None` when it is something else; it is then as if there were none, as in Envoy.
fn timeout(value: &[u8]) -> Option<Duration> {
    let (unit, digits) = value.split_last()?;
    if !(1..=8).contains(&digits.len()) || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let digits = digits.iter();
    let number = digits.fold(0, |number, digit| number * 10 + u64::from(digit - b'0'));
    Some(match unit {
        b'H' => Duration::from_secs(number * 3600),
        b'M' => Duration::from_secs(number * 60),
        b'S' => Duration::from_secs(number),
        b'm' => Duration::from_millis(number),
        b'u' => Duration::from_micros(number),
        b'n' => Duration::from_nanos(number),
        _ => return None,
    })
}

/// The number in a `grpc-status`; `None` when it is none. Numbers over 16 have no name, but are
/// passed on.
pub fn status(value: &[u8]) -> Option<u32> {
    let is_number = (1..=9).contains(&value.len()) && value.iter().all(u8::is_ascii_digit);
    let digits = is_number.then_some(value)?.iter();
    Some(digits.fold(0, |number, digit| number * 10 + u32::from(digit - b'0')))
}

/// The number in the `grpc-status` of trailers, which are lines that end with CRLF.
pub fn status_of_trailers(lines: &[u8]) -> Option<u32> {
    let mut lines = lines.split(|byte| *byte == b'\n');
    lines.find_map(|line| {
        let (name, value) = line.split_at_checked(line.iter().position(|byte| *byte == b':')?)?;
        let is_it = name.eq_ignore_ascii_case(b"grpc-status");
        status(value[1..].trim_ascii()).filter(|_| is_it)
    })
}

/// The greatest status that has a name.
pub const STATUS_MAX: u8 = UNAUTHENTICATED;

/// What a client makes of an answer with this HTTP status that ended without a `grpc-status`.
pub fn status_without_trailers(status: u16) -> u8 {
    match status {
        200 => UNKNOWN,
        status => status_of_http(status),
    }
}

/// The `grpc-status` that says the same as an HTTP status; 0 for 200.
pub fn status_of_http(status: u16) -> u8 {
    match status {
        200 => OK,
        400 => INTERNAL,
        401 => UNAUTHENTICATED,
        403 => PERMISSION_DENIED,
        404 => UNIMPLEMENTED,
        429 | 502 | 503 | 504 => UNAVAILABLE,
        _ => UNKNOWN,
    }
}

const OK: u8 = 0;
const UNKNOWN: u8 = 2;
/// For an answer to a request whose time is over.
pub const DEADLINE_EXCEEDED: u8 = 4;
const PERMISSION_DENIED: u8 = 7;
const UNIMPLEMENTED: u8 = 12;
const INTERNAL: u8 = 13;
const UNAVAILABLE: u8 = 14;
const UNAUTHENTICATED: u8 = 16;

/// An answer of our own to a gRPC request: status 200 without a body, the failure in the head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalAnswer {
    /// `grpc-status`.
    pub code: u8,
    /// The same, as decimal digits.
    pub status: String,
    /// `grpc-message`, percent-encoded; empty for none.
    pub message: String,
}

impl LocalAnswer {
    /// HTTP status of every one.
    pub const HTTP_STATUS: u16 = 200;

    /// What a client that speaks HTTP would be told with `status` and `sentence`.
    pub fn of_http(status: u16, sentence: &str) -> Self {
        Self::new(status_of_http(status), sentence)
    }

    /// With this `grpc-status`.
    pub fn new(status: u8, sentence: &str) -> Self {
        Self {
            code: status,
            status: status.to_string(),
            message: encode_message(sentence),
        }
    }

    /// The fields of its head, beside those of every answer.
    pub fn fields(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let fields = [
            ("content-type", CONTENT_TYPE),
            ("grpc-status", &*self.status),
            ("grpc-message", &*self.message),
        ];
        fields.into_iter().filter(|(_, value)| !value.is_empty())
    }
}

/// As it stands in `grpc-message`: visible ASCII but `%` as it is, every other byte as `%XX`. A
/// space is visible to gRPC.
fn encode_message(sentence: &str) -> String {
    let mut encoded = String::with_capacity(sentence.len());
    for byte in sentence.bytes() {
        match byte {
            b'%' | 0..b' ' | 0x7f.. => {
                let digit = |value: u8| char::from(b"0123456789ABCDEF"[usize::from(value)]);
                encoded.extend(['%', digit(byte >> 4), digit(byte & 15)]);
            }
            b' '..0x7f => encoded.push(char::from(byte)),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{LocalAnswer, call_timeout, is_grpc, status, status_of_trailers, timeout};

    #[test]
    fn content_types() {
        for (text, expected) in [
            ("application/grpc", true),
            ("application/grpc+proto", true),
            ("application/grpc+json", true),
            ("Application/GRPC", true),
            ("application/grpc;v=1", true),
            ("application/grpc ; v=1", true),
            ("application/grpc-web", false),
            ("application/grpc-web+proto", false),
            ("application/grpcx", false),
            ("application/json", false),
            ("application/grp", false),
            ("", false),
        ] {
            assert_eq!(is_grpc(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn timeouts() {
        let millis = Duration::from_millis;
        for (text, expected) in [
            ("1S", Some(millis(1000))),
            ("0S", Some(millis(0))),
            ("2H", Some(millis(7_200_000))),
            ("3M", Some(millis(180_000))),
            ("99999999m", Some(millis(99_999_999))),
            ("500000u", Some(millis(500))),
            ("7n", Some(Duration::from_nanos(7))),
            ("99999999H", Some(Duration::from_secs(99_999_999 * 3600))),
            ("100000000m", None),
            ("S", None),
            ("", None),
            ("1", None),
            ("1s", None),
            ("-1S", None),
            ("1.5S", None),
            (" 1S", None),
        ] {
            assert_eq!(timeout(text.as_bytes()), expected, "{text}");
        }
        for (given, route, expected) in [
            ("5m", None, Some(5)),
            ("5m", Some(3), Some(3)),
            ("2m", Some(3), Some(2)),
            ("2", Some(3), None),
        ] {
            let headers = [("grpc-timeout".to_owned(), given.to_owned())];
            let found = call_timeout(headers.as_slice(), route.map(millis));
            assert_eq!(found, expected.map(millis), "{given} {route:?}");
        }
        let nothing: &[(String, String)] = &[];
        assert_eq!(call_timeout(nothing, Some(millis(3))), None);
    }

    #[test]
    fn statuses() {
        for (text, expected) in [
            ("0", Some(0)),
            ("14", Some(14)),
            ("16", Some(16)),
            ("999", Some(999)),
            ("014", Some(14)),
            ("", None),
            ("-1", None),
            ("1 ", None),
            ("x", None),
            ("9999999999", None),
        ] {
            assert_eq!(status(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn trailers() {
        for (lines, expected) in [
            ("grpc-status: 0\r\n", Some(0)),
            ("x: y\r\nGrpc-Status:14\r\ngrpc-message: a: b\r\n", Some(14)),
            ("grpc-message: grpc-status: 1\r\n", None),
            ("grpc-status: x\r\n", None),
            ("grpc-status\r\n", None),
            ("", None),
        ] {
            assert_eq!(status_of_trailers(lines.as_bytes()), expected, "{lines:?}");
        }
    }

    #[test]
    fn local_answers() {
        for (http, sentence, expected) in [
            (503, "no healthy upstream", "14 no healthy upstream"),
            (504, "100% \u{e9}\r\n", "14 100%25 %C3%A9%0D%0A"),
            (502, "", "14 "),
            (429, "", "14 "),
            (404, "a", "12 a"),
            (403, "a", "7 a"),
            (401, "a", "16 a"),
            (400, "a", "13 a"),
            (500, "a", "2 a"),
            (418, "a", "2 a"),
            (200, "a", "0 a"),
        ] {
            let answer = LocalAnswer::of_http(http, sentence);
            assert_eq!(format!("{} {}", answer.status, answer.message), expected);
            let count = answer.fields().count();
            assert_eq!(count, if sentence.is_empty() { 2 } else { 3 });
        }
    }
}
