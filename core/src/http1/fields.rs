//! The header fields of one head: positions, known ids, and which of them go on to the next hop.

use std::borrow::Cow;

use httparse::{EMPTY_HEADER, Header, Status};

use super::{known::Known, reject::Reject, scan::Section, span::Span};
use crate::header::{Headers, is_control_byte, is_token, joined};

/// One header field.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Field {
    pub(crate) name: Span,
    /// Without white space around it.
    pub(crate) value: Span,
    pub(crate) known: Option<Known>,
    /// Not bound to the connection it came on.
    pub(crate) passes: bool,
    /// Stands in the buffer as `name: value CRLF`, byte for byte, so it can be copied as it is.
    pub(crate) canonical: bool,
}

/// The header fields of one head. Reused from message to message.
#[derive(Clone, Debug)]
pub(crate) struct Fields {
    list: Vec<Field>,
    /// Known names that are there: a bit for each.
    present: u64,
    /// Position in `list` of the first field of each known name that is present. Of the others it
    /// says nothing, so that it need not be cleared.
    first: [u32; Known::ALL.len()],
}

const _: () = assert!(Known::ALL.len() <= u64::BITS as usize, "one bit for each");

/// The fields of a head together with its bytes, for decisions.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    pub(super) fields: &'a Fields,
    pub(super) bytes: &'a [u8],
}

impl Headers for View<'_> {
    fn value(&self, name: &str) -> Option<Cow<'_, [u8]>> {
        let known = Known::of(name.as_bytes());
        let first = match known {
            Some(known) => self.fields.position(known)?,
            None => 0,
        };
        let values = self.fields.list[first..]
            .iter()
            .filter(|field| match known {
                Some(_) => field.known == known,
                None => {
                    field.known.is_none()
                        && field
                            .name
                            .of(self.bytes)
                            .eq_ignore_ascii_case(name.as_bytes())
                }
            })
            .map(|field| field.value.of(self.bytes));
        joined(known, values)
    }
}

impl Fields {
    pub(super) fn new() -> Self {
        Self {
            list: Vec::new(),
            present: 0,
            first: [0; Known::ALL.len()],
        }
    }

