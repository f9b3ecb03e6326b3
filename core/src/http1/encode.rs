//! Writes a decoded head for the next hop.
//!
//! What is written, in this order: the first line; `Host` (requests); the fields that were received
//! and go on, in their case and order; those that the proxy sets; those that the route's edits
//! append; what is about this connection and about framing, from typed values only.
//!
//! Left behind are: fields bound to the connection they came on (`Known::is_connection_bound`) and
//! those that `Connection` names, except fields meant for everyone on the way; fields that the
//! edits drop; fields that the proxy sets itself. The proxy's own fields stand before the edits,
//! so a route can replace or remove them, as in Envoy.

use super::{
    block, chunk::CRLF, fields::Fields, framing::Framing, known::Known, request::RequestHead,
    request_line::MethodKind, response::ResponseHead,
};
use crate::header::{Edits, is_control_byte, is_token_byte};

/// What is written of a request besides its received head.
#[derive(Clone, Copy, Debug, Default)]
pub struct RequestWrite<'a> {
    /// Path and query. Bytes that a target cannot hold are percent-encoded.
    pub target: &'a str,
    /// Becomes `Host`. `Edits::authority` and rewrites were applied to it already: the encoder
    /// does not look at them.
    pub authority: &'a str,
    /// Applied in this order: each drops fields of everything before it, then appends its own.
    pub edits: &'a [&'a Edits],
    /// The proxy's own fields: each replaces every received field of its name. Names are lower
    /// case and not bound to the connection.
    pub set: &'a [(&'a str, &'a [u8])],
    /// The proxy's own additions to lists: each is joined to the end of the received fields of its
    /// name, and they become one field, as `x-forwarded-for` wants. Names as in `set`, and none
    /// that is in `set`.
    pub append: &'a [(&'a str, &'a [u8])],
    /// How the body that follows is framed. Never [`Framing::UntilClose`].
    pub framing: Framing,
    /// Writes `expect: 100-continue`; the received field is never passed on by itself.
    pub expect_continue: bool,
}

/// What is written of a response besides its received head.
#[derive(Clone, Copy, Debug, Default)]
pub struct ResponseWrite<'a> {
    /// As in [`RequestWrite::edits`].
    pub edits: &'a [&'a Edits],
    /// As in [`RequestWrite::set`].
    pub set: &'a [(&'a str, &'a [u8])],
    /// As in [`RequestWrite::append`].
    pub append: &'a [(&'a str, &'a [u8])],
    /// How the body that follows is framed. With [`Framing::None`], a response to HEAD or a 304
    /// keeps what it declared.
    pub framing: Framing,
    /// The method that is answered.
    pub request: MethodKind,
    /// False writes `connection: close`. Always false for [`Framing::UntilClose`].
    pub keep_alive: bool,
}

/// Appends the head of a request for the next hop: `head` was decoded from `bytes`.
pub fn encode_request(
    out: &mut Vec<u8>,
    head: &RequestHead,
    bytes: &[u8],
    write: &RequestWrite<'_>,
) {
    debug_assert!(
        write.framing != Framing::UntilClose,
        "a request's end must be known"
    );
    let plan = Plan {
        edits: write.edits,
        set: write.set,
        append: write.append,
        trailers_follow: write.framing == Framing::Chunked,
    };
    out.reserve(plan.size_hint(head.fields()) + write.target.len() + write.authority.len());
    out.extend_from_slice(head.method_bytes(bytes));
    out.push(b' ');
    push_target(out, write.target);
    out.extend_from_slice(b" HTTP/1.1\r\nhost: ");
    push_value(out, write.authority.as_bytes());
    out.extend_from_slice(CRLF);
    plan.push_fields(out, head.fields(), bytes);
    if head.accepts_trailers() {
        out.extend_from_slice(b"te: trailers\r\nconnection: te\r\n");
    }
    if write.expect_continue {
        out.extend_from_slice(b"expect: 100-continue\r\n");
    }
    push_framing(out, write.framing);
    out.extend_from_slice(CRLF);
}

