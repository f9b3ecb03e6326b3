//! HTTP/2 frame by frame: what a test sends is exactly what it says, right or wrong, and what comes
//! is kept as it came.
//!
//! [`frame::Frame`] is one frame, [`hpack`] what stands in those with fields, [`peer::Peer`] one
//! end of a connection, client or server.

pub mod frame;
pub mod hpack;
pub mod peer;

pub use self::{frame::Frame, peer::Peer};
