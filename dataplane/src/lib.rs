//! The proxy: sockets and cores around the decisions of `ringmain-core`.

pub mod io;
