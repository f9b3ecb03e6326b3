//! What holds for all heads.

use std::collections::{BTreeMap, btree_map::Entry};

use http::{HeaderMap, Request, Response, request};
use proptest::{collection::vec, prelude::*, sample::select};
use ringmain_config::route::{HeaderEdits, HeaderValue};
use ringmain_config::tuning::UnderscoresInHeaders;
use ringmain_core::{
    header::Edits,
    http1::{
        Framing, Known, Limits, MethodKind, Reject, RequestHead, RequestWrite, ResponseHead,
        ResponseWrite, encode_request, encode_response,
    },
    http2::{
        ReceivedRequest, ReceivedResponse, Scheme, request as make_request, request_text,
        response as make_response, response_text, trailer_map, trailers_text,
    },
};

use crate::{decode, fields, list};

/// Small, so that generated heads reach them.
const LIMITS: Limits = Limits {
    head_bytes_max: 400,
    headers_max: 12,
    target_bytes_max: 60,
};

/// Names that go on whatever they say, ones that do not, and ones that are looked at.
const NAMES: &[&str] = &[
    "accept",
    "x-a",
    "x-b",
    "cookie",
    "set-cookie",
    "user-agent",
    "x-forwarded-for",
    "via",
    "proxy-authorization",
    "http2-settings",
    "trailer",
];
const LOOKED_AT: &[(&str, &str)] = &[
    ("x-none", "1"),
    ("te", "trailers"),
    ("te", "gzip"),
    ("content-length", "5"),
    ("content-length", "0"),
    ("content-length", "x"),
    ("host", "a"),
    ("host", "b"),
    ("expect", "100-continue"),
    ("connection", "close"),
    ("transfer-encoding", "chunked"),
    ("x-a", " 1"),
];

fn a_list() -> impl Strategy<Value = Vec<(&'static str, String)>> {
    let plain = (select(NAMES), "[!-~]([ -~\t\u{e4}]{0,8}[!-~])?|");
    let looked_at = select(LOOKED_AT).prop_map(|(name, value)| (name, value.to_owned()));
    let lists = (vec(plain, 0..9), vec(looked_at, 0..2));
    lists
        .prop_map(|(plain, looked_at)| [plain, looked_at].concat())
        .prop_shuffle()
}

fn a_map() -> impl Strategy<Value = HeaderMap> {
    a_list().prop_map(|list| {
        let list: Vec<_> = list
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        fields(&list)
    })
}

fn request_parts() -> impl Strategy<Value = request::Parts> {
    let methods = select(vec!["GET", "POST", "HEAD", "OPTIONS", "X"]);
    let uris = "(http|https)://[a-z]{1,5}(:80)?/[!-\"$-;=?-_a-z|~]{0,20}|/[a-z]{0,5}|ftp://a/";
    (methods, uris, a_map()).prop_filter_map("not a URI", |(method, uri, headers)| {
        let request = Request::builder().method(method).uri(uri).body(());
        let mut parts = request.ok()?.into_parts().0;
        parts.headers = headers;
        Some(parts)
    })
}

/// What goes on of a map, joined by name as its receiver may do.
fn passed(map: &HeaderMap, skip: &[&str]) -> BTreeMap<String, String> {
    let mut passed = BTreeMap::<String, String>::new();
    for (name, value) in list(map) {
        let known = Known::of(name.as_bytes());
        if known.is_some_and(Known::is_connection_bound) || skip.contains(&name.as_str()) {
            continue;
        }
        let separator = if name == "cookie" { "; " } else { "\n" };
        match passed.entry(name) {
            Entry::Vacant(entry) => {
                entry.insert(value);
            }
            Entry::Occupied(mut entry) => {
                let is_empty = entry.get().is_empty() || value.is_empty();
                if separator == "\n" || !is_empty {
                    entry.get_mut().push_str(separator);
                }
                entry.get_mut().push_str(&value);
            }
        }
    }
    passed
}

