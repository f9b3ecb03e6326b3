//! The head of a request (RFC 9112 sections 2 to 3).

use std::{borrow::Cow, ops::Range};

use memchr::memchr;

use super::{
    authority::Authority,
    fields::{ConnectionOptions, Fields, View},
    framing::{Declared, Framing},
    known::Known,
    limits::Limits,
    reject::Reject,
    scan::{Scan, Section},
    span::Span,
};
use crate::header::is_token_byte;

/// The methods that change how a message is framed or understood.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MethodKind {
    /// Its response has no body.
    Head,
    /// May be about the server as a whole (`*`).
    Options,
    /// Any other.
    #[default]
    Other,
}

/// The head of a request, as positions in the buffer that it was decoded from.
///
/// One value serves one connection: it keeps its memory from message to message. Methods that take
/// `bytes` want the bytes that were decoded, at the same place in the slice; they panic or return
/// nonsense (never undefined behaviour) for others.
#[derive(Clone, Debug)]
pub struct RequestHead {
    scan: Scan,
    line: RequestLine,
    fields: Fields,
    framing: Framing,
    connection: ConnectionOptions,
    expects_continue: bool,
    accepts_trailers: bool,
}

/// The parts of a request line.
#[derive(Clone, Copy, Debug, Default)]
struct RequestLine {
    kind: MethodKind,
    method: Span,
    target: Span,
    /// Of the absolute form; empty in all others.
    authority: Span,
    /// Port that the absolute form's scheme implies.
    default_port: u16,
    /// Path and query as they stand in the target; empty in an absolute form without path.
    path: Span,
    /// Without its `?`.
    query: Option<Span>,
}

impl RequestHead {
    /// Empty; nothing is allocated before the first head.
    pub fn new() -> Self {
        Self {
            scan: Scan::default(),
            line: RequestLine::default(),
            fields: Fields::new(),
            framing: Framing::None,
            connection: ConnectionOptions::default(),
            expects_continue: false,
            accepts_trailers: false,
        }
    }

    /// Looks for a complete head at the start of `bytes`. `Some(length)`: it is
    /// `bytes[..length]`, one leading empty line included. `None`: more bytes are needed; call
    /// again with the same bytes and more behind them, only the new ones are then looked at.
    ///
    /// # Errors
    /// Why it is refused. The verdict does not depend on how the bytes were cut.
    pub fn decode(&mut self, bytes: &[u8], limits: &Limits) -> Result<Option<usize>, Reject> {
        let result = self.decode_further(bytes, limits);
        if !matches!(result, Ok(None)) {
            self.scan.reset();
        }
        result
    }

    /// Forgets a head of which [`Self::decode`] has seen a part.
    pub fn reset(&mut self) {
        self.scan.reset();
    }

    fn decode_further(&mut self, bytes: &[u8], limits: &Limits) -> Result<Option<usize>, Reject> {
        let window = limits.window(bytes);
        let is_full = bytes.len() >= limits.head_bytes();
        if !self.scan.in_fields() {
            let start = line_start(window)?;
            let line = match start {
                Some(start) => self.scan.first_line(window, start)?,
                None => None,
            };
            match line {
                Some(line) => {
                    let decoded = RequestLine::decode(bytes, line.clone(), limits);
                    self.line = decoded.map_err(|reject| match bytes[line].contains(&b'\r') {
                        true => Reject::BareLineEnd,
                        false => reject,
                    })?;
                }
                None if is_full => return Err(Reject::TargetTooLong),
                None => return Ok(None),
            }
        }
        match self.scan.fields(window, limits.headers_max)? {
            Some(section) => self.decode_fields(bytes, section).map(Some),
            None if is_full => Err(Reject::HeadTooLarge),
            None => Ok(None),
        }
    }

    fn decode_fields(&mut self, bytes: &[u8], section: Section) -> Result<usize, Reject> {
        let mut declared = Declared::default();
        let mut connection = ConnectionOptions::default();
        let mut has_host = false;
        let mut expects_continue = false;
        let mut accepts_trailers = false;
        self.fields.decode(bytes, section, |known, value| {
            match known {
                Known::Host if has_host => return Err(Reject::HostRepeated),
                Known::Host => has_host = true,
                Known::ContentLength => declared.content_length(value)?,
                Known::TransferEncoding => declared.transfer_encoding(value),
                Known::Connection => connection.read(value)?,
                Known::Expect if value.eq_ignore_ascii_case(b"100-continue") => {
                    expects_continue = true;
                }
                Known::Expect => return Err(Reject::Expectation),
                Known::Te => accepts_trailers |= names_trailers(value),
                _ => {}
            }
            Ok(())
        })?;
        let host = self.fields.first(bytes, Known::Host);
        let host = Authority::parse(host.ok_or(Reject::HostMissing)?);
        let host = host.ok_or(Reject::HostInvalid)?;
        if !self.line.authority.is_empty() {
            let target = Authority::parse(self.line.authority.of(bytes));
            let target = target.ok_or(Reject::HostInvalid)?;
            if !target.is_same(host, self.line.default_port) {
                return Err(Reject::HostMismatch);
            }
        }
        self.framing = declared.finish()?;
        if connection.names_fields {
            self.fields.drop_connection_options(bytes);
        }
        self.connection = connection;
        self.expects_continue = expects_continue;
        self.accepts_trailers = accepts_trailers;
        Ok(section.end)
    }

