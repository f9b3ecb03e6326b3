//! From the text of a `ringmain.toml` to a [`Tuning`], or to every problem of it.

use std::{collections::BTreeMap, ops::Range};

use toml::de::{DeTable, DeValue};

use super::{Tuning, section::Section};
use crate::problem::{Problem, nearest};

/// Reads the whole text, whatever is wrong with parts of it.
pub(super) fn read(text: &str, file: &str) -> Result<Tuning, Vec<Problem>> {
    let mut report = Report::new(text, file);
    let (document, errors) = DeTable::parse_recoverable(text);
    for error in errors {
        report.problem(
            error.span().unwrap_or(0..0),
            error.message().to_owned(),
            None,
        );
    }
    let is_toml = report.problems.is_empty();
    let mut tuning = Tuning::default();
    sections(&mut tuning, document.get_ref(), &mut report);
    if is_toml {
        agreements(&tuning, &mut report);
    }
    report.finish(tuning)
}

fn sections(tuning: &mut Tuning, document: &DeTable<'_>, report: &mut Report<'_>) {
    let mut sections = tuning.sections_mut();
    let names = sections.each_ref().map(|section| section.name());
    for (name, value) in document.iter() {
        let section = sections
            .iter_mut()
            .find(|section| section.name() == name.get_ref());
        let (Some(section), DeValue::Table(table)) = (section, value.get_ref()) else {
            stray(name.get_ref(), name.span(), value.get_ref(), &names, report);
            continue;
        };
        report.within(name.get_ref(), |report| keys(&mut **section, table, report));
    }
}

/// Something at the top that is not one of the tables.
fn stray(
    name: &str,
    span: Range<usize>,
    value: &DeValue<'_>,
    sections: &[&'static str],
    report: &mut Report<'_>,
) {
    let (message, hint) = if sections.contains(&name) {
        let message = format!("{} stands where a table is expected", a_type(value));
        (
            message,
            Some(format!("write `[{name}]` and its keys below")),
        )
    } else if value.is_table() {
        let near = nearest(name, sections.iter().copied());
        unknown("table", near.map(|name| format!("[{name}]")))
    } else {
        unknown("key", home(name))
    };
    report.within(name, |report| report.problem(span, message, hint));
}

fn keys(section: &mut dyn Section, table: &DeTable<'_>, report: &mut Report<'_>) {
    let known: Vec<_> = section.keys().iter().map(|key| key.name).collect();
    for (name, value) in table.iter() {
        report.within(name.get_ref(), |report| {
            report.spans.insert(report.path.clone(), value.span());
            if known.contains(&name.get_ref().as_ref()) {
                section.set(name.get_ref(), value, report);
                return;
            }
            let near = nearest(name.get_ref(), known.iter().copied()).map(str::to_owned);
            let (message, hint) = unknown("key", near.or_else(|| home(name.get_ref())));
            report.problem(name.span(), message, hint);
        });
    }
}

fn unknown(what: &str, near: Option<String>) -> (String, Option<String>) {
    let hint = match near {
        Some(near) => format!("did you mean `{near}`?"),
        None => "`ringmain profile show default` lists every key".to_owned(),
    };
    (format!("no such {what}"), Some(hint))
}

/// The full name of the nearest key of any table.
fn home(name: &str) -> Option<String> {
    let tuning = Tuning::default();
    let keys: Vec<(&str, String)> = tuning
        .sections()
        .iter()
        .flat_map(|section| {
            let table = section.name();
            section
                .keys()
                .into_iter()
                .map(move |key| (key.name, format!("{table}.{}", key.name)))
        })
        .collect();
    let near = nearest(name, keys.iter().map(|(name, _)| *name))?;
    keys.iter()
        .find(|(name, _)| *name == near)
        .map(|(_, full)| full.clone())
}

/// What must hold between keys.
fn agreements(tuning: &Tuning, report: &mut Report<'_>) {
    let admin = &tuning.admin;
    if !admin.allow_remote && !admin.listen.ip().is_loopback() {
        report.disagreement(
            &["admin.listen", "admin.allow_remote"],
            format!("{} can be reached from other hosts", admin.listen),
            "listen on 127.0.0.1 or [::1], or set `admin.allow_remote = true`",
        );
    }
    if tuning.control.reconnect_pause_min > tuning.control.reconnect_pause_max {
        report.disagreement(
            &["control.reconnect_pause_min", "control.reconnect_pause_max"],
            "reconnect_pause_min is longer than reconnect_pause_max".to_owned(),
            "make it the shorter of the two",
        );
    }
    if tuning.limits.target_bytes > tuning.limits.head_bytes {
        report.disagreement(
            &["limits.target_bytes", "limits.head_bytes"],
            "target_bytes is more than head_bytes, of which the target is a part".to_owned(),
            "raise `limits.head_bytes` or lower `limits.target_bytes`",
        );
    }
    let limits = &tuning.limits;
    if limits.http2_connection_window_bytes / 2 < limits.http2_stream_window_bytes {
        report.disagreement(
            &[
                "limits.http2_connection_window_bytes",
                "limits.http2_stream_window_bytes",
            ],
            "http2_connection_window_bytes is less than twice http2_stream_window_bytes, so that \
             one stream that nobody reads can hold up all others"
                .to_owned(),
            "raise `limits.http2_connection_window_bytes` or lower \
             `limits.http2_stream_window_bytes`",
        );
    }
    if tuning.control.socket.is_none() && tuning.control.snapshot.is_none() {
        report.disagreement(
            &["control.socket", "control.snapshot"],
            "neither a control plane nor a snapshot to serve".to_owned(),
            "name one of `control.socket` and `control.snapshot`",
        );
    }
    for (name, port) in &tuning.workload.ports {
        if *port == 0 {
            report.disagreement(
                &["workload.ports"],
                format!("port {name:?} is 0"),
                "write the port that the application listens on, 1 to 65535",
            );
        }
    }
}

/// `an integer`, `a string`.
pub(super) fn a_type(value: &DeValue<'_>) -> String {
    let name = value.type_str();
    let article = if name.starts_with(['a', 'i']) {
        "an"
    } else {
        "a"
    };
    format!("{article} {name}")
}

/// Collects problems, each with the place it was found at.
pub(super) struct Report<'a> {
    text: &'a str,
    file: &'a str,
    /// `limits.headers`: where the reader is.
    path: String,
    /// Of the values being read, as words; empty: those of their type.
    limits: String,
    /// Path to the value's place in the text, of every key read.
    spans: BTreeMap<String, Range<usize>>,
    problems: Vec<Problem>,
}

