//! Requests on their way through: head and body in, edits, head and body out.

use ringmain_core::{
    header::Edits,
    http1::{
        BodyDecoder, CRLF, Framing, Known, RequestHead, RequestWrite, encode_chunk_head,
        encode_last_chunk, encode_request,
    },
};

use super::{
    request::{LIMITS, framing, kind},
    response::LARGE,
};
use crate::naive;

/// Bound to the connection they came on: never passed on as they came.
const BOUND: [&str; 7] = [
    "keep-alive",
    "proxy-connection",
    "proxy-authorization",
    "proxy-authenticate",
    "upgrade",
    "http2-settings",
    "x-removed",
];

pub(super) fn run(data: &[u8]) -> String {
    let mut out = Vec::new();
    let mut bodies = Vec::new();
    let mut rest = data;
    let mut last = "end".to_owned();
    while !rest.is_empty() {
        match pass(rest, &mut out) {
            Ok((body, kind, behind)) => {
                bodies.push(body);
                rest = behind;
                last = kind.to_owned();
            }
            Err(reason) => {
                last = reason;
                break;
            }
        }
    }
    let (mut seen, mut rest) = (0, out.as_slice());
    while !rest.is_empty() {
        let (body, behind) = read(rest);
        assert_eq!(body, bodies[seen], "the body of request {seen}");
        seen += 1;
        rest = behind;
    }
    assert_eq!(seen, bodies.len(), "{}", out.escape_ascii());
    format!("{} forwarded, {last}", seen.min(3))
}

/// The request that `data` begins with, as the proxy passes it on; what stands behind it.
fn pass<'d>(
    data: &'d [u8],
    out: &mut Vec<u8>,
) -> Result<(Vec<u8>, &'static str, &'d [u8]), String> {
    let mut head = RequestHead::new();
    let length = match head.decode(data, &LIMITS) {
        Ok(Some(length)) => length,
        Ok(None) => return Err("incomplete".to_owned()),
        Err(reject) => return Err(reject.reason().to_owned()),
    };
    let mut body = data[length..].to_vec();
    let mut decoder = BodyDecoder::new(head.framing());
    let decoded = decoder
        .decode(&mut body)
        .map_err(|reject| reject.reason().to_owned())?;
    if !decoded.done {
        return Err("incomplete body".to_owned());
    }
    let payload = &body[decoded.data];
    encode(&head, data, out);
    match head.framing() {
        Framing::Chunked => {
            if !payload.is_empty() {
                out.extend_from_slice(&encode_chunk_head(payload.len()));
                out.extend_from_slice(payload);
                out.extend_from_slice(CRLF);
            }
            encode_last_chunk(out, decoder.trailers());
        }
        _ => out.extend_from_slice(payload),
    }
    let behind = &data[length + decoded.consumed..];
    Ok((payload.to_vec(), kind(head.framing()), behind))
}

/// Values are parts of the input, which hold anything.
fn encode(head: &RequestHead, data: &[u8], out: &mut Vec<u8>) {
    let part = |from: usize| &data[data.len() * from / 4..data.len() * (from + 1) / 4];
    let text = String::from_utf8_lossy(part(0)).into_owned();
    let edits = Edits {
        authority: None,
        dropped: ["x-removed", "x-edit"].into_iter().collect(),
        appended: [("X-Edit".into(), text.into())].into(),
    };
    let path = match head.canonical_path(data) {
        Ok(path) => path.into_owned(),
        Err(_) => "/refused".to_owned(),
    };
    let target = match head.query(data) {
        Some(query) => format!("{path}?{query}"),
        None => path,
    };
    let write = RequestWrite {
        target: &target,
        authority: head.authority(data),
        edits: &[&edits],
        set: &[
            (Known::XRequestId, part(1)),
            (Known::XEnvoyOriginalPath, part(2)),
        ],
        append: &[(Known::XForwardedFor, part(3))],
        framing: head.framing(),
        expect_continue: head.expects_continue(),
        ..RequestWrite::default()
    };
    let start = out.len();
    encode_request(out, head, data, &write);
    check(head, data, &out[start..]);
}

/// What the next hop reads in the head is what this one meant.
fn check(head: &RequestHead, data: &[u8], written: &[u8]) {
    let mut again = RequestHead::new();
    assert_eq!(again.decode(written, &LARGE), Ok(Some(written.len())));
    assert_eq!(again.framing(), head.framing());
    assert_eq!(again.method(written), head.method(data));
    assert_eq!(again.authority(written), head.authority(data));
    assert!(again.keep_alive());
    let naive = naive::Head::read(written);
    assert_eq!(naive.framing(), framing(head.framing()));
    for name in BOUND {
        assert!(naive.values(name).is_empty(), "{name} was passed on");
    }
    for once in [
        "host",
        "x-request-id",
        "x-edit",
        "x-envoy-original-path",
        "x-forwarded-for",
    ] {
        assert_eq!(naive.values(once).len(), 1, "{once}");
    }
    let received = |name: &[u8]| {
        let mut fields = head.headers(data);
        fields.any(|(other, _)| other.as_bytes().eq_ignore_ascii_case(name))
    };
    for (name, _) in &naive.fields {
        let name = name.to_ascii_lowercase();
        let is_own = name.starts_with(b"x-") || name == b"connection";
        assert!(
            is_own || received(&name),
            "{} was made up",
            name.escape_ascii()
        );
    }
    for protected in ["authorization", "cookie", "x-forwarded-host"] {
        let stays = received(protected.as_bytes());
        assert_eq!(!naive.values(protected).is_empty(), stays, "{protected}");
    }
}

/// The first request in what was written, read by the RFC alone: its body, and what is behind it.
fn read(bytes: &[u8]) -> (Vec<u8>, &[u8]) {
    let mut places = bytes.windows(4);
    let head = places
        .position(|window| window == b"\r\n\r\n")
        .expect("a whole head")
        + 4;
    let rest = &bytes[head..];
    match naive::Head::read(&bytes[..head]).framing() {
        naive::Framing::None => (Vec::new(), rest),
        naive::Framing::Length(length) => {
            let (body, rest) = rest.split_at(usize::try_from(length).unwrap());
            (body.to_vec(), rest)
        }
        naive::Framing::Chunked => {
            let (payload, _, length) = naive::chunked(rest).expect("a whole body");
            (payload, &rest[length..])
        }
    }
}
