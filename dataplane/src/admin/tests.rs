//! The admin endpoint over real sockets, with a supervisor that says what a test has it say.

#![allow(
    clippy::disallowed_types,
    reason = "the test is asked from several threads"
)]

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::{Duration, UNIX_EPOCH},
};

use ringmain_config::{
    cluster::{Cluster, Service},
    document::{Document, Part},
    listener::{Direction, Listener, ListenerProtocol},
    node::Node,
    origin::Origin,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use super::{
    Admin, AdminState, ClusterView, ConfigSource, Configuration, EndpointView, Health, Limits,
    ListenerView, Readiness, ServerInfo, State, WorkerListener, bind,
};
use crate::supervisor::stages::Stages;

/// What was asked of the supervisor.
#[derive(Debug, Default)]
struct Scripted {
    asked: Mutex<Vec<&'static str>>,
    not_ready: Option<String>,
    metrics_bytes: usize,
}

impl Scripted {
    fn ask(&self, what: &'static str) {
        self.asked.lock().expect("no test panics here").push(what);
    }

    fn asked(&self) -> Vec<&'static str> {
        self.asked.lock().expect("no test panics here").clone()
    }
}

impl AdminState for Scripted {
    fn readiness(&self) -> Readiness {
        match &self.not_ready {
            None => Readiness::Live,
            Some(reason) => Readiness::NotReady(reason.clone()),
        }
    }

    fn server_info(&self) -> ServerInfo {
        ServerInfo {
            version: "1.2.3".into(),
            state: State::Live,
            uptime: Duration::from_millis(1500),
            pid: 42,
            io: "io_uring".into(),
            workers: 2,
            pins: vec![Some(3), None],
            node: Node::default(),
            generation: 7,
            source: ConfigSource::LastGood,
            applied: Some(UNIX_EPOCH + Duration::from_micros(1_500_000)),
            stages: Some(Stages {
                compile: Duration::from_millis(4),
                ..Stages::default()
            }),
            stalled_workers: vec![1],
            control_plane: None,
            last_good: None,
        }
    }

    fn configuration(&self) -> Configuration {
        let origin = Some(Origin {
            resource: "Gateway default/web".into(),
            file: "web.yaml".into(),
            line: 12,
        });
        let mut document = Document {
            generation: 7,
            ..Document::default()
        };
        let address = ([0, 0, 0, 0], 80).into();
        let protocol = ListenerProtocol::Http {
            route_table: "http.80".into(),
        };
        document.upsert(Part::Listener(Arc::new(Listener {
            origin,
            ..Listener::new("web".into(), address, Direction::Gateway, protocol)
        })));
        for name in ["a", "b"] {
            document.upsert(Part::Cluster(Arc::new(Cluster {
                name: name.into(),
                service: Service::default(),
                subset: String::new(),
                balancer: Default::default(),
                connections: Default::default(),
                origin: None,
                ..Cluster::default()
            })));
        }
        Configuration {
            document: Arc::new(document),
            source: ConfigSource::LastGood,
        }
    }

    fn listeners(&self) -> Vec<ListenerView> {
        let view = |name: &str, workers| ListenerView {
            name: name.into(),
            address: ([0, 0, 0, 0], 80).into(),
            workers,
        };
        use WorkerListener::{Bound, Draining, Failed};
        vec![
            view("web", vec![Bound, Bound]),
            view("half", vec![Bound, Failed("port taken".into())]),
            view("old", vec![Draining, Draining]),
        ]
    }

    fn clusters(&self) -> Vec<ClusterView> {
        vec![ClusterView {
            name: "outbound|80||a".into(),
            endpoints: vec![EndpointView {
                address: ([10, 0, 0, 1], 8080).into(),
                hostname: "a.example".into(),
                weight: 3,
                healthy: true,
                connections_active: Some(2),
                connections: None,
                connect_failures: None,
                requests_active: Some(1),
                requests: Some(u64::MAX),
                request_errors: None,
            }],
        }]
    }

    fn metrics(&self) -> String {
        "m 1\n".repeat(self.metrics_bytes / 4 + 1)
    }