    pub(super) fn iter(&self) -> std::slice::Iter<'_, Field> {
        self.list.iter()
    }

    /// Bytes from the first field to the last.
    pub(super) fn length(&self) -> usize {
        match (self.list.first(), self.list.last()) {
            (Some(first), Some(last)) => (last.value.end - first.name.start) as usize,
            _ => 0,
        }
    }

    /// Value of the first field of this name.
    pub(super) fn first<'a>(&self, bytes: &'a [u8], known: Known) -> Option<&'a [u8]> {
        let position = self.position(known)?;
        Some(self.list[position].value.of(bytes))
    }

    /// The one protocol that Upgrade names (RFC 9110 section 7.8): `None` when it is missing,
    /// names several, or none.
    pub(super) fn upgrade<'a>(&self, bytes: &'a [u8]) -> Option<&'a str> {
        let mut fields = self.all(Known::Upgrade);
        let protocol = fields.next()?.value.of(bytes);
        match fields.next().is_none() && is_protocol(protocol) {
            true => std::str::from_utf8(protocol).ok(),
            false => None,
        }
    }

    /// The protocols that Upgrade names, as they stand there: `None` when it is missing, repeated,
    /// or something else than a list of them.
    pub(super) fn upgrades<'a>(&self, bytes: &'a [u8]) -> Option<&'a str> {
        let mut fields = self.all(Known::Upgrade);
        let protocols = fields.next()?.value.of(bytes);
        match fields.next().is_none() && options(protocols).all(is_protocol) {
            true => std::str::from_utf8(protocols).ok(),
            false => None,
        }
    }

    /// The fields of this name, in their order.
    #[inline]
    pub(super) fn all(&self, known: Known) -> impl Iterator<Item = &Field> {
        let first = self.position(known).unwrap_or(self.list.len());
        let from_first = self.list[first..].iter();
        from_first.filter(move |field| field.known == Some(known))
    }

    fn position(&self, known: Known) -> Option<usize> {
        (self.present & known.bit() != 0).then(|| self.first[known as usize] as usize)
    }

    pub(super) fn clear(&mut self) {
        self.list.clear();
        self.present = 0;
    }

    #[inline(always)]
    pub(super) fn push(&mut self, field: Field) {
        if let Some(known) = field.known
            && self.present & known.bit() == 0
        {
            self.present |= known.bit();
            self.first[known as usize] = self.list.len() as u32;
        }
        self.list.push(field);
    }

    /// Replaces the fields by those of a complete section; `each` sees every known one on the way.
    pub(super) fn decode(
        &mut self,
        bytes: &[u8],
        section: Section,
        each: impl FnMut(Known, &[u8]) -> Result<(), Reject>,
    ) -> Result<(), Reject> {
        self.clear();
        // The tokenizer wants initialised slots, and filling a hundred for ten fields would cost
        // more than reading the ten.
        if section.lines <= 16 {
            self.tokenize(bytes, section, &mut [EMPTY_HEADER; 16], each)
        } else if section.lines <= 64 {
            self.tokenize(bytes, section, &mut [EMPTY_HEADER; 64], each)
        } else {
            let mut slots = vec![EMPTY_HEADER; section.lines];
            self.tokenize(bytes, section, &mut slots, each)
        }
    }

    #[inline]
    fn tokenize<'b>(
        &mut self,
        bytes: &'b [u8],
        section: Section,
        slots: &mut [Header<'b>],
        mut each: impl FnMut(Known, &[u8]) -> Result<(), Reject>,
    ) -> Result<(), Reject> {
        let lines = &bytes[section.start..section.end];
        let headers = match httparse::parse_headers(lines, slots) {
            Ok(Status::Complete((length, headers))) if length == lines.len() => headers,
            Ok(_) | Err(_) => return Err(diagnose(lines)),
        };
        let base = bytes.as_ptr().addr();
        for header in headers {
            let name_start = header.name.as_ptr().addr() - base;
            let name_end = name_start + header.name.len();
            let value_start = header.value.as_ptr().addr() - base;
            let value_end = value_start + header.value.len();
            let known = Known::of(header.name.as_bytes());
            let field = Field {
                name: Span::new(name_start..name_end),
                value: Span::new(value_start..value_end),
                known,
                passes: !known.is_some_and(Known::is_connection_bound),
                canonical: value_start == name_end + 2
                    && bytes[name_end + 1] == b' '
                    && bytes[value_end] == b'\r',
            };
            self.push(field);
            if let Some(known) = known {
                each(known, header.value)?;
            }
        }
        Ok(())
    }

    /// Takes the fields that Connection names out of those that pass (RFC 9110 section 7.6.1),
    /// unless they are meant for everyone on the way: a client must not be able to strip a
    /// request's credentials or what earlier proxies said about it.
    pub(super) fn drop_connection_options(&mut self, bytes: &[u8]) {
        for index in 0..self.list.len() {
            if self.list[index].known != Some(Known::Connection) {
                continue;
            }
            for option in options(self.list[index].value.of(bytes)) {
                if is_protected(option) {
                    continue;
                }
                for field in &mut self.list {
                    if field.name.of(bytes).eq_ignore_ascii_case(option) {
                        field.passes = false;
                    }
                }
            }
        }
    }
}

/// What the Connection fields of a head say.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ConnectionOptions {
    pub(super) close: bool,
    pub(super) keep_alive: bool,
    /// Whoever sent it wants to speak another protocol: Upgrade says which.
    pub(super) upgrade: bool,
    /// It names fields.
    pub(super) names_fields: bool,
    count: usize,
}

