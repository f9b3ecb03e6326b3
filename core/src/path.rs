//! One form of a path, made before anything looks at it: routes, policies and the upstream all see
//! the same bytes.
//!
//! What is done, in the manner of Envoy's `normalize_path` (Istio's path normalisation `BASE`):
//!
//! - `%41` becomes `A`: escapes of unreserved characters (RFC 3986 section 2.3) are undone. All
//!   other escapes stay as they are, `%2F` and `%5C` among them, and so does the case of their hex
//!   digits. An escape that would form a new one with a stray `%` before it (`%2%65`) stays too.
//! - `\` becomes `/`.
//! - Segments `.` and `..` are removed (RFC 3986 section 5.2.4), whether they were escaped or not.
//!
//! A [`Policy`] can ask for less, or for more. Neighbouring slashes are not merged. Refused are
//! NUL, `%00`, and `#`: a fragment is never sent (RFC 9112 section 3.2), and who sees one disagrees
//! with others about where the path ends.

mod policy;

use std::{borrow::Cow, fmt};

pub use policy::{Made, Policy};

/// Why a path is refused with 400.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refused {
    /// It does not begin with `/`.
    NotRooted,
    /// It holds NUL or `%00`.
    Nul,
    /// It holds `#`.
    Fragment,
    /// What the route would make of it is not canonical: the part of the path behind the matched
    /// prefix is `..` or the like, and would lead out of the prefix that replaces it.
    Escapes,
    /// It holds `%2F` or `%5C`, which [`Policy`] does not allow.
    EscapedSlash,
    /// What the route's regular expression makes of it is no canonical path.
    Unusable,
    /// The route's regular expression has too much to do on it, or makes too much of it
    /// ([`WORK_MAX`](crate::route::rewrite::WORK_MAX)).
    Costly,
}

impl Refused {
    /// For the log, in Envoy's manner: a word without spaces.
    pub fn reason(self) -> &'static str {
        match self {
            Self::NotRooted => "path.not_rooted",
            Self::Nul => "path.nul",
            Self::Fragment => "path.fragment",
            Self::Escapes => "path.escapes_rewrite",
            Self::EscapedSlash => "path.escaped_slash",
            Self::Unusable => "path.unusable_rewrite",
            Self::Costly => "path.costly_rewrite",
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::NotRooted => "the path does not begin with `/`",
            Self::Nul => "the path holds NUL",
            Self::Fragment => "the path holds `#`",
            Self::Escapes => "the path leads out of the prefix that it is rewritten to",
            Self::EscapedSlash => "the path holds an escaped slash or backslash",
            Self::Unusable => "what the path is rewritten to is not a canonical path",
            Self::Costly => "the path is too much for the regular expression that rewrites it",
        })
    }
}

/// Splits a request target into path and query and makes the path canonical. The path of `*` is `*`
/// (`OPTIONS *`); an empty path is `/`. Authority-form (CONNECT) and absolute-form are not handled
/// here: their caller takes the path out of them first.
///
/// # Errors
/// Answer 400.
pub fn split(target: &str) -> Result<(Cow<'_, str>, Option<&str>), Refused> {
    let (path, query) = parts(target)?;
    Ok((canonical(path)?, query))
}

/// Path and query as they stand in `target`.
fn parts(target: &str) -> Result<(&str, Option<&str>), Refused> {
    let (path, query) = match target.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (target, None),
    };
    if query.is_some_and(|query| query.contains('#')) {
        return Err(Refused::Fragment);
    }
    Ok((path, query))
}

/// The canonical form of `path`, borrowed when that is what it is in already. It is never longer
/// than `path`, and canonical itself.
///
/// # Errors
/// Answer 400.
pub fn canonical(path: &str) -> Result<Cow<'_, str>, Refused> {
    match path {
        "" => return Ok(Cow::Borrowed("/")),
        "*" => return Ok(Cow::Borrowed(path)),
        _ => {}
    }
    if is_plain(path.as_bytes()) {
        return match path.starts_with('/') {
            true => Ok(Cow::Borrowed(path)),
            false => Err(Refused::NotRooted),
        };
    }
    let made = rewrite(path)?;
    match made == path {
        true => Ok(Cow::Borrowed(path)),
        false => Ok(Cow::Owned(made)),
    }
}

/// Would [`canonical`] leave it as it is?
pub fn is_canonical(path: &str) -> bool {
    matches!(canonical(path), Ok(Cow::Borrowed(same)) if same == path)
}

/// Why a path cannot be written into a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unfit {
    /// One sentence without a full stop.
    pub message: String,
    /// What to write.
    pub hint: Option<String>,
}

