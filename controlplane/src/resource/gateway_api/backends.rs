//! Reads what a rule sends requests to.

use ringmain_config::filter::Share;

use super::{Backend, BackendReference, Mirror, filters, filters::Filters};
use crate::resource::{
    conflict,
    cursor::{Cursor, Fault, Report},
    format,
    host::full_name,
    metadata::Metadata,
    span::Spanned,
};

/// `HTTPRouteRule.backendRefs`, or those of a GRPCRoute.
pub(super) fn read(
    rule: &Cursor<'_>,
    metadata: &Metadata,
    report: &mut Report,
) -> Vec<Spanned<Backend>> {
    let mut backends = Vec::with_capacity(rule.length_of("backendRefs"));
    for at in rule.each_of_list("backendRefs") {
        let Filters {
            request_headers,
            response_headers,
            is_supported,
            ..
        } = filters::of_backend(&at, metadata, report);
        let Some(reference) = reference(&at, metadata, report) else {
            continue;
        };
        backends.push(at.spanned(Backend {
            reference,
            weight: at.integer_of("weight").unwrap_or(1),
            is_usable: is_supported,
            request_headers,
            response_headers,
        }));
    }
    backends
}

/// `HTTPRequestMirrorFilter`.
pub(super) fn mirror(
    at: &Cursor<'_>,
    filter: usize,
    metadata: &Metadata,
    report: &mut Report,
) -> Option<Spanned<Mirror>> {
    conflict::exclude_each_other(at, ("percent", "fraction"), report);
    let share = match (at.integer_of::<u32>("percent"), at.field("fraction")) {
        (Some(percent), _) => Share(percent.min(100) * (Share::ALL.0 / 100)),
        (None, Some(fraction)) => fraction_of(&fraction, report),
        (None, None) => Share::ALL,
    };
    let backend = at.field("backendRef")?;
    let reference = reference(&backend, metadata, report)?;
    Some(backend.spanned(Mirror {
        reference,
        share,
        filter,
    }))
}

/// `Fraction`: of hundred when it names no denominator.
fn fraction_of(at: &Cursor<'_>, report: &mut Report) -> Share {
    let numerator: u64 = at.integer_of("numerator").unwrap_or(0);
    let denominator: u64 = at.integer_of("denominator").unwrap_or(100).max(1);
    if numerator > denominator {
        let message = format!("{numerator} of {denominator} is more than all");
        report.error(
            at,
            Fault::new(message).hint("write at most the denominator"),
        );
    }
    let all = u64::from(Share::ALL.0);
    let share = numerator.min(denominator) * all / denominator;
    Share(u32::try_from(share).unwrap_or(Share::ALL.0))
}

/// `BackendObjectReference`: a Service, or a host by name, as Istio has it (`Hostname` of
/// networking.istio.io). None when it has no name, which was reported.
fn reference(
    at: &Cursor<'_>,
    metadata: &Metadata,
    report: &mut Report,
) -> Option<BackendReference> {
    let name_at = at.field("name")?;
    let name = name_at.text()?;
    let group = at.text_of("group").unwrap_or_default();
    let kind = at.text_of("kind").unwrap_or("Service");
    let namespace = at.text_of("namespace").unwrap_or(&metadata.namespace);
    let (host, fault) = match (group, kind) {
        ("" | "core", "Service") => (full_name(name, namespace), format::dns_label(name)),
        ("networking.istio.io", "Hostname") => (name.to_ascii_lowercase(), format::host(name)),
        _ => {
            let shown = format::shown(kind);
            let fault = Fault::new(format!("a backend of kind {shown} is not supported"));
            let hint = "name a Service, or a host with the kind Hostname of networking.istio.io";
            report.warning(&at.field("kind").unwrap_or(*at), fault.hint(hint));
            return Some(BackendReference {
                host: None,
                shown: format!("{shown} {namespace}/{}", format::shown(name)),
                port: None,
            });
        }
    };
    if let Err(fault) = fault {
        report.error(&name_at, fault);
    }
    let port = at.field("port").and_then(|port| {
        let number = u16::try_from(port.integer()?).ok()?;
        Some(port.spanned(number))
    });
    if at.field("port").is_none() {
        report.missing(at, "port");
    }
    Some(BackendReference {
        shown: host.clone(),
        host: Some(name_at.spanned(host)),
        port,
    })
}
