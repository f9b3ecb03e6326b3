//! How connections and streams end, and that nothing is lost when they do.

use std::sync::{Mutex, mpsc};

use ringmain_tests::{
    Io,
    http2::{Frame, frame::code},
    mesh::Mesh,
    on_both,
    origin::Origin,
    wait::{Gate, PATIENCE},
    yaml,
};
use rustix::process::Signal;

on_both!(
    a_drain_lets_requests_end,
    a_drain_ends_idle_connections,
    an_upstream_that_goes_away,
    an_upstream_that_goes_away_before_it_looked,
    a_refused_stream_is_sent_again,
    a_request_that_is_always_refused,
    an_upstream_that_resets_within_its_answer,
    an_answer_that_is_broken_at_once,
    an_upstream_that_wants_calm,
    an_upstream_that_resets_before_its_answer,
    an_upstream_that_closes_within_its_answers,
    an_upstream_that_is_not_one,
    a_client_that_resets,
    a_client_that_leaves,
    an_endpoint_that_is_removed,
);

/// An origin that answers its requests when the gate is open.
fn gated() -> (Origin, Gate) {
    let gate = Gate::new();
    let ready = gate.clone();
    let origin = Origin::start(move |conversation| {
        let Ok(mut peer) = conversation.http2(&[]) else {
            return;
        };
        while let Ok((stream, request)) = peer.request() {
            conversation.keep(&request);
            ready.pass();
            peer.answer(stream, "late");
        }
    });
    (origin, gate)
}

/// The client is told at once; what it has sent before is answered, and then the connection ends.
fn a_drain_lets_requests_end(io: Io) {
    let (origin, gate) = gated();
    let mut mesh = Mesh::to_http2(io, &origin);
    let mut client = mesh.http2_client();
    let streams: Vec<_> = (0..3).map(|_| client.get("/")).collect();
    origin.wait_for_requests(1);
    client.ping();
    mesh.proxy.process.signal(Signal::TERM);
    client.until(|client| !client.farewells.is_empty()).unwrap();
    assert_eq!(client.farewells[0].1, code::NO_ERROR);
    gate.open();
    for stream in streams {
        assert_eq!(client.response(stream).text(), "late");
    }
    assert_eq!(client.end(), Some(code::NO_ERROR));
    let (last, _) = *client.farewells.last().unwrap();
    assert!(last >= 5, "{:?}", client.farewells);
    assert_eq!(mesh.proxy.process.wait().code(), Some(0));
    assert_eq!(mesh.proxy.log().len(), 3);
}

fn a_drain_ends_idle_connections(io: Io) {
    let origin = Origin::saying("ok");
    let mut mesh = Mesh::to(io, &origin);
    let mut clients: Vec<_> = (0..3).map(|_| mesh.http2_client()).collect();
    let stream = clients[0].get("/");
    assert_eq!(clients[0].response(stream).text(), "ok");
    for client in &mut clients {
        client.ping();
    }
    mesh.proxy.process.signal(Signal::TERM);
    for client in &mut clients {
        assert_eq!(client.end(), Some(code::NO_ERROR));
    }
    assert_eq!(mesh.proxy.process.wait().code(), Some(0));
}

/// The upstream says goodbye with requests under way: they end, and others go elsewhere.
fn an_upstream_that_goes_away(io: Io) {
    let (gate, said) = (Gate::new(), Gate::new());
    let (ready, saying) = (gate.clone(), said.clone());
    let origin = Origin::start(move |conversation| {
        let mut peer = conversation.http2(&[]).unwrap();
        while let Ok((stream, request)) = peer.request() {
            conversation.keep(&request);
            if conversation.index == 0 {
                peer.send(&Frame::go_away(stream, code::NO_ERROR));
                peer.ping();
                saying.open();
                ready.pass();
            }
            peer.answer(stream, &conversation.index.to_string());
        }
    });
    let mesh = Mesh::to_http2(io, &origin);
    let mut client = mesh.http2_client();
    let first = client.get("/");
    said.pass();
    for _ in 0..3 {
        let second = client.get("/");
        assert_eq!(client.response(second).text(), "1");
    }
    gate.open();
    assert_eq!(client.response(first).text(), "0");
    drop(client);
    assert_eq!(origin.connections(), 2);
    assert_eq!(mesh.finish().len(), 4);
}

