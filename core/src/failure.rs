//! Every way a request can fail, and what follows from it: one closed enum, one total function.
//!
//! Answer, access log, metrics and retries all read [`Failure::facts`], so they cannot disagree.
//! Flags and details are Envoy's, so that existing queries and habits work.

mod flags;

use std::fmt;

use ringmain_config::filter::AbortWith;

pub use flags::{Flag, Flags, FlagsText};

use crate::{http1::reject::Reject, path::Refused};

/// Why a request did not get its answer from upstream, or not all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Failure {
    /// The request is not HTTP as we accept it.
    BadRequest(Reject),
    /// The client broke HTTP/2's rules within the request (RFC 9113 section 5.4).
    DownstreamProtocol,
    /// The request's path has no canonical form, or none where its route rewrites it to.
    BadPath(Refused),
    /// The request's head did not arrive in time.
    RequestHeadTimeout,
    /// The request's body did not move for the stream idle timeout.
    RequestBodyTimeout,
    /// The client closed or reset its connection before the answer was complete.
    DownstreamGone,
    /// No virtual host or no route matches.
    NoRoute,
    /// Another chain of the listener serves the request's host, with another certificate and other
    /// rules for clients (RFC 9110 section 15.5.20).
    Misdirected,
    /// The route names a cluster that is not there.
    NoCluster,
    /// The route sends to something that is not there, and says which status to answer then. No
    /// cluster was asked, so it is flagged as Envoy flags a cluster that is not there: the access
    /// log then tells it from an answer of the upstream's with the same status.
    NoBackend(u16),
    /// The route answers so on purpose.
    FaultAbort(AbortWith),
    /// The cluster has no endpoint to go to.
    NoEndpoint,
    /// A limit on connections or requests to the cluster is reached.
    Overflow,
    /// The endpoint refused the connection, or the network did.
    ConnectFailed,
    /// The TCP handshake, with HTTP/2's hello behind it, took longer than the connect timeout.
    ConnectTimeout,
    /// The upstream closed or reset the connection before its answer began.
    UpstreamClosed,
    /// The upstream reset the stream before its answer began (RFC 9113 section 6.4).
    UpstreamReset,
    /// The upstream refused the stream: it did nothing with the request (REFUSED_STREAM, or a
    /// stream behind the last one of a GOAWAY; RFC 9113 sections 8.7 and 6.8).
    StreamRefused,
    /// The upstream broke HTTP/2's rules, so that the connection ended (RFC 9113 section 5.4.1).
    UpstreamProtocol,
    /// The upstream does not switch to the protocol that the client asked for, nor answer otherwise
    /// (RFC 9110 section 7.8).
    UpgradeRefused,
    /// The upstream closed or reset the connection within its answer.
    UpstreamTruncated,
    /// The upstream reset the stream within its answer.
    UpstreamResetWithin,
    /// As [`Self::UpstreamProtocol`], within the answer.
    UpstreamProtocolWithin,
    /// The head of the upstream's answer is not HTTP as we accept it.
    BadResponse(Reject),
    /// The body of the upstream's answer is not.
    BadResponseBody(Reject),
    /// The route's timeout passed.
    RouteTimeout,
    /// The timeout for each try passed.
    PerTryTimeout,
    /// The stream or its connection reached its greatest age.
    DurationTimeout,
    /// The upstream did not move for the stream idle timeout.
    UpstreamIdle,
}

/// Whose doing a failure is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// The client's.
    Downstream,
    /// The endpoint's or the network's behind us.
    Upstream,
    /// Ours or the configuration's.
    Proxy,
}

/// Whether a request that failed this way may be sent once more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Retry {
    /// It makes no sense or is never safe.
    Never,
    /// Nothing of it was sent: always safe.
    Unsent,
    /// It may have been received: safe only when its method says so or the policy does.
    MaybeReceived,
}

/// What follows from a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Status of the answer when none has begun; 0 when there is nobody to answer.
    pub status: u16,
    /// Response flag.
    pub flag: Flag,
    /// Whose doing.
    pub fault: Fault,
    /// May it be sent once more?
    pub retry: Retry,
    /// What [`Failure::details`] says, but for the rule.
    pub details: &'static str,
}

/// `RESPONSE_CODE_DETAILS` of the access log, without spaces and in Envoy's form: why, within
/// braces how, and behind a bar the rule that the upstream's answer broke.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Details {
    text: &'static str,
    rule: Option<&'static str>,
}

impl Details {
    /// All of it, as long as it names no rule.
    ///
    /// # Errors
    /// Itself, when it names one.
    pub fn plain(self) -> Result<&'static str, Self> {
        match self.rule {
            None => Ok(self.text),
            Some(_) => Err(self),
        }
    }
}

impl From<&'static str> for Details {
    fn from(text: &'static str) -> Self {
        Self { text, rule: None }
    }
}

