//! What fields an API has, which of them mean something here, and what their values look like.
//!
//! Each kind describes itself as tables of [`Field`]s, complete as to the API, so that a field
//! that does not exist is told from one that is not supported yet. [`check`] holds a document
//! against them and reports everything at once.

use std::time::Duration;

use ringmain_config::problem::{Severity, nearest};

use super::{
    cursor::{Cursor, Fault, Report},
    format,
    span::Span,
    yaml::{Scalar, Value, is_same},
};

/// A field of a message.
#[derive(Clone, Copy, Debug)]
pub(super) struct Field {
    /// As written in YAML.
    pub(super) name: &'static str,
    /// What its value looks like.
    pub(super) shape: Shape,
    /// Whether it means something here.
    pub(super) support: Support,
    /// It must be there.
    pub(super) required: bool,
}

/// Whether a field or a choice means something here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Support {
    /// It does what the API says.
    Full,
    /// It has no meaning on a host, or has its effect elsewhere; nothing is lost without it.
    Inert,
    /// A warning: not yet. What happens instead, as the rest of a sentence.
    Later(&'static str),
    /// An error: not yet, and going on without it would weaken security. What would happen.
    Refused(&'static str),
}

/// What a value looks like.
#[derive(Clone, Copy, Debug)]
pub(super) enum Shape {
    /// Any text.
    Text,
    /// Text of a certain form.
    Form(fn(&str) -> Result<(), Fault>),
    /// `true` or `false`.
    Boolean,
    /// A whole number between these.
    Integer(i64, i64),
    /// A number between these.
    Number(f64, f64),
    /// Text like `1.5s`, at least this.
    Duration(Duration),
    /// A port number, or the name of a port.
    PortOrName,
    /// One of these words.
    Choice(&'static [Choice]),
    /// A list.
    List(&'static Self),
    /// A list with at least one element.
    FullList(&'static Self),
    /// A map whose keys have a certain form.
    Map(fn(&str) -> Result<(), Fault>, &'static Self),
    /// A message of the API.
    Object(&'static [Field]),
    /// Whatever it is.
    Any,
}

/// A word that a field may hold.
#[derive(Clone, Copy, Debug)]
pub(super) struct Choice {
    /// As written in YAML.
    pub(super) name: &'static str,
    /// Whether it means something here.
    pub(super) support: Support,
}

/// A port number.
pub(super) const PORT: Shape = Shape::Integer(1, 65535);

/// An unsigned number of 32 bits.
pub(super) const COUNT: Shape = Shape::Integer(0, u32::MAX as i64);

/// A duration as the API's custom resources demand it.
pub(super) const DURATION: Shape = Shape::Duration(Duration::from_millis(1));

/// A percentage with a fraction.
pub(super) const PERCENT: Shape = Shape::Object(&[Field::new("value", Shape::Number(0.0, 100.0))]);

/// Labels.
pub(super) const LABELS: Shape = Shape::Map(format::label_name, &Shape::Form(format::label_value));

/// `{labels: …}` as in `workloadSelector`.
pub(super) const SELECTOR: Shape = Shape::Object(&[Field::new("labels", LABELS)]);

/// Any texts.
pub(super) const TEXTS: Shape = Shape::List(&Shape::Text);

impl Field {
    /// A field that is supported.
    pub(super) const fn new(name: &'static str, shape: Shape) -> Self {
        Self {
            name,
            shape,
            support: Support::Full,
            required: false,
        }
    }

    /// It must be there.
    pub(super) const fn required(mut self) -> Self {
        self.required = true;
        self
    }

    /// It has no meaning on a host; nothing is lost without it.
    pub(super) const fn inert(mut self) -> Self {
        self.support = Support::Inert;
        self
    }

    /// Not supported yet. `instead` says what happens, as the rest of a sentence.
    pub(super) const fn later(mut self, instead: &'static str) -> Self {
        self.support = Support::Later(instead);
        self
    }

    /// Not supported yet, and not to be ignored.
    pub(super) const fn refused(mut self, instead: &'static str) -> Self {
        self.support = Support::Refused(instead);
        self
    }
}

impl Choice {
    /// A word that is supported.
    pub(super) const fn new(name: &'static str) -> Self {
        Self {
            name,
            support: Support::Full,
        }
    }

    /// Not supported yet.
    pub(super) const fn later(mut self, instead: &'static str) -> Self {
        self.support = Support::Later(instead);
        self
    }

    /// Not supported yet, and not to be ignored.
    pub(super) const fn refused(mut self, instead: &'static str) -> Self {
        self.support = Support::Refused(instead);
        self
    }
}

/// Reports everything that is wrong with the form of a value, and what is not supported yet.
pub(super) fn check(at: &Cursor<'_>, shape: &Shape, report: &mut Report) {
    Check {
        report,
        inside_unsupported: false,
    }
    .value(at, shape);
}

struct Check<'r> {
    report: &'r mut Report,
    /// The value is part of one that has no effect as a whole, which was said.
    inside_unsupported: bool,
}

impl Check<'_> {
    fn value(&mut self, at: &Cursor<'_>, shape: &Shape) {
        match (shape, &at.node().value) {
            (Shape::Any, _) => {}
            (Shape::Object(fields), Value::Map(_)) => self.object(at, fields),
            (Shape::List(shape), Value::List(_)) => self.items(at, shape),
            (Shape::FullList(shape), Value::List(items)) => {
                if items.is_empty() {
                    self.report.error(at, "the list is empty");
                }
                self.items(at, shape);
            }
            (Shape::Map(key_form, shape), Value::Map(_)) => {
                for (key, value) in at.each_entry() {
                    if let Err(fault) = key_form(key) {
                        self.report.key(Severity::Error, &value, fault);
                    }
                    let empty_message = matches!(shape, Shape::Object(_)) && is_null(&value);
                    if !empty_message {
                        self.value(&value, shape);
                    }
                }
            }
            (shape, Value::Scalar(scalar)) => {
                if let Err(fault) = self.scalar(at, shape, scalar) {
                    self.report.error(at, fault);
                }
            }
            (shape, Value::List(_) | Value::Map(_)) => {
                self.report.error(at, unexpected(shape, &at.node().value));
            }
        }
    }

    fn items(&mut self, at: &Cursor<'_>, shape: &Shape) {
        for item in at.each_item() {
            self.value(&item, shape);
        }
    }

    fn object(&mut self, at: &Cursor<'_>, fields: &[Field]) {
        for (name, value) in at.each_entry() {
            let Some(field) = fields.iter().find(|field| is_same(field.name, name)) else {
                self.report
                    .key(Severity::Error, &value, unknown(name, fields));
                continue;
            };
            if is_null(&value) {
                continue;
            }
            let was_inside = self.inside_unsupported;
            self.support(&value, value.key_span(), field.name, field.support);
            self.value(&value, &field.shape);
            self.inside_unsupported = was_inside;
        }
        let required = fields.iter().filter(|field| field.required);
        for field in required.filter(|field| at.field(field.name).is_none()) {
            self.report.missing(at, field.name);
        }
    }

    /// Says that a field or one of its choices has no effect, unless that was said of what it is
    /// part of.
    fn support(&mut self, at: &Cursor<'_>, span: Span, name: &str, support: Support) {
        let (severity, instead, hint) = match support {
            Support::Full => return,
            Support::Inert => {
                self.inside_unsupported = true;
                return;
            }
            Support::Later(instead) => (Severity::Warning, instead, None),
            Support::Refused(instead) => (Severity::Error, instead, Some(REFUSED_HINT)),
        };
        if !self.inside_unsupported {
            let fault = Fault::new(format!("`{name}` is not supported yet: {instead}"));
            let fault = match hint {
                Some(hint) => fault.hint(hint),
                None => fault,
            };
            self.report.at(severity, span, at, fault);
        }
        self.inside_unsupported = true;
    }

    fn scalar(&mut self, at: &Cursor<'_>, shape: &Shape, scalar: &Scalar<'_>) -> Result<(), Fault> {
        match (shape, scalar) {
            (Shape::Text, Scalar::Text(_)) | (Shape::Boolean, Scalar::Boolean(_)) => Ok(()),
            (Shape::Form(form), Scalar::Text(text)) => form(text),
            (Shape::PortOrName, Scalar::Text(text)) => format::port_name(text),
            (Shape::Integer(min, max), Scalar::Integer(number, _)) => {
                in_range(*number, *min, *max, number)
            }
            (Shape::PortOrName, Scalar::Integer(number, _)) => in_range(*number, 1, 65535, number),
            (Shape::Number(min, max), Scalar::Float(number, text)) => {
                in_range(*number, *min, *max, text)
            }
            (Shape::Number(min, max), Scalar::Integer(number, text)) => {
                // A percentage loses nothing as a float.
                in_range(*number as f64, *min, *max, text)
            }
            (Shape::Duration(min), Scalar::Text(text)) => format::duration_from(text, *min),
            (Shape::Choice(choices), Scalar::Text(text)) => {
                let choice = choices.iter().find(|choice| choice.name == text);
                let choice = choice.ok_or_else(|| unknown_choice(text, choices))?;
                let was_inside = self.inside_unsupported;
                self.support(at, at.span(), choice.name, choice.support);
                self.inside_unsupported = was_inside;
                Ok(())
            }
            _ => Err(unexpected(shape, &at.node().value)),
        }
    }
}

const REFUSED_HINT: &str = "remove it only if doing without is safe";

fn is_null(at: &Cursor<'_>) -> bool {
    matches!(at.node().value, Value::Scalar(Scalar::Null))
}

fn in_range<N: PartialOrd + std::fmt::Display>(
    number: N,
    min: N,
    max: N,
    written: impl std::fmt::Display,
) -> Result<(), Fault> {
    // Written so that NaN is outside.
    if number >= min && number <= max {
        return Ok(());
    }
    Err(Fault::new(format!(
        "{written} is not between {min} and {max}"
    )))
}

fn unknown(name: &str, fields: &[Field]) -> Fault {
    let name = format::shown(name);
    let fault = Fault::new(format!("there is no field `{name}`"));
    let names = || fields.iter().map(|field| field.name);
    match nearest(&name, names()) {
        Some(nearest) => fault.hint(format!("did you mean `{nearest}`?")),
        None => fault.hint(format!("the fields are {}", listed(names()))),
    }
}

fn unknown_choice(text: &str, choices: &[Choice]) -> Fault {
    let text = format::shown(text);
    let names = || choices.iter().map(|choice| choice.name);
    let fault = Fault::new(format!("`{text}` is not one of {}", listed(names())));
    match nearest(&text, names()) {
        Some(nearest) => fault.hint(format!("did you mean `{nearest}`?")),
        None => fault,
    }
}

fn listed<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names
        .map(|name| format!("`{name}`"))
        .collect::<Vec<_>>()
        .join(", ")
}

fn unexpected(shape: &Shape, value: &Value<'_>) -> Fault {
    let expected = match shape {
        Shape::Text | Shape::Form(_) => "text",
        Shape::Boolean => "`true` or `false`",
        Shape::Integer(..) => "a whole number",
        Shape::Number(..) => "a number",
        Shape::Duration(_) => "a duration like `1.5s`",
        Shape::PortOrName => "a port number or name",
        Shape::Choice(_) => "a word",
        Shape::List(_) | Shape::FullList(_) => "a list",
        Shape::Map(..) | Shape::Object(_) => "a map",
        Shape::Any => "a value",
    };
    let found = match value {
        Value::List(_) => "a list".to_owned(),
        Value::Map(_) => "a map".to_owned(),
        Value::Scalar(Scalar::Null) => "nothing".to_owned(),
        Value::Scalar(Scalar::Boolean(boolean)) => format!("the boolean `{boolean}`"),
        Value::Scalar(Scalar::Integer(_, text) | Scalar::Float(_, text)) => {
            format!("the number `{text}`")
        }
        Value::Scalar(Scalar::Text(text)) => format!("the text `{}`", format::shown(text)),
    };
    let fault = Fault::new(format!("expected {expected}, found {found}"));
    match (shape, value) {
        (
            Shape::Text | Shape::Form(_) | Shape::Choice(_),
            Value::Scalar(Scalar::Integer(_, text) | Scalar::Float(_, text)),
        ) => fault.hint(format!("put it in quotes: \"{text}\"")),
        (Shape::Text | Shape::Form(_), Value::Scalar(Scalar::Boolean(boolean))) => {
            fault.hint(format!("put it in quotes: \"{boolean}\""))
        }
        (Shape::Integer(..) | Shape::Number(..), Value::Scalar(Scalar::Text(text)))
            if text.parse::<f64>().is_ok() =>
        {
            fault.hint(format!("write it without quotes: {text}"))
        }
        (Shape::Boolean, Value::Scalar(Scalar::Text(text))) => match &**text {
            "true" | "yes" | "on" => fault.hint("write true, without quotes"),
            "false" | "no" | "off" => fault.hint("write false, without quotes"),
            _ => fault,
        },
        (Shape::Duration(_), Value::Scalar(Scalar::Integer(_, text) | Scalar::Float(_, text))) => {
            fault.hint(format!("add the unit: {text}s"))
        }
        (Shape::List(_) | Shape::FullList(_), _) => {
            fault.hint("begin each element with a dash: `- …`")
        }
        _ => fault,
    }
}

#[cfg(test)]
mod tests;
