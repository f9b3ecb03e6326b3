//! Reads VirtualService: its hosts, its gateways, and its rules in the order written.

use std::time::Duration;

use ringmain_config::filter::Filters;

use super::{
    super::{
        conflict,
        cursor::{Cursor, Fault, Report},
        export, format,
        host::full_name,
        metadata::Metadata,
        span::Spanned,
    },
    Destination, GatewayReference, HttpAction, HttpDestination, HttpForward, HttpRoute, Retries,
    VirtualService, action, cors, fault, headers, matches, mirror, retries, tcp,
};

/// Reads what the fields describe; none when it is a delegate, which is reported.
pub(in super::super) fn read(
    metadata: Metadata,
    spec: &Cursor<'_>,
    report: &mut Report,
) -> Option<VirtualService> {
    export::warn(spec, report);
    let hosts = read_hosts(spec, &metadata, report)?;
    let gateways = read_gateways(spec, &metadata);
    check_mesh_hosts(&hosts, &gateways, spec, report);
    let rules = ["http", "tls", "tcp"];
    if rules.iter().all(|name| spec.length_of(name) == 0) {
        let fault = Fault::new("there is no rule in it");
        report.error(spec, fault.hint("add `http` with at least one rule"));
    }
    let mut http = Vec::with_capacity(spec.length_of("http"));
    for at in spec.each_of_list("http") {
        http.extend(read_route(&at, &metadata, report).map(|route| at.spanned(route)));
    }
    Some(VirtualService {
        tcp: tcp::read(spec, &metadata, report),
        tls: tcp::read_tls(spec, &metadata, report),
        hosts,
        gateways,
        http,
        metadata,
    })
}

fn read_hosts(
    spec: &Cursor<'_>,
    metadata: &Metadata,
    report: &mut Report,
) -> Option<Vec<Spanned<String>>> {
    let items = spec.list("hosts");
    if items.is_empty() {
        let message = "a VirtualService without `hosts` is a delegate, which is not supported \
                       yet: nothing of it is applied";
        report.warning(spec, message);
        return None;
    }
    let mut hosts: Vec<Spanned<String>> = Vec::new();
    let mut seen = std::collections::HashSet::new();
    for at in &items {
        let Some(text) = at.text() else {
            continue;
        };
        let host = full_name(text, &metadata.namespace);
        if !seen.insert(host.clone()) {
            report.error(
                at,
                format!("the host `{}` stands here twice", format::shown(text)),
            );
        }
        hosts.push(at.spanned(host));
    }
    Some(hosts)
}

fn read_gateways(spec: &Cursor<'_>, metadata: &Metadata) -> Vec<Spanned<GatewayReference>> {
    let items = spec.list("gateways");
    if items.is_empty() {
        return vec![spec.spanned(GatewayReference::Mesh)];
    }
    items
        .iter()
        .filter_map(|at| Some(at.spanned(GatewayReference::of(at.text()?, metadata))))
        .collect()
}

impl GatewayReference {
    pub(super) fn of(text: &str, metadata: &Metadata) -> Self {
        match text.split_once('/') {
            None if text == "mesh" => Self::Mesh,
            None => Self::Gateway {
                namespace: metadata.namespace.clone(),
                name: text.to_owned(),
            },
            Some((namespace, name)) => Self::Gateway {
                namespace: namespace.to_owned(),
                name: name.to_owned(),
            },
        }
    }
}

/// Every sidecar would have to take every request to it.
fn check_mesh_hosts(
    hosts: &[Spanned<String>],
    gateways: &[Spanned<GatewayReference>],
    spec: &Cursor<'_>,
    report: &mut Report,
) {
    let in_mesh = gateways
        .iter()
        .any(|gateway| gateway.value == GatewayReference::Mesh);
    if !in_mesh || !hosts.iter().any(|host| host.value == "*") {
        return;
    }
    for at in spec
        .list("hosts")
        .iter()
        .filter(|at| at.text() == Some("*"))
    {
        let fault = Fault::new("the host `*` cannot stand in a rule for the sidecars (`mesh`)");
        report.error(
            at,
            fault.hint("name the hosts, or the `gateways` the rules are for"),
        );
    }
}

fn read_route(at: &Cursor<'_>, metadata: &Metadata, report: &mut Report) -> Option<HttpRoute> {
    let mut matches = Vec::with_capacity(at.length_of("match"));
    for item in at.each_of_list("match") {
        let condition = matches::read(&item, metadata, report);
        matches.push(item.spanned(condition));
    }
    let action = read_action(at, metadata, report);
    let timeout = timeout(at, "timeout", report);
    let filters = Filters {
        fault: at
            .field("fault")
            .and_then(|fault| fault::read(&fault, report)),
        cors: at.field("corsPolicy").map(|cors| cors::read(&cors, report)),
    };
    let mut route = HttpRoute {
        name: at.text_of("name").unwrap_or_default().to_owned(),
        matches,
        headers: headers::read(at, report),
        timeout,
        action: action?,
        filters: (!filters.is_empty()).then(|| Box::new(filters)),
    };
    if has_fault(&route) {
        without_mending(at, &mut route, report);
    }
    Some(route)
}

fn has_fault(route: &HttpRoute) -> bool {
    let filters = route.filters.as_ref();
    filters.is_some_and(|filters| filters.fault.is_some())
}

/// The field of this name. Zero is no limit; what is shorter than Istio takes is a mistake in the
/// unit, and no request would be in time.
pub(super) fn timeout(at: &Cursor<'_>, name: &str, report: &mut Report) -> Option<Duration> {
    let field = at.field(name)?;
    let timeout = format::duration(field.text()?)?;
    if !timeout.is_zero() && timeout < TIMEOUT_MIN {
        let fault = Fault::new("it is shorter than 1ms, so that every request would fail");
        report.error(&field, fault.hint("write 0s for no limit"));
    }
    Some(timeout).filter(|timeout| !timeout.is_zero())
}

