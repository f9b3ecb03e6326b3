//! Which conditions of HTTP rules hold only where an earlier one holds, so that their rule is never
//! asked. What cannot be told by comparing texts, such as two regular expressions, is taken for
//! different.

use std::{borrow::Cow, collections::HashMap};

use ringmain_config::route::{HeaderMatch, PathMatch, QueryMatch, StringMatch};

use crate::resource::{
    metadata::Labels,
    virtual_service::{GatewayReference, HttpMatch},
};

/// Conditions in the order in which they are asked, and a word about each.
pub(super) struct Earlier<'a, T>(HashMap<(Paths<'a>, Rest<'a>), T>);

/// An earlier condition that takes every request which a later one would take.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Hides<'e, T> {
    /// It asks for the same.
    Same(&'e T),
    /// It asks for less.
    More(&'e T),
}

/// Paths that a condition is met by.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Paths<'a> {
    All,
    Exact(bool, Cow<'a, str>),
    Prefix(bool, Cow<'a, str>),
    Elements(bool, Cow<'a, str>),
    Regex(&'a str),
}

/// Whatever else a condition asks for; `None` for nothing.
type Rest<'a> = Option<(
    [&'a Option<StringMatch>; 3],
    (&'a [HeaderMatch], &'a [QueryMatch]),
    (Option<u16>, &'a Labels, &'a Option<String>),
    &'a [GatewayReference],
)>;

impl<T> Default for Earlier<'_, T> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<'a, T> Earlier<'a, T> {
    /// Takes note of a condition, unless there is one that asks for the same.
    pub(super) fn add(&mut self, condition: &'a HttpMatch, word: T) {
        let key = (Paths::of(condition), rest(condition));
        self.0.entry(key).or_insert(word);
    }

    /// What takes every request that this one would take.
    pub(super) fn hides(&self, condition: &'a HttpMatch) -> Option<Hides<'_, T>> {
        let (paths, rest) = (Paths::of(condition), rest(condition));
        let same = self.0.get(&(paths.clone(), rest));
        if let Some(same) = same {
            return Some(Hides::Same(same));
        }
        let mut rests = vec![rest];
        rests.extend(rest.map(|_| None));
        let mut wider = paths.wider();
        let more = wider.find_map(|paths| {
            let mut rests = rests.iter();
            rests.find_map(|rest| self.0.get(&(paths.clone(), *rest)))
        });
        more.map(Hides::More)
    }
}

impl<'a> Paths<'a> {
    fn of(condition: &'a HttpMatch) -> Self {
        let ignores_case = condition.ignore_uri_case;
        let text = |text: &'a str| match ignores_case {
            true => Cow::Owned(text.to_ascii_lowercase()),
            false => Cow::Borrowed(text),
        };
        match &condition.uri {
            PathMatch::Any => Self::All,
            PathMatch::Prefix(prefix) | PathMatch::ElementPrefix(prefix)
                if matches!(prefix.as_str(), "" | "/") =>
            {
                Self::All
            }
            PathMatch::Exact(path) => Self::Exact(ignores_case, text(path)),
            PathMatch::Prefix(prefix) => Self::Prefix(ignores_case, text(prefix)),
            PathMatch::ElementPrefix(prefix) => Self::Elements(ignores_case, text(prefix)),
            PathMatch::Regex(pattern) => Self::Regex(pattern),
        }
    }

    /// Itself, and what is met by all of its paths.
    fn wider(&self) -> impl Iterator<Item = Self> {
        let (is_exact, ignores_case, text) = match self {
            Self::Exact(ignores_case, text) => (true, *ignores_case, Some(text)),
            Self::Prefix(ignores_case, text) => (false, *ignores_case, Some(text)),
            Self::All | Self::Elements(..) | Self::Regex(_) => (false, false, None),
        };
        let own = text.map(|text| (ignores_case, text.clone().into_owned()));
        let lower = text.filter(|_| !ignores_case);
        let lower = lower.map(|text| (true, text.to_ascii_lowercase()));
        let texts: Vec<_> = own.into_iter().chain(lower).collect();
        let exact: Vec<_> = texts.iter().filter(|_| is_exact).cloned().collect();
        let exact = exact
            .into_iter()
            .map(|(ignores_case, text)| Self::Exact(ignores_case, Cow::Owned(text)));
        let prefixes = texts.into_iter().flat_map(|(ignores_case, text)| {
            let ends: Vec<_> = text
                .char_indices()
                .map(|(at, next)| at + next.len_utf8())
                .collect();
            ends.into_iter()
                .map(move |end| Self::Prefix(ignores_case, Cow::Owned(text[..end].to_owned())))
        });
        [self.clone(), Self::All]
            .into_iter()
            .chain(exact)
            .chain(prefixes)
    }
}

fn rest(condition: &HttpMatch) -> Rest<'_> {
    let HttpMatch {
        name: _,
        uri: _,
        ignore_uri_case: _,
        scheme,
        method,
        authority,
        headers,
        query_params,
        port,
        source_labels,
        source_namespace,
        gateways,
    } = condition;
    let is_empty = [scheme, method, authority]
        .iter()
        .all(|text| text.is_none())
        && headers.is_empty()
        && query_params.is_empty()
        && port.is_none()
        && source_labels.is_empty()
        && source_namespace.is_none()
        && gateways.is_empty();
    (!is_empty).then_some((
        [scheme, method, authority],
        (headers, query_params),
        (*port, source_labels, source_namespace),
        gateways,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn condition(path: PathMatch, ignore_uri_case: bool, method: Option<&str>) -> HttpMatch {
        HttpMatch {
            uri: path,
            ignore_uri_case,
            method: method.map(|method| StringMatch::Exact(method.to_owned())),
            ..HttpMatch::default()
        }
    }

    #[test]
    fn what_hides_what() {
        let exact = |text: &str| PathMatch::Exact(text.to_owned());
        let prefix = |text: &str| PathMatch::Prefix(text.to_owned());
        let regex = |text: &str| PathMatch::Regex(text.to_owned());
        let put = Some("PUT");
        let (same, more) = (Some(Hides::Same(&7)), Some(Hides::More(&7)));
        for ((first, ignores, method), (second, other_ignores, other_method), expected) in [
            (
                (exact("/a"), false, None),
                (exact("/a"), false, None),
                &same,
            ),
            (
                (prefix("/"), false, None),
                (PathMatch::Any, false, None),
                &same,
            ),
            (
                (prefix("/x"), false, None),
                (prefix("/x/z"), false, None),
                &more,
            ),
            (
                (prefix("/x"), false, None),
                (exact("/x"), false, None),
                &more,
            ),
            (
                (prefix("/x"), false, None),
                (prefix("/x"), false, put),
                &more,
            ),
            (
                (prefix("/x"), false, put),
                (prefix("/x/y"), false, put),
                &more,
            ),
            (
                (prefix("/x"), false, put),
                (prefix("/x/y"), false, None),
                &None,
            ),
            (
                (prefix("/x/z"), false, None),
                (prefix("/x"), false, None),
                &None,
            ),
            (
                (exact("/x"), false, None),
                (prefix("/x"), false, None),
                &None,
            ),
            (
                (prefix("/X"), true, None),
                (exact("/x/Y"), false, None),
                &more,
            ),
            ((exact("/X"), true, None), (exact("/x"), false, None), &more),
            (
                (prefix("/x"), false, None),
                (prefix("/x"), true, None),
                &None,
            ),
            (
                (PathMatch::Any, false, None),
                (regex("/.*"), false, None),
                &more,
            ),
            (
                (regex("/.*"), false, None),
                (regex("/.*"), false, put),
                &more,
            ),
            (
                (regex("/.*"), false, None),
                (regex("/.+"), false, None),
                &None,
            ),
        ] {
            let earlier = condition(first, ignores, method);
            let later = condition(second, other_ignores, other_method);
            let mut seen = Earlier::default();
            seen.add(&earlier, 7);
            assert_eq!(seen.hides(&later), *expected, "{earlier:?} {later:?}");
        }
    }
}
