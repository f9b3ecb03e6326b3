//! The words both planes share: plain data, no I/O, no runtime, no clock.
//!
//! A [`Document`](document::Document) is everything one proxy needs to know, in the proxy's words
//! (listener, route table, cluster, endpoint set). The control plane assembles one per proxy; the
//! data plane compiles it. [`wire`] carries it between them. Istio's words stay in the control
//! plane: nothing here knows what a VirtualService is.
//!
//! Start reading in [`document`], then follow a request: [`listener`], [`route`], [`cluster`],
//! [`endpoint`].

pub mod authentication;
pub mod authorization;
pub mod cluster;
mod content;
pub mod document;
pub mod duration;
pub mod endpoint;
pub mod filter;
mod list;
pub mod listener;
pub mod node;
pub mod origin;
pub mod problem;
pub mod retry;
pub mod route;
pub mod secret;
pub mod tcp;
pub mod tls;
pub mod tuning;
pub mod wire;
