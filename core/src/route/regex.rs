//! Regular expressions with RE2's meaning: the whole text must match.
//!
//! Each is compiled into a complete automaton. Matching then reads one table: it needs no scratch
//! memory, so snapshots can be shared by workers without a lock or a cache per worker, and it takes
//! the same time per byte whatever the pattern: 1 to 2 ns. The price is memory, 2 to 6 KiB for
//! usual patterns (a sparse automaton needs a seventh of it and five times the time), and that a
//! pattern whose automaton would be too large is refused (see [`AUTOMATON_BYTES_MAX`]).

mod re2;

use std::{borrow::Cow, fmt};

use regex_automata::{
    Anchored, Input,
    dfa::{Automaton, StartKind, dense},
    nfa::thompson::{self, WhichCaptures},
};
use regex_syntax::{
    ast,
    hir::{Hir, Look, literal::Extractor, translate::TranslatorBuilder},
};

/// Largest automaton of one pattern. Usual patterns need 1 to 20 KiB; one that needs more than this
/// repeats something ambiguous many times.
pub const AUTOMATON_BYTES_MAX: usize = 1 << 20;
/// Memory for building it, released afterwards. The time that it takes grows with it, and with the
/// states of [`NFA_BYTES_MAX`].
pub(super) const BUILD_BYTES_MAX: usize = 1 << 20;
/// What it is built from. A class of all letters takes 30 KiB each time it is repeated, a character
/// of ASCII some 30 bytes.
pub(super) const NFA_BYTES_MAX: usize = 256 << 10;
/// Depth of groups in a pattern: the parser recurses.
const NESTING_MAX: u32 = 100;

/// A compiled pattern.
pub struct Regex {
    pattern: Box<str>,
    literal_prefix: Box<[u8]>,
    automaton: dense::DFA<Vec<u32>>,
}

impl Regex {
    /// # Errors
    /// What is wrong with the pattern, as a sentence.
    pub fn compile(pattern: &str) -> Result<Self, String> {
        let parsed = parse(pattern)?;
        let literal_prefix = literal_prefix(&parsed);
        let whole = Hir::concat(vec![Hir::look(Look::Start), parsed, Hir::look(Look::End)]);
        let automaton = automaton(&whole).map_err(|reason| match reason {
            Refusal::TooLarge => too_large(pattern, AUTOMATON_BYTES_MAX),
            Refusal::Other(reason) => {
                let pattern = shown(pattern);
                format!("regular expression {pattern} is not supported: {reason}")
            }
        })?;
        Ok(Self {
            pattern: pattern.into(),
            literal_prefix,
            automaton,
        })
    }

    /// Does the whole of `text` match?
    pub fn is_match(&self, text: &[u8]) -> bool {
        let input = Input::new(text).anchored(Anchored::Yes).earliest(true);
        // No quit bytes are configured, so a search cannot fail.
        self.automaton
            .try_search_fwd(&input)
            .is_ok_and(|end| end.is_some())
    }

    /// As it was written.
    pub fn pattern(&self) -> &str {
        &self.pattern
    }

    /// Every text that matches begins with it; may be empty.
    pub(super) fn literal_prefix(&self) -> &[u8] {
        &self.literal_prefix
    }
}

impl fmt::Debug for Regex {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Regex({:?})", self.pattern)
    }
}

/// In RE2's UTF-8 mode, which is Envoy's: `.` is a character, so a value that is not UTF-8 is
/// matched by nothing that asks about it; `\d`, `\w`, `\s` and `\b` are about ASCII.
pub(super) fn parse(pattern: &str) -> Result<Hir, String> {
    let refused = |reason: String, column: usize| {
        let pattern = shown(pattern);
        format!("{pattern} is not a regular expression: {reason} at character {column}")
    };
    let unquoted = unquoted(pattern);
    let parsed = ast::parse::ParserBuilder::new()
        .nest_limit(NESTING_MAX)
        .build()
        .parse(&unquoted);
    let mut parsed =
        parsed.map_err(|error| refused(error.kind().to_string(), error.span().start.column))?;
    re2::adopt(&mut parsed);
    let translated = TranslatorBuilder::new()
        .unicode(true)
        .utf8(false)
        .build()
        .translate(&unquoted, &parsed);
    translated.map_err(|error| refused(error.kind().to_string(), error.span().start.column))
}

