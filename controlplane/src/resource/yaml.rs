//! YAML text as trees of values that know their place.
//!
//! Documents are cut apart first, so that a syntax error in one does not hide the others; no line
//! inside a document can look like a separator (YAML 1.2.2, production 206). Scalars resolve by the
//! core schema. Keys are text, as Kubernetes has it, and no key may occur twice. Anchors, aliases
//! and merge keys are expanded here; depth and size are bounded, so that no file costs more than
//! its own length many times over.

use std::{
    borrow::Cow,
    collections::{HashMap, HashSet},
    sync::atomic::{AtomicUsize, Ordering},
};

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, ScanError, Tag};

use super::span::Span;

mod quick;
mod scalar;
mod split;

pub(super) use scalar::Scalar;

/// A value and its place.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Node<'t> {
    /// Place of its first character.
    pub(super) span: Span,
    /// What it is.
    pub(super) value: Value<'t>,
}

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value<'t> {
    /// Neither list nor map.
    Scalar(Scalar<'t>),
    /// A sequence.
    List(Vec<Node<'t>>),
    /// A mapping in the order written, without duplicate keys.
    Map(Vec<Entry<'t>>),
}

/// A key and its value.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Entry<'t> {
    /// As written; a number or boolean is text here.
    pub(super) key: Cow<'t, str>,
    /// Place of the key.
    pub(super) key_span: Span,
    /// The value.
    pub(super) node: Node<'t>,
}

impl Entry<'_> {
    /// Its key is `name`.
    pub(super) fn has_key(&self, name: &str) -> bool {
        is_same(&self.key, name)
    }
}

/// Equality, for names of which most differ at once: comparing whole texts is a call.
pub(super) fn is_same(left: &str, right: &str) -> bool {
    left.len() == right.len()
        && left.as_bytes().first() == right.as_bytes().first()
        && left == right
}

/// A document that could be read.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Document<'t> {
    /// What it holds; of a key that occurs twice the first value.
    pub(super) root: Node<'t>,
    /// Keys that occur twice. Everything else in the document can be looked at all the same.
    pub(super) repeated: Vec<SyntaxError>,
}

/// What keeps a text from being read, or from being used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SyntaxError {
    /// Where.
    pub(super) span: Span,
    /// What is wrong.
    pub(super) message: String,
    /// What to do about it.
    pub(super) hint: Option<String>,
}

/// The texts of the documents of a file, each with the number of lines before it. Not all of them
/// have content, see [`document`].
///
/// # Errors
/// When the whole file is no YAML.
pub(super) fn texts(text: &str) -> Result<Vec<(usize, &str)>, SyntaxError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    split::check_characters(text)?;
    Ok(split::documents(text))
}

/// Reads one of [`texts`]; `None` when it is empty.
///
/// # Errors
/// The first reason for which it is no YAML.
pub(super) fn document<'t>(
    (line, text): (usize, &'t str),
    expansion: &Expansion,
) -> Result<Option<Document<'t>>, SyntaxError> {
    match quick::read(text, line) {
        Some(root) => Ok(Some(Document {
            root,
            repeated: Vec::new(),
        })),
        None => Tree::new(line, expansion).read(text),
    }
}

/// Values that the aliases of one file stand for so far; its documents share the limit.
#[derive(Debug, Default)]
pub(super) struct Expansion(AtomicUsize);

impl Expansion {
    /// No alias was met.
    pub(super) fn is_none(&self) -> bool {
        self.0.load(Ordering::Relaxed) == 0
    }

    /// What they come to with `values` more.
    fn add(&self, values: usize) -> usize {
        self.0.fetch_add(values, Ordering::Relaxed) + values
    }
}

/// Levels of nesting; the deepest field of any mesh resource is below twenty.
const DEPTH_MAX: usize = 64;

/// Values that the aliases of one file stand for.
const EXPANSION_MAX: usize = 200_000;

/// Builds the tree of one document.
struct Tree<'a, 't> {
    /// Lines of the file before the document.
    line_offset: usize,
    /// Open lists and maps, the outermost first.
    open: Vec<Open<'t>>,
    /// The finished root.
    root: Option<Node<'t>>,
    /// Anchored values by the parser's number.
    anchors: HashMap<usize, Node<'t>>,
    repeated: Vec<SyntaxError>,
    expansion: &'a Expansion,
}

