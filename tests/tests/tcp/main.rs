//! TCP through gateways and sidecars: bytes arrive as they were sent, ends and resets are passed
//! on, limits hold, and every connection is logged once.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on is to stop")]

mod bounds;
mod carrying;
mod changes;
mod endings;
mod gateway;
mod peers;
mod routing;
mod sidecars;
