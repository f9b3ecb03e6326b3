//! Bodies of requests that are sent once more.

use ringmain_tests::{Io, on_both};

use crate::place::{ruled, statuses};

on_both!(bodies_are_sent_again, long_bodies_are_sent_once);

const FIELDS: &str = "retries: {attempts: 2, retryOn: 5xx, backoff: 1ms}";

/// Bytes that differ, so that none can be lost, doubled or misplaced unseen.
fn bytes(count: u32) -> Vec<u8> {
    let words =
        (0..count.div_ceil(4)).flat_map(|word| word.wrapping_mul(0x9e37_79b9).to_be_bytes());
    words.take(count as usize).collect()
}

fn with_length(body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head = format!("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: {length}\r\n\r\n");
    [head.as_bytes(), body].concat()
}

/// In chunks of 1000 bytes, with a trailer.
fn chunked(body: &[u8]) -> Vec<u8> {
    let mut message = b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
    for chunk in body.chunks(1000) {
        message.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        message.extend_from_slice(chunk);
        message.extend_from_slice(b"\r\n");
    }
    message.extend_from_slice(b"0\r\n\r\n");
    message
}

fn bodies_are_sent_again(io: Io) {
    for count in [1, 3_000, 60 << 10] {
        let body = bytes(count);
        for message in [with_length(&body), chunked(&body)] {
            let origin = statuses(&[503, 503, 200, 200]);
            let mesh = ruled(io, &[&origin], FIELDS).start();
            let mut client = mesh.client();
            assert_eq!(client.exchange(&message).status(), 200, "{count}");
            let requests = origin.requests();
            assert_eq!(requests.len(), 3);
            for (number, request) in requests.iter().enumerate() {
                assert!(request.body == body, "{count} bytes, try {number}");
                let attempt = (number + 1).to_string();
                assert_eq!(request.get("x-envoy-attempt-count"), Some(&*attempt));
            }
            assert_eq!(client.get("/").status(), 200, "the connection goes on");
            drop(client);
            let lines = mesh.finish();
            assert_eq!(lines[0].verdict(), "200 -");
            assert_eq!(lines[0].number("bytes_received"), u64::from(count));
        }
    }
}

/// What is longer than is kept of it has one try, and its answer is the client's.
fn long_bodies_are_sent_once(io: Io) {
    let body = bytes(200 << 10);
    for message in [with_length(&body), chunked(&body)] {
        let origin = statuses(&[503, 200]);
        let mesh = ruled(io, &[&origin], FIELDS)
            .limit("replay_bytes", "65536")
            .start();
        assert_eq!(mesh.client().exchange(&message).status(), 503);
        assert!(origin.request().body == body);
        assert_eq!(mesh.finish_one().verdict(), "503 -");
    }
}
