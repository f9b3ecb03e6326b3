//! Is a try that failed worth another one, when, and is there room for it.
//!
//! [`Policy::verdict`] looks at how a try ended and says whether the policy asks for another. It
//! knows nothing of time and endpoints: the data plane waits for [`Policy::back_off`], picks, and
//! counts further tries with [`crate::limit`]. What each word means is Envoy's
//! (`x-envoy-retry-on`), so a request that may have run is sent again only where a word says so.
//! Of gRPC's words only the response's head is looked at, never trailers behind a body.

use std::time::Duration;

use ringmain_config::retry::{RetryOn, RetryPolicy};

use crate::failure::{Failure, Flag, Flags, Retry};

/// A [`RetryPolicy`] that makes further tries, or bounds the time of the only one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Further tries behind the first. 0: there is nothing but [`Self::per_try_timeout`].
    pub attempts: u32,
    /// For each try, to the head of its response. Never zero.
    pub per_try_timeout: Option<Duration>,
    /// Endpoints that were tried are avoided as long as there are others.
    pub avoids_previous_endpoints: bool,
    back_off: BackOff,
    on: Words,
    /// Statuses that [`RetryOn::RetriableStatusCodes`] speaks of; empty without that word.
    status_codes: Box<[u16]>,
    /// As it was written, for explanations.
    written: Box<[RetryOn]>,
}

/// How a try ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Without a response.
    Failed {
        /// Why.
        failure: Failure,
        /// What is known of the connection and of what was sent on it.
        on: Connection,
    },
    /// With the head of a response, of which nothing has gone to the client.
    Answered(Head),
}

/// The connection of a try that failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Connection {
    /// Something of the request was given to it.
    pub sent: bool,
    /// It had carried others before, and nothing came from it, so its peer may have closed it
    /// before it saw the request.
    pub is_stale: bool,
    /// The method may be sent twice (RFC 9110 section 9.2.2).
    pub is_idempotent: bool,
}

/// What of a response's head decides about retries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// Of the response, not a 1xx.
    pub status: u16,
    /// `grpc-status`, as [`crate::grpc::status`] reads it.
    pub grpc_status: Option<u32>,
    /// It has a field `x-envoy-ratelimited`.
    pub is_rate_limited: bool,
}

/// What is done about a try that ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Its end is the request's: the policy does not ask for another try.
    Final,
    /// The policy asks for another one, but what was sent cannot be sent again.
    NotReplayable,
    /// The policy asks for another one, but as many as it allows were made.
    Exhausted,
    /// Another one, if [`crate::limit`] has room for it.
    Again,
}

impl Verdict {
    /// What the log says beside how the last try ended.
    pub fn flags(self) -> Flags {
        match self {
            Self::Exhausted => Flag::Urx.into(),
            Self::Final | Self::NotReplayable | Self::Again => Flags::NONE,
        }
    }
}

impl Policy {
    /// `None` when it makes no further try and gives none a time.
    pub fn compile(source: &RetryPolicy) -> Option<Self> {
        let words = source.on.iter();
        let on = words.fold(Words(0), |words, word| words.with(*word));
        let status_codes = match on.has(RetryOn::RetriableStatusCodes) {
            true => source.status_codes.as_slice().into(),
            false => Box::default(),
        };
        let attempts = match source.on.is_empty() {
            true => 0,
            false => source.attempts,
        };
        let is_any = attempts > 0 || source.per_try_timeout.is_some();
        is_any.then(|| Self {
            attempts,
            per_try_timeout: source.per_try_timeout,
            avoids_previous_endpoints: source.avoids_previous_endpoints,
            back_off: match source.back_off_is_minimum {
                true => BackOff::AtLeast(source.back_off),
                false => BackOff::Growing(source.back_off),
            },
            on,
            status_codes,
            written: source.on.as_slice().into(),
        })
    }

    /// What to do about a try that `ended`, after `tries_further` tries behind the first.
    /// `is_replayable`: nothing of the request's body was sent, or all of it that was is kept.
    pub fn verdict(&self, ended: Ended, tries_further: u32, is_replayable: bool) -> Verdict {
        if self.attempts == 0 {
            return Verdict::Final;
        }
        let is_wanted = match ended {
            Ended::Failed { failure, on } => self.wants_after_failure(failure, on),
            Ended::Answered(head) => self.wants_after_head(head),
        };
        match (is_wanted, is_replayable) {
            (false, _) => Verdict::Final,
            (true, false) => Verdict::NotReplayable,
            (true, true) if tries_further >= self.attempts => Verdict::Exhausted,
            (true, true) => Verdict::Again,
        }
    }

    /// Can a response with this head be worth another try, whatever else its head says? Asked of
    /// every response, before all of its fields are looked at.
    pub fn may_want(&self, status: u16, grpc_status: Option<u32>) -> bool {
        self.on.has(RetryOn::EnvoyRatelimited)
            || self.wants_after_head(Head {
                status,
                grpc_status,
                is_rate_limited: false,
            })
    }

    /// Every failure in a try is a reset to Envoy, except those that another try cannot mend.
    fn wants_after_failure(&self, failure: Failure, on: Connection) -> bool {
        if failure.facts().retry == Retry::Never || is_of_the_whole(failure) {
            return false;
        }
        let any_reset = [RetryOn::Reset, RetryOn::ServerError, RetryOn::GatewayError];
        let is_unconnected = matches!(failure, Failure::ConnectFailed | Failure::ConnectTimeout);
        any_reset.into_iter().any(|word| self.on.has(word))
            || (!on.sent && self.on.has(RetryOn::ResetBeforeRequest))
            || (is_stale(failure, on) && self.on.has(RetryOn::StaleConnection))
            || (is_unconnected && self.on.has(RetryOn::ConnectFailure))
            || (failure == Failure::StreamRefused && self.on.has(RetryOn::RefusedStream))
    }

