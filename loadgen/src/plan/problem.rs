//! Every way in which a plan can be impossible.

use std::time::Duration;

use thiserror::Error;

use super::{COUNT_MAX, DURATION_MAX, RATE_MAX};

/// Why a plan cannot be run.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum PlanError {
    /// No target, or all have weight 0.
    #[error("there is no target with a weight greater than 0")]
    NoTarget,
    /// Not a rate.
    #[error(
        "a rate of {0} requests per second is not possible: give one above 0 and up to {RATE_MAX}"
    )]
    Rate(f64),
    /// A count out of its range.
    #[error("{name} = {value} is not possible: give a number from 1 to {COUNT_MAX}")]
    Count {
        /// Which field.
        name: &'static str,
        /// What was given.
        value: u64,
    },
    /// A time out of its range.
    #[error("{name} = {value:?} is not possible: give a time above 0 and up to {DURATION_MAX:?}")]
    Time {
        /// Which field.
        name: &'static str,
        /// What was given.
        value: Duration,
    },
    /// More threads than connections.
    #[error(
        "{workers} workers cannot share {connections} connections: give at least one connection \
         for each worker"
    )]
    Workers {
        /// Threads.
        workers: usize,
        /// Connections.
        connections: usize,
    },
    /// A setting that the protocol has no use for.
    #[error("{setting} is not possible with {kind}: {reason}")]
    Unsuited {
        /// The setting with its value.
        setting: String,
        /// Name of the protocol.
        kind: &'static str,
        /// Why not.
        reason: &'static str,
    },
    /// A scheme that the protocol has no use for.
    #[error("{url} cannot be reached with {kind}: give a URL that starts with {schemes}")]
    Scheme {
        /// As given.
        url: String,
        /// Name of the protocol.
        kind: &'static str,
        /// Which schemes can.
        schemes: &'static str,
    },
    /// Not a method.
    #[error("{0:?} is not a request method (RFC 9110 section 9.1)")]
    Method(String),
    /// Not a header field.
    #[error("\"{0}: {1}\" is not a header field (RFC 9110 section 5)")]
    Header(String, String),
    /// A header that the body's framing decides.
    #[error("the header {0} follows from the body and cannot be given")]
    Framing(String),
    /// Not a URL.
    #[error("{url:?} cannot be requested: {reason}")]
    Url {
        /// As given.
        url: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The host has no address.
    #[error("the host {host:?} cannot be resolved: {reason}")]
    Resolve {
        /// Which host.
        host: String,
        /// What the resolver said.
        reason: String,
    },
    /// A certificate or key that cannot be used.
    #[error("TLS is not possible: {subject}: {reason}")]
    Tls {
        /// The file or name that is wrong.
        subject: String,
        /// What is wrong with it.
        reason: String,
    },
}
