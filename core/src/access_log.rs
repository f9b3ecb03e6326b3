//! One line of the access log: Istio's default text format, 24 fields in its order.
//!
//! What a client or an upstream sends can neither split a line nor forge a field: every byte that
//! is not printable ASCII, and `"` and `\`, is written as `\xHH` (`\\` for the backslash), so no
//! quote and no line end stands within a value. In a field that a space would end (method, path
//! and the unquoted ones) the space is written as `\x20`. An absent or empty value is `-`. A value
//! longer than [`FIELD_BYTES_MAX`] is cut there and followed by `...`.
//!
//! Nothing here knows a clock or a file: the data plane fills an [`Entry`] and owns the buffer.

use std::{fmt::Display, io::Write as _, net::SocketAddr, time::Duration};

use crate::{
    date::{LAST_SECOND, civil_date, put_number},
    ending::Ending,
    failure::{Details, Failure, Flags},
    http1::block,
};

/// Bytes of one value that are logged, before escaping.
pub const FIELD_BYTES_MAX: usize = 4096;

/// Protocol of the request, as logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// HTTP/1.0.
    Http10,
    /// HTTP/1.1.
    Http11,
    /// HTTP/2.
    Http2,
}

impl Protocol {
    /// As in the log.
    pub fn name(self) -> &'static str {
        match self {
            Self::Http10 => "HTTP/1.0",
            Self::Http11 => "HTTP/1.1",
            Self::Http2 => "HTTP/2",
        }
    }
}

/// Where the answer came from. Response flags and details follow from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// An upstream's, forwarded to its end.
    ViaUpstream,
    /// Ours because a route says so: a direct response or a redirect.
    DirectResponse,
    /// Ours because of a failure, or none, or one that was cut short.
    Failed(Failure),
    /// There was no request: it is a connection that carried bytes.
    Carried(Ending),
}

impl Outcome {
    /// Response flags.
    pub fn flags(self) -> Flags {
        match self {
            Self::ViaUpstream | Self::DirectResponse => Flags::NONE,
            Self::Failed(failure) => failure.facts().flag.into(),
            Self::Carried(ending) => ending.facts().flags,
        }
    }

    /// `RESPONSE_CODE_DETAILS`; empty when there is nothing to say.
    pub fn details(self) -> Details {
        match self {
            Self::ViaUpstream => "via_upstream".into(),
            Self::DirectResponse => "direct_response".into(),
            Self::Failed(failure) => failure.details(),
            Self::Carried(ending) => ending.facts().details.into(),
        }
    }
}

/// What is logged of one request, or of one connection that carried bytes. Byte strings are as
/// received, empty when absent.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    /// START_TIME: when the request's first byte was read, or the connection was accepted;
    /// milliseconds since 1970 UTC. Later than the year 9999 is logged as its end.
    pub start_unix_millis: u64,
    /// METHOD.
    pub method: &'a [u8],
    /// X-ENVOY-ORIGINAL-PATH, else PATH: the target as the client sent it, query included.
    pub path: &'a [u8],
    /// PROTOCOL; `None` when the request was not understood.
    pub protocol: Option<Protocol>,
    /// RESPONSE_CODE: status sent to the client, 0 when none was.
    pub status: u16,
    /// RESPONSE_FLAGS and RESPONSE_CODE_DETAILS.
    pub outcome: Outcome,
    /// RESPONSE_FLAGS beside those of the outcome: delayed on purpose, tried as often as is
    /// allowed.
    pub further_flags: Flags,
    /// CONNECTION_TERMINATION_DETAILS: why the proxy ended the client's connection.
    pub termination_details: &'a str,
    /// UPSTREAM_TRANSPORT_FAILURE_REASON.
    pub transport_failure: &'a [u8],
    /// BYTES_RECEIVED: of the request's body.
    pub bytes_received: u64,
    /// BYTES_SENT: of the response's body.
    pub bytes_sent: u64,
    /// DURATION: to the last byte of the response, in whole milliseconds.
    pub duration: Duration,
    /// X-ENVOY-UPSTREAM-SERVICE-TIME: from the request's last byte sent upstream to the head of
    /// its response, in whole milliseconds.
    pub upstream_service_time: Option<Duration>,
    /// X-FORWARDED-FOR.
    pub forwarded_for: &'a [u8],
    /// USER-AGENT.
    pub user_agent: &'a [u8],
    /// X-REQUEST-ID.
    pub request_id: &'a [u8],
    /// :AUTHORITY, for HTTP/1.1 the Host field.
    pub authority: &'a [u8],
    /// UPSTREAM_HOST: the endpoint the answer came from, or that was tried last.
    pub upstream_host: Option<SocketAddr>,
    /// UPSTREAM_CLUSTER_RAW.
    pub cluster: &'a [u8],
    /// UPSTREAM_LOCAL_ADDRESS: our end of the upstream connection.
    pub upstream_local: Option<SocketAddr>,
    /// DOWNSTREAM_LOCAL_ADDRESS: our end of the client's connection.
    pub downstream_local: Option<SocketAddr>,
    /// DOWNSTREAM_REMOTE_ADDRESS: the client's end.
    pub downstream_remote: Option<SocketAddr>,
    /// REQUESTED_SERVER_NAME: the client's TLS server name.
    pub server_name: &'a [u8],
    /// ROUTE_NAME.
    pub route: &'a [u8],
}