/// Appends the head of a response for the client: `head` was decoded from `bytes`.
pub fn encode_response(
    out: &mut Vec<u8>,
    head: &ResponseHead,
    bytes: &[u8],
    write: &ResponseWrite<'_>,
) {
    let framing = match (write.framing, head.declared()) {
        _ if matches!(head.status(), 100..=199 | 204) => Framing::None,
        (Framing::None, declared) if write.request == MethodKind::Head => declared,
        (Framing::None, Framing::Length(length)) if head.status() == 304 => Framing::Length(length),
        (framing, _) => framing,
    };
    let plan = Plan {
        edits: write.edits,
        set: write.set,
        append: write.append,
        trailers_follow: framing == Framing::Chunked,
    };
    out.reserve(plan.size_hint(head.fields()) + head.reason(bytes).len());
    push_status(out, head.status());
    out.extend_from_slice(head.reason(bytes));
    out.extend_from_slice(CRLF);
    plan.push_fields(out, head.fields(), bytes);
    let closes = !write.keep_alive || write.framing == Framing::UntilClose;
    if closes && !head.is_interim() {
        out.extend_from_slice(b"connection: close\r\n");
    }
    push_framing(out, framing);
    out.extend_from_slice(CRLF);
}

/// Which fields are written.
struct Plan<'a> {
    edits: &'a [&'a Edits],
    set: &'a [(&'a str, &'a [u8])],
    append: &'a [(&'a str, &'a [u8])],
    trailers_follow: bool,
}

impl Plan<'_> {
    /// Enough room for nearly every head, so that it is written without growing.
    fn size_hint(&self, fields: &Fields) -> usize {
        let own = |fields: &[(&str, &[u8])]| -> usize {
            let sizes = fields
                .iter()
                .map(|(name, value)| name.len() + value.len() + 4);
            sizes.sum()
        };
        fields.length() + own(self.set) + own(self.append) + 256
    }

    fn push_fields(&self, out: &mut Vec<u8>, fields: &Fields, bytes: &[u8]) {
        self.push_received(out, fields, bytes);
        for (name, value) in self.set {
            if !edits_drop(name.as_bytes(), self.edits) {
                push_field(out, name, value);
            }
        }
        for (name, value) in self.append {
            if !edits_drop(name.as_bytes(), self.edits) {
                push_joined(out, name, value, fields, bytes);
            }
        }
        for (position, edits) in self.edits.iter().enumerate() {
            for (name, value) in &edits.appended {
                if !edits_drop(name.as_bytes(), &self.edits[position + 1..]) {
                    push_field(out, name, value.as_bytes());
                }
            }
        }
    }

    /// The received fields that go on. Neighbours that stand in the buffer as they will be sent are
    /// copied together.
    fn push_received(&self, out: &mut Vec<u8>, fields: &Fields, bytes: &[u8]) {
        let lengths = self.dropped_lengths();
        let mut run = 0..0;
        for field in fields.iter() {
            let name = field.name.of(bytes);
            let goes_on = field.passes
                && (field.known != Some(Known::Trailer) || self.trailers_follow)
                && (lengths & length_bit(name.len()) == 0 || !self.drops(name));
            if !goes_on {
                continue;
            }
            let name_start = field.name.range().start;
            let line_end = field.value.range().end + CRLF.len();
            if field.canonical && run.end == name_start {
                run.end = line_end;
                continue;
            }
            out.extend_from_slice(&bytes[run]);
            if field.canonical {
                run = name_start..line_end;
                continue;
            }
            run = 0..0;
            out.extend_from_slice(name);
            out.extend_from_slice(b": ");
            out.extend_from_slice(field.value.of(bytes));
            out.extend_from_slice(CRLF);
        }
        out.extend_from_slice(&bytes[run]);
    }

    /// A bit for the length of each dropped name: most fields differ in length from all of them,
    /// and then no name is compared.
    fn dropped_lengths(&self) -> u64 {
        let mut lengths = 0;
        for (name, _) in self.set {
            lengths |= length_bit(name.len());
        }
        for (name, _) in self.append {
            lengths |= length_bit(name.len());
        }
        for edits in self.edits {
            for name in &edits.dropped {
                lengths |= length_bit(name.len());
            }
        }
        lengths
    }

    fn drops(&self, name: &[u8]) -> bool {
        let is_same = |(other, _): &(&str, &[u8])| name.eq_ignore_ascii_case(other.as_bytes());
        self.set.iter().any(is_same)
            || self.append.iter().any(is_same)
            || edits_drop(name, self.edits)
    }
}

