//! Clusters and endpoint sets with every field in use now and then.

use std::{net::SocketAddr, sync::Arc};

use proptest::{collection::vec, option, prelude::*};
use ringmain_config::{
    cluster::{
        Balancer, Cluster, Connections, HashCookie, HashKey, HttpConnections, KeepAlive, Protocol,
        ProxyProtocol, Service, TcpConnections, Transport,
    },
    endpoint::{Endpoint, EndpointAddress, EndpointSet, Workload},
    retry::RetryBudget,
};

use super::{duration, origin, text, tls::client_tls, without_flow};

pub(super) fn cluster() -> impl Strategy<Value = Cluster> {
    let service = (text(), text(), text()).prop_map(|(host, name, namespace)| Service {
        host,
        name,
        namespace,
    });
    let protocol = prop::sample::select(vec![Protocol::Http1, Protocol::Http2, Protocol::AsClient]);
    let budget = (any::<u32>(), any::<u32>()).prop_map(|(share, concurrency_min)| RetryBudget {
        share,
        concurrency_min,
    });
    (
        (text(), service, text()),
        (protocol, transport(), option::of(proxy_protocol())),
        balancer(),
        option::of(hash_key()),
        connections(),
        option::of(budget),
        origin(),
    )
        .prop_map(
            |((name, service, subset), spoken, balancer, hash, connections, budget, origin)| {
                let (protocol, transport, proxy_protocol) = spoken;
                Cluster {
                    name,
                    service,
                    subset,
                    protocol,
                    transport,
                    proxy_protocol,
                    balancer,
                    hash,
                    connections,
                    retry_budget: budget,
                    origin,
                }
            },
        )
}

fn transport() -> impl Strategy<Value = Transport> {
    prop_oneof![
        Just(Transport::Plaintext),
        client_tls().prop_map(Transport::Tls),
        client_tls().prop_map(Transport::Mesh),
    ]
}

fn proxy_protocol() -> impl Strategy<Value = ProxyProtocol> {
    prop::sample::select(vec![ProxyProtocol::V1, ProxyProtocol::V2])
}

fn balancer() -> impl Strategy<Value = Balancer> {
    prop_oneof![
        Just(Balancer::LeastRequest),
        Just(Balancer::RoundRobin),
        Just(Balancer::Random),
        any::<u64>().prop_map(|entries_min| Balancer::RingHash { entries_min }),
        any::<u64>().prop_map(|entries| Balancer::Maglev { entries }),
    ]
}

fn hash_key() -> impl Strategy<Value = HashKey> {
    let attribute = (text(), text());
    let cookie = (text(), text(), option::of(duration()), vec(attribute, 0..3)).prop_map(
        |(name, path, ttl, attributes)| HashCookie {
            name,
            path,
            ttl,
            attributes,
        },
    );
    prop_oneof![
        text().prop_map(HashKey::Header),
        cookie.prop_map(HashKey::Cookie),
        Just(HashKey::SourceAddress),
        text().prop_map(HashKey::QueryParameter),
    ]
}

fn connections() -> BoxedStrategy<Connections> {
    let number = || option::of(any::<u32>());
    let tcp = (duration(), option::of(duration()), number()).prop_map(
        |(idle_timeout, duration_max, connections_max)| TcpConnections {
            idle_timeout,
            duration_max,
            connections_max,
        },
    );
    let keep_alive =
        (duration(), duration()).prop_map(|(interval, timeout)| KeepAlive { interval, timeout });
    let keep_alive = option::of(keep_alive);
    let http = (number(), number(), number(), number(), keep_alive).prop_map(
        |(pending_max, active_max, retries_max, streams_max, keep_alive)| HttpConnections {
            pending_max,
            active_max,
            retries_max,
            streams_max,
            keep_alive,
        },
    );
    (duration(), duration(), any::<u32>(), tcp, http)
        .prop_map(
            |(connect_timeout, idle_timeout, requests_max, tcp, http)| Connections {
                connect_timeout,
                idle_timeout,
                requests_max,
                tcp,
                http,
            },
        )
        .boxed()
}

pub(super) fn endpoint_set() -> impl Strategy<Value = EndpointSet> {
    let address = prop_oneof![
        any::<SocketAddr>().prop_map(|address| EndpointAddress::Socket(without_flow(address))),
        (text(), any::<u16>()).prop_map(|(host, port)| EndpointAddress::Dns { host, port }),
    ];
    let endpoint = (address, any::<u32>(), any::<bool>(), workload()).prop_map(
        |(address, weight, is_in_mesh, workload)| Endpoint {
            address,
            weight,
            is_in_mesh,
            workload: Arc::new(workload),
        },
    );
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
