//! networking.istio.io ServiceEntry: services that no Kubernetes announces. On plain hosts it is
//! the service registry itself.

use std::net::IpAddr;

use super::{
    metadata::{Labels, Metadata},
    port::ServicePort,
    span::Spanned,
    workload_entry::Workload,
};

/// Services and who answers for them.
#[derive(Clone, Debug, PartialEq)]
pub struct ServiceEntry {
    /// Who it is.
    pub metadata: Metadata,
    /// `*.x` or names as written, in lower case; never empty. Each is a service of its own.
    pub hosts: Vec<Spanned<String>>,
    /// Virtual addresses of the services.
    pub addresses: Vec<Spanned<AddressBlock>>,
    /// Numbers and names are unique; never empty.
    pub ports: Vec<Spanned<ServicePort>>,
    /// In the mesh, or outside of it.
    pub location: Location,
    /// How the address to connect to is found.
    pub resolution: Resolution,
    /// Who answers; never together with `selector`.
    pub endpoints: Vec<Spanned<Workload>>,
    /// Labels of the workloads of the same namespace that answer.
    pub selector: Option<Labels>,
}

/// Addresses with a common prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AddressBlock {
    /// As written.
    pub address: IpAddr,
    /// 32 or 128 for a single address.
    pub prefix_bits: u8,
}

/// Whether a service is part of the mesh.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Location {
    /// `MESH_EXTERNAL`, the default.
    #[default]
    External,
    /// `MESH_INTERNAL`.
    Internal,
}

/// How the address to connect to is found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Resolution {
    /// `NONE`, the default: the client has already connected to the right address.
    #[default]
    None,
    /// `STATIC`: the endpoints have addresses.
    Static,
    /// `DNS`: the endpoints have names, or there are none and the host is the name.
    Dns,
}
