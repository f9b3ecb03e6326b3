//! The head of a response (RFC 9112 section 4).

use std::ops::Range;

use super::{
    block,
    fields::{ConnectionOptions, Fields, View},
    framing::{Declared, Framing},
    known::Known,
    limits::Limits,
    local::may_have_body,
    reject::Reject,
    request_line::MethodKind,
    scan::Scan,
    span::Span,
};
use crate::header::is_control_byte;

/// The head of a response, as positions in the buffer that it was decoded from.
///
/// Used like [`RequestHead`](super::RequestHead): reused from message to message, and given the
/// same bytes again to read a part.
#[derive(Clone, Debug)]
pub struct ResponseHead {
    scan: Scan,
    line: StatusLine,
    fields: Fields,
    framing: Framing,
    declared: Framing,
    keep_alive: bool,
    /// Interim heads since the last final one.
    interim_heads: u8,
}

/// The parts of a status line.
#[derive(Clone, Copy, Debug, Default)]
struct StatusLine {
    status: u16,
    reason: Span,
    is_http10: bool,
}

impl ResponseHead {
    /// Empty; nothing is allocated before the first head.
    pub fn new() -> Self {
        Self {
            scan: Scan::default(),
            line: StatusLine::default(),
            fields: Fields::new(),
            framing: Framing::None,
            declared: Framing::None,
            keep_alive: false,
            interim_heads: 0,
        }
    }

    /// Looks for a complete head at the start of `bytes`; `request` is the method that it answers.
    /// `Some(length)`: it is `bytes[..length]`. `None`: more bytes are needed; call again with the
    /// same bytes and more behind them, only the new ones are then looked at. After an interim
    /// response ([`Self::is_interim`]) another head follows.
    ///
    /// # Errors
    /// Why it is refused. The verdict does not depend on how the bytes were cut.
    pub fn decode(
        &mut self,
        bytes: &[u8],
        limits: &Limits,
        request: MethodKind,
    ) -> Result<Option<usize>, Reject> {
        if !self.scan.has_begun()
            && let Some((seen, end)) = self.decode_quick(bytes, limits)
        {
            return self.finish(bytes, seen, request, end).map(Some);
        }
        self.decode_carefully(bytes, limits, request)
    }

    /// Another answer begins: forgets a head of which [`Self::decode`] has seen a part, and the
    /// interim ones before it.
    pub fn reset(&mut self) {
        self.scan.reset();
        self.interim_heads = 0;
    }

    /// A usual head that is here as a whole: what its fields say, and where it ends. `None`: not a
    /// usual one, to be looked at from the beginning.
    fn decode_quick(&mut self, bytes: &[u8], limits: &Limits) -> Option<(Seen, usize)> {
        let window = limits.window(bytes);
        let (line, fields_start) = StatusLine::quick(window)?;
        self.line = line;
        let mut seen = Seen::default();
        let end = self
            .fields
            .quick(window, fields_start, limits.headers_max, |known, value| {
                seen.read(known, value, false)
            })?;
        Some((seen, end))
    }

    /// By a scan for the lines and httparse, and from where it stopped.
    fn decode_carefully(
        &mut self,
        bytes: &[u8],
        limits: &Limits,
        request: MethodKind,
    ) -> Result<Option<usize>, Reject> {
        let result = self.decode_further(bytes, limits, request);
        if !matches!(result, Ok(None)) {
            self.scan.reset();
        }
        result
    }

    fn decode_further(
        &mut self,
        bytes: &[u8],
        limits: &Limits,
        request: MethodKind,
    ) -> Result<Option<usize>, Reject> {
        let window = limits.window(bytes);
        let is_full = bytes.len() >= limits.head_bytes();
        if !self.scan.in_fields() {
            match window.first() {
                None => return Ok(None),
                Some(b'H') => {}
                Some(_) => return Err(Reject::StatusLine),
            }
            match self.scan.first_line(window, 0)? {
                Some(line) => self.line = StatusLine::decode(bytes, line)?,
                None if is_full => return Err(Reject::HeadTooLarge),
                None => return Ok(None),
            }
        }
        match self.scan.fields(window, limits.headers_max)? {
            Some(section) => {
                let is_http10 = self.line.is_http10;
                let mut seen = Seen::default();
                self.fields.decode(bytes, section, |known, value| {
                    seen.read(known, value, is_http10)
                })?;
                self.finish(bytes, seen, request, section.end).map(Some)
            }
            None if is_full => Err(Reject::HeadTooLarge),
            None => Ok(None),
        }
    }

