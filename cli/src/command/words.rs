//! Words that several commands have for the same.

use ringmain_config::{cluster::Protocol, retry::RetryOn};
use ringmain_core::explain::LimitsPart;

/// Further tries: `2 on 5xx,503, each try 1s`, or `none`.
pub(super) fn retries(
    attempts: u32,
    (on, status_codes): (&[RetryOn], &[u16]),
    per_try_timeout: Option<&str>,
) -> String {
    let mut text = match attempts {
        0 => "none".to_owned(),
        attempts => format!("{attempts} on {}", retry_on(on, status_codes)),
    };
    if let Some(timeout) = per_try_timeout {
        text.push_str(&format!(", each try {timeout}"));
    }
    text
}

/// What is worth another try, as rules write it: `5xx,retriable-status-codes,503`.
fn retry_on(on: &[RetryOn], status_codes: &[u16]) -> String {
    let mut words: Vec<String> = on.iter().map(|on| word(*on)).collect();
    words.extend(status_codes.iter().map(u16::to_string));
    words.join(",")
}

/// As the Document writes it.
fn word(on: RetryOn) -> String {
    let value = serde_json::to_value(on).expect("a word is written as text");
    value.as_str().unwrap_or_default().to_owned()
}

/// What is spoken to endpoints.
pub(super) fn protocol(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Http1 => "HTTP/1.1",
        Protocol::Http2 => "HTTP/2",
        Protocol::AsClient => "what the client speaks",
    }
}

/// What an answer on purpose says: its status, or that of gRPC, where HTTP's is always 200.
pub(super) fn answer(status: u16, grpc_status: Option<u8>) -> String {
    match grpc_status {
        Some(code) => format!("grpc-status {code}"),
        None => status.to_string(),
    }
}

/// How much is sent to a cluster at a time: `requests 100, retry budget 20 % or 3`. Nothing when
/// nothing is limited.
pub(super) fn limits(limits: &LimitsPart) -> Vec<String> {
    let numbers = [
        ("connections", limits.connections),
        ("pending", limits.pending),
        ("requests", limits.requests),
        ("retries", limits.retries),
        ("streams", limits.streams),
        ("per connection", limits.per_connection),
    ];
    let named = numbers
        .into_iter()
        .filter_map(|(name, max)| Some((name, max?)));
    let mut words: Vec<_> = named.map(|(name, max)| format!("{name} {max}")).collect();
    if let Some(budget) = limits.retry_budget {
        let (percent, least) = (budget.percent, budget.minimum);
        words.push(format!("retry budget {percent} % or {least}"));
    }
    words
}

#[cfg(test)]
mod tests {
    use ringmain_config::retry::RetryOn::{Retriable4xx, RetriableStatusCodes, ServerError};

    use super::*;

    #[test]
    fn what_is_tried_again() {
        for (attempts, on, status_codes, timeout, expected) in [
            (0, &[ServerError][..], &[][..], None, "none"),
            (0, &[], &[], Some("1s"), "none, each try 1s"),
            (1, &[ServerError], &[], None, "1 on 5xx"),
            (
                2,
                &[Retriable4xx, RetriableStatusCodes],
                &[503, 429],
                Some("1s"),
                "2 on retriable-4xx,retriable-status-codes,503,429, each try 1s",
            ),
        ] {
            assert_eq!(retries(attempts, (on, status_codes), timeout), expected);
        }
    }

    #[test]
    fn what_is_answered() {
        assert_eq!(answer(503, None), "503");
        assert_eq!(answer(200, Some(14)), "grpc-status 14");
    }
}
