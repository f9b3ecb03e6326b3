//! networking.istio.io VirtualService: how requests to a set of hosts are routed.

mod action;
mod cors;
mod fault;
mod fields;
mod headers;
mod matches;
mod mirror;
mod read;
mod retries;
mod tcp;
#[cfg(test)]
mod tests;

use std::time::Duration;

use ringmain_config::{
    filter::{Filters, Share},
    retry::RetryPolicy,
    route::{
        DirectResponse, HeaderEdits, HeaderMatch, PathMatch, QueryMatch, Redirect, Rewrite,
        StringMatch,
    },
};

use super::{
    metadata::{Labels, Metadata},
    span::Spanned,
};

pub(super) use fields::DOCUMENT;
pub(super) use read::read;
pub(crate) use retries::ON_DEFAULT;

/// Routing rules for a set of hosts.
#[derive(Clone, Debug, PartialEq)]
pub struct VirtualService {
    /// Who it is.
    pub metadata: Metadata,
    /// `*`, `*.x` or full names in lower case; never empty.
    pub hosts: Vec<Spanned<String>>,
    /// Where the rules apply; [`GatewayReference::Mesh`] alone when the file names none.
    pub gateways: Vec<Spanned<GatewayReference>>,
    /// The first whose match holds decides.
    pub http: Vec<Spanned<HttpRoute>>,
    /// The first whose match holds decides about a TCP connection.
    pub tcp: Vec<Spanned<TcpRoute>>,
    /// Of connections of TLS that are passed through: the first whose match holds decides, among
    /// those with the most exact name.
    pub tls: Vec<Spanned<TlsRoute>>,
}

/// A rule for connections of TLS that are passed through.
#[derive(Clone, Debug, PartialEq)]
pub struct TlsRoute {
    /// One of them must hold; never empty.
    pub matches: Vec<Spanned<TlsMatch>>,
    /// Never empty; the weights' sum is never 0.
    pub destinations: Vec<Spanned<TcpDestination>>,
}

/// Conditions on a connection of TLS, all of which must hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsMatch {
    /// `*`, `*.x` or names in lower case, one of which the client asks for; never empty.
    pub server_names: Vec<Spanned<String>>,
    /// The rest.
    pub connection: TcpMatch,
}

/// A rule for TCP connections.
#[derive(Clone, Debug, PartialEq)]
pub struct TcpRoute {
    /// One of them must hold; empty: every connection.
    pub matches: Vec<Spanned<TcpMatch>>,
    /// Never empty; the weights' sum is never 0.
    pub destinations: Vec<Spanned<TcpDestination>>,
}

/// Conditions on a TCP connection, all of which must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct TcpMatch {
    /// Where the client connected to and where it comes from.
    pub addresses: ringmain_config::tcp::TcpMatch,
    /// The port it connected to.
    pub port: Option<u16>,
    /// Labels that the client's workload must have.
    pub source_labels: Labels,
    /// Namespace that the client's workload must be in.
    pub source_namespace: Option<String>,
    /// Where the condition applies, instead of the VirtualService's own list; empty: that list.
    pub gateways: Vec<GatewayReference>,
}

/// A service and its share of connections.
#[derive(Clone, Debug, PartialEq)]
pub struct TcpDestination {
    /// Where to.
    pub destination: Destination,
    /// Relative to the sum of the rule's weights. A sole destination without a weight has 100.
    pub weight: u32,
}

/// A place where rules apply.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum GatewayReference {
    /// `mesh`: every sidecar.
    Mesh,
    /// A Gateway.
    Gateway {
        /// The resource's own when the file names none.
        namespace: String,
        /// Its name.
        name: String,
    },
}

/// A rule for HTTP requests.
#[derive(Clone, Debug, PartialEq)]
pub struct HttpRoute {
    /// Empty when not named.
    pub name: String,
    /// One of them must hold; empty: every request.
    pub matches: Vec<Spanned<HttpMatch>>,
    /// What is done.
    pub action: HttpAction,
    /// Changes to the headers of request and response.
    pub headers: HeaderOperations,
    /// All tries together; absent: no limit. Never beside a fault.
    pub timeout: Option<Duration>,
    /// Faults and CORS. Most rules have none, and in a large table they would be much of it.
    pub filters: Option<Box<Filters>>,
}

