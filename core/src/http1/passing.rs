//! Which fields of a message go on to the next hop, whatever that speaks.
//!
//! In this order: the fields that were received and go on; those that the proxy sets; those that
//! it appends to lists; those that the route's edits append. Left behind are: fields bound to the
//! connection they came on (`Known::is_connection_bound`) and those that `Connection` names, except
//! fields meant for everyone on the way; fields that the edits drop; fields that the proxy sets
//! itself. The proxy's own fields stand before the edits, so a route can replace or remove them, as
//! in Envoy.
//!
//! How a field is written is up to a [`Sink`]: text for HTTP/1, a map for HTTP/2.

use super::{
    fields::{Field, Fields},
    framing::Framing,
    known::Known,
    request_line::MethodKind,
    response::ResponseHead,
};
use crate::header::{Edits, is_token_byte};

/// Takes the fields that are written, in their order.
pub(crate) trait Sink {
    /// A received field. Nothing else comes before the last of these.
    fn received(&mut self, field: &Field);

    /// All received fields were given.
    fn end_of_received(&mut self) {}

    /// A field that was not received: one of the proxy's, or checked by [`Edits::compile`].
    fn own(&mut self, name: &str, value: &[u8]);

    /// `value` at the end of the list that the `received` values are.
    fn joined<'b>(&mut self, name: &str, received: impl Iterator<Item = &'b [u8]>, value: &[u8]);
}

/// Which fields are written.
pub(crate) struct Plan<'a> {
    pub(crate) edits: &'a [&'a Edits],
    pub(crate) set: &'a [(&'a str, &'a [u8])],
    pub(crate) append: &'a [(&'a str, &'a [u8])],
    pub(crate) trailers_follow: bool,
}

impl Plan<'_> {
    /// Bytes of the fields as text: enough for nearly every head.
    pub(super) fn size_hint(&self, fields: &Fields) -> usize {
        let own = |fields: &[(&str, &[u8])]| -> usize {
            let sizes = fields
                .iter()
                .map(|(name, value)| name.len() + value.len() + 4);
            sizes.sum()
        };
        fields.length() + own(self.set) + own(self.append) + 256
    }

    /// Fields that are written, at most.
    pub(crate) fn count_hint(&self, fields: &Fields) -> usize {
        let edited: usize = self.edits.iter().map(|edits| edits.appended.len()).sum();
        fields.iter().len() + self.set.len() + self.append.len() + edited
    }

    #[inline]
    pub(crate) fn push_fields(&self, sink: &mut impl Sink, fields: &Fields, bytes: &[u8]) {
        let lengths = self.dropped_lengths();
        for field in fields.iter() {
            let name = field.name.of(bytes);
            let goes_on = field.passes
                && (field.known != Some(Known::Trailer) || self.trailers_follow)
                && (lengths & length_bit(name.len()) == 0 || !self.drops(name));
            if goes_on {
                sink.received(field);
            }
        }
        sink.end_of_received();
        for (name, value) in self.set {
            if !edits_drop(name.as_bytes(), self.edits) {
                sink.own(name, value);
            }
        }
        for (name, value) in self.append {
            if !edits_drop(name.as_bytes(), self.edits) {
                let received = fields.iter().filter(|field| {
                    let is_same = field.name.of(bytes).eq_ignore_ascii_case(name.as_bytes());
                    field.passes && is_same && !field.value.is_empty()
                });
                sink.joined(name, received.map(|field| field.value.of(bytes)), value);
            }
        }
        for (position, edits) in self.edits.iter().enumerate() {
            for (name, value) in &edits.appended {
                if !edits_drop(name.as_bytes(), &self.edits[position + 1..]) {
                    sink.own(name, value.as_bytes());
                }
            }
        }
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

/// What a response says of its body's length, when the message that is written has `framing`: one
/// to HEAD, and a 304, keep what they declared.
pub(crate) fn response_framing(
    head: &ResponseHead,
    framing: Framing,
    request: MethodKind,
) -> Framing {
    match (framing, head.declared()) {
        _ if matches!(head.status(), 100..=199 | 204) => Framing::None,
        (Framing::None, declared) if request == MethodKind::Head => declared,
        (Framing::None, Framing::Length(length)) if head.status() == 304 => Framing::Length(length),
        (framing, _) => framing,
    }
}

/// A token, and not the name of a field that the codecs write themselves.
pub(crate) fn is_writable_name(name: &str) -> bool {
    let is_token = !name.is_empty() && name.bytes().all(is_token_byte);
    is_token && !Known::of(name.as_bytes()).is_some_and(Known::is_connection_bound)
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
