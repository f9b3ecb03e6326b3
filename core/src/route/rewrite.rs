//! What a route changes of a request's target: the compiled form of what the Document says, and the
//! replacement by a regular expression (`HTTPRewrite.uriRegexRewrite`).
//!
//! A replacement by regular expression needs to know what groups matched, which the automata of
//! [`super::regex`] do not. It is found by a simulation that takes memory for each request and, for
//! each byte, time by the size of the pattern; so the pattern and the number of replacements are
//! bounded ([`NFA_BYTES_MAX`], [`REPLACEMENTS_MAX`]).

use regex_automata::{
    Input,
    nfa::thompson::{self, pikevm::PikeVM},
};
use ringmain_config::route as config;

use super::regex;

/// Changes to path and authority.
#[derive(Debug)]
pub struct Rewrite {
    /// What becomes of the path.
    pub path: PathRewrite,
    /// Replaces the authority.
    pub authority: Option<Box<str>>,
}

/// What becomes of a path.
#[derive(Debug)]
pub enum PathRewrite {
    /// It stays.
    Keep,
    /// What the route's path condition matched is replaced by this.
    Matched(Box<str>),
    /// What a regular expression matches is replaced.
    Regex(RegexRewrite),
}

/// Largest automaton of a pattern: a few hundred states. Usual ones need 1 to 3 KiB.
pub const NFA_BYTES_MAX: usize = 16 << 10;
/// Replacements in one path; one that needs more is refused.
pub const REPLACEMENTS_MAX: usize = 64;

/// Replaces every match in a path.
pub struct RegexRewrite {
    source: config::RegexRewrite,
    machine: PikeVM,
    substitution: Box<[Piece]>,
}

/// A part of what stands in place of a match.
#[derive(Debug, PartialEq, Eq)]
enum Piece {
    Text(Box<str>),
    /// What this group matched; 0 for the whole match.
    Group(usize),
}

/// What the replacements make of a path cannot be one, or there are too many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unusable;

impl RegexRewrite {
    /// # Errors
    /// What is wrong with it, as a sentence.
    pub fn compile(source: &config::RegexRewrite) -> Result<Self, String> {
        let pattern = &source.pattern;
        let parsed = regex::parse(pattern)?;
        let syntax = thompson::Config::new()
            .utf8(false)
            .nfa_size_limit(Some(NFA_BYTES_MAX));
        let nfa = thompson::Compiler::new()
            .configure(syntax)
            .build_from_hir(&parsed);
        let machine = nfa.and_then(PikeVM::new_from_nfa).map_err(|error| {
            let shown = regex::shown(pattern);
            match error.size_limit() {
                Some(_) => format!(
                    "regular expression {shown} needs an automaton of more than {} KiB",
                    NFA_BYTES_MAX >> 10
                ),
                None => format!("regular expression {shown} is not supported: {error}"),
            }
        })?;
        let groups = machine.get_nfa().group_info().group_len(0.into());
        Ok(Self {
            substitution: pieces(&source.substitution, groups)?,
            machine,
            source: source.clone(),
        })
    }

    /// `path` with every match replaced; `None` when there is none.
    ///
    /// # Errors
    /// When the result is not UTF-8, or there are more than [`REPLACEMENTS_MAX`] matches.
    pub fn replaced(&self, path: &str) -> Result<Option<String>, Unusable> {
        let mut cache = self.machine.create_cache();
        let mut made = Vec::new();
        let mut end = 0;
        let mut count = 0;
        for found in self.machine.captures_iter(&mut cache, Input::new(path)) {
            count += 1;
            if count > REPLACEMENTS_MAX {
                return Err(Unusable);
            }
            let Some(whole) = found.get_match() else {
                break;
            };
            made.extend_from_slice(&path.as_bytes()[end..whole.start()]);
            end = whole.end();
            for piece in &self.substitution {
                match piece {
                    Piece::Text(text) => made.extend_from_slice(text.as_bytes()),
                    Piece::Group(group) => {
                        let span = found.get_group(*group);
                        made.extend(span.iter().flat_map(|span| &path.as_bytes()[span.range()]));
                    }
                }
            }
        }
        if count == 0 {
            return Ok(None);
        }
        made.extend_from_slice(&path.as_bytes()[end..]);
        String::from_utf8(made).map(Some).map_err(|_| Unusable)
    }

    /// As it was written.
    pub fn source(&self) -> &config::RegexRewrite {
        &self.source
    }
}