#[inline]
fn edits_drop(name: &[u8], edits: &[&Edits]) -> bool {
    edits.iter().any(|edits| {
        let mut dropped = edits.dropped.iter();
        dropped.any(|dropped| name.eq_ignore_ascii_case(dropped.as_bytes()))
    })
}

fn length_bit(length: usize) -> u64 {
    1 << (length & 63)
}

/// The received fields of this name and `value`, as one list.
fn push_joined(out: &mut Vec<u8>, name: &str, value: &[u8], fields: &Fields, bytes: &[u8]) {
    debug_assert!(is_writable_name(name), "{name:?}");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    for field in fields.iter() {
        let is_same = field.name.of(bytes).eq_ignore_ascii_case(name.as_bytes());
        if field.passes && is_same && !field.value.is_empty() {
            out.extend_from_slice(field.value.of(bytes));
            out.extend_from_slice(b", ");
        }
    }
    push_value(out, value);
    out.extend_from_slice(CRLF);
}

/// A field that was not received. The name is one of ours or was checked by [`Edits::compile`].
pub(super) fn push_field(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    debug_assert!(is_writable_name(name), "{name:?}");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    push_value(out, value);
    out.extend_from_slice(CRLF);
}

fn is_writable_name(name: &str) -> bool {
    let is_token = !name.is_empty() && name.bytes().all(is_token_byte);
    is_token && !Known::of(name.as_bytes()).is_some_and(Known::is_connection_bound)
}

/// A value, with a space for every control character: whoever made the value, it cannot begin
/// another field or another message, and no strict next hop refuses it.
#[inline]
fn push_value(out: &mut Vec<u8>, value: &[u8]) {
    let start = out.len();
    out.extend_from_slice(value);
    if block::find_control(out, start).is_some() {
        for byte in &mut out[start..] {
            if is_control_byte(*byte) {
                *byte = b' ';
            }
        }
    }
}

/// A target: what cannot stand in one (space, control, `#`, not ASCII) is percent-encoded.
fn push_target(out: &mut Vec<u8>, target: &str) {
    if block::find_not_in_target(target.as_bytes(), 0).is_none() {
        out.extend_from_slice(target.as_bytes());
        return;
    }
    let is_safe = |byte: u8| (0x21..0x7f).contains(&byte) && byte != b'#';
    for byte in target.bytes() {
        if is_safe(byte) {
            out.push(byte);
        } else {
            let digit = |number: u8| b"0123456789ABCDEF"[usize::from(number)];
            out.extend_from_slice(&[b'%', digit(byte >> 4), digit(byte & 15)]);
        }
    }
}

/// `HTTP/1.1 200 `: the reason follows.
pub(super) fn push_status(out: &mut Vec<u8>, status: u16) {
    debug_assert!((100..=999).contains(&status));
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(itoa::Buffer::new().format(status).as_bytes());
    out.push(b' ');
}

pub(super) fn push_framing(out: &mut Vec<u8>, framing: Framing) {
    match framing {
        Framing::None | Framing::UntilClose => {}
        Framing::Length(length) => {
            out.extend_from_slice(b"content-length: ");
            out.extend_from_slice(itoa::Buffer::new().format(length).as_bytes());
            out.extend_from_slice(CRLF);
        }
        Framing::Chunked => out.extend_from_slice(b"transfer-encoding: chunked\r\n"),
    }
}
