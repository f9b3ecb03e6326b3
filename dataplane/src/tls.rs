//! TLS, to clients and to upstreams, on rustls with aws-lc-rs.
//!
//! A [`session::Session`] is the bytes of one connection; a
//! [`Stream`](crate::io::stream::Stream) that has one decrypts and encrypts by itself.

pub mod context;
pub mod contexts;
pub mod material;
pub mod peer;
pub mod session;
pub mod verify;
