//! Messages of every kind with every field in use now and then.

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
    cluster::{Balancer, Cluster, Connections, Service, TcpConnections},
    document::{Part, PartKey, PartKind},
    endpoint::{Endpoint, EndpointAddress, EndpointSet, Workload},
    listener::{Direction, Listener, ListenerProtocol},
    node::{GatewayScope, Node},
    origin::Origin,
    problem::{Problem, Severity},
    route::{
        Action, Destination, DirectResponse, Forward, HeaderEdits, HeaderMatch, HeaderValue,
        PathMatch, QueryMatch, Redirect, RedirectPath, RedirectPort, Rewrite, Route, RouteMatch,
        RouteTable, StringMatch, VirtualHost,
    },
    tcp::{Subnet, TcpDestination, TcpMatch, TcpRoute},
    wire::{
        Ack, Answer, Commit, Held, Hello, Message, Nack, Query, Refused, Update, Upsert, Welcome,
    },
};

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
        listener().prop_map(|part| Part::Listener(Arc::new(part))),
        route_table().prop_map(|part| Part::RouteTable(Arc::new(part))),
        cluster().prop_map(|part| Part::Cluster(Arc::new(part))),
        endpoint_set().prop_map(|part| Part::EndpointSet(Arc::new(part))),
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
    let kind = prop_oneof![
        Just(PartKind::Listener),
        Just(PartKind::RouteTable),
        Just(PartKind::Cluster),
        Just(PartKind::EndpointSet),
    ];
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
    ];
    (text(), any::<SocketAddr>(), direction, protocol, origin()).prop_map(
        |(name, address, direction, protocol, origin)| Listener {
            name,
            address: without_flow(address),
            direction,
            protocol,
            origin,
        },
    )
}

