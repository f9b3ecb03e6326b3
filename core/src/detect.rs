//! What a client speaks, by the first bytes that it sends: for listeners that find out themselves.
//!
//! Nothing is taken for HTTP that the HTTP/1 codec would refuse by its first byte, and what is not
//! HTTP is carried as bytes: a wrong guess in this direction costs routing, in the other one the
//! connection. Who says nothing gets no answer here; the data plane stops asking after
//! `limits.protocol_detection_timeout`.

use crate::header::is_token_byte;

/// What the first bytes are those of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Detected {
    /// A request of HTTP/1: a method, a space and how a target begins (RFC 9112 section 3).
    Http1,
    /// HTTP/2's preface (RFC 9113 section 3.4).
    Http2,
    /// A ClientHello (RFC 8446 section 5.1): bytes, as long as nobody here has a certificate.
    Tls,
    /// Something else.
    Bytes,
    /// Not known yet: ask again when there are more.
    More,
}

/// What the first bytes of a connection of HTTP say about its version.
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

/// What HTTP/2 begins with.
pub const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Longest method: longer than any that is registered.
pub const METHOD_BYTES_MAX: usize = 32;

/// Bytes that are enough for an answer other than [`Detected::More`].
pub const ENOUGH: usize = METHOD_BYTES_MAX + 1 + "https://".len();

/// Decides by `bytes`, all that were received so far.
///
/// Empty lines before a request line are tolerated by the codec (RFC 9112 section 2.2), but not by
/// this: a protocol of lines may begin with one.
pub fn detect(bytes: &[u8]) -> Detected {
    match bytes {
        [] | [HANDSHAKE] => return Detected::More,
        [HANDSHAKE, 3, ..] => return Detected::Tls,
        _ => {}
    }
    match Beginning::of(bytes) {
        Beginning::Http2 => return Detected::Http2,
        Beginning::Unclear => return Detected::More,
        Beginning::Other => {}
    }
    let method = bytes
        .iter()
        .take_while(|byte| is_token_byte(**byte))
        .count();
    match bytes.get(method..).unwrap_or_default() {
        _ if method > METHOD_BYTES_MAX => Detected::Bytes,
        [] | [b' '] if method > 0 => Detected::More,
        [b' ', target @ ..] if method > 0 => by_target(&bytes[..method], target),
        _ => Detected::Bytes,
    }
}

/// Other protocols of lines also begin with a word and a space: `get key` of a cache.
fn by_target(method: &[u8], target: &[u8]) -> Detected {
    match (method, target) {
        (_, [b'/', ..]) | (b"OPTIONS", [b'*', ..]) => return Detected::Http1,
        (b"CONNECT", [first, ..]) if first.is_ascii_graphic() => return Detected::Http1,
        _ => {}
    }
    let schemes = [&b"http://"[..], b"https://"];
    let compared = schemes.map(|scheme| {
        let length = scheme.len().min(target.len());
        match scheme[..length].eq_ignore_ascii_case(&target[..length]) {
            true if length == scheme.len() => Detected::Http1,
            true => Detected::More,
            false => Detected::Bytes,
        }
    });
    let best = |wanted| compared.contains(&wanted).then_some(wanted);
    best(Detected::Http1)
        .or_else(|| best(Detected::More))
        .unwrap_or(Detected::Bytes)
}

/// Content type of a TLS record that carries a handshake.
const HANDSHAKE: u8 = 0x16;

#[cfg(test)]
mod tests {
    use super::{Beginning, Detected, ENOUGH, METHOD_BYTES_MAX, PREFACE, detect};
    use Detected::{Bytes, Http1, Http2, More, Tls};

    #[test]
    fn first_bytes() {
        let longest = [b'A'; METHOD_BYTES_MAX];
        for (bytes, expected) in [
            (&b""[..], More),
            (b"G", More),
            (b"GET", More),
            (b"GET ", More),
            (b"GET /", Http1),
            (b"GET / HTTP/1.1\r\n", Http1),
            (b"CONNECT a:1 HTTP/1.1\r\n", Http1),
            (b"OPTIONS * HTTP/1.1\r\n", Http1),
            (b"X-OWN.METHOD /", Http1),
            (b"PRI * HTTP/1.1\r\n", Bytes),
            (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nxy", Http2),
            (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r", More),
            (b"PRI * HTTP/2.0\r\n\r\nXX", Bytes),
            (b"PUT /", Http1),
            (&longest, More),
            (&[&longest[..], b"A"].concat(), Bytes),
            (&[&longest[..], b" /"].concat(), Http1),
            (b" ", Bytes),
            (b"GET h", More),
            (b"GET HTTP:", More),
            (b"GET https:/", More),
            (b"GET http://a/", Http1),
            (b"GET HTTPS://a/", Http1),
            (b"GET key\r\n", Bytes),
            (b"GET *", Bytes),
            (b"CONNECT \r", Bytes),
            (b"SET key 1\r\n", Bytes),
            (b"GET  /", Bytes),
            (b"GET \r\n", Bytes),
            (b"GET\r\n", Bytes),
            (b"\r\nGET /", Bytes),
            (b"\n", Bytes),
            (b"\0", Bytes),
            (b"*3\r\n$3\r\nSET\r\n", Bytes),
            (b"SSH-2.0-OpenSSH_9\r\n", Bytes),
            (b"\x16", More),
            (b"\x16\x03", Tls),
            (b"\x16\x03\x01\x02\x00\x01", Tls),
            (b"\x16\x02", Bytes),
            (b"\x15\x03", Bytes),
            ("caf\u{e9} /".as_bytes(), Bytes),
        ] {
            assert_eq!(
                detect(bytes),
                expected,
                "{:?}",
                String::from_utf8_lossy(bytes)
            );
        }
    }

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

    /// However the bytes are cut, the first answer is the answer, and it comes in time.
    #[test]
    fn an_answer_is_final() {
        let longest = [&[b'A'; METHOD_BYTES_MAX + 9][..], b" / HTTP/1.1\r\n"].concat();
        for bytes in [
            &b"GET / HTTP/1.1\r\nhost: a\r\n\r\n               "[..],
            &[&PREFACE[..], &[0; 30]].concat(),
            b"PRI * HTTP/1.1\r\nhost: a\r\n\r\n               ",
            b"GET https://a.example/ HTTP/1.1\r\nhost: a.example\r\n\r\n",
            b"\x16\x03\x01\x02\x00\x01                                        ",
            &longest,
        ] {
            let answers = (0..=bytes.len()).map(|length| detect(&bytes[..length]));
            let mut answers = answers.skip_while(|answer| *answer == More);
            let first = answers.next().expect("there are enough bytes");
            assert!(answers.all(|answer| answer == first), "{first:?}");
            assert_ne!(detect(&bytes[..ENOUGH]), More);
        }
    }
}
