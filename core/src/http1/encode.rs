//! Writes a decoded head for the next hop, as text.
//!
//! What is written, in this order: the first line; `Host` (requests); the fields that
//! [`super::passing`] says, the received ones in their case and order; what is about this
//! connection and about framing, from typed values only.

use std::ops::Range;

use super::{
    block,
    chunk::CRLF,
    fields::{Field, Fields},
    framing::Framing,
    known::Known,
    passing::{Plan, Sink, is_writable_name, response_framing},
    request::RequestHead,
    request_line::MethodKind,
    response::ResponseHead,
};
use crate::header::{Edits, Names, is_control_byte};

/// What is written of a request besides its received head.
#[derive(Clone, Copy, Debug, Default)]
pub struct RequestWrite<'a> {
    /// Path and query. Bytes that a target cannot hold are percent-encoded.
    pub target: &'a str,
    /// Becomes `Host`. `Edits::authority` and rewrites were applied to it already: the encoder
    /// does not look at them.
    pub authority: &'a str,
    /// Received fields that do not go on. The proxy's own of these names do.
    pub untrusted: Option<&'a Names>,
    /// Applied in this order: each drops fields of everything before it, then appends its own.
    pub edits: &'a [&'a Edits],
    /// The proxy's own fields: each replaces every received field of its name. None is bound to
    /// the connection.
    pub set: &'a [(Known, &'a [u8])],
    /// The proxy's own additions to lists: each is joined to the end of the received fields of its
    /// name, and they become one field, as `x-forwarded-for` wants. Names as in `set`, and none
    /// that is in `set`.
    pub append: &'a [(Known, &'a [u8])],
    /// How the body that follows is framed. Never [`Framing::UntilClose`].
    pub framing: Framing,
    /// Writes `expect: 100-continue`; the received field is never passed on by itself.
    pub expect_continue: bool,
    /// Asks the next hop to speak this protocol after its answer; a received wish is never passed
    /// on by itself. What [`RequestHead::upgrade`] says, and then there is no body.
    pub upgrade: Option<&'a str>,
}

/// What is written of a response besides its received head.
#[derive(Clone, Copy, Debug, Default)]
pub struct ResponseWrite<'a> {
    /// As in [`RequestWrite::edits`].
    pub edits: &'a [&'a Edits],
    /// As in [`RequestWrite::set`].
    pub set: &'a [(Known, &'a [u8])],
    /// As in [`RequestWrite::append`].
    pub append: &'a [(Known, &'a [u8])],
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
        untrusted: write.untrusted,
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
    push_fields(out, &plan, head.fields(), bytes);
    if let Some(protocol) = write.upgrade {
        push_upgrade(out, protocol);
    } else if head.accepts_trailers() {
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
    let framing = response_framing(head, write.framing, write.request);
    let plan = Plan {
        untrusted: None,
        edits: write.edits,
        set: write.set,
        append: write.append,
        trailers_follow: framing == Framing::Chunked,
    };
    out.reserve(plan.size_hint(head.fields()) + head.reason(bytes).len());
    push_status(out, head.status());
    out.extend_from_slice(head.reason(bytes));
    out.extend_from_slice(CRLF);
    push_fields(out, &plan, head.fields(), bytes);
    let closes = !write.keep_alive || write.framing == Framing::UntilClose;
    if let Some(protocol) = head.upgrade(bytes) {
        push_upgrade(out, protocol);
    } else if let Some(protocols) = head.upgrades_required(bytes) {
        push_upgrades(out, protocols, closes);
    } else if closes && !head.is_interim() {
        out.extend_from_slice(b"connection: close\r\n");
    }
    push_framing(out, framing);
    out.extend_from_slice(CRLF);
}

/// Appends fields as lines.
struct Lines<'a> {
    out: &'a mut Vec<u8>,
    /// What the received fields were decoded from.
    bytes: &'a [u8],
    /// Neighbours that stand in the buffer as they will be sent: they are copied together.
    run: Range<usize>,
}

