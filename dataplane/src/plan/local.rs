//! Answers that the proxy makes itself.

use std::borrow::Cow;

use ringmain_config::filter::AbortWith;
use ringmain_core::{
    failure::Failure,
    grpc,
    header::Edits,
    http1::may_have_body,
    route::{Direct, Route},
    target,
};
use smallvec::SmallVec;

use super::EditsList;

/// An answer of our own.
pub struct LocalAnswer<'t> {
    /// Its status.
    pub status: u16,
    /// Where a redirect leads.
    pub location: Option<String>,
    /// Its body; empty for none.
    pub body: Cow<'t, [u8]>,
    /// Its body is prose.
    pub is_text: bool,
    /// It is one of gRPC's, which says all in its head.
    grpc: Option<grpc::LocalAnswer>,
    /// A limit of ours is the reason: who asks again soon makes it worse.
    is_overloaded: bool,
    /// Of the route.
    edits: EditsList<'t>,
}

impl<'t> LocalAnswer<'t> {
    /// A status, and nothing else but what the route adds.
    pub fn empty(status: u16, route: &'t Route) -> Self {
        Self {
            status,
            location: None,
            body: Cow::Borrowed(b""),
            is_text: false,
            grpc: None,
            is_overloaded: false,
            edits: target::response_edits(route, None).collect(),
        }
    }

    /// A redirect to `location`.
    pub fn redirect(status: u16, location: String, route: &'t Route) -> Self {
        Self {
            location: Some(location),
            ..Self::empty(status, route)
        }
    }

    /// A redirect to a path without escaped slashes.
    pub fn to_unescaped(location: String) -> Self {
        Self {
            status: 307,
            location: Some(location),
            body: Cow::Borrowed(b""),
            is_text: false,
            grpc: None,
            is_overloaded: false,
            edits: EditsList::new(),
        }
    }

    /// As written in the configuration.
    pub fn direct(direct: &'t Direct, route: &'t Route) -> Self {
        Self {
            body: Cow::Borrowed(&direct.body),
            is_text: std::str::from_utf8(&direct.body).is_ok(),
            ..Self::empty(direct.status, route)
        }
    }

    /// The same for a client of gRPC, which reads nothing but fields of its own: its status as that
    /// protocol translates it, its body as the message.
    pub fn for_grpc(self) -> Self {
        let sentence = String::from_utf8_lossy(&self.body);
        Self {
            grpc: Some(grpc::LocalAnswer::of_http(self.status, &sentence)),
            status: grpc::LocalAnswer::HTTP_STATUS,
            body: Cow::Borrowed(b""),
            ..self
        }
    }

    /// The answer to a request that failed: its status and a sentence that says why.
    pub fn failure(failure: Failure, is_grpc: bool) -> Self {
        let facts = failure.facts();
        let sentence = format!("{} ({})", failure.sentence(), facts.details);
        let grpc = match failure {
            Failure::FaultAbort(AbortWith::Grpc(status)) => {
                Some(grpc::LocalAnswer::new(status, &sentence))
            }
            // Who is told `UNAVAILABLE` tries again, past the time that it wanted to wait.
            Failure::RouteTimeout if is_grpc => {
                Some(grpc::LocalAnswer::new(grpc::DEADLINE_EXCEEDED, &sentence))
            }
            _ => is_grpc.then(|| grpc::LocalAnswer::of_http(facts.status, &sentence)),
        };
        Self {
            status: match grpc {
                Some(_) => grpc::LocalAnswer::HTTP_STATUS,
                None => facts.status,
            },
            location: None,
            body: match grpc {
                None if may_have_body(facts.status) => Cow::Owned((sentence + "\n").into_bytes()),
                _ => Cow::Borrowed(b""),
            },
            is_text: true,
            grpc,
            is_overloaded: failure == Failure::Overflow,
            edits: EditsList::new(),
        }
    }

    /// Its `grpc-status`, if it has one.
    pub fn grpc_status(&self) -> Option<u32> {
        self.grpc.as_ref().map(|grpc| grpc.code.into())
    }

    /// Its header fields: what it needs itself, then what `edits` and the route make of them.
    /// `server` is what the `Server` field says, if there is to be one, `date` what `Date` does.
    pub fn headers<'a>(
        &'a self,
        edits: Option<&'a Edits>,
        server: Option<&'a [u8]>,
        date: &'a [u8],
    ) -> SmallVec<[(&'a str, &'a [u8]); 4]> {
        let mut headers: SmallVec<[(&str, &[u8]); 4]> = SmallVec::new();
        headers.extend(server.map(|server| ("server", server)));
        headers.push(("date", date));
        if let Some(location) = &self.location {
            headers.push(("location", location.as_bytes()));
        }
        if let Some(grpc) = &self.grpc {
            headers.extend(grpc.fields().map(|(name, value)| (name, value.as_bytes())));
        }
        if self.is_overloaded {
            headers.push(("x-envoy-overloaded", b"true"));
        }
        if self.is_text && !self.body.is_empty() {
            headers.push(("content-type", b"text/plain; charset=utf-8"));
        }
        for edits in edits.into_iter().chain(self.edits.iter().copied()) {
            headers.retain(|(name, _)| !edits.dropped.hold(name));
            let appended = edits.appended.iter();
            headers.extend(appended.map(|(name, value)| (&**name, value.as_bytes())));
        }
        headers
    }
}
