//! What goes to the workers together: the snapshot that they decide by, and what their handshakes
//! are made with. The former changes with the Document, the latter with it and with files.

use std::sync::Arc;

use ringmain_core::snapshot::Snapshot;

use crate::tls::contexts::Contexts;

/// One generation of both; immutable, and freed by the supervisor.
#[derive(Debug, Default)]
pub struct Configuration {
    /// Decisions.
    pub snapshot: Arc<Snapshot>,
    /// TLS.
    pub tls: Arc<Contexts>,
}