    fn quit(&self) {
        self.ask("quit");
    }

    fn drain_listeners(&self) {
        self.ask("drain");
    }

    fn set_health(&self, health: Health) {
        self.ask(match health {
            Health::Ok => "ok",
            Health::Fail => "fail",
        });
    }
}

fn start(state: Arc<Scripted>, limits: Limits) -> Admin {
    let bound = bind(([127, 0, 0, 1], 0).into()).expect("a free port");
    Admin::start(bound, state, limits).expect("it starts")
}

/// No test may hang: what is waited for comes within a time far above what it takes.
async fn within<T>(future: impl Future<Output = T>) -> T {
    let result = timeout(Duration::from_secs(20), future).await;
    result.expect("it comes within the limit")
}

/// Everything that comes back until the connection ends.
async fn exchange(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.expect("it listens");
    stream.write_all(request.as_bytes()).await.expect("written");
    let mut response = Vec::new();
    within(stream.read_to_end(&mut response))
        .await
        .expect("read");
    String::from_utf8(response).expect("text")
}

async fn ask(address: SocketAddr, method: &str, target: &str) -> String {
    let request = format!("{method} {target} HTTP/1.1\r\nHost: {address}\r\n\r\n");
    exchange(address, &request).await
}

fn body(response: &str) -> &str {
    response.split_once("\r\n\r\n").expect("a whole head").1
}

#[tokio::test]
async fn answers() {
    let admin = start(Arc::default(), Limits::default());
    for (method, target, status, expected) in [
        ("GET", "/ready", 200, "LIVE\n"),
        ("HEAD", "/ready", 200, ""),
        ("GET", "/", 200, "POST /quitquitquit"),
        ("GET", "/help", 200, "GET  /config_dump"),
        (
            "GET",
            "/server_info",
            200,
            "\"uptime_all_epochs\": \"1.5s\"",
        ),
        ("GET", "/server_info", 200, "\"state\": \"LIVE\""),
        ("GET", "/server_info", 200, "\"source\": \"last_good\""),
        (
            "GET",
            "/server_info",
            200,
            "\"applied\": \"1970-01-01T00:00:01.500000Z\"",
        ),
        ("GET", "/server_info", 200, "\"compile\": \"0.004s\""),
        (
            "GET",
            "/config_dump",
            200,
            "\"Gateway default/web (web.yaml:12)\"",
        ),
        ("GET", "/config_dump?kind=route_table", 200, "\"parts\": []"),
        ("GET", "/config_dump?kind=x", 400, "not \"x\""),
        ("GET", "/listeners", 200, "web::0.0.0.0:80\n"),
        (
            "GET",
            "/listeners",
            200,
            "half::0.0.0.0:80::bound on 1 of 2 workers: port taken\n",
        ),
        (
            "GET",
            "/listeners",
            200,
            "old::0.0.0.0:80::bound on 0 of 2 workers, draining on 2\n",
        ),
        (
            "GET",
            "/listeners?format=json",
            200,
            "\"error\": \"port taken\"",
        ),
        ("GET", "/listeners?format=text", 200, "web::0.0.0.0:80\n"),
        (
            "GET",
            "/listeners?format=xml",
            400,
            "text or json, not \"xml\"",
        ),
        ("GET", "/listeners?from=json", 400, "it has: format"),
        ("GET", "/ready?x=1", 400, "has no parameter \"x\""),
        (
            "GET",
            "/clusters",
            200,
            "outbound|80||a::10.0.0.1:8080::weight::3\n",
        ),
        (
            "GET",
            "/clusters",
            200,
            "outbound|80||a::10.0.0.1:8080::rq_active::1\n",
        ),
        (
            "GET",
            "/clusters?format=json",
            200,
            "\"value\": \"18446744073709551615\"",
        ),
        ("GET", "/stats/prometheus", 200, "m 1\n"),
        ("GET", "/quitquitqui", 404, "did you mean /quitquitquit?"),
        ("GET", "/nothing/of/the/sort", 404, "see /help"),
        ("POST", "/ready", 405, "/ready wants GET"),
        ("DELETE", "/clusters", 405, "/clusters wants GET"),
    ] {
        let response = ask(admin.address(), method, target).await;
        let line = format!("HTTP/1.1 {status} ");
        assert!(response.starts_with(&line), "{method} {target}: {response}");
        assert!(
            body(&response).contains(expected),
            "{method} {target}: {response}"
        );
        assert!(
            response.contains("x-content-type-options: nosniff"),
            "{response}"
        );
    }
}

