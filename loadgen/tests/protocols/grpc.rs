//! gRPC calls against a server on the h2 crate, with every way in which a call can end.

use std::collections::BTreeMap;

use ringmain_loadgen::{ErrorKind, Kind, Plan, Target};

use crate::{
    check_error, on_each_io,
    peer::http2::{Answer, Asked, Reply, serve},
    plan, run,
};

const GRPC: (&str, &str) = ("content-type", "application/grpc");

fn reply(body: &[u8], trailers: &[(&'static str, &'static str)]) -> Reply {
    Reply::Answer(Answer {
        headers: vec![GRPC],
        body: body.to_vec(),
        trailers: Some(trailers.to_vec()),
        ..Answer::default()
    })
}

#[test]
fn calls_are_framed_and_answered() {
    on_each_io(|io| {
        let (address, seen) = serve(|asked| {
            let header = |name| asked.head.headers().get(name).unwrap().to_str().unwrap();
            assert_eq!(asked.head.method(), "POST");
            assert_eq!(asked.head.uri().path(), "/echo.Echo/Say");
            assert_eq!(header("content-type"), "application/grpc");
            assert_eq!(header("te"), "trailers");
            assert_eq!(asked.body[..5], [0, 0, 1, 0x86, 0xa0]);
            assert_eq!(asked.body[5..], Target::filler(100_000));
            reply(&asked.body, &[("grpc-status", "0")])
        });
        let mut plan = Plan {
            io,
            connections: 2,
            streams: 5,
            ..plan(Kind::Grpc, &format!("http://{address}/echo.Echo/Say"), 50)
        };
        plan.targets[0].body = Target::filler(100_000);
        let report = run(&plan);
        let total = report.total();
        assert_eq!(
            total.statuses,
            BTreeMap::from([(0, 50)]),
            "{:?}",
            total.errors
        );
        assert_eq!(
            (total.bytes_in, total.bytes_out),
            (50 * 100_005, 50 * 100_005)
        );
        assert_eq!((report.connections, seen.connections()), (2, 2));
        assert_eq!(seen.requests(), 50);
    });
}

/// A call that was answered has a status; one that was not has an error.
#[test]
fn calls_end_in_every_way() {
    let (address, _) = serve(script);
    for (path, expected) in [
        ("/ok", Ok(0)),
        ("/not-found", Ok(5)),
        ("/only-a-head", Ok(14)),
        ("/status-in-head-and-body", Ok(8)),
        ("/proxy", Ok(14)),
        ("/not-grpc", Ok(2)),
        (
            "/no-status",
            Err("neither trailers nor a head with grpc-status"),
        ),
        ("/no-number", Err("grpc-status is not a number")),
        ("/no-message", Err("grpc-status 0 and no message")),
        ("/two-messages", Err("several messages")),
        ("/half-a-message", Err("ends within a message")),
        ("/compressed", Err("compressed")),
    ] {
        let total = run(&plan(Kind::Grpc, &format!("http://{address}{path}"), 3)).total();
        match expected {
            Ok(status) => {
                let errors = &total.errors;
                assert_eq!(
                    total.statuses,
                    BTreeMap::from([(status, 3)]),
                    "{path}: {errors:?}"
                );
            }
            Err(part) => check_error(&total, ErrorKind::Protocol, part),
        }
    }
}

fn script(asked: Asked) -> Reply {
    let head = |status, headers: &[(&'static str, &'static str)]| {
        Reply::Answer(Answer {
            status,
            headers: headers.to_vec(),
            ..Answer::default()
        })
    };
    let ok = &[("grpc-status", "0")][..];
    match asked.head.uri().path() {
        "/ok" => reply(b"\0\0\0\0\x02ab", ok),
        "/not-found" => reply(b"", &[("grpc-status", "5"), ("grpc-message", "no")]),
        "/only-a-head" => head(200, &[GRPC, ("grpc-status", "14")]),
        "/status-in-head-and-body" => Reply::Answer(Answer {
            headers: vec![GRPC, ("grpc-status", "8")],
            body: b"\0\0\0\0\0".to_vec(),
            ..Answer::default()
        }),
        "/proxy" => head(503, &[("content-type", "text/plain")]),
        "/not-grpc" => head(200, &[("content-type", "text/html")]),
        "/no-status" => reply(b"\0\0\0\0\0", &[("x", "y")]),
        "/no-number" => reply(b"\0\0\0\0\0", &[("grpc-status", "fine")]),
        "/no-message" => reply(b"", ok),
        "/two-messages" => reply(b"\0\0\0\0\0\0\0\0\0\0", ok),
        "/half-a-message" => reply(b"\0\0\0\0\x02a", ok),
        "/compressed" => reply(b"\x01\0\0\0\x01a", ok),
        path => panic!("{path}"),
    }
}
