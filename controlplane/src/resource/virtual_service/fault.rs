//! Reads `fault`: requests that are delayed or answered with an error on purpose, and what share of
//! requests anything is done to.

use ringmain_config::{
    filter::{Abort, AbortWith, Delay, Fault as Injected, Share},
    problem::nearest,
};

use super::super::{
    conflict,
    cursor::{Cursor, Fault, Report},
    format,
};

/// `HTTPFaultInjection`; none when it does nothing to any request.
pub(super) fn read(at: &Cursor<'_>, report: &mut Report) -> Option<Injected> {
    let (delay, abort) = (at.field("delay"), at.field("abort"));
    if delay.is_none() && abort.is_none() {
        let fault = Fault::new("it injects nothing");
        report.error(at, fault.hint("add `delay` or `abort`"));
    }
    let injected = Injected {
        delay: delay.and_then(|delay| read_delay(&delay, report)),
        abort: abort.and_then(|abort| read_abort(&abort, report)),
    };
    (injected != Injected::default()).then_some(injected)
}

fn read_delay(at: &Cursor<'_>, report: &mut Report) -> Option<Delay> {
    let share = read_share(at, "delayed", report);
    let Some(duration) = at.field("fixedDelay") else {
        if at.field("exponentialDelay").is_none() {
            report.missing(at, "fixedDelay");
        }
        return None;
    };
    Some(Delay {
        duration: format::duration(duration.text()?)?,
        share: share?,
    })
}

fn read_abort(at: &Cursor<'_>, report: &mut Report) -> Option<Abort> {
    let share = read_share(at, "aborted", report);
    let names = ["httpStatus", "grpcStatus", "http2Error"];
    let mut named = names.into_iter().filter(|name| at.field(name).is_some());
    match (named.next(), named.next()) {
        // What is none of its fields was reported, and may well be meant for one of these.
        (None, _) if at.each_entry().all(|(name, _)| SHARES.contains(&name)) => {
            let fault = Fault::new("it says not what to answer");
            report.error(at, fault.hint("add `httpStatus` or `grpcStatus`"));
        }
        (Some(first), Some(second)) => {
            conflict::exclude_each_other(at, (first, second), report);
        }
        (None, _) | (Some(_), None) => {}
    }
    let grpc = || Some(AbortWith::Grpc(grpc_code(at.text_of("grpcStatus")?)?));
    let with = at.integer_of("httpStatus").map(AbortWith::Http);
    Some(Abort {
        with: with.or_else(grpc)?,
        share: share?,
    })
}

/// Where the share of requests is written, the first before the second.
const SHARES: [&str; 2] = ["percentage", "percent"];

/// Of how many requests; none when of no one, which is what is meant when nothing is written.
fn read_share(at: &Cursor<'_>, what: &str, report: &mut Report) -> Option<Share> {
    let [fraction, whole] = SHARES;
    let Some(share) = share(at, fraction, whole) else {
        let message = format!("no share of requests is written: none is {what}");
        let fault = Fault::new(message).hint("add `percentage: {value: 100}`");
        report.warning(at, fault);
        return None;
    };
    Some(share).filter(|share| *share > Share(0))
}

/// The share in one of two fields, of which the first counts; absent when neither is written.
pub(super) fn share(at: &Cursor<'_>, fraction: &str, whole: &str) -> Option<Share> {
    if let Some(percentage) = at.field(fraction) {
        return Some(of_percent(percentage.number_of("value").unwrap_or(0.0)));
    }
    at.field(whole)?;
    Some(of_percent(at.number_of(whole)?))
}

/// To the nearest millionth; what is outside of 0 to 100 was reported, and saturates here.
fn of_percent(percent: f64) -> Share {
    let millionths = (percent * 10_000.0).round();
    Share(millionths.clamp(0.0, f64::from(Share::ALL.0)) as u32)
}

/// Names of gRPC's status codes by their number.
const GRPC_CODES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

/// By its name or its number.
fn grpc_code(text: &str) -> Option<u8> {
    let mut codes = GRPC_CODES.iter().zip(0..);
    let named = codes.find(|(name, _)| **name == text);
    named.map(|(_, code)| code).or_else(|| {
        let code: u8 = text.parse().ok()?;
        (usize::from(code) < GRPC_CODES.len()).then_some(code)
    })
}

/// The form of `grpcStatus`.
pub(super) fn grpc_status(text: &str) -> Result<(), Fault> {
    if grpc_code(text).is_some() {
        return Ok(());
    }
    let text = format::shown(text);
    let fault = Fault::new(format!("`{text}` is not a status of gRPC"));
    Err(match nearest(&text, GRPC_CODES) {
        Some(nearest) => fault.hint(format!("did you mean `{nearest}`?")),
        None => fault.hint("use a name like `UNAVAILABLE`, or its number: \"14\""),
    })
}

/// The form of `http2Error`: there is none that would do.
pub(super) fn http2_error(_: &str) -> Result<(), Fault> {
    let message = "a request is not aborted with an error of HTTP/2, which a client of HTTP/1.1 \
                   could not be told";
    Err(Fault::new(message).hint("use `httpStatus` or `grpcStatus`"))
}