/// A list or map whose end has not come.
struct Open<'t> {
    node: Node<'t>,
    anchor: usize,
    /// Of a map: the key whose value comes next.
    key: Option<Key<'t>>,
    /// Of a map: keys so far, with their lines.
    keys: HashMap<Cow<'t, str>, u32>,
    /// Of a map: the values of `<<`.
    merged: Vec<Node<'t>>,
}

struct Key<'t> {
    text: Cow<'t, str>,
    span: Span,
    role: Role,
}

/// What becomes of the value of a key.
#[derive(Clone, Copy)]
enum Role {
    /// It is an entry of the map.
    Entry,
    /// The key is `<<` without quotes: the map takes over its entries.
    Merge,
    /// The map has the key already: it is left out.
    Repeated,
}

impl<'a, 't> Tree<'a, 't> {
    fn new(line_offset: usize, expansion: &'a Expansion) -> Self {
        Self {
            line_offset,
            open: Vec::new(),
            root: None,
            anchors: HashMap::new(),
            repeated: Vec::new(),
            expansion,
        }
    }

    fn read(mut self, text: &'t str) -> Result<Option<Document<'t>>, SyntaxError> {
        for event in Parser::new_from_str(text) {
            let (event, span) = event.map_err(|error| self.syntax(&error, text))?;
            self.event(event, self.span(span.start))?;
        }
        let empty = |node: &Node<'_>| matches!(node.value, Value::Scalar(Scalar::Null));
        let root = self.root.filter(|node| !empty(node));
        let repeated = self.repeated;
        Ok(root.map(|root| Document { root, repeated }))
    }

    fn event(&mut self, event: Event<'t>, span: Span) -> Result<(), SyntaxError> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let plain = style == ScalarStyle::Plain;
                let key = self.expects_key().then(|| text.clone());
                let scalar = scalar::resolve(text, plain, tag.as_deref())
                    .map_err(|message| SyntaxError::new(span, message))?;
                if let Some(key) = key {
                    self.key(key, plain, span);
                    return Ok(());
                }
                let value = Value::Scalar(scalar);
                self.finished(Node { span, value }, anchor)
            }
            Event::SequenceStart(anchor, tag) => {
                self.start(Value::List(Vec::new()), anchor, tag.as_deref(), span)
            }
            Event::MappingStart(anchor, tag) => {
                self.start(Value::Map(Vec::new()), anchor, tag.as_deref(), span)
            }
            Event::SequenceEnd | Event::MappingEnd => match self.open.pop() {
                Some(open) => {
                    let anchor = open.anchor;
                    self.finished(open.close()?, anchor)
                }
                None => Ok(()),
            },
            Event::Alias(anchor) => self.alias(anchor, span),
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd => Ok(()),
        }
    }

    fn expects_key(&self) -> bool {
        self.open
            .last()
            .is_some_and(|open| matches!(open.node.value, Value::Map(_)) && open.key.is_none())
    }

    fn start(
        &mut self,
        value: Value<'t>,
        anchor: usize,
        tag: Option<&Tag>,
        span: Span,
    ) -> Result<(), SyntaxError> {
        let expected_tag = if matches!(value, Value::Map(_)) {
            "map"
        } else {
            "seq"
        };
        if let Some(tag) = tag
            && !(tag.is_yaml_core_schema() && tag.suffix == expected_tag)
        {
            return Err(SyntaxError::new(span, scalar::unknown_tag(tag)));
        }
        if self.expects_key() {
            let message = "a key must be text, not a list or map";
            return Err(SyntaxError::new(span, message));
        }
        check_depth(self.open.len() + 1, span)?;
        self.open.push(Open {
            node: Node { span, value },
            anchor,
            key: None,
            keys: HashMap::new(),
            merged: Vec::new(),
        });
        Ok(())
    }

    fn key(&mut self, text: Cow<'t, str>, plain: bool, span: Span) {
        let Some(open) = self.open.last_mut() else {
            return;
        };
        let mut role = match plain && text == "<<" {
            true => Role::Merge,
            false => Role::Entry,
        };
        match open.keys.get(&text) {
            Some(line) => {
                let message = format!("the key `{text}` occurs twice, first in line {line}");
                let error = SyntaxError::new(span, message).hint("remove one of them");
                self.repeated.push(error);
                role = Role::Repeated;
            }
            None => {
                open.keys.insert(text.clone(), span.line);
            }
        }
        open.key = Some(Key { text, span, role });
    }

    /// Puts a complete value where it belongs.
    fn finished(&mut self, node: Node<'t>, anchor: usize) -> Result<(), SyntaxError> {
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        let Some(open) = self.open.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        match &mut open.node.value {
            Value::List(items) => items.push(node),
            Value::Map(entries) => {
                let Some(Key { text, span, role }) = open.key.take() else {
                    return Ok(());
                };
                match role {
                    Role::Entry => entries.push(Entry {
                        key: text,
                        key_span: span,
                        node,
                    }),
                    Role::Merge => open.merged.push(node),
                    Role::Repeated => {}
                }
            }
            Value::Scalar(_) => {}
        }
        Ok(())
    }

    fn alias(&mut self, anchor: usize, span: Span) -> Result<(), SyntaxError> {
        if self.expects_key() {
            let message = "an alias cannot stand for a key";
            return Err(SyntaxError::new(span, message));
        }
        let Some(node) = self.anchors.get(&anchor) else {
            let message = "an alias stands inside the value that it names";
            return Err(SyntaxError::new(span, message));
        };
        let (nodes, depth) = extent(node);
        if self.expansion.add(nodes) > EXPANSION_MAX {
            let message = format!("aliases stand for more than {EXPANSION_MAX} values");
            return Err(SyntaxError::new(span, message).hint("write the values out"));
        }
        check_depth(self.open.len() + depth, span)?;
        let node = node.clone();
        self.finished(node, 0)
    }

    fn span(&self, marker: Marker) -> Span {
        let number = |value: usize| u32::try_from(value).unwrap_or(u32::MAX);
        Span {
            line: number(marker.line().max(1) + self.line_offset),
            column: number(marker.col() + 1),
        }
    }

    /// What the parser found; behind the end of the document it is the end that is wrong.
    fn syntax(&self, error: &ScanError, text: &str) -> SyntaxError {
        let lines = text.lines().count();
        let mut marker = *error.marker();
        if marker.line() > lines {
            let column = text.lines().last().map_or(0, |line| line.chars().count());
            marker = Marker::new(marker.index(), lines, column);
        }
        let message = format!("not YAML: {}", error.info());
        SyntaxError::new(self.span(marker), message)
    }
}

