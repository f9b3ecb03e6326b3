//! The guide names every field that has an effect on requests, and so no field is forgotten in it.

use std::collections::BTreeSet;

use super::{
    destination_rule,
    schema::{Field, Shape, Support},
    virtual_service,
};

const GUIDE: &str = include_str!("../../../docs/http-rules.md");

#[test]
fn the_guide_names_every_field() {
    let spec = |document: &'static [Field]| fields_of(document, "spec");
    let mut names = BTreeSet::new();
    collect(
        fields_of(spec(&virtual_service::DOCUMENT), "http"),
        &mut names,
    );
    let policy = fields_of(spec(&destination_rule::DOCUMENT), "trafficPolicy");
    for block in ["loadBalancer", "connectionPool", "retryBudget"] {
        collect(fields_of(policy, block), &mut names);
    }
    assert!(names.len() > 60, "{names:?}");
    let words: BTreeSet<&str> = GUIDE
        .split(|byte: char| !byte.is_ascii_alphanumeric())
        .collect();
    let missing: Vec<_> = names
        .iter()
        .filter(|name| !words.contains(**name))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}

/// The fields of a message, or of the elements of a list of messages.
fn fields_of(fields: &'static [Field], name: &str) -> &'static [Field] {
    let field = fields.iter().find(|field| field.name == name);
    message(&field.expect("the API has it").shape)
}

fn message(shape: &'static Shape) -> &'static [Field] {
    match shape {
        Shape::Object(fields) => fields,
        Shape::List(shape) | Shape::FullList(shape) | Shape::Map(_, shape) => message(shape),
        _ => &[],
    }
}

/// Those that have an effect, at any depth.
fn collect(fields: &'static [Field], names: &mut BTreeSet<&'static str>) {
    for field in fields.iter().filter(|field| field.support == Support::Full) {
        names.insert(field.name);
        collect(message(&field.shape), names);
    }
}
