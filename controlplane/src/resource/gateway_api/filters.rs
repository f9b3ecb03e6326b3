//! Reads the filters of a rule or of a backend.

use std::{collections::HashSet, time::Duration};

use ringmain_config::{
    filter::Cors,
    route::{HeaderEdits, HeaderValue, Redirect, RedirectPath, RedirectPort, StringMatch},
};
use ringmain_core::header::{check_removable, check_writable};

use super::{Mirror, PathModifier, Rewrite, backends};
use crate::resource::{
    conflict,
    cursor::{Cursor, Fault, Report},
    format,
    metadata::Metadata,
    span::Spanned,
};

/// What a list of filters comes to.
#[derive(Default)]
pub(super) struct Filters {
    pub(super) request_headers: HeaderEdits,
    pub(super) response_headers: HeaderEdits,
    pub(super) mirrors: Vec<Spanned<Mirror>>,
    pub(super) redirect: Option<Redirect>,
    pub(super) rewrite: Option<Rewrite>,
    pub(super) cors: Option<Cors>,
    /// Every filter is. If not, that was reported.
    pub(super) is_supported: bool,
}

/// Where filters stand.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Owner {
    Rule,
    Backend,
}

/// `HTTPRouteRule.filters`, or those of a GRPCRoute.
pub(super) fn of_rule(at: &Cursor<'_>, metadata: &Metadata, report: &mut Report) -> Filters {
    let filters = read(at, Owner::Rule, metadata, report);
    if filters.redirect.is_some()
        && let Some(list) = at.field("filters").filter(|_| filters.rewrite.is_some())
    {
        conflict::exclude(&list, ("RequestRedirect", "URLRewrite"), report);
    }
    filters
}

/// `HTTPBackendRef.filters`, or those of a GRPCRoute.
pub(super) fn of_backend(at: &Cursor<'_>, metadata: &Metadata, report: &mut Report) -> Filters {
    read(at, Owner::Backend, metadata, report)
}

fn read(at: &Cursor<'_>, owner: Owner, metadata: &Metadata, report: &mut Report) -> Filters {
    let mut filters = Filters {
        is_supported: true,
        ..Filters::default()
    };
    let mut seen = HashSet::new();
    for (index, item) in at.each_of_list("filters").enumerate() {
        let Some(kind_at) = item.field("type") else {
            continue;
        };
        let Some((kind, field)) = kind_at
            .text()
            .and_then(|kind| Some((kind, settings_of(kind)?)))
        else {
            continue;
        };
        let settings = settings(&item, kind, field, report);
        let may_repeat = matches!(kind, "RequestMirror" | "ExtensionRef");
        if !seen.insert(kind) && !may_repeat {
            let fault = Fault::new(format!("there is a filter {kind} already"));
            report.error(&kind_at, fault.hint("make one of the two"));
        }
        if !is_supported(kind, owner) {
            filters.is_supported = false;
            report.warning(&kind_at, unsupported(kind, owner));
        } else if let Some(settings) = settings {
            filters.add((kind, index), &settings, metadata, report);
        }
    }
    filters
}

/// Where the settings of a filter stand.
fn settings_of(kind: &str) -> Option<&'static str> {
    Some(match kind {
        "RequestHeaderModifier" => "requestHeaderModifier",
        "ResponseHeaderModifier" => "responseHeaderModifier",
        "RequestMirror" => "requestMirror",
        "RequestRedirect" => "requestRedirect",
        "URLRewrite" => "urlRewrite",
        "CORS" => "cors",
        "ExtensionRef" => "extensionRef",
        "ExternalAuth" => "externalAuth",
        _ => return None,
    })
}

/// A filter has the settings of its type and no others.
fn settings<'a>(
    at: &Cursor<'a>,
    kind: &str,
    wanted: &str,
    report: &mut Report,
) -> Option<Cursor<'a>> {
    for (name, other) in at.entries() {
        if name != "type" && name != wanted {
            let name = format::shown(name);
            let fault = Fault::new(format!(
                "`{name}` has no meaning in a filter of type {kind}"
            ));
            report.error(&other, fault.hint("remove it, or change `type`"));
        }
    }
    let settings = at.field(wanted);
    if settings.is_none() {
        report.missing(at, wanted);
    }
    settings
}

