//! A described request as its gateway or sidecar presents it to routes: what its client may not say
//! is not there, what the proxy says itself is, and its scheme is the one that is believed. The
//! rules are [`crate::forwarded`]'s; what only a connection can tell has a stand-in here.

use std::net::{IpAddr, Ipv4Addr};

use ringmain_config::{listener::Direction, tuning::Http};
use serde::Serialize;

use super::Described;
use crate::{
    forwarded::{self, Client, Own, OwnFields, Presented, Untrusted},
    header::{Headers, Names, underscored},
    hops::Hops,
    http1::Known,
};

/// How routes see a request's fields, where that is not as the client sent them.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PresentedPart {
    /// `http` or `https`: the one that is believed.
    pub scheme: &'static str,
    /// Names of fields that were sent and are not there: this client may not say them, or they
    /// hold `_`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<String>,
    /// Fields that the proxy writes itself.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub written: Vec<WrittenPart>,
}

/// A field that the proxy writes.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct WrittenPart {
    /// In lower case.
    pub name: String,
    /// All of it; absent when only a connection could tell it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
}

/// In place of an id that would be drawn.
const REQUEST_ID: [u8; 36] = *b"00000000-0000-4000-8000-000000000000";

/// What a proxy adds to the fields of one request, and takes from them.
pub(super) struct Fields<'a> {
    received: Vec<(String, String)>,
    dropped: Option<Names>,
    untrusted: Untrusted,
    own: Own<'a>,
    scheme: &'static str,
    source: Option<IpAddr>,
}

impl<'a> Fields<'a> {
    /// `peer` is the text of the client's address ([`peer_text`]).
    ///
    /// # Errors
    /// The name of a field that the proxy refuses, since it holds `_`.
    pub(super) fn of(
        http: &Http,
        direction: Direction,
        described: &'a Described,
        peer: &'a str,
    ) -> Result<Self, &'a str> {
        let names = described.headers.iter().map(|(name, _)| name.as_str());
        let dropped = underscored(http.underscores_in_headers, names)?;
        let host = ("host".to_owned(), described.authority.clone());
        let received: Vec<_> = [host]
            .into_iter()
            .chain(described.headers.clone())
            .collect();
        let has = |known: Known| received.as_slice().value(known.name()).is_some();
        // The first of several, as the proxy takes it.
        let is_proto = |name: &str| name.eq_ignore_ascii_case(Known::XForwardedProto.name());
        let proto = received.iter().find(|(name, _)| is_proto(name));
        let proto = proto.map(|(_, value)| value.as_bytes());
        let hops = http.xff_trusted_hops;
        // As the proxy decides it for a connection without TLS: what the URL says is no proof.
        let scheme = forwarded::scheme(direction, hops, proto, "http");
        let from = || {
            let address = described.source.unwrap_or(Ipv4Addr::UNSPECIFIED.into());
            let named = received.as_slice().value(Known::XForwardedFor.name());
            let mut client = Client::of(address, hops, named.as_deref());
            // The stand-in is nobody in the world outside.
            let is_stand_in = described.source.is_none() && client.address == address;
            client.external = client.external.filter(|_| !is_stand_in);
            (peer, client)
        };
        let request_id = (!has(Known::XRequestId)).then_some(REQUEST_ID);
        let has_proto = || has(Known::XForwardedProto);
        let asked = received.as_slice().value(Known::MaxForwards.name());
        let hops = Hops::of(&described.method, asked.as_deref());
        let own = Own::of((direction, scheme), request_id, has_proto, hops, from);
        Ok(Self {
            dropped,
            untrusted: Untrusted::default(),
            own,
            scheme,
            source: described.source,
            received,
        })
    }

    pub(super) fn scheme(&self) -> &'static str {
        self.scheme
    }

    pub(super) fn hops(&self) -> Hops {
        self.own.hops()
    }

    /// As routes see them. `set` are those of [`Self::set`].
    pub(super) fn presented<'f>(
        &'f self,
        set: &'f [(Known, &'f [u8])],
        append: &'f Option<(Known, &'f [u8])>,
    ) -> Presented<'f, &'f [(String, String)]> {
        Presented {
            received: &self.received,
            untrusted: self.own.untrusted(&self.untrusted),
            dropped: self.dropped.as_ref(),
            set,
            append: append.as_slice(),
        }
    }

    pub(super) fn set(&self) -> OwnFields<'_> {
        self.own.set()
    }

    pub(super) fn append(&self) -> Option<(Known, &[u8])> {
        self.own.append()
    }

    pub(super) fn part(&self) -> PresentedPart {
        let (set, append) = (self.set(), self.append());
        let presented = self.presented(&set, &append);
        let is_left_out = |name: &str| {
            let sets = [presented.untrusted, presented.dropped];
            sets.into_iter().flatten().any(|names| names.hold(name))
        };
        let sent = self.received.iter().map(|(name, _)| name);
        let written = set.iter().chain(&append).map(|(known, _)| {
            let is_known = match known {
                Known::XRequestId => false,
                Known::XForwardedFor => self.source.is_some(),
                _ => true,
            };
            let value = presented.value(known.name()).filter(|_| is_known);
            WrittenPart {
                name: known.name().to_owned(),
                value: value.map(|value| String::from_utf8_lossy(&value).into_owned()),
            }
        });
        PresentedPart {
            scheme: self.scheme,
            left_out: sent.filter(|name| is_left_out(name)).cloned().collect(),
            written: written.collect(),
        }
    }
}

/// The client's address, as `x-forwarded-for` gets it; a stand-in where it is not known.
pub(super) fn peer_text(described: &Described) -> String {
    let source = described.source.unwrap_or(Ipv4Addr::UNSPECIFIED.into());
    source.to_canonical().to_string()
}
