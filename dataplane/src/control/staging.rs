//! The updates of a generation that is not committed yet. Pure.
//!
//! They are kept as they came, not laid over the Document: while the verdict on the generation
//! before is open, it is open too what they are laid over.

use std::sync::Arc;

use ringmain_config::{document::Document, wire::Update};

use super::Lost;

/// See the module.
#[derive(Debug)]
pub(super) struct Staging {
    updates: Vec<Update>,
    bytes: usize,
    bytes_max: usize,
}

impl Staging {
    pub(super) fn new(bytes_max: usize) -> Self {
        Self {
            updates: Vec::new(),
            bytes: 0,
            bytes_max,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.updates.is_empty()
    }

    /// Adds an update that took `bytes` on the wire.
    pub(super) fn add(&mut self, update: Update, bytes: usize) -> Result<(), Lost> {
        self.bytes = self.bytes.saturating_add(bytes);
        if self.bytes > self.bytes_max {
            return Err(Lost::StagingFull(self.bytes_max));
        }
        self.updates.push(update);
        Ok(())
    }

    /// `base` with the staged updates, as `generation`; `base` itself when the control plane only
    /// confirms it. Empty afterwards.
    pub(super) fn commit(&mut self, base: &Arc<Document>, generation: u64) -> Arc<Document> {
        if self.updates.is_empty() && generation == base.generation {
            return Arc::clone(base);
        }
        let mut document = Document::clone(base);
        document.generation = generation;
        self.bytes = 0;
        for update in std::mem::take(&mut self.updates) {
            for upsert in update.upserts {
                document.upsert_versioned(upsert.part, upsert.version);
            }
            for key in &update.removals {
                document.remove(key);
            }
        }
        Arc::new(document)
    }
}
