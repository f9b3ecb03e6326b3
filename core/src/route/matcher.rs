//! The conditions of one route, and the first of them that a request does not meet.
//!
//! Routing and `explain` call the same functions: what is reported as the reason for which a route
//! was passed over is what made routing pass it over.

use std::{borrow::Cow, fmt, sync::Arc};

use super::{Request, regex::Regex};
use crate::{affinity::parameter, header::Headers};

/// All conditions of a route.
#[derive(Debug)]
pub struct Matcher {
    /// On the path.
    pub path: PathCondition,
    /// On everything else.
    pub conditions: Box<[Condition]>,
}

impl Matcher {
    /// The first condition that `request` does not meet; `None` when the route matches.
    pub fn first_unmet<H: Headers + ?Sized>(&self, request: &Request<'_, H>) -> Option<Unmet<'_>> {
        if !self.path.is_met(request.path) {
            return Some(Unmet::Path(&self.path));
        }
        self.first_unmet_beyond_path(request).map(Unmet::Other)
    }

    /// For a route that the index found by its path: of the path only a regular expression is left
    /// to be asked.
    pub(super) fn is_met_behind_index<H: Headers + ?Sized>(
        &self,
        request: &Request<'_, H>,
    ) -> bool {
        let path = match &self.path {
            PathCondition::Regex(regex) => regex.is_match(request.path.as_bytes()),
            PathCondition::Any
            | PathCondition::Exact { .. }
            | PathCondition::Prefix { .. }
            | PathCondition::ElementPrefix { .. } => true,
        };
        path && self.first_unmet_beyond_path(request).is_none()
    }

    fn first_unmet_beyond_path<H: Headers + ?Sized>(
        &self,
        request: &Request<'_, H>,
    ) -> Option<&Condition> {
        self.conditions
            .iter()
            .find(|condition| !condition.is_met(request))
    }
}

/// A condition on the path.
#[derive(Debug)]
pub enum PathCondition {
    /// Every path.
    Any,
    /// The whole path.
    Exact {
        /// What it must be.
        text: Box<str>,
        /// ASCII case is ignored.
        ignore_case: bool,
    },
    /// A string prefix.
    Prefix {
        /// What it must begin with.
        text: Box<str>,
        /// ASCII case is ignored.
        ignore_case: bool,
    },
    /// A prefix of whole elements.
    ElementPrefix {
        /// What it must begin with, without a slash at the end; empty for every path.
        text: Box<str>,
        /// ASCII case is ignored.
        ignore_case: bool,
    },
    /// The whole path.
    Regex(Arc<Regex>),
}

impl PathCondition {
    /// Does `path` meet it?
    pub fn is_met(&self, path: &str) -> bool {
        let path = path.as_bytes();
        match self {
            Self::Any => true,
            Self::Exact { text, ignore_case } => same(path, text.as_bytes(), *ignore_case),
            Self::Prefix { text, ignore_case } => path
                .get(..text.len())
                .is_some_and(|start| same(start, text.as_bytes(), *ignore_case)),
            Self::ElementPrefix { text, ignore_case } => path
                .split_at_checked(text.len())
                .is_some_and(|(start, rest)| {
                    let is_element = text.is_empty() || matches!(rest, [] | [b'/', ..]);
                    is_element && same(start, text.as_bytes(), *ignore_case)
                }),
            Self::Regex(regex) => regex.is_match(path),
        }
    }
}

fn same(left: &[u8], right: &[u8], ignore_case: bool) -> bool {
    match ignore_case {
        true => left.eq_ignore_ascii_case(right),
        false => left == right,
    }
}

/// A condition on something other than the path.
#[derive(Debug)]
pub enum Condition {
    /// On the method.
    Method(Text),
    /// On the authority as sent.
    Authority(Text),
    /// On the scheme.
    Scheme(Text),
    /// On a header field.
    Header {
        /// Lower case.
        name: Box<str>,
        /// On its value.
        value: Text,
        /// It must not hold; see [`ringmain_config::route::HeaderMatch::invert`].
        invert: bool,
    },
    /// On the first query parameter of a name.
    Query {
        /// With regard to case, not percent-decoded.
        name: Box<str>,
        /// On its value.
        value: Text,
    },
}

impl Condition {
    /// Does `request` meet it?
    pub fn is_met<H: Headers + ?Sized>(&self, request: &Request<'_, H>) -> bool {
        let found = self.found(request);
        match self {
            Self::Method(value)
            | Self::Authority(value)
            | Self::Scheme(value)
            | Self::Query { value, .. }
            | Self::Header {
                value,
                invert: false,
                ..
            } => found.is_some_and(|found| value.is_met(&found)),
            Self::Header {
                value: Text::Present,
                ..
            } => found.is_none(),
            Self::Header { value, .. } => !value.is_met(found.as_deref().unwrap_or_default()),
        }
    }

