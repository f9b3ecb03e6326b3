//! v1 Service: a name, its ports, and the labels of the workloads that answer.

use super::{
    metadata::{Labels, Metadata},
    port::ServicePort,
    span::Spanned,
};

/// A service of the mesh, with the host name `name.namespace.svc.cluster.local`.
#[derive(Clone, Debug, PartialEq)]
pub struct Service {
    /// Who it is.
    pub metadata: Metadata,
    /// Numbers and names are unique.
    pub ports: Vec<Spanned<ServicePort>>,
    /// Labels of the workloads of the same namespace that answer; empty: none does.
    pub selector: Labels,
}

impl Service {
    /// `reviews.default.svc.cluster.local`.
    pub fn host(&self) -> String {
        super::host::full_name(&self.metadata.name, &self.metadata.namespace)
    }
}
