//! Who sent a request, at a gateway: which addresses in `x-forwarded-for` are believed, and what is
//! said of it to those behind (`x-forwarded-for`, `x-forwarded-proto`,
//! `x-envoy-external-address`).
//!
//! Every proxy appends the address of whoever connected to it. So with N trusted proxies in front,
//! the last N addresses of the field are theirs to say, and the N-th from the right is the
//! client's; what stands before it anyone can have written. Sidecars do not look at these fields
//! and leave them as they are.

use std::{
    borrow::Cow,
    net::{IpAddr, Ipv4Addr},
    str,
};

use ringmain_config::{listener::Direction, tuning::ForwardClientCert};
use smallvec::SmallVec;

use crate::{
    header::{Headers, Names},
    hops::Hops,
    http1::Known,
    xfcc,
};

/// The client of a request, and what is believed of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Client {
    /// Its address.
    pub address: IpAddr,
    /// For `x-envoy-external-address`, in place of what the request has: the client's address,
    /// when it is one of the world outside.
    pub external: Option<IpAddr>,
}

impl Client {
    /// Of a request that came from `peer`, with these values of `x-forwarded-for`, joined, behind
    /// `hops` trusted proxies (`http.xff_trusted_hops`). A field with fewer addresses than that, or
    /// one that is no address where the client's should be, says nothing: the client is `peer`.
    pub fn of(peer: IpAddr, hops: u32, forwarded_for: Option<&[u8]>) -> Self {
        let peer = peer.to_canonical();
        let named = forwarded_for.filter(|_| hops > 0);
        let address = named.and_then(|list| nth_from_right(list, hops));
        let address = address.unwrap_or(peer);
        Self {
            address,
            external: (!is_internal(address)).then_some(address),
        }
    }
}

/// The fields of a request as those behind will see them, which is how routes and hash keys see
/// them, too: what its client may not say is not there, and what the proxy says itself is.
#[derive(Clone, Copy, Debug)]
pub struct Presented<'a, R> {
    /// As they were received.
    pub received: R,
    /// Names that do not go on: see [`RequestWrite::untrusted`](crate::http1::RequestWrite).
    pub untrusted: Option<&'a Names>,
    /// Further ones.
    pub dropped: Option<&'a Names>,
    /// See [`RequestWrite::set`](crate::http1::RequestWrite).
    pub set: &'a [(Known, &'a [u8])],
    /// See [`RequestWrite::append`](crate::http1::RequestWrite).
    pub append: &'a [(Known, &'a [u8])],
}

impl<R: Headers> Headers for Presented<'_, R> {
    fn value(&self, name: &str) -> Option<Cow<'_, [u8]>> {
        let known = Known::of(name.as_bytes());
        if let Some(value) = own(self.set, known) {
            return Some(Cow::Borrowed(value));
        }
        let left_behind = [self.untrusted, self.dropped].into_iter().flatten();
        let mut left_behind = left_behind.map(|names| names.hold_field(known, name.as_bytes()));
        let received = match left_behind.any(|holds| holds) {
            true => None,
            false => self.received.value(name),
        };
        match (received, own(self.append, known)) {
            (Some(mut list), Some(value)) => {
                list.to_mut().extend_from_slice(b", ");
                list.to_mut().extend_from_slice(value);
                Some(list)
            }
            (received, value) => received.or(value.map(Cow::Borrowed)),
        }
    }
}

fn own<'a>(fields: &[(Known, &'a [u8])], name: Option<Known>) -> Option<&'a [u8]> {
    let mut fields = fields.iter();
    let own = fields.find(|(known, _)| Some(*known) == name);
    own.map(|(_, value)| *value)
}

/// Fields of a proxy's own, with room for those that only a request sent on has.
pub type OwnFields<'a> = SmallVec<[(Known, &'a [u8]); 7]>;

/// What a proxy says of a request itself, whichever way it goes, so that routes see it, too.
#[derive(Clone, Debug)]
pub struct Own<'a> {
    direction: Direction,
    /// Of a request that came without.
    request_id: Option<[u8; 36]>,
    /// Unless it is the peer's to say.
    forwarded_proto: Option<&'static str>,
    /// The address of whoever connected, at a gateway.
    peer: Option<&'a str>,
    /// At a gateway.
    client: Option<Client>,
    /// The client's address, if it is one of the world outside.
    external: Option<String>,
    hops: Hops,
    /// `max-forwards`, as it is passed on.
    hops_left: Option<String>,
    /// What becomes of `x-forwarded-client-cert`.
    certificate: xfcc::Outcome,
    /// What it says then.
    certificates: Option<Vec<u8>>,
}

