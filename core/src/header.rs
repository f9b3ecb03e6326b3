//! Header fields seen by a decision, and the edits that a route asks for.

mod names;

use std::borrow::Cow;

pub use names::Names;
use ringmain_config::{route::HeaderEdits, tuning::UnderscoresInHeaders};

use crate::http1::{self, Known};

/// The header fields of a request, whatever protocol they came in.
pub trait Headers {
    /// Value of the fields named `name` (lower case), joined by `,` (RFC 9110 section 5.3), or
    /// cookies by `; `, when there are several; `None` when there is none.
    fn value(&self, name: &str) -> Option<Cow<'_, [u8]>>;
}

impl<H: Headers + ?Sized> Headers for &H {
    fn value(&self, name: &str) -> Option<Cow<'_, [u8]>> {
        (**self).value(name)
    }
}

/// Fields described as a list: tests, and `ringmain explain`.
impl Headers for [(String, String)] {
    fn value(&self, name: &str) -> Option<Cow<'_, [u8]>> {
        let fields = self.iter();
        let values = fields.filter(|(field, _)| field.eq_ignore_ascii_case(name));
        let values = values.map(|(_, value)| value.as_bytes());
        joined(Known::of(name.as_bytes()), values)
    }
}

/// The values of all fields of one name, which is `known` or not, as one; `None` for no fields.
#[inline]
pub(crate) fn joined<'v>(
    known: Option<Known>,
    mut values: impl Iterator<Item = &'v [u8]>,
) -> Option<Cow<'v, [u8]>> {
    // A list of cookies is no list of values (RFC 9113 section 8.2.3).
    let separator: &[u8] = match known {
        Some(Known::Cookie) => b"; ",
        _ => b",",
    };
    let mut joined = Cow::Borrowed(values.next()?);
    for value in values {
        let joined = joined.to_mut();
        joined.extend_from_slice(separator);
        joined.extend_from_slice(value);
    }
    Some(joined)
}

/// Those of a head's names that do not go on, since they hold `_`; `None` when all do.
///
/// # Errors
/// The first such name: its request is refused.
#[inline]
pub fn underscored<'n>(
    policy: UnderscoresInHeaders,
    names: impl Iterator<Item = &'n str>,
) -> Result<Option<Names>, &'n str> {
    if policy == UnderscoresInHeaders::Allow {
        return Ok(None);
    }
    let mut names = names.filter(|name| name.contains('_')).peekable();
    match (policy, names.peek()) {
        (UnderscoresInHeaders::Reject, Some(name)) => Err(name),
        (UnderscoresInHeaders::Drop, Some(_)) => Ok(Some(names.collect())),
        (UnderscoresInHeaders::Allow, _) | (_, None) => Ok(None),
    }
}

/// [`HeaderEdits`] made ready for the encoder: names checked, and lower-cased where they are only
/// compared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Edits {
    /// Replaces the authority.
    pub authority: Option<Box<str>>,
    /// Names of fields that are not passed on: removed ones and those that are set.
    pub dropped: Names,
    /// Fields to append as name and value: those that are set, then those that are added.
    pub appended: Box<[(Box<str>, Box<str>)]>,
}

impl Edits {
    /// # Errors
    /// What cannot be written, as a sentence: a name that is not a token (RFC 9110 section 5.6.2),
    /// a value that holds a control character, an authority that is not `host` or `host:port`, or a
    /// field that is about one connection or about framing, which the codec alone writes.
    pub fn compile(edits: &HeaderEdits) -> Result<Self, String> {
        for field in edits.set.iter().chain(&edits.add) {
            check_name(&field.name)?;
            check_writable(&field.name)?;
            check_value(&field.name, &field.value)?;
        }
        for name in &edits.remove {
            check_name(name)?;
            check_removable(name)?;
        }
        if let Some(authority) = &edits.authority {
            check_authority(authority)?;
        }
        let set = edits.set.iter().map(|field| &field.name);
        let fields = edits.set.iter().chain(&edits.add);
        Ok(Self {
            authority: edits.authority.as_deref().map(Into::into),
            dropped: edits.remove.iter().chain(set).collect(),
            appended: fields
                .map(|field| (field.name.as_str().into(), field.value.as_str().into()))
                .collect(),
        })
    }

    /// Changes nothing.
    pub fn is_empty(&self) -> bool {
        self.authority.is_none() && self.dropped.is_empty() && self.appended.is_empty()
    }
}

/// A token character (RFC 9110 section 5.6.2).
#[inline]
pub fn is_token_byte(byte: u8) -> bool {
    TOKEN_BYTES[usize::from(byte)]
}

/// A token (RFC 9110 section 5.6.2): the name of a field, a method, the name of a cookie.
#[inline]
pub fn is_token(text: &[u8]) -> bool {
    // Without a way out the loop needs one look-up for a byte and nothing else.
    !text.is_empty()
        & text
            .iter()
            .fold(true, |is_token, byte| is_token & is_token_byte(*byte))
}

/// A control character, which a field value must not hold; HTAB is none (RFC 9110 section 5.5).
#[inline]
pub fn is_control_byte(byte: u8) -> bool {
    (byte < b' ' && byte != b'\t') || byte == 0x7f
}

fn check_name(name: &str) -> Result<(), String> {
    if is_token(name.as_bytes()) {
        return Ok(());
    }
    Err(format!(
        "{name:?} is not a header name (RFC 9110 section 5.6.2)"
    ))
}

