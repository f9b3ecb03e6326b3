//! Every way a TCP connection through the proxy can end, and what the log and the metrics say of
//! it: one closed enum, one total function, as [`crate::failure`] is for requests.
//!
//! A client of bytes cannot be told anything, so there is no status: it sees its connection closed,
//! or reset when the other side's was.

use crate::failure::{Flag, Flags};

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ending {
    /// Both sides have said all they had to say.
    Closed,
    /// The client reset it, or took no more of what the endpoint sent.
    DownstreamReset,
    /// The endpoint reset it, or took no more of what the client sent.
    UpstreamReset,
    /// No route of the listener matches.
    NoRoute,
    /// The route leads to a cluster that is not there.
    NoCluster,
    /// The cluster has no endpoint to go to.
    NoEndpoint,
    /// A limit on connections to the cluster, or of the proxy, is reached.
    Overflow,
    /// The endpoint refused the connection, or the network did.
    ConnectFailed,
    /// The TCP handshake took longer than the cluster's connect timeout.
    ConnectTimeout,
    /// The client's TLS handshake failed, or it came without TLS where that is required.
    HandshakeFailed,
    /// No byte moved for the cluster's idle timeout.
    Idle,
    /// It reached the greatest age that the cluster allows.
    TooOld,
    /// Its listener is gone, or the proxy ends, and it did not end by itself in time.
    Drained,
}

/// What follows from an ending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndingFacts {
    /// Response flags. An endpoint that cannot be connected to is one that as many tries as are
    /// allowed were made to, as in Envoy.
    pub flags: Flags,
    /// `RESPONSE_CODE_DETAILS` of the access log; empty when there is nothing to say.
    pub details: &'static str,
    /// `CONNECTION_TERMINATION_DETAILS`: why the proxy ended it; empty when it did not.
    pub termination: &'static str,
}

impl Ending {
    /// Every one.
    pub const ALL: [Self; 13] = [
        Self::Closed,
        Self::DownstreamReset,
        Self::UpstreamReset,
        Self::NoRoute,
        Self::NoCluster,
        Self::NoEndpoint,
        Self::Overflow,
        Self::ConnectFailed,
        Self::ConnectTimeout,
        Self::HandshakeFailed,
        Self::Idle,
        Self::TooOld,
        Self::Drained,
    ];

    /// What follows from it. Total: a new ending does not compile without its facts.
    pub fn facts(self) -> EndingFacts {
        let (flags, details, termination) = match self {
            Self::Closed => (Flags::NONE, "", ""),
            Self::DownstreamReset => (Flag::Dc.into(), "", ""),
            Self::UpstreamReset => (Flag::Uc.into(), "", ""),
            Self::NoRoute => (Flag::Nr.into(), "filter_chain_not_found", ""),
            Self::NoCluster => (Flag::Nc.into(), "", ""),
            Self::NoEndpoint => (Flag::Uh.into(), "", ""),
            Self::Overflow => (Flag::Uo.into(), "", ""),
            Self::ConnectFailed | Self::ConnectTimeout => {
                (Flags::from(Flag::Uf).with(Flag::Urx), "", "")
            }
            Self::HandshakeFailed => (Flag::Dpe.into(), "downstream_tls_handshake_failed", ""),
            Self::Idle => (Flags::NONE, "", "tcp_session_idle_timeout"),
            Self::TooOld => (Flag::Dt.into(), "", "max_connection_duration_reached"),
            Self::Drained => (Flags::NONE, "", "drained"),
        };
        EndingFacts {
            flags,
            details,
            termination,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::Ending;

    /// Flag, details and termination as the log writes them.
    #[test]
    fn what_the_log_says() {
        let expected = [
            (Ending::Closed, "- - -"),
            (Ending::DownstreamReset, "DC - -"),
            (Ending::UpstreamReset, "UC - -"),
            (Ending::NoRoute, "NR filter_chain_not_found -"),
            (Ending::NoCluster, "NC - -"),
            (Ending::NoEndpoint, "UH - -"),
            (Ending::Overflow, "UO - -"),
            (Ending::ConnectFailed, "UF,URX - -"),
            (Ending::ConnectTimeout, "UF,URX - -"),
            (
                Ending::HandshakeFailed,
                "DPE downstream_tls_handshake_failed -",
            ),
            (Ending::Idle, "- - tcp_session_idle_timeout"),
            (Ending::TooOld, "DT - max_connection_duration_reached"),
            (Ending::Drained, "- - drained"),
        ];
        let or_dash = |text: &'static str| if text.is_empty() { "-" } else { text };
        for (ending, expected) in expected {
            let facts = ending.facts();
            let flags = facts.flags.text();
            let (details, termination) = (or_dash(facts.details), or_dash(facts.termination));
            assert_eq!(
                format!("{} {details} {termination}", &*flags),
                expected,
                "{ending:?}"
            );
        }
        let known: HashSet<_> = expected.iter().map(|(ending, _)| *ending).collect();
        assert_eq!(known, HashSet::from(Ending::ALL));
        assert_eq!(known.len(), Ending::ALL.len());
    }
}
