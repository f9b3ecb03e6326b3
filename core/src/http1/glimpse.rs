//! What can be told of a request that was refused, for the log. Nothing else is to believe it.

use crate::header::is_token;

/// The method and the target that `bytes` begin with, as far as they have come and whatever is
/// wrong with them or with what follows. Both are empty for what does not begin like a request.
pub fn glimpse(bytes: &[u8]) -> (&[u8], &[u8]) {
    let bytes = bytes.strip_prefix(b"\r\n").unwrap_or(bytes);
    let line_end = bytes.iter().position(|byte| matches!(byte, b'\r' | b'\n'));
    let line = &bytes[..line_end.unwrap_or(bytes.len())];
    let mut words = line.splitn(3, |&byte| byte == b' ');
    match (words.next(), words.next()) {
        (Some(method), Some(target)) if is_token(method) => (method, target),
        _ => (b"", b""),
    }
}

#[cfg(test)]
mod tests {
    use super::glimpse;

    #[test]
    fn what_is_known_of_a_refused_request() {
        for (bytes, method, target) in [
            ("GET /a?b HTTP/1.1\r\nhost : a\r\n\r\n", "GET", "/a?b"),
            ("\r\nGET /a HTTP/1.1\r\n", "GET", "/a"),
            ("GET /a", "GET", "/a"),
            ("GET /a\nhost: a\r\n", "GET", "/a"),
            ("GET /\u{e4}\0 HTTP/1.1\r\n", "GET", "/\u{e4}\0"),
            ("CONNECT a:80 HTTP/1.1\r\n", "CONNECT", "a:80"),
            ("GET / a HTTP/1.1\r\n", "GET", "/"),
            ("GET  / HTTP/1.1\r\n", "GET", ""),
            ("GET ", "GET", ""),
            ("GET", "", ""),
            ("G@T / HTTP/1.1\r\n", "", ""),
            (" / HTTP/1.1\r\n", "", ""),
            ("\u{16}\u{3}\u{1} / ", "", ""),
            ("\r\n\r\nGET / HTTP/1.1\r\n", "", ""),
            ("", "", ""),
        ] {
            let expected = (method.as_bytes(), target.as_bytes());
            assert_eq!(glimpse(bytes.as_bytes()), expected, "{bytes:?}");
        }
    }
}
