//! What tools ask for.

use std::{sync::Arc, time::Instant};

use ringmain_config::{document::Document, wire::Query};

use super::{Control, proxy::Proxy};
use crate::status::{ResourceSummary, SourceStatus, Status};

impl Control {
    /// # Errors
    /// Why there is no answer, in words for whoever asked.
    pub(super) fn answer(&self, query: &Query) -> Result<serde_json::Value, String> {
        let json = match query {
            Query::Status => serde_json::to_value(self.status()),
            Query::Resources => serde_json::to_value(self.summaries()),
            Query::Document { namespace, name } => {
                serde_json::to_value(self.document(namespace, name)?.redacted())
            }
        };
        json.map_err(|error| error.to_string())
    }

    fn status(&self) -> Status {
        let now = Instant::now();
        let mut proxies: Vec<_> = self
            .proxies
            .values()
            .map(|proxy| proxy.status(now))
            .collect();
        // Stable: those of one name stay in the order they connected.
        proxies.sort_by(|left, right| {
            (&left.namespace, &left.name).cmp(&(&right.namespace, &right.name))
        });
        Status {
            program: crate::PROGRAM.to_owned(),
            pid: std::process::id(),
            up: now.duration_since(self.started),
            proxies,
            source: SourceStatus {
                directory: self.directory.clone(),
                files: self.reading.files.clone(),
                refused: self.refused.clone(),
                problems: self.reading.problems.clone(),
                warnings: self.warnings.clone(),
            },
            changes: self.history.status(now),
        }
    }

    fn summaries(&self) -> Vec<ResourceSummary> {
        let mut summaries: Vec<_> = self
            .resources
            .iter()
            .map(|resource| ResourceSummary::of(resource))
            .collect();
        summaries.sort();
        summaries
    }

    /// What the proxy of this name that connected last is meant to hold.
    fn document(&self, namespace: &str, name: &str) -> Result<Arc<Document>, String> {
        let mut named = self
            .proxies
            .values()
            .rev()
            .filter(|proxy| proxy.node.namespace == namespace && proxy.node.name == name);
        let proxy = named.next().ok_or_else(|| {
            let names: Vec<_> = self.proxies.values().map(Proxy::name).collect();
            format!(
                "no proxy {namespace}/{name} is connected; connected are: {}",
                if names.is_empty() {
                    "none".to_owned()
                } else {
                    names.join(", ")
                }
            )
        })?;
        proxy
            .target()
            .ok_or_else(|| format!("the proxy {namespace}/{name} has no Document: see `status`"))
    }
}
