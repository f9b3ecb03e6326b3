//! Retries that nobody wrote: a mesh retries what is safe to retry unless a rule says otherwise.
//!
//! They are said once for a table rather than with each route. What a route has of its own is what
//! its rule says, and what follows from endpoints that are chosen by hash.

use ringmain_config::retry::{RetryOn, RetryPolicy};

use crate::resource::{
    port::Protocol,
    virtual_service::{ON_DEFAULT, Retries},
};

/// Further tries that are made by default, in either direction (Istio's).
const ATTEMPTS: u32 = 2;

/// Of sidecars' outbound tables and of gateways.
pub(super) fn of_table() -> RetryPolicy {
    RetryPolicy {
        attempts: ATTEMPTS,
        on: ON_DEFAULT.to_vec(),
        ..RetryPolicy::default()
    }
}

/// Of the table of an inbound port: a request that met a connection which the application was just
/// closing has another try, if that cannot make it run twice. There is one endpoint, so none can be
/// avoided. gRPC clients have retries of their own.
pub(super) fn of_inbound_table(protocol: Protocol) -> Option<RetryPolicy> {
    match protocol {
        Protocol::Grpc | Protocol::GrpcWeb => None,
        _ if !protocol.is_http() => None,
        _ => Some(RetryPolicy {
            attempts: ATTEMPTS,
            on: vec![RetryOn::ResetBeforeRequest, RetryOn::StaleConnection],
            avoids_previous_endpoints: false,
            ..RetryPolicy::default()
        }),
    }
}

/// Of a route; absent: the table's. To avoid endpoints that were tried would undo a choice by hash,
/// so that is done only where it is asked for.
pub(super) fn of_route(written: Option<&Retries>, chosen_by_hash: bool) -> Option<RetryPolicy> {
    let Some(written) = written else {
        return chosen_by_hash.then(|| RetryPolicy {
            avoids_previous_endpoints: false,
            ..of_table()
        });
    };
    let policy = written.policy.clone();
    if policy.attempts == 0 {
        return Some(RetryPolicy::default());
    }
    let avoids = written.avoids_previous_endpoints;
    Some(RetryPolicy {
        avoids_previous_endpoints: avoids.unwrap_or(!chosen_by_hash),
        ..policy
    })
}