impl fmt::Display for Details {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.text.strip_suffix('}'), self.rule) {
            (Some(open), Some(rule)) => write!(formatter, "{open}|{rule}}}"),
            (Some(_) | None, _) => formatter.write_str(self.text),
        }
    }
}

impl Failure {
    /// What follows from it. Total: a new failure does not compile without its facts.
    pub fn facts(self) -> Facts {
        use Fault::{Downstream, Proxy, Upstream};
        use Retry::{MaybeReceived, Never, Unsent};
        let facts = |status, flag, fault, retry, details| Facts {
            status,
            flag,
            fault,
            retry,
            details,
        };
        match self {
            Self::BadRequest(reject) => facts(
                reject.status(),
                Flag::Dpe,
                Downstream,
                Never,
                reject.reason(),
            ),
            Self::BadPath(refused) => facts(400, Flag::Dpe, Downstream, Never, refused.reason()),
            Self::DownstreamProtocol => {
                facts(400, Flag::Dpe, Downstream, Never, "http2.protocol_error")
            }
            Self::RequestHeadTimeout => {
                facts(408, Flag::Dpe, Downstream, Never, "request_header_timeout")
            }
            Self::RequestBodyTimeout => {
                facts(408, Flag::Si, Downstream, Never, "stream_idle_timeout")
            }
            Self::DownstreamGone => facts(
                0,
                Flag::Dc,
                Downstream,
                Never,
                "downstream_remote_disconnect",
            ),
            Self::NoRoute => facts(404, Flag::Nr, Proxy, Never, "route_not_found"),
            Self::Misdirected => facts(421, Flag::Nr, Proxy, Never, "misdirected_request"),
            Self::NoCluster => facts(503, Flag::Nc, Proxy, Never, "cluster_not_found"),
            Self::NoBackend(status) => facts(status, Flag::Nc, Proxy, Never, "cluster_not_found"),
            Self::FaultAbort(with) => {
                let status = match with {
                    AbortWith::Http(status) => status,
                    AbortWith::Grpc(_) => 200,
                };
                facts(status, Flag::Fi, Proxy, Never, "fault_filter_abort")
            }
            Self::NoEndpoint => facts(503, Flag::Uh, Upstream, Unsent, "no_healthy_upstream"),
            Self::Overflow => facts(
                503,
                Flag::Uo,
                Proxy,
                Unsent,
                "upstream_reset_before_response_started{overflow}",
            ),
            Self::ConnectFailed => facts(
                503,
                Flag::Uf,
                Upstream,
                Unsent,
                "upstream_reset_before_response_started{remote_connection_failure}",
            ),
            Self::ConnectTimeout => facts(
                503,
                Flag::Uf,
                Upstream,
                Unsent,
                "upstream_reset_before_response_started{connection_timeout}",
            ),
            Self::UpstreamClosed => facts(
                503,
                Flag::Uc,
                Upstream,
                MaybeReceived,
                "upstream_reset_before_response_started{connection_termination}",
            ),
            Self::UpstreamReset => facts(
                503,
                Flag::Ur,
                Upstream,
                MaybeReceived,
                "upstream_reset_before_response_started{remote_reset}",
            ),
            Self::StreamRefused => facts(
                503,
                Flag::Ur,
                Upstream,
                Unsent,
                "upstream_reset_before_response_started{remote_refused_stream_reset}",
            ),
            Self::UpgradeRefused => facts(502, Flag::Upe, Upstream, Never, "upgrade_failed"),
            Self::UpstreamTruncated => facts(
                502,
                Flag::Uc,
                Upstream,
                Never,
                "upstream_reset_after_response_started{connection_termination}",
            ),
            Self::BadResponse(_) | Self::UpstreamProtocol => facts(
                502,
                Flag::Upe,
                Upstream,
                MaybeReceived,
                "upstream_reset_before_response_started{protocol_error}",
            ),
            Self::UpstreamResetWithin => facts(
                502,
                Flag::Ur,
                Upstream,
                Never,
                "upstream_reset_after_response_started{remote_reset}",
            ),
            Self::BadResponseBody(_) | Self::UpstreamProtocolWithin => facts(
                502,
                Flag::Upe,
                Upstream,
                Never,
                "upstream_reset_after_response_started{protocol_error}",
            ),
            Self::RouteTimeout => facts(504, Flag::Ut, Upstream, MaybeReceived, "response_timeout"),
            Self::PerTryTimeout => facts(
                504,
                Flag::Ut,
                Upstream,
                MaybeReceived,
                "upstream_per_try_timeout",
            ),
            Self::DurationTimeout => facts(504, Flag::Dt, Proxy, Never, "max_duration_timeout"),
            Self::UpstreamIdle => facts(
                504,
                Flag::Si,
                Upstream,
                MaybeReceived,
                "stream_idle_timeout",
            ),
        }
    }

