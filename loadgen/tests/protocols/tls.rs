//! TLS under HTTP/1.1 and under bytes: whom it trusts, who it is, how it resumes and how it fails.

use std::{
    collections::BTreeMap,
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpListener},
    path::PathBuf,
    time::Duration,
};

use ringmain_loadgen::{Direction, ErrorKind, Identity, Kind, Plan, Stop, Target, Tls};

use crate::{
    check_error, on_each_io,
    peer::{
        Wire,
        certificates::Certificates,
        listen,
        nginx::{BIG_BYTES, Nginx},
        read_head,
    },
    plan, refusal, run, run_until,
};

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello";

/// Answers every request of a connection.
fn answer(mut wire: Box<dyn Wire>) {
    while read_head(&mut *wire) {
        if wire.write_all(OK.as_bytes()).is_err() {
            return;
        }
    }
}

fn https(address: SocketAddr, requests: u64, tls: Tls) -> Plan {
    Plan {
        tls,
        ..plan(Kind::Http1, &format!("https://{address}/"), requests)
    }
}

#[test]
fn requests_and_bytes_are_counted() {
    let certificates = Certificates::new();
    on_each_io(|io| {
        let address = listen(Some(certificates.server("server", false)), answer);
        let plan = Plan {
            io,
            connections: 4,
            workers: 2,
            ..https(address, 1000, certificates.trust())
        };
        let report = run(&plan);
        let total = report.total();
        assert_eq!(
            total.statuses,
            BTreeMap::from([(200, 1000)]),
            "{:?}",
            total.errors
        );
        assert_eq!(total.bytes_in, 1000 * OK.len() as u64);
        assert_eq!(report.connections, 4);
    });
}

#[test]
fn long_answers_of_nginx_arrive_whole() {
    let certificates = Certificates::new();
    for version in ["TLSv1.2", "TLSv1.3"] {
        let settings = format!("ssl_protocols {version};");
        let nginx = Nginx::start(&certificates, "ssl", &settings);
        on_each_io(|io| {
            let plan = Plan {
                io,
                connections: 2,
                tls: Tls {
                    server_name: Some("localhost".into()),
                    ..certificates.trust()
                },
                ..plan(Kind::Http1, &format!("https://{}/big", nginx.address()), 20)
            };
            let total = run(&plan).total();
            assert_eq!(
                total.statuses,
                BTreeMap::from([(200, 20)]),
                "{:?}",
                total.errors
            );
            let heads = total.bytes_in - 20 * BIG_BYTES as u64;
            assert!(
                heads > 0 && heads.is_multiple_of(20),
                "{version}: {heads} bytes of heads"
            );
            let seen = nginx.seen(20);
            assert!(seen.iter().all(|one| one.tls == version), "{seen:?}");
        });
    }
}

/// Bytes in both directions, of which each is compared.
#[test]
fn bytes_come_back() {
    let certificates = Certificates::new();
    on_each_io(|io| {
        let address = listen(Some(certificates.server("server", false)), |mut wire| {
            let mut buffer = [0; 5000];
            while let Ok(count @ 1..) = wire.read(&mut buffer) {
                if wire.write_all(&buffer[..count]).is_err() {
                    return;
                }
            }
        });
        let mut plan = Plan {
            io,
            tls: certificates.trust(),
            ..plan(Kind::TcpEcho, &format!("tls://{address}"), 10)
        };
        plan.targets[0].body = Target::filler(300_000);
        let total = run(&plan).total();
        assert_eq!(
            (total.answered, total.failed()),
            (10, 0),
            "{:?}",
            total.errors
        );
    });
}

