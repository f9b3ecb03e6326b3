//! What holds for all bytes.

use proptest::{
    collection::vec, prelude::*, sample::select, strategy::ValueTree, test_runner::TestRunner,
};
use ringmain_core::{
    header::Edits,
    http1::{
        BodyDecoder, Framing, Known, Limits, MethodKind, RequestHead, RequestWrite, ResponseHead,
        ResponseWrite, encode_chunk_head, encode_last_chunk, encode_request, encode_response,
    },
};

use crate::bodies::decode;

/// Small, so that generated heads reach them.
const LIMITS: Limits = Limits {
    head_bytes_max: 400,
    headers_max: 12,
    target_bytes_max: 60,
};

/// Lines that a head may hold.
const GOOD_LINES: &[&str] = &[
    "Connection: close",
    "Connection: keep-alive, X-One",
    "Connection: te",
    "TE: trailers",
    "X-One: 1",
    "x-two:2 ",
    "X-Three:",
    "Trailer: x",
    "X-Forwarded-For: 1.2.3.4",
    "x-forwarded-for:  4.3.2.1",
    "X-Own: theirs",
    "x-edit: theirs",
    "Upgrade: h2c",
    "Cookie: a=b",
    "User-Agent: \u{e4}",
];

/// Lines that a head may hold once, if at all.
const FRAMING_LINES: &[&str] = &[
    "x-none: 1",
    "Content-Length: 5",
    "content-length: 5, 5",
    "Transfer-Encoding: chunked",
    "Content-Length: 5\r\nExpect: 100-continue",
    "Transfer-Encoding: Chunked\r\nExpect: 100-continue",
];

/// Lines and line ends that spoil a head, or may.
const BAD_LINES: &[&str] = &[
    "Host: b",
    "host:a:80",
    "Content-Length: 6",
    "Content-Length: x",
    "Transfer-Encoding: gzip",
    "Transfer-Encoding: chunked",
    "Expect: x",
    " folded",
    "bad name: 1",
    "x : 1",
    "x: \0",
    "",
    "nothing",
    "x: \r1",
    "x: 1\nfoo: 2",
    "x: 1\n",
    "x: 1\r",
];

/// A head, complete and most often good, and what may follow it.
fn head_text(first_lines: &'static [&'static str]) -> impl Strategy<Value = Vec<u8>> {
    let good = vec(select(GOOD_LINES), 0..11);
    let bad = prop_oneof![3 => vec(select(BAD_LINES), 0), 2 => vec(select(BAD_LINES), 1..3)];
    let tail = vec(any::<u8>(), 0..8);
    let parts = (select(first_lines), good, select(FRAMING_LINES), bad, tail);
    let parts = parts.prop_flat_map(|(first, good, framing, bad, tail)| {
        let lines = [good, vec![framing], bad].concat();
        (Just(first), Just(lines).prop_shuffle(), Just(tail))
    });
    parts.prop_map(|(first, lines, tail)| {
        let mut bytes = format!("{first}\r\n").into_bytes();
        for line in lines {
            bytes.extend_from_slice(line.as_bytes());
            bytes.extend_from_slice(b"\r\n");
        }
        bytes.extend_from_slice(b"\r\n");
        bytes.extend_from_slice(&tail);
        bytes
    })
}

fn request_bytes() -> impl Strategy<Value = Vec<u8>> {
    let good = head_text(&[
        "GET / HTTP/1.1\r\nHost: a",
        "POST /path?query HTTP/1.1\r\nHOST:a",
        "POST http://a:80/x HTTP/1.1\r\nHost: A",
        "\r\nGET / HTTP/1.1\r\nHost: a",
        "OPTIONS * HTTP/1.1\r\nHost: a",
    ]);
    let bad = head_text(&["GET / HTTP/1.1", "GET / HTTP/1.0", "GET /", "\r\n", ""]);
    prop_oneof![6 => good, 1 => bad, 1 => vec(any::<u8>(), 0..500)]
}

fn response_bytes() -> impl Strategy<Value = Vec<u8>> {
    let good = head_text(&[
        "HTTP/1.1 200 OK",
        "HTTP/1.0 200",
        "HTTP/1.1 204 No Content",
        "HTTP/1.1 304 ",
        "HTTP/1.1 100 Continue",
    ]);
    let bad = head_text(&["HTTP/1.1 101 x", "HTTP/1.1 20", "HTTP/2.0 200", ""]);
    prop_oneof![6 => good, 1 => bad, 1 => vec(any::<u8>(), 0..500)]
}