    /// How the end of the body is found: never [`Framing::UntilClose`].
    pub fn framing(&self) -> Framing {
        self.framing
    }

    /// The client may send another request on this connection (RFC 9112 section 9.3).
    pub fn keep_alive(&self) -> bool {
        !self.connection.close
    }

    /// The client waits for `100 Continue` before it sends the body; false when there is none to
    /// send (RFC 9110 section 10.1.1).
    pub fn expects_continue(&self) -> bool {
        self.expects_continue && !matches!(self.framing, Framing::None | Framing::Length(0))
    }

    /// The client said `TE: trailers`.
    pub fn accepts_trailers(&self) -> bool {
        self.accepts_trailers
    }

    /// For framing the response.
    pub fn method_kind(&self) -> MethodKind {
        self.line.kind
    }

    /// A token, in the case it was sent in.
    pub fn method<'a>(&self, bytes: &'a [u8]) -> &'a str {
        self.line.method.text(bytes)
    }

    /// As sent.
    pub fn target<'a>(&self, bytes: &'a [u8]) -> &'a str {
        self.line.target.text(bytes)
    }

    /// Without query, as sent: begins with `/`, or is `*`.
    pub fn path<'a>(&self, bytes: &'a [u8]) -> &'a str {
        match self.line.path.text(bytes) {
            "" => self.line.empty_path(),
            path => path,
        }
    }

    /// Without its `?`; `Some("")` for a target that ends in one.
    pub fn query<'a>(&self, bytes: &'a [u8]) -> Option<&'a str> {
        self.line.query.map(|query| query.text(bytes))
    }

    /// Path and query as the next hop wants them (RFC 9112 section 3.2.1).
    pub fn path_and_query<'a>(&self, bytes: &'a [u8]) -> Cow<'a, str> {
        let line = &self.line;
        match (line.path.is_empty(), line.query) {
            (false, None) => Cow::Borrowed(line.path.text(bytes)),
            (false, Some(query)) => {
                let both = line.path.range().start..query.range().end;
                Cow::Borrowed(Span::new(both).text(bytes))
            }
            (true, None) => Cow::Borrowed(line.empty_path()),
            (true, Some(query)) => Cow::Owned(format!("/?{}", query.text(bytes))),
        }
    }

    /// The target's authority when it has one, else Host. Never empty.
    pub fn authority<'a>(&self, bytes: &'a [u8]) -> &'a str {
        if !self.line.authority.is_empty() {
            return self.line.authority.text(bytes);
        }
        let host = self.fields.first(bytes, Known::Host).unwrap_or_default();
        std::str::from_utf8(host).unwrap_or_default()
    }

    /// Value of the first field of this name, without white space around it.
    pub fn header<'a>(&self, bytes: &'a [u8], known: Known) -> Option<&'a [u8]> {
        self.fields.first(bytes, known)
    }

    /// Every field as name and value, in their order.
    pub fn headers<'a>(&'a self, bytes: &'a [u8]) -> impl Iterator<Item = (&'a str, &'a [u8])> {
        self.fields
            .iter()
            .map(|field| (field.name.text(bytes), field.value.of(bytes)))
    }

    /// For decisions.
    pub fn view<'a>(&'a self, bytes: &'a [u8]) -> View<'a> {
        View {
            fields: &self.fields,
            bytes,
        }
    }

    pub(super) fn method_bytes<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        self.line.method.of(bytes)
    }

    pub(super) fn fields(&self) -> &Fields {
        &self.fields
    }
}

impl Default for RequestHead {
    fn default() -> Self {
        Self::new()
    }
}

