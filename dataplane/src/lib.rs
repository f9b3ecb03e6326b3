//! The proxy: sockets and cores around the decisions of `ringmain-core`.

pub mod access_log;
pub mod io;
pub mod metrics;
pub mod record;
