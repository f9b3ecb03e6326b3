//! Where in a Document a problem lies, and the problems found so far.
//!
//! A place borrows its names and is only written out when something is wrong with it.

use std::fmt;

use ringmain_config::{
    origin::Origin,
    problem::{Problem, nearest},
};

/// One step on the way to a value: `route "a"`, below another one.
#[derive(Clone, Copy)]
pub(crate) struct Place<'a> {
    parent: Option<&'a Self>,
    kind: &'static str,
    name: &'a str,
    origin: Option<&'a Origin>,
}

impl<'a> Place<'a> {
    pub(crate) fn top(kind: &'static str, name: &'a str, origin: Option<&'a Origin>) -> Self {
        Self {
            parent: None,
            kind,
            name,
            origin,
        }
    }

    /// `name` may be empty: the step is then its kind alone.
    pub(crate) fn below(
        parent: &'a Self,
        kind: &'static str,
        name: &'a str,
        origin: Option<&'a Origin>,
    ) -> Self {
        Self {
            parent: Some(parent),
            kind,
            name,
            origin: origin.or(parent.origin),
        }
    }

    fn problem(&self, message: impl Into<String>) -> Problem {
        let mut problem = Problem::error(self.to_string(), message);
        if let Some(origin) = self.origin {
            problem.file = Some(origin.file.to_string());
            problem.line = origin.line;
        }
        problem
    }
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(parent) = self.parent {
            write!(formatter, "{parent} > ")?;
        }
        match self.name {
            "" => formatter.write_str(self.kind),
            name => write!(formatter, "{} {name:?}", self.kind),
        }
    }
}

/// Problems kept; of more than this only their number is reported, since a report must fit into
/// one frame of the wire.
const PROBLEMS_MAX: usize = 1000;
/// Searches for a nearest name; each reads every candidate.
const SEARCHES_MAX: usize = 32;

/// Everything found wrong so far.
#[derive(Default)]
pub(crate) struct Problems {
    found: Vec<Problem>,
    dropped: usize,
    searches: usize,
}

impl Problems {
    pub(crate) fn add(&mut self, place: &Place<'_>, message: impl Into<String>) {
        self.push(place.problem(message));
    }

    /// `hint` names another value for the same place, which holds in whatever words the user has
    /// written it. To say which field of a resource to change is up to who reads resources.
    pub(crate) fn add_with_hint(
        &mut self,
        place: &Place<'_>,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        self.push(place.problem(message).hint(hint));
    }

    /// `place` names something that is not there; the hint names the candidate nearest to `name`.
    pub(crate) fn add_missing<'c>(
        &mut self,
        place: &Place<'_>,
        message: impl Into<String>,
        name: &str,
        candidates: impl IntoIterator<Item = &'c str>,
    ) {
        let problem = place.problem(message);
        self.searches += 1;
        let found = match self.searches <= SEARCHES_MAX {
            true => nearest(name, candidates),
            false => None,
        };
        self.push(match found {
            Some(found) => problem.hint(format!("did you mean {found:?}?")),
            None => problem,
        });
    }

    fn push(&mut self, problem: Problem) {
        if self.found.len() < PROBLEMS_MAX {
            self.found.push(problem);
        } else {
            self.dropped += 1;
        }
    }

    pub(crate) fn finish(mut self) -> Result<(), Vec<Problem>> {
        if self.dropped > 0 {
            self.found.push(Problem::error(
                "document",
                format!("{} more problems like these", self.dropped),
            ));
        }
        match self.found.is_empty() {
            true => Ok(()),
            false => Err(self.found),
        }
    }
}