impl<'t> Open<'t> {
    /// The complete value: keys that a map takes over with `<<` give way to those written in it,
    /// later maps to earlier ones.
    fn close(mut self) -> Result<Node<'t>, SyntaxError> {
        let Value::Map(entries) = &mut self.node.value else {
            return Ok(self.node);
        };
        if self.merged.is_empty() {
            return Ok(self.node);
        }
        let mut keys: HashSet<Cow<'t, str>> = self.keys.into_keys().collect();
        let maps = self.merged.into_iter().flat_map(|node| match node.value {
            Value::List(items) => items,
            Value::Map(_) | Value::Scalar(_) => vec![node],
        });
        for map in maps {
            let Value::Map(merged) = map.value else {
                let message = "`<<` takes a map, or a list of maps";
                return Err(SyntaxError::new(map.span, message));
            };
            let new = merged
                .into_iter()
                .filter(|entry| keys.insert(entry.key.clone()));
            entries.extend(new);
        }
        Ok(self.node)
    }
}

impl SyntaxError {
    fn new(span: Span, message: impl Into<String>) -> Self {
        Self {
            span,
            message: message.into(),
            hint: None,
        }
    }

    fn hint(mut self, hint: &str) -> Self {
        self.hint = Some(hint.to_owned());
        self
    }
}

fn check_depth(depth: usize, span: Span) -> Result<(), SyntaxError> {
    if depth <= DEPTH_MAX {
        return Ok(());
    }
    let message = format!("nested deeper than {DEPTH_MAX} levels");
    Err(SyntaxError::new(span, message))
}

/// How many values there are, the value itself included, and how deep they nest.
fn extent(node: &Node<'_>) -> (usize, usize) {
    let inner = |(nodes, depth): (usize, usize), node: &Node<'_>| {
        let (inner_nodes, inner_depth) = extent(node);
        (nodes + inner_nodes, depth.max(1 + inner_depth))
    };
    match &node.value {
        Value::Scalar(_) => (1, 0),
        Value::List(items) => items.iter().fold((1, 1), inner),
        Value::Map(entries) => entries.iter().map(|entry| &entry.node).fold((1, 1), inner),
    }
}

#[cfg(test)]
mod tests;
