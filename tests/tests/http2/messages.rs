//! What arrives of a request and its answer in each of the four pairs.

use ringmain_tests::{Io, message::Fields, noise::noise};

use super::pair::{Body, Client, Content, Exchange, PAIRS, Pairs, Seen, Speaks, mesh};

/// Fields that a proxy adds on its own.
const ADDED_UP: [&str; 5] = [
    "x-request-id",
    "x-forwarded-for",
    "x-forwarded-proto",
    "x-envoy-attempt-count",
    "x-envoy-expected-rq-timeout-ms",
];

const NOTHING: Content = Content {
    fields: &[],
    body: Body::None,
    trailers: &[],
};

const HOPS: &[&str] = &[
    "connection",
    "keep-alive",
    "proxy-connection",
    "transfer-encoding",
    "upgrade",
    "te",
];

fn ok(body: Body) -> Content {
    Content { body, ..NOTHING }
}

fn exchange(name: &'static str, method: &'static str, body: Body) -> Exchange {
    Exchange {
        name,
        method,
        request: ok(body),
        interim: &[],
        status: 200,
        answer: ok(Body::Of(b"answer".to_vec())),
    }
}

fn answered(name: &'static str, status: u16, body: Body) -> Exchange {
    Exchange {
        status,
        answer: ok(body),
        ..exchange(name, "GET", Body::None)
    }
}

fn parts(count: usize, bytes: usize) -> Body {
    Body::Parts(vec![noise(bytes); count])
}

fn bodies() -> Vec<Exchange> {
    vec![
        exchange("no bodies", "GET", Body::None),
        exchange("a short body", "POST", Body::Of(b"short".to_vec())),
        exchange("an empty body", "PUT", Body::Of(Vec::new())),
        exchange("3 MB", "POST", Body::Of(noise(3_000_000))),
        exchange("of unknown length", "POST", parts(3, 10)),
        exchange("of unknown length, and long", "POST", parts(50, 20_000)),
        exchange(
            "of unknown length, and empty",
            "POST",
            Body::Parts(vec![Vec::new()]),
        ),
        exchange(
            "a body that nobody expects",
            "DELETE",
            Body::Of(b"x".to_vec()),
        ),
        answered("an answer of 3 MB", 200, Body::Of(noise(3_000_000))),
        answered("an empty answer", 200, Body::Of(Vec::new())),
        answered("an answer of unknown length", 200, parts(3, 10)),
        answered("a long answer of unknown length", 200, parts(50, 20_000)),
        answered(
            "an empty answer of unknown length",
            200,
            Body::Parts(vec![Vec::new()]),
        ),
        answered("no content", 204, Body::None),
        answered("not modified", 304, Body::None),
        answered("not modified, of some length", 304, Body::Said(99)),
        answered("a status that nobody knows", 299, Body::Of(b"x".to_vec())),
        Exchange {
            status: 404,
            answer: ok(Body::Said(0)),
            ..exchange("without a body, which is said", "GET", Body::None)
        },
        Exchange {
            method: "HEAD",
            ..answered("the head of something", 200, Body::Said(5000))
        },
        Exchange {
            method: "HEAD",
            ..answered("the head of something of unknown length", 200, Body::None)
        },
        Exchange {
            method: "PURGE",
            ..answered("a method that nobody knows", 200, Body::Of(b"x".to_vec()))
        },
        Exchange {
            answer: ok(Body::Of(noise(100_000))),
            ..exchange("bodies both ways", "POST", Body::Of(noise(100_000)))
        },
    ]
}