/// Can a field of this name be set or added?
///
/// # Errors
/// Why not, as a sentence.
pub fn check_writable(name: &str) -> Result<(), String> {
    match Known::of(name.as_bytes()) {
        Some(Known::Host) => Err(format!(
            "header {name:?} cannot be set or added: the authority is what Host is made of"
        )),
        Some(known) if known.is_connection_bound() || known == Known::Trailer => Err(format!(
            "header {name:?} cannot be set or added: it is about one connection or about framing, \
             and the proxy writes it itself (RFC 9110 section 7.6.1)"
        )),
        _ => Ok(()),
    }
}

/// Can fields of this name be removed? Other fields of a connection can, and never go on anyway.
///
/// # Errors
/// Why not, as a sentence.
pub fn check_removable(name: &str) -> Result<(), String> {
    match Known::of(name.as_bytes()) {
        Some(Known::Host | Known::ContentLength | Known::TransferEncoding) => Err(format!(
            "header {name:?} cannot be removed: the message would not be valid without it"
        )),
        _ => Ok(()),
    }
}

fn check_value(name: &str, value: &str) -> Result<(), String> {
    if value.bytes().any(is_control_byte) {
        return Err(format!(
            "the value {value:?} of header {name:?} holds a control character (RFC 9110 section 5.5)"
        ));
    }
    Ok(())
}

fn check_authority(authority: &str) -> Result<(), String> {
    if http1::is_authority(authority) {
        return Ok(());
    }
    Err(format!(
        "authority {authority:?} is neither `host` nor `host:port` (RFC 3986 section 3.2)"
    ))
}

const TOKEN_BYTES: [bool; 256] = {
    let mut allowed = [false; 256];
    let mut byte = 0;
    while byte < 128 {
        allowed[byte] = (byte as u8).is_ascii_alphanumeric();
        byte += 1;
    }
    let others = b"!#$%&'*+-.^_`|~";
    let mut index = 0;
    while index < others.len() {
        allowed[others[index] as usize] = true;
        index += 1;
    }
    allowed
};

#[cfg(test)]
mod tests {
    use ringmain_config::route::HeaderValue;

    use super::*;

    fn field(name: &str, value: &str) -> HeaderValue {
        HeaderValue {
            name: name.to_owned(),
            value: value.to_owned(),
        }
    }

    /// `Ok`: as compiled. `Err`: a part of the sentence.
    fn check(edits: &HeaderEdits, expected: Result<Edits, &str>) {
        match (Edits::compile(edits), expected) {
            (Ok(compiled), Ok(expected)) => assert_eq!(compiled, expected),
            (Err(problem), Err(part)) => assert!(problem.contains(part), "{problem}"),
            (result, expected) => panic!("{edits:?}: {result:?} instead of {expected:?}"),
        }
    }

    #[test]
    fn edits_are_remove_then_set_then_add() {
        let edits = HeaderEdits {
            authority: Some("new:80".to_owned()),
            remove: vec!["x-gone".to_owned()],
            set: vec![field("X-Set", "1")],
            add: vec![field("X-Added", "2")],
        };
        let compiled = Edits {
            authority: Some("new:80".into()),
            dropped: ["x-gone", "x-set"].into_iter().collect(),
            appended: [("X-Set".into(), "1".into()), ("X-Added".into(), "2".into())].into(),
        };
        check(&edits, Ok(compiled));
        check(&HeaderEdits::default(), Ok(Edits::default()));
    }

    #[test]
    fn what_cannot_be_written_is_refused() {
        for (name, value, problem) in [
            ("", "v", "not a header name"),
            ("a b", "v", "not a header name"),
            (":path", "v", "not a header name"),
            ("x-a", "v\r\nx-b: 1", "control character"),
            ("x-a", "\0", "control character"),
            ("Host", "a", "authority"),
            ("Content-Length", "1", "framing"),
            ("transfer-encoding", "chunked", "framing"),
            ("connection", "close", "one connection"),
            ("trailer", "x", "one connection"),
        ] {
            let edits = |set, add| HeaderEdits {
                set,
                add,
                ..HeaderEdits::default()
            };
            check(&edits(vec![field(name, value)], Vec::new()), Err(problem));
            check(&edits(Vec::new(), vec![field(name, value)]), Err(problem));
        }
        for (name, problem) in [
            ("", "not a header name"),
            ("host", "cannot be removed"),
            ("Content-Length", "cannot be removed"),
        ] {
            let edits = HeaderEdits {
                remove: vec![name.to_owned()],
                ..HeaderEdits::default()
            };
            check(&edits, Err(problem));
        }
        for authority in ["", "a b", "a\r\n", "user@a"] {
            let edits = HeaderEdits {
                authority: Some(authority.to_owned()),
                ..HeaderEdits::default()
            };
            check(&edits, Err("host"));
        }
    }

    #[test]
    fn described_headers_join_and_ignore_case() {
        let headers = [("A", "1"), ("b", "2"), ("a", "3")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()));
        let headers = headers.as_slice();
        assert_eq!(headers.value("a").as_deref(), Some(b"1,3".as_slice()));
        assert_eq!(headers.value("b").as_deref(), Some(b"2".as_slice()));
        assert_eq!(headers.value("c"), None);
    }
}
