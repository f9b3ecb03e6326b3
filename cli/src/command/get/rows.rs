//! Parts of a Document as rows of a table.

mod words;

use ringmain_config::{
    document::Document,
    endpoint::Workload,
    listener::{Direction, ListenerProtocol},
    origin::Origin,
    route::{Action, PathMatch, Route, RouteMatch, StringMatch},
    tcp::TcpRoute,
};
use ringmain_controlplane::status::{ProxyStatus, ResourceSummary, Sync};

use crate::{
    command::words::protocol,
    output::{self, table},
};

/// Where the proxy accepts connections.
pub(super) fn listeners(document: &Document) -> String {
    let rows = document.listeners.values().map(|part| {
        let listener = &part.value;
        let direction = match listener.direction {
            Direction::Inbound => "inbound",
            Direction::Outbound => "outbound",
            Direction::Gateway => "gateway",
        };
        let (protocol, routes) = match &listener.protocol {
            ListenerProtocol::Http { route_table } => ("http", route_table.clone()),
            ListenerProtocol::Tcp { routes } => ("tcp", tcp_routes(routes)),
            ListenerProtocol::Detect {
                route_table,
                routes,
            } => {
                let routes = format!("{route_table}, else {}", tcp_routes(routes));
                ("http or tcp", routes)
            }
        };
        [
            listener.name.clone(),
            listener.address.to_string(),
            direction.to_owned(),
            protocol.to_owned(),
            routes,
            origin(listener.origin.as_ref()),
        ]
    });
    table(
        ["NAME", "ADDRESS", "DIRECTION", "PROTOCOL", "ROUTES", "FROM"],
        rows,
    )
}

/// The clusters that connections go to.
fn tcp_routes(routes: &[TcpRoute]) -> String {
    let destinations = routes.iter().flat_map(|route| &route.destinations);
    let clusters: Vec<_> = destinations
        .map(|destination| destination.cluster.as_str())
        .collect();
    match clusters.as_slice() {
        [] => "-".to_owned(),
        some => some.join("\n"),
    }
}

/// One line for each route, in the order in which they are tried.
pub(super) fn routes(document: &Document) -> String {
    let mut rows = Vec::new();
    for part in document.route_tables.values() {
        for host in &part.value.virtual_hosts {
            for route in &host.routes {
                rows.push([
                    part.value.name.clone(),
                    domains(&host.domains),
                    route.name.clone(),
                    condition(&route.matches),
                    action(route),
                    origin(route.origin.as_ref().or(host.origin.as_ref())),
                ]);
            }
        }
    }
    table(
        ["TABLE", "DOMAINS", "ROUTE", "MATCH", "ACTION", "FROM"],
        rows,
    )
}

/// Where requests are sent.
pub(super) fn clusters(document: &Document) -> String {
    let rows = document.clusters.values().map(|part| {
        let cluster = &part.value;
        let endpoints = document.endpoint_sets.get(&cluster.name);
        let count = endpoints.map_or(0, |set| set.value.endpoints.len());
        [
            cluster.name.clone(),
            protocol(cluster.protocol).to_owned(),
            words::balancer(cluster),
            words::limits(cluster),
            count.to_string(),
            origin(cluster.origin.as_ref()),
        ]
    });
    let header = [
        "NAME",
        "PROTOCOL",
        "BALANCER",
        "LIMITS",
        "ENDPOINTS",
        "FROM",
    ];
    table(header, rows)
}

/// Who answers there.
pub(super) fn endpoints(document: &Document) -> String {
    let mut rows = Vec::new();
    for part in document.endpoint_sets.values() {
        for endpoint in &part.value.endpoints {
            rows.push([
                endpoint.address.to_string(),
                endpoint.weight.to_string(),
                workload(&endpoint.workload),
                part.value.cluster.clone(),
            ]);
        }
    }
    table(["ADDRESS", "WEIGHT", "WORKLOAD", "CLUSTER"], rows)
}