fn is_supported(kind: &str, owner: Owner) -> bool {
    match kind {
        "RequestHeaderModifier" | "ResponseHeaderModifier" => true,
        "RequestMirror" | "RequestRedirect" | "URLRewrite" | "CORS" => owner == Owner::Rule,
        _ => false,
    }
}

/// The API has requests fail rather than go without a filter that was asked for.
fn unsupported(kind: &str, owner: Owner) -> Fault {
    let (place, what) = match owner {
        Owner::Rule => ("", "requests that the rule matches"),
        Owner::Backend => (" of a backend", "requests to the backend"),
    };
    let fault = Fault::new(format!(
        "the filter {kind}{place} is not supported yet: {what} are answered with an error"
    ));
    match (kind, owner) {
        ("ExtensionRef" | "ExternalAuth", _) => {
            fault.hint("remove it only if doing without is safe")
        }
        (_, Owner::Rule) => fault,
        (_, Owner::Backend) => fault.hint("move it to the rule"),
    }
}

impl Filters {
    fn add(
        &mut self,
        (kind, index): (&str, usize),
        at: &Cursor<'_>,
        metadata: &Metadata,
        report: &mut Report,
    ) {
        match kind {
            "RequestHeaderModifier" => self.request_headers = edits(at, Side::Request, report),
            "ResponseHeaderModifier" => self.response_headers = edits(at, Side::Response, report),
            "RequestMirror" => self
                .mirrors
                .extend(backends::mirror(at, index, metadata, report)),
            "RequestRedirect" => self.redirect = Some(redirect(at, report)),
            "URLRewrite" => self.rewrite = Some(rewrite(at, report)),
            _ => self.cors = Some(cors(at, report)),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Request,
    Response,
}

/// `HTTPHeaderFilter`.
fn edits(at: &Cursor<'_>, side: Side, report: &mut Report) -> HeaderEdits {
    let (added_authority, add) = values(at, "add", side, report);
    let (set_authority, set) = values(at, "set", side, report);
    let mut remove = Vec::with_capacity(at.length_of("remove"));
    for item in at.each_of_list("remove") {
        let Some(name) = item.text() else { continue };
        let fault = format::header_name(name)
            .and_then(|()| check_removable(name).map_err(Fault::new))
            .err();
        match fault {
            Some(fault) => report.error(&item, fault),
            None => remove.push(name.to_ascii_lowercase()),
        }
    }
    HeaderEdits {
        authority: set_authority.or(added_authority),
        remove,
        set,
        add,
    }
}

/// The new authority, which a request's `Host` is, and the other fields.
fn values(
    at: &Cursor<'_>,
    operation: &str,
    side: Side,
    report: &mut Report,
) -> (Option<String>, Vec<HeaderValue>) {
    let mut authority = None;
    let mut fields = Vec::with_capacity(at.length_of(operation));
    for item in at.each_of_list(operation) {
        let (Some(name), Some(value)) = (item.text_of("name"), item.text_of("value")) else {
            continue;
        };
        if side == Side::Request && name.eq_ignore_ascii_case("host") {
            match format::authority(value) {
                Ok(()) => authority = Some(value.to_owned()),
                Err(fault) => report.error(&item, fault),
            }
        } else if let Err(reason) = check_writable(name) {
            report.error(&item, reason);
        } else {
            fields.push(HeaderValue {
                name: name.to_owned(),
                value: value.to_owned(),
            });
        }
    }
    (authority, fields)
}

/// `HTTPRequestRedirectFilter`. A redirect that names a scheme leads to the scheme's own port, any
/// other to the port of the listener.
fn redirect(at: &Cursor<'_>, report: &mut Report) -> Redirect {
    if let Some(field) = at.field("statusCode")
        && let Some(code) = field.integer()
        && ![301, 302, 303, 307, 308].contains(&code)
    {
        let fault = Fault::new(format!("{code} is not a code to redirect with"));
        report.error(&field, fault.hint("use 301, 302, 303, 307 or 308"));
    }
    let scheme = at.text_of("scheme").map(str::to_owned);
    Redirect {
        status: at.integer_of("statusCode").unwrap_or(302),
        authority: at.text_of("hostname").map(str::to_ascii_lowercase),
        port: match (at.integer_of("port"), &scheme) {
            (Some(port), _) => RedirectPort::Port(port),
            (None, Some(_)) => RedirectPort::FromProtocolDefault,
            (None, None) => RedirectPort::FromRequestPort,
        },
        scheme,
        path: match path_modifier(at, report) {
            None => RedirectPath::Keep,
            Some(PathModifier::Full(path)) => RedirectPath::Full(path),
            Some(PathModifier::Prefix(prefix)) => RedirectPath::Prefix(prefix),
        },
    }
}

/// `HTTPURLRewriteFilter`.
fn rewrite(at: &Cursor<'_>, report: &mut Report) -> Rewrite {
    if at.length() == 0 {
        let fault = Fault::new("it rewrites nothing");
        report.error(at, fault.hint("add `path` or `hostname`"));
    }
    Rewrite {
        path: path_modifier(at, report),
        authority: at.text_of("hostname").map(str::to_ascii_lowercase),
    }
}

/// `HTTPPathModifier`.
fn path_modifier(at: &Cursor<'_>, report: &mut Report) -> Option<PathModifier> {
    let at = at.field("path")?;
    let (wanted, other) = match at.text_of("type")? {
        "ReplaceFullPath" => ("replaceFullPath", "replacePrefixMatch"),
        _ => ("replacePrefixMatch", "replaceFullPath"),
    };
    if let Some(other_at) = at.field(other) {
        let fault = Fault::new(format!("`{other}` does not go with this `type`"));
        report.error(&other_at, fault.hint(format!("write `{wanted}`")));
    }
    let Some(text) = at.text_of(wanted) else {
        report.missing(&at, wanted);
        return None;
    };
    let is_full = wanted == "replaceFullPath";
    if !text.is_empty()
        && !text.starts_with('/')
        && let Some(field) = at.field(wanted)
    {
        let fault = Fault::new("it is a path, and does not begin with `/`: one is put before it");
        report.warning(&field, fault.hint("begin with `/`"));
    }
    // In place of a prefix, nothing is something else than a slash.
    let path = match text.starts_with('/') || (text.is_empty() && !is_full) {
        true => text.to_owned(),
        false => format!("/{text}"),
    };
    Some(match is_full {
        true => PathModifier::Full(path),
        false => PathModifier::Prefix(path),
    })
}

/// `HTTPCORSFilter`. A preflight from an origin that is not allowed gets no permission, and is not
/// for the backend to answer.
fn cors(at: &Cursor<'_>, report: &mut Report) -> Cors {
    let texts = |name| -> Vec<String> {
        let items = at.each_of_list(name);
        items
            .filter_map(|item| item.text().map(str::to_owned))
            .collect()
    };
    let origins = at.each_of_list("allowOrigins");
    let max_age = at.integer_of("maxAge").unwrap_or(MAX_AGE_SECONDS);
    let credentials = at.field("allowCredentials");
    let allow_credentials = credentials
        .and_then(|field| field.boolean())
        .unwrap_or_default();
    let mut exposed = at.each_of_list("exposeHeaders");
    if let Some(any) = exposed.find(|item| allow_credentials && item.text() == Some("*")) {
        let fault = Fault::new("beside `allowCredentials`, `*` exposes nothing and is not sent");
        report.warning(&any, fault.hint("name the headers"));
    }
    Cors {
        allow_origins: origins
            .filter_map(|item| Some(origin(item.text()?)))
            .collect(),
        allow_methods: texts("allowMethods"),
        allow_headers: texts("allowHeaders"),
        expose_headers: texts("exposeHeaders"),
        max_age: Some(Duration::from_secs(max_age)),
        allow_credentials,
        answers_unmatched_preflights: true,
        wildcards_are_echoed: allow_credentials,
    }
}

/// The API's default, and that of browsers.
const MAX_AGE_SECONDS: u64 = 5;

/// `*` inside an origin stands for any characters of a host, or for any port.
fn origin(text: &str) -> StringMatch {
    if text == "*" || !text.contains('*') {
        return StringMatch::Exact(text.to_owned());
    }
    let mut pattern = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        match character {
            '*' => pattern.push_str("[^/]+"),
            '.' | '[' | ']' | '+' => pattern.extend(['\\', character]),
            character => pattern.push(character),
        }
    }
    StringMatch::Regex(pattern)
}