/// A chunked body with mistakes here and there.
fn chunked_bytes() -> impl Strategy<Value = Vec<u8>> {
    let parts = vec(
        select(vec![
            "5\r\nhello\r\n",
            "1\r\nx\r\n",
            "a;ext=1\r\n0123456789\r\n",
            "0\r\n",
            "X: 1\r\n",
            "Host: a\r\n",
            "\r\n",
            "\n",
            "5\r\nhell\r\n",
            "0005\r\nhello\r\n",
            "ffffffffffffffff\r\n",
        ]),
        0..8,
    );
    let text = parts.prop_map(|parts| parts.concat().into_bytes());
    let good = vec(
        select(vec![
            "5\r\nhello\r\n",
            "a;e\r\n0123456789\r\n",
            "01\r\n\n\r\n",
        ]),
        0..6,
    );
    let good = good.prop_map(|chunks| {
        format!("{}0\r\nX: 1\r\nHost: a\r\n\r\nrest", chunks.concat()).into_bytes()
    });
    prop_oneof![2 => good, 3 => text, 1 => vec(any::<u8>(), 0..200)]
}

/// Lengths of prefixes, growing, that end with the whole.
fn prefixes(cuts: &[usize], length: usize) -> Vec<usize> {
    let mut prefixes: Vec<usize> = cuts.iter().map(|cut| cut % (length + 1)).collect();
    prefixes.sort_unstable();
    prefixes.push(length);
    prefixes
}

fn a_method() -> impl Strategy<Value = MethodKind> {
    select(vec![MethodKind::Head, MethodKind::Other])
}

/// What a decoded head says, apart from where it stands.
fn facts(head: &RequestHead, bytes: &[u8]) -> String {
    let headers: Vec<_> = head.headers(bytes).collect();
    format!(
        "{} {} {:?} {} {:?} {} {} {} {headers:?}",
        head.method(bytes),
        head.path(bytes),
        head.query(bytes),
        head.authority(bytes),
        head.framing(),
        head.keep_alive(),
        head.expects_continue(),
        head.accepts_trailers(),
    )
}

fn response_facts(head: &ResponseHead, bytes: &[u8]) -> String {
    let headers: Vec<_> = head.headers(bytes).collect();
    format!(
        "{} {:?} {:?} {:?} {} {headers:?}",
        head.status(),
        head.reason(bytes),
        head.framing(),
        head.declared(),
        head.keep_alive(),
    )
}