/// What the mesh is made of.
pub(super) fn resources(resources: &[ResourceSummary]) -> String {
    let rows = resources.iter().map(|resource| {
        [
            resource.kind.clone(),
            format!("{}/{}", resource.namespace, resource.name),
            domains(&resource.hosts),
            format!("{}:{}", resource.file, resource.line),
        ]
    });
    table(["KIND", "NAME", "HOSTS", "FROM"], rows)
}

/// Who is connected, and whether it uses what it is meant to.
pub(crate) fn proxies(proxies: &[ProxyStatus]) -> String {
    let rows = proxies.iter().map(|proxy| {
        let address = proxy.address.map(|address| address.to_string());
        [
            format!("{}/{}", proxy.namespace, proxy.name),
            sync(proxy.sync).to_owned(),
            format!("{}", proxy.generation_held),
            output::ago(proxy.since),
            output::ago(proxy.connected),
            address.unwrap_or_else(|| "-".to_owned()),
            proxy.peer.to_string(),
            proxy.program.clone(),
        ]
    });
    let header = [
        "PROXY",
        "SYNC",
        "GENERATION",
        "SINCE",
        "CONNECTED",
        "ADDRESS",
        "PEER",
        "VERSION",
    ];
    table(header, rows)
}

fn sync(sync: Sync) -> &'static str {
    match sync {
        Sync::InSync => "in sync",
        Sync::Sending => "sending",
        Sync::Sent => "not answered",
        Sync::Refused => "refused",
        Sync::Withheld => "withheld",
    }
}

fn origin(origin: Option<&Origin>) -> String {
    origin.map_or_else(
        || "-".to_owned(),
        |origin| format!("{}:{}", origin.file, origin.line),
    )
}

fn workload(workload: &Workload) -> String {
    if workload.name.is_empty() {
        return "-".to_owned();
    }
    format!("{}/{}", workload.namespace, workload.name)
}

/// A service has a dozen names; the first two tell it from the others.
fn domains(domains: &[String]) -> String {
    match domains {
        [first, second, rest @ ..] if !rest.is_empty() => {
            format!("{first}, {second} and {} more", rest.len())
        }
        few => few.join(", "),
    }
}

fn condition(matches: &RouteMatch) -> String {
    let mut words = Vec::new();
    match &matches.path {
        PathMatch::Any => {}
        PathMatch::Exact(path) => words.push(path.clone()),
        PathMatch::Prefix(path) => words.push(format!("{path}*")),
        PathMatch::ElementPrefix(path) => {
            words.push(format!("{}/...", path.strip_suffix('/').unwrap_or(path)));
        }
        PathMatch::Regex(path) => words.push(format!("~{path}")),
    }
    let named = [
        ("method", &matches.method),
        ("authority", &matches.authority),
        ("scheme", &matches.scheme),
    ];
    for (name, value) in named {
        words.extend(value.as_ref().map(|value| string(name, value)));
    }
    for header in &matches.headers {
        let not = if header.invert { "not " } else { "" };
        words.push(format!("{not}{}", string(&header.name, &header.value)));
    }
    for query in &matches.query {
        words.push(string(&format!("?{}", query.name), &query.value));
    }
    if words.is_empty() {
        "*".to_owned()
    } else {
        words.join(", ")
    }
}

fn string(name: &str, value: &StringMatch) -> String {
    match value {
        StringMatch::Exact(value) => format!("{name}={value}"),
        StringMatch::Prefix(value) => format!("{name}={value}*"),
        StringMatch::Regex(value) => format!("{name}~{value}"),
        StringMatch::Present => format!("{name} present"),
    }
}

/// What is done, and below it what requests meet on their way.
fn action(route: &Route) -> String {
    let mut lines = words::of_route(route);
    match &route.action {
        Action::Forward(forward) => {
            let clusters = match forward.destinations.as_slice() {
                [only] => vec![only.cluster.clone()],
                several => several
                    .iter()
                    .map(|destination| format!("{} {}", destination.weight, destination.cluster))
                    .collect(),
            };
            lines.splice(0..0, clusters);
            lines.extend(words::of_forward(forward));
        }
        Action::Redirect(redirect) => lines.insert(0, format!("redirect {}", redirect.status)),
        Action::Direct(direct) => lines.insert(0, format!("answer {}", direct.status)),
    }
    lines.join("\n")
}
