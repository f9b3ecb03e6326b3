//! What a change took the place of. To free the resources of a large world takes about a tenth of
//! what the change takes, so it is done when the proxies have what they need.

use std::any::Any;

/// Of one change; see the module.
#[derive(Default)]
pub(super) struct Outdated(Vec<Box<dyn Any + Send + Sync>>);

impl Outdated {
    /// Keeps it until [`Self::free`].
    pub(super) fn keep(&mut self, replaced: impl Any + Send + Sync) {
        self.0.push(Box::new(replaced));
    }

    /// Frees all of it.
    pub(super) fn free(&mut self) {
        self.0.clear();
    }
}
