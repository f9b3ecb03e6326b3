//! A set of field names, made for asking about every field of every message.

use std::fmt;

use crate::http1::Known;

/// Names of header fields, without regard to case.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Names {
    /// Lower case, in the order in which they were given.
    list: Box<[Box<str>]>,
    /// A bit for each name that is a [`Known`] one.
    known: u64,
    /// A bit for the length of each other name: most fields differ in length from all of them, and
    /// then nothing is compared.
    lengths: u64,
}

impl Names {
    /// All of them, in lower case.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.list.iter().map(|name| &**name)
    }

    /// There is none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// `name`, in any case, is one of them.
    pub fn hold(&self, name: &str) -> bool {
        self.hold_field(Known::of(name.as_bytes()), name.as_bytes())
    }

    /// The same of a field whose name was looked up.
    #[inline(always)]
    pub(crate) fn hold_field(&self, known: Option<Known>, name: &[u8]) -> bool {
        match known {
            Some(known) => self.known & known.bit() != 0,
            None => self.lengths & length_bit(name) != 0 && self.hold_other(name),
        }
    }

    /// A bit for each [`Known`] name.
    #[inline(always)]
    pub(crate) fn known(&self) -> u64 {
        self.known
    }

    fn hold_other(&self, name: &[u8]) -> bool {
        let mut names = self.list.iter();
        names.any(|other| other.as_bytes().eq_ignore_ascii_case(name))
    }
}

impl<N: AsRef<str>> FromIterator<N> for Names {
    fn from_iter<I: IntoIterator<Item = N>>(names: I) -> Self {
        let names = names.into_iter();
        let list: Box<[Box<str>]> = names
            .map(|name| name.as_ref().to_ascii_lowercase().into())
            .collect();
        let (mut known, mut lengths) = (0, 0);
        for name in &list {
            match Known::of(name.as_bytes()) {
                Some(name) => known |= name.bit(),
                None => lengths |= length_bit(name.as_bytes()),
            }
        }
        Self {
            list,
            known,
            lengths,
        }
    }
}

impl fmt::Debug for Names {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.list.fmt(formatter)
    }
}

fn length_bit(name: &[u8]) -> u64 {
    1 << (name.len() % 64)
}

#[cfg(test)]
mod tests {
    use super::Names;

    #[test]
    fn names_are_found_in_any_case() {
        let long = "x".repeat(64 + "x-other".len());
        let names: Names = ["X-Other", "server", "x-request-id"].into_iter().collect();
        for (name, expected) in [
            ("x-other", true),
            ("X-OTHER", true),
            ("Server", true),
            ("X-Request-Id", true),
            ("x-others", false),
            ("y-other", false),
            ("via", false),
            ("", false),
            (&long, false),
        ] {
            assert_eq!(names.hold(name), expected, "{name:?}");
        }
        let listed: Vec<&str> = names.iter().collect();
        assert_eq!(listed, ["x-other", "server", "x-request-id"]);
        assert!(!Names::default().hold("server") && Names::default().is_empty());
    }
}
