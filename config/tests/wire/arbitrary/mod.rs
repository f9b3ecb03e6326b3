//! Messages of every kind with every field in use now and then.

mod cluster;
mod route;
mod tls;

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use proptest::{
    collection::{btree_map, vec},
    option,
    prelude::*,
};
use ringmain_config::{
    document::{Part, PartKey, PartKind},
    listener::{Direction, Listener, ListenerProtocol},
    node::{GatewayScope, Node},
    origin::Origin,
    problem::{Problem, Severity},
    tcp::{Subnet, TcpDestination, TcpMatch, TcpRoute},
    wire::{
        Ack, Answer, Commit, Held, Hello, Message, Nack, Query, Refused, Update, Upsert, Welcome,
    },
};

use cluster::{cluster, endpoint_set};
use route::route_table;
use tls::{listener_tls, secret};

pub(crate) fn message() -> impl Strategy<Value = Message> {
    prop_oneof![
        hello().prop_map(Message::Hello),
        (any::<u32>(), text())
            .prop_map(|(minor, program)| Message::Welcome(Welcome { minor, program })),
        text().prop_map(|reason| Message::Refused(Refused { reason })),
        update().prop_map(Message::Update),
        any::<u64>().prop_map(|generation| Message::Commit(Commit { generation })),
        any::<u64>().prop_map(|generation| Message::Ack(Ack { generation })),
        (any::<u64>(), vec(problem(), 0..3)).prop_map(|(generation, problems)| Message::Nack(
            Nack {
                generation,
                problems
            }
        )),
        query().prop_map(Message::Query),
        json().prop_map(|body| Message::Answer(Answer { body })),
    ]
}

pub(crate) fn part() -> impl Strategy<Value = Part> {
    prop_oneof![
        listener()
            .prop_map(|part| Part::Listener(Arc::new(part)))
            .boxed(),
        route_table().prop_map(|part| Part::RouteTable(Arc::new(part))),
        cluster()
            .prop_map(|part| Part::Cluster(Arc::new(part)))
            .boxed(),
        endpoint_set().prop_map(|part| Part::EndpointSet(Arc::new(part))),
        secret().prop_map(|part| Part::Secret(Arc::new(part))),
    ]
}

/// Any text: what is allowed where is the compiler's business, not the wire's.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z0-9.|_-]{0,12}",
        vec(any::<char>(), 0..6).prop_map(String::from_iter)
    ]
}

fn hello() -> impl Strategy<Value = Hello> {
    (
        any::<u32>(),
        text(),
        node(),
        vec((key(), any::<u64>()), 0..4),
        any::<u64>(),
    )
        .prop_map(|(minor, program, node, holds, generation)| Hello {
            minor,
            program,
            node,
            holds: holds
                .into_iter()
                .map(|(key, version)| Held { key, version })
                .collect(),
            generation,
        })
}

fn node() -> impl Strategy<Value = Node> {
    (
        text(),
        text(),
        text(),
        btree_map(text(), text(), 0..3),
        option::of(any::<IpAddr>()),
        btree_map(text(), any::<u16>(), 0..3),
        prop_oneof![Just(GatewayScope::Selected), Just(GatewayScope::All)],
    )
        .prop_map(
            |(name, namespace, service_account, labels, address, ports, gateways)| Node {
                name,
                namespace,
                service_account,
                labels,
                address,
                ports,
                gateways,
            },
        )
}

fn key() -> impl Strategy<Value = PartKey> {
    let kind = prop::sample::select(PartKind::ALL);
    (kind, text()).prop_map(|(kind, name)| PartKey { kind, name })
}

fn update() -> impl Strategy<Value = Update> {
    let upsert = (any::<u64>(), part()).prop_map(|(version, part)| Upsert { version, part });
    (vec(upsert, 0..3), vec(key(), 0..3))
        .prop_map(|(upserts, removals)| Update { upserts, removals })
}

fn problem() -> impl Strategy<Value = Problem> {
    (
        prop_oneof![Just(Severity::Warning), Just(Severity::Error)],
        option::of(text()),
        any::<u32>(),
        any::<u32>(),
        text(),
        text(),
        option::of(text()),
    )
        .prop_map(
            |(severity, file, line, column, path, message, hint)| Problem {
                severity,
                file,
                line,
                column,
                path,
                message,
                hint,
            },
        )
}

fn query() -> impl Strategy<Value = Query> {
    prop_oneof![
        Just(Query::Status),
        Just(Query::Resources),
        (text(), text()).prop_map(|(namespace, name)| Query::Document { namespace, name }),
    ]
}

/// Without fractions: an answer has none, and their last digit may change in JSON.
fn json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        text().prop_map(Into::into),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Into::into),
            vec((text(), inner), 0..4)
                .prop_map(|fields| serde_json::Value::Object(fields.into_iter().collect())),
        ]
    })
}

fn origin() -> impl Strategy<Value = Option<Origin>> {
    option::of(
        (text(), text(), any::<u32>()).prop_map(|(resource, file, line)| Origin {
            resource: resource.into(),
            file: file.into(),
            line,
        }),
    )
}

fn listener() -> impl Strategy<Value = Listener> {
    let direction = prop_oneof![
        Just(Direction::Inbound),
        Just(Direction::Outbound),
        Just(Direction::Gateway),
    ];
    let protocol = prop_oneof![
        text().prop_map(|route_table| ListenerProtocol::Http { route_table }),
        vec(tcp_route(), 0..3).prop_map(|routes| ListenerProtocol::Tcp { routes }),
        (text(), vec(tcp_route(), 0..3)).prop_map(|(route_table, routes)| {
            ListenerProtocol::Detect {
                route_table,
                routes,
            }
        }),
    ];
    let protocol = protocol.boxed();
    let tls = option::of(listener_tls(protocol.clone())).boxed();
    let names = (option::of(text()), option::of(text()));
    let proxied_by = vec(subnet(), 0..2);
    let address = any::<SocketAddr>();
    (
        text(),
        address,
        direction,
        protocol,
        tls,
        proxied_by,
        names,
        origin(),
    )
        .prop_map(
            |(name, address, direction, protocol, tls, proxied_by, names, origin)| Listener {
                name,
                address: without_flow(address),
                direction,
                protocol,
                tls,
                proxied_by,
                authentication: names.0,
                authorization: names.1,
                origin,
            },
        )
}

fn subnet() -> impl Strategy<Value = Subnet> {
    (any::<IpAddr>(), 0..=32_u8)
        .prop_map(|(address, bits)| Subnet::new(address, bits).expect("every address has 32 bits"))
}

fn tcp_route() -> impl Strategy<Value = TcpRoute> {
    let matches =
        (vec(subnet(), 0..3), vec(subnet(), 0..3)).prop_map(|(destinations, sources)| TcpMatch {
            destinations,
            sources,
        });
    let destination =
        (text(), any::<u32>()).prop_map(|(cluster, weight)| TcpDestination { cluster, weight });
    (matches, vec(destination, 0..3), origin()).prop_map(|(matches, destinations, origin)| {
        TcpRoute {
            matches,
            destinations,
            origin,
        }
    })
}

/// Flow labels of IPv6 are not part of an address's text.
fn without_flow(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip(), address.port())
}

fn duration() -> impl Strategy<Value = Duration> {
    (any::<u64>(), 0..1_000_000_000u32).prop_map(|(secs, nanos)| Duration::new(secs, nanos))
}