/// Can `path` replace a request's path, or the prefix of one? It goes to the upstream without
/// another look, so it must be canonical; the first `/` may be left out.
///
/// # Errors
/// When it cannot.
pub fn check_replacement(path: &str) -> Result<(), Unfit> {
    let unfit = |message, hint| Err(Unfit { message, hint });
    let fits = |byte: u8| byte.is_ascii_graphic() && byte != b'?';
    if !path.bytes().all(fits) {
        let message = format!("path {path:?} holds a `?` or what must be percent-encoded");
        return unfit(message, None);
    }
    let rooted = format!("/{}", path.trim_start_matches('/'));
    if is_canonical(&rooted) {
        return Ok(());
    }
    let hint = match canonical(&rooted) {
        Ok(canonical) => format!("write {canonical:?}"),
        Err(refused) => refused.to_string(),
    };
    unfit(
        format!("path {path:?} is not in canonical form"),
        Some(hint),
    )
}

/// Can `path`, perhaps with a query and a fragment, stand in a `location`?
///
/// # Errors
/// When it cannot.
pub fn check_reference(path: &str) -> Result<(), Unfit> {
    if path.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(());
    }
    Err(Unfit {
        message: format!("path {path:?} holds what must be percent-encoded"),
        hint: None,
    })
}

/// Holds nothing that could need a change: no escape, no backslash, no segment that begins with a
/// dot.
fn is_plain(path: &[u8]) -> bool {
    let found = path
        .iter()
        .fold(0, |found, byte| found | CLASSES[usize::from(*byte)]);
    match found {
        0 => true,
        DOT => !path.windows(2).any(|two| two == b"/."),
        _ => false,
    }
}

const SPECIAL: u8 = 1;
const DOT: u8 = 2;

const CLASSES: [u8; 256] = {
    let mut classes = [0; 256];
    classes[0] = SPECIAL;
    classes[b'%' as usize] = SPECIAL;
    classes[b'#' as usize] = SPECIAL;
    classes[b'\\' as usize] = SPECIAL;
    classes[b'.' as usize] = DOT;
    classes
};

fn rewrite(path: &str) -> Result<String, Refused> {
    let decoded = decode(path.as_bytes())?;
    if decoded.first() != Some(&b'/') {
        return Err(Refused::NotRooted);
    }
    let made = remove_dot_segments(decoded);
    // Only ASCII was replaced, and only by ASCII.
    Ok(String::from_utf8(made).expect("ASCII replaced by ASCII leaves UTF-8"))
}

/// Undoes escapes of unreserved characters and turns backslashes.
fn decode(path: &[u8]) -> Result<Vec<u8>, Refused> {
    let mut decoded = Vec::with_capacity(path.len());
    // Bytes still to come that could complete a stray `%` to an escape.
    let mut incomplete = 0_u8;
    let mut rest = path;
    while let Some((&byte, behind)) = rest.split_first() {
        rest = behind;
        match byte {
            0 => return Err(Refused::Nul),
            b'#' => return Err(Refused::Fragment),
            b'\\' => {
                decoded.push(b'/');
                incomplete = 0;
            }
            b'%' => match escaped(behind) {
                Some(0) => return Err(Refused::Nul),
                Some(value) if is_unreserved(value) && incomplete == 0 => {
                    decoded.push(value);
                    rest = &behind[2..];
                }
                Some(_) => {
                    decoded.extend_from_slice(&[b'%', behind[0], behind[1]]);
                    rest = &behind[2..];
                    incomplete = 0;
                }
                None => {
                    decoded.push(b'%');
                    incomplete = 2;
                }
            },
            _ => {
                decoded.push(byte);
                incomplete = match byte.is_ascii_hexdigit() {
                    true => incomplete.saturating_sub(1),
                    false => 0,
                };
            }
        }
    }
    Ok(decoded)
}

/// The value of the two hex digits that `text` begins with.
fn escaped(text: &[u8]) -> Option<u8> {
    let digit = |at: usize| char::from(*text.get(at)?).to_digit(16);
    u8::try_from(digit(0)? << 4 | digit(1)?).ok()
}

fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}

