//! Fuzz targets: what must hold for whatever bytes a peer or a file holds.
//!
//! A target is a function of bytes that panics when its promise is broken, and says in a few words
//! what it made of them. Input that makes it say something new is worth keeping: that is how the
//! runner ([`mutate`]) gets deeper without instrumented code, and what files of the corpus are
//! named by. Each begins with its files in `corpus/` and, where they fit, with the tables of
//! malformed messages that the end-to-end tests hold against the binary ([`tables`]).
//!
//! `tests/corpus.rs` replays all of it. `cargo run -p ringmain-fuzz -- request --seconds 60` looks
//! for more.

#![allow(
    clippy::missing_panics_doc,
    clippy::unwrap_used,
    reason = "a target that panics is what is looked for"
)]

pub mod corpus;
mod cut;
pub mod mutate;
mod naive;
pub mod tables;
mod target;

pub use target::{TARGETS, Target};