fn fields() -> Vec<Exchange> {
    let with = |name, request: Pairs, answer: Pairs| Exchange {
        request: Content {
            fields: request,
            ..NOTHING
        },
        answer: Content {
            fields: answer,
            body: Body::Of(b"x".to_vec()),
            ..NOTHING
        },
        ..exchange(name, "GET", Body::None)
    };
    vec![
        with(
            "fields of all kinds",
            &[
                ("user-agent", "me"),
                ("x-empty", ""),
                ("x-twice", "1"),
                ("x-twice", "2"),
                ("authorization", "Basic QQ=="),
                ("x-quote", "\"a, b\"; c=d"),
                ("x-utf8", "h\u{e9}"),
                ("accept-encoding", "gzip, br"),
            ],
            &[
                ("set-cookie", "a=b; Path=/"),
                ("set-cookie", "c=d"),
                ("x-empty", ""),
                ("vary", "a"),
                ("vary", "b"),
                ("date", "Mon, 23 Nov 2026 19:48:36 GMT"),
            ],
        ),
        with("a request id is kept", &[("x-request-id", "of mine")], &[]),
        with("te asks for trailers", &[("te", "trailers")], &[]),
        Exchange {
            interim: &[
                (103, &[("link", "</a.css>"), ("x-hint", "1")]),
                (103, &[("link", "</b.css>")]),
            ],
            ..with("early hints", &[], &[("link", "</c.css>")])
        },
        Exchange {
            interim: &[(102, &[]), (103, &[])],
            ..answered("interim answers before no content", 204, Body::None)
        },
    ]
}

/// What an exchange of HTTP/1 says of its connection, and one of HTTP/2 must not say.
fn hops() -> Vec<Exchange> {
    vec![Exchange {
        request: Content {
            fields: &[
                ("connection", "keep-alive, x-hop"),
                ("keep-alive", "timeout=5"),
                ("proxy-connection", "keep-alive"),
                ("x-hop", "1"),
                ("te", "gzip"),
                ("x-end", "2"),
            ],
            ..NOTHING
        },
        answer: Content {
            fields: &[
                ("connection", "keep-alive"),
                ("keep-alive", "timeout=5"),
                ("proxy-connection", "keep-alive"),
                ("x-end", "2"),
            ],
            body: Body::Of(b"x".to_vec()),
            ..NOTHING
        },
        ..exchange("of the connection", "GET", Body::None)
    }]
}

fn trailers() -> Vec<Exchange> {
    const TRAILERS: Pairs = &[("x-sum", "1"), ("grpc-status", "0"), ("x-last", "a, b")];
    const TE: Pairs = &[("trailer", "x-sum, x-last"), ("te", "trailers")];
    let behind = |name, up: Body, down: Body| Exchange {
        request: Content {
            fields: TE,
            body: up,
            trailers: TRAILERS,
        },
        answer: Content {
            fields: &[("trailer", "x-sum")],
            body: down,
            trailers: TRAILERS,
        },
        ..exchange(name, "POST", Body::None)
    };
    vec![
        behind("trailers", parts(2, 10), parts(2, 10)),
        behind(
            "trailers of long bodies",
            parts(40, 20_000),
            parts(40, 20_000),
        ),
        behind(
            "trailers of empty bodies",
            Body::Parts(vec![Vec::new()]),
            Body::Parts(vec![Vec::new()]),
        ),
    ]
}

pub(crate) fn whatever_is_sent_arrives(io: Io) {
    let exchanges = [bodies(), fields(), trailers()].concat();
    for pair in PAIRS {
        let (mesh, origin) = mesh(io, pair, &exchanges);
        let mut client = Client::of(&mesh, pair);
        for (index, exchange) in exchanges.iter().enumerate() {
            let answer = client.exchange(index, exchange);
            let request = origin.requests().pop().unwrap();
            check(exchange, pair, &Seen { request, answer });
            // What is answered whole leaves a connection that carries the next.
            let connections = origin.connections();
            assert_eq!(connections, 1, "{} with {pair:?}", exchange.name);
        }
        drop(client);
        let lines = mesh.finish();
        assert_eq!(lines.len(), exchanges.len());
        for (line, exchange) in lines.iter().zip(&exchanges) {
            let name = format!("{}, {pair:?}: {}", exchange.name, line.text);
            assert_eq!(line.verdict(), format!("{} -", exchange.status), "{name}");
            let protocol = match pair.0 {
                Speaks::Http1 => "HTTP/1.1",
                Speaks::Http2 => "HTTP/2",
            };
            assert_eq!(line.get("protocol"), protocol, "{name}");
            let counted = (line.number("bytes_received"), line.number("bytes_sent"));
            let bytes = |content: &Content| content.body.bytes().len() as u64;
            let sent = (bytes(&exchange.request), bytes(&exchange.answer));
            assert_eq!(counted, sent, "{name}");
        }
    }
}