    /// The part of `request` that it is about; `None` when the request has none.
    pub fn found<'a, H: Headers + ?Sized>(
        &self,
        request: &Request<'a, H>,
    ) -> Option<Cow<'a, [u8]>> {
        let text = |text: &'a str| (!text.is_empty()).then_some(Cow::Borrowed(text.as_bytes()));
        match self {
            Self::Method(_) => text(request.method),
            Self::Authority(_) => text(request.authority),
            Self::Scheme(_) => text(request.scheme),
            Self::Header { name, .. } => request.headers.value(name),
            Self::Query { name, .. } => {
                parameter(request.query?, name).map(|value| Cow::Borrowed(value.as_bytes()))
            }
        }
    }
}

/// A condition on a text.
#[derive(Debug)]
pub enum Text {
    /// The whole of it.
    Exact(Box<str>),
    /// How it begins.
    Prefix(Box<str>),
    /// The whole of it.
    Regex(Arc<Regex>),
    /// Whatever it is.
    Present,
}

impl Text {
    pub(crate) fn is_met(&self, found: &[u8]) -> bool {
        match self {
            Self::Exact(text) => found == text.as_bytes(),
            Self::Prefix(text) => found.starts_with(text.as_bytes()),
            Self::Regex(regex) => regex.is_match(found),
            Self::Present => true,
        }
    }
}

/// A condition that a request did not meet. Its text says what was asked for.
#[derive(Clone, Copy, Debug)]
pub enum Unmet<'a> {
    /// The one on the path.
    Path(&'a PathCondition),
    /// Another one.
    Other(&'a Condition),
}

impl Unmet<'_> {
    /// What the request has where the condition looked, for a message; `None` when it has nothing.
    pub fn found<H: Headers + ?Sized>(&self, request: &Request<'_, H>) -> Option<String> {
        match self {
            Self::Path(_) => Some(request.path.to_owned()),
            Self::Other(condition) => condition
                .found(request)
                .map(|found| String::from_utf8_lossy(&found).into_owned()),
        }
    }
}

impl fmt::Display for Unmet<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => path.fmt(formatter),
            Self::Other(condition) => condition.fmt(formatter),
        }
    }
}

impl fmt::Display for PathCondition {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (verb, text, ignore_case) = match self {
            Self::Any => return formatter.write_str("any path"),
            Self::Exact { text, ignore_case } => ("is", &**text, *ignore_case),
            Self::Prefix { text, ignore_case } => ("begins with", &**text, *ignore_case),
            Self::ElementPrefix { text, ignore_case } => {
                let text = match &**text {
                    "" => "/",
                    text => text,
                };
                ("is or is below", text, *ignore_case)
            }
            Self::Regex(regex) => ("matches", regex.pattern(), false),
        };
        write!(formatter, "path {verb} {text:?}")?;
        match ignore_case {
            true => formatter.write_str(" in any case"),
            false => Ok(()),
        }
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Method(value) => write!(formatter, "method {value}"),
            Self::Authority(value) => write!(formatter, "authority {value}"),
            Self::Scheme(value) => write!(formatter, "scheme {value}"),
            Self::Query { name, value } => write!(formatter, "query parameter {name:?} {value}"),
            Self::Header {
                name,
                value,
                invert: false,
            } => write!(formatter, "header {name:?} {value}"),
            Self::Header { name, value, .. } => {
                write!(formatter, "not: header {name:?} {value}")
            }
        }
    }
}

impl fmt::Display for Text {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(text) => write!(formatter, "is {text:?}"),
            Self::Prefix(text) => write!(formatter, "begins with {text:?}"),
            Self::Regex(regex) => write!(formatter, "matches {:?}", regex.pattern()),
            Self::Present => formatter.write_str("is there"),
        }
    }
}