/// What is done with a request.
#[derive(Clone, Debug, PartialEq)]
pub enum HttpAction {
    /// Sent on.
    Route(HttpForward),
    /// Answered with a redirect.
    Redirect(Redirect),
    /// Answered as written.
    DirectResponse(DirectResponse),
}

/// Sent on to one of several destinations.
#[derive(Clone, Debug, PartialEq)]
pub struct HttpForward {
    /// Never empty; the weights' sum is never 0.
    pub destinations: Vec<Spanned<HttpDestination>>,
    /// Changes to path and authority.
    pub rewrite: Option<Rewrite>,
    /// Absent: what holds where the rule is used. Beside a fault there are none.
    pub retries: Option<Box<Retries>>,
    /// Where copies of requests go.
    pub mirrors: Vec<HttpMirror>,
}

/// When a request that failed is sent once more.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Retries {
    /// All of it but whether endpoints that were tried are avoided.
    pub policy: RetryPolicy,
    /// `retryIgnorePreviousHosts`; absent: they are, unless endpoints are chosen by hash.
    pub avoids_previous_endpoints: Option<bool>,
}

/// Copies of requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpMirror {
    /// Where to.
    pub destination: Destination,
    /// Of how many requests; never none.
    pub share: Share,
    /// Its place in `mirrors`; absent: it is the `mirror`.
    pub index: Option<usize>,
}

/// A service and its share.
#[derive(Clone, Debug, PartialEq)]
pub struct HttpDestination {
    /// Where to.
    pub destination: Destination,
    /// Relative to the sum of the rule's weights. A sole destination without a weight has 100.
    pub weight: u32,
    /// Changes to the headers of request and response.
    pub headers: HeaderOperations,
}

/// A service, or a part of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    /// Full name in lower case.
    pub host: Spanned<String>,
    /// Name of a subset in the host's DestinationRule.
    pub subset: Option<Spanned<String>>,
    /// Port of the service. Absent: its only one, else the one the request came in at.
    pub port: Option<Spanned<u16>>,
}

/// Changes to headers. Most rules have none, and in a large table they would be most of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeaderOperations {
    /// Of the request and of the response; absent when there is none at all.
    edits: Option<Box<[HeaderEdits; 2]>>,
}

impl HeaderOperations {
    fn new(request: HeaderEdits, response: HeaderEdits) -> Self {
        let is_empty = request.is_empty() && response.is_empty();
        Self {
            edits: (!is_empty).then(|| Box::new([request, response])),
        }
    }

    /// Of the request.
    pub fn request(&self) -> &HeaderEdits {
        self.edits.as_ref().map_or(&NO_EDITS, |edits| &edits[0])
    }

    /// Of the response.
    pub fn response(&self) -> &HeaderEdits {
        self.edits.as_ref().map_or(&NO_EDITS, |edits| &edits[1])
    }
}

static NO_EDITS: HeaderEdits = HeaderEdits {
    authority: None,
    remove: Vec::new(),
    set: Vec::new(),
    add: Vec::new(),
};

/// Conditions on a request, all of which must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct HttpMatch {
    /// Empty when not named; the route's name in logs is then `route.match`.
    pub name: String,
    /// On the path.
    pub uri: PathMatch,
    /// Exact and prefix conditions on the path ignore case.
    pub ignore_uri_case: bool,
    /// On the scheme.
    pub scheme: Option<StringMatch>,
    /// On the method.
    pub method: Option<StringMatch>,
    /// On the authority.
    pub authority: Option<StringMatch>,
    /// `headers`, then `withoutHeaders` (inverted).
    pub headers: Vec<HeaderMatch>,
    /// On the query.
    pub query_params: Vec<QueryMatch>,
    /// The port the request is addressed to.
    pub port: Option<u16>,
    /// Labels that the client's workload must have.
    pub source_labels: Labels,
    /// Namespace that the client's workload must be in.
    pub source_namespace: Option<String>,
    /// Where the condition applies, instead of the VirtualService's own list; empty: that list.
    pub gateways: Vec<GatewayReference>,
}

/// What the names of header conditions on a token's claims begin with.
const CLAIM_PREFIX: &str = "@request.auth.";
