//! What a route changes of a request's target: the compiled form of what the Document says, and the
//! replacement by a regular expression (`HTTPRewrite.uriRegexRewrite`).
//!
//! Where a match is, two complete automata say, as for conditions ([`super::regex`]); they cost 1
//! to 2 ns for each byte. What the groups in it matched is found by a simulation, whose time for
//! each byte grows with the pattern, and so is everything when a pattern's automata would be too
//! large. Every match is replaced. Since many matches can each look at the rest of the path, the
//! work for one path is bounded ([`WORK_MAX`]).

use regex_automata::{
    Anchored, Input, Match, MatchKind,
    dfa::{StartKind, dense, regex::Regex as Finder},
    nfa::thompson::{
        self,
        pikevm::{Cache, PikeVM},
    },
    util::captures::Captures,
};
use regex_syntax::hir::Hir;
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
    Regex(Box<RegexRewrite>),
}

/// Largest simulated automaton of a pattern: a thousand states. Usual ones need 1 to 8 KiB.
pub const NFA_BYTES_MAX: usize = 64 << 10;
/// Work for one path, in bytes that are looked at by an automaton, or bytes by states of a
/// simulation: 2 ms, or 20 ms. A path of 1 KiB with a thousand matches needs half of it.
pub const WORK_MAX: usize = 1 << 20;
/// Longest path that is made: no server takes a longer one.
pub const PATH_BYTES_MAX: usize = 64 << 10;

/// Replaces every match in a path.
pub struct RegexRewrite {
    source: config::RegexRewrite,
    /// `None`: it would be too large.
    finder: Option<Finder>,
    machine: PikeVM,
    /// Some piece is a group of the pattern.
    needs_groups: bool,
    substitution: Box<[Piece]>,
}

/// A part of what stands in place of a match.
#[derive(Debug, PartialEq, Eq)]
enum Piece {
    Text(Box<str>),
    /// What this group matched; 0 for the whole match.
    Group(usize),
}

/// Why there is no replacement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unusable {
    /// What comes of it is not UTF-8.
    NotText,
    /// It takes more than [`WORK_MAX`], or makes more than [`PATH_BYTES_MAX`].
    TooMuch,
}

impl RegexRewrite {
    /// # Errors
    /// What is wrong with it, as a sentence.
    pub fn compile(source: &config::RegexRewrite) -> Result<Self, String> {
        let pattern = &source.pattern;
        let parsed = regex::parse(pattern)?;
        let nfa = thompson::Compiler::new()
            .configure(syntax(&parsed).nfa_size_limit(Some(NFA_BYTES_MAX)))
            .build_from_hir(&parsed);
        let machine = nfa.and_then(PikeVM::new_from_nfa).map_err(|error| {
            let shown = regex::shown(pattern);
            match error.size_limit() {
                Some(_) => regex::too_large(pattern, NFA_BYTES_MAX),
                None => format!("regular expression {shown} is not supported: {error}"),
            }
        })?;
        let groups = machine.get_nfa().group_info().group_len(0.into());
        let substitution = pieces(&source.substitution, groups)?;
        Ok(Self {
            needs_groups: substitution
                .iter()
                .any(|piece| matches!(piece, Piece::Group(1..))),
            finder: finder(&parsed),
            substitution,
            machine,
            source: source.clone(),
        })
    }

    /// `path` with every match replaced; `None` when there is none.
    ///
    /// # Errors
    /// When the result is not UTF-8, or would take too much.
    pub fn replaced(&self, path: &str) -> Result<Option<String>, Unusable> {
        let mut search = Search {
            rewrite: self,
            path,
            cache: None,
            work: 0,
        };
        let mut made = Vec::new();
        let mut end = 0;
        let mut is_found = false;
        let mut from = 0;
        while let Some(found) = search.next(from)? {
            // An empty match right behind another one is none.
            if found.is_empty() && is_found && found.start() == end {
                from = past(path, found.start());
                continue;
            }
            is_found = true;
            made.extend_from_slice(&path.as_bytes()[end..found.start()]);
            search.substitute(found, &mut made)?;
            end = found.end();
            from = end;
        }
        if !is_found {
            return Ok(None);
        }
        made.extend_from_slice(&path.as_bytes()[end..]);
        String::from_utf8(made)
            .map(Some)
            .map_err(|_| Unusable::NotText)
    }

    /// As it was written.
    pub fn source(&self) -> &config::RegexRewrite {
        &self.source
    }
}

/// The next place in `path` behind `at`, between two characters; behind the end there is none.
fn past(path: &str, at: usize) -> usize {
    let next = path.get(at..).and_then(|rest| rest.chars().next());
    at + next.map_or(1, char::len_utf8)
}

/// The matches in one path.
struct Search<'r, 'p> {
    rewrite: &'r RegexRewrite,
    path: &'p str,
    /// Of the simulation, once it is needed.
    cache: Option<(Cache, Captures)>,
    /// So far.
    work: usize,
}

impl Search<'_, '_> {
    /// The first match at `from` or behind it.
    fn next(&mut self, from: usize) -> Result<Option<Match>, Unusable> {
        let Some(rest) = self.path.len().checked_sub(from) else {
            return Ok(None);
        };
        let Some(finder) = &self.rewrite.finder else {
            return self.simulate(Input::new(self.path).range(from..));
        };
        self.spend(rest + 1)?;
        // No quit bytes are configured, so a search cannot fail.
        let found = finder.try_search(&Input::new(self.path).range(from..));
        Ok(found.ok().flatten())
    }

