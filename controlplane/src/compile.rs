//! Whether a world may be used: nothing in it is there twice, and every Document made of it
//! compiles, with the very code that the proxies compile it with.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use ringmain_config::{
    document::Document,
    node::Node,
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
    let mut problems: BTreeSet<Problem> = duplicates(world.resources()).into_iter().collect();
    let mut all = world.nodes();
    all.extend(nodes.into_iter().cloned());
    let names = world.label_names();
    let mut seen = BTreeSet::new();
    for node in &all {
        // What decides about listeners and routes; the rest is addresses.
        let mut labels = node.labels.clone();
        labels.retain(|name, _| names.contains(name.as_str()));
        if seen.insert((&node.namespace, labels, node.gateways as u8)) {
            problems.extend(check(&assemble(world, node).0));
        }
    }
    problems.into_iter().collect()
}

/// Every reason for which a proxy would refuse the Document.
pub fn check(document: &Document) -> Vec<Problem> {
    match Snapshot::compile(None, document, &Resolved::new()) {
        Ok(_) => Vec::new(),
        Err(problems) => problems,
    }
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
        let key = (resource.kind(), &metadata.namespace, &metadata.name);
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