fn an_edit() -> Edits {
    let field = |name: &str, value: &str| HeaderValue {
        name: name.to_owned(),
        value: value.to_owned(),
    };
    Edits::compile(&HeaderEdits {
        authority: None,
        remove: vec!["user-agent".to_owned(), "x-request-id".to_owned()],
        set: vec![field("X-A", "set")],
        add: vec![field("accept", "added")],
    })
    .expect("valid")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    /// Whatever is accepted keeps everything that may go on, and nothing else.
    #[test]
    fn requests_go_on_as_they_came(parts in request_parts(), end_of_stream: bool) {
        let received = ReceivedRequest { extended: None, end_of_stream };
        let mut text = Vec::new();
        let written = request_text(&mut text, &parts, received, &LIMITS);
        let Ok(scheme) = written else {
            prop_assert!(text.is_empty());
            return Ok(());
        };
        let Ok(head) = decode(&text, &LIMITS) else {
            return Ok(());
        };
        let has_none = matches!(head.framing(), Framing::None | Framing::Length(0));
        prop_assert!(has_none || !end_of_stream);
        prop_assert!(head.framing() != Framing::None || end_of_stream);
        let target = head.path_and_query(&text);
        let write = RequestWrite {
            target: &target,
            authority: head.authority(&text),
            framing: head.framing(),
            expect_continue: head.expects_continue(),
            ..RequestWrite::default()
        };
        let scheme = scheme.unwrap_or(Scheme::Http);
        let made = make_request(&head, &text, &write, scheme).expect("valid");
        prop_assert_eq!(made.method(), &parts.method);
        prop_assert_eq!(made.uri().path_and_query(), parts.uri.path_and_query());
        if let Some(authority) = parts.uri.authority() {
            prop_assert_eq!(made.uri().authority(), Some(authority));
        }
        let skip: &[&str] = match head.framing() {
            Framing::Chunked => &[],
            _ => &["trailer"],
        };
        prop_assert_eq!(passed(made.headers(), skip), passed(&parts.headers, skip));
        let same = |name: &str| made.headers().get(name) == parts.headers.get(name);
        prop_assert!(same("te") && same("content-length"));
        prop_assert!(!made.headers().contains_key("host"));
        prop_assert!(!made.headers().contains_key("transfer-encoding"));
    }

    #[test]
    fn responses_go_on_as_they_came(
        status in select(vec![200_u16, 204, 304, 404, 503, 103]),
        headers in a_map(),
        end_of_stream: bool,
        is_head: bool,
    ) {
        let mut parts = Response::builder().status(status).body(()).expect("valid").into_parts().0;
        parts.headers = headers;
        let request = if is_head { MethodKind::Head } else { MethodKind::Other };
        let received = ReceivedResponse { request, upgrade: None, end_of_stream };
        let mut text = Vec::new();
        if response_text(&mut text, &parts, received, &LIMITS).is_err() {
            prop_assert!(text.is_empty());
            return Ok(());
        }
        let mut head = ResponseHead::new();
        match head.decode(&text, &LIMITS, request) {
            Err(_) => return Ok(()),
            Ok(length) => prop_assert_eq!(length, Some(text.len())),
        }
        prop_assert!(head.framing() != Framing::UntilClose);
        if end_of_stream {
            prop_assert!(matches!(head.framing(), Framing::None | Framing::Length(0)));
        }
        let write = ResponseWrite { framing: head.framing(), request, ..ResponseWrite::default() };
        let made = make_response(&head, &text, &write);
        prop_assert_eq!(made.status().as_u16(), status);
        let skip = &["trailer"];
        let kept = passed(made.headers(), skip);
        prop_assert_eq!(kept, passed(&parts.headers, skip));
    }

    /// Both encoders send the same fields on, whatever came, is set, appended or edited.
    #[test]
    fn the_encoders_agree(
        list in a_list(),
        append: bool,
        edited: bool,
        is_chunked: bool,
    ) {
        let lines: String = list
            .iter()
            .filter(|(name, _)| !matches!(*name, "host" | "content-length" | "transfer-encoding"))
            .map(|(name, value)| format!("{}: {value}\r\n", name.to_uppercase()))
            .collect();
        let text = format!("GET / HTTP/1.1\r\nHost: a\r\n{lines}\r\n");
        let mut head = RequestHead::new();
        let limits = Limits::default();
        prop_assume!(head.decode(text.as_bytes(), &limits) == Ok(Some(text.len())));
        let edits = an_edit();
        let edits = [&edits];
        let write = RequestWrite {
            target: "/",
            authority: "a",
            edits: if edited { &edits } else { &[] },
            set: &[(Known::Via, b"own"), (Known::XRequestId, b"own")],
            append: if append { &[(Known::XForwardedFor, b"1.2.3.4")] } else { &[] },
            framing: if is_chunked { Framing::Chunked } else { Framing::None },
            ..RequestWrite::default()
        };
        let mut written = Vec::new();
        encode_request(&mut written, &head, text.as_bytes(), &write);
        let mut again = RequestHead::new();
        prop_assert_eq!(again.decode(&written, &limits), Ok(Some(written.len())));
        let by_text: Vec<_> = again
            .headers(&written)
            .filter(|(name, _)| !Known::of(name.as_bytes()).is_some_and(Known::is_connection_bound))
            .map(|(name, value)| (name.to_lowercase(), String::from_utf8_lossy(value).into_owned()))
            .collect();
        let made = make_request(&head, text.as_bytes(), &write, Scheme::Http).expect("valid");
        prop_assert_eq!(sorted(by_text), sorted(without_bound(made.headers())));

        let answer = format!("HTTP/1.1 200 OK\r\n{lines}\r\n");
        let mut head = ResponseHead::new();
        prop_assume!(head.decode(answer.as_bytes(), &limits, MethodKind::Other).is_ok());
        let write = ResponseWrite {
            edits: write.edits,
            set: write.set,
            append: write.append,
            framing: write.framing,
            request: MethodKind::Other,
            keep_alive: true,
        };
        let mut written = Vec::new();
        encode_response(&mut written, &head, answer.as_bytes(), &write);
        let mut again = ResponseHead::new();
        let length = again.decode(&written, &limits, MethodKind::Other);
        prop_assert_eq!(length, Ok(Some(written.len())));
        let by_text: Vec<_> = again
            .headers(&written)
            .filter(|(name, _)| !Known::of(name.as_bytes()).is_some_and(Known::is_connection_bound))
            .map(|(name, value)| (name.to_lowercase(), String::from_utf8_lossy(value).into_owned()))
            .collect();
        let made = make_response(&head, answer.as_bytes(), &write);
        prop_assert_eq!(sorted(by_text), sorted(without_bound(made.headers())));
    }

    #[test]
    fn trailers_come_back(map in a_map()) {
        let mut text = Vec::new();
        if trailers_text(&mut text, &map, &LIMITS, UnderscoresInHeaders::Allow).is_err() {
            prop_assert!(text.is_empty());
            return Ok(());
        }
        let back = trailer_map(&text);
        let mut again = Vec::new();
        let written = trailers_text(&mut again, &back, &LIMITS, UnderscoresInHeaders::Allow);
        prop_assert_eq!(written, Ok(()));
        prop_assert_eq!(text, again);
        for name in back.keys() {
            prop_assert_eq!(
                back.get_all(name).iter().collect::<Vec<_>>(),
                map.get_all(name).iter().collect::<Vec<_>>()
            );
        }
    }
}

fn without_bound(map: &HeaderMap) -> Vec<(String, String)> {
    let mut list = list(map);
    list.retain(|(name, _)| !Known::of(name.as_bytes()).is_some_and(Known::is_connection_bound));
    list
}

/// By name; what is of one name keeps its order.
fn sorted(mut list: Vec<(String, String)>) -> Vec<(String, String)> {
    list.sort_by(|(one, _), (other, _)| one.cmp(other));
    list
}

/// The properties say something only if enough of what is generated is accepted, and not all.
#[test]
fn generated_requests_are_of_both_kinds() {
    use proptest::{strategy::ValueTree, test_runner::TestRunner};
    let mut runner = TestRunner::deterministic();
    let strategy = request_parts();
    let mut accepted = 0;
    for _ in 0..1000 {
        let parts = strategy.new_tree(&mut runner).expect("valid").current();
        let mut text = Vec::new();
        let written = request_text(&mut text, &parts, ReceivedRequest::default(), &LIMITS);
        let verdict: Result<_, Reject> = written.and_then(|_| decode(&text, &LIMITS));
        accepted += usize::from(verdict.is_ok());
    }
    assert!((250..900).contains(&accepted), "{accepted}");
}
