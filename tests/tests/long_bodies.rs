//! Bodies that are long enough to go through a pipe, without being copied.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on is to stop")]

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use ringmain_tests::{
    Io,
    client::Client,
    http2,
    mesh::Mesh,
    message::Broken,
    on_both,
    origin::{Conversation, Origin},
    wait::{self, Gate},
};

on_both!(
    whole_in_both_directions,
    whole_without_pipes,
    one_pipe_for_three_slow_readers,
    what_has_come_is_not_kept_back,
    an_answer_that_is_cut,
    an_upload_that_is_cut,
    an_origin_that_stalls,
    a_reader_that_stops,
    a_body_over_the_limit,
);

/// More than all buffers on the way hold.
const MUCH: usize = 32 << 20;
/// Around the sizes of buffers and pipes; short ones behind long ones, and the other way round.
const SIZES: [usize; 16] = [
    20_000, 100, 40_000, 4000, 4096, 5000, 16_000, 16_384, 33_000, 65_536, 0, 70_000, 262_144,
    9000, 1_048_577, 3_000_001,
];

/// Bytes of which none stands where its neighbours' period would put it.
fn pattern(bytes: usize) -> Vec<u8> {
    let byte = |index: usize| (index ^ (index >> 8) ^ (index >> 16)) as u8;
    (0..bytes).map(byte).collect()
}

fn post(client: &mut Client, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "POST /up HTTP/1.1\r\nhost: a\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    client.send([head.as_bytes(), body].concat());
    let answer = client.response("POST");
    assert_eq!(answer.status(), 200);
    answer.body
}

fn get(client: &mut Client) {
    client.send("GET /much HTTP/1.1\r\nhost: a\r\n\r\n");
}

/// The head of an answer of so many bytes.
fn begin(conversation: &mut Conversation, bytes: usize) -> bool {
    conversation.send(format!(
        "HTTP/1.1 200 OK\r\ncontent-length: {bytes}\r\n\r\n"
    ))
}

fn whole_in_both_directions(io: Io) {
    sizes_pass(io, "64");
}

fn whole_without_pipes(io: Io) {
    sizes_pass(io, "0");
}

fn sizes_pass(io: Io, pipes: &str) {
    let origin = Origin::echo();
    let mesh = Mesh::builder(io)
        .all_to("origin", &[origin.address()])
        .limit("pipes", pipes)
        .start();
    let mut client = mesh.client();
    for size in SIZES {
        let body = pattern(size);
        assert!(
            post(&mut client, &body) == body,
            "{size} bytes came back changed"
        );
    }
    drop(client);
    assert_eq!(mesh.proxy.metric("ringmain_pipes_exhausted_total"), 0);
    let lines = mesh.finish();
    for (line, size) in lines.iter().zip(SIZES) {
        assert_eq!(line.verdict(), "200 -");
        assert_eq!(line.number("bytes_received"), size as u64);
        assert_eq!(line.number("bytes_sent"), size as u64);
    }
    assert_eq!(lines.len(), SIZES.len());
}

/// The first has the pipe while it does not read, and the others do without.
fn one_pipe_for_three_slow_readers(io: Io) {
    let origin = Origin::start(|conversation| {
        while conversation.request().is_ok() && begin(conversation, MUCH) {
            conversation.send(pattern(MUCH));
        }
    });
    let mesh = Mesh::builder(io)
        .all_to("origin", &[origin.address()])
        .limit("pipes", "1")
        .start();
    let mut clients = [(); 3].map(|()| mesh.client());
    get(&mut clients[0]);
    mesh.proxy.wait_for_metric("ringmain_pipes_in_use", 1);
    mesh.proxy.wait_for_metric("ringmain_buffers_in_use", 0);
    for client in &mut clients[1..] {
        get(client);
    }
    wait::until("transfers without a pipe", || {
        match mesh.proxy.metric("ringmain_pipes_exhausted_total") {
            0 | 1 => Err("fewer than two"),
            _ => Ok(()),
        }
    });
    // One at a time: none may need what another one holds.
    for mut client in clients.into_iter().rev() {
        assert!(client.response("GET").body == pattern(MUCH));
    }
    assert!(mesh.finish().iter().all(|line| line.verdict() == "200 -"));
}

