//! Reads the matches of an HTTPRoute's rule.

use std::collections::HashSet;

use ringmain_config::route::{HeaderMatch, QueryMatch, StringMatch};

use super::{Match, PathCondition, Target, form};
use crate::resource::{
    conflict,
    cursor::{Cursor, Report},
    format,
};

/// What every request meets.
pub(super) fn every_request() -> Match {
    Match {
        target: Target::Path(PathCondition::Prefix("/".to_owned())),
        method: None,
        headers: Vec::new(),
        query: Vec::new(),
    }
}

/// `HTTPRouteMatch`.
pub(super) fn read(at: &Cursor<'_>, report: &mut Report) -> Match {
    let path = at.field("path").and_then(|at| read_path(&at, report));
    Match {
        target: path.map_or_else(|| every_request().target, Target::Path),
        method: read_method(at, report),
        headers: read_headers(at, report),
        query: read_query(at, report),
    }
}

fn read_method(at: &Cursor<'_>, report: &mut Report) -> Option<String> {
    let field = at.field("method")?;
    let method = field.text()?.to_owned();
    if let Some(why) = conflict::never_a_method(&StringMatch::Exact(method.clone())) {
        conflict::never(&field, why, report);
    }
    Some(method)
}

fn read_path(at: &Cursor<'_>, report: &mut Report) -> Option<PathCondition> {
    let value = at.field("value");
    let text = match &value {
        Some(value) => value.text()?,
        None => "/",
    };
    let written = value.unwrap_or(*at);
    let form = match at.text_of("type") {
        Some("RegularExpression") => format::regex,
        _ => form::path,
    };
    if let Err(fault) = form(text) {
        report.error(&written, fault);
    }
    let text = text.to_owned();
    Some(match at.text_of("type") {
        Some("Exact") => PathCondition::Exact(text),
        Some("RegularExpression") => PathCondition::Regex(text),
        _ => PathCondition::Prefix(match text.trim_end_matches('/') {
            "" => "/".to_owned(),
            elements => elements.to_owned(),
        }),
    })
}

/// Of conditions on one header the first counts, says the API (`HTTPHeaderMatch.name`).
pub(super) fn read_headers(at: &Cursor<'_>, report: &mut Report) -> Vec<HeaderMatch> {
    let mut seen = HashSet::new();
    let mut headers = Vec::with_capacity(at.length_of("headers"));
    for item in at.each_of_list("headers") {
        let (Some(name), Some(value)) = (item.text_of("name"), read_text(&item, report)) else {
            continue;
        };
        let name = name.to_ascii_lowercase();
        if seen.insert(name.clone()) {
            headers.push(HeaderMatch {
                name,
                value,
                invert: false,
            });
        } else {
            report.warning(&item, repeated(&name));
        }
    }
    headers
}

/// As of headers, with regard to case (`HTTPQueryParamMatch.name`).
fn read_query(at: &Cursor<'_>, report: &mut Report) -> Vec<QueryMatch> {
    let mut seen = HashSet::new();
    let mut query = Vec::with_capacity(at.length_of("queryParams"));
    for item in at.each_of_list("queryParams") {
        let (Some(name), Some(value)) = (item.text_of("name"), read_text(&item, report)) else {
            continue;
        };
        if seen.insert(name) {
            let name = name.to_owned();
            query.push(QueryMatch { name, value });
        } else {
            report.warning(&item, repeated(name));
        }
    }
    query
}

fn repeated(name: &str) -> String {
    let name = format::shown(name);
    format!("there is a condition on `{name}` already: this one has no effect")
}

fn read_text(at: &Cursor<'_>, report: &mut Report) -> Option<StringMatch> {
    let value = at.field("value")?;
    let text = value.text()?;
    if at.text_of("type") != Some("RegularExpression") {
        return Some(StringMatch::Exact(text.to_owned()));
    }
    if let Err(fault) = format::regex(text) {
        report.error(&value, fault);
    }
    Some(StringMatch::Regex(text.to_owned()))
}
