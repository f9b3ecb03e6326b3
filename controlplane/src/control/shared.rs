//! Parts that several proxies hold alike are kept once: of a mesh in which everybody reaches
//! everybody, that is nearly all of them.

use std::collections::HashMap;

use ringmain_config::document::{Part, PartKey};

/// The parts of every target, by name and version.
#[derive(Default)]
pub(super) struct SharedParts {
    parts: HashMap<(PartKey, u64), Part>,
}

impl SharedParts {
    /// The part of this name and version that is known already, or else this one.
    pub(super) fn share(&mut self, part: Part, version: u64) -> Part {
        let known = self.parts.entry((part.key(), version)).or_insert(part);
        known.clone()
    }

    /// Forgets the parts that no Document has any more.
    pub(super) fn prune(&mut self) {
        self.parts.retain(|_, part| part.sharers() > 1);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use ringmain_config::{
        document::{Document, Part},
        endpoint::EndpointSet,
    };

    use super::SharedParts;

    fn document(parts: &mut SharedParts, clusters: &[&str]) -> Document {
        let mut document = Document::default();
        for cluster in clusters {
            let part = Part::EndpointSet(Arc::new(EndpointSet {
                cluster: (*cluster).to_owned(),
                endpoints: vec![],
            }));
            let version = part.version();
            document.upsert_versioned(parts.share(part, version), version);
        }
        document
    }

    #[test]
    fn equal_parts_are_kept_once_and_no_longer_than_needed() {
        let mut parts = SharedParts::default();
        let first = document(&mut parts, &["a", "b"]);
        let second = document(&mut parts, &["b", "c"]);
        let set = |document: &Document| document.endpoint_sets["b"].value.clone();
        assert!(Arc::ptr_eq(&set(&first), &set(&second)));

        parts.prune();
        assert_eq!(parts.parts.len(), 3);
        drop(first);
        parts.prune();
        assert_eq!(parts.parts.len(), 2);
        drop(second);
        parts.prune();
        assert!(parts.parts.is_empty());
    }
}
