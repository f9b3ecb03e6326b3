//! Rules about requests as traffic meets them: what is tried again, refused on purpose, copied,
//! bounded and rewritten.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on is to stop")]

mod answers;
mod bounds;
mod bounds_connections;
mod bounds_http2;
mod cors;
mod edits;
mod faults;
mod gone;
mod grpc;
mod hashing;
mod headers;
mod held;
mod interim;
mod mirrors;
mod mirrors_http2;
mod own_answers;
mod place;
mod presented;
mod retries;
mod retries_grpc;
mod retries_http2;
mod retries_midway;
mod retry_bodies;
mod speaks;
mod stale;
mod times;
