//! Writes a head that came over HTTP/2 as HTTP/1 text, for the decoder of HTTP/1 to have the
//! verdict on. What that could not see any more is refused here: the rules of HTTP/2 alone, and
//! limits on what is put together before there is a text.

use http::{HeaderMap, Method, StatusCode, request, response, uri};

use super::{
    is_connection_specific,
    websocket::{ACCEPT, KEY, websocket_accept, websocket_key},
};
use crate::{
    header::{is_control_byte, is_token},
    http1::{
        CRLF, Known, Limits, MethodKind, Reject, authority::Authority, block, may_have_body,
        reason_phrase,
    },
};

/// What a request's HEADERS say besides its parts.
#[derive(Clone, Copy, Debug, Default)]
pub struct ReceivedRequest<'a> {
    /// Of an extended CONNECT.
    pub extended: Option<Extended<'a>>,
    /// END_STREAM: neither body nor trailers follow.
    pub end_of_stream: bool,
}

/// What makes a CONNECT an upgrade (RFC 8441).
#[derive(Clone, Copy, Debug)]
pub struct Extended<'a> {
    /// `:protocol`.
    pub protocol: &'a str,
    /// For a `sec-websocket-key`.
    pub random: [u8; 16],
}

/// What a response's HEADERS say besides its parts.
#[derive(Clone, Copy, Debug, Default)]
pub struct ReceivedResponse<'a> {
    /// What it answers.
    pub request: MethodKind,
    /// The request was an extended CONNECT.
    pub upgrade: Option<Upgrade<'a>>,
    /// END_STREAM: neither body nor trailers follow.
    pub end_of_stream: bool,
}

/// The upgrade that an upstream was asked for.
#[derive(Clone, Copy, Debug)]
pub struct Upgrade<'a> {
    /// As in `RequestWrite::upgrade`.
    pub protocol: &'a str,
    /// `sec-websocket-key` of the request that [`super::request`] was given.
    pub websocket_key: Option<&'a [u8]>,
}

/// What a request says of the way it came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// Without TLS.
    Http,
    /// With TLS.
    Https,
}

impl Scheme {
    /// As in a URI.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    fn of(scheme: &uri::Scheme) -> Result<Self, Reject> {
        match scheme.as_str() {
            "http" => Ok(Self::Http),
            "https" => Ok(Self::Https),
            _ => Err(Reject::Scheme),
        }
    }

    fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

/// Appends the head of a request as HTTP/1 text, which is then to be decoded by
/// [`RequestHead`](crate::http1::RequestHead) with the same `limits`, and may be refused by it.
/// `Some`: what `:scheme` says; `None` for a CONNECT, and where h2 does not tell because there is
/// no `:authority`.
///
/// # Errors
/// Why it is refused. Nothing is appended then.
pub fn request_text(
    out: &mut Vec<u8>,
    parts: &request::Parts,
    received: ReceivedRequest<'_>,
    limits: &Limits,
) -> Result<Option<Scheme>, Reject> {
    let scheme = parts.uri.scheme().map(Scheme::of).transpose()?;
    let shape = Shape::of(parts, received)?;
    write(out, limits, &parts.headers, |text| {
        text.request_line(parts, shape, scheme)?;
        let skipped = match shape {
            Shape::Upgrade(_) => Some(KEY),
            Shape::Message { .. } | Shape::Tunnel => None,
        };
        let has_length = text.fields(&parts.headers, skipped)?;
        match shape {
            Shape::Tunnel if has_length => Err(Reject::TunnelBody),
            Shape::Upgrade(_) if has_length => Err(Reject::TunnelBody),
            Shape::Tunnel => Ok(()),
            Shape::Upgrade(Extended { protocol, random }) => {
                if is_websocket(protocol) {
                    text.line(KEY, websocket_key(random).as_bytes());
                }
                text.upgrade(protocol);
                Ok(())
            }
            Shape::Message { end_of_stream } => {
                if end_of_stream && has_length && declares_body(&parts.headers) {
                    return Err(Reject::LengthAndEndStream);
                }
                text.framing(has_length || end_of_stream);
                Ok(())
            }
        }
    })?;
    Ok(scheme)
}

