//! The Gateways and routes of the Gateway API that a world has, by what they name.

use std::{collections::BTreeMap, sync::Arc};

use ringmain_config::node::{GatewayScope, Node};

use super::World;
use crate::resource::{
    Resource,
    gateway_api::{GATEWAY_NAME_LABEL, Gateway, Parent, ParentKind, Route},
    host::full_name,
    service_entry::ServiceEntry,
    span::Spanned,
};

/// Where they stand among the resources of a world, in their order of precedence.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Index {
    gateways: Vec<usize>,
    routes: Vec<usize>,
    /// By namespace and name of a Gateway, whether there is one or not.
    at_gateways: BTreeMap<(String, String), Vec<Naming>>,
    /// By host of a service, whether there is one or not.
    at_hosts: BTreeMap<String, Vec<Naming>>,
}

/// A route names a parent.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Naming {
    /// Index of the resource.
    route: usize,
    /// Index of the entry in its `parentRefs`, without those that were left out.
    parent: usize,
}

impl Index {
    pub(super) fn new(resources: &[Arc<Resource>]) -> Self {
        let mut index = Self::default();
        let mut entries: BTreeMap<(&str, &str), &ServiceEntry> = BTreeMap::new();
        for resource in resources {
            if let Resource::ServiceEntry(entry) = &**resource {
                let metadata = &entry.metadata;
                entries.insert((&metadata.namespace, &metadata.name), entry);
            }
        }
        for (position, resource) in resources.iter().enumerate() {
            match &**resource {
                Resource::ApiGateway(_) => index.gateways.push(position),
                Resource::ApiRoute(route) => {
                    index.routes.push(position);
                    index.add(position, route, &entries);
                }
                Resource::Gateway(_)
                | Resource::VirtualService(_)
                | Resource::DestinationRule(_)
                | Resource::ServiceEntry(_)
                | Resource::WorkloadEntry(_)
                | Resource::Sidecar(_)
                | Resource::Service(_)
                | Resource::Credential(_)
                | Resource::PeerAuthentication(_) => {}
            }
        }
        index
    }

    fn add(
        &mut self,
        route_position: usize,
        route: &Route,
        entries: &BTreeMap<(&str, &str), &ServiceEntry>,
    ) {
        for (position, parent) in route.parents.iter().enumerate() {
            let naming = Naming {
                route: route_position,
                parent: position,
            };
            let (namespace, name) = (&parent.namespace, &parent.name);
            match parent.kind {
                ParentKind::Gateway => {
                    let key = (namespace.clone(), name.clone());
                    self.at_gateways.entry(key).or_default().push(naming);
                }
                ParentKind::Service => {
                    let host = full_name(name, namespace);
                    self.at_hosts.entry(host).or_default().push(naming);
                }
                ParentKind::ServiceEntry => {
                    let entry = entries.get(&(namespace.as_str(), name.as_str()));
                    for host in entry.iter().flat_map(|entry| &entry.hosts) {
                        let of_host = self.at_hosts.entry(host.value.clone()).or_default();
                        of_host.push(naming);
                    }
                }
            }
        }
    }

    /// The label of a proxy that says which Gateway it serves, if there is any.
    pub(super) fn label_name(&self) -> Option<&'static str> {
        (!self.gateways.is_empty()).then_some(GATEWAY_NAME_LABEL)
    }
}

impl World {
    /// Those of the Gateway API, in their order of precedence.
    pub fn api_gateways(&self) -> impl Iterator<Item = &Gateway> {
        let positions = self.gateway_api.gateways.iter();
        positions.filter_map(|position| match &*self.resources[*position] {
            Resource::ApiGateway(gateway) => Some(gateway),
            _ => None,
        })
    }

    /// HTTPRoutes and GRPCRoutes, in their order of precedence: the older first, then by namespace
    /// and name.
    pub fn api_routes(&self) -> impl Iterator<Item = &Route> {
        let positions = self.gateway_api.routes.iter();
        positions.filter_map(|position| self.api_route(*position))
    }

    fn api_route(&self, position: usize) -> Option<&Route> {
        match &*self.resources[position] {
            Resource::ApiRoute(route) => Some(route),
            _ => None,
        }
    }

    /// The Gateways of the Gateway API that a proxy serves: all when its scope says so, else the
    /// one of its namespace that its label [`GATEWAY_NAME_LABEL`] names.
    pub fn api_gateways_of<'a>(&'a self, node: &'a Node) -> impl Iterator<Item = &'a Gateway> {
        let named = node.labels.get(GATEWAY_NAME_LABEL);
        self.api_gateways().filter(move |gateway| {
            let metadata = &gateway.metadata;
            node.gateways == GatewayScope::All
                || metadata.namespace == node.namespace && Some(&metadata.name) == named
        })
    }

    /// The proxy serves a Gateway of either API.
    pub(crate) fn is_gateway(&self, node: &Node) -> bool {
        !self.gateways_of(node).is_empty() || self.api_gateways_of(node).next().is_some()
    }

    /// The proxy serves every Gateway of either API.
    pub(crate) fn serves_every_gateway(&self, node: &Node) -> bool {
        self.gateways_of(node).len() == self.gateways().count()
            && self.api_gateways_of(node).count() == self.gateway_api.gateways.len()
    }

    /// Routes that name a Gateway as a parent, with the entry that does, in their order of
    /// precedence.
    pub(crate) fn routes_at_gateway(
        &self,
        gateway: &Gateway,
    ) -> impl Iterator<Item = (&Route, &Spanned<Parent>)> {
        let metadata = &gateway.metadata;
        let key = (metadata.namespace.clone(), metadata.name.clone());
        self.namings(self.gateway_api.at_gateways.get(&key))
    }

    /// Routes that name the service of `host` as a parent, with the entry that does, in their order
    /// of precedence.
    pub(crate) fn routes_at_host(
        &self,
        host: &str,
    ) -> impl Iterator<Item = (&Route, &Spanned<Parent>)> {
        self.namings(self.gateway_api.at_hosts.get(host))
    }

    /// Hosts that some route names as its parent's.
    pub(crate) fn hosts_with_routes(&self) -> impl Iterator<Item = &str> {
        self.gateway_api.at_hosts.keys().map(String::as_str)
    }

    fn namings<'a>(
        &'a self,
        namings: Option<&'a Vec<Naming>>,
    ) -> impl Iterator<Item = (&'a Route, &'a Spanned<Parent>)> {
        let namings = namings.into_iter().flatten();
        namings.filter_map(|naming| {
            let route = self.api_route(naming.route)?;
            Some((route, route.parents.get(naming.parent)?))
        })
    }
}
