//! Who a resource is: `metadata` of Kubernetes.

use std::collections::BTreeMap;

use ringmain_config::{
    origin::Origin,
    problem::{Problem, Severity},
};

use super::{
    cursor::{Cursor, Fault},
    format,
    schema::{Field, LABELS, Shape},
    span::Span,
};

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

/// `metadata` of Kubernetes. What its own server keeps there is passed over.
pub(super) const METADATA: Shape = Shape::Object(&[
    Field::new("name", Shape::Form(format::dns_name)).required(),
    Field::new("generateName", Shape::Text).inert(),
    Field::new("namespace", Shape::Form(format::dns_label)),
    Field::new("labels", LABELS),
    Field::new("annotations", Shape::Map(format::label_name, &Shape::Text)),
    Field::new("creationTimestamp", Shape::Form(timestamp)),
    Field::new("deletionTimestamp", Shape::Any).inert(),
    Field::new("deletionGracePeriodSeconds", Shape::Any).inert(),
    Field::new("finalizers", Shape::Any).inert(),
    Field::new("generation", Shape::Any).inert(),
    Field::new("managedFields", Shape::Any).inert(),
    Field::new("ownerReferences", Shape::Any).inert(),
    Field::new("resourceVersion", Shape::Any).inert(),
    Field::new("selfLink", Shape::Any).inert(),
    Field::new("uid", Shape::Any).inert(),
]);

/// Reads what [`METADATA`] describes. The name, and the namespace if none is written, were found
/// before.
pub(super) fn read(
    metadata: &Cursor<'_>,
    name: &str,
    namespace: &str,
    origin: &Origin,
) -> Metadata {
    Metadata {
        name: name.to_owned(),
        namespace: namespace.to_owned(),
        labels: labels(metadata, "labels"),
        annotations: labels(metadata, "annotations"),
        creation: metadata.text_of("creationTimestamp").map(str::to_owned),
        origin: origin.clone(),
    }
}

/// The map of texts that is the value of a key.
pub(super) fn labels(at: &Cursor<'_>, name: &str) -> Labels {
    at.each_of_map(name)
        .filter_map(|(name, value)| Some((name.to_owned(), value.text()?.to_owned())))
        .collect()
}

/// `workloadSelector.labels`; none when there is no selector.
pub(super) fn workload_selector(at: &Cursor<'_>) -> Option<Labels> {
    Some(labels(&at.field("workloadSelector")?, "labels"))
}

/// `2024-01-02T03:04:05Z`: the form of RFC 3339 that Kubernetes writes.
fn timestamp(text: &str) -> Result<(), Fault> {
    let form = "0000-00-00T00:00:00Z";
    let fits = |(byte, form): (u8, u8)| match form {
        b'0' => byte.is_ascii_digit(),
        _ => byte == form,
    };
    if text.len() == form.len() && text.bytes().zip(form.bytes()).all(fits) {
        return Ok(());
    }
    Err(
        Fault::new(format!("`{}` is not a time", format::shown(text)))
            .hint("write it like `2024-01-02T03:04:05Z`"),
    )
}