/// `groups`: how many the pattern has, the whole match included.
fn pieces(substitution: &str, groups: usize) -> Result<Box<[Piece]>, String> {
    let fits = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'?' | b'#');
    if !substitution.bytes().all(fits) {
        return Err(format!(
            "substitution {substitution:?} holds `?`, `#` or what must be percent-encoded"
        ));
    }
    let mut pieces = Vec::new();
    let mut text = String::new();
    let mut rest = substitution.chars();
    while let Some(next) = rest.next() {
        if next != '\\' {
            text.push(next);
            continue;
        }
        match rest.next() {
            Some('\\') => text.push('\\'),
            Some(digit @ '0'..='9') => {
                let group = digit as usize - '0' as usize;
                if group >= groups {
                    let last = groups - 1;
                    return Err(format!(
                        "substitution {substitution:?} names group {group} of a pattern with {last}"
                    ));
                }
                if !text.is_empty() {
                    pieces.push(Piece::Text(std::mem::take(&mut text).into()));
                }
                pieces.push(Piece::Group(group));
            }
            Some(_) | None => {
                return Err(format!(
                    "substitution {substitution:?} has a `\\` before neither a digit nor another \
                     `\\`"
                ));
            }
        }
    }
    if !text.is_empty() {
        pieces.push(Piece::Text(text.into()));
    }
    Ok(pieces.into())
}

impl std::fmt::Debug for RegexRewrite {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.source.fmt(formatter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compile(pattern: &str, substitution: &str) -> Result<RegexRewrite, String> {
        RegexRewrite::compile(&config::RegexRewrite {
            pattern: pattern.to_owned(),
            substitution: substitution.to_owned(),
        })
    }

    /// Envoy's examples for `regex_rewrite`, and more.
    #[test]
    fn replacements() {
        for (pattern, substitution, path, expected) in [
            (
                "^/service/([^/]+)(/.*)$",
                r"\2/instance/\1",
                "/service/foo/v1/api",
                Some("/v1/api/instance/foo"),
            ),
            (
                "one",
                "two",
                "/xxx/one/yyy/one/zzz",
                Some("/xxx/two/yyy/two/zzz"),
            ),
            (
                "^(.*?)one(.*)$",
                r"\1two\2",
                "/xxx/one/yyy/one/zzz",
                Some("/xxx/two/yyy/one/zzz"),
            ),
            ("(?i)/xxx/", "/yyy/", "/aaa/XxX/bbb", Some("/aaa/yyy/bbb")),
            ("[a-z]+", r"<\0>", "/ab/c", Some("/<ab>/<c>")),
            ("/v([0-9])(x)?", r"/\1\2", "/v1/a", Some("/1/a")),
            ("a", r"\\", "/a", Some("/\\")),
            ("a", "", "/aba", Some("/b")),
            ("x*", "-", "/ax", Some("-/-a-")),
            ("b", "c", "/a", None),
        ] {
            let rewrite = compile(pattern, substitution).unwrap();
            let found = rewrite.replaced(path);
            assert_eq!(found, Ok(expected.map(str::to_owned)), "{pattern} {path}");
        }
    }

    #[test]
    fn what_cannot_be_used() {
        let bytes = compile("(?-u:\\xc3)", "a").unwrap();
        assert_eq!(bytes.replaced("/\u{e9}"), Err(Unusable));
        let each = compile("a", "b").unwrap();
        let path = |count| format!("/{}", "a".repeat(count));
        assert!(each.replaced(&path(REPLACEMENTS_MAX)).is_ok());
        assert_eq!(each.replaced(&path(REPLACEMENTS_MAX + 1)), Err(Unusable));
    }

    #[test]
    fn what_is_refused() {
        for (pattern, substitution, expected) in [
            ("(", "", "is not a regular expression: unclosed group"),
            ("[ab]{9000}", "", "needs an automaton of more than 16 KiB"),
            ("(a)", r"\2", "names group 2 of a pattern with 1"),
            ("a", r"\1", "names group 1 of a pattern with 0"),
            ("a", r"b\", "before neither a digit nor another"),
            ("a", r"\x", "before neither a digit nor another"),
            ("a", "b?c", "holds `?`, `#` or what must be"),
            ("a", "b c", "holds `?`, `#` or what must be"),
        ] {
            let problem = compile(pattern, substitution).unwrap_err();
            assert!(problem.contains(expected), "{problem}");
        }
    }
}
