//! A value of a document together with the way to it, and the list of what is wrong.
//!
//! A document is read in two passes: [`schema`](super::schema) reports every value of the wrong
//! form, then the kind's own function takes what it needs. That function passes over a value of
//! the wrong form in silence, since it was reported and the document is dropped for it.

use std::{cell::RefCell, num::NonZeroUsize, sync::Arc};

use ringmain_config::{
    origin::Origin,
    problem::{Problem, Severity},
};

use super::{
    format,
    span::{Span, Spanned},
    yaml::{Entry, Node, Scalar, Value},
};

/// A value and the way to it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cursor<'a> {
    node: &'a Node<'a>,
    /// Place of the key, or of the value where there is none.
    key_span: Span,
    /// From the document to here; `None` for the document.
    last: Option<StepIndex>,
    way: &'a Way<'a>,
}

/// Every step that was made in a document. Put into words only for a problem.
#[derive(Debug, Default)]
pub(super) struct Way<'a>(RefCell<Vec<Step<'a>>>);

/// From a map or list to a value in it.
#[derive(Clone, Copy, Debug)]
struct Step<'a> {
    before: Option<StepIndex>,
    to: To<'a>,
}

/// One more than where it stands, so that there can be none without taking more room.
type StepIndex = NonZeroUsize;

#[derive(Clone, Copy, Debug)]
enum To<'a> {
    Key(&'a str),
    Index(usize),
}

impl<'a> Way<'a> {
    fn add(&self, step: Step<'a>) -> Option<StepIndex> {
        let mut steps = self.0.borrow_mut();
        steps.push(step);
        StepIndex::new(steps.len())
    }

    fn step(&self, index: StepIndex) -> Step<'a> {
        self.0.borrow()[index.get() - 1]
    }
}

impl<'a> Cursor<'a> {
    /// The document itself. `way` is a new one.
    pub(super) fn root(node: &'a Node<'a>, way: &'a Way<'a>) -> Self {
        Self {
            node,
            key_span: node.span,
            last: None,
            way,
        }
    }

    /// The value.
    pub(super) fn node(&self) -> &'a Node<'a> {
        self.node
    }

    /// Place of the value.
    pub(super) fn span(&self) -> Span {
        self.node.span
    }

    /// Place of the key, or of the value where there is none.
    pub(super) fn key_span(&self) -> Span {
        self.key_span
    }

    /// `value` as written here.
    pub(super) fn spanned<T>(&self, value: T) -> Spanned<T> {
        Spanned::new(value, self.node.span)
    }

    /// The value of a key; none when the key is missing or its value is null, which Kubernetes
    /// takes for the same.
    pub(super) fn field(&self, name: &str) -> Option<Self> {
        let Value::Map(entries) = &self.node.value else {
            return None;
        };
        let null = |node: &Node<'_>| matches!(node.value, Value::Scalar(Scalar::Null));
        let entry = entries.iter().find(|entry| entry.has_key(name));
        let entry = entry.filter(|entry| !null(&entry.node))?;
        Some(self.child(entry))
    }

    /// Keys and values of a map, in the order written; none when it is no map.
    pub(super) fn entries(&self) -> Vec<(&'a str, Self)> {
        self.each_entry().collect()
    }

    /// As [`Self::entries`], one after the other.
    pub(super) fn each_entry(self) -> impl Iterator<Item = (&'a str, Self)> {
        let entries: &[Entry<'a>] = match &self.node.value {
            Value::Map(entries) => entries,
            Value::List(_) | Value::Scalar(_) => &[],
        };
        entries
            .iter()
            .map(move |entry| (&*entry.key, self.child(entry)))
    }

    fn child(&self, entry: &'a Entry<'a>) -> Self {
        self.at(To::Key(&entry.key), &entry.node, entry.key_span)
    }

    fn at(&self, to: To<'a>, node: &'a Node<'a>, key_span: Span) -> Self {
        let before = self.last;
        Self {
            node,
            key_span,
            last: self.way.add(Step { before, to }),
            way: self.way,
        }
    }

    /// `spec.http[0].match`; empty for the document.
    fn path(&self) -> String {
        let mut steps = Vec::new();
        let mut last = self.last;
        while let Some(index) = last {
            let step = self.way.step(index);
            steps.push(step.to);
            last = step.before;
        }
        let steps = steps.into_iter().rev();
        steps.fold(String::new(), |path, to| match to {
            To::Key(key) => join(&path, key),
            To::Index(index) => format!("{path}[{index}]"),
        })
    }

    /// Elements of a list; none when it is no list.
    pub(super) fn items(&self) -> Vec<Self> {
        self.each_item().collect()
    }

    /// As [`Self::items`], one after the other.
    pub(super) fn each_item(self) -> impl Iterator<Item = Self> {
        let items: &[Node<'a>] = match &self.node.value {
            Value::List(items) => items,
            Value::Map(_) | Value::Scalar(_) => &[],
        };
        let items = items.iter().enumerate();
        items.map(move |(index, node)| self.at(To::Index(index), node, node.span))
    }

    /// Elements of the list that is the value of a key.
    pub(super) fn list(&self, name: &str) -> Vec<Self> {
        self.field(name).map_or_else(Vec::new, |list| list.items())
    }

    /// As [`Self::list`], one after the other.
    pub(super) fn each_of_list(&self, name: &str) -> impl Iterator<Item = Self> {
        self.field(name).into_iter().flat_map(Self::each_item)
    }

