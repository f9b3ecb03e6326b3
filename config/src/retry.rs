//! When a request that failed is sent once more, and how often that may happen.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What is done about a try that failed (`HTTPRoute.retries` of a VirtualService, `retry` of an
/// HTTPRoute).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RetryPolicy {
    /// Further tries behind the first; 0: none.
    pub attempts: u32,
    /// From the end of the request to the head of the response, for each try. Absent: only the
    /// route's timeout holds.
    #[serde(
        with = "crate::duration::option",
        skip_serializing_if = "Option::is_none"
    )]
    pub per_try_timeout: Option<Duration>,
    /// What is worth another try.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub on: Vec<RetryOn>,
    /// Statuses of a response that are, with [`RetryOn::RetriableStatusCodes`].
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub status_codes: Vec<u16>,
    /// Endpoints that were tried are avoided as long as there are others.
    #[serde(skip_serializing_if = "is_true")]
    pub avoids_previous_endpoints: bool,
    /// The wait before the N-th further try is between zero and (2^N - 1) times this, and at most
    /// ten times this.
    #[serde(with = "crate::duration", skip_serializing_if = "is_default_back_off")]
    pub back_off: Duration,
    /// No wait is shorter than [`Self::back_off`] and none is longer than one and a half times
    /// that, whatever N (`HTTPRouteRetry.backoff`).
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub back_off_is_minimum: bool,
}

/// Envoy's base interval.
const BACK_OFF: Duration = Duration::from_millis(25);

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            attempts: 0,
            per_try_timeout: None,
            on: Vec::new(),
            status_codes: Vec::new(),
            avoids_previous_endpoints: true,
            back_off: BACK_OFF,
            back_off_is_minimum: false,
        }
    }
}

fn is_true(value: &bool) -> bool {
    *value
}

fn is_default_back_off(value: &Duration) -> bool {
    *value == BACK_OFF
}

/// A word of Envoy's `x-envoy-retry-on` and `x-envoy-retry-grpc-on`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RetryOn {
    /// Any 5xx, and whatever leaves the client without an answer.
    #[serde(rename = "5xx")]
    ServerError,
    /// 502, 503, 504.
    GatewayError,
    /// The upstream ended the connection or stream, or did not answer in time.
    Reset,
    /// As [`Self::Reset`], as long as nothing of the request was sent.
    ResetBeforeRequest,
    /// The upstream could not be connected to, or not in time.
    ConnectFailure,
    /// A connection that was kept turned out to be closed: it ended before a byte of the answer had
    /// come, and the method may be sent twice (RFC 9110 section 9.2.2), or the request was refused.
    /// Not a word of Envoy's.
    StaleConnection,
    /// HTTP/2 REFUSED_STREAM.
    RefusedStream,
    /// 409.
    #[serde(rename = "retriable-4xx")]
    Retriable4xx,
    /// One of [`RetryPolicy::status_codes`].
    RetriableStatusCodes,
    /// An answer with `x-envoy-ratelimited`.
    EnvoyRatelimited,
    /// `grpc-status` 1 in the response's head.
    Cancelled,
    /// `grpc-status` 4 in the response's head.
    DeadlineExceeded,
    /// `grpc-status` 13 in the response's head.
    Internal,
    /// `grpc-status` 8 in the response's head.
    ResourceExhausted,
    /// `grpc-status` 14 in the response's head.
    Unavailable,
}

/// How many of a cluster's requests may be further tries at a time, in each proxy
/// (`trafficPolicy.retryBudget`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetryBudget {
    /// Of the active requests, in hundredths of a percent: 0 to 10,000.
    pub share: u32,
    /// So many are always allowed.
    pub concurrency_min: u32,
}
