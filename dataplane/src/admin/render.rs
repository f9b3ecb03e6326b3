//! The bodies of the admin endpoint: Envoy's lines and its JSON where it has one, so that existing
//! scripts read them. Pure.

use std::{collections::BTreeSet, fmt::Write, net::SocketAddr};

use ringmain_config::{
    document::{Part, PartKind},
    origin::Origin,
};
use serde::Serialize;
use serde_json::{Value, json};

use super::{ClusterView, ConfigSource, Configuration, EndpointView, ListenerView, WorkerListener};

/// `name::address` for each listener; what is not bound on every worker says so behind it.
pub(super) fn listeners_text(listeners: &[ListenerView]) -> String {
    let mut text = String::new();
    for listener in listeners {
        line(
            &mut text,
            format_args!("{}::{}", listener.name, listener.address),
        );
        if let Some(trouble) = trouble(&listener.workers) {
            text.pop();
            line(&mut text, format_args!("::{trouble}"));
        }
    }
    text
}

fn trouble(workers: &[WorkerListener]) -> Option<String> {
    let count = |wanted| workers.iter().filter(|&state| *state == wanted).count();
    let (bound, draining) = (
        count(WorkerListener::Bound),
        count(WorkerListener::Draining),
    );
    if bound == workers.len() && !workers.is_empty() {
        return None;
    }
    let error = workers.iter().find_map(|state| match state {
        WorkerListener::Failed(error) => Some(error),
        _ => None,
    });
    let of = format!("bound on {bound} of {} workers", workers.len());
    Some(match error {
        Some(error) => format!("{of}: {error}"),
        None if draining > 0 => format!("{of}, draining on {draining}"),
        None => of,
    })
}

/// Envoy's `listener_statuses`, each with the state on every worker.
pub(super) fn listeners_json(listeners: &[ListenerView]) -> Value {
    let statuses = listeners.iter().map(|listener| {
        json!({
            "name": listener.name,
            "local_address": socket_address(listener.address),
            "workers": listener.workers,
        })
    });
    json!({ "listener_statuses": statuses.collect::<Vec<_>>() })
}

/// Envoy's `cluster::address::name::value`.
pub(super) fn clusters_text(clusters: &[ClusterView]) -> String {
    let mut text = String::new();
    for cluster in clusters {
        let name = &cluster.name;
        line(
            &mut text,
            format_args!("{name}::observability_name::{name}"),
        );
        line(&mut text, format_args!("{name}::added_via_api::true"));
        for endpoint in &cluster.endpoints {
            let address = endpoint.address;
            for (counter, _, value) in counters(endpoint) {
                line(
                    &mut text,
                    format_args!("{name}::{address}::{counter}::{value}"),
                );
            }
            let hostname = &endpoint.hostname;
            let weight = endpoint.weight;
            let health = if endpoint.healthy {
                "healthy"
            } else {
                "/failed_outlier_check"
            };
            line(
                &mut text,
                format_args!("{name}::{address}::hostname::{hostname}"),
            );
            line(
                &mut text,
                format_args!("{name}::{address}::health_flags::{health}"),
            );
            line(
                &mut text,
                format_args!("{name}::{address}::weight::{weight}"),
            );
        }
    }
    text
}

/// Envoy's `cluster_statuses`.
pub(super) fn clusters_json(clusters: &[ClusterView]) -> Value {
    let statuses = clusters.iter().map(|cluster| {
        let hosts = cluster.endpoints.iter().map(|endpoint| {
            let stats = counters(endpoint)
                .map(|(name, kind, value)| json!({"name": name, "type": kind, "value": value}));
            let health = if endpoint.healthy {
                json!({"eds_health_status": "HEALTHY"})
            } else {
                json!({"eds_health_status": "HEALTHY", "failed_outlier_check": true})
            };
            json!({
                "address": socket_address(endpoint.address),
                "hostname": endpoint.hostname,
                "weight": endpoint.weight,
                "health_status": health,
                "stats": stats.collect::<Vec<_>>(),
            })
        });
        json!({
            "name": cluster.name,
            "observability_name": cluster.name,
            "added_via_api": true,
            "host_statuses": hosts.collect::<Vec<_>>(),
        })
    });
    json!({ "cluster_statuses": statuses.collect::<Vec<_>>() })
}

/// Envoy's name, kind and the value of each counter that is kept.
fn counters(endpoint: &EndpointView) -> impl Iterator<Item = (&'static str, &'static str, String)> {
    [
        ("cx_active", "GAUGE", endpoint.connections_active),
        ("cx_connect_fail", "COUNTER", endpoint.connect_failures),
        ("cx_total", "COUNTER", endpoint.connections),
        ("rq_active", "GAUGE", endpoint.requests_active),
        ("rq_error", "COUNTER", endpoint.request_errors),
        ("rq_total", "COUNTER", endpoint.requests),
    ]
    .into_iter()
    .filter_map(|(name, kind, value)| Some((name, kind, value?.to_string())))
}

fn socket_address(address: SocketAddr) -> Value {
    json!({"socket_address": {"address": address.ip(), "port_value": address.port()}})
}

/// Body of `/config_dump`.
#[derive(Serialize)]
pub(super) struct Dump {
    generation: u64,
    source: ConfigSource,
    parts: Vec<DumpedPart>,
}

#[derive(Serialize)]
struct DumpedPart {
    kind: PartKind,
    name: String,
    /// Hexadecimal: as a JSON number it would lose digits in many readers.
    version: String,
    /// Everybody who asked for it or for something in it.
    origins: Vec<String>,
    value: Value,
}

/// The parts of `kind` and of `name`, or all.
pub(super) fn config_dump(
    configuration: &Configuration,
    kind: Option<PartKind>,
    name: Option<&str>,
) -> Dump {
    let wanted = configuration
        .document
        .parts()
        .filter_map(|(version, part)| {
            let key = part.key();
            let other = kind.is_some_and(|kind| kind != key.kind)
                || name.is_some_and(|name| name != key.name);
            (!other).then(|| DumpedPart {
                kind: key.kind,
                name: key.name,
                version: format!("{version:016x}"),
                origins: origins(&part),
                value: part.to_shown_json(),
            })
        });
    Dump {
        generation: configuration.document.generation,
        source: configuration.source,
        parts: wanted.collect(),
    }
}

fn origins(part: &Part) -> Vec<String> {
    let mut origins: BTreeSet<&Origin> = BTreeSet::new();
    match part {
        Part::Listener(listener) => {
            origins.extend(&listener.origin);
            let chains = listener.tls.iter().flat_map(|tls| &tls.chains);
            origins.extend(chains.filter_map(|chain| chain.origin.as_ref()));
        }
        Part::RouteTable(table) => {
            for host in &table.virtual_hosts {
                origins.extend(&host.origin);
                origins.extend(host.routes.iter().filter_map(|route| route.origin.as_ref()));
            }
        }
        Part::Cluster(cluster) => origins.extend(&cluster.origin),
        Part::EndpointSet(_) => {}
        Part::Secret(secret) => origins.extend(&secret.origin),
        Part::Authentication(own) => {
            origins.extend(own.rules.iter().filter_map(|rule| rule.origin.as_ref()));
        }
        Part::Authorization(own) => {
            let policies = own.policies.iter();
            origins.extend(policies.filter_map(|policy| policy.origin.as_ref()));
        }
    }
    origins.into_iter().map(ToString::to_string).collect()
}

fn line(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    writeln!(text, "{arguments}").expect("a String takes whatever is written to it");
}
