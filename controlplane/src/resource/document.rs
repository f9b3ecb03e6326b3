//! From the text of a file to resources: which documents there are, and who each of them is.

use std::sync::Arc;

use ringmain_config::problem::{Problem, Severity};

use super::{
    Loaded, Resource,
    cursor::{Cursor, Fault, Report},
    destination_rule, format, gateway,
    kind::{Fate, Kind, fate},
    metadata::{self, METADATA},
    schema::{self, Field, Shape},
    service, service_entry, sidecar, virtual_service, workload_entry,
    yaml::{self, Node, SyntaxError},
};

/// Bytes of one file: thousands of resources fit in it. A tree takes up to fifty times as much.
pub(crate) const TEXT_BYTES_MAX: usize = 4 << 20;

/// Problems that one file is charged with, so that a file of another kind does not flood the
/// output.
const PROBLEMS_MAX: usize = 1000;

/// The namespace of a resource that names none.
const NAMESPACE_DEFAULT: &str = "default";

/// Reads the documents of `text`, which is the content of `file`. Never fails as a whole: all that
/// is wrong is in [`Loaded::problems`], at most 1000 of them.
pub fn parse(file: &str, text: &str) -> Loaded {
    let mut loaded = Loaded::default();
    let file: Arc<str> = file.into();
    if text.len() > TEXT_BYTES_MAX {
        loaded.problems.push(too_large(&file));
        return loaded;
    }
    for (index, document) in yaml::documents(text).into_iter().enumerate() {
        let place = format!("document {}", index + 1);
        let syntax = |error| syntax_problem(&file, &place, error);
        match document {
            Ok(document) => {
                let before = loaded.resources.len();
                read(&document.root, &file, &place, &mut loaded);
                if !document.repeated.is_empty() {
                    loaded.resources.truncate(before);
                }
                let repeated = document.repeated.into_iter().map(syntax);
                loaded.problems.extend(repeated);
            }
            Err(error) => loaded.problems.push(syntax(error)),
        }
    }
    loaded
        .problems
        .sort_by_key(|problem| (problem.line, problem.column));
    truncate(&mut loaded.problems);
    loaded
}

/// Of a file with more than [`TEXT_BYTES_MAX`].
pub(crate) fn too_large(file: &str) -> Problem {
    let message = format!("the file is larger than {} MiB", TEXT_BYTES_MAX >> 20);
    Problem {
        file: Some(file.to_owned()),
        ..Problem::error("file", message).hint("split it up")
    }
}

/// Reads one document, or the items of a List.
fn read(node: &Node, file: &Arc<str>, place: &str, loaded: &mut Loaded) {
    let root = Cursor::root(node);
    let mut report = Report::new(file, place, node.span.line);
    let Some((api_version, kind)) = api_version_and_kind(&root, &mut report) else {
        loaded.problems.append(&mut report.problems);
        return;
    };
    let identity = Identity::of(&root, kind);
    report.origin.resource = identity.shown().into();
    let resource = match fate(api_version, kind) {
        Fate::Read(Kind::List) => return read_list(&root, file, place, loaded),
        Fate::Read(kind) => read_kind(kind, &root, &identity, &mut report),
        Fate::Left(Severity::Warning, fault) => {
            report.key(Severity::Warning, &root, fault);
            None
        }
        Fate::Left(Severity::Error, fault) => {
            let at = root.field("kind").unwrap_or(root);
            report.error(&at, fault);
            None
        }
    };
    if report.is_usable() {
        loaded.resources.extend(resource.map(Arc::new));
    }
    loaded.problems.append(&mut report.problems);
}

/// `kubectl get -o yaml` writes several resources as one List.
fn read_list(root: &Cursor<'_>, file: &Arc<str>, place: &str, loaded: &mut Loaded) {
    for (index, item) in root.list("items").into_iter().enumerate() {
        read(
            item.node(),
            file,
            &format!("{place} > items[{index}]"),
            loaded,
        );
    }
}

fn api_version_and_kind<'a>(root: &Cursor<'a>, report: &mut Report) -> Option<(&'a str, &'a str)> {
    if root.entries().is_empty() {
        report.error(
            root,
            Fault::new("not a resource").hint("begin with `apiVersion` and `kind`"),
        );
        return None;
    }
    let text = Shape::Form(format::api_name);
    for name in ["apiVersion", "kind"] {
        match root.field(name) {
            Some(value) => schema::check(&value, &text, report),
            None => report.missing(root, name),
        }
    }
    if !report.is_usable() {
        return None;
    }
    Some((root.text_of("apiVersion")?, root.text_of("kind")?))
}

