//! Whether a world may be used: nothing in it is there twice, and every Document made of it
//! compiles, with the very code that the proxies compile it with.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use ringmain_config::{
    document::Document,
    node::{GatewayScope, Node},
    problem::{Problem, Severity},
};
use ringmain_core::snapshot::{Resolved, Snapshot};

use crate::{
    assemble::assemble,
    resource::{Resource, span::Span},
    world::World,
};

/// Every reason not to use `world`, for the proxies that it is meant for ([`World::nodes`]) and for
/// those of `nodes`.
pub fn check_world<'a>(world: &World, nodes: impl IntoIterator<Item = &'a Node>) -> Vec<Problem> {
    check_and_keep(world, nodes).1
}

/// As [`check_world`], with some of the Documents that were checked.
pub(crate) fn check_and_keep<'a>(
    world: &World,
    nodes: impl IntoIterator<Item = &'a Node>,
) -> (Checked, Vec<Problem>) {
    let mut problems: BTreeSet<Problem> = duplicates(world.resources()).into_iter().collect();
    let names = world.label_names();
    let mut seen = BTreeSet::new();
    let mut is_new = |node: &Node| {
        // What decides about listeners and routes; the rest is addresses.
        let mut labels = node.labels.clone();
        labels.retain(|name, _| names.contains(name.as_str()));
        seen.insert((node.namespace.clone(), labels, node.gateways as u8))
    };
    let mut checked = Checked::default();
    let mut has_edge = false;
    // Those that are there first: what is made for them is of use.
    for node in nodes {
        has_edge |= world.serves_every_gateway(node);
        if is_new(node) {
            let (document, warnings) = assemble(world, node);
            match compile(&document) {
                Ok(snapshot) => checked.keep(node, document, warnings, snapshot),
                Err(reasons) => problems.extend(reasons),
            }
        }
    }
    for node in &world.nodes() {
        // A proxy that is there opens all Gateways.
        let is_opened = has_edge && node.gateways == GatewayScope::All;
        if !is_opened && is_new(node) {
            problems.extend(check(&assemble(world, node).0));
        }
    }
    (checked, problems.into_iter().collect())
}

/// Documents that compiled, with the warnings of their making. Not more than a few: they are large.
#[derive(Debug, Default)]
pub(crate) struct Checked {
    documents: Vec<(Node, Document, Vec<Problem>)>,
    /// What was compiled; freeing it takes its time.
    snapshots: Vec<Snapshot>,
}

impl Checked {
    /// The Document of exactly this node.
    pub(crate) fn of(&self, node: &Node) -> Option<(Document, Vec<Problem>)> {
        let mut documents = self.documents.iter();
        let found = documents.find(|(held, _, _)| held == node);
        found.map(|(_, document, warnings)| (document.clone(), warnings.clone()))
    }

    fn keep(
        &mut self,
        node: &Node,
        document: Document,
        warnings: Vec<Problem>,
        snapshot: Snapshot,
    ) {
        if self.documents.len() < KEPT_MAX {
            self.documents.push((node.clone(), document, warnings));
            self.snapshots.push(snapshot);
        }
    }
}

const KEPT_MAX: usize = 8;

/// Every reason for which a proxy would refuse the Document.
pub fn check(document: &Document) -> Vec<Problem> {
    compile(document).err().unwrap_or_default()
}

fn compile(document: &Document) -> Result<Snapshot, Vec<Problem>> {
    Snapshot::compile(None, document, &Resolved::new())
}

/// Resources of one kind, namespace and name: which of them is meant is nowhere said.
fn duplicates(resources: &[Arc<Resource>]) -> Vec<Problem> {
    let mut first = BTreeMap::new();
    let mut problems = Vec::new();
    let mut in_order: Vec<&Resource> = resources.iter().map(AsRef::as_ref).collect();
    in_order.sort_by_key(|resource| {
        let origin = &resource.metadata().origin;
        (&origin.file, origin.line)
    });
    for resource in in_order {
        let metadata = resource.metadata();
        let kind = (resource.group(), resource.kind());
        let key = (kind, &metadata.namespace, &metadata.name);
        let Some(other) = first.get(&key) else {
            first.insert(key, &metadata.origin);
            continue;
        };
        let place = Span {
            line: metadata.origin.line,
            column: 1,
        };
        let message = format!(
            "there is already one of this kind and name in {}:{}",
            other.file, other.line
        );
        let problem = metadata.problem(Severity::Error, place, "metadata.name", message);
        problems.push(problem.hint("remove one of the two, or give it another name"));
    }
    problems
}