fn tcp_route() -> impl Strategy<Value = TcpRoute> {
    let subnet = (any::<IpAddr>(), 0..=32_u8)
        .prop_map(|(address, bits)| Subnet::new(address, bits).expect("every address has 32 bits"));
    let matches =
        (vec(subnet.clone(), 0..3), vec(subnet, 0..3)).prop_map(|(destinations, sources)| {
            TcpMatch {
                destinations,
                sources,
            }
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

fn route_table() -> impl Strategy<Value = RouteTable> {
    let host = (text(), vec(text(), 0..3), vec(route(), 0..2), origin()).prop_map(
        |(name, domains, routes, origin)| VirtualHost {
            name,
            domains,
            routes,
            origin,
        },
    );
    (text(), vec(host, 0..2)).prop_map(|(name, virtual_hosts)| RouteTable {
        name,
        virtual_hosts,
        retry: None,
    })
}

fn route() -> impl Strategy<Value = Route> {
    (
        text(),
        route_match(),
        action(),
        edits(),
        edits(),
        option::of(duration()),
        origin(),
    )
        .prop_map(
            |(name, matches, action, request_headers, response_headers, timeout, origin)| Route {
                name,
                matches,
                action,
                request_headers,
                response_headers,
                timeout,
                origin,
                filters: Default::default(),
            },
        )
}

fn route_match() -> impl Strategy<Value = RouteMatch> {
    let path = prop_oneof![
        Just(PathMatch::Any),
        text().prop_map(PathMatch::Exact),
        text().prop_map(PathMatch::Prefix),
        text().prop_map(PathMatch::Regex),
    ];
    let header =
        (text(), string_match(), any::<bool>()).prop_map(|(name, value, invert)| HeaderMatch {
            name,
            value,
            invert,
        });
    let query = (text(), string_match()).prop_map(|(name, value)| QueryMatch { name, value });
    (
        path,
        any::<bool>(),
        option::of(string_match()),
        option::of(string_match()),
        option::of(string_match()),
        vec(header, 0..2),
        vec(query, 0..2),
    )
        .prop_map(
            |(path, ignore_case, method, authority, scheme, headers, query)| RouteMatch {
                path,
                ignore_case,
                method,
                authority,
                scheme,
                headers,
                query,
            },
        )
}

fn string_match() -> impl Strategy<Value = StringMatch> {
    prop_oneof![
        text().prop_map(StringMatch::Exact),
        text().prop_map(StringMatch::Prefix),
        text().prop_map(StringMatch::Regex),
        Just(StringMatch::Present),
    ]
}

fn action() -> impl Strategy<Value = Action> {
    let destination = (text(), any::<u32>(), edits(), edits()).prop_map(
        |(cluster, weight, request_headers, response_headers)| Destination {
            cluster,
            weight,
            request_headers,
            response_headers,
            ..Destination::default()
        },
    );
    let rewrite = (option::of(text()), option::of(text())).prop_map(|(path, authority)| Rewrite {
        path,
        authority,
        ..Rewrite::default()
    });
    let forward =
        (vec(destination, 1..3), option::of(rewrite)).prop_map(|(destinations, rewrite)| {
            Action::Forward(Forward {
                destinations,
                rewrite,
                ..Forward::default()
            })
        });
    let direct = (any::<u16>(), vec(any::<u8>(), 0..6))
        .prop_map(|(status, body)| Action::Direct(DirectResponse { status, body }));
    prop_oneof![forward, redirect().prop_map(Action::Redirect), direct]
}

fn redirect() -> impl Strategy<Value = Redirect> {
    let port = prop_oneof![
        Just(RedirectPort::Authority),
        any::<u16>().prop_map(RedirectPort::Port),
        Just(RedirectPort::FromProtocolDefault),
        Just(RedirectPort::FromRequestPort),
    ];
    let path = prop_oneof![
        Just(RedirectPath::Keep),
        text().prop_map(RedirectPath::Full),
        text().prop_map(RedirectPath::Prefix),
    ];
    (
        any::<u16>(),
        option::of(text()),
        option::of(text()),
        port,
        path,
    )
        .prop_map(|(status, scheme, authority, port, path)| Redirect {
            status,
            scheme,
            authority,
            port,
            path,
        })
}

fn edits() -> impl Strategy<Value = HeaderEdits> {
    let value = || (text(), text()).prop_map(|(name, value)| HeaderValue { name, value });
    (
        option::of(text()),
        vec(text(), 0..2),
        vec(value(), 0..2),
        vec(value(), 0..2),
    )
        .prop_map(|(authority, remove, set, add)| HeaderEdits {
            authority,
            remove,
            set,
            add,
        })
}

fn cluster() -> impl Strategy<Value = Cluster> {
    let balancer = prop_oneof![
        Just(Balancer::LeastRequest),
        Just(Balancer::RoundRobin),
        Just(Balancer::Random),
    ];
    let tcp = (duration(), option::of(duration()), option::of(any::<u32>())).prop_map(
        |(idle_timeout, duration_max, connections_max)| TcpConnections {
            idle_timeout,
            duration_max,
            connections_max,
        },
    );
    let connections = (duration(), duration(), any::<u32>(), tcp).prop_map(
        |(connect_timeout, idle_timeout, requests_max, tcp)| Connections {
            connect_timeout,
            idle_timeout,
            requests_max,
            tcp,
            ..Connections::default()
        },
    );
    let service = (text(), text(), text()).prop_map(|(host, name, namespace)| Service {
        host,
        name,
        namespace,
    });
    (text(), service, text(), balancer, connections, origin()).prop_map(
        |(name, service, subset, balancer, connections, origin)| Cluster {
            name,
            service,
            subset,
            balancer,
            connections,
            origin,
            ..Cluster::default()
        },
    )
}

fn endpoint_set() -> impl Strategy<Value = EndpointSet> {
    let address = prop_oneof![
        any::<SocketAddr>().prop_map(|address| EndpointAddress::Socket(without_flow(address))),
        (text(), any::<u16>()).prop_map(|(host, port)| EndpointAddress::Dns { host, port }),
    ];
    let endpoint =
        (address, any::<u32>(), workload()).prop_map(|(address, weight, workload)| Endpoint {
            address,
            weight,
            workload: Arc::new(workload),
        });
    (text(), vec(endpoint, 0..3))
        .prop_map(|(cluster, endpoints)| EndpointSet { cluster, endpoints })
}

fn workload() -> impl Strategy<Value = Workload> {
    (text(), text(), text(), text(), text(), text(), text()).prop_map(
        |(name, namespace, app, version, service, revision, service_account)| Workload {
            name,
            namespace,
            app,
            version,
            canonical_service: service,
            canonical_revision: revision,
            service_account,
        },
    )
}

fn duration() -> impl Strategy<Value = Duration> {
    (any::<u64>(), 0..1_000_000_000u32).prop_map(|(secs, nanos)| Duration::new(secs, nanos))
}