/// RFC 3986 section 5.2.4, in place. `path` begins with `/`.
fn remove_dot_segments(mut path: Vec<u8>) -> Vec<u8> {
    let mut read = 0;
    let mut write = 0;
    // `read` stands at the slash before a segment.
    while read < path.len() {
        let start = read + 1;
        let end = path[start..]
            .iter()
            .position(|byte| *byte == b'/')
            .map_or(path.len(), |length| start + length);
        let is_last = end == path.len();
        let dots = match &path[start..end] {
            b"." => Some(0),
            b".." => Some(1),
            _ => None,
        };
        match dots {
            None => {
                path.copy_within(read..end, write);
                write += end - read;
            }
            Some(up) => {
                if up == 1 {
                    let above = path[..write].iter().rposition(|byte| *byte == b'/');
                    write = above.unwrap_or(0);
                }
                if is_last {
                    path[write] = b'/';
                    write += 1;
                }
            }
        }
        read = end;
    }
    path.truncate(write);
    path
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use proptest::prelude::*;

    use super::{Refused, canonical, is_canonical, split};

    fn check(path: &str, expected: &str) {
        let found = canonical(path).unwrap();
        assert_eq!(found, expected, "{path}");
        assert_eq!(
            matches!(found, Cow::Borrowed(_)),
            path == expected || path.is_empty(),
            "{path}"
        );
        assert_eq!(is_canonical(path), path == expected, "{path}");
    }

    #[test]
    fn unchanged() {
        for path in [
            "/",
            "*",
            "/a",
            "/a/",
            "/a//b",
            "//",
            "/a.b",
            "/a..",
            "/..a",
            "/...",
            "/.well-known/x",
            "/a%2Fb",
            "/a%2fb",
            "/a%5Cb",
            "/100%",
            "/%",
            "/%g1",
            "/%zz",
            "/a%20b",
            "/%25",
            "/%252e",
            "/%2%65",
            "/%2%2e",
            "/%%65",
            "/a;p=1/..;/b",
            "/a:b@c",
            "/\u{e9}",
        ] {
            check(path, path);
        }
    }

    #[test]
    fn changed() {
        for (path, expected) in [
            ("", "/"),
            ("/.", "/"),
            ("/..", "/"),
            ("/a/.", "/a/"),
            ("/a/..", "/"),
            ("/a/../", "/"),
            ("/a/./b", "/a/b"),
            ("/a/b/../c", "/a/c"),
            ("/a/b/../../../c", "/c"),
            ("/a//../b", "/a/b"),
            ("/../../etc/passwd", "/etc/passwd"),
            ("/a/%2e%2e/b", "/b"),
            ("/a/.%2E/b", "/b"),
            ("/a/%2e/b", "/a/b"),
            ("/%41%7e%2D", "/A~-"),
            ("\\a\\..\\b", "/b"),
            ("/a\\b", "/a/b"),
            ("/%2%2e/%2e.", "/"),
            ("/a/%2%2e/%2e.", "/a/"),
            ("/%g%61", "/%ga"),
            ("%2F..", "%2F.."),
        ] {
            match path.starts_with('%') {
                true => assert_eq!(canonical(path), Err(Refused::NotRooted)),
                false => check(path, expected),
            }
        }
    }

    #[test]
    fn refuses() {
        for (path, expected) in [
            ("a", Refused::NotRooted),
            ("%2fa", Refused::NotRooted),
            ("..", Refused::NotRooted),
            ("**", Refused::NotRooted),
            ("/a\0", Refused::Nul),
            ("\0", Refused::Nul),
            ("/a%00b", Refused::Nul),
            ("/a#b", Refused::Fragment),
            ("#", Refused::Fragment),
        ] {
            assert_eq!(canonical(path), Err(expected), "{path}");
        }
    }

    #[test]
    fn splits() {
        for (target, expected) in [
            ("/a", Ok(("/a", None))),
            ("/a?", Ok(("/a", Some("")))),
            ("/a/../b?c=/../d?e", Ok(("/b", Some("c=/../d?e")))),
            ("?a", Ok(("/", Some("a")))),
            ("/a?b#c", Err(Refused::Fragment)),
            ("/a%3Fb", Ok(("/a%3Fb", None))),
        ] {
            let found = split(target);
            let found = found.as_ref().map(|(path, query)| (&**path, *query));
            assert_eq!(found, expected.as_ref().copied(), "{target}");
        }
    }

    fn paths() -> impl Strategy<Value = String> {
        let piece = prop::sample::select(vec![
            "/", ".", "..", "/..", "/.", "\\", "%", "%2", "%2e", "%2E", "%65", "%41", "%2f", "%5c",
            "%25", "2", "e", "a", "b", "..;", "\u{e9}", "%e9",
        ]);
        prop::collection::vec(piece, 0..16).prop_map(|pieces| format!("/{}", pieces.concat()))
    }

    proptest! {
        #[test]
        fn stays_as_made(path in paths()) {
            let made = canonical(&path).unwrap();
            prop_assert!(made.len() <= path.len());
            prop_assert!(made.starts_with('/'));
            prop_assert_eq!(canonical(&made).unwrap(), made.clone());
            for segment in made.split('/') {
                let decoded = segment.replace("%2e", ".").replace("%2E", ".");
                prop_assert!(segment != "." && segment != "..");
                // A stray `%` before it keeps an escaped dot from being one.
                prop_assert!(decoded == segment || segment.contains('%'));
            }
            prop_assert!(!made.contains('\\'));
        }

        /// Without escapes: what a stack of segments gives.
        #[test]
        fn removes_as_a_stack_does(
            segments in prop::collection::vec(prop::sample::select(vec!["", ".", "..", "a", "b"]), 1..10)
        ) {
            let path: String = segments.iter().map(|segment| format!("/{segment}")).collect();
            let mut stack = Vec::new();
            let last = segments.len() - 1;
            for (position, segment) in segments.iter().enumerate() {
                if *segment == ".." {
                    stack.pop();
                }
                match matches!(*segment, "." | "..") {
                    true if position == last => stack.push(""),
                    true => {}
                    false => stack.push(segment),
                }
            }
            let expected: String = stack.iter().map(|segment| format!("/{segment}")).collect();
            prop_assert_eq!(canonical(&path).unwrap(), expected);
        }
    }
}