impl Sink for Lines<'_> {
    #[inline(always)]
    fn received(&mut self, field: &Field) {
        let name_start = field.name.range().start;
        let line_end = field.value.range().end + CRLF.len();
        if field.canonical && self.run.end == name_start {
            self.run.end = line_end;
            return;
        }
        self.out.extend_from_slice(&self.bytes[self.run.clone()]);
        if field.canonical {
            self.run = name_start..line_end;
            return;
        }
        self.run = 0..0;
        self.out.extend_from_slice(field.name.of(self.bytes));
        self.out.extend_from_slice(b": ");
        self.out.extend_from_slice(field.value.of(self.bytes));
        self.out.extend_from_slice(CRLF);
    }

    #[inline(always)]
    fn end_of_received(&mut self) {
        self.out.extend_from_slice(&self.bytes[self.run.clone()]);
    }

    #[inline(always)]
    fn own(&mut self, known: Known, value: &[u8]) {
        debug_assert!(!known.is_connection_bound(), "{known:?}");
        self.out.extend_from_slice(known.line_start());
        push_value(self.out, value);
        self.out.extend_from_slice(CRLF);
    }

    #[inline(always)]
    fn edited(&mut self, name: &str, value: &[u8]) {
        push_field(self.out, name, value);
    }

    #[inline(always)]
    fn joined<'b>(&mut self, known: Known, received: impl Iterator<Item = &'b [u8]>, value: &[u8]) {
        debug_assert!(!known.is_connection_bound(), "{known:?}");
        self.out.extend_from_slice(known.line_start());
        for element in received {
            self.out.extend_from_slice(element);
            self.out.extend_from_slice(b", ");
        }
        push_value(self.out, value);
        self.out.extend_from_slice(CRLF);
    }
}

fn push_fields(out: &mut Vec<u8>, plan: &Plan<'_>, fields: &Fields, bytes: &[u8]) {
    let mut lines = Lines {
        out,
        bytes,
        run: 0..0,
    };
    plan.push_fields(&mut lines, fields, bytes);
}

/// What a request asks for, or a 101 agrees to.
fn push_upgrade(out: &mut Vec<u8>, protocol: &str) {
    push_upgrades(out, protocol, false);
}

/// The same, or what a 426 demands.
#[cold]
fn push_upgrades(out: &mut Vec<u8>, protocols: &str, closes: bool) {
    out.extend_from_slice(match closes {
        true => b"connection: upgrade, close\r\nupgrade: ",
        false => b"connection: upgrade\r\nupgrade: ",
    });
    push_value(out, protocols.as_bytes());
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

/// A value, with a space for every control character: whoever made the value, it cannot begin
/// another field or another message, and no strict next hop refuses it.
#[inline]
fn push_value(out: &mut Vec<u8>, value: &[u8]) {
    let start = out.len();
    out.extend_from_slice(value);
    if may_hold_control(out, start) {
        for byte in &mut out[start..] {
            if is_control_byte(*byte) {
                *byte = b' ';
            }
        }
    }
}

/// Is there a control character behind `start`? Perhaps not: it may be among the last sixteen bytes
/// before it, or a tab.
#[inline(always)]
fn may_hold_control(out: &[u8], start: usize) -> bool {
    let (blocks, _) = out[start..].as_chunks::<{ block::LENGTH }>();
    let last = out.last_chunk::<{ block::LENGTH }>();
    let holds = |chunk| block::any(chunk, block::is_control);
    blocks.iter().any(holds) || last.is_none_or(holds)
}

/// A target: what cannot stand in one (space, control, `#`, not ASCII) is percent-encoded.
fn push_target(out: &mut Vec<u8>, target: &str) {
    let is_safe = |byte: u8| !block::is_not_in_target(byte);
    if block::are_all(target.as_bytes(), is_safe) {
        out.extend_from_slice(target.as_bytes());
        return;
    }
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
