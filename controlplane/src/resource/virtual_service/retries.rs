//! Reads `retries`: which failed tries of a request are worth another one.

use ringmain_config::{
    problem::nearest,
    retry::{RetryOn, RetryPolicy},
};

use super::{
    super::{
        cursor::{Cursor, Fault, Report},
        format,
    },
    Retries,
};

/// What Istio retries unless told otherwise: what no upstream can have acted on, and what gRPC
/// servers call for. It names no status codes, so a plain 503 is an answer like any other. And,
/// beyond Istio, what met a connection that its upstream was just closing.
pub(crate) const ON_DEFAULT: [RetryOn; 6] = [
    RetryOn::ConnectFailure,
    RetryOn::RefusedStream,
    RetryOn::Unavailable,
    RetryOn::Cancelled,
    RetryOn::RetriableStatusCodes,
    RetryOn::StaleConnection,
];

/// The words of `retryOn` that mean something here.
const WORDS: [(&str, RetryOn); 15] = [
    ("5xx", RetryOn::ServerError),
    ("gateway-error", RetryOn::GatewayError),
    ("reset", RetryOn::Reset),
    ("reset-before-request", RetryOn::ResetBeforeRequest),
    ("connect-failure", RetryOn::ConnectFailure),
    ("stale-connection", RetryOn::StaleConnection),
    ("refused-stream", RetryOn::RefusedStream),
    ("retriable-4xx", RetryOn::Retriable4xx),
    ("retriable-status-codes", RetryOn::RetriableStatusCodes),
    ("envoy-ratelimited", RetryOn::EnvoyRatelimited),
    ("cancelled", RetryOn::Cancelled),
    ("deadline-exceeded", RetryOn::DeadlineExceeded),
    ("internal", RetryOn::Internal),
    ("resource-exhausted", RetryOn::ResourceExhausted),
    ("unavailable", RetryOn::Unavailable),
];

/// Words of the API that cannot hold here, and why.
const WITHOUT_EFFECT: [(&str, &str); 2] = [
    (
        "retriable-headers",
        "the API has no field that names the headers",
    ),
    (
        "http3-post-connect-failure",
        "HTTP/3 is not spoken to upstreams",
    ),
];

/// `HTTPRetry`. Without attempts there are no retries, whatever the mesh's own policy is.
pub(super) fn read(at: &Cursor<'_>, report: &mut Report) -> Retries {
    let attempts = at.integer_of("attempts").unwrap_or(0);
    if attempts == 0 {
        check_nothing_else(at, report);
    }
    let mut policy = RetryPolicy {
        attempts,
        on: ON_DEFAULT.to_vec(),
        ..RetryPolicy::default()
    };
    if let Some(words) = at.field("retryOn") {
        read_words(&words, &mut policy, report);
    }
    if attempts == 0 {
        return Retries::default();
    }
    let duration = |name| at.text_of(name).and_then(format::duration);
    policy.per_try_timeout = super::read::timeout(at, "perTryTimeout", report);
    policy.back_off = duration("backoff").unwrap_or(policy.back_off);
    Retries {
        policy,
        avoids_previous_endpoints: at.boolean_of("retryIgnorePreviousHosts"),
    }
}

/// Istio refuses a policy that says how to retry and not how often; nothing would come of it.
fn check_nothing_else(at: &Cursor<'_>, report: &mut Report) {
    let says_more = |name: &&str| at.field(name).is_some();
    if let Some(name) = ["perTryTimeout", "retryOn", "backoff"]
        .iter()
        .find(|name| says_more(name))
    {
        let message = format!("`{name}` without `attempts`: no request is tried again");
        let fault = Fault::new(message);
        report.error(
            at,
            fault.hint("add `attempts`, or leave `attempts: 0` alone to have no retries"),
        );
    }
}

/// An empty text says as little as none. Numbers are statuses, and ask for what makes them count.
fn read_words(at: &Cursor<'_>, policy: &mut RetryPolicy, report: &mut Report) {
    let Some(text) = at.text().filter(|text| !text.trim().is_empty()) else {
        return;
    };
    policy.on.clear();
    for word in text.split(',').map(str::trim) {
        match read_word(word) {
            Ok(Word::On(on)) => add(&mut policy.on, on),
            Ok(Word::Status(status)) => add(&mut policy.status_codes, status),
            Ok(Word::WithoutEffect(reason)) => {
                report.warning(at, format!("`{word}` has no effect: {reason}"));
            }
            Err(fault) => report.error(at, fault),
        }
    }
    if !policy.status_codes.is_empty() {
        add(&mut policy.on, RetryOn::RetriableStatusCodes);
    }
}

fn add<T: PartialEq>(list: &mut Vec<T>, item: T) {
    if !list.contains(&item) {
        list.push(item);
    }
}

enum Word {
    On(RetryOn),
    Status(u16),
    WithoutEffect(&'static str),
}

fn read_word(word: &str) -> Result<Word, Fault> {
    if let Some((_, on)) = WORDS.iter().find(|(name, _)| *name == word) {
        return Ok(Word::On(*on));
    }
    if let Some((_, reason)) = WITHOUT_EFFECT.iter().find(|(name, _)| *name == word) {
        return Ok(Word::WithoutEffect(reason));
    }
    if !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit()) {
        // A status of fewer than 200 is none of a response (RFC 9110 section 15.2).
        return match word.parse() {
            Ok(status @ 200..=599) => Ok(Word::Status(status)),
            _ => {
                let word = format::shown(word);
                Err(Fault::new(format!(
                    "status {word} is not between 200 and 599"
                )))
            }
        };
    }
    let names = || WORDS.iter().map(|(name, _)| *name);
    let word = format::shown(word);
    let fault = Fault::new(format!("`{word}` is not a reason to retry"));
    Err(match nearest(&word, names()) {
        Some(nearest) => fault.hint(format!("did you mean `{nearest}`?")),
        None => {
            let names: Vec<_> = names().collect();
            fault.hint(format!("use status codes and any of {}", names.join(", ")))
        }
    })
}
