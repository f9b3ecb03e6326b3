//! Heads of responses.

use ringmain_core::http1::{
    Framing, MethodKind, Reject, ResponseHead, ResponseWrite, encode_response,
};

use super::request::{LIMITS, kind};
use crate::{cut, naive};

pub(super) fn run(data: &[u8]) -> String {
    let others = [MethodKind::Head, MethodKind::Other].map(|method| one(data, method));
    others.join(", ")
}

fn one(data: &[u8], method: MethodKind) -> String {
    let mut head = ResponseHead::new();
    let verdict = head.decode(data, &LIMITS, method);
    let mut pieces = ResponseHead::new();
    let mut last = Ok(None);
    for length in cut::prefixes(data) {
        last = pieces.decode(&data[..length], &LIMITS, method);
        if last != Ok(None) {
            break;
        }
    }
    assert_eq!(last, verdict, "in pieces, and whole");
    match verdict {
        Err(reject) => refused(reject),
        Ok(None) => "incomplete".to_owned(),
        Ok(Some(length)) => {
            assert_eq!(facts(&head, data), facts(&pieces, data));
            check(&head, &data[..length], method);
            write(&head, data, method);
            let class = head.status() / 100;
            format!("{class}xx {} {}", kind(head.framing()), head.keep_alive())
        }
    }
}

fn refused(reject: Reject) -> String {
    format!("refused {}", reject.reason())
}

fn facts(head: &ResponseHead, bytes: &[u8]) -> String {
    let headers: Vec<_> = head.headers(bytes).collect();
    format!(
        "{} {:?} {:?} {:?} {} {headers:?}",
        head.status(),
        head.reason(bytes),
        head.framing(),
        head.declared(),
        head.keep_alive(),
    )
}

/// A reader of the RFC finds the same in it.
fn check(head: &ResponseHead, bytes: &[u8], method: MethodKind) {
    let naive = naive::Head::read(bytes);
    let status = head.status().to_string();
    assert_eq!(&naive.first_line[..7], b"HTTP/1.");
    assert_eq!(&naive.first_line[9..12], status.as_bytes());
    let fields = head
        .headers(bytes)
        .map(|(name, value)| (name.as_bytes(), value));
    assert!(fields.eq(naive.fields.iter().copied()), "{naive:?}");
    let has_none = method == MethodKind::Head || matches!(head.status(), 100..=199 | 204 | 304);
    let expected = match (has_none, naive.framing()) {
        (true, _) => Framing::None,
        (false, naive::Framing::None) => Framing::UntilClose,
        (false, naive::Framing::Length(length)) => Framing::Length(length),
        (false, naive::Framing::Chunked) => Framing::Chunked,
    };
    assert_eq!(head.framing(), expected);
    assert!(!(head.keep_alive() && expected == Framing::UntilClose));
}

/// The client reads of it what was meant: one answer with the same body.
fn write(head: &ResponseHead, bytes: &[u8], method: MethodKind) {
    let framing = match head.framing() {
        Framing::UntilClose => Framing::Chunked,
        framing => framing,
    };
    let write = ResponseWrite {
        framing,
        request: method,
        keep_alive: true,
        ..ResponseWrite::default()
    };
    let mut out = Vec::new();
    encode_response(&mut out, head, bytes, &write);
    let mut again = ResponseHead::new();
    assert_eq!(again.decode(&out, &LARGE, method), Ok(Some(out.len())));
    assert_eq!(again.framing(), framing);
    assert_eq!(again.status(), head.status());
    check(&again, &out, method);
}

/// What is written may be a little longer than what was read.
pub(super) const LARGE: ringmain_core::http1::Limits = ringmain_core::http1::Limits {
    head_bytes_max: 16 << 10,
    headers_max: 100,
    target_bytes_max: 8 << 10,
};
