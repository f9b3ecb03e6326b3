//! Everything one proxy needs to know: named parts, each with a version of its content.
//!
//! Parts are the unit of change: the wire upserts and removes them, a proxy says which versions it
//! holds, and the compiler keeps what it made of a part whose pointer is unchanged.

use std::{collections::BTreeMap, fmt, sync::Arc};

use serde::{Deserialize, Serialize};

use crate::{
    authentication::Authentication, authorization::Authorization, cluster::Cluster, content,
    endpoint::EndpointSet, listener::Listener, route::RouteTable, secret::Secret,
};

/// Each kind of part: its doc, the name of its type and kind, of its field in a [`Document`], of
/// the field that has its name, and what it is called. In the order that a reader wants them.
macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident, $field:ident, $name:ident, $called:literal;)*) => {
        /// What kind of part a name belongs to.
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
        )]
        #[serde(rename_all = "snake_case")]
        pub enum PartKind {
            $($(#[$doc])* $kind,)*
        }

        impl PartKind {
            /// All kinds.
            pub const ALL: &[Self] = &[$(Self::$kind),*];

            /// What it is called, for example `route table`.
            pub fn called(self) -> &'static str {
                match self {
                    $(Self::$kind => $called,)*
                }
            }
        }

        /// One part of a Document.
        #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum Part {
            $($(#[$doc])* $kind(Arc<$kind>),)*
        }

        impl Part {
            /// Its kind and name.
            pub fn key(&self) -> PartKey {
                let (kind, name) = match self {
                    $(Self::$kind(part) => (PartKind::$kind, &part.$name),)*
                };
                PartKey {
                    kind,
                    name: name.clone(),
                }
            }

            /// A part of the `kind`, of its form in JSON.
            ///
            /// # Errors
            /// When it is not of that kind.
            pub fn of_json(
                kind: PartKind,
                value: serde_json::Value,
            ) -> Result<Self, serde_json::Error> {
                Ok(match kind {
                    $(PartKind::$kind => Self::$kind(Arc::new(serde_json::from_value(value)?)),)*
                })
            }

            /// Its form in JSON, without its kind, and without what is confidential in it.
            pub fn to_shown_json(&self) -> serde_json::Value {
                let value = match self.redacted() {
                    $(Self::$kind(part) => serde_json::to_value(part),)*
                };
                value.expect("parts have only string keys and finite values")
            }

            /// How many share it, [`Arc::strong_count`].
            pub fn sharers(&self) -> usize {
                match self {
                    $(Self::$kind(part) => Arc::strong_count(part),)*
                }
            }
        }

        /// Everything one proxy needs to know.
        #[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(default)]
        pub struct Document {
            /// Increases with every change that a control plane publishes; 0: none was received
            /// yet.
            pub generation: u64,
            $($(#[$doc])* pub $field: Parts<$kind>,)*
        }

        impl Document {
            /// As [`Self::upsert`], with the version that the wire named.
            pub fn upsert_versioned(&mut self, part: Part, version: u64) {
                match part {
                    $(Part::$kind(part) => {
                        replace(&mut self.$field, part.$name.clone(), version, part);
                    })*
                }
            }

            /// Removes a part; one that is not there stays so.
            pub fn remove(&mut self, key: &PartKey) {
                match key.kind {
                    $(PartKind::$kind => remove(&mut self.$field, &key.name),)*
                }
            }

            /// What leads from `before` to this one.
            pub fn changes_since(&self, before: &Self) -> Changes {
                let mut changes = Changes::default();
                $(changes.add(PartKind::$kind, &before.$field, &self.$field, Part::$kind);)*
                changes
            }

            /// Every part, in the order of [`PartKind::ALL`] and of their names.
            pub fn parts(&self) -> impl Iterator<Item = (u64, Part)> + '_ {
                let parts = std::iter::empty();
                $(let parts = parts.chain(self.$field.values().map(|part| {
                    (part.version, Part::$kind(part.value.clone()))
                }));)*
                parts
            }

            /// Which versions it holds.
            pub fn versions(&self) -> BTreeMap<PartKey, u64> {
                let mut versions = BTreeMap::new();
                $(versions.extend(self.$field.iter().map(|(name, part)| {
                    let (kind, name) = (PartKind::$kind, name.clone());
                    (PartKey { kind, name }, part.version)
                }));)*
                versions
            }
        }
    };
}

kinds! {
    /// Where connections are accepted.
    Listener, listeners, name, "listener";
    /// How requests are routed.
    RouteTable, route_tables, name, "route table";
    /// Where they go.
    Cluster, clusters, name, "cluster";
    /// Who answers there.
    EndpointSet, endpoint_sets, cluster, "endpoint set";
    /// Certificates, keys, and what is trusted.
    Secret, secrets, name, "secret";
    /// Whose word is taken for who sent a request.
    Authentication, authentications, name, "authentication";
    /// Who may do what.
    Authorization, authorizations, name, "authorization";
}

/// Names one part of a Document.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PartKey {
    /// Its kind.
    pub kind: PartKind,
    /// Its name, unique among its kind.
    pub name: String,
}

