//! WebSocket echo against tungstenite, and against servers that break the rules.

use ringmain_loadgen::{ErrorKind, Kind, Plan, Target};
use tungstenite::{
    Message,
    protocol::{
        CloseFrame,
        frame::{
            Frame,
            coding::{CloseCode, Data, OpCode},
        },
    },
};

use crate::{
    check_error, on_each_io,
    peer::{
        certificates::Certificates,
        listen, read_head,
        websocket::{echo, serve},
    },
    plan, refusal, run,
};

/// Bytes of the head of an unmasked frame.
fn head_bytes(payload: usize) -> u64 {
    match payload {
        0..=125 => 2,
        126..=0xffff => 4,
        _ => 10,
    }
}

#[test]
fn messages_of_all_lengths_come_back() {
    on_each_io(|io| {
        let (address, seen) = echo(None);
        let mut asked = 0;
        for bytes in [0, 1, 125, 126, 65_535, 65_536, 300_000] {
            let mut plan = Plan {
                io,
                connections: 3,
                ..plan(Kind::WebSocket, &format!("ws://{address}/"), 30)
            };
            plan.targets[0].body = Target::filler(bytes);
            let report = run(&plan);
            let total = report.total();
            asked += 30;
            assert_eq!((total.answered, total.failed()), (30, 0), "{bytes}");
            assert_eq!(total.bytes_in, 30 * (bytes as u64 + head_bytes(bytes)));
            assert_eq!(total.bytes_out, total.bytes_in + 30 * 4, "{bytes}: masks");
            assert_eq!((report.connections, seen.messages()), (3, asked));
        }
        assert_eq!(seen.connections(), 21);
    });
}

#[test]
fn messages_come_back_through_tls() {
    let certificates = Certificates::new();
    on_each_io(|io| {
        let (address, seen) = echo(Some(certificates.server("server", false)));
        let mut plan = Plan {
            io,
            tls: certificates.trust(),
            ..plan(Kind::WebSocket, &format!("wss://{address}/"), 20)
        };
        plan.targets[0].body = Target::filler(100_000);
        let total = run(&plan).total();
        assert_eq!((total.answered, total.failed()), (20, 0));
        assert_eq!((seen.connections(), seen.messages()), (1, 20));
    });
}

/// Pieces with a ping and a pong between them.
#[test]
fn pieces_are_put_together_and_pings_are_answered() {
    on_each_io(|io| {
        let (address, _) = serve(None, |socket, _, payload| {
            let (first, second) = payload.split_at(payload.len() / 2);
            let frame = |data, bytes: &[u8], is_final| {
                Message::Frame(Frame::message(bytes.to_vec(), OpCode::Data(data), is_final))
            };
            socket.send(frame(Data::Binary, first, false))?;
            socket.send(Message::Pong("unasked".into()))?;
            socket.send(Message::Ping("are you there".into()))?;
            // The answer to the ping is waited for before the message goes on.
            assert_eq!(socket.read()?, Message::Pong("are you there".into()));
            socket.send(frame(Data::Continue, b"", false))?;
            socket.send(frame(Data::Continue, second, true))
        });
        let mut plan = Plan {
            io,
            ..plan(Kind::WebSocket, &format!("ws://{address}/"), 10)
        };
        plan.targets[0].body = Target::filler(1000);
        let total = run(&plan).total();
        assert_eq!((total.answered, total.failed()), (10, 0));
        let control = 2 + 7 + 2 + 13;
        assert_eq!(total.bytes_in, 10 * (1000 + 4 + 2 + 4 + control));
    });
}

/// Connections lead to one path each.
#[test]
fn targets_with_paths_of_their_own_get_connections_of_their_own() {
    let (address, seen) = serve(None, |socket, path, payload| {
        let expected = match path {
            "/a" => b'a',
            _ => b'b',
        };
        assert_eq!(payload, [expected]);
        socket.send(Message::binary(payload))
    });
    let mut plan = plan(Kind::WebSocket, &format!("ws://{address}/a"), 20);
    let mut other = Target::get(format!("ws://{address}/b").parse().unwrap());
    plan.targets[0].body = "a".into();
    other.body = "b".into();
    plan.targets.push(other);
    let report = run(&plan);
    assert_eq!(report.targets[0].answered, 10);
    assert_eq!(report.targets[1].answered, 10);
    assert_eq!((report.connections, seen.connections()), (2, 2));
}

#[test]
fn a_message_that_is_not_the_same_is_an_error() {
    let (address, _) = serve(None, |socket, path, payload| {
        let mut other = payload.clone();
        match path {
            "/changed" => other[5] ^= 1,
            "/longer" => other.push(0),
            _ => drop(other.pop()),
        }
        socket.send(Message::binary(other))
    });
    for path in ["changed", "longer", "shorter"] {
        let mut plan = plan(Kind::WebSocket, &format!("ws://{address}/{path}"), 3);
        plan.targets[0].body = Target::filler(10);
        let what = "not the one that was sent";
        check_error(&run(&plan).total(), ErrorKind::Protocol, what);
    }
}

#[test]
fn a_close_is_told_with_its_reason() {
    let (address, seen) = serve(None, |socket, _, _| {
        socket.close(Some(CloseFrame {
            code: CloseCode::Again,
            reason: "come back later".into(),
        }))?;
        // The answer to the close.
        match socket.read() {
            Ok(Message::Close(Some(frame))) => assert_eq!(frame.code, CloseCode::Again),
            other => panic!("{other:?}"),
        }
        socket.flush()
    });
    let mut plan = plan(Kind::WebSocket, &format!("ws://{address}/"), 3);
    plan.targets[0].body = "x".into();
    let report = run(&plan);
    let what = "closed the WebSocket: code 1013, \"come back later\"";
    check_error(&report.total(), ErrorKind::Closed, what);
    assert_eq!((report.connections, seen.connections()), (3, 3));
}

#[test]
fn handshakes_that_fail_say_why() {
    let answers = [
        (
            "HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n",
            "status 403 instead of 101",
        ),
        (
            "HTTP/1.1 101 x\r\nupgrade: websocket\r\nconnection: upgrade\r\n\
             sec-websocket-accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n\r\n",
            "does not belong to the key",
        ),
    ];
    for (answer, part) in answers {
        let address = listen(None, move |mut wire| {
            if read_head(&mut *wire) {
                wire.write_all(answer.as_bytes()).unwrap();
            }
        });
        let plan = plan(Kind::WebSocket, &format!("ws://{address}/"), 2);
        check_error(&run(&plan).total(), ErrorKind::Protocol, part);
    }
    let mut plan = plan(Kind::WebSocket, "ws://127.0.0.1:1/", 1);
    plan.targets[0].headers = vec![("Sec-WebSocket-Key".into(), "x".into())];
    assert!(refusal(&plan).contains("the handshake decides it"));
}