    /// Keys and values of the map that is the value of a key, one after the other.
    pub(super) fn each_of_map(&self, name: &str) -> impl Iterator<Item = (&'a str, Self)> {
        self.field(name).into_iter().flat_map(Self::each_entry)
    }

    /// How many elements or keys the value of a key has. What is read of them gets room for so many
    /// and no more: tables of routes are most of what there is, and most of their lists have one
    /// element.
    pub(super) fn length_of(&self, name: &str) -> usize {
        self.field(name).map_or(0, |field| field.length())
    }

    /// How many elements or keys there are.
    pub(super) fn length(&self) -> usize {
        match &self.node.value {
            Value::List(items) => items.len(),
            Value::Map(entries) => entries.len(),
            Value::Scalar(_) => 0,
        }
    }

    /// The text of a scalar that is text.
    pub(super) fn text(&self) -> Option<&'a str> {
        match &self.node.value {
            Value::Scalar(Scalar::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// The text that is the value of a key.
    pub(super) fn text_of(&self, name: &str) -> Option<&'a str> {
        self.field(name)?.text()
    }

    /// A whole number.
    pub(super) fn integer(&self) -> Option<i64> {
        match &self.node.value {
            Value::Scalar(Scalar::Integer(number, _)) => Some(*number),
            _ => None,
        }
    }

    /// The boolean that is the value of a key.
    pub(super) fn boolean_of(&self, name: &str) -> Option<bool> {
        self.field(name)?.boolean()
    }

    /// The whole number that is the value of a key.
    pub(super) fn integer_of<N: TryFrom<i64>>(&self, name: &str) -> Option<N> {
        N::try_from(self.field(name)?.integer()?).ok()
    }

    /// The number that is the value of a key, whole or not.
    pub(super) fn number_of(&self, name: &str) -> Option<f64> {
        match &self.field(name)?.node.value {
            // What has a fraction elsewhere in the API is small.
            Value::Scalar(Scalar::Integer(number, _)) => Some(*number as f64),
            Value::Scalar(Scalar::Float(number, _)) => Some(*number),
            _ => None,
        }
    }

    /// A boolean.
    pub(super) fn boolean(&self) -> Option<bool> {
        match &self.node.value {
            Value::Scalar(Scalar::Boolean(boolean)) => Some(*boolean),
            _ => None,
        }
    }
}

fn join(path: &str, key: &str) -> String {
    let key = &format::shown(key);
    let simple = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    match (path, key.bytes().all(simple) && !key.is_empty()) {
        ("", _) => key.to_owned(),
        (_, true) => format!("{path}.{key}"),
        (_, false) => format!("{path}[{key:?}]"),
    }
}

/// A sentence about what is wrong with a value, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    message: String,
    hint: Option<String>,
}

impl Fault {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            hint: None,
        }
    }

    /// Adds what to do about it.
    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl From<&str> for Fault {
    fn from(message: &str) -> Self {
        Self::new(message)
    }
}

impl From<String> for Fault {
    fn from(message: String) -> Self {
        Self::new(message)
    }
}

/// What is wrong with one document.
#[derive(Debug)]
pub(super) struct Report {
    /// Where the document is, and what it calls itself.
    pub(super) origin: Origin,
    /// In the order found.
    pub(super) problems: Vec<Problem>,
}

impl Report {
    pub(super) fn new(file: &Arc<str>, resource: &str, line: u32) -> Self {
        Self {
            origin: Origin {
                resource: resource.into(),
                file: Arc::clone(file),
                line,
            },
            problems: Vec::new(),
        }
    }

    /// The value is wrong: the document is dropped.
    pub(super) fn error(&mut self, at: &Cursor<'_>, fault: impl Into<Fault>) {
        self.push(Severity::Error, at.span(), &at.path(), fault.into());
    }

    /// The value has no effect, or hardly the one that was meant.
    pub(super) fn warning(&mut self, at: &Cursor<'_>, fault: impl Into<Fault>) {
        self.push(Severity::Warning, at.span(), &at.path(), fault.into());
    }

    /// As the others, about the key rather than its value.
    pub(super) fn key(&mut self, severity: Severity, at: &Cursor<'_>, fault: impl Into<Fault>) {
        self.push(severity, at.key_span, &at.path(), fault.into());
    }

    /// As the others, at a place of its own.
    pub(super) fn at(
        &mut self,
        severity: Severity,
        span: Span,
        at: &Cursor<'_>,
        fault: impl Into<Fault>,
    ) {
        self.push(severity, span, &at.path(), fault.into());
    }

    /// A value is missing.
    pub(super) fn missing(&mut self, at: &Cursor<'_>, name: &str) {
        let fault = format!("`{name}` is missing").into();
        self.push(Severity::Error, at.span(), &join(&at.path(), name), fault);
    }

    /// Nothing beyond warnings so far.
    pub(super) fn is_usable(&self) -> bool {
        self.problems
            .iter()
            .all(|problem| problem.severity == Severity::Warning)
    }

    fn push(&mut self, severity: Severity, span: Span, path: &str, fault: Fault) {
        let resource = &self.origin.resource;
        let path = if path.is_empty() {
            resource.to_string()
        } else {
            format!("{resource} > {path}")
        };
        self.problems.push(Problem {
            severity,
            file: Some(self.origin.file.to_string()),
            line: span.line,
            column: span.column,
            path,
            message: fault.message,
            hint: fault.hint,
        });
    }
}
