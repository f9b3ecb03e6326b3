//! Promises about numbers that hold for a whole proxy, whatever the number of its cores.
//!
//! What is counted here is touched once per connection, so it may be shared by the cores.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

/// Connections that all cores together have open to a cluster.
#[derive(Debug, Default)]
pub struct OpenConnections(AtomicU32);

/// One of them. Dropping it makes room for another.
#[derive(Debug)]
pub struct OpenConnection(Arc<OpenConnections>);

impl OpenConnections {
    /// Counts one more, unless there are `max` already. Exact: cores that ask at the same time
    /// never get more than there are left.
    pub fn take(self: &Arc<Self>, max: Option<u32>) -> Option<OpenConnection> {
        let max = max.unwrap_or(u32::MAX);
        let more = |open: u32| (open < max).then(|| open + 1);
        self.0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, more)
            .ok()?;
        Some(OpenConnection(Arc::clone(self)))
    }

    /// How many there are.
    pub fn count(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::OpenConnections;

    #[test]
    fn there_are_never_more_than_allowed() {
        let open = Arc::new(OpenConnections::default());
        let first = open.take(Some(2));
        let second = open.take(Some(2));
        assert!(first.is_some() && second.is_some());
        assert!(open.take(Some(2)).is_none());
        assert!(open.take(Some(1)).is_none(), "a limit may be lowered");
        assert_eq!(open.count(), 2);
        assert!(open.take(None).is_some(), "its owner drops it at once");
        drop(first);
        assert!(open.take(Some(2)).is_some());
        drop(second);
        assert_eq!(open.count(), 0);
        assert!(open.take(Some(0)).is_none());
    }
}