/// Reads a document of a kind that has a meaning here; none when that is empty, which was said.
fn read_kind(
    kind: Kind,
    root: &Cursor<'_>,
    identity: &Identity,
    report: &mut Report,
) -> Option<Resource> {
    let fields: &'static [Field] = match kind {
        Kind::Gateway => &gateway::DOCUMENT,
        Kind::VirtualService => &virtual_service::DOCUMENT,
        Kind::DestinationRule => &destination_rule::DOCUMENT,
        Kind::ServiceEntry => &service_entry::DOCUMENT,
        Kind::WorkloadEntry => &workload_entry::DOCUMENT,
        Kind::Sidecar => &sidecar::DOCUMENT,
        Kind::Service => &service::DOCUMENT,
        Kind::List => return None,
    };
    schema::check(root, &Shape::Object(fields), report);
    let at = root.field("metadata")?;
    if kind == Kind::Service
        && let Some(name) = at.field("name")
    {
        // Its name is a part of its host name.
        schema::check(&name, &Shape::Form(format::dns_label), report);
    }
    let metadata = metadata::read(&at, &identity.name, &identity.namespace, &report.origin);
    let spec = root.field("spec")?;
    match kind {
        Kind::Gateway => gateway::read(metadata, &spec, report).map(Resource::Gateway),
        Kind::VirtualService => {
            virtual_service::read(metadata, &spec, report).map(Resource::VirtualService)
        }
        Kind::DestinationRule => {
            destination_rule::read(metadata, &spec, report).map(Resource::DestinationRule)
        }
        Kind::ServiceEntry => {
            service_entry::read(metadata, &spec, report).map(Resource::ServiceEntry)
        }
        Kind::WorkloadEntry => {
            workload_entry::read(metadata, &spec, report).map(Resource::WorkloadEntry)
        }
        Kind::Sidecar => sidecar::read(metadata, &spec, report).map(Resource::Sidecar),
        Kind::Service => service::read(metadata, &spec, report).map(Resource::Service),
        Kind::List => None,
    }
}

/// The fields of a document whose `spec` has these.
pub(super) const fn fields(spec: &'static [Field]) -> [Field; 5] {
    [
        Field::new("apiVersion", Shape::Text).required(),
        Field::new("kind", Shape::Text).required(),
        Field::new("metadata", METADATA).required(),
        Field::new("spec", Shape::Object(spec)).required(),
        Field::new("status", Shape::Any).inert(),
    ]
}

/// Who a document says it is, as far as it can be read.
struct Identity {
    kind: String,
    namespace: String,
    /// Empty when there is none.
    name: String,
}

impl Identity {
    fn of(root: &Cursor<'_>, kind: &str) -> Self {
        let metadata = root.field("metadata");
        let text = |name| metadata.as_ref()?.text_of(name);
        Self {
            kind: kind.to_owned(),
            namespace: text("namespace").unwrap_or(NAMESPACE_DEFAULT).to_owned(),
            name: text("name").unwrap_or_default().to_owned(),
        }
    }

    /// `VirtualService default/reviews`.
    fn shown(&self) -> String {
        let name = match self.name.as_str() {
            "" => "?",
            name => name,
        };
        let shown = format!("{} {}/{name}", self.kind, self.namespace);
        format::shortened(&shown, IDENTITY_CHARS_MAX)
    }
}

/// A kind, a namespace and a name at their longest.
const IDENTITY_CHARS_MAX: usize = 63 + 1 + 63 + 1 + 253;

fn syntax_problem(file: &str, place: &str, error: SyntaxError) -> Problem {
    Problem {
        severity: Severity::Error,
        file: Some(file.to_owned()),
        line: error.span.line,
        column: error.span.column,
        path: place.to_owned(),
        message: error.message,
        hint: error.hint,
    }
}

/// Leaves the first problems and says how many there were; the one that says so keeps the gravest
/// severity of those left out.
fn truncate(problems: &mut Vec<Problem>) {
    if problems.len() <= PROBLEMS_MAX {
        return;
    }
    let rest = problems.split_off(PROBLEMS_MAX - 1);
    let severity = rest.iter().map(|problem| problem.severity).max();
    let Some(mut last) = rest.first().cloned() else {
        return;
    };
    last.severity = severity.unwrap_or(last.severity);
    last.message = format!("and {} more problems from here on", rest.len());
    last.hint = None;
    problems.push(last);
}

#[cfg(test)]
mod tests;
