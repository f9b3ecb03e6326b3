//! Proxies at the control plane's socket.

mod harness;

use std::time::Duration;

use harness::{Connection, Plane, Proxy, node, within};
use ringmain_config::{
    node::Node,
    wire::{Ack, Commit, HEAD_BYTES, Message, Query},
};
use ringmain_controlplane::{Limits, Options, Running, client, status::Sync};
use tokio::io::AsyncWriteExt;

const GATEWAY: &str = "
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: edge}
spec:
  selector: {istio: edge}
  servers:
  - {port: {number: 8080, name: http, protocol: HTTP}, hosts: ['*']}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{name: http, port: 80}]}
";

fn rules(body: &str) -> String {
    format!(
        "
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: rules}}
spec:
  hosts: ['*']
  gateways: [edge]
  http:
  - {{match: [{{uri: {{exact: /}}}}], directResponse: {{status: 200, body: {{string: '{body}'}}}}}}
  - {{route: [{{destination: {{host: web}}}}]}}
"
    )
}

async fn plane() -> Plane {
    Plane::start(&[("gateway.yaml", GATEWAY), ("rules.yaml", &rules("first"))]).await
}

fn edge() -> Proxy {
    Proxy::new(node("edge", &[("istio", "edge")]))
}

fn web(name: &str, address: &str) -> Proxy {
    Proxy::new(Node {
        address: address.parse().ok(),
        ..node(name, &[("app", "web")])
    })
}

const TABLE: &str = "route table \"http.8080\"";
const ENDPOINTS: &str = "endpoint set \"outbound|80||web.default.svc.cluster.local\"";

/// Addresses of `web` in what the proxy holds.
fn endpoints(proxy: &Proxy) -> Vec<String> {
    let set = &proxy.held.endpoint_sets["outbound|80||web.default.svc.cluster.local"];
    let endpoints = set.value.endpoints.iter();
    endpoints
        .map(|endpoint| endpoint.address.to_string())
        .collect()
}

#[tokio::test]
async fn a_proxy_is_brought_to_its_document() {
    let plane = plane().await;
    let mut edge = edge();
    edge.connect(&plane).await;
    let received = edge.take().await;
    assert_eq!(
        received.upserts,
        [
            "listener \"0.0.0.0_8080\"",
            TABLE,
            "cluster \"outbound|80||web.default.svc.cluster.local\"",
            ENDPOINTS,
        ]
    );
    let status = plane.until_proxy("edge", Sync::InSync).await;
    assert_eq!(status.generation_held, received.generation);
    assert_eq!(status.generation_sent, received.generation);
    assert_eq!(status.peer.pid, i32::try_from(std::process::id()).ok());
    assert_eq!(edge.held, plane.document("edge").await);
}

#[tokio::test]
async fn a_change_sends_what_it_changes() {
    let plane = plane().await;
    let mut edge = edge();
    edge.connect(&plane).await;
    edge.take().await;
    plane.write("rules.yaml", &rules("second"));
    assert_eq!(edge.take().await.upserts, [TABLE]);
    plane.remove("rules.yaml");
    let received = edge.take().await;
    assert_eq!(received.upserts, [TABLE]);
    assert_eq!(received.removals.len(), 2, "{received:?}");
    assert_eq!(edge.held, plane.document("edge").await);
}

#[tokio::test]
async fn a_proxy_that_comes_back_is_sent_only_what_differs() {
    let mut plane = plane().await;
    let mut edge = edge();
    edge.connect(&plane).await;
    edge.take().await;
    edge.disconnect();

    // Nothing differs: no part is sent, and both sides know it.
    plane.restart().await;
    edge.connect(&plane).await;
    let held = edge.held.generation;
    let received = edge.take().await;
    assert_eq!((received.generation, received.upserts.len()), (held, 0));
    let status = plane.until_proxy("edge", Sync::InSync).await;
    assert_eq!(status.generation_sent, 0);
    assert_eq!(status.generation_held, edge.held.generation);
    edge.disconnect();

    plane.stop().await;
    plane.write("rules.yaml", &rules("second"));
    plane.restart().await;
    edge.connect(&plane).await;
    assert_eq!(edge.take().await.upserts, [TABLE]);
    plane.until_proxy("edge", Sync::InSync).await;
}

#[tokio::test]
async fn generations_rise_above_what_a_proxy_knows() {
    let plane = plane().await;
    let mut edge = edge();
    edge.held.generation = u64::MAX / 2;
    edge.connect(&plane).await;
    assert!(edge.take().await.generation > u64::MAX / 2);
}

