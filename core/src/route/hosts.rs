//! Which virtual host an authority belongs to.
//!
//! Exact name, then longest suffix wildcard (`*.x`), then longest prefix wildcard (`x.*`), then
//! `*`. A wildcard stands for at least one character. ASCII case does not matter. The port of the
//! authority is ignored, except by domains that name one; among wildcards those go first.

use std::borrow::Cow;

use super::names::{Collected, Names, collect};

/// Domains of a route table, each with the position of its virtual host, before they are asked.
#[derive(Debug, Default)]
pub(super) struct Domains {
    exact: Collected,
    suffixes_with_port: Collected,
    suffixes: Collected,
    prefixes: Collected,
    any: Option<u32>,
}

/// Domains of a route table, each with the position of its virtual host.
#[derive(Debug)]
pub(super) struct Hosts {
    /// With and without a port.
    exact: Names,
    suffixes_with_port: Wildcards,
    suffixes: Wildcards,
    prefixes: Wildcards,
    any: Option<u32>,
}

impl Domains {
    /// Adds a domain. Lower case is made of it.
    ///
    /// # Errors
    /// Why it cannot be added.
    pub(super) fn insert(&mut self, domain: &str, virtual_host: u32) -> Result<(), Refusal> {
        let domain = domain.to_ascii_lowercase();
        let has_port = split_port(&domain).1.is_some();
        let held = match classify(&domain).ok_or(Refusal::Malformed)? {
            Domain::Any => self.any.replace(virtual_host),
            Domain::Suffix(suffix) if has_port => {
                collect(&mut self.suffixes_with_port, suffix, virtual_host)
            }
            Domain::Suffix(suffix) => collect(&mut self.suffixes, suffix, virtual_host),
            Domain::Prefix(prefix) => collect(&mut self.prefixes, prefix, virtual_host),
            Domain::Exact(name) => collect(&mut self.exact, name, virtual_host),
        };
        held.map_or(Ok(()), |held| Err(Refusal::Duplicate(held)))
    }

    /// To be asked.
    pub(super) fn finish(&self) -> Hosts {
        Hosts {
            exact: Names::new(&self.exact),
            suffixes_with_port: Wildcards::new(&self.suffixes_with_port),
            suffixes: Wildcards::new(&self.suffixes),
            prefixes: Wildcards::new(&self.prefixes),
            any: self.any,
        }
    }
}

impl Hosts {
    /// Position of the virtual host that `authority` belongs to.
    pub(super) fn find(&self, authority: &str) -> Option<u32> {
        // Nothing goes before an exact name with the authority's own port, or without any. It is
        // what most requests have.
        if let Some(found) = self.exact.get(authority.as_bytes()) {
            return Some(found);
        }
        let authority = lower_case(authority);
        let (host, port) = split_port(&authority);
        let exact = |name: &str| self.exact.get(name.as_bytes());
        if let Some(found) = exact(&authority).or_else(|| exact(host)) {
            return Some(found);
        }
        if port.is_some()
            && let Some(found) = self.suffixes_with_port.find_end(&authority)
        {
            return Some(found);
        }
        self.suffixes
            .find_end(host)
            .or_else(|| self.prefixes.find_start(host))
            .or(self.any)
    }
}

/// Why a domain cannot be added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It is neither a name nor one with a `*` at one end.
    Malformed,
    /// The virtual host at this position has it already.
    Duplicate(u32),
}

enum Domain<'a> {
    Any,
    Suffix(&'a str),
    Prefix(&'a str),
    Exact(&'a str),
}

fn classify(domain: &str) -> Option<Domain<'_>> {
    let (found, literal) = match (domain.strip_prefix('*'), domain.strip_suffix('*')) {
        (Some(""), _) => return Some(Domain::Any),
        (Some(suffix), _) => (Domain::Suffix(suffix), suffix),
        (None, Some(prefix)) => (Domain::Prefix(prefix), prefix),
        (None, None) => (Domain::Exact(domain), domain),
    };
    let is_sound = |byte: u8| byte.is_ascii_graphic() && !b"*/?#@".contains(&byte);
    (!literal.is_empty() && literal.bytes().all(is_sound)).then_some(found)
}

/// Names that end, or begin, with one of a set of literals.
#[derive(Debug, Default)]
struct Wildcards {
    names: Names,
    /// Of the literals, without duplicates, longest first.
    lengths: Box<[usize]>,
}

impl Wildcards {
    fn new(literals: &Collected) -> Self {
        let mut lengths: Vec<usize> = literals.keys().map(|literal| literal.len()).collect();
        lengths.sort_unstable_by(|left, right| right.cmp(left));
        lengths.dedup();
        Self {
            names: Names::new(literals),
            lengths: lengths.into(),
        }
    }

    fn find_end(&self, name: &str) -> Option<u32> {
        self.find(name, |name, length| name.get(name.len() - length..))
    }

    fn find_start(&self, name: &str) -> Option<u32> {
        self.find(name, |name, length| name.get(..length))
    }

    fn find(&self, name: &str, part: impl Fn(&str, usize) -> Option<&str>) -> Option<u32> {
        self.lengths
            .iter()
            .filter(|length| **length < name.len())
            .find_map(|&length| self.names.get(part(name, length)?.as_bytes()))
    }
}

/// Clients write it in lower case as a rule; only others cost a copy.
fn lower_case(authority: &str) -> Cow<'_, str> {
    // Without a way out of the loop the compiler looks at many bytes at once.
    let bytes = authority.bytes();
    match bytes.fold(false, |found, byte| found | byte.is_ascii_uppercase()) {
        true => Cow::Owned(authority.to_ascii_lowercase()),
        false => Cow::Borrowed(authority),
    }
}

