//! Rules of several VirtualServices that one place of a gateway takes together: those of a later
//! one that an earlier one never lets a request come to.

use std::collections::BTreeMap;

use super::{
    Findings,
    dead::is_unconditional,
    hidden::{Earlier, Hides},
};
use crate::{
    assemble::gateway::{Bearer, Bound, bind},
    resource::{
        span::Span,
        virtual_service::{HttpMatch, VirtualService},
    },
};

/// Whose condition or rule takes requests before others.
#[derive(Clone, Copy)]
struct First<'a> {
    service: &'a VirtualService,
    span: Span,
}

impl Findings<'_> {
    /// Of each host at each place that Gateways for the same proxies open.
    pub(super) fn merged_rules(&mut self) {
        let world = self.world;
        let mut places: BTreeMap<_, Vec<Bound<'_>>> = BTreeMap::new();
        for gateway in world.gateways() {
            for (index, server) in gateway.servers.iter().enumerate() {
                let place = (&gateway.selector, server.bind, server.port.number);
                places.entry(place).or_default().push(Bound {
                    gateway,
                    server,
                    index,
                });
            }
        }
        for ((_, _, port), servers) in places {
            let http: Vec<_> = servers
                .iter()
                .filter(|bound| bound.server.port.protocol.is_http())
                .collect();
            let mut by_host: BTreeMap<&str, Vec<Bearer<'_>>> = BTreeMap::new();
            for service in world.virtual_services() {
                http.iter()
                    .for_each(|bound| bind(&mut by_host, service, bound));
            }
            for (host, bearers) in by_host.iter().filter(|(_, bearers)| bearers.len() > 1) {
                self.rules_of_a_host(bearers, &format!("{host} at port {port}"));
            }
        }
    }

    /// Rules that take every request go behind all others, as in assembly.
    fn rules_of_a_host(&mut self, bearers: &[Bearer<'_>], place: &str) {
        let mut earlier: Earlier<'_, First<'_>> = Earlier::default();
        let mut takes_all: Option<First<'_>> = None;
        for Bearer { service, .. } in bearers {
            for (index, rule) in service.http.iter().enumerate() {
                let path = format!("spec.http[{index}]");
                let first = |span| First { service, span };
                if is_unconditional(rule) {
                    match takes_all {
                        Some(all) => self.never_used(all, first(rule.span), &path, "rule", place),
                        None => takes_all = Some(first(rule.span)),
                    }
                    // What follows in this VirtualService is told by itself.
                    break;
                }
                for (number, condition) in rule.matches.iter().enumerate() {
                    match hidden(&earlier, condition) {
                        Some(all) if !std::ptr::eq(all.service, *service) => {
                            let path = format!("{path}.match[{number}]");
                            let dead = first(condition.span);
                            self.never_used(all, dead, &path, "condition", place);
                        }
                        _ => earlier.add(condition, first(condition.span)),
                    }
                }
            }
        }
    }

    fn never_used(&mut self, all: First<'_>, dead: First<'_>, path: &str, what: &str, place: &str) {
        let origin = all.service.metadata.origin_at(all.span);
        let message = format!(
            "the {what} is never used for {place}: {origin} takes all of its requests and goes \
             before it"
        );
        let hint = "rules of one host go by the age and name of their VirtualService: put both into \
                    one, in the right order, or remove this one";
        let metadata = &dead.service.metadata;
        self.warn(metadata, dead.span, path, message, Some(hint.to_owned()));
    }
}

fn hidden<'a>(earlier: &Earlier<'a, First<'a>>, condition: &'a HttpMatch) -> Option<First<'a>> {
    match earlier.hides(condition)? {
        Hides::Same(first) | Hides::More(first) => Some(*first),
    }
}
