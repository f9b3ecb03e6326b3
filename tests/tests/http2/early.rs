//! Answers that do not wait for the end of their request.

use ringmain_tests::{
    Io,
    http2::{
        Frame,
        frame::{code, kind},
    },
    mesh::Mesh,
    on_both,
    origin::Origin,
};

on_both!(
    an_answer_before_the_body,
    an_answer_before_the_end_of_the_stream
);

const FULL: &str = "HTTP/1.1 413 Full\r\ncontent-length: 4\r\n\r\nfull";

/// The client gets the whole answer, and then hears that nobody wants the rest: no error (RFC 9113
/// section 8.1).
fn an_answer_before_the_body(io: Io) {
    let http1 = Origin::start(|conversation| {
        if conversation.head().is_ok() {
            conversation.send(FULL);
            conversation.wait_for_end();
        }
    });
    let http2 = Origin::start(|conversation| {
        let mut peer = conversation.http2(&[]).unwrap();
        while let Ok((stream, _)) = peer.request_head() {
            peer.send(&Frame::headers(stream, [(":status", "413")], false));
            peer.send(&Frame::data(stream, "full", true));
        }
    });
    for mesh in [Mesh::to(io, &http1), Mesh::to_http2(io, &http2)] {
        let mut client = mesh.http2_client();
        for body in ["", "some of it"] {
            let stream = client.post("/");
            client.send(&Frame::data(stream, body, false));
            let mut frames = Vec::new();
            while client.stream(stream).reset.is_none() {
                let frame = client.step().expect("the stream ends");
                if frame.stream == stream {
                    frames.push(frame);
                }
            }
            let ended = client.stream(stream);
            assert!(ended.is_over, "{frames:?}");
            assert_eq!(ended.reset, Some(code::NO_ERROR), "{frames:?}");
            assert_eq!(
                (ended.message.status(), ended.message.text().as_str()),
                (413, "full")
            );
            assert_eq!(frames.last().unwrap().kind, kind::RST_STREAM);
            // It may have been on its way.
            client.send(&Frame::data(stream, "more", false));
            client.ping();
        }
        drop(client);
        let lines = mesh.finish();
        assert!(
            lines.iter().all(|line| line.verdict() == "413 -"),
            "{lines:#?}"
        );
    }
}

/// The body has come, as its length says; the end of the stream comes in a frame of its own.
fn an_answer_before_the_end_of_the_stream(io: Io) {
    let origin = Origin::echo();
    let mesh = Mesh::to(io, &origin);
    let mut client = mesh.http2_client();
    for body in ["", "body"] {
        let mut fields = ringmain_tests::http2::peer::request("POST", "/");
        let length = body.len().to_string();
        fields.push(("content-length", &length));
        let stream = client.begin(fields, false);
        if !body.is_empty() {
            client.send(&Frame::data(stream, body, false));
        }
        assert_eq!(client.response(stream).text(), body);
        client.send(&Frame::data(stream, "", true));
        client.ping();
    }
    drop(client);
    assert_eq!(origin.connections(), 1, "it can be used again");
    mesh.finish();
}