    /// The verdict on a head whose lines are all right, and which ends at `end`.
    fn finish(
        &mut self,
        bytes: &[u8],
        seen: Seen,
        request: MethodKind,
        end: usize,
    ) -> Result<usize, Reject> {
        if self.line.status == 101
            && (request != MethodKind::Upgrade || self.fields.upgrade(bytes).is_none())
        {
            return Err(Reject::SwitchingProtocols);
        }
        self.interim_heads = match self.is_interim() {
            true if self.interim_heads == INTERIM_HEADS_MAX => return Err(Reject::InterimHeads),
            true => self.interim_heads + 1,
            false => 0,
        };
        self.declared = seen.declared.finish()?;
        self.framing = match self.declared {
            _ if self.never_has_body() || request == MethodKind::Head => Framing::None,
            _ if self.opens_tunnel(request) => Framing::None,
            Framing::None => Framing::UntilClose,
            declared => declared,
        };
        self.keep_alive = !seen.connection.close
            && (!self.line.is_http10 || seen.connection.keep_alive)
            && self.framing != Framing::UntilClose
            && !self.opens_tunnel(request)
            && !self.has_doubtful_body();
        if seen.connection.names_fields {
            self.fields.drop_connection_options(bytes);
        }
        Ok(end)
    }

    /// Its status has no body, whatever the fields say (RFC 9112 section 6.3).
    fn never_has_body(&self) -> bool {
        !may_have_body(self.line.status)
    }

    /// What follows on the connection is no HTTP/1 any more (RFC 9110 sections 7.8 and 9.3.6).
    fn opens_tunnel(&self, request: MethodKind) -> bool {
        match request {
            MethodKind::Connect => matches!(self.line.status, 200..=299),
            MethodKind::Upgrade => self.line.status == 101,
            MethodKind::Head | MethodKind::Options | MethodKind::Other => false,
        }
    }

    /// It cannot have the body that it declares, so whoever sent it may have sent one all the same,
    /// which would be read as the answer to the next request.
    fn has_doubtful_body(&self) -> bool {
        self.line.status == 204 && !matches!(self.declared, Framing::None | Framing::Length(0))
    }

    /// 100 to 999.
    pub fn status(&self) -> u16 {
        self.line.status
    }

    /// The reason phrase, often empty. Any bytes but control characters.
    pub fn reason<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        self.line.reason.of(bytes)
    }

    /// 1xx but 101: the final response is still to come.
    pub fn is_interim(&self) -> bool {
        matches!(self.line.status, 100 | 102..=199)
    }

    /// The protocol that is spoken behind this head: of a 101, and only of one.
    pub fn upgrade<'a>(&self, bytes: &'a [u8]) -> Option<&'a str> {
        match self.line.status {
            101 => self.fields.upgrade(bytes),
            _ => None,
        }
    }

    /// One of which the client has to speak to be answered: of a 426, and only of one (RFC 9110
    /// section 15.5.22).
    pub(super) fn upgrades_required<'a>(&self, bytes: &'a [u8]) -> Option<&'a str> {
        match self.line.status {
            426 => self.fields.upgrades(bytes),
            _ => None,
        }
    }

    /// How the end of the body is found. [`Framing::None`] for a response to HEAD, for 1xx, 204 and
    /// 304, and for what opens a tunnel.
    pub fn framing(&self) -> Framing {
        self.framing
    }

    /// What the fields say about a body, also where there is none because of HEAD or 304.
    pub fn declared(&self) -> Framing {
        self.declared
    }

    /// The connection can be used again once the body was read to its end.
    pub fn keep_alive(&self) -> bool {
        self.keep_alive
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

    pub(crate) fn fields(&self) -> &Fields {
        &self.fields
    }
}

