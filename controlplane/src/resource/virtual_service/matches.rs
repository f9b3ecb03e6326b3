//! Reads the conditions of a rule, and says which of them no request meets.

use ringmain_config::route::{HeaderMatch, PathMatch, QueryMatch, StringMatch};

use super::{
    super::{
        conflict,
        cursor::{Cursor, Fault, Report},
        format,
        metadata::{self, Metadata},
    },
    CLAIM_PREFIX, GatewayReference, HttpMatch,
};

/// `HTTPMatchRequest`.
pub(super) fn read(at: &Cursor<'_>, metadata: &Metadata, report: &mut Report) -> HttpMatch {
    let mut headers = read_headers(at, "headers", false, report);
    let without = read_headers(at, "withoutHeaders", true, report);
    check_contradiction(at, &headers, &without, report);
    headers.extend(without);
    HttpMatch {
        name: at.text_of("name").unwrap_or_default().to_owned(),
        uri: match read_met(at, ("uri", conflict::never_a_path), report) {
            None | Some(StringMatch::Present) => PathMatch::Any,
            Some(StringMatch::Exact(text)) => PathMatch::Exact(text),
            Some(StringMatch::Prefix(text)) => PathMatch::Prefix(text),
            Some(StringMatch::Regex(text)) => PathMatch::Regex(text),
        },
        ignore_uri_case: at
            .field("ignoreUriCase")
            .and_then(|field| field.boolean())
            .unwrap_or_default(),
        scheme: read_met(at, ("scheme", conflict::never_a_scheme), report),
        method: read_met(at, ("method", conflict::never_a_method), report),
        authority: read_met(at, ("authority", |_| None), report),
        headers,
        query_params: read_query(at, report),
        port: at.integer_of("port"),
        source_labels: metadata::labels(at, "sourceLabels"),
        source_namespace: at.text_of("sourceNamespace").map(str::to_owned),
        gateways: at
            .each_of_list("gateways")
            .filter_map(|gateway| Some(GatewayReference::of(gateway.text()?, metadata)))
            .collect(),
    }
}

/// One header cannot meet a condition and not meet it.
fn check_contradiction(
    at: &Cursor<'_>,
    with: &[HeaderMatch],
    without: &[HeaderMatch],
    report: &mut Report,
) {
    for (name, field) in at.each_of_map("withoutHeaders") {
        let is_it = |header: &&HeaderMatch| header.name.eq_ignore_ascii_case(name);
        let conditions = (with.iter().find(is_it), without.iter().find(is_it));
        if let (Some(with), Some(without)) = conditions
            && with.value == without.value
        {
            conflict::never(&field, "`headers` asks for the same", report);
        }
    }
}

fn read_headers(
    at: &Cursor<'_>,
    name: &str,
    invert: bool,
    report: &mut Report,
) -> Vec<HeaderMatch> {
    let mut headers = Vec::with_capacity(at.length_of(name));
    for (header, condition) in at.each_of_map(name) {
        if header.starts_with(CLAIM_PREFIX) {
            let message = "conditions on claims of a token are not supported yet: requests \
                           without the claim would be let through";
            report.error(&condition, Fault::new(message).hint("remove the rule"));
            continue;
        }
        if let Some(value) = read_presence_or_string(&condition, report) {
            if let Some(why) = conflict::never_a_value(&value).filter(|_| !invert) {
                conflict::never(&condition, why, report);
            }
            headers.push(HeaderMatch {
                name: header.to_ascii_lowercase(),
                value,
                invert,
            });
        }
    }
    headers
}

fn read_query(at: &Cursor<'_>, report: &mut Report) -> Vec<QueryMatch> {
    let mut query = Vec::with_capacity(at.length_of("queryParams"));
    for (name, condition) in at.each_of_map("queryParams") {
        if let Some(value) = read_presence_or_string(&condition, report) {
            query.push(QueryMatch {
                name: name.to_owned(),
                value,
            });
        }
    }
    query
}

/// The condition of this name, and whether any request can meet it.
fn read_met(
    at: &Cursor<'_>,
    (name, never): (&str, fn(&StringMatch) -> Option<String>),
    report: &mut Report,
) -> Option<StringMatch> {
    let field = at.field(name)?;
    let condition = read_condition_at(&field, report)?;
    if let Some(why) = never(&condition) {
        conflict::never(&field, why, report);
    }
    Some(condition)
}

/// A condition on a part of the request that is always there: it must say something.
pub(super) fn read_condition_at(field: &Cursor<'_>, report: &mut Report) -> Option<StringMatch> {
    let condition = read_string(field, report)?;
    if condition == StringMatch::Present && field.length() > 0 {
        // It holds fields that do not exist, which was reported.
        return None;
    }
    let says_nothing = match &condition {
        StringMatch::Prefix(text) => text.is_empty(),
        StringMatch::Present => true,
        StringMatch::Exact(_) | StringMatch::Regex(_) => false,
    };
    if says_nothing {
        let fault = Fault::new("the condition is empty");
        report.error(
            field,
            fault.hint("write `exact`, `prefix` or `regex`, or remove it"),
        );
        return None;
    }
    if let StringMatch::Regex(pattern) = &condition
        && let Err(fault) = format::regex(pattern)
    {
        report.error(&field.field("regex")?, fault);
    }
    Some(condition)
}

/// A condition that asks for presence when it is empty. `*` for a regular expression is none, but
/// is taken for the same.
fn read_presence_or_string(at: &Cursor<'_>, report: &mut Report) -> Option<StringMatch> {
    let condition = read_string(at, report)?;
    match &condition {
        StringMatch::Prefix(text) if text.is_empty() => return Some(StringMatch::Present),
        StringMatch::Regex(text) if text == "*" => return Some(StringMatch::Present),
        StringMatch::Regex(pattern) => {
            if let Err(fault) = format::regex(pattern) {
                report.error(&at.field("regex")?, fault);
            }
        }
        StringMatch::Prefix(_) | StringMatch::Exact(_) | StringMatch::Present => {}
    }
    Some(condition)
}

/// At most one of the ways to compare; `Present` for none.
fn read_string(at: &Cursor<'_>, report: &mut Report) -> Option<StringMatch> {
    let mut condition = None;
    let mut conditions = 0;
    for (name, variant) in [
        ("exact", StringMatch::Exact as fn(String) -> StringMatch),
        ("prefix", StringMatch::Prefix),
        ("regex", StringMatch::Regex),
    ] {
        if let Some(field) = at.field(name) {
            let text = field.text()?;
            conditions += 1;
            condition.get_or_insert_with(|| variant(text.to_owned()));
        }
    }
    if conditions > 1 {
        let fault = Fault::new("`exact`, `prefix` and `regex` exclude each other");
        report.error(at, fault.hint("keep one of them"));
    }
    Some(condition.unwrap_or(StringMatch::Present))
}
