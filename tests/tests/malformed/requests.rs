//! Holds the tables of requests against the binary.

use ringmain_tests::{
    Io,
    client::Client,
    mesh::Mesh,
    message::Message,
    origin::{Conversation, Origin},
    wait,
};

use crate::{
    case::{Case, Outcome, chunked},
    chunks, fields, framing, lines,
};

/// Stands behind everything that is refused, and must never be served.
const EVIL: &[u8] = b"GET /evil HTTP/1.1\r\nhost: a\r\n\r\n";

/// Stands behind everything that passes, and must be served as what it is.
const NEXT: &[u8] = b"GET /next HTTP/1.1\r\nhost: a\r\n\r\n";

/// Bytes that certainly arrive together.
const ONE_RECEIVE: usize = 4000;

/// Each connection of the origin carries one request, and all that came on it is kept: what was
/// forwarded can be told apart, and what was smuggled behind it is seen.
fn origin() -> Origin {
    Origin::start(|conversation: &mut Conversation| {
        if conversation.request().is_ok() {
            conversation
                .send("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok");
        }
        conversation.wait_for_end();
    })
}

/// Reasons why requests were refused, or nothing, in the order of the log's lines.
#[derive(Default)]
struct Log(Vec<(&'static str, String)>);

impl Log {
    fn expect(&mut self, case: &'static str, details: impl Into<String>) {
        self.0.push((case, details.into()));
    }

    fn compare(self, mesh: Mesh) {
        let lines = mesh.finish();
        let found = lines.iter().map(|line| line.get("response_code_details"));
        for ((case, expected), found) in self.0.iter().zip(found) {
            assert_eq!(found, expected, "{case}");
        }
        assert_eq!(lines.len(), self.0.len());
    }
}

/// All of them.
pub(crate) fn tables() -> [Vec<Case>; 4] {
    [lines::all(), fields::all(), framing::all(), chunks::all()]
}

pub(crate) fn tables_of_requests(io: Io) {
    let origin = origin();
    let mesh = Mesh::to(io, &origin);
    let mut log = Log::default();
    for case in tables().iter().flatten() {
        let seen_before = origin.connections();
        let mut client = mesh.client();
        match &case.outcome {
            Outcome::Refused(status, reason) => {
                refuse(&mut client, case, *status);
                // A body that does not come at once may have begun to go on.
                let is_long = case.bytes.len() > ONE_RECEIVE;
                for connection in seen_before..origin.connections() {
                    let seen = origin.received(connection);
                    assert!(is_long, "{}: {}", case.name, seen.escape_ascii());
                    assert_ends_there(&seen, b"", case.name);
                }
                log.expect(case.name, details(reason));
            }
            Outcome::Passes(expected) => {
                pass(&mut client, case, true);
                compare(&origin, seen_before, case, expected);
                compare(&origin, seen_before + 1, case, NEXT);
                assert_eq!(origin.connections(), seen_before + 2, "{}", case.name);
                log.expect(case.name, "via_upstream");
                log.expect(case.name, "via_upstream");
            }
            Outcome::PassesAndEnds(expected) => {
                pass(&mut client, case, false);
                compare(&origin, seen_before, case, expected);
                assert_eq!(origin.connections(), seen_before + 1, "{}", case.name);
                log.expect(case.name, "via_upstream");
            }
        }
    }
    log.compare(mesh);
}

/// As the log says it.
fn details(reason: &str) -> String {
    match reason.contains('.') {
        true => reason.to_owned(),
        false => format!("http1.{reason}"),
    }
}

fn response(client: &mut Client, method: &str, case: &Case) -> Message {
    let response = client.wire.response(method);
    response.unwrap_or_else(|broken| panic!("{}: {broken}", case.name))
}

fn refuse(client: &mut Client, case: &Case, status: u16) {
    // Refused before all of it was sent, perhaps.
    drop(client.wire.send([&case.bytes, EVIL].concat()));
    let answer = response(client, "GET", case);
    assert_eq!(answer.status(), status, "{}: {}", case.name, answer.text());
    assert!(answer.closes(), "{}", case.name);
    client.expect_end();
}

fn pass(client: &mut Client, case: &Case, stays: bool) {
    client.send([&case.bytes, NEXT].concat());
    let is_head = case.bytes.starts_with(b"HEAD ");
    let answer = response(client, if is_head { "HEAD" } else { "GET" }, case);
    assert_eq!(answer.status(), 200, "{}: {}", case.name, answer.text());
    assert_eq!(answer.closes(), !stays, "{}", case.name);
    if stays {
        assert_eq!(response(client, "GET", case).text(), "ok", "{}", case.name);
    } else {
        client.expect_end();
    }
}

/// The origin saw these bytes, and what every proxy adds.
fn compare(origin: &Origin, connection: usize, case: &Case, expected: &[u8]) {
    let seen = without_own(&origin.received(connection), &case.bytes);
    assert_eq!(
        seen.escape_ascii().to_string(),
        expected.escape_ascii().to_string(),
        "{}",
        case.name
    );
}

/// A head without the fields that the proxy sets by itself, unless the client sent one; and the
/// body behind it.
fn without_own(seen: &[u8], sent: &[u8]) -> Vec<u8> {
    const OWN: [&str; 4] = [
        "x-request-id: ",
        "x-forwarded-proto: ",
        "x-forwarded-for: ",
        "x-envoy-",
    ];
    let end = seen.windows(4).position(|window| window == b"\r\n\r\n");
    let (head, body) = seen.split_at(end.map_or(seen.len(), |end| end + 2));
    let sent = sent.to_ascii_lowercase();
    let sent_end = sent.windows(4).position(|window| window == b"\r\n\r\n");
    let sent = &sent[..sent_end.unwrap_or(sent.len())];
    let is_sent = |own: &str| {
        let mut places = sent.windows(own.len());
        places.any(|window| window == own.as_bytes())
    };
    let is_own = |line: &&[u8]| {
        let mut own = OWN.iter().filter(|own| !is_sent(own));
        own.any(|own| line.starts_with(own.as_bytes()))
    };
    let lines = head.split_inclusive(|byte| *byte == b'\n');
    let mut kept: Vec<u8> = lines
        .filter(|line| !is_own(line))
        .flatten()
        .copied()
        .collect();
    kept.extend_from_slice(body);
    kept
}

/// A body that goes wrong when its beginning is at the origin already: nothing more of it gets
/// there, so the request is never complete.
pub(crate) fn chunks_behind_what_was_forwarded(io: Io) {
    let origin = origin();
    let mesh = Mesh::to(io, &origin);
    let mut log = Log::default();
    let head = chunked("");
    for case in &chunks::all() {
        let Outcome::Refused(status, reason) = &case.outcome else {
            continue;
        };
        let body = &case.bytes[head.len()..];
        let connection = origin.connections();
        let mut client = mesh.client();
        client.send(chunked("5\r\nfirst\r\n"));
        let expected = chunked("5\r\nfirst\r\n");
        wait::until(format!("the first chunk of {:?}", case.name), || {
            if origin.connections() == connection {
                return Err("no connection".to_owned());
            }
            let seen = without_own(&origin.received(connection), &[]);
            match seen == expected {
                true => Ok(()),
                false => Err(seen.escape_ascii().to_string()),
            }
        });
        drop(client.wire.send([body, EVIL].concat()));
        let answer = response(&mut client, "POST", case);
        assert_eq!(answer.status(), *status, "{}: {}", case.name, answer.text());
        assert!(answer.closes(), "{}", case.name);
        client.expect_end();
        origin.wait_for_end_of_connections();
        let seen = without_own(&origin.received(connection), &[]);
        assert_ends_there(&seen, &expected, case.name);
        log.expect(case.name, details(reason));
    }
    assert!(origin.requests().is_empty(), "{:?}", origin.requests());
    log.compare(mesh);
}

/// What was received in one piece before the mistake may still have gone on; no end of a body has.
fn assert_ends_there(seen: &[u8], expected: &[u8], case: &str) {
    let text = seen.escape_ascii().to_string();
    let behind = seen.strip_prefix(expected);
    let behind = behind.unwrap_or_else(|| panic!("{case}: {text}"));
    assert!(
        !behind.windows(4).any(|window| window == b"evil"),
        "{case}: {text}"
    );
    assert!(
        !behind.windows(5).any(|window| window == b"\r\n0\r\n"),
        "{case}: {text}"
    );
    assert!(!behind.starts_with(b"0\r\n"), "{case}: {text}");
}

/// The client says no more within a message: it is not answered as if it were whole, and not
/// complete at the origin.
pub(crate) fn requests_that_end_too_early(io: Io) {
    let origin = origin();
    let mesh = Mesh::to(io, &origin);
    let bodies = [
        "content-length: 5\r\n\r\nabc",
        "content-length: 18446744073709551615\r\n\r\nabc",
        "transfer-encoding: chunked\r\n\r\n",
        "transfer-encoding: chunked\r\n\r\n5",
        "transfer-encoding: chunked\r\n\r\n5\r\nabc",
        "transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n",
        "transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0",
        "transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n",
        "transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nx: 1\r\n",
        "transfer-encoding: chunked\r\n\r\nffffffffffffffff\r\nabc",
    ];
    for body in bodies {
        let mut client = mesh.client();
        client.send(format!("POST / HTTP/1.1\r\nhost: a\r\n{body}"));
        client.finish();
        client.expect_end();
    }
    origin.wait_for_end_of_connections();
    assert!(origin.requests().is_empty(), "{:?}", origin.requests());
    for line in mesh.finish() {
        assert_eq!(line.verdict(), "0 DC", "{}", line.text);
    }
}
