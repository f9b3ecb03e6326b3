//! What a route does to a request besides sending it on: faults, CORS, copies.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::route::StringMatch;

/// A share of requests, in millionths: 0 to 1,000,000.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Share(pub u32);

impl Share {
    /// Every request.
    pub const ALL: Self = Self(1_000_000);
}

/// What a route's requests meet on their way, in the order of the fields.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Filters {
    /// Failures on purpose.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<Fault>,
    /// Which pages of other origins may read the answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cors: Option<Cors>,
}

impl Filters {
    /// There is none.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Failures on purpose (`HTTPFaultInjection`). The dice of both are independent; the delay comes
/// first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Fault {
    /// Requests that wait before they go on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delay: Option<Delay>,
    /// Requests that are answered here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub abort: Option<Abort>,
}

/// A delay of requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delay {
    /// How long.
    #[serde(with = "crate::duration")]
    pub duration: Duration,
    /// Of how many.
    pub share: Share,
}

/// An answer instead of the upstream's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Abort {
    /// What it says.
    pub with: AbortWith,
    /// To how many.
    pub share: Share,
}

/// What the answer to an aborted request says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AbortWith {
    /// This status, 200 to 599.
    Http(u16),
    /// 200 with this `grpc-status`, 0 to 16.
    Grpc(u8),
}

/// Cross-origin resource sharing (Fetch standard, section 3.2; `CorsPolicy`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Cors {
    /// An origin that one of them matches is allowed. `Exact("*")` allows every one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub allow_origins: Vec<StringMatch>,
    /// `access-control-allow-methods`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub allow_methods: Vec<String>,
    /// `access-control-allow-headers`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub allow_headers: Vec<String>,
    /// `access-control-expose-headers`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub expose_headers: Vec<String>,
    /// `access-control-max-age`, whole seconds.
    #[serde(
        with = "crate::duration::option",
        skip_serializing_if = "Option::is_none"
    )]
    pub max_age: Option<Duration>,
    /// `access-control-allow-credentials: true`.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub allow_credentials: bool,
    /// A preflight whose origin is not allowed is answered here with 200 and no permission, rather
    /// than sent on.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub answers_unmatched_preflights: bool,
    /// `*` among the methods and headers stands for those that a preflight asks for, and is itself
    /// never sent, nor among the exposed headers: browsers take it for a name when there are
    /// credentials (`HTTPCORSFilter` with `allowCredentials`).
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub wildcards_are_echoed: bool,
}

/// A copy of each of some requests, whose answer nobody waits for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mirror {
    /// Where to: key of the Document's clusters.
    pub cluster: String,
    /// Of how many.
    pub share: Share,
}
