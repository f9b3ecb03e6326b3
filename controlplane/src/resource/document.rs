//! From the text of a file to resources: which documents there are, and who each of them is.

use std::{
    panic::resume_unwind,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread::{self, available_parallelism},
};

use ringmain_config::problem::{Problem, Severity};
use xxhash_rust::xxh3::xxh3_64;

use super::{
    Loaded, Resource,
    credential::{self, CredentialKind},
    cursor::{Cursor, Fault, Report, Way},
    destination_rule, format, gateway, gateway_api,
    gateway_api::RouteKind,
    kind::{Fate, Kind, fate},
    metadata::{self, METADATA},
    peer_authentication,
    schema::{self, Field, Shape},
    service, service_entry, sidecar, virtual_service, workload_entry,
    yaml::{self, Expansion, Node, SyntaxError},
};

/// Bytes of one file: thousands of resources fit in it. A tree takes up to fifty times as much.
pub(crate) const TEXT_BYTES_MAX: usize = 4 << 20;

/// Problems that one file is charged with, so that a file of another kind does not flood the
/// output.
const PROBLEMS_MAX: usize = 1000;

/// Threads that read one file: the proxies of this host need their cores, too.
const THREADS_MAX: usize = 4;
/// Text that a thread is worth being started for.
const THREAD_BYTES_MIN: usize = 64 << 10;
/// Documents that a thread takes at once.
const DOCUMENTS_AT_ONCE: usize = 8;

/// The namespace of a resource that names none.
const NAMESPACE_DEFAULT: &str = "default";

/// Reads the documents of `text`, which is the content of `file`. Never fails as a whole: all that
/// is wrong is in [`Loaded::problems`], at most 1000 of them.
pub fn parse(file: &str, text: &str) -> Loaded {
    parse_again(file, text, &Memo::default()).0
}

/// As [`parse`]; documents that are as they were `before` are not read again.
pub(crate) fn parse_again(file: &str, text: &str, before: &Memo) -> (Loaded, Memo) {
    let mut loaded = Loaded::default();
    let file: Arc<str> = file.into();
    if text.len() > TEXT_BYTES_MAX {
        loaded.problems.push(too_large(&file));
        return (loaded, Memo::default());
    }
    let texts = match yaml::texts(text) {
        Ok(texts) => texts,
        Err(error) => {
            let problem = syntax_problem(&file, &place(0), error);
            loaded.problems.push(problem);
            return (loaded, Memo::default());
        }
    };
    let digests: Vec<_> = texts.iter().map(Digest::of).collect();
    let mut known = before.documents(&digests);
    let missing: Vec<usize> = (0..texts.len())
        .filter(|&index| known[index].is_none())
        .collect();
    let expansion = Expansion::default();
    let read = parallel(&missing, text.len(), |index| {
        let mut loaded = Loaded::default();
        read_text(texts[index], index, &file, &expansion, &mut loaded);
        loaded
    });
    let mut memo = Memo::default();
    let mut read = read.into_iter();
    for (digest, known) in digests.into_iter().zip(&mut known) {
        let (mut resources, mut problems) = match known.take() {
            Some(resources) => (resources, Vec::new()),
            None => {
                let loaded = read.next().expect("every missing document was read");
                (loaded.resources, loaded.problems)
            }
        };
        memo.documents.push(Held {
            // What was said of a document is to be said again; and where aliases stand for values,
            // all of them count.
            digest: (problems.is_empty() && expansion.is_none()).then_some(digest),
            resources: resources.len(),
        });
        loaded.resources.append(&mut resources);
        loaded.problems.append(&mut problems);
    }
    loaded
        .problems
        .sort_by_key(|problem| (problem.line, problem.column));
    truncate(&mut loaded.problems);
    memo.resources.clone_from(&loaded.resources);
    (loaded, memo)
}

/// What the documents of a file led to, so that those which did not change need not be read again.
#[derive(Debug, Default)]
pub(crate) struct Memo {
    documents: Vec<Held>,
    /// Of all documents, in their order.
    resources: Vec<Arc<Resource>>,
}

#[derive(Debug)]
struct Held {
    /// Absent: it is read again in any case.
    digest: Option<Digest>,
    resources: usize,
}