/// Host and port of an authority (RFC 3986 section 3.2). The brackets of an IPv6 address are part
/// of the host; one without brackets has no port. An empty port (`a:`) is none, and not part of the
/// host.
pub(crate) fn split_port(authority: &str) -> (&str, Option<&str>) {
    let digits = authority.bytes().rev();
    let digits = digits.take_while(u8::is_ascii_digit).count();
    let (start, port) = authority.split_at(authority.len() - digits);
    let Some(host) = start.strip_suffix(':') else {
        return (authority, None);
    };
    let is_host_whole = match host.strip_prefix('[') {
        Some(_) => host.ends_with(']'),
        None => !host.contains(':'),
    };
    match is_host_whole {
        true => (host, (!port.is_empty()).then_some(port)),
        false => (authority, None),
    }
}

#[cfg(test)]
mod tests {
    use super::{Domains, Hosts, Refusal, split_port};

    fn hosts(domains: &[&str]) -> Hosts {
        let mut collected = Domains::default();
        for (position, domain) in domains.iter().enumerate() {
            collected.insert(domain, position as u32).unwrap();
        }
        collected.finish()
    }

    #[test]
    fn finds() {
        let domains = [
            "a.example.com",
            "*.example.com",
            "*.b.example.com",
            "shop.*",
            "shop.eu.*",
            "*",
            "a.example.com:8443",
            "[::1]",
            "*.example.com:8443",
            "*-canary.example.org",
            "UPPER.example.net",
            "[::2]:80",
            "2001:db8::1",
        ];
        let hosts = hosts(&domains);
        for (authority, expected) in [
            ("a.example.com", "a.example.com"),
            ("A.Example.COM", "a.example.com"),
            ("a.example.com:80", "a.example.com"),
            ("a.example.com:", "a.example.com"),
            ("a.example.com:8443", "a.example.com:8443"),
            ("b.example.com", "*.example.com"),
            ("b.example.com:8443", "*.example.com:8443"),
            ("x.b.example.com", "*.b.example.com"),
            ("x.b.example.com:8443", "*.example.com:8443"),
            (".example.com", "*"),
            ("example.com", "*"),
            ("shop.fr", "shop.*"),
            ("shop.eu.fr", "shop.eu.*"),
            ("shop.", "*"),
            ("shop.example.com", "*.example.com"),
            ("x-canary.example.org:1", "*-canary.example.org"),
            ("upper.example.net", "UPPER.example.net"),
            ("[::1]", "[::1]"),
            ("[::1]:8080", "[::1]"),
            ("[::2]:80", "[::2]:80"),
            ("[::2]:81", "*"),
            ("2001:db8::1", "2001:db8::1"),
            ("", "*"),
            ("a.example.com:port", "*"),
        ] {
            let found = hosts.find(authority).map(|found| domains[found as usize]);
            assert_eq!(found, Some(expected), "{authority}");
        }
    }

    #[test]
    fn finds_none() {
        let hosts = hosts(&["a", "*.b", "c.*"]);
        for authority in ["", "b", ".b", "c.", "ab", "\u{e9}.c", "*"] {
            assert_eq!(hosts.find(authority), None, "{authority}");
        }
    }

    /// A digit at the end of a wildcard is no port.
    #[test]
    fn port_is_not_part_of_a_name() {
        assert_eq!(hosts(&["*80"]).find("a:8080"), None);
        assert_eq!(hosts(&["*80"]).find("a80:1"), Some(0));
        assert_eq!(hosts(&["*:8080"]).find("a:8080"), Some(0));
        assert_eq!(hosts(&["*:8080"]).find("a:80"), None);
    }

    #[test]
    fn refuses() {
        for (domains, expected) in [
            (vec![""], Refusal::Malformed),
            (vec!["a.*.b"], Refusal::Malformed),
            (vec!["*a*"], Refusal::Malformed),
            (vec!["**"], Refusal::Malformed),
            (vec!["a b"], Refusal::Malformed),
            (vec!["a/b"], Refusal::Malformed),
            (vec!["a", "A"], Refusal::Duplicate(0)),
            (vec!["b", "*.a", "*.a"], Refusal::Duplicate(1)),
            (vec!["*", "*"], Refusal::Duplicate(0)),
        ] {
            let mut hosts = Domains::default();
            let last = domains.len() - 1;
            for (position, domain) in domains[..last].iter().enumerate() {
                hosts.insert(domain, position as u32).unwrap();
            }
            let refused = hosts.insert(domains[last], last as u32);
            assert_eq!(refused, Err(expected), "{domains:?}");
        }
    }

    #[test]
    fn ports() {
        for (authority, expected) in [
            ("a", ("a", None)),
            ("a:1", ("a", Some("1"))),
            ("a:", ("a", None)),
            ("a:b", ("a:b", None)),
            ("[::1]", ("[::1]", None)),
            ("[::1]:2", ("[::1]", Some("2"))),
            ("::1", ("::1", None)),
            ("", ("", None)),
        ] {
            assert_eq!(split_port(authority), expected, "{authority}");
        }
    }
}