/// The request was sent, and the upstream says that it has looked at none: it is sent again, with
/// its body, on another connection.
fn an_upstream_that_goes_away_before_it_looked(io: Io) {
    let origin = Origin::start(move |conversation| {
        let mut peer = conversation.http2(&[]).unwrap();
        while let Ok((stream, request)) = peer.request() {
            conversation.keep(&request);
            if conversation.index == 0 && stream > 1 {
                peer.send(&Frame::go_away(1, code::NO_ERROR));
                return;
            }
            peer.answer(stream, &request.text());
        }
    });
    let mesh = Mesh::to_http2(io, &origin);
    let mut client = mesh.http2_client();
    for text in ["first", "second"] {
        let stream = client.next_stream();
        let request = ringmain_tests::http2::peer::request("POST", "/");
        let head = Frame::headers(stream, request, false).bytes();
        client.send_bytes([head, Frame::data(stream, text, true).bytes()].concat());
        assert_eq!(client.response(stream).text(), text);
    }
    drop(client);
    assert_eq!(origin.connections(), 2);
    let lines = mesh.finish();
    assert!(
        lines.iter().all(|line| line.get("response_code") == "200"),
        "{lines:#?}"
    );
}

fn a_refused_stream_is_sent_again(io: Io) {
    let origin = Origin::start(move |conversation| {
        let mut peer = conversation.http2(&[]).unwrap();
        let mut refused = false;
        while let Ok((stream, request)) = peer.request() {
            conversation.keep(&request);
            if request.line.contains("/refuse") && !refused {
                refused = true;
                peer.send(&Frame::reset(stream, code::REFUSED_STREAM));
            } else {
                peer.answer(stream, "taken");
            }
        }
    });
    let mesh = Mesh::to_http2(io, &origin);
    let mut client = mesh.http2_client();
    for path in ["/", "/refuse", "/"] {
        let stream = client.get(path);
        assert_eq!(client.response(stream).text(), "taken", "{path}");
    }
    drop(client);
    let lines = mesh.finish();
    assert_eq!(lines.len(), 3);
    assert!(
        lines.iter().all(|line| line.get("response_code") == "200"),
        "{lines:#?}"
    );
}

fn a_request_that_is_always_refused(io: Io) {
    let origin = Origin::http2(&[], |peer, stream, _| {
        peer.send(&Frame::reset(stream, code::REFUSED_STREAM));
    });
    let mesh = Mesh::to_http2(io, &origin);
    let mut client = mesh.client();
    assert_eq!(client.get("/").status(), 503);
    drop(client);
    let tries = origin.requests().len();
    assert!((2..10).contains(&tries), "{tries}");
    let line = mesh.finish_one();
    assert!(line.get("response_flags").contains("UR"), "{}", line.text);
}

