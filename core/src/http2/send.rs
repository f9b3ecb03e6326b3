//! Makes heads that go out over HTTP/2 of decoded ones, by the rules of the HTTP/1 encoder: the
//! same fields go on (`http1::passing`), and what is about framing comes from typed values.

use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri, Version,
    header::{CONTENT_LENGTH, EXPECT, TE},
    uri::{self, Authority, PathAndQuery},
};

use super::{
    receive::Scheme,
    websocket::{ACCEPT, KEY},
};
use crate::{
    header::is_control_byte,
    http1::{
        Framing, Known, Reject, RequestHead, RequestWrite, ResponseHead, ResponseWrite, block,
        fields::{Field, Fields},
        may_have_body,
        passing::{Plan, Sink, is_writable_name, response_framing},
    },
};

/// A request for the next hop: `head` was decoded from `bytes`. With `write.upgrade` it is an
/// extended CONNECT, and the caller adds `:protocol`, which is no part of an [`http::Request`].
///
/// The body ends with the stream, so of its framing only a length is said.
///
/// # Errors
/// What HTTP/2, or the library that speaks it, cannot say: an authority with escapes
/// ([`Reject::HostInvalid`]), a target of 64 KiB ([`Reject::TargetTooLong`]), an upgrade of a
/// request that is not a GET ([`Reject::ExtendedConnect`]).
pub fn request(
    head: &RequestHead,
    bytes: &[u8],
    write: &RequestWrite<'_>,
    scheme: Scheme,
) -> Result<Request<()>, Reject> {
    debug_assert!(
        write.framing != Framing::UntilClose,
        "a request's end must be known"
    );
    let plan = Plan {
        untrusted: write.untrusted,
        edits: write.edits,
        set: write.set,
        append: write.append,
        trailers_follow: write.framing == Framing::Chunked,
    };
    let mut fields = map(&plan, head.fields(), bytes);
    let method = Method::from_bytes(head.method(bytes).as_bytes());
    let mut method = method.map_err(|_| Reject::Method)?;
    if write.upgrade.is_some() {
        if method != Method::GET {
            return Err(Reject::ExtendedConnect);
        }
        method = Method::CONNECT;
        fields.remove(KEY);
    } else if head.accepts_trailers() {
        insert(&mut fields, TE, HeaderValue::from_static("trailers"));
    }
    if write.expect_continue {
        insert(
            &mut fields,
            EXPECT,
            HeaderValue::from_static("100-continue"),
        );
    }
    insert_length(&mut fields, write.framing);
    let mut request = Request::new(());
    *request.method_mut() = method;
    *request.uri_mut() = uri(write.target, write.authority, scheme)?;
    *request.version_mut() = Version::HTTP_2;
    *request.headers_mut() = fields;
    Ok(request)
}

/// A response for the client: `head` was decoded from `bytes`. Interim ones, too; a 101 becomes the
/// 200 that agrees to an extended CONNECT (RFC 8441 section 5). `write.keep_alive` says nothing
/// here. [`Framing::None`] says nothing of a length, as for a response that ended with its head.
pub fn response(head: &ResponseHead, bytes: &[u8], write: &ResponseWrite<'_>) -> Response<()> {
    let framing = response_framing(head, write.framing, write.request);
    let plan = Plan {
        untrusted: None,
        edits: write.edits,
        set: write.set,
        append: write.append,
        trailers_follow: framing == Framing::Chunked,
    };
    let mut fields = map(&plan, head.fields(), bytes);
    let mut status = head.status();
    if status == 101 {
        status = 200;
        fields.remove(ACCEPT);
    }
    insert_length(&mut fields, framing);
    whole(status, fields)
}

/// An answer that the proxy makes itself, as
/// [`encode_local_response`](crate::http1::encode_local_response) does: its head, to be followed by
/// `body_bytes` bytes unless a HEAD is answered.
pub fn local_response(status: u16, headers: &[(&str, &[u8])], body_bytes: usize) -> Response<()> {
    let mut fields = HeaderMap::with_capacity(headers.len() + 1);
    for (name, value) in headers {
        append_named(&mut fields, name, value);
    }
    if may_have_body(status) {
        insert_length(&mut fields, Framing::Length(body_bytes as u64));
    }
    whole(status, fields)
}

fn whole(status: u16, fields: HeaderMap) -> Response<()> {
    let mut response = Response::new(());
    // A status has three digits when it was decoded or configured.
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
    *response.version_mut() = Version::HTTP_2;
    *response.headers_mut() = fields;
    response
}

fn uri(target: &str, authority: &str, scheme: Scheme) -> Result<Uri, Reject> {
    let mut parts = uri::Parts::default();
    parts.scheme = Some(match scheme {
        Scheme::Http => uri::Scheme::HTTP,
        Scheme::Https => uri::Scheme::HTTPS,
    });
    parts.authority = Some(Authority::try_from(authority).map_err(|_| Reject::HostInvalid)?);
    parts.path_and_query = Some(path_and_query(target)?);
    Uri::from_parts(parts).map_err(|_| Reject::TargetForm)
}

