//! Holds the table of answers against the binary.

use ringmain_tests::{
    Io,
    client::Client,
    mesh::Mesh,
    message::Broken,
    origin::{Conversation, Origin, response},
};

use crate::answers::{self, Answer, Got};

/// Answers `/N` with the row of that number, and anything else in order.
fn origin() -> Origin {
    let table = answers::all();
    Origin::start(move |conversation: &mut Conversation| {
        while let Ok(request) = conversation.head() {
            let path = request.line.split(' ').nth(1).unwrap();
            let Some(row) = path[1..].parse::<usize>().ok() else {
                conversation.send(response("next"));
                continue;
            };
            conversation.send(&table[row].bytes);
            if table[row].ends {
                return;
            }
        }
    })
}

/// After each answer the same client, if it may, and then another one ask for something else.
pub(crate) fn tables_of_answers(io: Io) {
    let origin = origin();
    // What the client gets is compared byte by byte with what the origin sent.
    let mesh = Mesh::builder(io)
        .tune("http", "server_header", "\"pass_through\"")
        .all_to("origin", &[origin.address()])
        .start();
    let mut requests = 0;
    for (row, answer) in answers::all().iter().enumerate() {
        let mut client = mesh.client();
        client.send(format!(
            "{} /{row} HTTP/1.1\r\nhost: a\r\n\r\n",
            answer.method
        ));
        let stays = compare(&mut client, answer);
        let connections = origin.connections();
        if stays {
            assert_eq!(client.get("/next").text(), "next", "{}", answer.name);
            let more = origin.connections() - connections;
            assert_eq!(more, usize::from(!answer.is_reused), "{}", answer.name);
        }
        assert_eq!(mesh.client().get("/next").text(), "next", "{}", answer.name);
        requests += 2 + usize::from(stays);
    }
    assert_eq!(mesh.finish().len(), requests);
}

/// What the client got; whether its connection stays open.
fn compare(client: &mut Client, answer: &Answer) -> bool {
    let recording = client.wire.recording();
    let got = client.wire.response(answer.method);
    let received = || without_time(&recording.lock().unwrap());
    match &answer.outcome {
        Got::Local(status) => {
            let got = got.unwrap_or_else(|broken| panic!("{}: {broken}", answer.name));
            assert_eq!(got.status(), *status, "{}: {}", answer.name, got.text());
            assert!(!got.closes(), "{}", answer.name);
            true
        }
        Got::Bytes(expected) => {
            got.unwrap_or_else(|broken| panic!("{}: {broken}", answer.name));
            let expected = expected.escape_ascii().to_string();
            assert_eq!(received(), expected, "{}", answer.name);
            true
        }
        // The mistake came with the head, and nothing had gone to the client.
        Got::Cut(_) if got.as_ref().is_ok_and(|got| got.status() == 502) => true,
        Got::Cut(begin) => {
            let is_cut = matches!(got, Err(Broken::Cut(_) | Broken::Closed));
            assert!(is_cut, "{}: {got:?}", answer.name);
            let begin = begin.escape_ascii().to_string();
            let received = received();
            let is_begun = received.is_empty() || received.starts_with(&begin);
            assert!(is_begun, "{}: {received}", answer.name);
            false
        }
    }
}

/// Without the fields that the proxy adds.
fn without_time(bytes: &[u8]) -> String {
    const ADDED: [&[u8]; 2] = [b"x-envoy-upstream-service-time: ", b"date: "];
    let lines = bytes.split_inclusive(|byte| *byte == b'\n');
    let kept = lines.filter(|line| !ADDED.iter().any(|added| line.starts_with(added)));
    let kept: Vec<u8> = kept.flatten().copied().collect();
    kept.escape_ascii().to_string()
}