impl ConnectionOptions {
    /// A Connection field.
    pub(super) fn read(&mut self, value: &[u8]) -> Result<(), Reject> {
        // What nearly every sender writes, and where nothing has to be split or checked.
        let usual = match value {
            b"keep-alive" => Some(&mut self.keep_alive),
            b"close" => Some(&mut self.close),
            _ => None,
        };
        if let Some(usual) = usual
            && self.count < OPTIONS_MAX
        {
            *usual = true;
            self.count += 1;
            return Ok(());
        }
        for option in options(value) {
            self.count += 1;
            // Each option is compared with every field, so their product must stay small.
            if self.count > OPTIONS_MAX || !(option.is_empty() || is_token(option)) {
                return Err(Reject::ConnectionOption);
            }
            if option.eq_ignore_ascii_case(b"close") {
                self.close = true;
            } else if option.eq_ignore_ascii_case(b"keep-alive") {
                self.keep_alive = true;
            } else if option.eq_ignore_ascii_case(b"upgrade") {
                self.upgrade = true;
            } else if !option.is_empty() {
                self.names_fields = true;
            }
        }
        Ok(())
    }
}

/// A name, perhaps with a version (RFC 9110 section 7.8).
fn is_protocol(protocol: &[u8]) -> bool {
    protocol.splitn(2, |&byte| byte == b'/').all(is_token)
}

/// The elements of a comma-separated list; empty ones included.
fn options(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|&byte| byte == b',').map(<[u8]>::trim_ascii)
}

/// Fields that Connection cannot remove.
fn is_protected(name: &[u8]) -> bool {
    let starts = |prefix: &[u8]| {
        name.get(..prefix.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(prefix))
    };
    Known::of(name).is_some_and(|known| !matches!(known, Known::Trailer))
        || PROTECTED_PREFIXES.into_iter().any(starts)
        || PROTECTED
            .iter()
            .any(|protected| name.eq_ignore_ascii_case(protected))
        || is_about_client(name)
}

/// Fields in which a proxy before this one may have said who the client is and what it asked for.
/// They are the head's alone: nobody may strip them, and none comes as a trailer.
pub(super) fn is_about_client(name: &[u8]) -> bool {
    let starts = |prefix: &[u8]| {
        name.get(..prefix.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(prefix))
    };
    CLIENT_PREFIXES.into_iter().any(starts)
        || CLIENT.iter().any(|known| name.eq_ignore_ascii_case(known))
}

/// Names what the tokenizer refused. Only called for a section that it did refuse.
fn diagnose(section: &[u8]) -> Reject {
    for line in section.split(|&byte| byte == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if !line.is_empty()
            && let Err(reject) = check_line(line)
        {
            return reject;
        }
    }
    Reject::HeaderName
}

/// One field line without its CRLF, not empty, as name and value.
pub(crate) fn check_line(line: &[u8]) -> Result<(&[u8], &[u8]), Reject> {
    if line.contains(&b'\r') {
        return Err(Reject::BareLineEnd);
    }
    if matches!(line.first(), Some(b' ' | b'\t')) {
        return Err(Reject::LineFolding);
    }
    let colon = line.iter().position(|&byte| byte == b':');
    let (name, value) = line.split_at(colon.ok_or(Reject::HeaderName)?);
    if matches!(name.last(), Some(b' ' | b'\t')) {
        return Err(Reject::SpaceBeforeColon);
    }
    if !is_token(name) {
        return Err(Reject::HeaderName);
    }
    let value = &value[1..];
    if value.iter().copied().any(is_control_byte) {
        return Err(Reject::HeaderValue);
    }
    Ok((name, value.trim_ascii()))
}

/// See [`is_about_client`].
const CLIENT_PREFIXES: [&[u8]; 8] = [
    b"cf-",
    b"x-amzn-",
    b"x-api-",
    b"x-auth-",
    b"x-client-",
    b"x-forwarded-",
    b"x-original-",
    b"x-real-",
];

/// The same, by whole names.
const CLIENT: [&[u8]; 2] = [b"true-client-ip", b"x-rewrite-url"];

/// What is about the message, and so for everyone on the way.
const PROTECTED_PREFIXES: [&[u8]; 6] = [
    b"access-control-",
    b"content-",
    b"grpc-",
    b"if-",
    b"x-b3-",
    b"x-envoy-",
];

/// The same, by whole names.
const PROTECTED: [&[u8]; 6] = [
    b"accept",
    b"accept-encoding",
    b"b3",
    b"baggage",
    b"origin",
    b"range",
];

/// Options of Connection that are looked at. Real messages have up to three.
const OPTIONS_MAX: usize = 32;
