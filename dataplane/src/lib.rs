//! The proxy: sockets and cores around the decisions of `ringmain-core`.

pub mod access_log;
pub mod admin;
pub mod back_off;
pub mod control;
pub mod cpus;
pub mod io;
pub mod last_good;
pub mod metrics;
pub mod record;
pub mod resolve;
