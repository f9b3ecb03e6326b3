//! Which form of a path is made: the canonical one, less or more (`http.path_normalization` and
//! `http.escaped_slashes` of the tuning file).
//!
//! The order is Envoy's: escaped slashes first, then what [`canonical`] does,
//! then slashes are merged. Whatever is made is made again of itself, so what is matched, judged
//! and sent on is one text.

use std::borrow::Cow;

use ringmain_config::tuning::{EscapedSlashes, Http, PathNormalization};

use super::{Refused, canonical, parts};

/// What is made of paths. The default is what [`canonical`] makes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    normalization: PathNormalization,
    escaped_slashes: EscapedSlashes,
}

/// A path in the form that a policy asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Made<'a> {
    /// To match and to send on.
    Path(Cow<'a, str>),
    /// To send the client to, with 307 and the query of its request; 400 when the request is gRPC,
    /// whose clients follow no redirect.
    Redirect(String),
}

impl Policy {
    /// As `http` says.
    pub fn of(http: &Http) -> Self {
        let escaped_slashes = match (http.path_normalization, http.escaped_slashes) {
            (PathNormalization::DecodeAndMergeSlashes, EscapedSlashes::Keep) => {
                EscapedSlashes::UnescapeAndForward
            }
            (_, escaped_slashes) => escaped_slashes,
        };
        Self {
            normalization: http.path_normalization,
            escaped_slashes,
        }
    }

    /// It asks for what [`canonical`] makes, so that a path that is known to be
    /// canonical need not be looked at.
    pub fn is_default(self) -> bool {
        self == Self::default()
    }

    /// Splits a request target into path and query, as [`split`](super::split), and makes the form
    /// of the path.
    ///
    /// # Errors
    /// Answer 400.
    pub fn split(self, target: &str) -> Result<(Made<'_>, Option<&str>), Refused> {
        let (path, query) = parts(target)?;
        Ok((self.make(path)?, query))
    }

    /// The form of `path`, borrowed when it has it already. The path of `*` is `*`; an empty path
    /// is `/`.
    ///
    /// # Errors
    /// Answer 400.
    pub fn make(self, path: &str) -> Result<Made<'_>, Refused> {
        if self.is_default() || matches!(path, "" | "*") {
            return canonical(path).map(Made::Path);
        }
        let unescaped = match self.escaped_slashes {
            EscapedSlashes::Keep => Cow::Borrowed(path),
            EscapedSlashes::Reject if has_escaped_slash(path) => {
                return Err(Refused::EscapedSlash);
            }
            EscapedSlashes::Reject => Cow::Borrowed(path),
            EscapedSlashes::UnescapeAndRedirect | EscapedSlashes::UnescapeAndForward => {
                unescaped(path)
            }
        };
        let is_unescaped = matches!(unescaped, Cow::Owned(_));
        let made = self.normalized(unescaped)?;
        match self.escaped_slashes {
            EscapedSlashes::UnescapeAndRedirect if is_unescaped => {
                Ok(Made::Redirect(made.into_owned()))
            }
            _ => Ok(Made::Path(made)),
        }
    }

    fn normalized(self, path: Cow<'_, str>) -> Result<Cow<'_, str>, Refused> {
        match self.normalization {
            PathNormalization::None => checked(path),
            PathNormalization::Base => canonical_of(path),
            PathNormalization::MergeSlashes | PathNormalization::DecodeAndMergeSlashes => {
                canonical_of(path).map(merged)
            }
        }
    }
}

