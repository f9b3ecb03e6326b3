//! The head of a request (RFC 9112 sections 2 to 3).

use std::borrow::Cow;

use super::{
    authority::Authority,
    fields::{ConnectionOptions, Fields, View},
    framing::{Declared, Framing},
    known::Known,
    limits::Limits,
    reject::Reject,
    request_line::{MethodKind, RequestLine},
    scan::Scan,
    span::Span,
};
use crate::{
    header::is_token_byte,
    path::{self, Refused},
};

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
        if !self.scan.has_begun()
            && let Some((seen, end)) = self.decode_quick(bytes, limits)
        {
            return self.finish(bytes, seen, end).map(Some);
        }
        self.decode_carefully(bytes, limits)
    }

    /// Forgets a head of which [`Self::decode`] has seen a part.
    pub fn reset(&mut self) {
        self.scan.reset();
    }

    /// A usual head that is here as a whole: what its fields say, and where it ends. `None`: not a
    /// usual one, to be looked at from the beginning.
    fn decode_quick(&mut self, bytes: &[u8], limits: &Limits) -> Option<(Seen, usize)> {
        let window = limits.window(bytes);
        let (line, fields_start) = RequestLine::quick(window, limits)?;
        self.line = line;
        let mut seen = Seen::default();
        let end = self
            .fields
            .quick(window, fields_start, limits.headers_max, |known, value| {
                seen.read(known, value)
            })?;
        Some((seen, end))
    }

    /// By a scan for the lines and httparse, and from where it stopped.
    fn decode_carefully(&mut self, bytes: &[u8], limits: &Limits) -> Result<Option<usize>, Reject> {
        let result = self.decode_further(bytes, limits);
        if !matches!(result, Ok(None)) {
            self.scan.reset();
        }
        result
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
            Some(section) => {
                let mut seen = Seen::default();
                self.fields
                    .decode(bytes, section, |known, value| seen.read(known, value))?;
                self.finish(bytes, seen, section.end).map(Some)
            }
            None if is_full => Err(Reject::HeadTooLarge),
            None => Ok(None),
        }
    }

    /// The verdict on a head whose lines are all right, and which ends at `end`.
    fn finish(&mut self, bytes: &[u8], seen: Seen, end: usize) -> Result<usize, Reject> {
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
        self.framing = seen.declared.finish()?;
        if seen.connection.names_fields {
            self.fields.drop_connection_options(bytes);
        }
        self.connection = seen.connection;
        self.expects_continue = seen.expects_continue;
        self.accepts_trailers = seen.accepts_trailers;
        Ok(end)
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

    /// The protocol that the client asks to speak on this connection after a 101, such as
    /// `websocket` (RFC 9110 section 7.8). `None` when it asks for none, or in a way that is not
    /// passed on, as a server may: several protocols, one before a body (what the client sends
    /// before the 101 must be nothing), `h2c` (RFC 9113 section 3.1), or with HEAD.
    pub fn upgrade<'a>(&self, bytes: &'a [u8]) -> Option<&'a str> {
        if !self.connection.upgrade
            || !matches!(self.framing, Framing::None | Framing::Length(0))
            || self.line.kind == MethodKind::Head
        {
            return None;
        }
        let protocol = self.fields.upgrade(bytes)?;
        (!protocol.eq_ignore_ascii_case("h2c")).then_some(protocol)
    }

    /// A token, in the case it was sent in.
    pub fn method<'a>(&self, bytes: &'a [u8]) -> &'a str {
        match self.line.method_name {
            Some(name) => name,
            None => self.line.method.text(bytes),
        }
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

    /// The path as [`path::canonical`] makes it, without a second look at one that was seen to be
    /// in that form when it was decoded.
    ///
    /// # Errors
    /// Answer 400.
    pub fn canonical_path<'a>(&self, bytes: &'a [u8]) -> Result<Cow<'a, str>, Refused> {
        match self.line.path_is_canonical {
            true => Ok(Cow::Borrowed(self.path(bytes))),
            false => path::canonical(self.path(bytes)),
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

    pub(crate) fn fields(&self) -> &Fields {
        &self.fields
    }
}

impl Default for RequestHead {
    fn default() -> Self {
        Self::new()
    }
}

/// What the fields of one head say.
#[derive(Default)]
struct Seen {
    declared: Declared,
    connection: ConnectionOptions,
    has_host: bool,
    expects_continue: bool,
    accepts_trailers: bool,
}

impl Seen {
    #[inline]
    fn read(&mut self, known: Known, value: &[u8]) -> Result<(), Reject> {
        match known {
            Known::Host if self.has_host => return Err(Reject::HostRepeated),
            Known::Host => self.has_host = true,
            Known::ContentLength => self.declared.content_length(value)?,
            Known::TransferEncoding => self.declared.transfer_encoding(value),
            Known::Connection => self.connection.read(value)?,
            Known::Expect if value.eq_ignore_ascii_case(b"100-continue") => {
                self.expects_continue = true;
            }
            Known::Expect => return Err(Reject::Expectation),
            Known::Te => self.accepts_trailers |= names_trailers(value),
            _ => {}
        }
        Ok(())
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

/// The element `trailers` of a TE field. With a weight it says the same (RFC 9110 section 10.1.4).
fn names_trailers(value: &[u8]) -> bool {
    value.split(|&byte| byte == b',').any(|element| {
        let coding = element.split(|&byte| byte == b';').next();
        coding.is_some_and(|coding| coding.trim_ascii().eq_ignore_ascii_case(b"trailers"))
    })
}
