//! A head that is whole is read in one pass when it is a usual one, and by the careful way
//! otherwise; one that comes in pieces always goes the careful way. Both must say the same, and
//! what is accepted must be what httparse reads by itself.

use proptest::{collection::vec, prelude::*, sample::select, strategy::Strategy};
use ringmain_core::http1::{
    Known, Limits, MethodKind, RequestHead, RequestWrite, ResponseHead, ResponseWrite,
    encode_request, encode_response,
};

const LIMITS: Limits = Limits {
    head_bytes_max: 600,
    headers_max: 9,
    target_bytes_max: 50,
};

fn text(
    bytes: &'static [u8],
    length: impl Into<prop::collection::SizeRange>,
) -> impl Strategy<Value = Vec<u8>> {
    vec(select(bytes), length)
}

fn name() -> impl Strategy<Value = Vec<u8>> {
    let known = select(vec![
        "connection",
        "Content-Length",
        "transfer-encoding",
        "TE",
        "Expect",
        "Cookie",
        "X-Request-Id",
        "x-forwarded-for",
        "x-envoy-upstream-service-time",
        "X-B3-TraceId",
        "proxy-authorization",
        "x-envoy-expected-rq-timeout-ms",
    ]);
    prop_oneof![
        2 => known.prop_map(|name| name.as_bytes().to_vec()),
        3 => text(b"abcXYZ019-_!", 1..40),
    ]
}

fn line() -> impl Strategy<Value = Vec<u8>> {
    let special = select(vec![
        "5",
        "chunked",
        "close",
        "keep-alive, a",
        "trailers",
        "",
    ]);
    let value = prop_oneof![
        1 => special.prop_map(|value| value.as_bytes().to_vec()),
        3 => text(b"abcXYZ019-/.: \xe4", 0..60),
    ];
    let colon = select(vec![": ", ": ", ": ", ":", ":  ", ":\t"]);
    let end = select(vec!["\r\n", "\r\n", "\r\n", "\r\n", " \r\n", "\t\r\n"]);
    (name(), colon, value, end).prop_map(|(name, colon, value, end)| {
        [&name, colon.as_bytes(), &value, end.as_bytes()].concat()
    })
}

/// A head with a few bytes replaced by such as decide something, and what may follow it.
fn head(first: impl Strategy<Value = Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    let spoiling = select(b" \t:/?#%.\\;,\"()[]{}@=_~\0\x01\x1f\x7f\x80\xff\r\na".as_slice());
    let spoiled = vec((any::<prop::sample::Index>(), spoiling), 0..3);
    let rest = prop_oneof![2 => Just(Vec::new()), 1 => vec(any::<u8>(), 0..40)];
    (first, vec(line(), 0..9), spoiled, rest).prop_map(|(first, lines, spoiled, rest)| {
        let mut bytes = [first, lines.concat(), b"\r\n".to_vec()].concat();
        for (place, byte) in spoiled {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        bytes.extend_from_slice(&rest);
        bytes
    })
}

fn request() -> impl Strategy<Value = Vec<u8>> {
    let method = select(vec![
        "GET", "POST", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS", "CONNECT", "GETS", "get",
        "PROPFIND", "\r\nGET",
    ]);
    let target = prop_oneof![
        8 => text(b"/abc.?", 0..70).prop_map(|text| [b"/".as_slice(), &text].concat()),
        1 => select(vec!["*", "http://a/", "https://a?b", "a", "/a/./b", "/..", "/%41", "/a\\b"])
            .prop_map(|target| target.as_bytes().to_vec()),
    ];
    let version = select(vec![
        "HTTP/1.1\r\n",
        "HTTP/1.1\r\n",
        "HTTP/1.1\r\n",
        "HTTP/1.1\r\n",
        "HTTP/1.1\r\n",
        "HTTP/1.0\r\n",
        "HTTP/1.1\n",
        "HTTP/1.1 \r\n",
    ]);
    let host = select(vec![
        "Host: a\r\n",
        "Host: a\r\n",
        "Host: a\r\n",
        "host:b.c:80\r\n",
        "",
    ]);
    head(
        (method, target, version, host).prop_map(|(method, target, version, host)| {
            [
                method.as_bytes(),
                b" ",
                &target,
                b" ",
                version.as_bytes(),
                host.as_bytes(),
            ]
            .concat()
        }),
    )
}

fn response() -> impl Strategy<Value = Vec<u8>> {
    let version = select(vec![
        "HTTP/1.1 ",
        "HTTP/1.1 ",
        "HTTP/1.1 ",
        "HTTP/1.0 ",
        "HTTP/2.0 ",
    ]);
    let status = select(vec![
        "200", "204", "304", "100", "101", "099", "20", "2000", "20x",
    ]);
    let reason = prop_oneof![
        1 => Just(Vec::new()),
        4 => text(b"abc OK\xe4", 0..40).prop_map(|text| [b" ".as_slice(), &text].concat()),
    ];
    head(
        (version, status, reason).prop_map(|(version, status, reason)| {
            [version.as_bytes(), status.as_bytes(), &reason, b"\r\n"].concat()
        }),
    )
}

/// Everything that a decoded request says, and what is written for it.
fn request_facts(head: &RequestHead, bytes: &[u8]) -> (String, Vec<u8>) {
    let target = head.path_and_query(bytes);
    let write = RequestWrite {
        target: &target,
        authority: head.authority(bytes),
        set: &[(Known::XRequestId, b"1")],
        append: &[(Known::XForwardedFor, b"1.2.3.4")],
        framing: head.framing(),
        ..RequestWrite::default()
    };
    let mut out = Vec::new();
    encode_request(&mut out, head, bytes, &write);
    let facts = format!(
        "{} {:?} {} {:?} {:?} {:?} {} {} {} {:?} {:?}",
        head.method(bytes),
        head.method_kind(),
        head.target(bytes),
        head.path(bytes),
        head.query(bytes),
        head.framing(),
        head.keep_alive(),
        head.expects_continue(),
        head.accepts_trailers(),
        head.canonical_path(bytes),
        head.headers(bytes).collect::<Vec<_>>(),
    );
    (facts, out)
}

fn response_facts(head: &ResponseHead, bytes: &[u8]) -> (String, Vec<u8>) {
    let write = ResponseWrite {
        set: &[(Known::XEnvoyUpstreamServiceTime, b"1")],
        framing: head.declared(),
        keep_alive: true,
        ..ResponseWrite::default()
    };
    let mut out = Vec::new();
    encode_response(&mut out, head, bytes, &write);
    let facts = format!(
        "{} {:?} {:?} {:?} {} {:?}",
        head.status(),
        head.reason(bytes),
        head.framing(),
        head.declared(),
        head.keep_alive(),
        head.headers(bytes).collect::<Vec<_>>(),
    );
    (facts, out)
}

type Fields = Vec<(String, Vec<u8>)>;

fn fields<'a>(headers: impl Iterator<Item = (&'a str, &'a [u8])>) -> Fields {
    headers
        .map(|(name, value)| (name.to_owned(), value.trim_ascii().to_vec()))
        .collect()
}

