//! What is wrong with a configuration: one shape for files, Documents and the wire.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Whether a problem stops its configuration from being used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// It is used all the same; something in it has no effect.
    Warning,
    /// It is refused; the last good one stays.
    Error,
}

/// One finding, with enough in it to mend the cause without a search.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Problem {
    /// Does it stop the configuration?
    pub severity: Severity,
    /// File as named by the user; absent when the problem is in no file (a Document on the wire).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// 1-based; 0 when unknown.
    #[serde(default)]
    pub line: u32,
    /// 1-based; 0 when unknown.
    #[serde(default)]
    pub column: u32,
    /// The way to the value: `VirtualService default/reviews > spec.http[0].match[1].uri`, or, for
    /// a Document, `listener "web" > route "a" > cluster "b"`.
    pub path: String,
    /// What is wrong, one sentence without a full stop.
    pub message: String,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl Problem {
    /// An error at `path` that has no place in a file.
    pub fn error(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            file: None,
            line: 0,
            column: 0,
            path: path.into(),
            message: message.into(),
            hint: None,
        }
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = &self.file {
            match (self.line, self.column) {
                (0, _) => write!(formatter, "{file}: ")?,
                (line, 0) => write!(formatter, "{file}:{line}: ")?,
                (line, column) => write!(formatter, "{file}:{line}:{column}: ")?,
            }
        }
        let severity = match self.severity {
            Severity::Warning => "warning",
            Severity::Error => "error",
        };
        write!(formatter, "{severity}: {}: {}", self.path, self.message)?;
        match &self.hint {
            Some(hint) => write!(formatter, "; {hint}"),
            None => Ok(()),
        }
    }
}

/// The candidate nearest to `name`, when near enough to be what was meant.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let name = name.to_ascii_lowercase();
    let distance_max = (name.len() / 3).clamp(1, 4);
    candidates
        .into_iter()
        .map(|candidate| {
            (
                strsim::damerau_levenshtein(&name, &candidate.to_ascii_lowercase()),
                candidate,
            )
        })
        .filter(|(distance, _)| *distance <= distance_max)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::{Problem, nearest};

    #[test]
    fn shown_with_as_much_of_its_place_as_is_known() {
        for (file, line, column, expected) in [
            (None, 0, 0, "error: a.b: it is wrong"),
            (Some("f"), 0, 0, "f: error: a.b: it is wrong"),
            (Some("f"), 3, 0, "f:3: error: a.b: it is wrong"),
            (Some("f"), 3, 7, "f:3:7: error: a.b: it is wrong"),
        ] {
            let problem = Problem {
                file: file.map(str::to_owned),
                line,
                column,
                ..Problem::error("a.b", "it is wrong")
            };
            assert_eq!(problem.to_string(), expected);
        }
    }

    #[test]
    fn nearest_name() {
        let names = ["hosts", "gateways", "http", "exportTo"];
        for (name, expected) in [
            ("host", Some("hosts")),
            ("Exportto", Some("exportTo")),
            ("retries", None),
        ] {
            assert_eq!(nearest(name, names), expected, "{name}");
        }
    }
}