    /// What the access log says of it.
    pub fn details(self) -> Details {
        Details {
            rule: match self {
                Self::BadResponse(reject) | Self::BadResponseBody(reject) => Some(reject.reason()),
                _ => None,
            },
            ..Details::from(self.facts().details)
        }
    }

    /// For the body of the answer: what went wrong, as a sentence for whoever made the request.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::BadRequest(_) | Self::BadPath(_) => "the request is not acceptable",
            Self::DownstreamProtocol => "the client broke the rules of HTTP/2",
            Self::RequestHeadTimeout => "the request's head did not arrive in time",
            Self::RequestBodyTimeout => "the request's body did not arrive in time",
            Self::DownstreamGone => "the client closed the connection",
            Self::NoRoute => "no route for this request",
            Self::Misdirected => "another connection is to be used for this host",
            Self::NoCluster => "the route leads to a cluster that does not exist",
            Self::NoBackend(_) => "the route leads to a backend that does not exist",
            Self::FaultAbort(_) => "fault filter abort",
            Self::NoEndpoint => "no healthy upstream",
            Self::Overflow => "too many connections or requests to the upstream",
            Self::ConnectFailed => "the upstream could not be connected to",
            Self::ConnectTimeout => "connecting to the upstream took too long",
            Self::UpstreamClosed => "the upstream closed the connection before it answered",
            Self::UpstreamReset => "the upstream reset the request before it answered",
            Self::StreamRefused => "the upstream refused the request",
            Self::UpstreamResetWithin => "the upstream reset the request within its answer",
            Self::UpstreamProtocol | Self::UpstreamProtocolWithin => {
                "the upstream broke the rules of HTTP/2"
            }
            Self::UpgradeRefused => "the upstream does not change protocols as asked",
            Self::UpstreamTruncated => "the upstream closed the connection within its answer",
            Self::BadResponse(_) | Self::BadResponseBody(_) => {
                "the upstream's answer is not valid HTTP"
            }
            Self::RouteTimeout | Self::PerTryTimeout => "upstream request timeout",
            Self::DurationTimeout => "the request took longer than is allowed",
            Self::UpstreamIdle => "the upstream did not answer in time",
        }
    }
}

#[cfg(test)]
mod tests {
    use ringmain_config::filter::AbortWith;

    use super::{Failure, Retry};
    use crate::http1::Reject;

    /// Status, flag and details as Envoy has them, and whether the request can have run.
    #[test]
    fn what_follows() {
        for (failure, expected) in [
            (
                Failure::UpstreamReset,
                "503 UR {remote_reset} MaybeReceived",
            ),
            (
                Failure::StreamRefused,
                "503 UR {remote_refused_stream_reset} Unsent",
            ),
            (
                Failure::PerTryTimeout,
                "504 UT upstream_per_try_timeout MaybeReceived",
            ),
            (
                Failure::UpstreamProtocol,
                "502 UPE {protocol_error} MaybeReceived",
            ),
            (
                Failure::UpstreamResetWithin,
                "502 UR upstream_reset_after_response_started{remote_reset} Never",
            ),
            (
                Failure::UpstreamProtocolWithin,
                "502 UPE upstream_reset_after_response_started{protocol_error} Never",
            ),
            (
                Failure::BadResponseBody(Reject::ChunkSize),
                "502 UPE upstream_reset_after_response_started{protocol_error|http1.chunk_size} \
                 Never",
            ),
            (
                Failure::BadResponse(Reject::StatusLine),
                "502 UPE {protocol_error|http1.status_line} MaybeReceived",
            ),
            (
                Failure::BadRequest(Reject::ChunkSize),
                "400 DPE http1.chunk_size Never",
            ),
            (Failure::UpgradeRefused, "502 UPE upgrade_failed Never"),
            (
                Failure::DownstreamProtocol,
                "400 DPE http2.protocol_error Never",
            ),
            (
                Failure::DurationTimeout,
                "504 DT max_duration_timeout Never",
            ),
            (Failure::Misdirected, "421 NR misdirected_request Never"),
            (Failure::NoBackend(500), "500 NC cluster_not_found Never"),
            (
                Failure::FaultAbort(AbortWith::Http(418)),
                "418 FI fault_filter_abort Never",
            ),
            (
                Failure::FaultAbort(AbortWith::Grpc(14)),
                "200 FI fault_filter_abort Never",
            ),
        ] {
            let facts = failure.facts();
            let details = failure.details().to_string();
            let details = details.replace("upstream_reset_before_response_started", "");
            let (status, flag) = (facts.status, facts.flag.name());
            let found = format!("{status} {flag} {details} {:?}", facts.retry);
            assert_eq!(found, expected, "{failure:?}");
            assert!(!failure.sentence().is_empty());
            assert!(facts.retry != Retry::Unsent || facts.status == 503);
        }
    }
}