    /// Writes what stands in place of a match.
    fn substitute(&mut self, found: Match, made: &mut Vec<u8>) -> Result<(), Unusable> {
        if self.rewrite.needs_groups && self.rewrite.finder.is_some() {
            let input = Input::new(self.path).range(found.range());
            self.simulate(input.anchored(Anchored::Yes))?;
        }
        let captures = self.cache.as_ref().map(|(_, captures)| captures);
        for piece in &self.rewrite.substitution {
            let part = match piece {
                Piece::Text(text) => text.as_bytes(),
                Piece::Group(0) => &self.path.as_bytes()[found.range()],
                Piece::Group(group) => {
                    let span = captures.and_then(|captures| captures.get_group(*group));
                    span.map_or(&[][..], |span| &self.path.as_bytes()[span.range()])
                }
            };
            if made.len() + part.len() > PATH_BYTES_MAX {
                return Err(Unusable::TooMuch);
            }
            made.extend_from_slice(part);
        }
        Ok(())
    }

    /// The first match in `input`, with its groups.
    fn simulate(&mut self, input: Input<'_>) -> Result<Option<Match>, Unusable> {
        let machine = &self.rewrite.machine;
        let states = machine.get_nfa().states().len();
        self.spend((input.get_span().len() + 1) * states)?;
        let new = || (machine.create_cache(), machine.create_captures());
        let (cache, captures) = self.cache.get_or_insert_with(new);
        machine.captures(cache, input, captures);
        Ok(captures.get_match())
    }

    fn spend(&mut self, work: usize) -> Result<(), Unusable> {
        self.work += work;
        match self.work > WORK_MAX {
            true => Err(Unusable::TooMuch),
            false => Ok(()),
        }
    }
}

/// Empty matches stand between characters.
fn syntax(parsed: &Hir) -> thompson::Config {
    thompson::Config::new().utf8(parsed.properties().is_utf8())
}

/// What finds matches by two complete automata; `None` when they would be too large.
fn finder(parsed: &Hir) -> Option<Finder> {
    let limit = Some(regex::AUTOMATON_BYTES_MAX);
    let dense = |is_reverse: bool, dense: dense::Config| {
        let syntax = syntax(parsed).reverse(is_reverse).nfa_size_limit(limit);
        let nfa = thompson::Compiler::new()
            .configure(syntax.which_captures(thompson::WhichCaptures::None))
            .build_from_hir(parsed);
        let sized = dense.dfa_size_limit(limit).accelerate(false);
        dense::Builder::new()
            .configure(sized.determinize_size_limit(Some(regex::BUILD_BYTES_MAX)))
            .build_from_nfa(&nfa.ok()?)
            .ok()
    };
    let forward = dense(false, dense::Config::new())?;
    // Found from its end, the match is the longest one that begins before.
    let backward = dense::Config::new()
        .match_kind(MatchKind::All)
        .start_kind(StartKind::Anchored);
    Some(Finder::builder().build_from_dfas(forward, dense(true, backward)?))
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
        assert_eq!(bytes.replaced("/\u{e9}"), Err(Unusable::NotText));
        let path = |count| format!("/{}", "a".repeat(count));
        let each = compile("a", "b").unwrap();
        let all = format!("/{}", "b".repeat(1000));
        assert_eq!(each.replaced(&path(1000)), Ok(Some(all)));
        let far = compile("/?(a[ab]*c|a)", "b").unwrap();
        assert!(far.replaced(&path(1000)).is_ok());
        assert_eq!(far.replaced(&path(15_000)), Err(Unusable::TooMuch));
        let growing = compile("a", &"x".repeat(1000)).unwrap();
        assert_eq!(growing.replaced(&path(100)), Err(Unusable::TooMuch));
    }

    /// What no match is found for costs little, however ambiguous the pattern is.
    #[test]
    fn long_paths() {
        let path = format!("/cap/{}", "a/".repeat(7500));
        let none = compile("([a-z]+[0-9]?){1,40}!", "b").unwrap();
        assert!(none.finder.is_some());
        assert_eq!(none.replaced(&path), Ok(None));
        let groups = compile("^/cap/(.*)/(.*)/(.*)$", r"/\3").unwrap();
        assert_eq!(groups.replaced(&path), Ok(Some("/".to_owned())));
    }

    /// A pattern whose automata would be too large finds the same by simulation.
    #[test]
    fn finders_agree() {
        for (pattern, substitution, path) in [
            ("x*", "-", "/axx\u{e9}x"),
            ("(a|ab)(c|bcd)?", r"<\1\2>", "/abcd/abc/ac/a"),
            (r"\bb\b", "c", "/b/bb/b"),
            ("^|/$", "!", "/a/"),
            ("(?:)", ".", "\u{e9}a"),
            ("[^/]+", r"\0", "/a\u{e9}/b"),
        ] {
            let both = compile(pattern, substitution).unwrap();
            let found = both.replaced(path);
            let simulated = RegexRewrite {
                finder: None,
                ..both
            };
            assert!(found.is_ok());
            assert_eq!(simulated.replaced(path), found, "{pattern} {path}");
        }
    }

    #[test]
    fn what_is_refused() {
        for (pattern, substitution, expected) in [
            ("(", "", "is not a regular expression: unclosed group"),
            ("[ab]{9000}", "", "needs an automaton of more than 64 KiB"),
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
