//! Reads `headers`: changes to the headers of request and response.

use ringmain_config::route::{HeaderEdits, HeaderValue};
use ringmain_core::header::{check_removable, check_writable};

use super::{
    super::{
        cursor::{Cursor, Fault, Report},
        format,
    },
    HeaderOperations,
};

/// Whose headers are changed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Request,
    Response,
}

/// Reads the `headers` of a rule or of a destination.
pub(super) fn read(at: &Cursor<'_>, report: &mut Report) -> HeaderOperations {
    let Some(headers) = at.field("headers") else {
        return HeaderOperations::default();
    };
    let mut edits = |name, side| {
        headers
            .field(name)
            .map_or_else(HeaderEdits::default, |edits| {
                read_edits(&edits, side, report)
            })
    };
    let request = edits("request", Side::Request);
    HeaderOperations::new(request, edits("response", Side::Response))
}

fn read_edits(at: &Cursor<'_>, side: Side, report: &mut Report) -> HeaderEdits {
    let (added_authority, add) = read_values(at, "add", side, report);
    let (set_authority, set) = read_values(at, "set", side, report);
    let mut remove = Vec::with_capacity(at.length_of("remove"));
    for item in at.each_of_list("remove") {
        let Some(name) = item.text() else {
            continue;
        };
        if is_authority(name) && side == Side::Request {
            let fault = Fault::new("a request cannot be without its host");
            report.error(&item, fault.hint("remove it here, or `set` another one"));
        } else if check_name(&item, name, check_removable, report) {
            remove.push(name.to_ascii_lowercase());
        }
    }
    HeaderEdits {
        // What is set wins over what is added.
        authority: set_authority.or(added_authority),
        remove,
        set,
        add,
    }
}

/// The new authority, if there is one, and the other fields.
fn read_values(
    at: &Cursor<'_>,
    operation: &str,
    side: Side,
    report: &mut Report,
) -> (Option<String>, Vec<HeaderValue>) {
    let mut authority = None;
    let mut values = Vec::with_capacity(at.length_of(operation));
    for (name, value_at) in at.each_of_map(operation) {
        let Some(value) = value_at.text() else {
            continue;
        };
        let value = expand(&value_at, value, report);
        if is_authority(name) && side == Side::Request {
            if let Err(fault) = format::authority(&value) {
                report.error(&value_at, fault);
            } else if authority.as_ref().is_some_and(|other| *other != value) {
                let fault = Fault::new("the authority is said twice, and not the same");
                let hint = "leave one of `authority`, `:authority` and `host`";
                report.error(&value_at, fault.hint(hint));
            } else {
                authority = Some(value);
            }
        } else if check_name(&value_at, name, check_writable, report) {
            values.push(HeaderValue {
                name: name.to_owned(),
                value,
            });
        }
    }
    (authority, values)
}

/// Istio's names for the authority of a request, and the one that it has on the wire.
fn is_authority(name: &str) -> bool {
    let mut names = ["authority", ":authority", "host"].into_iter();
    names.any(|authority| name.eq_ignore_ascii_case(authority))
}

/// Headers that say how long a message is and where it ends are the proxy's own (RFC 9112
/// section 6), so are those of HTTP/2 that begin with a colon.
fn check_name(
    at: &Cursor<'_>,
    name: &str,
    allowed: fn(&str) -> Result<(), String>,
    report: &mut Report,
) -> bool {
    let fault = if name.starts_with(':') {
        Fault::new(format!("`{}` cannot be changed", format::shown(name)))
            .hint("only `:authority` of a request can")
    } else if let Err(fault) = format::header_name(name) {
        fault
    } else if let Err(reason) = allowed(name) {
        Fault::new(reason)
    } else {
        return true;
    };
    report.error(at, fault);
    false
}

/// `%%` is a percent sign; `%NAME%` stands for something that only Envoy knows so far.
fn expand(at: &Cursor<'_>, value: &str, report: &mut Report) -> String {
    if !value.contains('%') {
        return value.to_owned();
    }
    let literal = value.replace("%%", "");
    let command = literal
        .split('%')
        .nth(1)
        .filter(|_| literal.matches('%').count() > 1);
    if let Some(command) =
        command.filter(|command| command.starts_with(|first: char| first.is_ascii_uppercase()))
    {
        let command = format::shown(command);
        let message = format!("`%{command}%` is not supported yet: it is sent as written");
        report.warning(at, message);
    }
    value.replace("%%", "%")
}
