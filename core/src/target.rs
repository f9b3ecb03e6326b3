//! What a decision makes of a request: its path, authority and header edits on the way to the
//! upstream, and where a redirect leads. The data plane and `explain` both call these.

use std::borrow::Cow;

use ringmain_config::route::{Redirect, RedirectPath, RedirectPort};

use crate::{
    header::{Edits, Headers},
    path::{self, Refused},
    route::{
        Destination, Forward, Request, Route,
        matcher::PathCondition,
        rewrite::{PathRewrite, Unusable},
        split_port,
    },
};

/// The path to send to the upstream; the query follows it unchanged. Borrowed when no rewrite
/// changes it.
///
/// A rewrite replaces the prefix or the whole path that the route matched. A route for any path has
/// its rewrite put before the path. Where the replacement ends with `/` and what follows begins
/// with one, there is only one. The `*` of `OPTIONS *` is never rewritten.
///
/// # Errors
/// [`Refused::Escapes`] when the replacement and what follows it form a `..` or another segment
/// that is not canonical, [`Refused::Unusable`] when a regular expression makes something else than
/// a canonical path of it: answer 400.
pub fn path<'a>(route: &Route, forward: &Forward, path: &'a str) -> Result<Cow<'a, str>, Refused> {
    let Some(rewrite) = forward.rewrite.as_ref().filter(|_| path != "*") else {
        return Ok(Cow::Borrowed(path));
    };
    match &rewrite.path {
        PathRewrite::Keep => Ok(Cow::Borrowed(path)),
        PathRewrite::Matched(replacement) => {
            replaced(&route.details.matcher.path, path, replacement).map(Cow::Owned)
        }
        PathRewrite::Regex(regex) => match regex.replaced(path) {
            Ok(None) => Ok(Cow::Borrowed(path)),
            Ok(Some(made)) if path::is_canonical(&made) => Ok(Cow::Owned(made)),
            Ok(Some(_)) | Err(Unusable::NotText) => Err(Refused::Unusable),
            Err(Unusable::TooMuch) => Err(Refused::Costly),
        },
    }
}

/// The authority to send to the upstream: that of the rewrite, else of the route's header edits,
/// else of the destination's, else the request's. What holds for the whole route goes before what
/// holds for one destination, as in Istio.
pub fn authority<'a>(
    route: &'a Route,
    forward: &'a Forward,
    destination: &'a Destination,
    authority: &'a str,
) -> &'a str {
    let rewritten = forward.rewrite.as_ref();
    let edits = [&route.request_headers, &destination.request_headers];
    rewritten
        .and_then(|rewrite| rewrite.authority.as_deref())
        .or_else(|| {
            let mut edits = edits.into_iter().flatten();
            edits.find_map(|edits| edits.authority.as_deref())
        })
        .unwrap_or(authority)
}

/// Edits of the request's header fields, in the order they are applied in: the route has the last
/// word over its destinations, as in Envoy and as for the authority.
pub fn request_edits<'t>(
    route: &'t Route,
    destination: Option<&'t Destination>,
) -> impl Iterator<Item = &'t Edits> + Clone {
    let destination = destination.and_then(|destination| destination.request_headers.as_deref());
    [destination, route.request_headers.as_deref()]
        .into_iter()
        .flatten()
}

/// Edits of the response's header fields, in the order they are applied in. Without a destination:
/// of an answer that the route itself gives.
pub fn response_edits<'t>(
    route: &'t Route,
    destination: Option<&'t Destination>,
) -> impl Iterator<Item = &'t Edits> + Clone {
    let destination = destination.and_then(|destination| destination.response_headers.as_deref());
    [destination, route.response_headers.as_deref()]
        .into_iter()
        .flatten()
}

/// The `Location` of a redirect to a path without escaped slashes. Absolute: a path that begins
/// with two slashes would be taken for another host's (RFC 3986 section 4.2).
pub fn unescaped(scheme: &str, authority: &str, path: &str, query: Option<&str>) -> String {
    let mut location = format!("{scheme}://{authority}{path}");
    if let Some(query) = query {
        location.push('?');
        location.push_str(query);
    }
    location
}

