//! Which cluster a request goes to, and how it is changed on its way.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{
    filter::{Filters, Mirror},
    list::{self, Neighbour},
    origin::Origin,
    retry::RetryPolicy,
};

/// Virtual hosts for the HTTP requests of one or more listeners.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteTable {
    /// Unique in a Document, for example `http.8080` or `9080`.
    pub name: String,
    /// For routes that say nothing of retries. Absent: none are made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<RetryPolicy>,
    /// Chosen by the request's authority: exact name, then longest suffix wildcard (`*.x`), then
    /// longest prefix wildcard (`x.*`), then `*`. A port in the authority is ignored unless a
    /// domain names it.
    #[serde(deserialize_with = "list::of_neighbours")]
    pub virtual_hosts: Vec<VirtualHost>,
}

/// Name of the virtual host that answers for hosts that a workload may not reach, or that nobody
/// knows; Istio's, as it stands in the access log.
pub const BLOCK_ALL: &str = "block_all";

/// The routes of a set of domains.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VirtualHost {
    /// Unique in its table, for example `reviews.default.svc.cluster.local:9080`.
    pub name: String,
    /// No domain stands in two virtual hosts of one table. Lower case.
    pub domains: Vec<String>,
    /// The first that matches decides.
    #[serde(deserialize_with = "list::of_neighbours")]
    pub routes: Vec<Route>,
    /// Who asked for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
}

/// A match and what to do with what it matched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// ROUTE_NAME of the access log, for example `default` or `canary.header-match`.
    pub name: String,
    /// All of its conditions must hold.
    #[serde(rename = "match")]
    pub matches: RouteMatch,
    /// What is done.
    pub action: Action,
    /// What its requests meet before that.
    #[serde(default, skip_serializing_if = "Filters::is_empty")]
    pub filters: Filters,
    /// Applied to the request after those of the chosen destination.
    #[serde(default, skip_serializing_if = "HeaderEdits::is_empty")]
    pub request_headers: HeaderEdits,
    /// Applied to the response after those of the chosen destination.
    #[serde(default, skip_serializing_if = "HeaderEdits::is_empty")]
    pub response_headers: HeaderEdits,
    /// From the end of the request to the end of the response, all tries together.
    /// Absent: no limit.
    #[serde(
        default,
        with = "crate::duration::option",
        skip_serializing_if = "Option::is_none"
    )]
    pub timeout: Option<Duration>,
    /// Who asked for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
}

impl Neighbour for VirtualHost {
    fn share(&mut self, before: &Self) {
        Origin::share(&mut self.origin, &before.origin);
        if let Some(before) = before.routes.last() {
            for route in &mut self.routes {
                route.share(before);
            }
        }
    }
}

impl Neighbour for Route {
    fn share(&mut self, before: &Self) {
        Origin::share(&mut self.origin, &before.origin);
    }
}

/// Conditions on a request, all of which must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RouteMatch {
    /// On the normalised path, without the query.
    pub path: PathMatch,
    /// Exact and prefix compare paths without regard to ASCII case.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub ignore_case: bool,
    /// On the method.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<StringMatch>,
    /// On the authority as sent, port included.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authority: Option<StringMatch>,
    /// On the scheme (`http`, `https`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scheme: Option<StringMatch>,
    /// On header fields.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<HeaderMatch>,
    /// On parameters of the query, percent-decoding not applied (as in Envoy).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub query: Vec<QueryMatch>,
}

/// A condition on the path.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PathMatch {
    /// Every path.
    #[default]
    Any,
    /// The whole path.
    Exact(String),
    /// A string prefix: `/foo` matches `/foobar` (VirtualService).
    Prefix(String),
    /// A prefix of whole elements: `/foo` matches `/foo`, `/foo/` and `/foo/x`, never `/foobar`. A
    /// slash at its end counts for nothing, so `/` matches every path (Gateway API `PathPrefix`).
    ElementPrefix(String),
    /// The whole path, RE2 syntax.
    Regex(String),
}

/// A condition on a string.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StringMatch {
    /// The whole value.
    Exact(String),
    /// The value begins with it.
    Prefix(String),
    /// The whole value, RE2 syntax.
    Regex(String),
    /// Any value, but there must be one.
    Present,
}

/// A condition on a header field. Several fields of one name are joined by `,` first.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct HeaderMatch {
    /// Field name, lower case.
    pub name: String,
    /// The condition on its value; a missing field does not match.
    pub value: StringMatch,
    /// The condition must not hold. A missing field then counts as an empty value, unless the
    /// condition is [`StringMatch::Present`].
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub invert: bool,
}

/// A condition on the first query parameter of a name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct QueryMatch {
    /// Parameter name, with regard to case.
    pub name: String,
    /// The condition on its value; a missing parameter does not match.
    pub value: StringMatch,
}

/// What is done with a request that a route matched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Sent on to a cluster.
    Forward(Forward),
    /// Answered with a redirect.
    Redirect(Redirect),
    /// Answered as written.
    Direct(DirectResponse),
}