/// Interim responses to one request. Each is sent on to the client, so without a limit an origin
/// could make a request cost as much as it likes. A server that says 102 every ten seconds reaches
/// it after ten minutes.
const INTERIM_HEADS_MAX: u8 = 64;

impl Default for ResponseHead {
    fn default() -> Self {
        Self::new()
    }
}

/// What the fields of one head say.
#[derive(Default)]
struct Seen {
    declared: Declared,
    connection: ConnectionOptions,
}

impl Seen {
    #[inline]
    fn read(&mut self, known: Known, value: &[u8], is_http10: bool) -> Result<(), Reject> {
        match known {
            Known::ContentLength => self.declared.content_length(value)?,
            Known::TransferEncoding if is_http10 => return Err(Reject::TransferEncodingVersion),
            Known::TransferEncoding => self.declared.transfer_encoding(value),
            Known::Connection => self.connection.read(value)?,
            _ => {}
        }
        Ok(())
    }
}

impl StatusLine {
    /// A usual line at the start of `window`: of HTTP/1.1 and with a reason. `None`: not a usual
    /// one, or not complete. Also where the field section begins.
    #[inline]
    fn quick(window: &[u8]) -> Option<(Self, usize)> {
        let (start, _) = window.split_first_chunk::<13>()?;
        let (version, [hundreds, tens, ones, b' ']) = start.split_first_chunk::<9>()? else {
            return None;
        };
        let is_status = hundreds.is_ascii_digit() && tens.is_ascii_digit() && ones.is_ascii_digit();
        if version != b"HTTP/1.1 " || !is_status || *hundreds == b'0' {
            return None;
        }
        let digit = |byte: u8| u16::from(byte - b'0');
        let status = digit(*hundreds) * 100 + digit(*tens) * 10 + digit(*ones);
        let end = block::find_control(window, start.len())?;
        if status == 101 || *window.get(end..)?.first_chunk()? != *b"\r\n" {
            return None;
        }
        let line = Self {
            status,
            reason: Span::new(start.len()..end),
            is_http10: false,
        };
        Some((line, end + 2))
    }

    /// From the first line, which stands at `line` without its CRLF. The space before an empty
    /// reason may be missing: many servers leave it out, and nothing depends on it.
    fn decode(bytes: &[u8], line: Range<usize>) -> Result<Self, Reject> {
        let text = &bytes[line.clone()];
        if text.contains(&b'\r') {
            return Err(Reject::BareLineEnd);
        }
        let (is_http10, rest) = match text {
            [
                b'H',
                b'T',
                b'T',
                b'P',
                b'/',
                b'1',
                b'.',
                minor @ (b'0' | b'1'),
                b' ',
                rest @ ..,
            ] => (*minor == b'0', rest),
            [b'H', b'T', b'T', b'P', b'/', major, b'.', minor, b' ', ..]
                if major.is_ascii_digit() && minor.is_ascii_digit() =>
            {
                return Err(Reject::Version);
            }
            _ => return Err(Reject::StatusLine),
        };
        let (digits, reason) = match rest {
            [a, b, c] => ([a, b, c], &[][..]),
            [a, b, c, b' ', reason @ ..] => ([a, b, c], reason),
            _ => return Err(Reject::StatusLine),
        };
        if !digits.iter().all(|digit| digit.is_ascii_digit()) || *digits[0] == b'0' {
            return Err(Reject::StatusLine);
        }
        if reason.iter().copied().any(is_control_byte) {
            return Err(Reject::StatusLine);
        }
        let status = digits
            .iter()
            .fold(0, |status, &digit| status * 10 + u16::from(digit - b'0'));
        Ok(Self {
            status,
            reason: Span::new(line.end - reason.len()..line.end),
            is_http10,
        })
    }
}