const TIMEOUT_MIN: Duration = Duration::from_millis(1);

/// Where faults are injected to see what they do, nothing is to mend them: neither timeouts nor
/// retries apply to the rule (`HTTPRoute.fault`).
fn without_mending(at: &Cursor<'_>, route: &mut HttpRoute, report: &mut Report) {
    for name in ["timeout", "retries"] {
        if let Some(field) = at.field(name) {
            let fault = Fault::new(format!("`{name}` has no effect beside `fault`"));
            report.warning(
                &field,
                fault.hint("remove it, or the fault when the test is over"),
            );
        }
    }
    route.timeout = None;
    if let HttpAction::Route(forward) = &mut route.action {
        forward.retries = Some(Box::new(Retries::default()));
    }
}

/// Exactly one of the things that can be done; none for a delegate, which was reported.
fn read_action(at: &Cursor<'_>, metadata: &Metadata, report: &mut Report) -> Option<HttpAction> {
    let names = ["route", "redirect", "directResponse", "delegate"];
    let mut named = names.into_iter().filter(|name| at.field(name).is_some());
    let name = match (named.next(), named.next()) {
        (None, _) => {
            let fault = Fault::new("the rule says not what to do");
            report.error(
                at,
                fault.hint("add `route`, `redirect` or `directResponse`"),
            );
            return None;
        }
        (Some(name), None) => name,
        (Some(first), Some(second)) => {
            conflict::exclude(at, (&format!("`{first}`"), &format!("`{second}`")), report);
            return None;
        }
    };
    if name != "route" && name != "delegate" {
        check_not_sent(at, name, report);
    }
    let field = at.field(name)?;
    match name {
        "redirect" => action::redirect(&field, report).map(HttpAction::Redirect),
        "directResponse" => action::direct_response(&field, report).map(HttpAction::DirectResponse),
        "delegate" => None,
        _ => Some(HttpAction::Route(HttpForward {
            destinations: read_destinations(&field, metadata, report),
            rewrite: at
                .field("rewrite")
                .and_then(|rewrite| action::rewrite(&rewrite, report)),
            retries: at
                .field("retries")
                .map(|retries| Box::new(retries::read(&retries, report))),
            mirrors: mirror::read(at, metadata, report),
        })),
    }
}

/// What only requests meet that are sent on. What would be in the way of the answer is an error, as
/// it is to Istio.
fn check_not_sent(at: &Cursor<'_>, action: &str, report: &mut Report) {
    for name in ["rewrite", "fault"] {
        if let Some(field) = at.field(name) {
            conflict::exclude(
                &field,
                (&format!("`{name}`"), &format!("`{action}`")),
                report,
            );
        }
    }
    for name in ["retries", "timeout", "mirror", "mirrors"] {
        if let Some(field) = at.field(name) {
            conflict::without_effect(&field, name, (action, "nothing is sent on"), report);
        }
    }
    let headers = at.field("headers");
    if let Some(field) = headers.and_then(|headers| headers.field("request")) {
        conflict::without_effect(
            &field,
            "headers.request",
            (action, "nothing is sent on"),
            report,
        );
    }
}

fn read_destinations(
    list: &Cursor<'_>,
    metadata: &Metadata,
    report: &mut Report,
) -> Vec<Spanned<HttpDestination>> {
    let mut destinations = Vec::with_capacity(list.length());
    for at in list.each_item() {
        let destination = at.field("destination");
        let destination = destination.and_then(|at| read_destination(&at, metadata));
        let headers = headers::read(&at, report);
        let Some(destination) = destination else {
            continue;
        };
        destinations.push(at.spanned(HttpDestination {
            destination,
            weight: at.integer_of("weight").unwrap_or(0),
            headers,
        }));
    }
    if let [only] = destinations.as_mut_slice()
        && only.weight == 0
    {
        // The API cannot tell 0 from nothing.
        only.value.weight = 100;
    }
    let weights = destinations.iter().map(|destination| destination.weight);
    check_weights(list, weights, report);
    destinations
}

/// The sum of the weights is what each is relative to, and has 32 bits (Envoy's `total_weight`).
pub(super) fn check_weights(
    list: &Cursor<'_>,
    weights: impl ExactSizeIterator<Item = u32>,
    report: &mut Report,
) {
    let is_empty = weights.len() == 0;
    let sum: u64 = weights.map(u64::from).sum();
    if list.length() == 0 {
        report.error(list, "the list is empty");
    } else if sum == 0 && !is_empty {
        let fault = Fault::new("no destination has a weight");
        report.error(
            list,
            fault.hint("add `weight` to those that are to get requests"),
        );
    } else if sum > u64::from(u32::MAX) {
        report.error(
            list,
            format!("the weights add up to more than {}", u32::MAX),
        );
    }
}

pub(super) fn read_destination(at: &Cursor<'_>, metadata: &Metadata) -> Option<Destination> {
    let host = at.field("host")?;
    let text = |name: &str| {
        let field = at.field(name)?;
        Some(field.spanned(field.text()?.to_owned()))
    };
    let port = at.field("port").and_then(|port| {
        let number = port.field("number")?;
        Some(number.spanned(u16::try_from(number.integer()?).ok()?))
    });
    Some(Destination {
        host: host.spanned(full_name(host.text()?, &metadata.namespace)),
        subset: text("subset"),
        port,
    })
}
