//! Field names that this proxy reads, writes or drops, as small numbers.

use http::HeaderName;

use super::block::{self, Block};

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

            /// The name with the colon and the space that stand behind it in a line of HTTP/1.
            #[inline(always)]
            pub(super) const fn line_start(self) -> &'static [u8] {
                LINE_STARTS[self as usize]
            }

            /// For a map of fields.
            pub(crate) fn header_name(self) -> HeaderName {
                HEADER_NAMES[self as usize].clone()
            }
        }

        const NAMES: &[&str] = &[$($name,)*];

        static LINE_STARTS: [&[u8]; NAMES.len()] = [$(concat!($name, ": ").as_bytes(),)*];

        static HEADER_NAMES: [HeaderName; NAMES.len()] = [$(HeaderName::from_static($name),)*];
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
    MaxForwards = "max-forwards",
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
        if name.is_empty() || name.len() > LENGTH_MAX {
            return None;
        }
        let id = usize::from(SLOTS[slot(name)]).checked_sub(1)?;
        (NAMES[id].len() == name.len() && is_same(name, id)).then(|| Self::ALL[id])
    }

    /// As [`Self::of`], for a name that `block` begins with.
    #[inline(always)]
    pub(super) fn of_block(block: Block, name: &[u8]) -> Option<Self> {
        if name.is_empty() || name.len() > LENGTH_MAX {
            return None;
        }
        let key = &KEYS[usize::from(SLOTS[slot(name)]) % KEYS.len()];
        let differs = (block.number() ^ key.lower) & key.fold;
        if usize::from(key.length) != name.len() || differs != 0 {
            return None;
        }
        match name.len() <= block::LENGTH {
            true => key.known,
            false => Self::of(name),
        }
    }

    /// One bit for each.
    #[inline(always)]
    pub(crate) const fn bit(self) -> u64 {
        1 << self as u8
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

/// `name`, of the same length as the known name, is that name in any case.
#[inline]
fn is_same(name: &[u8], id: usize) -> bool {
    let (lower, letters) = (&LOWER[id], &LETTERS[id]);
    let word_differs = |at: usize| {
        let word = |bytes: &[u8]| {
            let mut word = [0; 8];
            word.copy_from_slice(&bytes[at..at + 8]);
            u64::from_ne_bytes(word)
        };
        (word(name) ^ word(lower)) & !word(letters) != 0
    };
    let Some(last) = name.len().checked_sub(8) else {
        let differs = |at: usize| (name[at] ^ lower[at]) & !letters[at] != 0;
        return !(0..name.len()).any(differs);
    };
    !(0..last).step_by(8).any(word_differs) && !word_differs(last)
}

/// Where in [`SLOTS`] a name is looked up: its length and three of its bytes, which differ enough
/// that no two known names share a slot. The bit that makes a letter small is set, so case does
/// not matter.
const fn slot(name: &[u8]) -> usize {
    let first = (name[0] | 0x20) as usize;
    let middle = (name[name.len() / 2] | 0x20) as usize;
    let last = (name[name.len() - 1] | 0x20) as usize;
    (name.len() * MULTIPLIERS[0] + first * MULTIPLIERS[1] + middle * MULTIPLIERS[2] + last)
        % SLOT_COUNT
}

const LENGTH_MAX: usize = 30;

const SLOT_COUNT: usize = 256;

/// Ids plus one; 0: no known name.
const SLOTS: [u8; SLOT_COUNT] = {
    let mut slots = [0; SLOT_COUNT];
    let mut id = 0;
    while id < NAMES.len() {
        assert!(NAMES[id].len() <= LENGTH_MAX, "LENGTH_MAX is too small");
        let slot = slot(NAMES[id].as_bytes());
        assert!(
            slots[slot] == 0,
            "two names share a slot: change MULTIPLIERS"
        );
        slots[slot] = id as u8 + 1;
        id += 1;
    }
    slots
};

/// Found by trying: any numbers will do that let [`SLOTS`] compile.
const MULTIPLIERS: [usize; 3] = [1, 1, 39];

/// A name's beginning, to be compared with a block.
struct Key {
    known: Option<Known>,
    length: u8,
    lower: u128,
    /// The bits in which the block must be the same: none behind the name, and not the one in which
    /// a letter's two cases differ.
    fold: u128,
}

/// By what stands in [`SLOTS`]; as many as the remainder by their number costs nothing for.
static KEYS: [Key; 64] = {
    assert!(NAMES.len() < 64, "more keys are needed");
    let mut keys = [const {
        Key {
            known: None,
            length: 0,
            lower: 0,
            fold: 0,
        }
    }; 64];
    let mut id = 0;
    while id < NAMES.len() {
        let key = &mut keys[id + 1];
        key.known = Some(Known::ALL[id]);
        key.length = NAMES[id].len() as u8;
        let mut at = 0;
        while at < NAMES[id].len() && at < block::LENGTH {
            key.lower |= (LOWER[id][at] as u128) << (8 * at);
            key.fold |= (!LETTERS[id][at] as u128) << (8 * at);
            at += 1;
        }
        id += 1;
    }
    keys
};

/// The names, padded.
const LOWER: [[u8; LENGTH_MAX]; NAMES.len()] = padded(false);

/// The bit in which a letter's two cases differ, where a name has a letter.
const LETTERS: [[u8; LENGTH_MAX]; NAMES.len()] = padded(true);

const fn padded(letters: bool) -> [[u8; LENGTH_MAX]; NAMES.len()] {
    let mut padded = [[0; LENGTH_MAX]; NAMES.len()];
    let mut id = 0;
    while id < NAMES.len() {
        let name = NAMES[id].as_bytes();
        let mut at = 0;
        while at < name.len() {
            padded[id][at] = match (letters, name[at].is_ascii_lowercase()) {
                (false, _) => name[at],
                (true, is_letter) => (is_letter as u8) << 5,
            };
            at += 1;
        }
        id += 1;
    }
    padded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_found_in_any_case_and_no_other() {
        for &known in Known::ALL {
            let name = known.name();
            assert_eq!(Known::of(name.as_bytes()), Some(known));
            for line in [format!("{name}: x"), format!("{}:", name.to_uppercase())] {
                let block = Block::at(line.as_bytes(), 0).expect("not empty");
                let name = &line.as_bytes()[..name.len()];
                assert_eq!(Known::of_block(block, name), Some(known));
                assert_eq!(Known::of_block(block, &name[1..]), None);
            }
            assert_eq!(Known::of(name.to_uppercase().as_bytes()), Some(known));
            assert_eq!(Known::of(format!("{name}x").as_bytes()), None);
            assert_eq!(Known::of(&name.as_bytes()[1..]), None);
            assert_eq!(name, name.to_lowercase());
        }
        // Differ from a known name in the bit that makes letters small, but are no letters.
        assert_eq!(Known::of(b"keep\ralive"), None);
        assert_eq!(Known::of(b"via\0"), None);
        assert_eq!(Known::of(b"x-b3\rspanid"), None);
        assert_eq!(Known::of(b"x-b\x13-spanid"), None);
        assert_eq!(Known::of(b""), None);
        assert_eq!(Known::of(&[b'x'; 100]), None);
    }
}
