//! `ringmain get`: what a proxy runs, or what a control plane has, as a table.

pub(super) mod rows;

use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf, sync::Arc};

use clap::{Args, ValueEnum};
use ringmain_config::{document::Versioned, problem::nearest, wire::Query};
use ringmain_controlplane::status::{ResourceSummary, Status};
use serde::Serialize;

use crate::{
    admin, document,
    fault::{Exit, Fault},
    output::{self, Format},
    plane,
};

/// Show what a proxy runs, or what a control plane has.
///
/// Listeners, routes, clusters and endpoints are those of one proxy: asked from its admin endpoint
/// (--admin), or, with --proxy, from the control plane that feeds it. Resources and proxies are
/// those of the control plane.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ringmain get routes
  ringmain get clusters 'outbound|9080||reviews.default.svc.cluster.local' -o json
  ringmain get endpoints --proxy default/productpage --socket /run/ringmain/control.sock
  ringmain get proxies")]
pub(crate) struct Arguments {
    /// What to show.
    kind: Kind,
    /// Only the one of this name: of a listener, route table, cluster, resource or proxy.
    name: Option<String>,
    /// Admin endpoint of the proxy.
    #[arg(long, value_name = "ADDRESS", default_value = admin::DEFAULT_ADDRESS)]
    admin: SocketAddr,
    /// Unix socket of the control plane.
    #[arg(long, value_name = "PATH", env = "RINGMAIN_SOCKET", default_value = plane::DEFAULT_SOCKET)]
    socket: PathBuf,
    /// Ask the control plane what this proxy is given: NAME, or NAMESPACE/NAME.
    #[arg(long, value_name = "NAME", conflicts_with = "admin")]
    proxy: Option<String>,
    /// How to print it.
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// Where the proxy accepts connections.
    #[value(alias = "listener")]
    Listeners,
    /// How it routes requests.
    #[value(alias = "route")]
    Routes,
    /// Where it sends them.
    #[value(alias = "cluster")]
    Clusters,
    /// Who answers there.
    #[value(alias = "endpoint")]
    Endpoints,
    /// Documents of the mesh that are in force.
    #[value(alias = "resource")]
    Resources,
    /// Proxies that are connected.
    #[value(alias = "proxy")]
    Proxies,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Exit, Fault> {
    let name = arguments.name.as_deref();
    let format = arguments.output;
    let document = || match &arguments.proxy {
        Some(proxy) => document::of_plane(&arguments.socket, proxy),
        None => document::of_proxy(arguments.admin),
    };
    match arguments.kind {
        Kind::Listeners => {
            let mut document = document()?;
            select(Arc::make_mut(&mut document.listeners), "listener", name)?;
            print(format, &document.listeners, || rows::listeners(&document))?;
        }
        Kind::Routes => {
            let mut document = document()?;
            select(
                Arc::make_mut(&mut document.route_tables),
                "route table",
                name,
            )?;
            print(format, &document.route_tables, || rows::routes(&document))?;
        }
        Kind::Clusters => {
            let mut document = document()?;
            select(Arc::make_mut(&mut document.clusters), "cluster", name)?;
            print(format, &document.clusters, || rows::clusters(&document))?;
        }
        Kind::Endpoints => {
            let mut document = document()?;
            select(Arc::make_mut(&mut document.endpoint_sets), "cluster", name)?;
            print(format, &document.endpoint_sets, || {
                rows::endpoints(&document)
            })?;
        }
        Kind::Resources => {
            let mut resources: Vec<ResourceSummary> =
                plane::ask(&arguments.socket, Query::Resources)?;
            resources.retain(|resource| named(name, &resource.namespace, &resource.name));
            list(format, &resources, "resource", name, rows::resources)?;
        }
        Kind::Proxies => {
            let mut proxies = plane::ask::<Status>(&arguments.socket, Query::Status)?.proxies;
            proxies.retain(|proxy| named(name, &proxy.namespace, &proxy.name));
            list(format, &proxies, "proxy", name, rows::proxies)?;
        }
    }
    Ok(Exit::Fine)
}

/// Keeps the part called `name`, or all when none is named.
fn select<T>(
    parts: &mut BTreeMap<String, Versioned<T>>,
    what: &str,
    name: Option<&str>,
) -> Result<(), Fault> {
    let Some(name) = name else {
        return Ok(());
    };
    if !parts.contains_key(name) {
        let near = nearest(name, parts.keys().map(String::as_str));
        let remedy = near.map_or_else(
            || "leave the name out to see all".to_owned(),
            |near| format!("did you mean {near:?}?"),
        );
        return Err(Fault::with(
            format!("no {what} {name:?} in this proxy"),
            remedy,
        ));
    }
    parts.retain(|part, _| part == name);
    Ok(())
}

fn print<T: Serialize>(
    format: Format,
    parts: &BTreeMap<String, Versioned<T>>,
    text: impl FnOnce() -> String,
) -> Result<(), Fault> {
    match format {
        Format::Text => output::print(&text()),
        Format::Json => {
            let values: Vec<_> = parts.values().map(|part| &part.value).collect();
            output::json(&values)
        }
    }
}

/// Whether `name`, with its namespace or without, means this one. No name means all.
fn named(wanted: Option<&str>, namespace: &str, name: &str) -> bool {
    match wanted.map(|wanted| wanted.split_once('/').ok_or(wanted)) {
        None => true,
        Some(Ok((wanted_namespace, wanted))) => (wanted_namespace, wanted) == (namespace, name),
        Some(Err(wanted)) => wanted == name,
    }
}

fn list<T: Serialize>(
    format: Format,
    items: &[T],
    what: &str,
    name: Option<&str>,
    text: impl FnOnce(&[T]) -> String,
) -> Result<(), Fault> {
    if let (Some(name), []) = (name, items) {
        return Err(Fault::with(
            format!("the control plane has no {what} {name:?}"),
            "leave the name out to see all",
        ));
    }
    match format {
        Format::Text => output::print(&text(items)),
        Format::Json => output::json(items),
    }
}