#[tokio::test]
async fn one_generation_at_a_time_and_the_latest_wins() {
    let plane = plane().await;
    let mut edge = edge();
    edge.connect(&plane).await;
    let mut first = edge.receive().await;
    for body in ["second", "third", "fourth"] {
        plane.write("rules.yaml", &rules(body));
        // Published, as far as the control plane is concerned.
        let target = loop {
            let target = plane.document("edge").await;
            if serde_json::to_string(&target).unwrap().contains(body) {
                break target;
            }
            tokio::task::yield_now().await;
        };
        assert!(target.generation > first.generation);
    }
    edge.acknowledge(&mut first).await;
    let second = edge.take().await;
    assert_eq!(second.upserts, [TABLE]);
    assert_eq!(edge.held, plane.document("edge").await);
    let status = plane.until_proxy("edge", Sync::InSync).await;
    assert_eq!(status.generation_sent, second.generation);
}

#[tokio::test]
async fn a_refusal_is_shown_and_the_next_change_starts_from_what_is_held() {
    let plane = plane().await;
    let mut edge = edge();
    edge.connect(&plane).await;
    edge.take().await;
    plane.write("rules.yaml", &rules("second"));
    let received = edge.receive().await;
    edge.refuse(&received, "the address is taken").await;
    let status = plane.until_proxy("edge", Sync::Refused).await;
    assert_eq!(status.problems[0].message, "the address is taken");
    assert_eq!(status.generation_held, edge.held.generation);
    assert_eq!(status.generation_sent, received.generation);

    // Back to what the proxy holds: nothing is to be sent for that.
    plane.write("rules.yaml", &rules("first"));
    let status = plane.until_proxy("edge", Sync::InSync).await;
    assert_eq!(status.problems, []);
    plane.write("rules.yaml", &rules("third"));
    assert_eq!(edge.take().await.upserts, [TABLE]);
}

#[tokio::test]
async fn a_proxy_that_nothing_is_for_is_told_so_once() {
    let plane = plane().await;
    let mut idle = Proxy::new(node("idle", &[]));
    idle.connect(&plane).await;
    let received = idle.take().await;
    assert_eq!(received.upserts, Vec::<String>::new());
    let status = plane.until_proxy("idle", Sync::InSync).await;
    assert!(status.warnings[0].message.contains("listens nowhere"));
    idle.disconnect();
    plane
        .until("it is gone", |status| status.proxies.is_empty())
        .await;
    idle.connect(&plane).await;
    assert_eq!(idle.take().await.generation, received.generation);
    let status = plane.until_proxy("idle", Sync::InSync).await;
    assert_eq!(status.generation_sent, 0);
}

#[tokio::test]
async fn many_proxies_register_and_are_in_sync() {
    const PROXIES: usize = 200;
    let plane = plane().await;
    let mut edge = edge();
    edge.connect(&plane).await;
    edge.take().await;
    let mut proxies = Vec::new();
    for number in 0..PROXIES {
        let mut proxy = web(&format!("web-{number}"), &format!("127.0.1.{number}"));
        proxy.connect(&plane).await;
        proxies.push(proxy);
    }
    for proxy in &mut proxies {
        proxy.take().await;
    }
    while endpoints(&edge).len() < PROXIES {
        let received = edge.take().await;
        assert_eq!(received.upserts, [ENDPOINTS]);
    }
    let all_in_sync = |status: &ringmain_controlplane::status::Status| {
        let mut proxies = status.proxies.iter();
        proxies.all(|proxy| proxy.sync == Sync::InSync)
    };
    let status = plane.until("all in sync", all_in_sync).await;
    assert_eq!(status.proxies.len(), PROXIES + 1);
}

#[tokio::test]
async fn a_workload_outlives_its_proxy_by_the_grace() {
    let limits = Limits {
        grace_of_proxy: Duration::from_millis(300),
        ..Limits::default()
    };
    let files = [("gateway.yaml", GATEWAY), ("rules.yaml", &rules("first"))];
    let plane = Plane::start_with(&files, limits).await;
    let (mut edge, mut web) = (edge(), web("web", "127.0.1.1"));
    edge.connect(&plane).await;
    edge.take().await;
    web.connect(&plane).await;
    edge.take().await;
    assert_eq!(endpoints(&edge), ["127.0.1.1:80"]);
    let gone = std::time::Instant::now();
    web.disconnect();
    edge.take().await;
    assert_eq!(endpoints(&edge), Vec::<String>::new());
    assert!(gone.elapsed() >= Duration::from_millis(300));
}