/// As the HTTP/1 encoder writes a target. What only the type refuses, such as `<`, is
/// percent-encoded, too: it means the same.
fn path_and_query(target: &str) -> Result<PathAndQuery, Reject> {
    let is_plain = |byte: u8| !block::is_not_in_target(byte);
    if block::are_all(target.as_bytes(), is_plain)
        && let Ok(target) = PathAndQuery::try_from(target)
    {
        return Ok(target);
    }
    let mut encoded = String::with_capacity(target.len() + 16);
    for byte in target.bytes() {
        if is_plain(byte) && !matches!(byte, b'"' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{'..=b'}')
        {
            encoded.push(char::from(byte));
        } else {
            let digit = |number: u8| char::from(b"0123456789ABCDEF"[usize::from(number)]);
            encoded.extend(['%', digit(byte >> 4), digit(byte & 15)]);
        }
    }
    PathAndQuery::try_from(encoded).map_err(|_| Reject::TargetTooLong)
}

fn map(plan: &Plan<'_>, fields: &Fields, bytes: &[u8]) -> HeaderMap {
    // Two more are the codec's: a length, and `te` or `expect`.
    let map = HeaderMap::with_capacity(plan.count_hint(fields) + 2);
    let mut entries = Entries { map, bytes };
    plan.push_fields(&mut entries, fields, bytes);
    entries.map
}

/// Collects fields in a map. Names become lower case. Values are copied one by one: HPACK's tables
/// keep some for as long as the connection lasts, and must not keep a whole head with each.
struct Entries<'a> {
    map: HeaderMap,
    /// What the received fields were decoded from.
    bytes: &'a [u8],
}

impl Sink for Entries<'_> {
    fn received(&mut self, field: &Field) {
        let name = match field.known {
            Some(known) => Ok(known.header_name()),
            None => HeaderName::from_bytes(field.name.of(self.bytes)),
        };
        let value = HeaderValue::from_bytes(field.value.of(self.bytes));
        // The decoder takes nothing that the types refuse.
        debug_assert!(name.is_ok() && value.is_ok());
        if let (Ok(name), Ok(mut value)) = (name, value) {
            value.set_sensitive(is_ever_new(field.known));
            append(&mut self.map, name, value);
        }
    }

    fn own(&mut self, known: Known, value: &[u8]) {
        append_own(&mut self.map, known.header_name(), Some(known), value);
    }

    fn edited(&mut self, name: &str, value: &[u8]) {
        append_named(&mut self.map, name, value);
    }

    fn joined<'b>(&mut self, known: Known, received: impl Iterator<Item = &'b [u8]>, value: &[u8]) {
        let mut list = Vec::new();
        for element in received {
            list.extend_from_slice(element);
            list.extend_from_slice(b", ");
        }
        list.extend_from_slice(value);
        append_own(&mut self.map, known.header_name(), Some(known), &list);
    }
}

/// As [`append_own`], unless a field of this name is bound to a connection.
fn append_named(map: &mut HeaderMap, name: &str, value: &[u8]) {
    debug_assert!(is_writable_name(name), "{name:?}");
    let known = Known::of(name.as_bytes());
    let name = match known {
        Some(known) if known.is_connection_bound() => return,
        Some(known) => Ok(known.header_name()),
        None => HeaderName::from_bytes(name.as_bytes()),
    };
    if let Ok(name) = name {
        append_own(map, name, known, value);
    }
}

/// A field that was not received. As in the HTTP/1 encoder, a control character becomes a space;
/// a space at either end, which HTTP/2 does not allow, goes.
fn append_own(map: &mut HeaderMap, name: HeaderName, known: Option<Known>, value: &[u8]) {
    let value = match HeaderValue::from_bytes(value.trim_ascii()) {
        Ok(value) => Ok(value),
        Err(_) => {
            let tame = |&byte: &u8| if is_control_byte(byte) { b' ' } else { byte };
            let tamed: Vec<u8> = value.iter().map(tame).collect();
            HeaderValue::from_bytes(tamed.trim_ascii())
        }
    };
    if let Ok(mut value) = value {
        value.set_sensitive(is_ever_new(known));
        append(map, name, value);
    }
}

/// Its values come and go, so HPACK's table is not to keep them (RFC 7541 section 6.2.3): it would
/// be full of values that never come again, and each is compared with all of the same name, the
/// oldest first. A date is the same for a second, but after a minute sixty of them stand before it.
pub(super) fn is_ever_new(known: Option<Known>) -> bool {
    matches!(
        known,
        Some(
            Known::Date
                | Known::Traceparent
                | Known::XB3SpanId
                | Known::XB3TraceId
                | Known::XEnvoyUpstreamServiceTime
                | Known::XRequestId
        )
    )
}

fn insert_length(map: &mut HeaderMap, framing: Framing) {
    match framing {
        Framing::Length(length) => insert(map, CONTENT_LENGTH, HeaderValue::from(length)),
        Framing::None | Framing::Chunked | Framing::UntilClose => {}
    }
}

/// A map holds 24,000 names; a head has far fewer, and what is beyond would be lost.
fn append(map: &mut HeaderMap, name: HeaderName, value: HeaderValue) {
    let appended = map.try_append(name, value);
    debug_assert!(appended.is_ok(), "limits keep heads small");
}

fn insert(map: &mut HeaderMap, name: HeaderName, value: HeaderValue) {
    let inserted = map.try_insert(name, value);
    debug_assert!(inserted.is_ok(), "limits keep heads small");
}