impl RequestLine {
    /// From the first line, which stands at `line` without its CRLF.
    fn decode(bytes: &[u8], line: Range<usize>, limits: &Limits) -> Result<Self, Reject> {
        let start = line.start;
        let text = &bytes[line];
        let method_end = memchr(b' ', text).ok_or_else(|| refuse(text))?;
        let (method, rest) = (&text[..method_end], &text[method_end + 1..]);
        let target_end = memchr(b' ', rest).ok_or_else(|| refuse(text))?;
        let (target, version) = (&rest[..target_end], &rest[target_end + 1..]);
        if version != b"HTTP/1.1" {
            return Err(refuse(text));
        }
        if method.is_empty() || !method.iter().copied().all(is_token_byte) {
            return Err(Reject::Method);
        }
        if target.len() > limits.target_bytes_max {
            return Err(Reject::TargetTooLong);
        }
        let target_start = start + method_end + 1;
        let kind = match method {
            b"CONNECT" => return Err(Reject::Connect),
            b"HEAD" => MethodKind::Head,
            b"OPTIONS" => MethodKind::Options,
            _ => MethodKind::Other,
        };
        let mut decoded = Self {
            kind,
            method: Span::new(start..start + method_end),
            target: Span::new(target_start..target_start + target_end),
            ..Self::default()
        };
        decoded.split_target(target)?;
        Ok(decoded)
    }

    /// Path, query and authority, from the target's text.
    fn split_target(&mut self, target: &[u8]) -> Result<(), Reject> {
        let is_bad = |byte: u8| !(0x21..0x7f).contains(&byte) || byte == b'#';
        // Looks at every byte: without a way out the loop runs on many bytes at once.
        if target.iter().fold(false, |bad, &byte| bad | is_bad(byte)) {
            return Err(Reject::TargetByte);
        }
        let base = self.target.range().start;
        let path_start = match target {
            [b'/', ..] => 0,
            [b'*'] if self.kind == MethodKind::Options => 0,
            _ => self.absolute_form(target)?,
        };
        let query = memchr(b'?', &target[path_start..]).map(|offset| path_start + offset);
        let path_end = query.unwrap_or(target.len());
        self.path = Span::new(base + path_start..base + path_end);
        self.query = query.map(|query| Span::new(base + query + 1..base + target.len()));
        Ok(())
    }

    /// Notes scheme and authority of `http://authority/path`; where the path begins.
    fn absolute_form(&mut self, target: &[u8]) -> Result<usize, Reject> {
        let has_scheme = |scheme: &[u8]| {
            target
                .get(..scheme.len())
                .is_some_and(|start| start.eq_ignore_ascii_case(scheme))
        };
        let authority_start = if has_scheme(b"http://") {
            self.default_port = 80;
            b"http://".len()
        } else if has_scheme(b"https://") {
            self.default_port = 443;
            b"https://".len()
        } else {
            return Err(Reject::TargetForm);
        };
        let length = target[authority_start..]
            .iter()
            .position(|byte| matches!(byte, b'/' | b'?'))
            .unwrap_or(target.len() - authority_start);
        if length == 0 {
            return Err(Reject::HostInvalid);
        }
        let base = self.target.range().start;
        let end = authority_start + length;
        self.authority = Span::new(base + authority_start..base + end);
        Ok(end)
    }

    /// What an absolute form without a path stands for (RFC 9112 sections 3.2.1 and 3.2.4).
    fn empty_path(&self) -> &'static str {
        match (self.kind, self.query) {
            (MethodKind::Options, None) => "*",
            _ => "/",
        }
    }
}

/// Where the request line begins: after one empty line, if there is one. `None`: not known yet.
fn line_start(window: &[u8]) -> Result<Option<usize>, Reject> {
    let start = match window {
        [] | [b'\r'] => return Ok(None),
        [b'\r', b'\n', ..] => 2,
        [b'\r' | b'\n', ..] => return Err(Reject::BareLineEnd),
        _ => 0,
    };
    match window.get(start) {
        None => Ok(None),
        Some(b'\r' | b'\n') => Err(Reject::EmptyLine),
        // What is no method at all is not waited for: TLS, SSH, and other protocols.
        Some(&byte) if !is_token_byte(byte) => Err(Reject::RequestLine),
        Some(_) => Ok(Some(start)),
    }
}

/// Names what is wrong with a first line that is not `method SP target SP HTTP/1.1`.
fn refuse(line: &[u8]) -> Reject {
    if line == b"PRI * HTTP/2.0" {
        return Reject::Http2Preface;
    }
    let mut words = line.split(|&byte| byte == b' ');
    let version = words.nth(2).and_then(|word| word.strip_prefix(b"HTTP/"));
    match version {
        Some([b'0'..=b'9', b'.', b'0'..=b'9'] | [b'0'..=b'9']) if words.next().is_none() => {
            Reject::Version
        }
        _ => Reject::RequestLine,
    }
}

/// The element `trailers` of a TE field. With a weight it says the same (RFC 9110 section 10.1.4).
fn names_trailers(value: &[u8]) -> bool {
    value.split(|&byte| byte == b',').any(|element| {
        let coding = element.split(|&byte| byte == b';').next();
        coding.is_some_and(|coding| coding.trim_ascii().eq_ignore_ascii_case(b"trailers"))
    })
}