/// The answer was begun: the client hears that it is not whole, on this stream alone.
fn an_upstream_that_resets_within_its_answer(io: Io) {
    let (begun, heard) = mpsc::channel();
    let heard = Mutex::new(heard);
    let origin = Origin::http2(&[], move |peer, stream, request| {
        if request.line.contains("/cut") {
            peer.send(&Frame::headers(stream, [(":status", "200")], false));
            peer.send(&Frame::data(stream, "half", false));
            // What has come is forgotten with the stream, if it has not gone on.
            let _ = heard.lock().unwrap().recv_timeout(PATIENCE);
            peer.send(&Frame::reset(stream, code::INTERNAL_ERROR));
        } else {
            peer.answer(stream, "whole");
        }
    });
    let mesh = Mesh::to_http2(io, &origin);
    let mut client = mesh.http2_client();
    for _ in 0..3 {
        let (cut, whole) = (client.get("/cut"), client.get("/"));
        client.response_head(cut);
        begun.send(()).unwrap();
        let ended = client.ended(cut);
        assert!(!ended.is_over && ended.reset.is_some(), "{ended:?}");
        assert_eq!(client.response(whole).text(), "whole");
    }
    let mut http1 = mesh.client();
    http1.send("GET /cut HTTP/1.1\r\nhost: a\r\n\r\n");
    assert_eq!(http1.wire.head().unwrap().status(), 200);
    begun.send(()).unwrap();
    while matches!(http1.wire.fill(), Ok(true)) {}
    assert!(
        !http1.wire.unread().ends_with(b"0\r\n\r\n"),
        "it looks whole"
    );
    drop((client, http1));
    assert_eq!(origin.connections(), 1);
    let lines = mesh.finish();
    let cut = lines.iter().filter(|line| line.get("path") == "/cut");
    let cut: Vec<_> = cut.collect();
    assert_eq!(cut.len(), 4, "{lines:#?}");
    for line in cut {
        assert_eq!(line.verdict(), "200 UR", "{}", line.text);
        let details = line.get("response_code_details");
        let why = "upstream_reset_after_response_started{remote_reset}";
        assert_eq!(details, why, "{}", line.text);
    }
}

/// Nothing of it has gone to a client of HTTP/1, which gets an answer of the proxy's own.
fn an_answer_that_is_broken_at_once(io: Io) {
    let origin = Origin::http2(&[], |peer, stream, _| {
        let frames = [
            Frame::headers(stream, [(":status", "200")], false),
            Frame::data(stream, "half", false),
            Frame::reset(stream, code::INTERNAL_ERROR),
        ];
        peer.send_bytes(frames.map(|frame| frame.bytes()).concat());
    });
    let mesh = Mesh::to_http2(io, &origin);
    let answer = mesh.client().get("/");
    assert_eq!(answer.status(), 503, "{}", answer.text());
    let line = mesh.finish_one();
    assert!(line.verdict().starts_with("503 UR"), "{}", line.text);
    let details = line.get("response_code_details");
    assert!(details.contains("before_response_started"), "{}", line.text);
}

/// An upstream that has had enough of a connection gets another one.
fn an_upstream_that_wants_calm(io: Io) {
    let origin = Origin::start(|conversation| {
        let is_first = conversation.index == 0;
        let mut peer = conversation.http2(&[]).unwrap();
        while let Ok((stream, _)) = peer.request() {
            match is_first {
                true => peer.send(&Frame::reset(stream, code::ENHANCE_YOUR_CALM)),
                false => peer.answer(stream, "whole"),
            };
        }
    });
    let mesh = Mesh::to_http2(io, &origin);
    let mut client = mesh.client();
    assert_eq!(client.get("/").status(), 503);
    for _ in 0..3 {
        assert_eq!(client.get("/").text(), "whole");
    }
    assert_eq!(origin.connections(), 2);
    drop(client);
    mesh.finish();
}

fn an_upstream_that_resets_before_its_answer(io: Io) {
    let origin = Origin::http2(&[], |peer, stream, _| {
        peer.send(&Frame::reset(stream, code::INTERNAL_ERROR));
    });
    let mesh = Mesh::to_http2(io, &origin);
    let mut client = mesh.http2_client();
    let stream = client.get("/");
    assert_eq!(client.response(stream).status(), 503);
    drop(client);
    let line = mesh.finish_one();
    assert!(line.verdict().starts_with("503 UR"), "{}", line.text);
}

