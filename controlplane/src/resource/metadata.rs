//! Who a resource is: `metadata` of Kubernetes.

use std::collections::BTreeMap;

use ringmain_config::{
    origin::Origin,
    problem::{Problem, Severity},
};

use super::span::Span;

/// Labels of a workload, or what a selector asks of them.
pub type Labels = BTreeMap<String, String>;

/// Name, namespace, labels and place of a resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metadata {
    /// A DNS-1123 subdomain.
    pub name: String,
    /// `default` when the file names none.
    pub namespace: String,
    /// Of the resource itself, not of the workloads it selects.
    pub labels: Labels,
    /// Uninterpreted.
    pub annotations: BTreeMap<String, String>,
    /// `creationTimestamp` as Kubernetes writes it (`2024-01-02T03:04:05Z`), which sorts as text;
    /// a plain file has none. The older of two conflicting resources wins.
    pub creation: Option<String>,
    /// Kind and name, file, and the document's first line.
    pub origin: Origin,
}

impl Metadata {
    /// The origin of a part of the resource that was written at `span`.
    pub fn origin_at(&self, span: Span) -> Origin {
        Origin {
            line: span.line,
            ..self.origin.clone()
        }
    }

    /// A problem with a part of the resource, `path` being for example `spec.http[0].route[1]`.
    pub fn problem(
        &self,
        severity: Severity,
        span: Span,
        path: &str,
        message: impl Into<String>,
    ) -> Problem {
        Problem {
            severity,
            file: Some(self.origin.file.to_string()),
            line: span.line,
            column: span.column,
            path: format!("{} > {path}", self.origin.resource),
            message: message.into(),
            hint: None,
        }
    }
}

/// Every label that `selector` asks for is there with the same value. An empty selector selects
/// everything.
pub fn selects(selector: &Labels, labels: &Labels) -> bool {
    selector
        .iter()
        .all(|(name, value)| labels.get(name) == Some(value))
}
