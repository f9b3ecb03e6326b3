//! Reads how long a rule's requests may take and when they are tried again.

use std::time::Duration;

use super::{Retry, form};
use crate::resource::cursor::{Cursor, Fault, Report};

/// `HTTPRouteTimeouts`: of the request, and of each try. Zero is no limit.
pub(super) fn timeouts(
    rule: &Cursor<'_>,
    report: &mut Report,
) -> (Option<Duration>, Option<Duration>) {
    let Some(at) = rule.field("timeouts") else {
        return (None, None);
    };
    let limit = |name| duration(&at, name).filter(|limit| !limit.is_zero());
    let (request, backend) = (limit("request"), limit("backendRequest"));
    if let (Some(request), Some(backend)) = (request, backend)
        && backend > request
        && let Some(field) = at.field("backendRequest")
    {
        let fault = Fault::new("a try may take longer than the request it is part of");
        report.error(&field, fault.hint("write at most what `request` says"));
    }
    (request, backend)
}

/// `HTTPRouteRetry`.
pub(super) fn retry(rule: &Cursor<'_>) -> Option<Retry> {
    let at = rule.field("retry")?;
    let codes = at.each_of_list("codes");
    Some(Retry {
        attempts: at.integer_of("attempts"),
        status_codes: codes
            .filter_map(|code| u16::try_from(code.integer()?).ok())
            .collect(),
        back_off: duration(&at, "backoff").filter(|wait| !wait.is_zero()),
    })
}

fn duration(at: &Cursor<'_>, name: &str) -> Option<Duration> {
    form::parse_duration(at.text_of(name)?)
}
