//! Workloads that registered themselves: the proxies that are connected, and for a while those that
//! were.
//!
//! A proxy that goes away stays an endpoint for a short grace, so that its restart is no change.
//! All of them are written down, so that a restart of the control plane is none either: what was
//! written stays valid until the proxies had time to come back.

use std::{collections::BTreeMap, fs, io, path::Path, time::Instant};

use ringmain_config::node::Node;
use serde::{Deserialize, Serialize};

/// Who is registered, with what, and until when.
#[derive(Clone, Debug, Default)]
pub struct Registrations {
    by_name: BTreeMap<(String, String), Registration>,
}

#[derive(Clone, Debug)]
struct Registration {
    node: Node,
    /// Connections of proxies of this name. Two at a time are the rule while a proxy is replaced.
    connections: usize,
    /// When it goes, unless a proxy of this name connects; only without connections.
    expires: Option<Instant>,
}

/// How a proxy's hello changed the registrations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// The same as before: no endpoint changes.
    Same,
    /// A new workload, or one with other labels, address or ports.
    Changed,
    /// As [`Self::Changed`], while another proxy of the same name is connected that said something
    /// else; the last one counts.
    Contested(Box<Node>),
}

impl Registrations {
    /// Those that [`Self::write`] left in `file`, valid until `expires`. No file: none.
    ///
    /// # Errors
    /// When the file cannot be read or is not what was written.
    pub fn read(file: &Path, expires: Instant) -> io::Result<Self> {
        let bytes = match fs::read(file) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(error),
        };
        let written: Written = serde_json::from_slice(&bytes)?;
        let by_name = written
            .nodes
            .into_iter()
            .map(|node| {
                let registration = Registration {
                    node,
                    connections: 0,
                    expires: Some(expires),
                };
                (key(&registration.node), registration)
            })
            .collect();
        Ok(Self { by_name })
    }

    /// Writes them to `file` as a whole or not at all.
    ///
    /// # Errors
    /// Those of writing beside `file` and renaming.
    pub fn write(&self, file: &Path) -> io::Result<()> {
        let written = Written {
            nodes: self.nodes().cloned().collect(),
        };
        let mut name = file.as_os_str().to_owned();
        name.push(".new");
        let bytes = serde_json::to_vec(&written)?;
        fs::write(&name, bytes)?;
        fs::rename(&name, file)
    }

    /// A proxy of this node connected. Each call is to be met by one of [`Self::disconnect`].
    pub fn connect(&mut self, node: &Node) -> Change {
        let Some(held) = self.by_name.get_mut(&key(node)) else {
            let registration = Registration {
                node: node.clone(),
                connections: 1,
                expires: None,
            };
            self.by_name.insert(key(node), registration);
            return Change::Changed;
        };
        held.connections += 1;
        held.expires = None;
        if held.node == *node {
            return Change::Same;
        }
        let before = std::mem::replace(&mut held.node, node.clone());
        if held.connections > 1 {
            Change::Contested(Box::new(before))
        } else {
            Change::Changed
        }
    }

    /// A proxy of this node went away; with the last of them the workload goes too, at `expires`.
    pub fn disconnect(&mut self, node: &Node, expires: Instant) {
        let Some(held) = self.by_name.get_mut(&key(node)) else {
            return;
        };
        held.connections = held.connections.saturating_sub(1);
        if held.connections == 0 {
            held.expires = Some(expires);
        }
    }

    /// Removes those that are due at `now`; their namespaces and names.
    pub fn expire(&mut self, now: Instant) -> Vec<(String, String)> {
        let is_due = |held: &Registration| held.expires.is_some_and(|expires| expires <= now);
        let due = self.by_name.extract_if(.., |_, held| is_due(held));
        due.map(|(key, _)| key).collect()
    }

    /// The one of this namespace and name.
    pub fn node(&self, namespace: &str, name: &str) -> Option<&Node> {
        let held = self.by_name.get(&(namespace.to_owned(), name.to_owned()));
        held.map(|held| &held.node)
    }

    /// When the next one is due.
    pub fn next_expiry(&self) -> Option<Instant> {
        self.by_name.values().filter_map(|held| held.expires).min()
    }

    /// In the order of namespace and name.
    pub fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.by_name.values().map(|held| &held.node)
    }
}

/// The file.
#[derive(Serialize, Deserialize)]
struct Written {
    nodes: Vec<Node>,
}

fn key(node: &Node) -> (String, String) {
    (node.namespace.clone(), node.name.clone())
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use ringmain_config::node::Node;

    use super::{Change, Registrations};

    fn node(name: &str, address: &str) -> Node {
        Node {
            name: name.to_owned(),
            namespace: "default".to_owned(),
            address: address.parse().ok(),
            ..Node::default()
        }
    }

    fn names(registrations: &Registrations) -> Vec<&str> {
        registrations
            .nodes()
            .map(|node| node.name.as_str())
            .collect()
    }

    #[test]
    fn a_workload_outlives_its_proxy_by_the_grace() {
        let start = Instant::now();
        let second = Duration::from_secs(1);
        let mut registrations = Registrations::default();
        let a = node("a", "127.0.0.1");

        assert_eq!(registrations.connect(&a), Change::Changed);
        assert_eq!(registrations.next_expiry(), None);
        assert_eq!(registrations.expire(start + 100 * second), []);

        registrations.disconnect(&a, start + 10 * second);
        assert_eq!(registrations.next_expiry(), Some(start + 10 * second));
        assert_eq!(registrations.expire(start + 9 * second), []);
        assert_eq!(registrations.connect(&a), Change::Same, "it came back");
        assert_eq!(registrations.expire(start + 11 * second), []);

        registrations.disconnect(&a, start + 20 * second);
        assert_eq!(registrations.expire(start + 20 * second).len(), 1);
        assert!(names(&registrations).is_empty());
    }

    #[test]
    fn the_last_of_two_proxies_of_one_name_counts() {
        let start = Instant::now();
        let mut registrations = Registrations::default();
        let (old, new) = (node("a", "127.0.0.1"), node("a", "127.0.0.2"));
        registrations.connect(&old);
        assert_eq!(
            registrations.connect(&new),
            Change::Contested(Box::new(old.clone()))
        );
        registrations.disconnect(&old, start);
        assert_eq!(
            registrations.expire(start),
            [],
            "one of them is still there"
        );
        registrations.disconnect(&new, start);
        assert_eq!(registrations.expire(start).len(), 1);
    }

    #[test]
    fn survives_a_restart_until_the_grace_is_over() {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("registrations.json");
        let start = Instant::now();
        assert!(names(&Registrations::read(&file, start).expect("no file")).is_empty());

        let mut registrations = Registrations::default();
        let (a, b) = (node("a", "127.0.0.1"), node("b", "127.0.0.2"));
        registrations.connect(&a);
        registrations.connect(&b);
        registrations.write(&file).expect("written");

        let due = start + Duration::from_secs(30);
        let mut read = Registrations::read(&file, due).expect("read");
        assert_eq!(names(&read), ["a", "b"]);
        assert_eq!(read.connect(&a), Change::Same);
        assert_eq!(read.expire(due).len(), 1);
        assert_eq!(names(&read), ["a"]);

        std::fs::write(&file, "{\"nodes\": [").expect("written");
        Registrations::read(&file, start).expect_err("half a file");
    }
}