/// Appends the head of an upstream's response as HTTP/1 text, interim ones included, which is then
/// to be decoded by [`ResponseHead`](crate::http1::ResponseHead): with [`MethodKind::Upgrade`] if
/// there is an upgrade, else with the request's own kind. A response that ends with its head and
/// could have a body has `content-length: 0`, whether it said so or not.
///
/// # Errors
/// Why it is refused. Nothing is appended then.
pub fn response_text(
    out: &mut Vec<u8>,
    parts: &response::Parts,
    received: ReceivedResponse<'_>,
    limits: &Limits,
) -> Result<(), Reject> {
    let status = parts.status.as_u16();
    if status == 101 {
        return Err(Reject::SwitchingProtocols);
    }
    let agreed = received.upgrade.filter(|_| parts.status.is_success());
    write(out, limits, &parts.headers, |text| {
        text.status_line(if agreed.is_some() { 101 } else { status });
        let has_length = text.fields(&parts.headers, received.upgrade.map(|_| ACCEPT))?;
        if let Some(upgrade) = agreed {
            if let Some(key) = upgrade
                .websocket_key
                .filter(|_| is_websocket(upgrade.protocol))
            {
                text.line(ACCEPT, websocket_accept(key).as_bytes());
            }
            text.upgrade(upgrade.protocol);
            return Ok(());
        }
        if !may_bring_body(parts.status, received.request) {
            return Ok(());
        }
        match (received.end_of_stream, has_length) {
            (true, true) if declares_body(&parts.headers) => Err(Reject::LengthAndEndStream),
            (true, false) => {
                text.line("content-length", b"0");
                Ok(())
            }
            (_, has_length) => {
                text.framing(has_length);
                Ok(())
            }
        }
    })
}

/// What a request is about.
#[derive(Clone, Copy)]
enum Shape<'a> {
    Message { end_of_stream: bool },
    Upgrade(Extended<'a>),
    Tunnel,
}

impl<'a> Shape<'a> {
    fn of(parts: &request::Parts, received: ReceivedRequest<'a>) -> Result<Self, Reject> {
        let end_of_stream = received.end_of_stream;
        match received.extended {
            _ if parts.method != Method::CONNECT => Ok(Self::Message { end_of_stream }),
            _ if end_of_stream => Err(Reject::TunnelBody),
            None => Ok(Self::Tunnel),
            Some(extended) if is_token(extended.protocol.as_bytes()) => Ok(Self::Upgrade(extended)),
            Some(_) => Err(Reject::ExtendedConnect),
        }
    }
}

/// Lets `body` write a head with these fields, and the line that ends it; takes everything back
/// when it is refused.
fn write(
    out: &mut Vec<u8>,
    limits: &Limits,
    fields: &HeaderMap,
    body: impl FnOnce(&mut Text<'_>) -> Result<(), Reject>,
) -> Result<(), Reject> {
    // Every value counts, so each piece of a cookie does: they are put together below.
    if fields.len() > limits.headers_max {
        return Err(Reject::TooManyHeaders);
    }
    let start = out.len();
    let end_max = start.saturating_add(limits.head_bytes_max);
    let written = body(&mut Text { out, end_max });
    match written {
        Ok(()) => out.extend_from_slice(CRLF),
        Err(_) => out.truncate(start),
    }
    written
}

/// The text that is being written.
struct Text<'a> {
    out: &'a mut Vec<u8>,
    /// Where it must end, at the latest.
    end_max: usize,
}