/// All requests on the connection hear of it, and the next one is served.
fn an_upstream_that_closes_within_its_answers(io: Io) {
    let origin = Origin::start(move |conversation| {
        let mut peer = conversation.http2(&[]).unwrap();
        for index in 0.. {
            let Ok((stream, _)) = peer.request() else {
                return;
            };
            peer.send(&Frame::headers(stream, [(":status", "200")], false));
            if conversation.index == 0 {
                peer.send(&Frame::data(stream, "half", false));
                if index == 2 {
                    conversation.reset();
                    return;
                }
            } else {
                peer.send(&Frame::data(stream, "whole", true));
            }
        }
    });
    let mesh = Mesh::to_http2(io, &origin);
    let mut client = mesh.http2_client();
    let streams: Vec<_> = (0..2).map(|_| client.get("/")).collect();
    for stream in &streams {
        client.response_head(*stream);
    }
    client.get("/");
    for stream in streams {
        let ended = client.ended(stream);
        assert!(!ended.is_over && ended.reset.is_some(), "{ended:?}");
    }
    let stream = client.get("/");
    assert_eq!(client.response(stream).text(), "whole");
    drop(client);
    assert_eq!(mesh.finish().len(), 4);
}

/// It speaks HTTP/1, or ends the connection at once.
fn an_upstream_that_is_not_one(io: Io) {
    for hello in ["HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n", ""] {
        let origin = Origin::start(move |conversation| {
            conversation.send(hello);
        });
        let mesh = Mesh::to_http2(io, &origin);
        let mut client = mesh.http2_client();
        let stream = client.get("/");
        assert_eq!(client.response(stream).status(), 503);
        drop(client);
        assert!(mesh.finish_one().verdict().starts_with("503 UF"));
    }
}

/// The origin hears of it, and the connections stay.
fn a_client_that_resets(io: Io) {
    let origin = Origin::start(|conversation| {
        let mut peer = conversation.http2(&[]).unwrap();
        while let Ok((stream, request)) = peer.request_head() {
            if request.line.contains("/wait") {
                peer.send(&Frame::headers(stream, [(":status", "200")], false));
                peer.until(|peer| peer.stream(stream).reset.is_some())
                    .unwrap();
            } else {
                peer.answer(stream, "ok");
            }
            conversation.keep(&request);
        }
    });
    let mesh = Mesh::to_http2(io, &origin);
    let mut client = mesh.http2_client();
    for index in 0..3 {
        let stream = client.get("/wait");
        client.response_head(stream);
        client.send(&Frame::reset(stream, code::CANCEL));
        origin.wait_for_requests(2 * index + 1);
        let stream = client.get("/");
        assert_eq!(client.response(stream).text(), "ok");
    }
    drop(client);
    assert_eq!(origin.connections(), 1);
    let lines = mesh.finish();
    let gone = lines.iter().filter(|line| line.verdict() == "200 DC");
    assert_eq!(gone.count(), 3, "{lines:#?}");
}

fn a_client_that_leaves(io: Io) {
    let (origin, gate) = gated();
    let mesh = Mesh::to_http2(io, &origin);
    let mut client = mesh.http2_client();
    for _ in 0..5 {
        client.get("/");
    }
    origin.wait_for_requests(1);
    client.ping();
    drop(client);
    mesh.wait_until_idle();
    gate.open();
    let lines = mesh.finish();
    assert_eq!(lines.len(), 5);
    assert!(
        lines.iter().all(|line| line.verdict() == "0 DC"),
        "{lines:#?}"
    );
}

/// Requests under way to it end; others go to the one that is left.
fn an_endpoint_that_is_removed(io: Io) {
    let (old, gate) = gated();
    let new = Origin::http2(&[], |peer, stream, _| {
        peer.answer(stream, "new");
    });
    let mesh = Mesh::to_http2(io, &old);
    let mut client = mesh.http2_client();
    let first = client.get("/");
    old.wait_for_requests(1);
    let before = mesh.proxy.generation();
    mesh.write(
        "service-origin",
        &yaml::http2_service("origin", &[new.address()]),
    );
    mesh.proxy.wait_for_generation_after(before);
    for _ in 0..3 {
        let stream = client.get("/");
        assert_eq!(client.response(stream).text(), "new");
    }
    gate.open();
    assert_eq!(client.response(first).text(), "late");
    // Nobody needs the connection to it any more.
    old.wait_for_end_of_connections();
    drop(client);
    assert_eq!(mesh.finish().len(), 4);
}