/// Bytes in all directions, in both at the same time as well, with a server that sends back what it
/// receives and no more.
#[test]
fn streams_go_both_ways_at_the_same_time() {
    let certificates = Certificates::new();
    for direction in [Direction::Send, Direction::Receive, Direction::Both] {
        on_each_io(|io| {
            let address = listen(
                Some(certificates.server("server", false)),
                move |mut wire| {
                    let mut buffer = [b'x'; 50_000];
                    let moves = |wire: &mut dyn Wire, buffer: &mut [u8]| match direction {
                        Direction::Send => matches!(wire.read(buffer), Ok(1..)),
                        Direction::Receive => wire.write_all(buffer).is_ok(),
                        Direction::Both => match wire.read(buffer) {
                            Ok(count @ 1..) => wire.write_all(&buffer[..count]).is_ok(),
                            _ => false,
                        },
                    };
                    while moves(&mut *wire, &mut buffer) {}
                },
            );
            let plan = Plan {
                io,
                tls: certificates.trust(),
                stop: Stop::Asked,
                connections: 2,
                ..plan(Kind::TcpStream(direction), &format!("tls://{address}"), 1)
            };
            let sends = direction != Direction::Receive;
            let receives = direction != Direction::Send;
            // Enough that what was read has to be kept and fed in every way.
            const ENOUGH_BYTES: u64 = 4 << 20;
            let report = run_until(&plan, |progress| {
                progress.errors > 0
                    || (progress.bytes_out > ENOUGH_BYTES || !sends)
                        && (progress.bytes_in > ENOUGH_BYTES || !receives)
            });
            let total = report.total();
            assert_eq!(total.failed(), 0, "{direction:?} {:?}", total.errors);
            assert_eq!(total.bytes_out > 0, sends, "{direction:?} {io:?}");
            assert_eq!(total.bytes_in > 0, receives, "{direction:?} {io:?}");
            assert_eq!(report.connections, 2);
        });
    }
}

#[test]
fn servers_that_are_not_trusted_are_refused() {
    let certificates = Certificates::new();
    let others = Certificates::new();
    let named = Tls {
        server_name: Some("reviews.example".into()),
        ..certificates.trust()
    };
    for (server, tls, part) in [
        (
            "server",
            others.trust(),
            "UnknownIssuer; name its authority with --cacert",
        ),
        ("server", named, "not valid for name \"reviews.example\""),
        ("expired", certificates.trust(), "expired"),
    ] {
        on_each_io(|io| {
            let address = listen(Some(certificates.server(server, false)), answer);
            let plan = Plan {
                io,
                ..https(address, 3, tls.clone())
            };
            check_error(&run(&plan).total(), ErrorKind::Tls, part);
            let anyone = Tls {
                insecure: true,
                ..tls.clone()
            };
            let total = run(&https(address, 3, anyone)).total();
            assert_eq!(total.answered, 3, "{:?}", total.errors);
        });
    }
}

/// The refusal comes after the client's side of the handshake is over.
#[test]
fn clients_say_who_they_are() {
    let certificates = Certificates::new();
    let others = Certificates::new();
    let address = listen(Some(certificates.server("server", true)), answer);
    let with = |identity: Option<Identity>| Tls {
        identity,
        ..certificates.trust()
    };
    let known = run(&https(
        address,
        3,
        with(Some(certificates.identity("client"))),
    ));
    assert_eq!(known.total().answered, 3, "{:?}", known.total().errors);
    for (identity, part) in [
        (None, "CertificateRequired"),
        (Some(others.identity("client")), "received fatal alert"),
    ] {
        on_each_io(|io| {
            let plan = Plan {
                io,
                ..https(address, 3, with(identity.clone()))
            };
            check_error(&run(&plan).total(), ErrorKind::Tls, part);
        });
    }
}