/// Sent on to one of several clusters.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forward {
    /// One is drawn by weight. Never empty; the weights' sum is never 0.
    #[serde(deserialize_with = "list::of_one")]
    pub destinations: Vec<Destination>,
    /// Changes to path and authority.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rewrite: Option<Rewrite>,
    /// Absent: the table's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<RetryPolicy>,
    /// Copies of requests, each drawn for itself.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mirrors: Vec<Mirror>,
}

/// A cluster and its share.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Destination {
    /// Key of the Document's clusters.
    pub cluster: String,
    /// Its share is answered with this status, 500 to 599: what was asked for is not there, and
    /// `cluster` is only what it is called (Gateway API: a backend that does not resolve).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<u16>,
    /// Relative to the sum of all weights of the route. 0 is never drawn.
    pub weight: u32,
    /// Applied to the request before those of the route.
    #[serde(default, skip_serializing_if = "HeaderEdits::is_empty")]
    pub request_headers: HeaderEdits,
    /// Applied to the response before those of the route.
    #[serde(default, skip_serializing_if = "HeaderEdits::is_empty")]
    pub response_headers: HeaderEdits,
}

/// Changes to the target of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Rewrite {
    /// Replaces what the route's path condition matched: the prefix, or the whole path. Put before
    /// the path when the route matches every path. For a prefix of elements, a slash at its end
    /// counts for nothing (Gateway API `ReplacePrefixMatch`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Replaces parts of the path, instead of `path`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub regex: Option<RegexRewrite>,
    /// Replaces the authority.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authority: Option<String>,
}

/// A replacement in the path (`HTTPRewrite.uriRegexRewrite`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegexRewrite {
    /// Every match in the path, without the query, is replaced; RE2 syntax.
    pub pattern: String,
    /// `\1` to `\9` stand for what the groups of the pattern matched, `\0` for the whole match,
    /// `\\` for a backslash.
    pub substitution: String,
}

/// Changes to header fields, in the order remove, set, add. The rewrite's authority wins over
/// an `authority` set here, the route's over the destination's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct HeaderEdits {
    /// Replaces the request's authority (`Host`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authority: Option<String>,
    /// Lower-case names whose fields are removed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub remove: Vec<String>,
    /// Replaces every field of the name.
    #[serde(
        deserialize_with = "list::of_one",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub set: Vec<HeaderValue>,
    /// Appends a field.
    #[serde(
        deserialize_with = "list::of_one",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub add: Vec<HeaderValue>,
}

impl HeaderEdits {
    /// Changes nothing.
    pub fn is_empty(&self) -> bool {
        self.authority.is_none()
            && self.remove.is_empty()
            && self.set.is_empty()
            && self.add.is_empty()
    }
}

/// A field to write.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeaderValue {
    /// A token (RFC 9110 section 5.6.2), in the case it is to be sent in.
    pub name: String,
    /// No CR, LF or NUL.
    pub value: String,
}

/// An answer that sends the client elsewhere.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Redirect {
    /// 301, 302, 303, 307 or 308.
    pub status: u16,
    /// Replaces the scheme.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scheme: Option<String>,
    /// Replaces the authority; may name a port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authority: Option<String>,
    /// Which port the `Location` names.
    #[serde(default)]
    pub port: RedirectPort,
    /// What becomes of the path.
    #[serde(default)]
    pub path: RedirectPath,
}

/// The port in a redirect's `Location`. `:80` for http and `:443` for https are never written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RedirectPort {
    /// That of the new authority, or none if that names none; without a new authority, that of the
    /// request's.
    #[default]
    Authority,
    /// This one.
    Port(u16),
    /// The default one of the new scheme.
    FromProtocolDefault,
    /// The one the request came in at.
    FromRequestPort,
}

/// The path in a redirect's `Location`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RedirectPath {
    /// As requested, query included.
    #[default]
    Keep,
    /// This one; the request's query is kept unless it has one of its own.
    Full(String),
    /// The matched prefix is replaced.
    Prefix(String),
}

/// An answer as written in the configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DirectResponse {
    /// 200 to 599.
    pub status: u16,
    /// At most 1 MiB.
    #[serde(default, with = "text_or_bytes", skip_serializing_if = "Vec::is_empty")]
    pub body: Vec<u8>,
}

/// Bodies are text as a rule and must then read as such in a dump; other bytes are a list.
mod text_or_bytes {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    #[serde(untagged)]
    enum Body {
        Text(String),
        Bytes(Vec<u8>),
    }

    pub(super) fn serialize<S: Serializer>(body: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        match std::str::from_utf8(body) {
            Ok(text) => serializer.serialize_str(text),
            Err(_) => body.serialize(serializer),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<u8>, D::Error> {
        Ok(match Body::deserialize(deserializer)? {
            Body::Text(text) => text.into_bytes(),
            Body::Bytes(bytes) => bytes,
        })
    }
}