/// Of the text of a document, and of where it stands: resources name their lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Digest {
    text: u64,
    line: usize,
}

impl Digest {
    fn of((line, text): &(usize, &str)) -> Self {
        Self {
            text: xxh3_64(text.as_bytes()),
            line: *line,
        }
    }
}

impl Memo {
    /// For each of these documents the resources, if it is the one that stood at its place.
    fn documents(&self, digests: &[Digest]) -> Vec<Option<Vec<Arc<Resource>>>> {
        let mut left = &self.resources[..];
        let mut held = self.documents.iter();
        let known = digests.iter().map(|digest| {
            let held = held.next()?;
            let (resources, rest) = left.split_at(held.resources);
            left = rest;
            (held.digest.as_ref() == Some(digest)).then(|| resources.to_vec())
        });
        known.collect()
    }
}

/// `read` of each of `indices`, in their order; on several threads when there are many bytes.
fn parallel(indices: &[usize], bytes: usize, read: impl Fn(usize) -> Loaded + Sync) -> Vec<Loaded> {
    let cores = available_parallelism().map_or(1, usize::from);
    let threads = cores.min(THREADS_MAX).min(bytes / THREAD_BYTES_MIN);
    if threads < 2 || indices.len() < 2 {
        return indices.iter().map(|&index| read(index)).collect();
    }
    let next = AtomicUsize::new(0);
    let work = || {
        let mut done = Vec::new();
        loop {
            let first = next.fetch_add(DOCUMENTS_AT_ONCE, Ordering::Relaxed);
            if first >= indices.len() {
                return done;
            }
            let end = indices.len().min(first + DOCUMENTS_AT_ONCE);
            let taken = (first..end).zip(&indices[first..end]);
            done.extend(taken.map(|(place, &index)| (place, read(index))));
        }
    };
    let mut done = thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(work)).collect();
        let mut done = work();
        for other in others {
            match other.join() {
                Ok(theirs) => done.extend(theirs),
                Err(panic) => resume_unwind(panic),
            }
        }
        done
    });
    done.sort_unstable_by_key(|(place, _)| *place);
    done.into_iter().map(|(_, loaded)| loaded).collect()
}

fn place(index: usize) -> String {
    format!("document {}", index + 1)
}

fn read_text(
    text: (usize, &str),
    index: usize,
    file: &Arc<str>,
    expansion: &Expansion,
    loaded: &mut Loaded,
) {
    let place = place(index);
    let syntax = |error| syntax_problem(file, &place, error);
    match yaml::document(text, expansion) {
        Ok(Some(document)) => {
            read(&document.root, file, &place, loaded);
            if !document.repeated.is_empty() {
                loaded.resources.clear();
            }
            let repeated = document.repeated.into_iter().map(syntax);
            loaded.problems.extend(repeated);
        }
        Ok(None) => {}
        Err(error) => loaded.problems.push(syntax(error)),
    }
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
fn read(node: &Node<'_>, file: &Arc<str>, place: &str, loaded: &mut Loaded) {
    let way = Way::default();
    let root = Cursor::root(node, &way);
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
        Kind::Credential(CredentialKind::Secret) => &credential::SECRET,
        Kind::Credential(CredentialKind::ConfigMap) => &credential::CONFIG_MAP,
        Kind::PeerAuthentication => &peer_authentication::DOCUMENT,
        Kind::ApiGateway => &gateway_api::GATEWAY,
        Kind::ApiRoute(RouteKind::Http) => &gateway_api::HTTP_ROUTE,
        Kind::ApiRoute(RouteKind::Grpc) => &gateway_api::GRPC_ROUTE,
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
    if let Kind::Credential(kind) = kind {
        return credential::read(kind, metadata, root, report).map(Resource::Credential);
    }
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
        Kind::ApiGateway => {
            gateway_api::read_gateway(metadata, &spec, report).map(Resource::ApiGateway)
        }
        Kind::ApiRoute(kind) => {
            gateway_api::read_route(kind, metadata, &spec, report).map(Resource::ApiRoute)
        }
        Kind::PeerAuthentication => {
            peer_authentication::read(metadata, &spec, report).map(Resource::PeerAuthentication)
        }
        Kind::Credential(_) | Kind::List => None,
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
