//! What a route does besides its action, and a cluster besides naming endpoints, in a line each.

use ringmain_core::explain::{HashPart, RetryPart, RoutePart};

use super::lines::{Lines, share, with_share};
use crate::command::words;

/// Timeout, faults, CORS, retries and copies, in the order in which they matter to a request.
pub(super) fn besides(lines: &mut Lines, route: &RoutePart) {
    if let Some(timeout) = &route.timeout {
        lines.fact("timeout", timeout);
    }
    if let Some(delay) = &route.filters.delay {
        let (of, time) = (share(delay.share), &delay.duration);
        lines.fact("delay", format!("{of} % of the requests, by {time}"));
    }
    if let Some(abort) = &route.filters.abort {
        let of = share(abort.share);
        let with = words::answer(abort.status, abort.grpc_status);
        lines.fact("abort", format!("{of} % of the requests, with {with}"));
    }
    if let Some(cors) = &route.filters.cors {
        lines.fact("cors", cors);
    }
    if let Some(retry) = &route.retry {
        lines.fact("retries", retries(retry));
    }
    for mirror in &route.mirrors {
        lines.fact("copy to", with_share(&mirror.cluster, mirror.share));
    }
}

/// What most routes have is the table's, and is said to be.
fn retries(retry: &RetryPart) -> String {
    let on = (&*retry.on, &*retry.status_codes);
    let mut text = words::retries(retry.attempts, on, retry.per_try_timeout.as_deref());
    if let Some(wait) = retry
        .back_off_minimum
        .as_ref()
        .filter(|_| retry.attempts > 0)
    {
        text.push_str(&format!(", {wait} apart or more"));
    }
    if retry.attempts > 0 && !retry.avoids_previous_endpoints {
        text.push_str(", also at the same endpoint");
    }
    if let Some(bytes) = retry.replay_bytes {
        text.push_str(&format!(", with up to {bytes} bytes of a body"));
    }
    if retry.by != "route" {
        text.push_str(&format!(", by the {}", retry.by));
    }
    text
}

/// What keeps a client at an endpoint, and whether it does so here.
pub(super) fn chosen_by(hash: &HashPart) -> String {
    let by = &hash.by;
    if let Some(endpoint) = &hash.endpoint {
        return format!("{by}: {endpoint}");
    }
    match (hash.is_there, &hash.gives_cookie) {
        (None | Some(true), _) => by.clone(),
        (Some(false), Some(time)) if time == "0s" => {
            format!("{by}, which is given for a session")
        }
        (Some(false), Some(time)) => format!("{by}, which is given for {time}"),
        (Some(false), None) => format!("{by}, which is not there: at random"),
    }
}

#[cfg(test)]
mod tests {
    use ringmain_config::retry::RetryOn;
    use ringmain_core::explain::{HashPart, RetryPart};

    use super::{chosen_by, retries};

    #[test]
    fn what_retries_say() {
        let table = RetryPart {
            by: "route table",
            attempts: 2,
            on: vec![RetryOn::ConnectFailure, RetryOn::RetriableStatusCodes],
            status_codes: vec![],
            per_try_timeout: None,
            back_off: "0.025s".to_owned(),
            back_off_minimum: None,
            avoids_previous_endpoints: true,
            replay_bytes: None,
        };
        let route = RetryPart {
            by: "route",
            status_codes: vec![503, 429],
            per_try_timeout: Some("1s".to_owned()),
            back_off_minimum: Some("0.5s".to_owned()),
            avoids_previous_endpoints: false,
            replay_bytes: Some(65536),
            ..table.clone()
        };
        assert_eq!(
            retries(&table),
            "2 on connect-failure,retriable-status-codes, by the route table"
        );
        assert_eq!(
            retries(&route),
            "2 on connect-failure,retriable-status-codes,503,429, each try 1s, 0.5s apart or \
             more, also at the same endpoint, with up to 65536 bytes of a body"
        );
    }

    #[test]
    fn what_hashes_say() {
        for (is_there, gives, expected) in [
            (None, None, "x"),
            (Some(true), None, "x"),
            (Some(false), None, "x, which is not there: at random"),
            (Some(false), Some("0s"), "x, which is given for a session"),
            (Some(false), Some("60s"), "x, which is given for 60s"),
        ] {
            let hash = HashPart {
                by: "x".to_owned(),
                is_there,
                gives_cookie: gives.map(str::to_owned),
                endpoint: None,
            };
            assert_eq!(chosen_by(&hash), expected);
            let endpoint = Some("10.0.0.1:80".to_owned());
            assert_eq!(chosen_by(&HashPart { endpoint, ..hash }), "x: 10.0.0.1:80");
        }
    }
}
