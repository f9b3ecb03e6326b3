//! Where does a request go: virtual host by authority, then the first route that matches.
//!
//! A [`RouteTable`] is compiled once and shared by all workers; deciding allocates nothing on the
//! plain path and takes no lock. The index only narrows down which routes are asked; the answer is
//! always that of asking each in order. What the decision means for the request that is sent on
//! (target, authority, header fields) is in [`crate::target`].

mod action;
mod check;
mod compile;
mod hosts;
pub mod matcher;
mod names;
mod paths;
pub mod regex;
pub mod rewrite;

use std::sync::Arc;

use ringmain_config::{origin::Origin, route as config};

pub use action::{
    Action, Answer, Destination, Destinations, Details, Direct, Extras, Forward, Mirror, Route,
};
pub(crate) use compile::Clusters;
pub(crate) use hosts::split_port;

use crate::header::Headers;
use hosts::Hosts;
use paths::{Candidate, Paths, Root};

/// A request as far as routing looks at it.
#[derive(Debug)]
pub struct Request<'a, H: Headers + ?Sized> {
    /// With regard to case (RFC 9110 section 9.1).
    pub method: &'a str,
    /// `http` or `https`.
    pub scheme: &'a str,
    /// `Host` or `:authority` as sent, port included; empty when there is none.
    pub authority: &'a str,
    /// As [`crate::path::canonical`] made it, without the query.
    pub path: &'a str,
    /// Behind the `?`; `None` when there is no `?`.
    pub query: Option<&'a str>,
    /// Its header fields.
    pub headers: &'a H,
    /// Port of the listener it came in at.
    pub listener_port: u16,
}

impl<H: Headers + ?Sized> Clone for Request<'_, H> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<H: Headers + ?Sized> Copy for Request<'_, H> {}

/// Virtual hosts, ready to be asked.
#[derive(Debug)]
pub struct RouteTable {
    /// What it was compiled from.
    source: Arc<config::RouteTable>,
    hosts: Hosts,
    virtual_hosts: Box<[VirtualHost]>,
    /// What is read of each virtual host to find a route, close together.
    places: Box<[Places]>,
    paths: Paths,
    /// Of all virtual hosts, one after the other.
    routes: Box<[Route]>,
}

/// The routes of a set of domains.
#[derive(Debug)]
pub struct VirtualHost {
    /// Unique in its table.
    pub name: Box<str>,
    /// Who asked for it.
    pub origin: Option<Origin>,
    /// Its place among those of the table.
    position: u32,
}

/// Where what belongs to a virtual host stands.
#[derive(Clone, Copy, Debug)]
struct Places {
    /// Its routes begin here among those of the table.
    routes_start: u32,
    routes_end: u32,
    /// Of the tree of its routes' paths.
    root: Root,
    /// Of the tree of those that ignore the case of paths.
    root_ignoring_case: Root,
}

/// What to do with a request.
#[derive(Clone, Copy, Debug)]
pub enum Decision<'t> {
    /// Send it on.
    Forward {
        /// Whose routes were asked.
        virtual_host: &'t VirtualHost,
        /// The one that matched.
        route: &'t Route,
        /// Its action.
        forward: &'t Forward,
        /// The destination that was drawn.
        destination: &'t Destination,
    },
    /// Answer it with a redirect.
    Redirect {
        /// Whose routes were asked.
        virtual_host: &'t VirtualHost,
        /// The one that matched.
        route: &'t Route,
        /// Its action.
        redirect: &'t config::Redirect,
    },
    /// Answer it as written.
    Direct {
        /// Whose routes were asked.
        virtual_host: &'t VirtualHost,
        /// The one that matched.
        route: &'t Route,
        /// Its action.
        direct: &'t Direct,
    },
    /// Nothing matches.
    NoRoute {
        /// Whose routes were asked; `None` when no virtual host has the authority.
        virtual_host: Option<&'t VirtualHost>,
    },
}

impl RouteTable {
    /// Decides about `request`. `random` is 64 evenly distributed bits, for the draw among weighted
    /// destinations.
    pub fn decide<H: Headers + ?Sized>(
        &self,
        request: &Request<'_, H>,
        random: u64,
    ) -> Decision<'_> {
        let Some(virtual_host) = self.virtual_host(request.authority) else {
            return Decision::NoRoute { virtual_host: None };
        };
        let Some(position) = self.position(virtual_host, request) else {
            return Decision::NoRoute {
                virtual_host: Some(virtual_host),
            };
        };
        let route = &self.routes(virtual_host)[position];
        match &route.action {
            Action::Forward(forward) => Decision::Forward {
                virtual_host,
                route,
                forward,
                destination: forward.draw(random),
            },
            Action::Redirect(redirect) => Decision::Redirect {
                virtual_host,
                route,
                redirect,
            },
            Action::Direct(direct) => Decision::Direct {
                virtual_host,
                route,
                direct,
            },
        }
    }

    /// The virtual host that `authority` belongs to.
    pub fn virtual_host(&self, authority: &str) -> Option<&VirtualHost> {
        let position = self.hosts.find(authority)?;
        Some(&self.virtual_hosts[position as usize])
    }

    /// The routes of one of its virtual hosts: the first that matches decides.
    pub fn routes(&self, virtual_host: &VirtualHost) -> &[Route] {
        let places = self.places[virtual_host.position as usize];
        &self.routes[places.routes_start as usize..places.routes_end as usize]
    }

    /// Position of the first route of one of its virtual hosts that matches.
    pub fn position<H: Headers + ?Sized>(
        &self,
        virtual_host: &VirtualHost,
        request: &Request<'_, H>,
    ) -> Option<usize> {
        let path = request.path.as_bytes();
        let places = self.places[virtual_host.position as usize];
        let mut found = u32::MAX;
        let mut visit = |candidates: &[Candidate]| {
            let before = candidates.iter();
            let mut before = before.take_while(|candidate| candidate.position() < found);
            let matching = before.find(|candidate| {
                let route = || &self.routes[(places.routes_start + candidate.position()) as usize];
                !candidate.is_asked() || route().details.matcher.is_met_behind_index(request)
            });
            found = matching.map_or(found, |candidate| candidate.position());
        };
        self.paths.walk::<false>(places.root, path, &mut visit);
        let root = places.root_ignoring_case;
        self.paths.walk::<true>(root, path, &mut visit);
        (found != u32::MAX).then_some(found as usize)
    }

    /// All of them, in the order of the Document.
    pub fn virtual_hosts(&self) -> &[VirtualHost] {
        &self.virtual_hosts
    }

    /// Its name in the Document.
    pub fn name(&self) -> &str {
        &self.source.name
    }

    /// What it was compiled from.
    pub fn source(&self) -> &Arc<config::RouteTable> {
        &self.source
    }
}