/// `\Q...\E` as the text between them, which means nothing else.
fn unquoted(pattern: &str) -> Cow<'_, str> {
    if !pattern.contains(r"\Q") {
        return Cow::Borrowed(pattern);
    }
    let mut made = String::with_capacity(pattern.len() + 16);
    let mut rest = pattern;
    while let Some(at) = rest.find('\\') {
        let (before, escape) = rest.split_at(at);
        made.push_str(before);
        if let Some(quoted) = escape.strip_prefix(r"\Q") {
            let (text, behind) = quoted.split_once(r"\E").unwrap_or((quoted, ""));
            made.push_str(&regex_syntax::escape(text));
            rest = behind;
        } else {
            let escaped = escape[1..].chars().next().map_or(0, char::len_utf8);
            made.push_str(&escape[..1 + escaped]);
            rest = &escape[1 + escaped..];
        }
    }
    made.push_str(rest);
    Cow::Owned(made)
}

/// Of a pattern that could be written otherwise.
pub(super) fn too_large(pattern: &str, bytes: usize) -> String {
    format!(
        "regular expression {} needs an automaton of more than {} KiB: of what it repeats a \
         counted number of times, like `{{1,64}}`, let it repeat less, or any number (`+`, `*`)",
        shown(pattern),
        bytes >> 10
    )
}

/// As much of a pattern as a message can bear.
pub(super) fn shown(pattern: &str) -> String {
    match pattern.char_indices().nth(SHOWN_CHARS_MAX) {
        Some((end, _)) => format!("{:?}...", &pattern[..end]),
        None => format!("{pattern:?}"),
    }
}

const SHOWN_CHARS_MAX: usize = 60;

enum Refusal {
    TooLarge,
    Other(String),
}

fn automaton(whole: &Hir) -> Result<dense::DFA<Vec<u32>>, Refusal> {
    let nfa = thompson::Compiler::new()
        .configure(
            thompson::Config::new()
                .utf8(false)
                .which_captures(WhichCaptures::None)
                .nfa_size_limit(Some(NFA_BYTES_MAX)),
        )
        .build_from_hir(whole)
        .map_err(|error| match error.size_limit() {
            Some(_) => Refusal::TooLarge,
            None => Refusal::Other(error.to_string()),
        })?;
    dense::Builder::new()
        .configure(
            dense::Config::new()
                .start_kind(StartKind::Anchored)
                .accelerate(false)
                .dfa_size_limit(Some(AUTOMATON_BYTES_MAX))
                .determinize_size_limit(Some(BUILD_BYTES_MAX)),
        )
        .build_from_nfa(&nfa)
        .map_err(|error| match error.is_size_limit_exceeded() {
            true => Refusal::TooLarge,
            false => Refusal::Other(error.to_string()),
        })
}

fn literal_prefix(parsed: &Hir) -> Box<[u8]> {
    let literals = Extractor::new().extract(parsed);
    literals.longest_common_prefix().unwrap_or_default().into()
}

#[cfg(test)]
mod tests {
    use super::{AUTOMATON_BYTES_MAX, Regex};

