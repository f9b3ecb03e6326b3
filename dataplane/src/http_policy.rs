//! What the tuning says of reading and writing messages, made ready for requests.

use ringmain_config::tuning::{ForwardClientCert, Http, ServerHeader, UnderscoresInHeaders};
use ringmain_core::{forwarded::Untrusted, path};

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
    /// What clients may not say.
    pub untrusted: Untrusted,
    /// What a gateway does with `x-forwarded-client-cert`.
    pub forward_client_cert: ForwardClientCert,
}

impl HttpPolicy {
    /// As `http` says.
    pub fn of(http: &Http) -> Self {
        Self {
            path: path::Policy::of(http),
            underscores: http.underscores_in_headers,
            trusted_hops: http.xff_trusted_hops,
            server_header: http.server_header,
            server_name: http.server_name.as_bytes().into(),
            untrusted: Untrusted::default(),
            forward_client_cert: http.forward_client_cert,
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