#[tokio::test]
async fn counters_that_are_not_kept_are_left_out() {
    let admin = start(Arc::default(), Limits::default());
    let response = ask(admin.address(), "GET", "/clusters").await;
    assert!(!response.contains("cx_total"), "{response}");
}

#[tokio::test]
async fn a_dump_is_filtered() {
    let admin = start(Arc::default(), Limits::default());
    for (target, expected) in [
        ("/config_dump", vec!["web", "a", "b"]),
        ("/config_dump?kind=cluster", vec!["a", "b"]),
        ("/config_dump?kind=cluster&name=b", vec!["b"]),
        ("/config_dump?name=web", vec!["web"]),
        ("/config_dump?kind=cluster&name=web", vec![]),
    ] {
        let response = ask(admin.address(), "GET", target).await;
        let dump: serde_json::Value = serde_json::from_str(body(&response)).expect("JSON");
        assert_eq!(dump["generation"], 7);
        let parts = dump["parts"].as_array().expect("a list");
        let names: Vec<_> = parts.iter().map(|part| part["name"].as_str()).collect();
        let expected: Vec<_> = expected.into_iter().map(Some).collect();
        assert_eq!(names, expected, "{target}");
    }
}

#[tokio::test]
async fn not_ready_says_why() {
    let state = Scripted {
        not_ready: Some("no configuration yet".into()),
        ..Scripted::default()
    };
    let admin = start(Arc::new(state), Limits::default());
    let response = ask(admin.address(), "GET", "/ready").await;
    assert!(response.starts_with("HTTP/1.1 503 "), "{response}");
    assert_eq!(body(&response), "no configuration yet\n");
}

#[tokio::test]
async fn changes_are_posts() {
    let state = Arc::new(Scripted::default());
    let admin = start(state.clone(), Limits::default());
    let paths = [
        ("/quitquitquit", "quit"),
        ("/drain_listeners", "drain"),
        ("/healthcheck/fail", "fail"),
        ("/healthcheck/ok", "ok"),
    ];
    for (path, _) in paths {
        for method in ["GET", "HEAD", "PUT"] {
            let response = ask(admin.address(), method, path).await;
            assert!(response.starts_with("HTTP/1.1 405 "), "{response}");
            assert!(response.contains("\r\nallow: POST\r\n"), "{response}");
        }
    }
    assert_eq!(state.asked(), Vec::<&str>::new());
    for (path, _) in paths {
        let response = ask(admin.address(), "POST", path).await;
        assert_eq!(body(&response), "OK\n", "{response}");
    }
    assert_eq!(state.asked(), paths.map(|(_, what)| what));
}

#[tokio::test]
async fn a_web_page_changes_nothing() {
    let state = Arc::new(Scripted::default());
    let admin = start(state.clone(), Limits::default());
    let address = admin.address();
    for request in [
        "POST /quitquitquit HTTP/1.1\r\nHost: evil.example\r\n\r\n".to_owned(),
        "POST http://evil.example/quitquitquit HTTP/1.1\r\nHost: localhost\r\n\r\n".to_owned(),
        format!(
            "POST /quitquitquit HTTP/1.1\r\nHost: {address}\r\nOrigin: http://evil.example\r\n\r\n"
        ),
        "POST /quitquitquit HTTP/1.1\r\nHost: \u{ff}\r\n\r\n".to_owned(),
    ] {
        let response = exchange(address, &request).await;
        assert!(response.starts_with("HTTP/1.1 403 "), "{request}{response}");
    }
    assert_eq!(state.asked(), Vec::<&str>::new());
}