impl<'a> Own<'a> {
    /// Of a request with this `scheme` ([`scheme`]), which gets this id unless it came with one.
    /// `has_proto`: it came with `x-forwarded-proto`. `from` is asked at a gateway only: whoever
    /// connected to it, and the client.
    pub fn of(
        (direction, scheme): (Direction, &'static str),
        request_id: Option<[u8; 36]>,
        has_proto: impl FnOnce() -> bool,
        hops: Hops,
        from: impl FnOnce() -> (&'a str, Client),
    ) -> Self {
        let is_gateway = direction == Direction::Gateway;
        let from = is_gateway.then(from);
        let client = from.map(|(_, client)| client);
        let external = client.and_then(|client| client.external);
        Self {
            direction,
            request_id,
            forwarded_proto: (is_gateway || !has_proto()).then_some(scheme),
            peer: from.map(|(peer, _)| peer),
            client,
            external: external.map(|address| address.to_string()),
            hops,
            hops_left: match hops {
                Hops::Left(hops) => Some(hops.to_string()),
                Hops::Any | Hops::End(_) => None,
            },
            certificate: xfcc::Outcome::Remove,
            certificates: None,
        }
    }

    /// With what is said of the client's certificate. `shown`: its [`element`](xfcc::element), if it
    /// has shown one; `received`: what the request says. At a gateway that is told what to do,
    /// `handling` decides; a sidecar appends for its application, and takes nothing from it.
    #[must_use]
    pub fn with_certificate(
        mut self,
        handling: ForwardClientCert,
        shown: Option<&str>,
        received: impl FnOnce() -> Option<Vec<u8>>,
    ) -> Self {
        let handling = match self.direction {
            Direction::Gateway => handling,
            Direction::Inbound => ForwardClientCert::AppendForward,
            Direction::Outbound => ForwardClientCert::Sanitize,
        };
        self.certificate = xfcc::outcome(handling, shown.is_some());
        let shown = shown.map(str::as_bytes);
        self.certificates = match self.certificate {
            xfcc::Outcome::Keep | xfcc::Outcome::Remove => None,
            xfcc::Outcome::Replace => shown.map(<[u8]>::to_vec),
            xfcc::Outcome::Append => {
                let all = [received(), shown.map(<[u8]>::to_vec)];
                Some(all.into_iter().flatten().collect::<Vec<_>>().join(&b','))
            }
        };
        self
    }

    /// How often the request may be passed on.
    pub fn hops(&self) -> Hops {
        self.hops
    }

    /// Whoever made it, where that may be somebody else than whoever connected: at a gateway.
    pub fn client(&self) -> Option<IpAddr> {
        self.client.map(|client| client.address)
    }

    /// Fields that replace the received ones.
    pub fn set(&self) -> OwnFields<'_> {
        let mut set = OwnFields::new();
        if let Some(id) = &self.request_id {
            set.push((Known::XRequestId, id));
        }
        if let Some(scheme) = self.forwarded_proto {
            set.push((Known::XForwardedProto, scheme.as_bytes()));
        }
        if let Some(address) = &self.external {
            set.push((Known::XEnvoyExternalAddress, address.as_bytes()));
        }
        if let Some(hops) = &self.hops_left {
            set.push((Known::MaxForwards, hops.as_bytes()));
        }
        if let Some(certificates) = &self.certificates {
            set.push((Known::XForwardedClientCert, certificates));
        }
        set
    }

    /// A field that stands at the end of a list.
    #[inline]
    pub fn append(&self) -> Option<(Known, &[u8])> {
        let peer = self.peer?;
        Some((Known::XForwardedFor, peer.as_bytes()))
    }

    /// Which names do not go on from its client.
    pub fn untrusted<'n>(&self, untrusted: &'n Untrusted) -> Option<&'n Names> {
        let is_gateway = self.direction == Direction::Gateway;
        match (is_gateway, self.certificate == xfcc::Outcome::Keep) {
            (true, false) => Some(&untrusted.all),
            (true, true) => Some(&untrusted.others),
            (false, false) => Some(&untrusted.certificate),
            (false, true) => None,
        }
    }

    /// The upstream learns which try it is. An application learns it from its caller's proxy, whose
    /// tries they are.
    pub fn tells_attempt(&self) -> bool {
        self.direction != Direction::Inbound
    }
}

/// What only proxies of the mesh may say of a request: a client of a gateway that says so would be
/// believed behind it. What is said of certificates only a peer may say that has shown one itself.
#[derive(Clone, Debug)]
pub struct Untrusted {
    all: Names,
    others: Names,
    certificate: Names,
}

impl Default for Untrusted {
    fn default() -> Self {
        let certificate = Known::XForwardedClientCert.name();
        Self {
            all: UNTRUSTED.into_iter().chain([certificate]).collect(),
            others: UNTRUSTED.into_iter().collect(),
            certificate: [certificate].into_iter().collect(),
        }
    }
}