    fn wants_after_head(&self, head: Head) -> bool {
        // Who says so asks for fewer requests, whatever else it says.
        if head.is_rate_limited {
            return self.on.has(RetryOn::EnvoyRatelimited);
        }
        let by_status = match head.status {
            409 => self.on.has(RetryOn::Retriable4xx),
            502..=504 => self.on.has(RetryOn::GatewayError) || self.on.has(RetryOn::ServerError),
            500..=599 => self.on.has(RetryOn::ServerError),
            _ => false,
        };
        let by_grpc = match head.grpc_status {
            Some(1) => self.on.has(RetryOn::Cancelled),
            Some(4) => self.on.has(RetryOn::DeadlineExceeded),
            Some(8) => self.on.has(RetryOn::ResourceExhausted),
            Some(13) => self.on.has(RetryOn::Internal),
            Some(14) => self.on.has(RetryOn::Unavailable),
            Some(_) | None => false,
        };
        by_status || by_grpc || self.status_codes.contains(&head.status)
    }

    /// Can a try be worth another one after some of the request's body was sent? Without this, no
    /// copy of the body is kept. `is_grpc`: the request is; `to_http2`: its upstream speaks HTTP/2,
    /// which alone refuses streams.
    pub fn needs_replay(&self, is_grpc: bool, to_http2: bool) -> bool {
        let mut written = self.written.iter();
        let is_worth_it = written.any(|word| match word {
            RetryOn::ServerError
            | RetryOn::GatewayError
            | RetryOn::Reset
            | RetryOn::Retriable4xx
            | RetryOn::EnvoyRatelimited => true,
            RetryOn::RetriableStatusCodes => !self.status_codes.is_empty(),
            RetryOn::RefusedStream => to_http2,
            // A body that is still arriving when its connection is found closed is not kept for it.
            RetryOn::ResetBeforeRequest | RetryOn::ConnectFailure | RetryOn::StaleConnection => {
                false
            }
            RetryOn::Cancelled
            | RetryOn::DeadlineExceeded
            | RetryOn::Internal
            | RetryOn::ResourceExhausted
            | RetryOn::Unavailable => is_grpc,
        });
        self.attempts > 0 && is_worth_it
    }

    /// The next try needs no wait: the endpoint is well, only a connection had been closed.
    pub fn is_at_once(ended: Ended) -> bool {
        matches!(ended, Ended::Failed { failure, on } if is_stale(failure, on))
    }

    /// How long to wait before further try number `number`, which is 1 for the first.
    /// `random`: 64 evenly distributed bits.
    pub fn back_off(&self, number: u32, random: u64) -> Duration {
        self.back_off.wait(number, random)
    }

    /// Shortest and longest [`Self::back_off`] before further try number `number`.
    pub fn back_off_bounds(&self, number: u32) -> (Duration, Duration) {
        self.back_off.bounds(number)
    }

    /// What is worth another try, as it was written.
    pub fn words(&self) -> &[RetryOn] {
        &self.written
    }

    /// Statuses that are, when a word says so.
    pub fn status_codes(&self) -> &[u16] {
        &self.status_codes
    }
}

/// How long tries are apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum BackOff {
    /// Before further try N up to (2^N - 1) times this, at most ten times this: Envoy's.
    Growing(Duration),
    /// This, and up to half of it more, so that those who failed together do not come back
    /// together (`HTTPRouteRetry.backoff`).
    AtLeast(Duration),
}

impl BackOff {
    fn bounds(self, number: u32) -> (Duration, Duration) {
        match self {
            Self::Growing(base) => {
                let power = 1_u32.checked_shl(number);
                let times = power.map_or(u32::MAX, |power| power - 1);
                let longest = base.saturating_mul(times.min(BACK_OFF_TIMES_MAX));
                (Duration::ZERO, longest)
            }
            Self::AtLeast(shortest) => (shortest, shortest.saturating_add(shortest / 2)),
        }
    }

    /// Evenly distributed between the bounds.
    fn wait(self, number: u32, random: u64) -> Duration {
        let (shortest, longest) = self.bounds(number);
        let spread = u64::try_from((longest - shortest).as_nanos()).unwrap_or(u64::MAX);
        let drawn = (u128::from(spread) * u128::from(random)) >> 64;
        shortest.saturating_add(Duration::from_nanos(drawn as u64))
    }
}

/// Envoy's cap on the back-off.
const BACK_OFF_TIMES_MAX: u32 = 10;

/// The end of the request rather than of one try: its time is over, no endpoint can be picked, or a
/// limit is reached, which more tries would only press against.
fn is_of_the_whole(failure: Failure) -> bool {
    matches!(
        failure,
        Failure::RouteTimeout | Failure::UpstreamIdle | Failure::NoEndpoint | Failure::Overflow
    )
}

/// See [`RetryOn::StaleConnection`].
fn is_stale(failure: Failure, on: Connection) -> bool {
    on.is_stale
        && match failure {
            Failure::UpstreamClosed => on.is_idempotent,
            // It did nothing with the request.
            Failure::StreamRefused => true,
            _ => false,
        }
}

/// A set of [`RetryOn`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Words(u16);

impl Words {
    fn with(self, word: RetryOn) -> Self {
        Self(self.0 | 1 << word as u16)
    }

    fn has(self, word: RetryOn) -> bool {
        self.with(word) == self
    }
}

#[cfg(test)]
mod tests;
