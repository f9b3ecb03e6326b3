//! What the tuning says of reading and writing messages, made ready for requests.

use ringmain_config::tuning::{Http, ServerHeader, UnderscoresInHeaders};
use ringmain_core::{header::Names, path};

/// How messages are read and written, for all requests alike.
#[derive(Clone, Debug)]
pub struct HttpPolicy {
    /// What is made of paths.
    pub path: path::Policy,
    /// What is done with names that hold `_`.
    pub underscores: UnderscoresInHeaders,
    /// Trusted proxies in front of a gateway.
    pub trusted_hops: u32,
    server_header: ServerHeader,
    server_name: Box<[u8]>,
    /// What a client of a gateway may not say.
    pub untrusted: Names,
}

/// What only proxies of the mesh may say of a request: a client of a gateway that says so would be
/// believed behind it. Of its certificate, a client of a gateway has shown none.
const UNTRUSTED: [&str; 26] = [
    "x-forwarded-client-cert",
    "x-envoy-internal",
    "x-envoy-external-address",
    "x-envoy-original-path",
    "x-envoy-original-host",
    "x-envoy-original-url",
    "x-envoy-downstream-service-cluster",
    "x-envoy-downstream-service-node",
    "x-envoy-peer-metadata",
    "x-envoy-peer-metadata-id",
    "x-envoy-is-timeout-retry",
    "x-envoy-overloaded",
    "x-envoy-upstream-rq-timeout-alt-response",
    "x-envoy-expected-rq-timeout-ms",
    "x-envoy-ip-tags",
    "x-envoy-force-trace",
    "x-envoy-decorator-operation",
    "x-envoy-max-retries",
    "x-envoy-retry-on",
    "x-envoy-retry-grpc-on",
    "x-envoy-retriable-status-codes",
    "x-envoy-retriable-header-names",
    "x-envoy-hedge-on-per-try-timeout",
    "x-envoy-upstream-alt-stat-name",
    "x-envoy-upstream-rq-timeout-ms",
    "x-envoy-upstream-rq-per-try-timeout-ms",
];

impl HttpPolicy {
    /// As `http` says.
    pub fn of(http: &Http) -> Self {
        Self {
            path: path::Policy::of(http),
            underscores: http.underscores_in_headers,
            trusted_hops: http.xff_trusted_hops,
            server_header: http.server_header,
            server_name: http.server_name.as_bytes().into(),
            untrusted: UNTRUSTED.into_iter().collect(),
        }
    }

    /// Value of the `Server` field of an upstream's answer, if it is to be written. `has_one`: the
    /// upstream wrote one.
    pub fn server(&self, has_one: impl FnOnce() -> bool) -> Option<&[u8]> {
        let is_written = match self.server_header {
            ServerHeader::Overwrite => true,
            ServerHeader::AppendIfAbsent => !has_one(),
            ServerHeader::PassThrough => false,
        };
        is_written.then_some(&self.server_name)
    }
}

#[cfg(test)]
mod tests {
    use ringmain_config::tuning::{Http, ServerHeader};

    use super::HttpPolicy;

    #[test]
    fn the_server_field_is_as_it_was_asked_for() {
        for (server_header, has_one, expected) in [
            (ServerHeader::Overwrite, true, Some(b"ringmain".as_slice())),
            (ServerHeader::Overwrite, false, Some(b"ringmain")),
            (ServerHeader::AppendIfAbsent, true, None),
            (ServerHeader::AppendIfAbsent, false, Some(b"ringmain")),
            (ServerHeader::PassThrough, true, None),
            (ServerHeader::PassThrough, false, None),
        ] {
            let policy = HttpPolicy::of(&Http {
                server_header,
                ..Http::default()
            });
            assert_eq!(policy.server(|| has_one), expected, "{server_header:?}");
        }
    }
}