/// The `Location` of a redirect: always an absolute URI.
///
/// The scheme is the redirect's, else the request's. The authority is the redirect's, as it is
/// written, else the request's; its port then follows [`RedirectPort`]. A default port is never
/// written, and a request's port that is the default of the old scheme does not outlive a change of
/// scheme.
///
/// # Errors
/// As [`path()`].
pub fn location<H: Headers + ?Sized>(
    redirect: &Redirect,
    route: &Route,
    request: &Request<'_, H>,
) -> Result<String, Refused> {
    let scheme = redirect.scheme.as_deref().unwrap_or(request.scheme);
    let authority = redirect.authority.as_deref().unwrap_or(request.authority);
    let (host, named) = split_port(authority);
    let requested = request.listener_port.to_string();
    let chosen = redirect_port(redirect.port);
    let port = match &chosen {
        Port::Named => named.filter(|port| {
            redirect.authority.is_some() || default_port(request.scheme) != Some(port)
        }),
        Port::Number(port) => Some(port.as_str()),
        Port::Default => None,
        Port::Requested => Some(requested.as_str()),
    };
    let port = port.filter(|port| default_port(scheme) != Some(port));
    let path = match &redirect.path {
        RedirectPath::Keep => Cow::Borrowed(request.path),
        RedirectPath::Full(path) => Cow::Borrowed(path.as_str()),
        RedirectPath::Prefix(replacement) => Cow::Owned(replaced(
            &route.details.matcher.path,
            request.path,
            replacement,
        )?),
    };

    let mut location = format!("{scheme}://{host}");
    if let Some(port) = port {
        location.push(':');
        location.push_str(port);
    }
    if !path.starts_with('/') {
        location.push('/');
    }
    // A fragment, which only configuration has, ends the reference (RFC 3986 section 4.2).
    let (path, fragment) = path.split_at(path.find('#').unwrap_or(path.len()));
    location.push_str(path);
    if let Some(query) = request.query.filter(|_| !path.contains('?')) {
        location.push('?');
        location.push_str(query);
    }
    location.push_str(fragment);
    Ok(location)
}

enum Port {
    Named,
    Number(String),
    Default,
    Requested,
}

fn redirect_port(port: RedirectPort) -> Port {
    match port {
        RedirectPort::Authority => Port::Named,
        RedirectPort::Port(port) => Port::Number(port.to_string()),
        RedirectPort::FromProtocolDefault => Port::Default,
        RedirectPort::FromRequestPort => Port::Requested,
    }
}

fn default_port(scheme: &str) -> Option<&'static str> {
    match scheme {
        "http" => Some("80"),
        "https" => Some("443"),
        _ => None,
    }
}

/// `path` with what `condition` matched of it replaced; begins with `/`.
fn replaced(condition: &PathCondition, path: &str, replacement: &str) -> Result<String, Refused> {
    let rest = match condition {
        PathCondition::Any => path,
        PathCondition::ElementPrefix { text, .. } => {
            let rest = path.get(text.len()..).unwrap_or_default();
            return elements_replaced(replacement, rest);
        }
        PathCondition::Prefix { text, .. } => path.get(text.len()..).unwrap_or_default(),
        PathCondition::Exact { .. } | PathCondition::Regex(_) => "",
    };
    let rest = match replacement.ends_with('/') {
        true => rest.strip_prefix('/').unwrap_or(rest),
        false => rest,
    };
    let mut made = String::with_capacity(1 + replacement.len() + rest.len());
    let begin = match replacement {
        "" => rest,
        _ => replacement,
    };
    if !begin.starts_with('/') {
        made.push('/');
    }
    made.push_str(replacement);
    made.push_str(rest);
    canonical(made)
}

/// What is left behind a prefix of elements is empty or begins with `/`, so the replacement's own
/// slash at its end is one too many.
fn elements_replaced(replacement: &str, rest: &str) -> Result<String, Refused> {
    let replacement = replacement.strip_suffix('/').unwrap_or(replacement);
    let mut made = String::with_capacity(1 + replacement.len() + rest.len());
    if !replacement.is_empty() && !replacement.starts_with('/') {
        made.push('/');
    }
    made.push_str(replacement);
    made.push_str(rest);
    if made.is_empty() {
        made.push('/');
    }
    canonical(made)
}

fn canonical(made: String) -> Result<String, Refused> {
    match path::is_canonical(&made) {
        true => Ok(made),
        false => Err(Refused::Escapes),
    }
}