impl fmt::Display for PartKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {:?}", self.kind.called(), self.name)
    }
}

impl Part {
    /// A hash of the content: the same part has the same version in every control plane process, so
    /// a proxy that reconnects is sent only what differs.
    pub fn version(&self) -> u64 {
        content::hash(self)
    }

    /// What may be shown of it.
    fn redacted(&self) -> Self {
        match self {
            Self::Secret(secret) => Self::Secret(Arc::new(secret.redacted())),
            other => other.clone(),
        }
    }
}

/// A part with the version of its content.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Versioned<T> {
    /// See [`Part::version`].
    pub version: u64,
    /// The part.
    pub value: Arc<T>,
}

impl<T> Clone for Versioned<T> {
    fn clone(&self) -> Self {
        Self {
            version: self.version,
            value: Arc::clone(&self.value),
        }
    }
}

/// Parts of one kind by their names. Documents that follow each other share the parts of a kind of
/// which none has changed; change them with [`Arc::make_mut`].
pub type Parts<T> = Arc<BTreeMap<String, Versioned<T>>>;

/// What leads from one Document to another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// New parts and those with another version, in the order of [`Document::parts`].
    pub upserts: Vec<(u64, Part)>,
    /// Parts that are gone.
    pub removals: Vec<PartKey>,
}

impl Changes {
    /// Both Documents hold the same.
    pub fn is_empty(&self) -> bool {
        self.upserts.is_empty() && self.removals.is_empty()
    }

    /// Some part other than an endpoint set is new, changed or gone.
    pub fn are_structural(&self) -> bool {
        let is_other = |kind| kind != PartKind::EndpointSet;
        self.upserts
            .iter()
            .any(|(_, part)| !matches!(part, Part::EndpointSet(_)))
            || self.removals.iter().any(|key| is_other(key.kind))
    }

    /// Walks both side by side; a part whose pointer is the same is not looked into.
    fn add<T>(
        &mut self,
        kind: PartKind,
        before: &Parts<T>,
        after: &Parts<T>,
        part: impl Fn(Arc<T>) -> Part,
    ) {
        if Arc::ptr_eq(before, after) {
            return;
        }
        let key = |name: &String| PartKey {
            kind,
            name: name.clone(),
        };
        let mut before = before.iter().peekable();
        for (name, wanted) in after.iter() {
            // The most frequent case, and one that looks at no name.
            let is_same = |held: &Versioned<T>| Arc::ptr_eq(&held.value, &wanted.value);
            if before.next_if(|(_, held)| is_same(held)).is_some() {
                continue;
            }
            while let Some((gone, _)) = before.next_if(|(held, _)| *held < name) {
                self.removals.push(key(gone));
            }
            let held = before.next_if(|(held, _)| *held == name);
            if held.is_none_or(|(_, held)| held.version != wanted.version) {
                self.upserts
                    .push((wanted.version, part(wanted.value.clone())));
            }
        }
        self.removals.extend(before.map(|(gone, _)| key(gone)));
    }
}

impl Document {
    /// It without what is confidential in it; the versions are those of what it really holds.
    pub fn redacted(&self) -> Self {
        let mut shown = self.clone();
        for secret in Arc::make_mut(&mut shown.secrets).values_mut() {
            secret.value = Arc::new(secret.value.redacted());
        }
        shown
    }

    /// Adds or replaces a part; a part whose version is unchanged keeps its pointer.
    pub fn upsert(&mut self, part: Part) {
        let version = part.version();
        self.upsert_versioned(part, version);
    }
}