pub(crate) fn connection_fields_stay_behind(io: Io) {
    for pair in PAIRS {
        // A client of HTTP/2 that says such things is refused, and so is an origin.
        if pair.0 == Speaks::Http2 || pair.1 == Speaks::Http2 {
            continue;
        }
        let exchanges = hops();
        let (mesh, origin) = mesh(io, pair, &exchanges);
        let mut client = Client::of(&mesh, pair);
        let answer = client.exchange(0, &exchanges[0]);
        for name in HOPS.iter().chain(&["x-hop"]) {
            assert_eq!(origin.request().get(name), None, "{name}");
            assert_eq!(answer.get(name), None, "{name}");
        }
        drop(client);
        mesh.finish_one();
    }
}

fn check(exchange: &Exchange, pair: super::pair::Pair, seen: &Seen) {
    let name = format!("{} with {pair:?}", exchange.name);
    let Seen { request, answer } = seen;
    assert_eq!(answer.status(), exchange.status, "{name}: {answer:?}");
    assert!(request.body == exchange.request.body.bytes(), "{name}");
    assert!(answer.body == exchange.answer.body.bytes(), "{name}");
    let interim: Vec<_> = exchange.interim.iter().map(|(status, _)| *status).collect();
    assert_eq!(answer.interim, interim, "{name}");
    let authority = match pair.1 {
        Speaks::Http1 => "host",
        Speaks::Http2 => ":authority",
    };
    assert_eq!(request.get(authority), Some("example.test"), "{name}");

    let up = own(&request.fields, &ADDED_UP, exchange.request.fields);
    assert_eq!(up, sent(exchange.request.fields), "{name}");
    let down = own(
        &answer.fields,
        &["x-envoy-upstream-service-time", "server", "date"],
        exchange.answer.fields,
    );
    assert_eq!(down, sent(exchange.answer.fields), "{name}");
    check_date(&name, answer.get("date"));
    assert_eq!(
        request.trailers.0,
        sent(exchange.request.trailers),
        "{name}"
    );
    assert_eq!(answer.trailers.0, sent(exchange.answer.trailers), "{name}");

    lengths(&name, &exchange.request.body, &request.fields, pair.1);
    lengths(&name, &exchange.answer.body, &answer.fields, pair.0);
}

/// Whoever passes on an answer without a date gives it one (RFC 9110 section 6.6.1).
fn check_date(name: &str, date: Option<&str>) {
    let date = date.unwrap_or_else(|| panic!("{name}: no date"));
    let is_date = date.len() == 29 && date.contains(", ") && date.ends_with(" GMT");
    assert!(is_date, "{name}: {date:?}");
}

/// What is said of a body's length on either side: what its sender said, or that nobody knows.
fn lengths(name: &str, body: &Body, seen: &Fields, speaks: Speaks) {
    let expected = match body {
        Body::Of(bytes) => Some(bytes.len().to_string()),
        Body::Said(bytes) => Some(bytes.to_string()),
        Body::None | Body::Parts(_) => None,
    };
    let length = seen.get("content-length");
    // Whoever sees the end already may say so.
    let may_say_none = length == Some("0") && body.bytes().is_empty();
    assert!(
        may_say_none || length == expected.as_deref(),
        "{name}: {seen:?}"
    );
    if speaks == Speaks::Http2 {
        assert_eq!(seen.get("transfer-encoding"), None, "{name}");
    }
}

fn sent(pairs: Pairs) -> Vec<(String, String)> {
    let owned = pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    owned.collect()
}

/// Those that the sender chose.
fn own(fields: &Fields, added: &[&str], sent: Pairs) -> Vec<(String, String)> {
    let of_framing = ["host", "content-length", "transfer-encoding"];
    let was_sent = |name: &str| sent.iter().any(|(other, _)| *other == name);
    let own = fields.0.iter().filter(|(name, value)| {
        let name = name.as_str();
        // RFC 9110 section 10.1.4: it is about this connection.
        if (name, value.as_str()) == ("connection", "te") {
            return false;
        }
        let is_added = added.contains(&name) && !was_sent(name);
        !name.starts_with(':') && !of_framing.contains(&name) && !is_added
    });
    own.cloned().collect()
}
