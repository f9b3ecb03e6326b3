//! A whole mesh on this host: `ringmain demo`.

pub(crate) mod app;
