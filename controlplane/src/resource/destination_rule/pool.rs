//! Reads `connectionPool` and `retryBudget`: how much of a service a proxy uses at a time, and how.

use ringmain_config::{
    cluster::{HttpConnections, KeepAlive},
    retry::RetryBudget,
};

use super::{
    super::{
        cursor::{Cursor, Report},
        format,
    },
    ConnectionPool,
};

/// `ConnectionPoolSettings`. A limit of 0 says nothing.
pub(super) fn read(at: &Cursor<'_>, report: &mut Report) -> ConnectionPool {
    let (tcp, http) = (at.field("tcp"), at.field("http"));
    if let Some(field) = tcp.and_then(|tcp| tcp.field("maxConnectionDuration")) {
        let message = "`maxConnectionDuration` holds for connections of TCP ports only so far: \
                       those that carry HTTP are not limited by it";
        report.warning(&field, message);
    }
    let duration = |block: Option<Cursor<'_>>, name| format::duration(block?.text_of(name)?);
    let limit = |block: Option<Cursor<'_>>, name| block?.integer_of(name).filter(|max| *max > 0);
    let text = |name| http.and_then(|http| http.text_of(name));
    ConnectionPool {
        connect_timeout: duration(tcp, "connectTimeout"),
        idle_timeout: duration(http, "idleTimeout").or_else(|| duration(tcp, "idleTimeout")),
        requests_max: http.and_then(|http| http.integer_of("maxRequestsPerConnection")),
        tcp_idle_timeout: duration(tcp, "idleTimeout"),
        tcp_duration_max: duration(tcp, "maxConnectionDuration"),
        tcp_connections_max: limit(tcp, "maxConnections"),
        http: HttpConnections {
            pending_max: limit(http, "http1MaxPendingRequests"),
            active_max: limit(http, "http2MaxRequests"),
            retries_max: limit(http, "maxRetries"),
            streams_max: limit(http, "maxConcurrentStreams"),
            keep_alive: http.and_then(|http| read_keep_alive(&http.field("http2KeepAlive")?)),
        },
        upgrades: text("h2UpgradePolicy") == Some("UPGRADE"),
        follows_client: http
            .and_then(|http| http.boolean_of("useClientProtocol"))
            .unwrap_or_default(),
    }
}

fn read_keep_alive(at: &Cursor<'_>) -> Option<KeepAlive> {
    Some(KeepAlive {
        interval: format::duration(at.text_of("interval")?)?,
        timeout: format::duration(at.text_of("timeout")?)?,
    })
}

/// `RetryBudget`, with Istio's defaults.
pub(super) fn read_budget(at: &Cursor<'_>, report: &mut Report) -> RetryBudget {
    let interval = at.field("budgetInterval");
    let of_period = |at: &Cursor<'_>| {
        let duration = at.text().and_then(format::duration);
        duration.is_some_and(|duration| !duration.is_zero())
    };
    if let Some(interval) = interval.filter(of_period) {
        let message = "`budgetInterval` is not supported yet: the share is of the requests under \
                       way, not of those of a period";
        report.warning(&interval, message);
    }
    // In hundredths of a percent; what is outside of 0 to 100 was reported, and saturates here.
    let share = at.number_of("percent").unwrap_or(PERCENT_DEFAULT) * 100.0;
    RetryBudget {
        share: share.round().clamp(0.0, 10_000.0) as u32,
        concurrency_min: at
            .integer_of("minRetryConcurrency")
            .unwrap_or(CONCURRENCY_DEFAULT),
    }
}

const PERCENT_DEFAULT: f64 = 20.0;
const CONCURRENCY_DEFAULT: u32 = 3;