fn of_httparse(headers: &[httparse::Header<'_>]) -> Fields {
    fields(headers.iter().map(|header| (header.name, header.value)))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn requests(bytes in request()) {
        let mut quick = RequestHead::new();
        let verdict = quick.decode(&bytes, &LIMITS);
        let mut careful = RequestHead::new();
        let begun = careful.decode(&bytes[..1], &LIMITS);
        let careful_verdict = match begun {
            Ok(None) => careful.decode(&bytes, &LIMITS),
            begun => begun,
        };
        prop_assert_eq!(verdict, careful_verdict);
        let Ok(Some(length)) = verdict else {
            return Ok(());
        };
        prop_assert_eq!(request_facts(&quick, &bytes), request_facts(&careful, &bytes));
        let canonical = ringmain_core::path::canonical(quick.path(&bytes));
        prop_assert_eq!(quick.canonical_path(&bytes), canonical);

        let mut slots = [httparse::EMPTY_HEADER; 16];
        let mut other = httparse::Request::new(&mut slots);
        prop_assert_eq!(other.parse(&bytes), Ok(httparse::Status::Complete(length)));
        prop_assert_eq!(other.version, Some(1));
        prop_assert_eq!(other.method, Some(quick.method(&bytes)));
        prop_assert_eq!(other.path, Some(quick.target(&bytes)));
        prop_assert_eq!(of_httparse(other.headers), fields(quick.headers(&bytes)));
    }

    #[test]
    fn responses(bytes in response(), method in select(vec![MethodKind::Head, MethodKind::Other])) {
        let mut quick = ResponseHead::new();
        let verdict = quick.decode(&bytes, &LIMITS, method);
        let mut careful = ResponseHead::new();
        let careful_verdict = match careful.decode(&bytes[..1], &LIMITS, method) {
            Ok(None) => careful.decode(&bytes, &LIMITS, method),
            begun => begun,
        };
        prop_assert_eq!(verdict, careful_verdict);
        let Ok(Some(length)) = verdict else {
            return Ok(());
        };
        prop_assert_eq!(response_facts(&quick, &bytes), response_facts(&careful, &bytes));

        let mut slots = [httparse::EMPTY_HEADER; 16];
        let mut other = httparse::Response::new(&mut slots);
        prop_assert_eq!(other.parse(&bytes), Ok(httparse::Status::Complete(length)));
        prop_assert_eq!(other.code, Some(quick.status()));
        prop_assert_eq!(of_httparse(other.headers), fields(quick.headers(&bytes)));
    }
}

/// The properties say something only if enough of what is generated is accepted.
#[test]
fn enough_is_accepted() {
    use proptest::{strategy::ValueTree, test_runner::TestRunner};
    let mut runner = TestRunner::deterministic();
    let mut accepted = [0, 0];
    for _ in 0..1000 {
        let bytes = request()
            .new_tree(&mut runner)
            .expect("no filters")
            .current();
        let verdict = RequestHead::new().decode(&bytes, &LIMITS);
        accepted[0] += usize::from(matches!(verdict, Ok(Some(_))));
        let bytes = response()
            .new_tree(&mut runner)
            .expect("no filters")
            .current();
        let verdict = ResponseHead::new().decode(&bytes, &LIMITS, MethodKind::Other);
        accepted[1] += usize::from(matches!(verdict, Ok(Some(_))));
    }
    let is_fair = |count: &usize| (100..900).contains(count);
    assert!(accepted.iter().all(is_fair), "{accepted:?}");
}
