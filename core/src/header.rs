//! Header fields seen by a decision, and the edits that a route asks for.

use std::borrow::Cow;

use ringmain_config::route::HeaderEdits;

/// The header fields of a request, whatever protocol they came in.
pub trait Headers {
    /// Value of the fields named `name` (lower case), joined by `,` when there are several
    /// (RFC 9110 section 5.3); `None` when there is none.
    fn value(&self, name: &str) -> Option<Cow<'_, [u8]>>;
}

/// Fields described as a list: tests, and `ringmain explain`.
impl Headers for [(String, String)] {
    fn value(&self, name: &str) -> Option<Cow<'_, [u8]>> {
        let mut values = self
            .iter()
            .filter(|(field, _)| field.eq_ignore_ascii_case(name));
        let first = values.next()?.1.as_bytes();
        let mut joined = Cow::Borrowed(first);
        for (_, value) in values {
            let joined = joined.to_mut();
            joined.push(b',');
            joined.extend_from_slice(value.as_bytes());
        }
        Some(joined)
    }
}

/// [`HeaderEdits`] made ready for the encoder: names checked, and lower-cased where they are only
/// compared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Edits {
    /// Replaces the authority.
    pub authority: Option<Box<str>>,
    /// Lower-case names of fields that are not passed on: removed ones and those that are set.
    pub dropped: Box<[Box<str>]>,
    /// Fields to append as name and value: those that are set, then those that are added.
    pub appended: Box<[(Box<str>, Box<str>)]>,
}

impl Edits {
    /// # Errors
    /// The first name that is not a token (RFC 9110 section 5.6.2) or value that holds CR, LF or
    /// NUL, as a sentence.
    pub fn compile(edits: &HeaderEdits) -> Result<Self, String> {
        for field in edits.set.iter().chain(&edits.add) {
            check_name(&field.name)?;
            check_value(&field.value)?;
        }
        for name in &edits.remove {
            check_name(name)?;
        }
        if let Some(authority) = &edits.authority {
            check_value(authority)?;
        }
        let set = edits
            .set
            .iter()
            .map(|field| field.name.to_ascii_lowercase());
        let removed = edits.remove.iter().map(|name| name.to_ascii_lowercase());
        let fields = edits.set.iter().chain(&edits.add);
        Ok(Self {
            authority: edits.authority.as_deref().map(Into::into),
            dropped: removed.chain(set).map(Into::into).collect(),
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
pub fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

fn check_name(name: &str) -> Result<(), String> {
    if !name.is_empty() && name.bytes().all(is_token_byte) {
        return Ok(());
    }
    Err(format!(
        "{name:?} is not a header name (RFC 9110 section 5.6.2)"
    ))
}

fn check_value(value: &str) -> Result<(), String> {
    if value.bytes().any(|byte| matches!(byte, b'\r' | b'\n' | 0)) {
        return Err(format!("header value {value:?} holds a line end or NUL"));
    }
    Ok(())
}