impl Entry<'_> {
    /// Appends the entry as exactly one line, its line end included.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.push(b'[');
        write_time(out, self.start_unix_millis);
        out.extend_from_slice(b"] \"");
        write_word(out, self.method);
        out.push(b' ');
        write_word(out, self.path);
        out.push(b' ');
        write_word(out, self.protocol.map_or("", Protocol::name).as_bytes());
        out.extend_from_slice(b"\" ");
        write_number(out, u64::from(self.status));
        out.push(b' ');
        let flags = self.outcome.flags() | self.further_flags;
        match flags.is_empty() {
            true => write_word(out, b""),
            false => write_word(out, flags.text().as_bytes()),
        }
        out.push(b' ');
        match self.outcome.details().plain() {
            Ok(text) => write_word(out, text.as_bytes()),
            Err(details) => write_display(out, details),
        }
        out.push(b' ');
        write_word(out, self.termination_details.as_bytes());
        out.push(b' ');
        write_quoted(out, self.transport_failure);
        out.push(b' ');
        write_number(out, self.bytes_received);
        out.push(b' ');
        write_number(out, self.bytes_sent);
        out.push(b' ');
        write_millis(out, Some(self.duration));
        out.push(b' ');
        write_millis(out, self.upstream_service_time);
        for value in [
            self.forwarded_for,
            self.user_agent,
            self.request_id,
            self.authority,
        ] {
            out.push(b' ');
            write_quoted(out, value);
        }
        out.extend_from_slice(b" \"");
        write_address(out, self.upstream_host);
        out.extend_from_slice(b"\" ");
        write_word(out, self.cluster);
        for address in [
            self.upstream_local,
            self.downstream_local,
            self.downstream_remote,
        ] {
            out.push(b' ');
            write_address(out, address);
        }
        out.push(b' ');
        write_word(out, self.server_name);
        out.push(b' ');
        write_word(out, self.route);
        out.push(b'\n');
    }
}

/// A value that a space would end: unquoted, or one of several within quotes.
fn write_word(out: &mut Vec<u8>, value: &[u8]) {
    write_escaped(out, value, b' ');
}

/// Printable ASCII without spaces and quotes.
fn write_display(out: &mut Vec<u8>, value: impl Display) {
    write!(out, "{value}").expect("a vector takes all");
}

fn write_quoted(out: &mut Vec<u8>, value: &[u8]) {
    out.push(b'"');
    write_escaped(out, value, b'"');
    out.push(b'"');
}

/// Writes `value` so that it holds no line end, no quote and no `delimiter`.
fn write_escaped(out: &mut Vec<u8>, value: &[u8], delimiter: u8) {
    if value.is_empty() {
        out.push(b'-');
        return;
    }
    let (shown, cut) = match value.split_at_checked(FIELD_BYTES_MAX) {
        Some((shown, rest)) => (shown, !rest.is_empty()),
        None => (value, false),
    };
    let is_plain = |byte: u8| {
        matches!(byte, b' '..=b'~') & (byte != b'"') & (byte != b'\\') & (byte != delimiter)
    };
    // As nearly all are: looked at in blocks, which a loop that notes the place would not be.
    if block::are_all(shown, is_plain) {
        out.extend_from_slice(shown);
    } else {
        write_each(out, shown, is_plain);
    }
    if cut {
        out.extend_from_slice(b"...");
    }
}

#[inline(never)]
fn write_each(out: &mut Vec<u8>, value: &[u8], is_plain: impl Fn(u8) -> bool) {
    let mut rest = value;
    while let Some(end) = rest.iter().position(|byte| !is_plain(*byte)) {
        out.extend_from_slice(&rest[..end]);
        match rest[end] {
            b'\\' => out.extend_from_slice(b"\\\\"),
            byte => {
                let digit = |nibble: u8| b"0123456789abcdef"[usize::from(nibble & 0xf)];
                out.extend_from_slice(&[b'\\', b'x', digit(byte >> 4), digit(byte)]);
            }
        }
        rest = &rest[end + 1..];
    }
    out.extend_from_slice(rest);
}

fn write_number(out: &mut Vec<u8>, number: u64) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

fn write_millis(out: &mut Vec<u8>, duration: Option<Duration>) {
    match duration {
        Some(duration) => {
            write_number(out, u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
        }
        None => out.push(b'-'),
    }
}

fn write_address(out: &mut Vec<u8>, address: Option<SocketAddr>) {
    match address {
        None => out.push(b'-'),
        Some(SocketAddr::V4(address)) => {
            let [first, rest @ ..] = address.ip().octets();
            write_number(out, u64::from(first));
            for octet in rest {
                out.push(b'.');
                write_number(out, u64::from(octet));
            }
            out.push(b':');
            write_number(out, u64::from(address.port()));
        }
        Some(address @ SocketAddr::V6(_)) => {
            write!(out, "{address}").expect("writing to a Vec cannot fail");
        }
    }
}

/// ISO 8601, UTC, milliseconds: `2026-11-23T06:48:58.001Z`.
fn write_time(out: &mut Vec<u8>, unix_millis: u64) {
    let unix_millis = unix_millis.min(LAST_SECOND * 1000 + 999);
    let (days, millis) = (unix_millis / 86_400_000, unix_millis % 86_400_000);
    let (year, month, day) = civil_date(days);
    let mut text = *b"0000-00-00T00:00:00.000Z";
    put_number(&mut text[0..4], year);
    put_number(&mut text[5..7], month);
    put_number(&mut text[8..10], day);
    put_number(&mut text[11..13], millis / 3_600_000);
    put_number(&mut text[14..16], millis / 60_000 % 60);
    put_number(&mut text[17..19], millis / 1000 % 60);
    put_number(&mut text[20..23], millis % 1000);
    out.extend_from_slice(&text);
}

#[cfg(test)]
mod tests;