    #[test]
    fn whole_text() {
        for (pattern, text, expected) in [
            ("/v[0-9]+", "/v12", true),
            ("/v[0-9]+", "/v12/", false),
            ("/v[0-9]+", "x/v12", false),
            ("/a|/ab", "/ab", true),
            ("/a|/ab", "/abc", false),
            ("(?i)/a", "/A", true),
            ("", "", true),
            ("", "a", false),
            (".*", "", true),
            (".*", "/a\u{e9}", true),
            (".*", "a\nb", false),
            ("a.b", "a\u{e9}b", true),
            ("a..b", "a\u{e9}b", false),
            ("a[^/]b", "a\u{e9}b", true),
            (r"a\Db", "a\u{e9}b", true),
            (r"\w", "\u{e9}", false),
            (r"[\W]", "\u{e9}", true),
            (r"\s", "\u{a0}", false),
            ("(?i)\u{e9}", "\u{c9}", true),
            (r"\p{L}+", "\u{e9}a", true),
            (r"\pN", "7", true),
            (r"\p{Greek}", "\u{3b1}", true),
            (r"\Qa.b\E.", "a.bc", true),
            (r"\Qa.b\E", "axb", false),
            (r"\\Qa", r"\Qa", true),
            (r"\Q(", "(", true),
            (r"\u{e9}\b-", "\u{e9}-", false),
            ("(?s).*", "a\nb", true),
            ("^/a$", "/a", true),
            (r"\d", "\u{661}", false),
            ("[\u{e9}]", "\u{e9}", true),
            ("(?x) /a # remark", "/a", true),
            (r"/a\b.*", "/a-b", true),
            (r"/a\b.*", "/ab", false),
            (
                "(?:[a-z0-9-]{1,63}[.]){1,8}example[.]com",
                "a.b.example.com",
                true,
            ),
        ] {
            let regex = Regex::compile(pattern).unwrap();
            assert_eq!(
                regex.is_match(text.as_bytes()),
                expected,
                "{pattern} {text}"
            );
        }
    }

    /// As RE2: what is not UTF-8 is matched by no character.
    #[test]
    fn bytes_that_are_no_text() {
        for pattern in ["a.b", ".*", "a[^/]b", r"a\Db", r"a\Wb", r"a\Sb"] {
            let regex = Regex::compile(pattern).unwrap();
            assert!(!regex.is_match(b"a\xe9b"), "{pattern}");
            assert!(regex.is_match(b"a-b"), "{pattern}");
        }
    }

    #[test]
    fn refuses() {
        for (pattern, reason) in [
            ("/a(", "unclosed group at character 3"),
            ("a)|(b", "unopened group at character 2"),
            (
                "(a|b)*a(a|b){30}",
                "needs an automaton of more than 1024 KiB",
            ),
            (
                "((a{100}){100}){100}",
                "needs an automaton of more than 1024 KiB",
            ),
            (
                "(a{1000}){1000}",
                "needs an automaton of more than 1024 KiB",
            ),
            (
                "(x*){4000000000}",
                "needs an automaton of more than 1024 KiB",
            ),
            // Its automaton is small, and takes long to be found.
            (
                "(a?){1000}(b?){1000}",
                "needs an automaton of more than 1024 KiB",
            ),
            (r"(a)\1", "backreferences are not supported at character 4"),
            ("(?=a)", "look-around"),
        ] {
            let error = Regex::compile(pattern).unwrap_err();
            assert!(error.contains(reason), "{pattern}: {error}");
        }
        let deep = format!("{}a{}", "(".repeat(500), ")".repeat(500));
        assert!(Regex::compile(&deep).is_err());
    }

    #[test]
    fn literal_prefixes() {
        for (pattern, expected) in [
            ("/users/[0-9]+/orders", "/users/"),
            ("/a(b|c)", "/a"),
            ("/(ab|ac)x.*", "/a"),
            (".*", ""),
            ("(?i)/users", "/"),
            ("/a|b", ""),
            ("/a*", "/"),
        ] {
            let regex = Regex::compile(pattern).unwrap();
            assert_eq!(regex.literal_prefix(), expected.as_bytes(), "{pattern}");
        }
    }

    #[test]
    fn usual_patterns_are_small() {
        for pattern in [
            ".*jason.*",
            "/api/v[0-9]+/users/[^/]+/orders",
            ".*(Android|iPhone|iPad|Mobile).*",
            r"[\w.-]+\.example\.com(:\d+)?",
            "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
            "/[a-z0-9-]{1,63}",
        ] {
            let bytes = Regex::compile(pattern).unwrap().automaton.memory_usage();
            assert!(bytes < AUTOMATON_BYTES_MAX / 32, "{pattern}: {bytes}");
        }
    }
}