#[tokio::test]
async fn a_restart_of_the_control_plane_empties_nothing() {
    let limits = Limits {
        grace_of_control: Duration::from_millis(500),
        ..Limits::default()
    };
    let files = [("gateway.yaml", GATEWAY), ("rules.yaml", &rules("first"))];
    let mut plane = Plane::start_with(&files, limits).await;
    let mut edge = edge();
    let mut webs = [web("a", "127.0.1.1"), web("b", "127.0.1.2")];
    for web in &mut webs {
        web.connect(&plane).await;
        web.take().await;
    }
    edge.connect(&plane).await;
    edge.take().await;
    assert_eq!(endpoints(&edge), ["127.0.1.1:80", "127.0.1.2:80"]);

    edge.disconnect();
    plane.restart().await;
    edge.connect(&plane).await;
    let received = edge.take().await;
    assert!(received.upserts.is_empty(), "nothing changed for it");
    let status = plane.until_proxy("edge", Sync::InSync).await;
    assert_eq!(status.generation_sent, 0, "nothing changed for it");

    // The one that comes back stays; the other had its time.
    webs[0].connect(&plane).await;
    assert_eq!(edge.take().await.upserts, [ENDPOINTS]);
    assert_eq!(endpoints(&edge), ["127.0.1.1:80"]);
}

#[tokio::test]
async fn two_proxies_of_one_name_are_both_served() {
    let plane = plane().await;
    let (mut old, mut new, mut edge) = (web("w", "127.0.1.1"), web("w", "127.0.1.2"), edge());
    old.connect(&plane).await;
    old.take().await;
    new.connect(&plane).await;
    new.take().await;
    edge.connect(&plane).await;
    edge.take().await;
    assert_eq!(endpoints(&edge), ["127.0.1.2:80"], "the last one counts");
    let status = plane
        .until("both in sync", |status| {
            let mut proxies = status.proxies.iter();
            proxies.all(|proxy| proxy.sync == Sync::InSync)
        })
        .await;
    assert_eq!(status.proxies.len(), 3);
}

#[tokio::test]
async fn garbage_closes_only_its_own_connection() {
    let plane = plane().await;
    let mut edge = edge();
    edge.connect(&plane).await;
    edge.take().await;

    let mut short_hello = vec![b'R', b'M', 1, 1];
    short_hello.extend(8u32.to_be_bytes());
    short_hello.extend(b"{\"a\": 1}");
    let mut ack = Vec::new();
    let message = Message::Ack(Ack { generation: 1 });
    message.encode(&mut ack).expect("short");
    for (bytes, expected) in [
        (b"GET / HTTP/1.1\r\n\r\n".to_vec(), "does not speak"),
        (vec![b'R', b'M', 9, 1, 0, 0, 0, 0], "major version 9"),
        (
            vec![b'R', b'M', 1, 1, 0xff, 0xff, 0xff, 0xff],
            "longer than the limit",
        ),
        (short_hello, "missing field"),
        (ack, "starts with a hello or a query"),
    ] {
        let mut connection = Connection::open(&plane.socket()).await;
        connection.stream.write_all(&bytes).await.expect("written");
        let answer = connection.hear().await;
        let Some(Message::Refused(refused)) = answer else {
            panic!("{answer:?} to {bytes:?}");
        };
        assert!(refused.reason.contains(expected), "{}", refused.reason);
        assert_eq!(connection.hear().await, None);
    }

    // Out of turn once it is a proxy: its connection ends, and nothing else does.
    let mut other = web("other", "127.0.1.1");
    other.connect(&plane).await;
    other.take().await;
    edge.take().await;
    let commit = Message::Commit(Commit { generation: 1 });
    other.connection().say(&commit).await;
    assert_eq!(other.connection().hear().await, None);

    plane.write("rules.yaml", &rules("second"));
    assert_eq!(edge.take().await.upserts, [TABLE]);
}

#[tokio::test]
async fn a_silent_peer_is_closed_in_time() {
    let limits = Limits {
        hello: Duration::from_millis(50),
        ..Limits::default()
    };
    let plane = Plane::start_with(&[("gateway.yaml", GATEWAY)], limits).await;
    let mut silent = Connection::open(&plane.socket()).await;
    assert_eq!(silent.hear().await, None);
    let mut dripping = Connection::open(&plane.socket()).await;
    dripping.stream.write_all(b"RM\x01").await.expect("written");
    assert_eq!(dripping.hear().await, None);
}