fn replace<T>(parts: &mut Parts<T>, name: String, version: u64, value: Arc<T>) {
    let unchanged = parts.get(&name).is_some_and(|held| held.version == version);
    if !unchanged {
        Arc::make_mut(parts).insert(name, Versioned { version, value });
    }
}

fn remove<T>(parts: &mut Parts<T>, name: &str) {
    if parts.contains_key(name) {
        Arc::make_mut(parts).remove(name);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::{Changes, Document, Part, PartKey, PartKind};
    use crate::{
        cluster::Service,
        endpoint::EndpointSet,
        secret::{Confidential, InlineSecret, Secret, SecretSource},
    };

    fn set(cluster: &str) -> Part {
        Part::EndpointSet(Arc::new(EndpointSet {
            cluster: cluster.to_owned(),
            endpoints: vec![],
        }))
    }

    fn cluster(name: &str, subset: &str) -> Part {
        let service = Service::default();
        let cluster = json!({ "name": name, "service": service, "subset": subset });
        Part::Cluster(serde_json::from_value(cluster).unwrap())
    }

    fn secret(name: &str) -> Part {
        let source = SecretSource::Inline(InlineSecret {
            key: Some(Confidential("MIIkey".to_owned())),
            ..InlineSecret::default()
        });
        Part::Secret(Arc::new(Secret {
            name: name.to_owned(),
            source,
            origin: None,
        }))
    }

    #[test]
    fn what_is_shown_has_no_keys() {
        let part = secret("a");
        let shown = part.to_shown_json();
        assert_eq!(shown["source"]["inline"]["key"], "[redacted]");
        let Part::Secret(own) = &part else { panic!() };
        let sent = serde_json::to_value(own).unwrap();
        assert_eq!(sent["source"]["inline"]["key"], "MIIkey");
        assert_eq!(Part::of_json(PartKind::Secret, sent).unwrap(), part);
        assert!(Part::of_json(PartKind::Cluster, shown).is_err());
        let whole = document(&[part, cluster("a", "")]).redacted();
        let text = serde_json::to_string(&whole).unwrap();
        assert!(
            text.contains("[redacted]") && !text.contains("MIIkey"),
            "{text}"
        );
    }

    fn document(parts: &[Part]) -> Document {
        let mut document = Document::default();
        for part in parts {
            document.upsert(part.clone());
        }
        document
    }

    fn apply(document: &mut Document, changes: Changes) {
        for (version, part) in changes.upserts {
            document.upsert_versioned(part, version);
        }
        for key in &changes.removals {
            document.remove(key);
        }
    }

    #[test]
    fn changes_lead_from_one_document_to_the_other() {
        let a = document(&[set("a"), set("b"), cluster("a", ""), secret("s")]);
        let documents = [
            Document::default(),
            a.clone(),
            document(&[set("b"), set("c"), cluster("a", "v1"), cluster("b", "")]),
            document(&[set("a")]),
        ];
        for before in &documents {
            for after in &documents {
                let changes = after.changes_since(before);
                assert_eq!(changes.is_empty(), before == after);
                let mut made = before.clone();
                apply(&mut made, changes);
                assert_eq!(made, *after);
            }
        }
    }

    #[test]
    fn endpoints_alone_are_no_structure() {
        let before = document(&[set("a"), cluster("a", "")]);
        for (after, expected) in [
            (document(&[set("a"), cluster("a", "")]), false),
            (document(&[set("b"), cluster("a", "")]), false),
            (document(&[set("a"), cluster("a", "v1")]), true),
            (document(&[set("a")]), true),
        ] {
            let changes = after.changes_since(&before);
            assert_eq!(changes.are_structural(), expected, "{changes:?}");
        }
    }

    #[test]
    fn a_change_leaves_the_other_kinds_shared() {
        let before = document(&[set("a"), cluster("a", "")]);
        let mut after = before.clone();
        after.upsert(set("b"));
        assert!(Arc::ptr_eq(&before.clusters, &after.clusters));
        assert!(!Arc::ptr_eq(&before.endpoint_sets, &after.endpoint_sets));
        let again = after.clone();
        after.upsert(set("b"));
        after.remove(&PartKey {
            kind: PartKind::EndpointSet,
            name: "z".to_owned(),
        });
        assert!(Arc::ptr_eq(&again.endpoint_sets, &after.endpoint_sets));
    }
}
