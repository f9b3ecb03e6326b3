//! Decisions, and nothing else: no sockets, no clock, no threads, no randomness of its own.
//!
//! Time and random bits are arguments. The data plane calls these functions on its way; the
//! control plane calls them to check a change; `ringmain explain` calls them on a request that is
//! only described.
//!
//! A Document becomes a [`snapshot`]; its listeners' tables [`route`] requests to clusters, of
//! which [`balance`] picks an endpoint; connections that carry bytes are routed by [`tcp`].

pub mod access_log;
pub mod affinity;
pub mod balance;
pub mod client_hello;
pub mod date;
pub mod detect;
pub mod ending;
pub mod explain;
pub mod failure;
pub mod filter;
pub mod forwarded;
pub mod grpc;
pub mod header;
pub mod hops;
pub mod http1;
pub mod http2;
pub mod limit;
pub mod metrics;
pub mod path;
pub mod peer;
pub mod peer_metadata;
mod place;
pub mod proxy_protocol;
pub mod retry;
pub mod route;
pub mod snapshot;
pub mod target;
pub mod tcp;
pub mod tls;
pub mod xfcc;