#[tokio::test]
async fn a_proxy_that_does_not_read_holds_up_nobody() {
    let limits = Limits {
        write: Duration::from_millis(200),
        ..Limits::default()
    };
    // More than a socket's buffers take.
    let large = rules(&"x".repeat(1 << 20));
    let files = [("gateway.yaml", GATEWAY), ("rules.yaml", &large)];
    let plane = Plane::start_with(&files, limits).await;
    let mut stuck = Proxy::new(node("stuck", &[("istio", "edge")]));
    stuck.connect(&plane).await;
    let mut edge = edge();
    edge.connect(&plane).await;
    assert_eq!(edge.take().await.upserts.len(), 4);
    plane.until_proxy("edge", Sync::InSync).await;
    plane
        .until("the stuck one is given up", |status| {
            status.proxies.iter().all(|proxy| proxy.name != "stuck")
        })
        .await;
}

#[tokio::test]
async fn connections_are_bounded() {
    let limits = Limits {
        connections_max: 2,
        ..Limits::default()
    };
    let plane = Plane::start_with(&[("gateway.yaml", GATEWAY)], limits).await;
    let (mut edge, mut web) = (edge(), web("web", "127.0.1.1"));
    edge.connect(&plane).await;
    web.connect(&plane).await;
    let mut third = Connection::open(&plane.socket()).await;
    let answer = third.hear().await;
    let Some(Message::Refused(refused)) = answer else {
        panic!("{answer:?}");
    };
    assert!(refused.reason.contains("limit of 2 connections"));
    web.disconnect();
    // Its place is free again, and tools use the same ones.
    let status = plane.socket();
    let answered = async {
        while client::query(&status, Query::Status).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    within(answered).await;
}

#[tokio::test]
async fn a_proxy_without_a_name_is_refused() {
    let plane = plane().await;
    for (node, expected) in [
        (node("", &[]), "has no name"),
        (
            Node {
                namespace: String::new(),
                ..node("a", &[])
            },
            "has no namespace",
        ),
        (node(&"x".repeat(300), &[]), "longer than 253 bytes"),
    ] {
        let mut connection = Connection::open(&plane.socket()).await;
        let hello = Proxy::new(node).hello();
        connection.say(&Message::Hello(hello)).await;
        let answer = connection.hear().await;
        let Some(Message::Refused(refused)) = answer else {
            panic!("{answer:?}");
        };
        assert!(refused.reason.contains(expected), "{}", refused.reason);
    }
}

#[tokio::test]
async fn unknown_messages_of_a_newer_version_are_passed_over() {
    let plane = plane().await;
    let mut edge = edge();
    edge.connect(&plane).await;
    let mut received = edge.receive().await;
    let mut unknown = vec![b'R', b'M', 1, 99, 0, 0, 0, 3];
    assert_eq!(unknown.len(), HEAD_BYTES);
    unknown.extend(b"abc");
    let stream = &mut edge.connection().stream;
    stream.write_all(&unknown).await.expect("written");
    edge.acknowledge(&mut received).await;
    plane.until_proxy("edge", Sync::InSync).await;
}

#[tokio::test]
async fn questions() {
    let plane = plane().await;
    let body = client::query(&plane.socket(), Query::Resources).await;
    let kinds: Vec<_> = body.expect("an answer").as_array().expect("a list").clone();
    let kinds: Vec<_> = kinds.iter().map(|item| item["kind"].clone()).collect();
    assert_eq!(kinds, ["Gateway", "Service", "VirtualService"]);

    let nobody = Query::Document {
        namespace: "default".to_owned(),
        name: "nobody".to_owned(),
    };
    let error = client::query(&plane.socket(), nobody).await;
    let error = error.expect_err("refused").to_string();
    assert!(error.contains("no proxy default/nobody"), "{error}");

    let absent = plane.directory.path().join("absent.sock");
    let error = client::query(&absent, Query::Status).await;
    let error = error.expect_err("nobody there").to_string();
    assert!(error.starts_with("no control plane at "), "{error}");
}

#[tokio::test]
async fn a_second_control_plane_is_refused_and_harms_nothing() {
    let plane = plane().await;
    let options = Options {
        resources: plane.resources(),
        socket: plane.socket(),
        ..Options::default()
    };
    let error = Running::start(options).await.err().expect("refused");
    assert!(
        error.to_string().contains("another control plane"),
        "{error}"
    );
    edge().connect(&plane).await;
}