#[tokio::test]
async fn bad_requests_end_their_connection() {
    let limits = Limits {
        head_deadline: Duration::from_millis(50),
        ..Limits::default()
    };
    let admin = start(Arc::default(), limits);
    let long = format!(
        "GET /ready HTTP/1.1\r\nHost: localhost\r\nx: {}\r\n\r\n",
        "y".repeat(limits.head_bytes_max)
    );
    for (request, expected) in [
        ("rubbish\r\n\r\n", "HTTP/1.1 400 "),
        ("GET /ready HTTP/1.1\r\nHo", ""),
        ("", ""),
        (&long, "HTTP/1.1 431 "),
    ] {
        let response = exchange(admin.address(), request).await;
        assert!(response.starts_with(expected), "{request:.40}: {response}");
    }
}

#[tokio::test]
async fn connections_beyond_the_limit_wait() {
    let limits = Limits {
        connections_max: 1,
        ..Limits::default()
    };
    let admin = start(Arc::default(), limits);
    let idle = TcpStream::connect(admin.address()).await.expect("accepted");
    let address = admin.address();
    let mut waiting = Box::pin(ask(address, "GET", "/ready"));
    let early = timeout(Duration::from_millis(50), &mut waiting).await;
    assert!(early.is_err(), "the limit does not hold: {early:?}");
    drop(idle);
    let response = within(waiting).await;
    assert_eq!(body(&response), "LIVE\n");
}

#[tokio::test]
async fn a_client_that_does_not_read_is_given_up() {
    let limits = Limits {
        connection_deadline: Duration::from_millis(50),
        connections_max: 1,
        ..Limits::default()
    };
    let state = Scripted {
        metrics_bytes: 16 << 20,
        ..Scripted::default()
    };
    let admin = start(Arc::new(state), limits);
    let mut stuck = TcpStream::connect(admin.address()).await.expect("accepted");
    stuck
        .write_all(b"GET /stats/prometheus HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .await
        .expect("written");
    // Served only because the one that is stuck was given up.
    let response = ask(admin.address(), "GET", "/ready").await;
    assert_eq!(body(&response), "LIVE\n");
}

#[tokio::test]
async fn finishing_lets_a_response_end() {
    let state = Arc::new(Scripted {
        metrics_bytes: 8 << 20,
        ..Scripted::default()
    });
    let admin = start(state, Limits::default());
    let address = admin.address();
    let mut stream = TcpStream::connect(address).await.expect("accepted");
    stream
        .write_all(b"GET /stats/prometheus HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .await
        .expect("written");
    let mut response = vec![0; 1];
    within(stream.read_exact(&mut response))
        .await
        .expect("begun");
    let finish = admin.finish(Duration::from_secs(20));
    let rest = async { stream.read_to_end(&mut response).await };
    let (rest, ()) = within(async { tokio::join!(rest, finish) }).await;
    rest.expect("read");
    assert!(response.len() > 8 << 20, "{}", response.len());
    TcpStream::connect(address).await.expect_err("it is closed");
}

#[tokio::test]
async fn a_taken_port_is_explained() {
    let admin = start(Arc::default(), Limits::default());
    let error = bind(admin.address()).expect_err("it is taken").to_string();
    for expected in [
        &admin.address().to_string(),
        "another process",
        "[admin] listen",
    ] {
        assert!(error.contains(expected), "{error}");
    }
    assert!(!error.contains('\n'), "{error}");
}

#[tokio::test]
async fn every_path_is_documented() {
    let document = include_str!("../../../docs/admin.md");
    let admin = start(Arc::default(), Limits::default());
    let help = ask(admin.address(), "GET", "/help").await;
    let paths: Vec<_> = body(&help)
        .lines()
        .filter_map(|line| line.split_whitespace().find(|word| word.starts_with('/')))
        .collect();
    assert!(paths.len() > 10, "{help}");
    for path in paths {
        assert!(document.contains(&format!("`{path}`")), "{path}");
    }
}
