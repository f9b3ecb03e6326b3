//! Every way a request can fail, and what follows from it: one closed enum, one total function.
//!
//! Answer, access log, metrics and retries all read [`Failure::facts`], so they cannot disagree.
//! Flags and details are Envoy's, so that existing queries and habits work.

use crate::{http1::reject::Reject, path::Refused};

/// Why a request did not get its answer from upstream, or not all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Failure {
    /// The request is not HTTP as we accept it.
    BadRequest(Reject),
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
    /// The route names a cluster that is not there.
    NoCluster,
    /// The cluster has no endpoint to go to.
    NoEndpoint,
    /// A limit on connections or requests to the cluster is reached.
    Overflow,
    /// The endpoint refused the connection, or the network did.
    ConnectFailed,
    /// The TCP handshake took longer than the cluster's connect timeout.
    ConnectTimeout,
    /// The upstream closed or reset the connection before its answer began.
    UpstreamClosed,
    /// The upstream refused the stream, or went away before it looked at it: it was not processed
    /// (RFC 9113 sections 6.8 and 8.7).
    StreamRefused,
    /// The upstream reset the stream before its answer began.
    UpstreamReset,
    /// The upstream closed or reset the connection within its answer.
    UpstreamTruncated,
    /// The upstream's answer is not HTTP as we accept it.
    BadResponse(Reject),
    /// The route's timeout passed.
    RouteTimeout,
    /// The upstream did not move for the stream idle timeout.
    UpstreamIdle,
}

/// Envoy's response flags (`RESPONSE_FLAGS` of the access log, `response_flags` of the metrics).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Flag {
    /// Downstream protocol error.
    Dpe,
    /// Stream idle timeout.
    Si,
    /// Downstream connection termination.
    Dc,
    /// No route.
    Nr,
    /// No cluster.
    Nc,
    /// No healthy upstream.
    Uh,
    /// Upstream overflow.
    Uo,
    /// Upstream connection failure.
    Uf,
    /// Upstream connection termination.
    Uc,
    /// Upstream remote reset.
    Ur,
    /// Upstream protocol error.
    Upe,
    /// Upstream request timeout.
    Ut,
    /// Upstream connection failure, and as many tries as are allowed were made: what Envoy says of
    /// a TCP connection whose endpoint cannot be connected to.
    UfUrx,
    /// Duration timeout: a connection reached its greatest age.
    Dt,
}

impl Flag {
    /// As in log and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Dpe => "DPE",
            Self::Si => "SI",
            Self::Dc => "DC",
            Self::Nr => "NR",
            Self::Nc => "NC",
            Self::Uh => "UH",
            Self::Uo => "UO",
            Self::Uf => "UF",
            Self::Uc => "UC",
            Self::Ur => "UR",
            Self::Upe => "UPE",
            Self::Ut => "UT",
            Self::UfUrx => "UF,URX",
            Self::Dt => "DT",
        }
    }
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
    /// `RESPONSE_CODE_DETAILS` of the access log.
    pub details: &'static str,
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
            Self::NoCluster => facts(503, Flag::Nc, Proxy, Never, "cluster_not_found"),
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
            Self::StreamRefused => facts(
                503,
                Flag::Ur,
                Upstream,
                Unsent,
                "upstream_reset_before_response_started{remote_refused_stream_reset}",
            ),
            Self::UpstreamReset => facts(
                503,
                Flag::Ur,
                Upstream,
                MaybeReceived,
                "upstream_reset_before_response_started{remote_reset}",
            ),
            Self::UpstreamTruncated => facts(
                502,
                Flag::Uc,
                Upstream,
                Never,
                "upstream_reset_after_response_started{connection_termination}",
            ),
            Self::BadResponse(_) => facts(
                502,
                Flag::Upe,
                Upstream,
                MaybeReceived,
                "upstream_reset_before_response_started{protocol_error}",
            ),
            Self::RouteTimeout => facts(504, Flag::Ut, Upstream, MaybeReceived, "response_timeout"),
            Self::UpstreamIdle => facts(
                504,
                Flag::Si,
                Upstream,
                MaybeReceived,
                "stream_idle_timeout",
            ),
        }
    }

    /// For the body of the answer: what went wrong, as a sentence for whoever made the request.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::BadRequest(_) | Self::BadPath(_) => "the request is not acceptable",
            Self::RequestHeadTimeout => "the request's head did not arrive in time",
            Self::RequestBodyTimeout => "the request's body did not arrive in time",
            Self::DownstreamGone => "the client closed the connection",
            Self::NoRoute => "no route for this request",
            Self::NoCluster => "the route leads to a cluster that does not exist",
            Self::NoEndpoint => "no healthy upstream",
            Self::Overflow => "too many connections or requests to the upstream",
            Self::ConnectFailed => "the upstream could not be connected to",
            Self::ConnectTimeout => "connecting to the upstream took too long",
            Self::UpstreamClosed => "the upstream closed the connection before it answered",
            Self::StreamRefused => "the upstream refused the request",
            Self::UpstreamReset => "the upstream reset the request",
            Self::UpstreamTruncated => "the upstream closed the connection within its answer",
            Self::BadResponse(_) => "the upstream's answer is not valid HTTP",
            Self::RouteTimeout => "upstream request timeout",
            Self::UpstreamIdle => "the upstream did not answer in time",
        }
    }
}