/// The scheme of a request (RFC 9110 section 4.2), for routes, redirects and those behind: that of
/// `x-forwarded-proto` where it is believed, else that of the connection. It is believed at a
/// sidecar, whose peers are of the mesh, and at a gateway behind trusted proxies (`hops`). What the
/// client wrote in an absolute target or `:scheme` is no proof of anything.
pub fn scheme(
    direction: Direction,
    hops: u32,
    forwarded_proto: Option<&[u8]>,
    connection: &'static str,
) -> &'static str {
    let is_believed = direction != Direction::Gateway || hops > 0;
    match forwarded_proto.filter(|_| is_believed) {
        Some(b"http") => "http",
        Some(b"https") => "https",
        Some(_) | None => connection,
    }
}

const UNTRUSTED: [&str; 25] = [
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

/// 1 is the last one.
fn nth_from_right(list: &[u8], place: u32) -> Option<IpAddr> {
    let mut addresses = list.rsplit(|byte| *byte == b',');
    let found = addresses.nth(place.checked_sub(1)? as usize)?;
    let address: IpAddr = str::from_utf8(found.trim_ascii()).ok()?.parse().ok()?;
    Some(address.to_canonical())
}

/// Of a host or a private network (RFC 1918, RFC 4193, RFC 6598, loopback, link-local).
fn is_internal(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            let [first, second, ..] = address.octets();
            address.is_private()
                || address.is_loopback()
                || address.is_link_local()
                || address == Ipv4Addr::UNSPECIFIED
                || (first == 100 && second & 0xc0 == 64)
        }
        IpAddr::V6(address) => {
            address.is_loopback()
                || address.is_unspecified()
                || address.is_unique_local()
                || address.is_unicast_link_local()
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use ringmain_config::listener::Direction;

    use super::{Client, scheme};

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn clients() {
        for (peer, hops, field, address, is_external) in [
            ("203.0.113.1", 0, None, "203.0.113.1", true),
            ("203.0.113.1", 0, Some("1.2.3.4"), "203.0.113.1", true),
            ("10.0.0.1", 0, None, "10.0.0.1", false),
            ("10.0.0.1", 1, Some("1.2.3.4"), "1.2.3.4", true),
            ("10.0.0.1", 1, Some("9.9.9.9, 1.2.3.4"), "1.2.3.4", true),
            (
                "10.0.0.1",
                2,
                Some("9.9.9.9,1.2.3.4 ,10.0.0.2"),
                "1.2.3.4",
                true,
            ),
            ("10.0.0.1", 1, Some("1.2.3.4,10.9.9.9"), "10.9.9.9", false),
            ("10.0.0.1", 2, Some("1.2.3.4"), "10.0.0.1", false),
            ("10.0.0.1", 1, None, "10.0.0.1", false),
            ("10.0.0.1", 1, Some("unknown"), "10.0.0.1", false),
            ("10.0.0.1", 1, Some("1.2.3.4:80"), "10.0.0.1", false),
            ("10.0.0.1", 1, Some("1.2.3.4,"), "10.0.0.1", false),
            ("10.0.0.1", u32::MAX, Some("1.2.3.4"), "10.0.0.1", false),
            ("10.0.0.1", 1, Some("2001:db8::1"), "2001:db8::1", true),
            ("10.0.0.1", 1, Some("::ffff:1.2.3.4"), "1.2.3.4", true),
            ("::ffff:10.0.0.1", 0, None, "10.0.0.1", false),
            ("fd00::1", 0, None, "fd00::1", false),
            ("fe80::1", 0, None, "fe80::1", false),
            ("100.64.0.1", 0, None, "100.64.0.1", false),
            ("100.128.0.1", 0, None, "100.128.0.1", true),
        ] {
            let found = Client::of(ip(peer), hops, field.map(str::as_bytes));
            let expected = Client {
                address: ip(address),
                external: is_external.then(|| ip(address)),
            };
            assert_eq!(found, expected, "{peer} {hops} {field:?}");
        }
    }

    #[test]
    fn schemes() {
        use Direction::{Gateway, Inbound, Outbound};
        for (direction, hops, field, connection, expected) in [
            (Gateway, 0, None, "http", "http"),
            (Gateway, 0, Some("https"), "http", "http"),
            (Gateway, 1, Some("https"), "http", "https"),
            (Gateway, 1, Some("http"), "https", "http"),
            (Gateway, 1, Some("ftp"), "https", "https"),
            (Gateway, 1, Some("https,http"), "http", "http"),
            (Gateway, 1, None, "https", "https"),
            (Outbound, 0, Some("https"), "http", "https"),
            (Inbound, 0, Some("https"), "http", "https"),
            (Inbound, 0, Some("gopher"), "http", "http"),
            (Inbound, 0, None, "http", "http"),
        ] {
            let found = scheme(direction, hops, field.map(str::as_bytes), connection);
            assert_eq!(found, expected, "{direction:?} {hops} {field:?}");
        }
    }
}
