//! Reads HTTPRoute and GRPCRoute: parents, hosts, and rules in the order written.

use std::collections::HashSet;

use ringmain_config::route::{Redirect, RedirectPath};

use super::{
    Forward, GROUP, Match, Parent, ParentKind, PathCondition, PathModifier, Rewrite, Route,
    RouteKind, Rule, RuleAction, Target, backends, filters, filters::Filters, grpc, matches,
    timing,
};
use crate::resource::{
    conflict,
    cursor::{Cursor, Fault, Report},
    format,
    metadata::Metadata,
    span::Spanned,
};

/// Reads what the fields describe.
pub(in super::super) fn read(
    kind: RouteKind,
    metadata: Metadata,
    spec: &Cursor<'_>,
    report: &mut Report,
) -> Option<Route> {
    if spec.length_of("parentRefs") == 0 {
        let fault = Fault::new("the route is attached to nothing: it has no effect");
        report.warning(
            spec,
            fault.hint("name a Gateway or a Service in `parentRefs`"),
        );
    }
    let parents: Vec<_> = spec
        .each_of_list("parentRefs")
        .filter_map(|at| Some(at.spanned(read_parent(&at, &metadata, report)?)))
        .collect();
    let hostnames = read_hostnames(spec, &parents, report);
    let mut names = HashSet::new();
    let mut rules = Vec::with_capacity(spec.length_of("rules"));
    for at in spec.each_of_list("rules") {
        if let Some(name) = at.field("name")
            && let Some(text) = name.text()
            && !names.insert(text)
        {
            report.error(&name, format!("two rules are named `{text}`"));
        }
        rules.push(at.spanned(read_rule(kind, &at, &metadata, report)));
    }
    if rules.is_empty() {
        let fault = Fault::new("there is no rule in it: every request is answered with an error");
        report.warning(spec, fault.hint("add a rule with `backendRefs`"));
        rules.push(spec.spanned(Rule::without_anything(kind, spec)));
    }
    Some(Route {
        metadata,
        kind,
        parents,
        hostnames,
        rules,
    })
}

/// None for what routes cannot be attached to, which is reported.
fn read_parent(at: &Cursor<'_>, metadata: &Metadata, report: &mut Report) -> Option<Parent> {
    let group = at.text_of("group").unwrap_or(GROUP);
    let kind = match (group, at.text_of("kind").unwrap_or("Gateway")) {
        (GROUP, "Gateway") => ParentKind::Gateway,
        ("" | "core", "Service") => ParentKind::Service,
        ("networking.istio.io", "ServiceEntry") => ParentKind::ServiceEntry,
        (group, kind) => {
            let (group, kind) = (format::shown(group), format::shown(kind));
            let fault = Fault::new(format!(
                "the route cannot be attached to kind `{kind}` of group `{group}`: it has no \
                 effect there"
            ));
            let hint = "name a Gateway, a Service (`group: \"\"`) or a ServiceEntry \
                        (`group: networking.istio.io`)";
            report.warning(at, fault.hint(hint));
            return None;
        }
    };
    if kind != ParentKind::Gateway
        && let Some(section) = at.field("sectionName")
    {
        let fault = Fault::new("a service has no sections: the route has no effect there");
        report.warning(&section, fault.hint("name a `port` of the service instead"));
        return None;
    }
    Some(Parent {
        kind,
        namespace: at
            .text_of("namespace")
            .unwrap_or(&metadata.namespace)
            .to_owned(),
        name: at.text_of("name")?.to_owned(),
        section: at.text_of("sectionName").map(str::to_owned),
        port: at.integer_of("port"),
    })
}

/// Clients in the mesh name the service they mean, so hosts are looked at for Gateways only.
fn read_hostnames(
    spec: &Cursor<'_>,
    parents: &[Spanned<Parent>],
    report: &mut Report,
) -> Vec<Spanned<String>> {
    let mut seen = HashSet::new();
    let mut hostnames = Vec::with_capacity(spec.length_of("hostnames"));
    for at in spec.each_of_list("hostnames") {
        let Some(text) = at.text() else { continue };
        let host = text.to_ascii_lowercase();
        if seen.insert(host.clone()) {
            hostnames.push(at.spanned(host));
        } else {
            report.error(
                &at,
                format!("the host `{}` stands here twice", format::shown(text)),
            );
        }
    }
    let is_of_mesh = |parent: &Spanned<Parent>| parent.kind != ParentKind::Gateway;
    if let Some(at) = spec.field("hostnames")
        && !parents.is_empty()
        && parents.iter().all(is_of_mesh)
    {
        let fault = Fault::new("`hostnames` means nothing for a route of a service");
        report.warning(
            &at,
            fault.hint("remove it: the service's own names are meant"),
        );
    }
    hostnames
}

