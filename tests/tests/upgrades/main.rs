//! What is spoken behind an Upgrade of HTTP/1.1 or an extended CONNECT of HTTP/2: WebSocket with
//! peers that are not ours, anything else with scripted ones.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on is to stop")]

mod carrying;
mod handshakes;
mod held;
mod http2;
mod python;
mod sidecars;
mod streams;
mod websocket;