/// The properties say something only if enough of what is generated is accepted, and not all.
#[test]
fn generated_heads_are_of_both_kinds() {
    let mut runner = TestRunner::deterministic();
    let mut sample = |strategy: &BoxedStrategy<Vec<u8>>| {
        let tree = strategy.new_tree(&mut runner).expect("no filters");
        tree.current()
    };
    let (requests, responses) = (request_bytes().boxed(), response_bytes().boxed());
    let mut accepted = [0, 0];
    for _ in 0..1000 {
        let request = RequestHead::new().decode(&sample(&requests), &LIMITS);
        accepted[0] += usize::from(matches!(request, Ok(Some(_))));
        let response = sample(&responses);
        let response = ResponseHead::new().decode(&response, &LIMITS, MethodKind::Other);
        accepted[1] += usize::from(matches!(response, Ok(Some(_))));
    }
    assert!(
        accepted.iter().all(|count| (250..900).contains(count)),
        "{accepted:?}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn requests_decode_alike_however_cut(
        bytes in request_bytes(),
        cuts in vec(any::<usize>(), 0..6),
    ) {
        let mut whole = RequestHead::new();
        let verdict = whole.decode(&bytes, &LIMITS);
        let mut pieces = RequestHead::new();
        let mut last = Ok(None);
        for length in prefixes(&cuts, bytes.len()) {
            last = pieces.decode(&bytes[..length], &LIMITS);
            if last != Ok(None) {
                break;
            }
        }
        prop_assert_eq!(last, verdict);
        if let Ok(Some(length)) = verdict {
            prop_assert!(length <= bytes.len());
            prop_assert_eq!(facts(&whole, &bytes), facts(&pieces, &bytes));
            prop_assert_eq!(facts(&whole, &bytes), facts(&whole, &bytes[..length]));
        }
    }

    #[test]
    fn responses_decode_alike_however_cut(
        bytes in response_bytes(),
        cuts in vec(any::<usize>(), 0..6),
        method in a_method(),
    ) {
        let mut whole = ResponseHead::new();
        let verdict = whole.decode(&bytes, &LIMITS, method);
        let mut pieces = ResponseHead::new();
        let mut last = Ok(None);
        for length in prefixes(&cuts, bytes.len()) {
            last = pieces.decode(&bytes[..length], &LIMITS, method);
            if last != Ok(None) {
                break;
            }
        }
        prop_assert_eq!(last, verdict);
        if let Ok(Some(length)) = verdict {
            prop_assert_eq!(response_facts(&whole, &bytes), response_facts(&pieces, &bytes));
            prop_assert_eq!(response_facts(&whole, &bytes), response_facts(&whole, &bytes[..length]));
        }
    }

    /// Also: never panics, and ranges are in bounds (`decode` asserts it).
    #[test]
    fn bodies_decode_alike_however_cut(
        bytes in chunked_bytes(),
        lengths in vec(0..12_usize, 0..40),
        limit in select(vec![8, 20, u64::MAX]),
        framing in select(vec![
            Framing::Chunked, Framing::Chunked, Framing::Length(7), Framing::UntilClose, Framing::None,
        ]),
    ) {
        let decoder = BodyDecoder::new(framing).with_limit(limit);
        let whole = decode(decoder.clone(), &bytes, []);
        prop_assert_eq!(decode(decoder.clone(), &bytes, lengths), whole.clone());
        prop_assert_eq!(decode(decoder, &bytes, std::iter::repeat(1)), whole);
    }

    #[test]
    fn chunks_come_back(
        chunks in vec(vec(any::<u8>(), 1..300), 0..10),
        has_trailers in any::<bool>(),
        rest in vec(any::<u8>(), 0..20),
        lengths in vec(1..400_usize, 0..20),
    ) {
        let trailers: &[u8] = if has_trailers { b"X-Sum: 1\r\ny: 2\r\n" } else { b"" };
        let mut bytes = Vec::new();
        for chunk in &chunks {
            bytes.extend_from_slice(&encode_chunk_head(chunk.len()));
            bytes.extend_from_slice(chunk);
            bytes.extend_from_slice(b"\r\n");
        }
        encode_last_chunk(&mut bytes, trailers);
        let length = bytes.len();
        bytes.extend_from_slice(&rest);
        let body = decode(BodyDecoder::new(Framing::Chunked), &bytes, lengths);
        let body = body.expect("what was encoded is accepted");
        prop_assert!(body.done);
        prop_assert_eq!(body.consumed, length);
        prop_assert_eq!(body.data, chunks.concat());
        prop_assert_eq!(body.trailers, trailers);
    }

    #[test]
    fn written_requests_are_read_again(
        bytes in request_bytes(),
        values in vec(vec(any::<u8>(), 0..12), 3),
        target in any::<String>(),
    ) {
        let mut head = RequestHead::new();
        let Ok(Some(_)) = head.decode(&bytes, &Limits::default()) else {
            return Ok(());
        };
        let text = String::from_utf8_lossy(&values[2]).into_owned();
        let edits = Edits {
            authority: None,
            dropped: ["x-one", "x-edit"].into_iter().collect(),
            appended: [("X-Edit".into(), text.into())].into(),
        };
        let target = format!("/{target}");
        let write = RequestWrite {
            target: &target,
            authority: "new:80",
            untrusted: None,
            edits: &[&edits],
            set: &[(Known::XRequestId, &values[0])],
            append: &[(Known::XForwardedFor, &values[1])],
            framing: head.framing(),
            expect_continue: head.expects_continue(),
            upgrade: None,
        };
        let mut out = Vec::new();
        encode_request(&mut out, &head, &bytes, &write);
        let mut again = RequestHead::new();
        let limits = Limits { headers_max: 200, ..Limits::default() };
        let length = again.decode(&out, &limits).expect("accepted").expect("complete");
        prop_assert_eq!(length, out.len());
        prop_assert_eq!(again.framing(), head.framing());
        prop_assert_eq!(again.method(&out), head.method(&bytes));
        prop_assert_eq!(again.authority(&out), "new:80");
        prop_assert_eq!(again.accepts_trailers(), head.accepts_trailers());
        prop_assert_eq!(again.expects_continue(), head.expects_continue());
        prop_assert!(again.keep_alive());
        let received: Vec<String> = head
            .headers(&bytes)
            .map(|(name, _)| name.to_ascii_lowercase())
            .collect();
        for (name, _) in again.headers(&out) {
            let name = name.to_ascii_lowercase();
            let ours = ["host", "x-request-id", "x-forwarded-for", "x-edit"];
            let is_ours = ours.contains(&name.as_str());
            prop_assert!(is_ours || received.contains(&name) || name == "connection", "{}", name);
            prop_assert!(!["x-one", "upgrade"].contains(&name.as_str()), "{}", name);
        }
    }

    #[test]
    fn written_responses_are_read_again(bytes in response_bytes(), method in a_method()) {
        let mut head = ResponseHead::new();
        let Ok(Some(_)) = head.decode(&bytes, &Limits::default(), method) else {
            return Ok(());
        };
        let framing = match head.framing() {
            Framing::UntilClose => Framing::Chunked,
            framing => framing,
        };
        let write = ResponseWrite {
            framing,
            request: method,
            keep_alive: true,
            ..ResponseWrite::default()
        };
        let mut out = Vec::new();
        encode_response(&mut out, &head, &bytes, &write);
        let mut again = ResponseHead::new();
        let verdict = again.decode(&out, &Limits::default(), method);
        prop_assert_eq!(verdict, Ok(Some(out.len())));
        prop_assert_eq!(again.framing(), framing);
        prop_assert_eq!(again.status(), head.status());
        prop_assert!(again.keep_alive());
        let received: Vec<&str> = head.headers(&bytes).map(|(name, _)| name).collect();
        for (name, _) in again.headers(&out) {
            let is_known = received.iter().any(|other| other.eq_ignore_ascii_case(name));
            prop_assert!(is_known || name == "transfer-encoding", "{}", name);
        }
    }
}