impl<'a> Report<'a> {
    fn new(text: &'a str, file: &'a str) -> Self {
        Self {
            text,
            file,
            path: String::new(),
            limits: String::new(),
            spans: BTreeMap::new(),
            problems: Vec::new(),
        }
    }

    /// Does `read` one name further down.
    pub(super) fn within<R>(&mut self, name: &str, read: impl FnOnce(&mut Self) -> R) -> R {
        let length = self.path.len();
        if length > 0 {
            self.path.push('.');
        }
        self.path.push_str(name);
        let result = read(self);
        self.path.truncate(length);
        result
    }

    /// Something is wrong at `span`.
    pub(super) fn problem(&mut self, span: Range<usize>, message: String, hint: Option<String>) {
        let path = if self.path.is_empty() {
            "toml"
        } else {
            &self.path
        };
        let mut problem = Problem::error(path, message);
        problem.hint = hint;
        self.place(problem, span);
    }

    /// Does `read`, to which only values that `limits` describes are permitted.
    pub(super) fn limited<R>(&mut self, limits: &str, read: impl FnOnce(&mut Self) -> R) -> R {
        limits.clone_into(&mut self.limits);
        let result = read(self);
        self.limits.clear();
        result
    }

    /// What the values being read are limited to; `own` are the limits of their type.
    pub(super) fn permitted(&self, own: String) -> String {
        match self.limits.as_str() {
            "" => format!("permitted: {own}"),
            limits => format!("permitted: {limits}"),
        }
    }

    /// The values of `paths` do not agree: said of the first of them that the text gives. A value
    /// that was refused agrees with every other.
    fn disagreement(&mut self, paths: &[&'static str], message: String, hint: &str) {
        let refused = |problem: &Problem| paths.contains(&problem.path.as_str());
        if self.problems.iter().any(refused) {
            return;
        }
        let written = paths
            .iter()
            .find_map(|path| Some((*path, self.spans.get(*path)?.clone())));
        let (path, span) = written.expect("defaults agree, so one of them was written");
        self.place(Problem::error(path, message).hint(hint), span);
    }

    fn place(&mut self, mut problem: Problem, span: Range<usize>) {
        let before = self.text.get(..span.start).unwrap_or(self.text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let count = |count: usize| u32::try_from(count + 1).unwrap_or(u32::MAX);
        problem.line = count(before.matches('\n').count());
        problem.column = count(before[line_start..].chars().count());
        problem.file = Some(self.file.to_owned());
        self.problems.push(problem);
    }

    fn finish(mut self, tuning: Tuning) -> Result<Tuning, Vec<Problem>> {
        if self.problems.is_empty() {
            return Ok(tuning);
        }
        let place = |problem: &Problem| (problem.line, problem.column);
        self.problems.sort_by_key(place);
        // What follows from a slip of syntax is no news; the sort is stable, syntax came first.
        self.problems.dedup_by_key(|problem| place(problem));
        Err(self.problems)
    }
}