/// The first pieces of an answer, and of an upload, arrive while nobody sends the rest.
fn what_has_come_is_not_kept_back(io: Io) {
    for first in [1000, 16_000, 16_256, 16_320, 16_384, 40_000, 200_000] {
        let gate = Gate::new();
        let ready = gate.clone();
        let origin = Origin::start(move |conversation| {
            if conversation.request().is_ok() && begin(conversation, 300_000) {
                conversation.send(vec![1; first]);
                ready.pass();
                conversation.send(vec![2; 300_000 - first]);
            }
            conversation.wait_for_end();
        });
        let mesh = Mesh::to(io, &origin);
        let mut client = mesh.client();
        get(&mut client);
        client.wire.head().unwrap();
        while client.wire.unread().len() < first {
            assert!(client.wire.fill().unwrap());
        }
        gate.open();
        while client.wire.unread().len() < 300_000 {
            assert!(client.wire.fill().unwrap());
        }
        drop(client);
        assert_eq!(mesh.finish_one().verdict(), "200 -");

        let origin = Origin::saying("ok");
        let mesh = Mesh::to(io, &origin);
        let mut client = mesh.client();
        client.send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 300000\r\n\r\n");
        client.send(vec![b'#'; first]);
        let arrived = || origin.connections() == 1 && origin.received(0).ends_with(b"#");
        wait::until_equal("the upload has begun", true, arrived);
        let count = || {
            origin
                .received(0)
                .iter()
                .filter(|&&byte| byte == b'#')
                .count()
        };
        wait::until_equal("bytes at the origin", first, count);
        client.send(vec![b'#'; 300_000 - first]);
        assert_eq!(client.response("POST").text(), "ok");
        drop(client);
        assert_eq!(mesh.finish_one().verdict(), "200 -");
    }
}

fn an_answer_that_is_cut(io: Io) {
    let origin = Origin::start(|conversation| {
        if conversation.request().is_ok() && begin(conversation, MUCH) {
            conversation.send(pattern(MUCH / 2));
        }
    });
    let mesh = Mesh::to(io, &origin);
    let mut client = mesh.client();
    get(&mut client);
    let Err(Broken::Cut(answer)) = client.wire.response("GET") else {
        panic!("half an answer cannot be whole");
    };
    assert!(answer.body == pattern(MUCH / 2), "what there was arrives");
    drop(client);
    let line = mesh.finish_one();
    assert_eq!(line.verdict(), "200 UC");
    assert_eq!(line.number("bytes_sent"), MUCH as u64 / 2);
}

fn an_upload_that_is_cut(io: Io) {
    let origin = Origin::saying("never");
    let mesh = Mesh::to(io, &origin);
    let mut client = mesh.client();
    client.send(format!(
        "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: {MUCH}\r\n\r\n"
    ));
    client.send(pattern(MUCH / 2));
    client.finish();
    client.expect_end();
    origin.wait_for_end_of_connections();
    assert!(origin.requests().is_empty(), "it was never whole");
    let line = mesh.finish_one();
    assert_eq!(line.verdict(), "0 DC");
    assert_eq!(line.number("bytes_received"), MUCH as u64 / 2);
}

fn an_origin_that_stalls(io: Io) {
    let origin = Origin::start(|conversation| {
        if conversation.request().is_ok() && begin(conversation, MUCH) {
            conversation.send(pattern(MUCH / 2));
            conversation.wait_for_end();
        }
    });
    let mesh = Mesh::builder(io)
        .all_to("origin", &[origin.address()])
        .limit("stream_idle_timeout", "\"300ms\"")
        .start();
    let mut client = mesh.client();
    get(&mut client);
    assert!(matches!(client.wire.response("GET"), Err(Broken::Cut(_))));
    drop(client);
    origin.wait_for_end_of_connections();
    assert_eq!(mesh.finish_one().verdict(), "200 SI");
}

fn a_reader_that_stops(io: Io) {
    let is_cut = Arc::new(AtomicBool::new(false));
    let noted = Arc::clone(&is_cut);
    let body = pattern(MUCH);
    let origin = Origin::start(move |conversation| {
        if conversation.request().is_ok() && begin(conversation, MUCH) {
            noted.store(!conversation.send(&body), Ordering::SeqCst);
        }
    });
    let mesh = Mesh::builder(io)
        .all_to("origin", &[origin.address()])
        .limit("stream_idle_timeout", "\"300ms\"")
        .start();
    let mut client = mesh.client();
    get(&mut client);
    origin.wait_for_requests(1);
    origin.wait_for_end_of_connections();
    assert!(is_cut.load(Ordering::SeqCst), "the origin was not told");
    let lines = mesh.proxy.wait_for_lines(1);
    assert_eq!(lines[0].verdict(), "200 DC");
    mesh.proxy.wait_for_metric("ringmain_pipes_in_use", 0);
    drop(client);
    mesh.finish();
}

fn a_body_over_the_limit(io: Io) {
    let origin = Origin::echo();
    let mesh = Mesh::builder(io)
        .all_to("origin", &[origin.address()])
        .limit("body_bytes", "100000")
        .start();
    let body = pattern(100_000);
    assert!(post(&mut mesh.client(), &body) == body);
    let mut client = mesh.client();
    client.send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 100001\r\n\r\n");
    assert_eq!(client.response("POST").status(), 413);
    // Over HTTP/2 as well: nothing of it has come, nor does the origin hear of it.
    let mut http2 = mesh.http2_client();
    let mut fields = http2::peer::request("POST", "/");
    fields.push(("content-length", "100001"));
    let stream = http2.begin(fields, false);
    assert_eq!(http2.response(stream).status(), 413);
    drop((client, http2));
    assert_eq!(origin.requests().len(), 1);
    assert_eq!(mesh.finish().len(), 3);
}
