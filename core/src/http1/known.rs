//! Field names that this proxy reads, writes or drops, as small numbers.

macro_rules! known {
    ($($variant:ident = $name:literal,)*) => {
        /// A field name that is looked at by id instead of by text.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum Known {
            $(#[doc = concat!("`", $name, "`")] $variant,)*
        }

        impl Known {
            /// Every one, in the order of their numbers.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// Lower case.
            pub const fn name(self) -> &'static str {
                NAMES[self as usize]
            }
        }

        const NAMES: &[&str] = &[$($name,)*];
    };
}

known! {
    Authorization = "authorization",
    CacheControl = "cache-control",
    Connection = "connection",
    ContentEncoding = "content-encoding",
    ContentLength = "content-length",
    ContentType = "content-type",
    Cookie = "cookie",
    Date = "date",
    Expect = "expect",
    Forwarded = "forwarded",
    GrpcStatus = "grpc-status",
    Host = "host",
    Http2Settings = "http2-settings",
    KeepAlive = "keep-alive",
    Location = "location",
    ProxyAuthenticate = "proxy-authenticate",
    ProxyAuthorization = "proxy-authorization",
    ProxyConnection = "proxy-connection",
    Referer = "referer",
    Server = "server",
    SetCookie = "set-cookie",
    Te = "te",
    Traceparent = "traceparent",
    Tracestate = "tracestate",
    Trailer = "trailer",
    TransferEncoding = "transfer-encoding",
    Upgrade = "upgrade",
    UserAgent = "user-agent",
    Via = "via",
    WwwAuthenticate = "www-authenticate",
    XB3Sampled = "x-b3-sampled",
    XB3SpanId = "x-b3-spanid",
    XB3TraceId = "x-b3-traceid",
    XEnvoyAttemptCount = "x-envoy-attempt-count",
    XEnvoyDecoratorOperation = "x-envoy-decorator-operation",
    XEnvoyExpectedTimeout = "x-envoy-expected-rq-timeout-ms",
    XEnvoyExternalAddress = "x-envoy-external-address",
    XEnvoyInternal = "x-envoy-internal",
    XEnvoyOriginalPath = "x-envoy-original-path",
    XEnvoyPeerMetadata = "x-envoy-peer-metadata",
    XEnvoyPeerMetadataId = "x-envoy-peer-metadata-id",
    XEnvoyUpstreamServiceTime = "x-envoy-upstream-service-time",
    XForwardedClientCert = "x-forwarded-client-cert",
    XForwardedFor = "x-forwarded-for",
    XForwardedHost = "x-forwarded-host",
    XForwardedProto = "x-forwarded-proto",
    XRequestId = "x-request-id",
}

impl Known {
    /// The known name that equals `name` without regard to case.
    #[inline]
    pub fn of(name: &[u8]) -> Option<Self> {
        let length = name.len();
        if length > LENGTH_MAX {
            return None;
        }
        let candidates = BY_LENGTH[length] as usize..BY_LENGTH[length + 1] as usize;
        let first = name.first()?.to_ascii_lowercase();
        ORDER[candidates]
            .iter()
            .find(|(initial, known)| {
                *initial == first && name.eq_ignore_ascii_case(known.name().as_bytes())
            })
            .map(|(_, known)| *known)
    }

    /// The codec writes these from typed values, or leaves them behind: they are about one
    /// connection, or about the framing on it (RFC 9110 section 7.6.1). The credentials and
    /// challenges of a proxy are among them because they are meant for the next proxy on the way
    /// (RFC 9110 sections 11.7.1 and 11.7.2): that is this one, which asks for none.
    ///
    /// `Trailer` is not: it is passed on where trailers can be.
    pub const fn is_connection_bound(self) -> bool {
        matches!(
            self,
            Self::Connection
                | Self::ContentLength
                | Self::Expect
                | Self::Host
                | Self::Http2Settings
                | Self::KeepAlive
                | Self::ProxyAuthenticate
                | Self::ProxyAuthorization
                | Self::ProxyConnection
                | Self::Te
                | Self::TransferEncoding
                | Self::Upgrade
        )
    }
}

const LENGTH_MAX: usize = 30;

/// Ids ordered by the length of their names, with the first byte of the name.
const ORDER: [(u8, Known); NAMES.len()] = order();

/// Where the names of each length begin in [`ORDER`].
const BY_LENGTH: [u8; LENGTH_MAX + 2] = by_length();

const fn order() -> [(u8, Known); NAMES.len()] {
    let mut order = [(0, Known::Authorization); NAMES.len()];
    let mut filled = 0;
    let mut length = 0;
    while length <= LENGTH_MAX {
        let mut id = 0;
        while id < NAMES.len() {
            if NAMES[id].len() == length {
                order[filled] = (NAMES[id].as_bytes()[0], Known::ALL[id]);
                filled += 1;
            }
            id += 1;
        }
        length += 1;
    }
    assert!(filled == NAMES.len(), "LENGTH_MAX is shorter than a name");
    order
}

const fn by_length() -> [u8; LENGTH_MAX + 2] {
    let mut starts = [0; LENGTH_MAX + 2];
    let mut length = 0;
    while length <= LENGTH_MAX {
        let mut count = 0;
        let mut id = 0;
        while id < NAMES.len() {
            if NAMES[id].len() == length {
                count += 1;
            }
            id += 1;
        }
        starts[length + 1] = starts[length] + count;
        length += 1;
    }
    starts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_found_in_any_case_and_no_other() {
        for &known in Known::ALL {
            let name = known.name();
            assert_eq!(Known::of(name.as_bytes()), Some(known));
            assert_eq!(Known::of(name.to_uppercase().as_bytes()), Some(known));
            assert_eq!(Known::of(format!("{name}x").as_bytes()), None);
            assert_eq!(Known::of(&name.as_bytes()[1..]), None);
            assert_eq!(name, name.to_lowercase());
        }
        assert_eq!(Known::of(b""), None);
        assert_eq!(Known::of(&[b'x'; 100]), None);
    }
}
