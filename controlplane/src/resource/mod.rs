//! Mesh YAML as typed resources, with every problem named.
//!
//! [`parse`] reads one file: documents of networking.istio.io (v1, v1beta1, v1alpha3), of
//! gateway.networking.k8s.io and v1 Service become a [`Resource`] each, in semantic normal form:
//! host names are full and in lower case, defaults are filled in, durations and matches have the
//! types that a Document has. A document with an error yields no resource; it never hides what is
//! wrong with the others.
//!
//! Nothing here looks at two resources at once, at a proxy, or at a file system.

pub mod credential;
pub mod destination_rule;
pub mod gateway;
pub mod gateway_api;
pub mod host;
pub mod metadata;
pub mod peer_authentication;
pub mod port;
pub mod service;
pub mod service_entry;
pub mod sidecar;
pub mod span;
pub mod tls;
pub mod virtual_service;
pub mod workload_entry;

mod conflict;
mod cursor;
mod document;
#[cfg(test)]
mod documented;
mod export;
mod format;
mod kind;
mod listener;
mod schema;
#[cfg(test)]
mod testing;
mod yaml;

pub use document::parse;
pub(crate) use document::{Memo, TEXT_BYTES_MAX, parse_again, too_large};

use std::sync::Arc;

use ringmain_config::problem::Problem;

use self::{
    credential::Credential, destination_rule::DestinationRule, gateway::Gateway,
    metadata::Metadata, peer_authentication::PeerAuthentication, service::Service,
    service_entry::ServiceEntry, sidecar::Sidecar, virtual_service::VirtualService,
    workload_entry::WorkloadEntry,
};

/// One document of mesh YAML that has a meaning here.
#[derive(Clone, Debug, PartialEq)]
pub enum Resource {
    /// networking.istio.io Gateway.
    Gateway(Gateway),
    /// networking.istio.io VirtualService.
    VirtualService(VirtualService),
    /// networking.istio.io DestinationRule.
    DestinationRule(DestinationRule),
    /// networking.istio.io ServiceEntry.
    ServiceEntry(ServiceEntry),
    /// networking.istio.io WorkloadEntry.
    WorkloadEntry(WorkloadEntry),
    /// networking.istio.io Sidecar.
    Sidecar(Sidecar),
    /// v1 Service.
    Service(Service),
    /// v1 Secret or ConfigMap.
    Credential(Credential),
    /// security.istio.io PeerAuthentication.
    PeerAuthentication(PeerAuthentication),
    /// gateway.networking.k8s.io Gateway.
    ApiGateway(gateway_api::Gateway),
    /// gateway.networking.k8s.io HTTPRoute or GRPCRoute.
    ApiRoute(gateway_api::Route),
}

impl Resource {
    /// Name, namespace, labels and where it was written.
    pub fn metadata(&self) -> &Metadata {
        match self {
            Self::Gateway(gateway) => &gateway.metadata,
            Self::VirtualService(service) => &service.metadata,
            Self::DestinationRule(rule) => &rule.metadata,
            Self::ServiceEntry(entry) => &entry.metadata,
            Self::WorkloadEntry(entry) => &entry.metadata,
            Self::Sidecar(sidecar) => &sidecar.metadata,
            Self::Service(service) => &service.metadata,
            Self::Credential(credential) => &credential.metadata,
            Self::PeerAuthentication(policy) => &policy.metadata,
            Self::ApiGateway(gateway) => &gateway.metadata,
            Self::ApiRoute(route) => &route.metadata,
        }
    }

    /// The group of its API: two of them have a kind of one name.
    pub fn group(&self) -> &'static str {
        match self {
            Self::Gateway(_)
            | Self::VirtualService(_)
            | Self::DestinationRule(_)
            | Self::ServiceEntry(_)
            | Self::WorkloadEntry(_)
            | Self::Sidecar(_) => "networking.istio.io",
            Self::Service(_) | Self::Credential(_) => "",
            Self::PeerAuthentication(_) => "security.istio.io",
            Self::ApiGateway(_) | Self::ApiRoute(_) => gateway_api::GROUP,
        }
    }

    /// `VirtualService`, as in the file.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Gateway(_) | Self::ApiGateway(_) => "Gateway",
            Self::VirtualService(_) => "VirtualService",
            Self::DestinationRule(_) => "DestinationRule",
            Self::ServiceEntry(_) => "ServiceEntry",
            Self::WorkloadEntry(_) => "WorkloadEntry",
            Self::Sidecar(_) => "Sidecar",
            Self::Service(_) => "Service",
            Self::Credential(credential) => credential.kind.name(),
            Self::PeerAuthentication(_) => "PeerAuthentication",
            Self::ApiRoute(route) => route.kind.name(),
        }
    }
}

/// What one file, or several, hold.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Loaded {
    /// In the order they were written. Documents with an error are not among them.
    pub resources: Vec<Arc<Resource>>,
    /// In the order of their place. Any error among them: the whole is not to be used.
    pub problems: Vec<Problem>,
}

impl Loaded {
    /// Something in it is wrong beyond a warning.
    pub fn has_errors(&self) -> bool {
        self.problems
            .iter()
            .any(|problem| problem.severity == ringmain_config::problem::Severity::Error)
    }
}
