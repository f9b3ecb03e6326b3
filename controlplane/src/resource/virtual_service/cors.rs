//! Reads `corsPolicy`: which pages of other origins may read the answers.

use ringmain_config::{filter::Cors, route::StringMatch};
use ringmain_core::header::is_token;

use super::{
    super::{
        cursor::{Cursor, Fault, Report},
        format,
    },
    matches::read_condition_at,
};

/// `CorsPolicy`.
pub(super) fn read(at: &Cursor<'_>, report: &mut Report) -> Cors {
    let allow_origins = read_origins(at, report);
    if ["allowOrigins", "allowOrigin"]
        .iter()
        .all(|name| at.length_of(name) == 0)
    {
        let fault = Fault::new("no origin is allowed to read an answer");
        report.warning(at, fault.hint("add `allowOrigins`"));
    }
    let allow_credentials = at.boolean_of("allowCredentials").unwrap_or_default();
    for name in ["allowMethods", "allowHeaders", "exposeHeaders"] {
        let mut items = at.each_of_list(name);
        if let Some(any) = items.find(|item| allow_credentials && item.text() == Some("*")) {
            let fault = Fault::new("browsers take `*` for a name beside `allowCredentials`");
            report.warning(
                &any,
                fault.hint("write each one, or leave out `allowCredentials`"),
            );
        }
    }
    let texts = |name| {
        let items = at.each_of_list(name);
        items
            .filter_map(|item| item.text().map(str::to_owned))
            .collect()
    };
    Cors {
        allow_origins,
        allow_methods: texts("allowMethods"),
        allow_headers: texts("allowHeaders"),
        expose_headers: texts("exposeHeaders"),
        max_age: at.field("maxAge").and_then(|age| {
            let duration = format::duration(age.text()?)?;
            if duration.subsec_nanos() != 0 {
                let fault = Fault::new("the header that says it has whole seconds only");
                report.error(
                    &age,
                    fault.hint(format!("write {}s", duration.as_secs().max(1))),
                );
            }
            Some(duration)
        }),
        allow_credentials,
        answers_unmatched_preflights: at.text_of("unmatchedPreflights") == Some("IGNORE"),
        wildcards_are_echoed: false,
    }
}

/// The list of conditions; else the older one of texts, of which `*` allows every origin.
fn read_origins(at: &Cursor<'_>, report: &mut Report) -> Vec<StringMatch> {
    let older = at.field("allowOrigin");
    let Some(origins) = at.field("allowOrigins") else {
        let texts = older.into_iter().flat_map(Cursor::each_item);
        let exact = texts.filter_map(|text| Some(StringMatch::Exact(text.text()?.to_owned())));
        return exact.collect();
    };
    if let Some(older) = older {
        let fault = Fault::new("`allowOrigin` has no effect beside `allowOrigins`");
        report.warning(&older, fault.hint("remove it"));
    }
    let origins = origins.each_item();
    origins
        .filter_map(|origin| read_condition_at(&origin, report))
        .collect()
}

/// A method's name (RFC 9110 section 9.1), or `*`.
pub(super) fn method(text: &str) -> Result<(), Fault> {
    if is_token(text.as_bytes()) {
        return Ok(());
    }
    let message = format!("`{}` is not a method", format::shown(text));
    Err(Fault::new(message).hint("write one method for each element: `- GET`"))
}
