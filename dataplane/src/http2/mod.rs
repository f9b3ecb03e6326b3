//! HTTP/2 on both sides, with the h2 crate: what is here stands between its connections and
//! streams, and the one story of a request in [`crate::exchange`].
//!
//! A connection is one task that drives the crate's state ([`server`], [`client`]); each request
//! has its own, which sees a stream in two halves ([`stream`]). Heads of messages are written as
//! HTTP/1 has them as soon as they arrive, and made from that form when they leave
//! (`ringmain_core::http2`), so that decisions, edits and logs know one form only.

pub mod client;
mod gathered;
mod keep_alive;
pub mod server;
mod settings;
pub mod stream;

pub use settings::Settings;