impl Rule {
    /// What the API takes a route without rules for.
    fn without_anything(kind: RouteKind, at: &Cursor<'_>) -> Self {
        let everything = match kind {
            RouteKind::Http => matches::every_request(),
            RouteKind::Grpc => grpc::every_call(),
        };
        Self {
            name: String::new(),
            matches: vec![at.spanned(everything)],
            action: RuleAction::Forward(Forward::default()),
            request_headers: Default::default(),
            response_headers: Default::default(),
            cors: None,
            mirrors: Vec::new(),
            timeout: None,
            backend_timeout: None,
            retry: None,
        }
    }
}

fn read_rule(kind: RouteKind, at: &Cursor<'_>, metadata: &Metadata, report: &mut Report) -> Rule {
    let read_match = match kind {
        RouteKind::Http => matches::read,
        RouteKind::Grpc => grpc::read,
    };
    let written = at.each_of_list("matches");
    let mut matches: Vec<_> = written
        .map(|item| item.spanned(read_match(&item, report)))
        .collect();
    if matches.is_empty() {
        matches.append(&mut Rule::without_anything(kind, at).matches);
    }
    let filters = filters::of_rule(at, metadata, report);
    check_prefix(at, &matches, &filters, report);
    let (timeout, backend_timeout) = timing::timeouts(at, report);
    Rule {
        name: at.text_of("name").unwrap_or_default().to_owned(),
        matches,
        request_headers: filters.request_headers.clone(),
        response_headers: filters.response_headers.clone(),
        cors: filters.cors.clone(),
        mirrors: filters.mirrors.clone(),
        action: action(at, filters, metadata, report),
        timeout,
        backend_timeout,
        retry: timing::retry(at),
    }
}

fn action(
    at: &Cursor<'_>,
    filters: Filters,
    metadata: &Metadata,
    report: &mut Report,
) -> RuleAction {
    let backends = backends::read(at, metadata, report);
    if !filters.is_supported {
        return RuleAction::Fail;
    }
    if let Some(redirect) = filters.redirect {
        if let Some(list) = at.field("backendRefs").filter(|list| list.length() > 0) {
            conflict::exclude(&list, ("RequestRedirect", "`backendRefs`"), report);
        }
        check_not_sent(at, report);
        return RuleAction::Redirect(redirect);
    }
    if backends.iter().all(|backend| backend.weight == 0) {
        let reason = match backends.is_empty() {
            true => "there is no backend",
            false => "no backend has a weight",
        };
        let message =
            format!("{reason}: requests that the rule matches are answered with an error");
        report.warning(
            at,
            Fault::new(message).hint("add a Service to `backendRefs`"),
        );
    }
    RuleAction::Forward(Forward {
        backends,
        rewrite: filters.rewrite,
    })
}

/// What only requests meet that are sent on.
fn check_not_sent(rule: &Cursor<'_>, report: &mut Report) {
    let beside = ("RequestRedirect", "nothing is sent on");
    for name in ["timeouts", "retry"] {
        if let Some(field) = rule.field(name) {
            conflict::without_effect(&field, name, beside, report);
        }
    }
    for filter in rule.each_of_list("filters") {
        if let Some(kind @ ("RequestHeaderModifier" | "RequestMirror")) = filter.text_of("type") {
            conflict::without_effect(&filter, kind, beside, report);
        }
    }
}

/// What of a path is replaced must be a prefix that each match names.
fn check_prefix(
    at: &Cursor<'_>,
    matches: &[Spanned<Match>],
    filters: &Filters,
    report: &mut Report,
) {
    let redirects = matches!(
        filters.redirect,
        Some(Redirect {
            path: RedirectPath::Prefix(_),
            ..
        })
    );
    let rewrites = matches!(
        filters.rewrite,
        Some(Rewrite {
            path: Some(PathModifier::Prefix(_)),
            ..
        })
    );
    let names_prefix =
        |matched: &Spanned<Match>| matches!(matched.target, Target::Path(PathCondition::Prefix(_)));
    if (redirects || rewrites) && !matches.iter().all(names_prefix) {
        let fault = Fault::new(
            "`replacePrefixMatch` needs a prefix to replace, and a match of the rule has none",
        );
        let hint = "use `path: {type: PathPrefix}` in every match, or `replaceFullPath`";
        report.error(&at.field("matches").unwrap_or(*at), fault.hint(hint));
    }
}
