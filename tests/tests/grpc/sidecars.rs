//! Calls through the sidecars of both ends, as in a mesh.

use std::net::Ipv4Addr;

use ringmain_tests::{Io, access_log::Line, on_both, sidecars::Pair};

use super::{call_at, serve};

on_both!(
    calls_of_all_kinds,
    errors,
    cancels_and_deadlines,
    a_server_that_dies
);

/// Runs these cases, behind one that waits until the sidecars know each other; what both log of the
/// others.
fn run(io: Io, protocol: &str, cases: &[&str]) -> [Vec<Line>; 2] {
    let (_server, address) = serve(Ipv4Addr::LOCALHOST.into());
    let mut pair = Pair::start(io, protocol, address);
    let target = format!("{}|back", pair.egress);
    let mut client = call_at(&target, &["known"]);
    let status = client.wait();
    assert!(status.success(), "{}\n{}", client.out(), client.error());
    let mut client = call_at(&target, cases);
    let status = client.wait();
    assert!(status.success(), "{}\n{}", client.out(), client.error());
    for proxy in [&pair.front, &pair.back] {
        proxy.wait_for_metric("ringmain_requests_active", 0);
    }
    assert!(pair.front.process.terminate().success());
    assert!(pair.back.process.terminate().success());
    let logs = [pair.front.log(), pair.back.log()];
    pair.mesh.finish();
    logs.map(|lines| {
        let known = lines.iter().position(|line| line.verdict() == "200 -");
        lines.into_iter().skip(1 + known.unwrap()).collect()
    })
}

const ALL_KINDS: [&str; 7] = [
    "unary",
    "big",
    "metadata",
    "client_stream",
    "server_stream",
    "interleaved",
    "many",
];

/// Told that it is gRPC, and finding out by itself what is spoken.
fn calls_of_all_kinds(io: Io) {
    for protocol in ["GRPC", ""] {
        for lines in run(io, protocol, &ALL_KINDS) {
            assert_eq!(lines.len(), 3 + 1 + 1 + 2 + 2 + 1 + 300, "{protocol}");
            for line in lines {
                assert_eq!(line.verdict(), "200 -", "{}", line.text);
                assert_eq!(line.get("protocol"), "HTTP/2");
            }
        }
    }
}

fn errors(io: Io) {
    for lines in run(io, "GRPC", &["errors"]) {
        let verdicts: Vec<_> = lines.iter().map(Line::verdict).collect();
        assert_eq!(verdicts, ["200 -"; 3]);
    }
}

/// Both proxies hear of a cancelled call and tell the next, and a deadline is known to all.
fn cancels_and_deadlines(io: Io) {
    let calls = ["cancel", "deadline", "cancel_before_an_answer", "unary"];
    for lines in run(io, "GRPC", &calls) {
        assert_eq!(lines.len(), 9);
        for line in lines {
            let expected: &[_] = match line.get("path") {
                "/test.Peer/Hang" => &["200 DC"],
                "/test.Peer/Sleep" => &["0 DC"],
                _ => &["200 -"],
            };
            assert!(expected.contains(&line.verdict().as_str()), "{}", line.text);
        }
    }
}

/// Within its answer: the sidecar beside it says so, and the other one passes that on. Of the next
/// call the first one hears that its server is not there, which is worth two more tries.
fn a_server_that_dies(io: Io) {
    let (mut server, address) = serve(Ipv4Addr::LOCALHOST.into());
    let mut pair = Pair::start(io, "GRPC", address);
    let target = format!("{}|back", pair.egress);
    let mut client = call_at(&target, &["known", "cut", "gone"]);
    client.wait_for("begun");
    server.kill();
    let status = client.wait();
    assert!(status.success(), "{}\n{}", client.out(), client.error());
    assert!(pair.front.process.terminate().success());
    assert!(pair.back.process.terminate().success());
    let flags = |lines: &[Line], count: usize| {
        let last = &lines[lines.len() - count..];
        let flags = last
            .iter()
            .map(|line| line.get("response_flags").to_owned());
        flags.collect::<Vec<_>>().join(" ")
    };
    assert_eq!(flags(&pair.back.log(), 4), "UC UF UF UF");
    let front = flags(&pair.front.log(), 2);
    assert!(["UC URX", "UR URX"].contains(&&*front), "{front}");
    pair.mesh.finish();
}
