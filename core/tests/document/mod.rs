//! Documents for tests, written short.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    reason = "each test binary uses a part of it; a failed unwrap is the test's failure"
)]

use std::{net::SocketAddr, sync::Arc};

use ringmain_config::{
    cluster::{Cluster, Service},
    document::{Document, Part},
    endpoint::{Endpoint, EndpointAddress, EndpointSet, Workload},
    listener::{Direction, Listener, ListenerProtocol},
    origin::Origin,
    problem::Problem,
    route::{
        Action, Destination, Forward, HeaderEdits, HeaderMatch, HeaderValue, PathMatch, QueryMatch,
        Route, RouteMatch, RouteTable, StringMatch, VirtualHost,
    },
};
use ringmain_core::{
    route::Request,
    snapshot::{Resolved, Snapshot},
};

/// A Document with these parts.
pub fn document(parts: impl IntoIterator<Item = Part>) -> Document {
    let mut document = Document {
        generation: 1,
        ..Document::default()
    };
    parts.into_iter().for_each(|part| document.upsert(part));
    document
}

pub fn compile(document: &Document) -> Snapshot {
    try_compile(None, document).unwrap()
}

pub fn try_compile(
    previous: Option<&Snapshot>,
    document: &Document,
) -> Result<Snapshot, Vec<Problem>> {
    Snapshot::compile(previous, document, &Resolved::new())
}

pub fn listener(name: &str, address: &str, table: &str) -> Part {
    let protocol = ListenerProtocol::Http {
        route_table: table.to_owned(),
    };
    let address = address.parse().unwrap();
    Part::Listener(Arc::new(Listener {
        origin: Some(origin(name, 1)),
        ..Listener::new(name.to_owned(), address, Direction::Gateway, protocol)
    }))
}

pub fn table(name: &str, virtual_hosts: Vec<VirtualHost>) -> Part {
    Part::RouteTable(Arc::new(RouteTable {
        name: name.to_owned(),
        retry: None,
        virtual_hosts,
    }))
}

pub fn virtual_host(name: &str, domains: &[&str], routes: Vec<Route>) -> VirtualHost {
    VirtualHost {
        name: name.to_owned(),
        domains: domains.iter().map(|domain| (*domain).to_owned()).collect(),
        routes,
        origin: Some(origin(name, 10)),
    }
}

/// To cluster `c`.
pub fn route(name: &str, path: PathMatch) -> Route {
    route_to(name, path, forward(&[("c", 1)]))
}

pub fn route_to(name: &str, path: PathMatch, action: Action) -> Route {
    Route {
        name: name.to_owned(),
        matches: RouteMatch {
            path,
            ..RouteMatch::default()
        },
        action,
        filters: Default::default(),
        request_headers: HeaderEdits::default(),
        response_headers: HeaderEdits::default(),
        timeout: None,
        origin: Some(origin(name, 100)),
    }
}

pub fn forward(destinations: &[(&str, u32)]) -> Action {
    let destinations = destinations.iter().map(|(cluster, weight)| Destination {
        cluster: (*cluster).to_owned(),
        weight: *weight,
        ..Destination::default()
    });
    Action::Forward(Forward {
        destinations: destinations.collect(),
        ..Forward::default()
    })
}

/// The cluster and its endpoint set.
pub fn cluster(name: &str, endpoints: &[(&str, u32)]) -> [Part; 2] {
    [cluster_alone(name), endpoints_of(name, endpoints)]
}

pub fn cluster_alone(name: &str) -> Part {
    Part::Cluster(Arc::new(Cluster {
        name: name.to_owned(),
        service: Service {
            host: format!("{name}.example"),
            name: name.to_owned(),
            namespace: "default".to_owned(),
        },
        subset: "v1".to_owned(),
        origin: Some(origin(name, 1000)),
        ..Cluster::default()
    }))
}

/// An address is an IP address with a port, or a name with a port.
pub fn endpoints_of(cluster: &str, endpoints: &[(&str, u32)]) -> Part {
    let endpoints = endpoints.iter().map(|(address, weight)| Endpoint {
        address: match address.parse::<SocketAddr>() {
            Ok(address) => EndpointAddress::Socket(address),
            Err(_) => {
                let (host, port) = address.split_once(':').unwrap();
                EndpointAddress::Dns {
                    host: host.to_owned(),
                    port: port.parse().unwrap(),
                }
            }
        },
        weight: *weight,
        is_in_mesh: false,
        workload: Arc::new(Workload::default()),
    });
    Part::EndpointSet(Arc::new(EndpointSet {
        cluster: cluster.to_owned(),
        endpoints: endpoints.collect(),
    }))
}

pub fn origin(resource: &str, line: u32) -> Origin {
    Origin {
        resource: resource.into(),
        file: "mesh.yaml".into(),
        line,
    }
}

pub fn exact(path: &str) -> PathMatch {
    PathMatch::Exact(path.to_owned())
}

pub fn prefix(path: &str) -> PathMatch {
    PathMatch::Prefix(path.to_owned())
}

pub fn regex(path: &str) -> PathMatch {
    PathMatch::Regex(path.to_owned())
}

pub fn is(text: &str) -> StringMatch {
    StringMatch::Exact(text.to_owned())
}

pub fn header_match(name: &str, value: StringMatch, invert: bool) -> HeaderMatch {
    HeaderMatch {
        name: name.to_owned(),
        value,
        invert,
    }
}

pub fn query_match(name: &str, value: StringMatch) -> QueryMatch {
    QueryMatch {
        name: name.to_owned(),
        value,
    }
}

pub fn header(name: &str, value: &str) -> HeaderValue {
    HeaderValue {
        name: name.to_owned(),
        value: value.to_owned(),
    }
}

pub type Fields = [(String, String)];

pub fn fields(fields: &[(&str, &str)]) -> Vec<(String, String)> {
    let owned = fields
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    owned.collect()
}

/// `GET http://authority/target` without fields.
pub fn get<'a>(authority: &'a str, target: &'a str) -> Request<'a, Fields> {
    let (path, query) = match target.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (target, None),
    };
    Request {
        method: "GET",
        scheme: "http",
        authority,
        path,
        query,
        headers: &[],
        listener_port: 8080,
    }
}
