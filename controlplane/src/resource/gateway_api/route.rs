//! What an HTTPRoute or a GRPCRoute says.

use std::time::Duration;

use ringmain_config::{
    filter::{Cors, Share},
    route::{HeaderEdits, HeaderMatch, QueryMatch, Redirect},
};

use crate::resource::{metadata::Metadata, span::Spanned};

/// Rules for the requests that come to Gateways, or that are made to services of the mesh.
#[derive(Clone, Debug, PartialEq)]
pub struct Route {
    /// Who it is.
    pub metadata: Metadata,
    /// Of which kind.
    pub kind: RouteKind,
    /// What it wants to be attached to. Those of a kind that means nothing here are left out, which
    /// was reported.
    pub parents: Vec<Spanned<Parent>>,
    /// `*.x` or names, in lower case; empty: those of the listener.
    pub hostnames: Vec<Spanned<String>>,
    /// In the order written; which goes before which is decided by how specific their matches are.
    pub rules: Vec<Spanned<Rule>>,
}

/// The kind of a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RouteKind {
    /// HTTPRoute.
    Http,
    /// GRPCRoute.
    Grpc,
}

impl RouteKind {
    /// As in the file.
    pub fn name(self) -> &'static str {
        match self {
            Self::Http => "HTTPRoute",
            Self::Grpc => "GRPCRoute",
        }
    }

    /// The status of an answer that stands for a rule or a backend that cannot be used. gRPC
    /// clients make UNAVAILABLE (14) of a 503, whoever writes it.
    pub fn failure_status(self) -> u16 {
        match self {
            Self::Http => 500,
            Self::Grpc => 503,
        }
    }
}

/// An entry of `parentRefs`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parent {
    /// What it is.
    pub kind: ParentKind,
    /// The route's own when the file names none.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// A listener of a Gateway; absent: all of them.
    pub section: Option<String>,
    /// A port of the Gateway's listeners or of the service; absent: all of them.
    pub port: Option<u16>,
}

/// What a route can be attached to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ParentKind {
    /// A Gateway: what comes in from outside.
    Gateway,
    /// A service: what clients in the mesh send to it.
    Service,
    /// All hosts of a ServiceEntry, as with a service.
    ServiceEntry,
}

/// A rule: what becomes of requests that one of its matches is met by.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// Empty when not named.
    pub name: String,
    /// Never empty: a rule without `matches` has one that every request meets.
    pub matches: Vec<Spanned<Match>>,
    /// What is done.
    pub action: RuleAction,
    /// Changes to the request's headers.
    pub request_headers: HeaderEdits,
    /// Changes to the response's headers.
    pub response_headers: HeaderEdits,
    /// Which pages of other origins may read the answers.
    pub cors: Option<Cors>,
    /// Copies of requests.
    pub mirrors: Vec<Spanned<Mirror>>,
    /// All tries together; absent: no limit.
    pub timeout: Option<Duration>,
    /// Each try; absent: no limit of its own.
    pub backend_timeout: Option<Duration>,
    /// Absent: as for every route of which nothing is said.
    pub retry: Option<Retry>,
}

/// What is done with a request.
#[derive(Clone, Debug, PartialEq)]
pub enum RuleAction {
    /// Sent on.
    Forward(Forward),
    /// Answered with a redirect.
    Redirect(Redirect),
    /// Answered as a failure, because the rule asks for what is not supported; that was reported.
    Fail,
}

/// Sent on to one of several backends.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Forward {
    /// May be empty: requests are then answered as a failure.
    pub backends: Vec<Spanned<Backend>>,
    /// Changes to path and authority.
    pub rewrite: Option<Rewrite>,
}

/// Changes to the target of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rewrite {
    /// What becomes of the path.
    pub path: Option<PathModifier>,
    /// Replaces the authority.
    pub authority: Option<String>,
}

/// What becomes of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PathModifier {
    /// It is replaced.
    Full(String),
    /// The prefix that matched is replaced.
    Prefix(String),
}

/// A backend and its share.
#[derive(Clone, Debug, PartialEq)]
pub struct Backend {
    /// Where to.
    pub reference: BackendReference,
    /// Relative to the sum of the rule's weights.
    pub weight: u32,
    /// Its filters are all supported. If not, its share is answered as a failure, which was
    /// reported.
    pub is_usable: bool,
    /// Changes to the request's headers.
    pub request_headers: HeaderEdits,
    /// Changes to the response's headers.
    pub response_headers: HeaderEdits,
}

/// A service at one of its ports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackendReference {
    /// Full host name in lower case; absent when the reference is to something that is no service,
    /// which was reported.
    pub host: Option<Spanned<String>>,
    /// The reference as written, for what is not a service.
    pub shown: String,
    /// Port of the service.
    pub port: Option<Spanned<u16>>,
}

/// A copy of each of some requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mirror {
    /// Where to.
    pub reference: BackendReference,
    /// Of how many.
    pub share: Share,
    /// Its place among the filters.
    pub filter: usize,
}

/// What is done about a try that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retry {
    /// Further tries; absent: as many as by default.
    pub attempts: Option<u32>,
    /// Statuses that are worth another try.
    pub status_codes: Vec<u16>,
    /// Absent: as long as by default.
    pub back_off: Option<Duration>,
}

/// Conditions on a request, all of which must hold.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Match {
    /// On what is asked for.
    pub target: Target,
    /// On the method.
    pub method: Option<String>,
    /// On header fields; each name once.
    pub headers: Vec<HeaderMatch>,
    /// On parameters of the query; each name once.
    pub query: Vec<QueryMatch>,
}

impl Match {
    /// Every request meets it.
    pub fn takes_everything(&self) -> bool {
        let every_target = match &self.target {
            Target::Path(PathCondition::Prefix(prefix)) => prefix == "/",
            Target::Path(PathCondition::Regex(pattern)) => pattern == ".*",
            Target::Path(PathCondition::Exact(_)) => false,
            Target::Rpc(rpc) => rpc.service.is_none() && rpc.method.is_none(),
        };
        every_target && self.method.is_none() && self.headers.is_empty() && self.query.is_empty()
    }
}

/// What is asked for: a path, or a method of a gRPC service.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    /// A path.
    Path(PathCondition),
    /// A method of a gRPC service.
    Rpc(Rpc),
}

/// A condition on the path.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum PathCondition {
    /// The whole path.
    Exact(String),
    /// Whole elements at the begin of the path; `/`, or without a `/` at its end.
    Prefix(String),
    /// The whole path, RE2 syntax.
    Regex(String),
}

/// A condition on the method of a gRPC service; every method when there is neither part.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Rpc {
    /// How both parts are compared.
    pub pattern: RpcPattern,
    /// `package.Service`; absent: any.
    pub service: Option<String>,
    /// Absent: any.
    pub method: Option<String>,
}

/// How the parts of an [`Rpc`] are compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum RpcPattern {
    /// As they are.
    #[default]
    Exact,
    /// As regular expressions of the whole part.
    Regex,
}
