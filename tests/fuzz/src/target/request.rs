//! Heads of requests.

use ringmain_core::http1::{Framing, Limits, RequestHead};

use crate::{cut, naive};

/// Small, so that input of a reasonable size reaches them.
pub(super) const LIMITS: Limits = Limits {
    head_bytes_max: 1500,
    headers_max: 12,
    target_bytes_max: 200,
};

pub(super) fn run(data: &[u8]) -> String {
    let mut head = RequestHead::new();
    let verdict = head.decode(data, &LIMITS);
    let mut pieces = RequestHead::new();
    let mut last = Ok(None);
    for length in cut::prefixes(data) {
        last = pieces.decode(&data[..length], &LIMITS);
        if last != Ok(None) {
            break;
        }
    }
    assert_eq!(last, verdict, "in pieces, and whole");
    match verdict {
        Err(reject) => format!("refused {}", reject.reason()),
        Ok(None) => "incomplete".to_owned(),
        Ok(Some(length)) => {
            assert_eq!(facts(&head, data), facts(&pieces, data));
            check(&head, &data[..length]);
            let fields = head.headers(data).count().min(6);
            format!(
                "{:?} {} {fields} fields",
                head.method_kind(),
                kind(head.framing())
            )
        }
    }
}

/// The same to both.
fn facts(head: &RequestHead, bytes: &[u8]) -> String {
    let headers: Vec<_> = head.headers(bytes).collect();
    format!(
        "{} {} {:?} {} {:?} {} {} {} {headers:?}",
        head.method(bytes),
        head.target(bytes),
        head.query(bytes),
        head.authority(bytes),
        head.framing(),
        head.keep_alive(),
        head.expects_continue(),
        head.accepts_trailers(),
    )
}

/// A reader of the RFC finds the same in it.
fn check(head: &RequestHead, bytes: &[u8]) {
    let start = bytes.strip_prefix(b"\r\n").unwrap_or(bytes);
    let naive = naive::Head::read(start);
    let line = [head.method(bytes), head.target(bytes), "HTTP/1.1"].join(" ");
    assert_eq!(naive.first_line, line.as_bytes());
    let fields = head
        .headers(bytes)
        .map(|(name, value)| (name.as_bytes(), value));
    assert!(fields.eq(naive.fields.iter().copied()), "{naive:?}");
    assert_eq!(framing(head.framing()), naive.framing());
    let hosts = naive.values("host");
    assert_eq!(hosts.len(), 1, "a request has one Host");
    let is_absolute = !head.target(bytes).starts_with(['/', '*']);
    let authority = head.authority(bytes);
    assert!(!authority.is_empty());
    assert!(
        is_absolute || hosts[0] == authority.as_bytes(),
        "{authority}"
    );
    let path = head.path(bytes);
    assert!(path.starts_with('/') || path == "*", "{path}");
    let closes = naive.values("connection").iter().any(|value| {
        let mut options = value.split(|byte| *byte == b',');
        options.any(|option| option.trim_ascii().eq_ignore_ascii_case(b"close"))
    });
    assert_eq!(head.keep_alive(), !closes);
}

/// In the words of the naive reader. A request's body never ends with the connection.
pub(super) fn framing(framing: Framing) -> naive::Framing {
    match framing {
        Framing::None => naive::Framing::None,
        Framing::Length(length) => naive::Framing::Length(length),
        Framing::Chunked => naive::Framing::Chunked,
        Framing::UntilClose => panic!("the end of it is unknown"),
    }
}

/// Without the number.
pub(super) fn kind(framing: Framing) -> &'static str {
    match framing {
        Framing::None => "none",
        Framing::Length(0) => "nothing",
        Framing::Length(_) => "length",
        Framing::Chunked => "chunked",
        Framing::UntilClose => "close",
    }
}
