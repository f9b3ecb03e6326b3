//! What a worker counts besides requests: one table of fields, names and help texts.

use ringmain_core::metrics::{Family, Kind};

use super::{Counter, Gauge};

macro_rules! worker_counters {
    ($($field:ident: $kind:ident, $name:literal, $help:literal;)*) => {
        /// What one worker counts besides requests. Written by that worker's thread only.
        #[derive(Debug, Default)]
        #[repr(align(64))]
        pub struct WorkerCounters {
            $(#[doc = $help] pub $field: $kind,)*
        }

        /// In the order of [`WorkerCounters::values`].
        pub(super) const FAMILIES: [Family; [$($name),*].len()] = [
            $(Family { name: $name, help: $help, kind: Kind::$kind },)*
        ];

        impl WorkerCounters {
            /// Every number at this moment, in the order of the table.
            pub(super) fn values(&self) -> [u64; FAMILIES.len()] {
                [$(self.$field.value(),)*]
            }
        }
    };
}

worker_counters! {
    downstream_connections_total: Counter, "ringmain_downstream_connections_total",
        "Connections accepted from clients.";
    downstream_connections_active: Gauge, "ringmain_downstream_connections_active",
        "Open connections of clients.";
    downstream_http2_floods: Counter, "ringmain_downstream_http2_floods_total",
        "HTTP/2 connections closed because their clients cost more than they bring: by resets, or \
         by frames without a request or data.";
    downstream_http2_errors: Counter, "ringmain_downstream_http2_errors_total",
        "HTTP/2 connections ended because their clients broke the protocol's rules.";
    accept_failures: Counter, "ringmain_accept_failures_total",
        "Connections that could not be accepted, for want of descriptors as a rule.";
    connections_refused: Counter, "ringmain_connections_refused_total",
        "Connections closed at once because a limit was reached.";
    connections_handed_over: Counter, "ringmain_connections_handed_over_total",
        "Connections that this worker accepted and gave to one that had fewer.";
    tls_handshakes_full: Counter, "ringmain_tls_handshakes_full_total",
        "TLS handshakes of clients that agreed on new keys with certificates.";
    tls_handshakes_resumed: Counter, "ringmain_tls_handshakes_resumed_total",
        "TLS handshakes of clients that took up an earlier session.";
    tls_handshakes_failed: Counter, "ringmain_tls_handshakes_failed_total",
        "Connections of clients that came to no TLS where it was to be.";
    requests_active: Gauge, "ringmain_requests_active",
        "Requests under way.";
    requests_rejected: Counter, "ringmain_requests_rejected_total",
        "Requests that are not HTTP as the proxy accepts it. The access log says why.";
    upstream_connections_total: Counter, "ringmain_upstream_connections_total",
        "Connections opened to endpoints.";
    upstream_connections_active: Gauge, "ringmain_upstream_connections_active",
        "Connections to endpoints that carry a request or are being opened.";
    upstream_connections_idle: Gauge, "ringmain_upstream_connections_idle",
        "Connections to endpoints kept for reuse.";
    upstream_connections_reused: Counter, "ringmain_upstream_connections_reused_total",
        "Requests sent on a connection that had carried one before.";
    upstream_stale_retries: Counter, "ringmain_upstream_stale_retries_total",
        "Of the further tries: made because the endpoint had closed a kept connection \
         (stale-connection).";
    upstream_connect_failures: Counter, "ringmain_upstream_connect_failures_total",
        "Connections to endpoints that could not be opened: refused, too late, or not HTTP/2 where \
         that is spoken.";
    upstream_overflows: Counter, "ringmain_upstream_overflows_total",
        "Requests and TCP connections refused by a limit: `limits.upstream_connections`, or \
         `connectionPool` of their cluster (connections, requests, requests that wait).";
    upstream_http2_floods: Counter, "ringmain_upstream_http2_floods_total",
        "HTTP/2 connections to endpoints that were ended because those sent frames without an \
         answer or data, too many of them.";
    upstream_keep_alive_failures: Counter, "ringmain_upstream_keep_alive_failures_total",
        "HTTP/2 connections to endpoints that were ended because a ping was not answered in time.";
    downstream_keep_alive_failures: Counter, "ringmain_downstream_keep_alive_failures_total",
        "HTTP/2 connections of clients that were ended because a ping was not answered in time.";
    upstream_retries: Counter, "ringmain_upstream_retries_total",
        "Further tries of requests, made because a policy asks for them.";
    upstream_retry_overflows: Counter, "ringmain_upstream_retry_overflows_total",
        "Further tries that were not made because a limit or budget allowed no more.";
    mirrors_active: Gauge, "ringmain_mirrors_active",
        "Copies of requests for mirrors under way, from the request's end to the copy's answer.";
    mirrors_sent: Counter, "ringmain_mirrors_sent_total",
        "Copies of requests handed to a connection to a mirror's endpoint, as a whole.";
    mirrors_dropped: Counter, "ringmain_mirrors_dropped_total",
        "Copies of requests that were not begun: the body was too long or did not arrive, or \
         `limits.mirrors` or the limits of the mirror's cluster allowed no more.";
    mirrors_failed: Counter, "ringmain_mirrors_failed_total",
        "Copies of requests that were begun and got no answer: no endpoint, no connection, or it \
         ended, refused or was too late. Those that were sent before that count as sent, too.";
    buffers_in_use: Gauge, "ringmain_buffers_in_use",
        "Buffers held by connections.";
    buffers_spare: Gauge, "ringmain_buffers_spare",
        "Buffers kept for the next connection that needs one.";
    tcp_connections_active: Gauge, "ringmain_tcp_connections_active",
        "TCP connections that are carried, or whose endpoint is being connected to.";
    pipes_in_use: Gauge, "ringmain_pipes_in_use",
        "Pipes that hold bytes on their way to a slow receiver.";
    pipes_exhausted: Counter, "ringmain_pipes_exhausted_total",
        "Times a transfer went on through a buffer because no pipe was to be had.";
    snapshots_adopted: Counter, "ringmain_snapshots_adopted_total",
        "Configuration snapshots that the worker has switched to.";
    turns: Counter, "ringmain_worker_turns_total",
        "Seconds in which the worker's loop has turned. Standing still: the worker is stalled.";
    log_lines_dropped: Counter, "ringmain_access_log_lines_dropped_total",
        "Access-log lines dropped because the log writer was behind.";
    series: Gauge, "ringmain_series",
        "Series of request metrics that the worker holds.";
    series_refused: Counter, "ringmain_series_refused_total",
        "Times a series of request metrics could not be made; its requests count as overflow.";
}

#[cfg(test)]
mod tests {
    use std::{fmt::Write as _, path::Path};

    use super::{FAMILIES, Kind};

    fn table() -> String {
        let mut table = "\n| metric | type | what it counts |\n|---|---|---|\n".to_owned();
        for family in &FAMILIES {
            let kind = match family.kind {
                Kind::Counter => "counter",
                Kind::Gauge => "gauge",
                Kind::Histogram => "histogram",
            };
            writeln!(table, "| `{}` | {kind} | {} |", family.name, family.help).unwrap();
        }
        table
    }

    /// The manual's table is this program's own. `RINGMAIN_WRITE_DOCS=1` writes it anew.
    #[test]
    fn manual_has_every_counter() {
        const MARK: &str =
            "<!-- The table below is generated from dataplane/src/metrics/counters.rs. -->\n";
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/metrics.md");
        let manual = std::fs::read_to_string(&path).unwrap();
        let (guide, written) = manual.split_once(MARK).unwrap();
        let generated = table();
        if std::env::var_os("RINGMAIN_WRITE_DOCS").is_some() {
            std::fs::write(&path, format!("{guide}{MARK}{generated}")).unwrap();
        } else {
            assert!(
                written == generated,
                "{} is out of date; mend it with\n    RINGMAIN_WRITE_DOCS=1 cargo test -p \
                 ringmain-dataplane manual",
                path.display()
            );
        }
    }

    #[test]
    fn helps_say_something_and_names_say_the_type() {
        for family in &FAMILIES {
            let is_counter = matches!(family.kind, Kind::Counter);
            assert_eq!(
                family.name.ends_with("_total"),
                is_counter,
                "{}",
                family.name
            );
            assert!(family.help.ends_with('.'), "{}", family.name);
        }
    }
}
