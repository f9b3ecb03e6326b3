//! Which fields of a message go on to the next hop, whatever that speaks.
//!
//! In this order: the fields that were received and go on; those that the proxy sets; those that
//! it appends to lists; those that the route's edits append. Left behind are: fields bound to the
//! connection they came on (`Known::is_connection_bound`) and those that `Connection` names, except
//! fields meant for everyone on the way; fields that the edits drop; fields that the proxy sets
//! itself; at a gateway, fields that its client is not trusted with. The proxy's own fields stand
//! before the edits, so a route can replace or remove them, as in Envoy.
//!
//! How a field is written is up to a [`Sink`]: text for HTTP/1, a map for HTTP/2.

use super::{
    fields::{Field, Fields},
    framing::Framing,
    known::Known,
    request_line::MethodKind,
    response::ResponseHead,
};
use crate::header::{Edits, Names, is_token};

/// Takes the fields that are written, in their order.
pub(crate) trait Sink {
    /// A received field. Nothing else comes before the last of these.
    fn received(&mut self, field: &Field);

    /// All received fields were given.
    fn end_of_received(&mut self) {}

    /// A field of the proxy's.
    fn own(&mut self, known: Known, value: &[u8]);

    /// A field of an edit, whose name was checked by [`Edits::compile`].
    fn edited(&mut self, name: &str, value: &[u8]);

    /// `value` at the end of the list that the `received` values are.
    fn joined<'b>(&mut self, known: Known, received: impl Iterator<Item = &'b [u8]>, value: &[u8]);
}

/// Which fields are written.
pub(crate) struct Plan<'a> {
    pub(crate) untrusted: Option<&'a Names>,
    pub(crate) edits: &'a [&'a Edits],
    pub(crate) set: &'a [(Known, &'a [u8])],
    pub(crate) append: &'a [(Known, &'a [u8])],
    pub(crate) trailers_follow: bool,
}

impl Plan<'_> {
    /// Bytes of the fields as text: enough for nearly every head.
    pub(super) fn size_hint(&self, fields: &Fields) -> usize {
        let own = |fields: &[(Known, &[u8])]| -> usize {
            let sizes = fields
                .iter()
                .map(|(known, value)| known.name().len() + value.len() + 4);
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
        let edited = self.edits.iter().map(|edits| edits.dropped.known());
        let edited = edited.fold(0, |all, names| all | names);
        let bits = |own: &[(Known, &[u8])]| own.iter().fold(0, |all, (known, _)| all | known.bit());
        let own = bits(self.set) | bits(self.append);
        let trailer = match self.trailers_follow {
            true => 0,
            false => Known::Trailer.bit(),
        };
        let untrusted = self.untrusted.map_or(0, Names::known);
        let left_behind = edited | own | trailer | untrusted;
        for field in fields.iter() {
            let is_left = match field.known {
                Some(known) => left_behind & known.bit() != 0,
                None => {
                    let name = field.name.of(bytes);
                    let is_untrusted = |names: &Names| names.hold_field(None, name);
                    self.untrusted.is_some_and(is_untrusted) || is_dropped(self.edits, None, name)
                }
            };
            if field.passes && !is_left {
                sink.received(field);
            }
        }
        sink.end_of_received();
        for (known, value) in self.set {
            if edited & known.bit() == 0 {
                sink.own(*known, value);
            }
        }
        for (known, value) in self.append {
            if edited & known.bit() == 0 {
                let received = fields.all(*known);
                let received = received.filter(|field| field.passes && !field.value.is_empty());
                let received = received.map(|field| field.value.of(bytes));
                sink.joined(*known, received, value);
            }
        }
        for (position, edits) in self.edits.iter().enumerate() {
            let later = &self.edits[position + 1..];
            for (name, value) in &edits.appended {
                let name_bytes = name.as_bytes();
                if later.is_empty() || !is_dropped(later, Known::of(name_bytes), name_bytes) {
                    sink.edited(name, value.as_bytes());
                }
            }
        }
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
    is_token(name.as_bytes()) && !Known::of(name.as_bytes()).is_some_and(Known::is_connection_bound)
}

#[inline]
fn is_dropped(edits: &[&Edits], known: Option<Known>, name: &[u8]) -> bool {
    let mut edits = edits.iter();
    edits.any(|edits| edits.dropped.hold_field(known, name))
}