impl Text<'_> {
    fn request_line(
        &mut self,
        parts: &request::Parts,
        shape: Shape<'_>,
        scheme: Option<Scheme>,
    ) -> Result<(), Reject> {
        let authority = authority(parts, scheme)?;
        let target = match (shape, parts.uri.path_and_query()) {
            (Shape::Tunnel, _) => authority,
            (_, Some(path)) => path.as_str().as_bytes(),
            (_, None) => return Err(Reject::TargetForm),
        };
        // Of an absolute form the authority would be another one.
        if !matches!(target, [b'/', ..] | b"*") && !matches!(shape, Shape::Tunnel) {
            return Err(Reject::TargetForm);
        }
        if !block::are_all(target, |byte| !block::is_not_in_target(byte)) {
            return Err(Reject::TargetByte);
        }
        let method = match shape {
            Shape::Upgrade(_) => Method::GET.as_str(),
            Shape::Message { .. } | Shape::Tunnel => parts.method.as_str(),
        };
        self.room(method.len() + target.len() + authority.len() + 32)?;
        self.out.extend_from_slice(method.as_bytes());
        self.out.push(b' ');
        self.out.extend_from_slice(target);
        self.out.extend_from_slice(b" HTTP/1.1\r\n");
        self.line("host", authority);
        Ok(())
    }

    fn status_line(&mut self, status: u16) {
        self.out.extend_from_slice(b"HTTP/1.1 ");
        self.out
            .extend_from_slice(itoa::Buffer::new().format(status).as_bytes());
        self.out.push(b' ');
        self.out.extend_from_slice(reason_phrase(status).as_bytes());
        self.out.extend_from_slice(CRLF);
    }

    /// The fields but Host, which came first, and those called `skipped`. Whether there is a
    /// Content-Length among them.
    fn fields(&mut self, fields: &HeaderMap, skipped: Option<&str>) -> Result<bool, Reject> {
        let mut has_length = false;
        let mut has_cookie = false;
        for (name, value) in fields {
            // Lower-case tokens, by their type; of values it is checked again here, since what
            // would get through could begin another field, or another message.
            let (name, value) = (name.as_str(), value.as_bytes());
            if !block::are_all(value, |byte| !is_control_byte(byte)) {
                return Err(Reject::HeaderValue);
            }
            if value.trim_ascii().len() != value.len() {
                return Err(Reject::HeaderSpace);
            }
            match Known::of(name.as_bytes()) {
                Some(known) if is_connection_specific(known) => {
                    return Err(Reject::ConnectionField);
                }
                Some(Known::Te) if !value.eq_ignore_ascii_case(b"trailers") => {
                    return Err(Reject::Te);
                }
                Some(Known::Host) => continue,
                // In one field, for those who know nothing of pieces (RFC 9113 section 8.2.3).
                Some(Known::Cookie) if std::mem::replace(&mut has_cookie, true) => continue,
                Some(Known::Cookie) => {
                    self.cookie(fields)?;
                    continue;
                }
                Some(Known::ContentLength) => has_length = true,
                _ if skipped == Some(name) => continue,
                _ => {}
            }
            self.room(name.len() + value.len() + 4)?;
            self.line(name, value);
        }
        Ok(has_length)
    }

    fn cookie(&mut self, fields: &HeaderMap) -> Result<(), Reject> {
        self.out.extend_from_slice(b"cookie: ");
        let start = self.out.len();
        // An empty piece at the end would leave a space there, which no field ends with.
        let pieces = fields.get_all(http::header::COOKIE).iter();
        for piece in pieces.filter(|piece| !piece.is_empty()) {
            self.room(piece.len() + 4)?;
            if self.out.len() > start {
                self.out.extend_from_slice(b"; ");
            }
            self.out.extend_from_slice(piece.as_bytes());
        }
        self.out.extend_from_slice(CRLF);
        Ok(())
    }

    fn line(&mut self, name: &str, value: &[u8]) {
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b": ");
        self.out.extend_from_slice(value);
        self.out.extend_from_slice(CRLF);
    }

    fn upgrade(&mut self, protocol: &str) {
        self.line("connection", b"upgrade");
        self.line("upgrade", protocol.as_bytes());
    }

    /// What follows is known to be nothing, or of a length that was said; else it is marked.
    fn framing(&mut self, is_known: bool) {
        if !is_known {
            self.line("transfer-encoding", b"chunked");
        }
    }

    /// `count` bytes more would be too many.
    fn room(&self, count: usize) -> Result<(), Reject> {
        match self.out.len() + count <= self.end_max {
            true => Ok(()),
            false => Err(Reject::HeadTooLarge),
        }
    }
}

/// `:authority`, or Host where there is none. Both must say the same.
fn authority(parts: &request::Parts, scheme: Option<Scheme>) -> Result<&[u8], Reject> {
    let mut hosts = parts.headers.get_all(http::header::HOST).iter();
    let host = hosts.next().map(http::HeaderValue::as_bytes);
    if hosts.next().is_some() {
        return Err(Reject::HostRepeated);
    }
    let authority = parts.uri.authority();
    let chosen = match (authority, host) {
        (None, None) => return Err(Reject::HostMissing),
        (Some(authority), _) => authority.as_str().as_bytes(),
        (None, Some(host)) => host,
    };
    let parsed = Authority::parse(chosen).ok_or(Reject::HostInvalid)?;
    if let (Some(_), Some(host)) = (authority, host) {
        let host = Authority::parse(host).ok_or(Reject::HostInvalid)?;
        if !parsed.is_same(host, scheme.unwrap_or(Scheme::Http).default_port()) {
            return Err(Reject::HostMismatch);
        }
    }
    Ok(chosen)
}

/// Some Content-Length is not a zero. What is not a number is for the decoder to refuse.
fn declares_body(fields: &HeaderMap) -> bool {
    let lengths = fields.get_all(http::header::CONTENT_LENGTH);
    lengths
        .iter()
        .any(|length| length.as_bytes().iter().any(|&digit| digit != b'0'))
}

fn may_bring_body(status: StatusCode, request: MethodKind) -> bool {
    may_have_body(status.as_u16())
        && request != MethodKind::Head
        && !(request == MethodKind::Connect && status.is_success())
}

pub(super) fn is_websocket(protocol: &str) -> bool {
    protocol.eq_ignore_ascii_case("websocket")
}