fn canonical_of(path: Cow<'_, str>) -> Result<Cow<'_, str>, Refused> {
    match path {
        Cow::Borrowed(path) => canonical(path),
        Cow::Owned(path) => canonical(&path).map(|made| Cow::Owned(made.into_owned())),
    }
}

/// What no policy lets pass.
fn checked(path: Cow<'_, str>) -> Result<Cow<'_, str>, Refused> {
    match path.as_bytes() {
        path if path.contains(&0) || contains(path, b"%00") => Err(Refused::Nul),
        path if path.contains(&b'#') => Err(Refused::Fragment),
        [b'/', ..] => Ok(path),
        _ => Err(Refused::NotRooted),
    }
}

fn contains(path: &[u8], escape: &[u8; 3]) -> bool {
    path.windows(3)
        .any(|three| three.eq_ignore_ascii_case(escape))
}

fn has_escaped_slash(path: &str) -> bool {
    let path = path.as_bytes();
    contains(path, b"%2f") || contains(path, b"%5c")
}

/// `%2F` becomes `/`, `%5C` becomes `\`.
fn unescaped(path: &str) -> Cow<'_, str> {
    if !has_escaped_slash(path) {
        return Cow::Borrowed(path);
    }
    let mut made = String::with_capacity(path.len());
    let mut rest = path;
    while let Some(at) = rest.find('%') {
        made.push_str(&rest[..at]);
        let escape = rest.as_bytes().get(at..at + 3);
        let slash = match escape.map(<[u8]>::to_ascii_lowercase).as_deref() {
            Some(b"%2f") => Some('/'),
            Some(b"%5c") => Some('\\'),
            _ => None,
        };
        made.push(slash.unwrap_or('%'));
        rest = &rest[at + if slash.is_some() { 3 } else { 1 }..];
    }
    made.push_str(rest);
    Cow::Owned(made)
}

/// Of neighbouring slashes one is left.
fn merged(path: Cow<'_, str>) -> Cow<'_, str> {
    if !path.contains("//") {
        return path;
    }
    let mut made = String::with_capacity(path.len());
    for character in path.chars() {
        if character != '/' || !made.ends_with('/') {
            made.push(character);
        }
    }
    Cow::Owned(made)
}

#[cfg(test)]
mod tests {
    use EscapedSlashes::{Keep, Reject, UnescapeAndForward, UnescapeAndRedirect};
    use PathNormalization::{Base, DecodeAndMergeSlashes, MergeSlashes, None as Nothing};
    use proptest::prelude::*;

    use super::*;

    fn policy(normalization: PathNormalization, escaped_slashes: EscapedSlashes) -> Policy {
        Policy::of(&Http {
            path_normalization: normalization,
            escaped_slashes,
            ..Http::default()
        })
    }

    /// What becomes of a path: itself, `-> /a` for a redirect, or the word for the log.
    fn made(policy: Policy, path: &str) -> String {
        match policy.make(path) {
            Ok(Made::Path(path)) => path.into_owned(),
            Ok(Made::Redirect(path)) => format!("-> {path}"),
            Err(refused) => refused.reason().to_owned(),
        }
    }

    #[test]
    fn normalizations() {
        for (path, none, base, merge, decode) in [
            ("/a", "/a", "/a", "/a", "/a"),
            ("", "/", "/", "/", "/"),
            ("*", "*", "*", "*", "*"),
            ("/a/../b", "/a/../b", "/b", "/b", "/b"),
            ("/a//b", "/a//b", "/a//b", "/a/b", "/a/b"),
            ("//", "//", "//", "/", "/"),
            ("/a\\b", "/a\\b", "/a/b", "/a/b", "/a/b"),
            ("/%61", "/%61", "/a", "/a", "/a"),
            ("/a%2fb", "/a%2fb", "/a%2fb", "/a%2fb", "/a/b"),
            ("/a%5Cb", "/a%5Cb", "/a%5Cb", "/a%5Cb", "/a/b"),
            ("/a/%2F/b", "/a/%2F/b", "/a/%2F/b", "/a/%2F/b", "/a/b"),
            (
                "/a%2F..%2Fb",
                "/a%2F..%2Fb",
                "/a%2F..%2Fb",
                "/a%2F..%2Fb",
                "/b",
            ),
            ("/%252F", "/%252F", "/%252F", "/%252F", "/%252F"),
            ("/%2%2F", "/%2%2F", "/%2%2F", "/%2%2F", "/%2/"),
            ("/a//../b", "/a//../b", "/a/b", "/a/b", "/a/b"),
            ("/%00", "path.nul", "path.nul", "path.nul", "path.nul"),
            (
                "a",
                "path.not_rooted",
                "path.not_rooted",
                "path.not_rooted",
                "path.not_rooted",
            ),
            (
                "/#",
                "path.fragment",
                "path.fragment",
                "path.fragment",
                "path.fragment",
            ),
        ] {
            let all = [(Nothing, none), (Base, base), (MergeSlashes, merge)];
            for (normalization, expected) in
                all.into_iter().chain([(DecodeAndMergeSlashes, decode)])
            {
                let found = made(policy(normalization, Keep), path);
                assert_eq!(found, expected, "{normalization:?} {path}");
            }
        }
    }

    #[test]
    fn escaped_slashes() {
        for (path, reject, redirect, forward) in [
            ("/a/b", "/a/b", "/a/b", "/a/b"),
            ("/a%2Fb", "path.escaped_slash", "-> /a/b", "/a/b"),
            ("/a%5cb", "path.escaped_slash", "-> /a/b", "/a/b"),
            ("/a%2F..%2fb/./c", "path.escaped_slash", "-> /b/c", "/b/c"),
            ("/a/./b", "/a/b", "/a/b", "/a/b"),
            ("/%252F", "/%252F", "/%252F", "/%252F"),
        ] {
            for (escaped_slashes, expected) in [
                (Reject, reject),
                (UnescapeAndRedirect, redirect),
                (UnescapeAndForward, forward),
            ] {
                let found = made(policy(Base, escaped_slashes), path);
                assert_eq!(found, expected, "{escaped_slashes:?} {path}");
            }
        }
        assert_eq!(made(policy(Nothing, Reject), "/%2f"), "path.escaped_slash");
        assert_eq!(
            made(policy(DecodeAndMergeSlashes, Reject), "/%2f"),
            "path.escaped_slash"
        );
    }

    #[test]
    fn the_query_stays() {
        let policy = policy(MergeSlashes, UnescapeAndForward);
        let (path, query) = policy.split("/a//b?c=//%2F").unwrap();
        assert_eq!(path, Made::Path(Cow::Borrowed("/a/b")));
        assert_eq!(query, Some("c=//%2F"));
        assert_eq!(policy.split("/a?b#c"), Err(Refused::Fragment));
    }

    proptest! {
        #[test]
        fn stays_as_made(
            pieces in prop::collection::vec(
                prop::sample::select(vec![
                    "/", "..", ".", "//", "%2f", "%5C", "%2", "%", "2F", "f", "%2e", "%25", "\\",
                    "a",
                ]),
                0..12,
            ),
        ) {
            let path = format!("/{}", pieces.concat());
            for normalization in [Nothing, Base, MergeSlashes, DecodeAndMergeSlashes] {
                for escaped_slashes in [Keep, Reject, UnescapeAndRedirect, UnescapeAndForward] {
                    let policy = policy(normalization, escaped_slashes);
                    let made = match policy.make(&path) {
                        Ok(Made::Path(made)) => made.into_owned(),
                        Ok(Made::Redirect(made)) => made,
                        Err(_) => continue,
                    };
                    prop_assert!(made.len() <= path.len());
                    let again = policy.make(&made);
                    prop_assert_eq!(again, Ok(Made::Path(Cow::Borrowed(made.as_str()))));
                    if normalization != Nothing {
                        prop_assert!(super::super::is_canonical(&made));
                    }
                }
            }
        }
    }
}