#[test]
fn connections_per_request_resume_or_do_not() {
    let certificates = Certificates::new();
    for version in ["TLSv1.2", "TLSv1.3"] {
        let settings = format!("ssl_protocols {version}; ssl_session_cache shared:x:1m;");
        let nginx = Nginx::start(&certificates, "ssl", &settings);
        for (full_handshakes, expected) in [(true, 0), (false, 29)] {
            on_each_io(|io| {
                let plan = Plan {
                    io,
                    connect_per_request: true,
                    tls: Tls {
                        server_name: Some("localhost".into()),
                        full_handshakes,
                        ..certificates.trust()
                    },
                    ..plan(
                        Kind::Http1,
                        &format!("https://{}/hello", nginx.address()),
                        30,
                    )
                };
                let report = run(&plan);
                let total = report.total();
                assert_eq!(
                    total.statuses,
                    BTreeMap::from([(200, 30)]),
                    "{:?}",
                    total.errors
                );
                assert_eq!(
                    (report.connections, report.resumed),
                    (30, expected),
                    "{version}"
                );
                let seen = nginx.seen(30);
                let resumed = seen.iter().filter(|one| one.is_resumed).count();
                assert_eq!((seen.len(), resumed as u64), (30, expected), "{version}");
            });
        }
    }
}

#[test]
fn handshakes_that_do_not_end_are_given_up() {
    on_each_io(|io| {
        // The kernel accepts for it.
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let plan = Plan {
            io,
            connect_timeout: Duration::from_millis(100),
            ..https(listener.local_addr().unwrap(), 2, Tls::default())
        };
        let plan = Plan {
            tls: Tls {
                insecure: true,
                ..Tls::default()
            },
            ..plan
        };
        check_error(
            &run(&plan).total(),
            ErrorKind::ConnectTimeout,
            "was ready within",
        );
    });
}

#[test]
fn servers_without_tls_are_told_apart() {
    let address = listen(None, |mut wire| {
        let mut bytes = [0; 16];
        if wire.read(&mut bytes).is_ok() {
            wire.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap();
        }
    });
    let insecure = Tls {
        insecure: true,
        ..Tls::default()
    };
    let total = run(&https(address, 2, insecure)).total();
    check_error(&total, ErrorKind::Tls, "is the port one that speaks TLS?");
}

/// Without `close_notify` nobody can say that an answer without a length is complete.
#[test]
fn answers_that_are_cut_off_are_errors() {
    let certificates = Certificates::new();
    on_each_io(|io| {
        let address = listen(Some(certificates.server("server", false)), |mut wire| {
            if read_head(&mut *wire) {
                wire.write_all(b"HTTP/1.1 200 OK\r\n\r\nhel").unwrap();
            }
        });
        let plan = Plan {
            io,
            ..https(address, 3, certificates.trust())
        };
        check_error(
            &run(&plan).total(),
            ErrorKind::Closed,
            "without TLS's close_notify",
        );
    });
}

#[test]
fn files_that_cannot_be_used_are_named() {
    let certificates = Certificates::new();
    let file = |name: &str, text: &str| {
        let path = certificates.directory().join(name);
        fs::write(&path, text).unwrap();
        path
    };
    let missing = PathBuf::from("/nowhere/authority.pem");
    let empty = file("empty.pem", "nothing in here");
    let broken = file(
        "broken.pem",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    );
    let trusting = |path: &PathBuf| Tls {
        authorities: Some(path.clone()),
        ..Tls::default()
    };
    let being = |certificate: PathBuf, key: PathBuf| Tls {
        identity: Some(Identity { certificate, key }),
        ..certificates.trust()
    };
    let client = certificates.certificate("client");
    let cases = [
        (trusting(&missing), "/nowhere/authority.pem: "),
        (
            trusting(&empty),
            "empty.pem: it holds no certificate in PEM form",
        ),
        (trusting(&broken), "broken.pem: "),
        (
            being(missing.clone(), certificates.key("client")),
            "/nowhere/authority.pem: ",
        ),
        (
            being(client.clone(), empty.clone()),
            "empty.pem: it holds no private key",
        ),
        (
            being(client.clone(), certificates.key("server")),
            "client.pem: its public key is not that of",
        ),
        (
            Tls {
                server_name: Some("a b".into()),
                ..certificates.trust()
            },
            "\"a b\": ",
        ),
    ];
    let address = SocketAddr::from(([127, 0, 0, 1], 1));
    for (tls, part) in cases {
        let text = refusal(&https(address, 1, tls));
        assert!(text.starts_with("TLS is not possible: "), "{text}");
        assert!(text.contains(part), "{text} instead of {part}");
    }
}
