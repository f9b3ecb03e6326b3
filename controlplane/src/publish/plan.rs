//! What a proxy is to be sent so that it holds a Document: changes cut into frames.

use std::{collections::BTreeMap, sync::Arc};

use ringmain_config::{
    document::{Changes, Document, Part, PartKey},
    problem::Problem,
    wire::Updates,
};

/// What a proxy holds.
#[derive(Debug)]
pub(super) enum Holding {
    /// What it said itself when it connected.
    Said(BTreeMap<PartKey, u64>),
    /// What it was sent.
    Sent(Arc<Document>),
}

impl Holding {
    fn changes_to(&self, document: &Document) -> Changes {
        match self {
            Self::Sent(before) => document.changes_since(before),
            Self::Said(held) => {
                let wanted = document.versions();
                let gone = held.keys().filter(|key| !wanted.contains_key(key));
                let differs =
                    |(version, part): &(u64, Part)| held.get(&part.key()) != Some(version);
                Changes {
                    upserts: document.parts().filter(differs).collect(),
                    removals: gone.cloned().collect(),
                }
            }
        }
    }
}

/// The frames of updates that lead from `held` to `document`; none when they are the same. They are
/// made one at a time, since each proxy has its own and reads them as slowly as it likes.
///
/// # Errors
/// The part that is too long for any frame: nothing of the Document is to be sent then.
pub(super) fn plan(held: &Holding, document: &Document) -> Result<Updates, Box<Problem>> {
    Updates::new(held.changes_to(document), UPDATE_BYTES).map_err(|error| {
        let problem = Problem::error(error.key.to_string(), error.to_string());
        Box::new(problem.hint("split its resource, or move large direct responses to a server"))
    })
}

/// A frame carries at most about this much, unless a single part is longer: the memory that a proxy
/// needs to receive it, and what a slow one has to read within the write limit.
const UPDATE_BYTES: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, sync::Arc};

    use ringmain_config::{
        document::{Document, Part, PartKey, PartKind},
        endpoint::EndpointSet,
        wire::{Message, PAYLOAD_BYTES_MAX, Update, Updates},
    };

    use super::{Holding, UPDATE_BYTES, plan};

    fn document(names: &[String]) -> Document {
        let mut document = Document::default();
        for name in names {
            document.upsert(Part::EndpointSet(Arc::new(EndpointSet {
                cluster: name.clone(),
                endpoints: vec![],
            })));
        }
        document
    }

    fn read(frames: Updates) -> Vec<Update> {
        let updates = frames.map(|frame| match Message::decode(&frame).expect("a frame") {
            Some((Message::Update(update), bytes)) if bytes == frame.len() => update,
            other => panic!("not an update: {other:?}"),
        });
        updates.collect()
    }

    fn apply(held: &mut BTreeMap<PartKey, u64>, updates: &[Update]) {
        for update in updates {
            for upsert in &update.upserts {
                held.insert(upsert.part.key(), upsert.version);
            }
            for key in &update.removals {
                held.remove(key);
            }
        }
    }

    #[test]
    fn leads_from_what_is_held_to_what_is_wanted() {
        let key = |name: &str| PartKey {
            kind: PartKind::EndpointSet,
            name: name.to_owned(),
        };
        let wanted = document(&["a".to_owned(), "b".to_owned()]);
        let versions = wanted.versions();
        for held in [
            BTreeMap::new(),
            versions.clone(),
            BTreeMap::from([(key("a"), versions[&key("a")])]),
            BTreeMap::from([(key("a"), 1), (key("gone"), 2)]),
        ] {
            let said = Holding::Said(held.clone());
            let updates = read(plan(&said, &wanted).expect("short"));
            assert_eq!(updates.is_empty(), held == versions);
            let sent: usize = updates.iter().map(|update| update.upserts.len()).sum();
            let same = held
                .iter()
                .filter(|(key, version)| versions.get(key) == Some(version));
            assert_eq!(sent, versions.len() - same.count(), "only what differs");
            let mut after = held;
            apply(&mut after, &updates);
            assert_eq!(after, versions);
        }
    }

    #[test]
    fn what_was_sent_is_not_sent_again() {
        let before = Arc::new(document(&["a".to_owned(), "b".to_owned()]));
        let after = document(&["b".to_owned(), "c".to_owned()]);
        let held = Holding::Sent(Arc::clone(&before));
        assert!(plan(&held, &before).expect("short").is_empty());
        let updates = read(plan(&held, &after).expect("short"));
        let mut versions = before.versions();
        apply(&mut versions, &updates);
        assert_eq!(versions, after.versions());
        assert_eq!(updates[0].upserts.len(), 1);
    }

    #[test]
    fn frames_stay_short() {
        let name = |number: usize| number.to_string().repeat(UPDATE_BYTES / 3);
        let wanted = document(&(0..10).map(name).collect::<Vec<_>>());
        let frames = plan(&Holding::Said(BTreeMap::new()), &wanted).expect("short");
        let lengths: Vec<usize> = frames.map(|frame| frame.len()).collect();
        assert_eq!(lengths.len(), 5);
        for length in lengths {
            assert!(length < 2 * UPDATE_BYTES);
        }
        let removals =
            plan(&Holding::Said(wanted.versions()), &Document::default()).expect("short");
        assert_eq!(removals.count(), 5);
    }

    #[test]
    fn names_a_part_that_fits_no_frame() {
        let wanted = document(&["x".repeat(PAYLOAD_BYTES_MAX)]);
        let problem = plan(&Holding::Said(BTreeMap::new()), &wanted).expect_err("too long");
        assert!(
            problem.message.contains("longer than the limit"),
            "{problem}"
        );
    }
}
