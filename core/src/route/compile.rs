//! From the route table of a Document to one that can be asked. Everything wrong is reported.

use std::{
    borrow::Cow,
    collections::{HashMap, HashSet},
    sync::Arc,
};

use ringmain_config::route::{self as config, HeaderEdits, PathMatch, RedirectPath, StringMatch};

use super::{
    Action, Answer, Destination, Destinations, Details, Direct, Forward, Places, Route, RouteTable,
    VirtualHost,
    check::Retries,
    hosts::{Domains, Hosts, Refusal},
    matcher::{Condition, Matcher, PathCondition, Text},
    paths::{Builder, Candidate, Key, Root},
    regex::Regex,
};
use crate::{
    header::{Edits, is_token},
    http1::is_authority,
    path,
    place::{Place, Problems},
    snapshot::ClusterIndex,
};

/// Largest body of an answer written in the configuration (Istio's limit).
const BODY_BYTES_MAX: usize = 1 << 20;

/// The clusters that a table can name.
pub(crate) trait Clusters {
    fn index(&self, name: &str) -> Option<ClusterIndex>;
    fn names(&self) -> impl Iterator<Item = &str>;
}

impl RouteTable {
    /// `None` when `problems` has grown by what is wrong with it.
    pub(crate) fn compile(
        source: &Arc<config::RouteTable>,
        place: &Place<'_>,
        clusters: &impl Clusters,
        problems: &mut Problems,
    ) -> Option<Self> {
        let mut compiler = Compiler {
            clusters,
            problems,
            regexes: HashMap::new(),
            retry: None,
            is_sound: true,
        };
        let hosts = compiler.hosts(source, place);
        let retry = source.retry.as_ref();
        compiler.retry = retry.and_then(|policy| compiler.retry(policy, place));
        let mut paths = Builder::default();
        let mut routes = Vec::new();
        let mut places = Vec::new();
        let narrow = |count| u32::try_from(count).expect("a table has fewer than 2^30 routes");
        let virtual_hosts = source.virtual_hosts.iter().map(|virtual_host| {
            let place = virtual_host_place(virtual_host, place);
            let start = routes.len();
            let own = virtual_host.routes.iter();
            routes.extend(own.map(|route| compiler.route(route, &place)));
            places.push(Places {
                routes_start: narrow(start),
                routes_end: narrow(routes.len()),
                root: paths.add_routes(&routes[start..], false),
                root_ignoring_case: paths.add_routes(&routes[start..], true),
            });
            VirtualHost {
                name: virtual_host.name.as_str().into(),
                origin: virtual_host.origin.clone(),
                position: narrow(places.len() - 1),
            }
        });
        let virtual_hosts = virtual_hosts.collect();
        compiler.is_sound.then(|| Self {
            source: source.clone(),
            hosts,
            virtual_hosts,
            places: places.into(),
            paths: paths.finish(),
            routes: routes.into(),
        })
    }

    /// Every cluster it sends to, with duplicates.
    pub(crate) fn clusters(&self) -> impl Iterator<Item = ClusterIndex> {
        self.routes.iter().flat_map(|route| {
            let destinations = match &route.action {
                Action::Forward(forward) => &*forward.destinations,
                Action::Redirect(_) | Action::Direct(_) => &[],
            };
            let extras = route.extras.iter();
            let mirrors = extras.flat_map(|extras| &extras.mirrors);
            let destinations = destinations.iter().map(|to| to.cluster);
            destinations
                .filter(|cluster| *cluster != ClusterIndex::NOWHERE)
                .chain(mirrors.map(|mirror| mirror.cluster))
        })
    }
}

pub(super) struct Compiler<'a, C> {
    clusters: &'a C,
    problems: &'a mut Problems,
    /// The same pattern stands in many routes as a rule; each is compiled once per table.
    regexes: HashMap<String, Arc<Regex>>,
    /// For routes that say nothing of retries.
    retry: Retries,
    is_sound: bool,
}

impl<C: Clusters> Compiler<'_, C> {
    pub(super) fn problem(&mut self, place: &Place<'_>, message: impl Into<String>) {
        self.is_sound = false;
        self.problems.add(place, message);
    }

    fn hosts(&mut self, source: &config::RouteTable, place: &Place<'_>) -> Hosts {
        let mut hosts = Domains::default();
        let mut names = HashSet::new();
        for (virtual_host, position) in source.virtual_hosts.iter().zip(0..) {
            let place = virtual_host_place(virtual_host, place);
            if !names.insert(&*virtual_host.name) {
                self.problem(&place, "another virtual host of the table has this name");
            }
            if virtual_host.domains.is_empty() {
                self.problem(&place, "it has no domain, so no request reaches it");
            }
            for domain in &virtual_host.domains {
                let place = Place::below(&place, "domain", domain, None);
                match hosts.insert(domain, position) {
                    Ok(()) => {}
                    Err(Refusal::Malformed) => {
                        let message = "not a host name, nor one with `*` at its begin or end";
                        self.problem(&place, message);
                    }
                    Err(Refusal::Duplicate(other)) => {
                        let other = &source.virtual_hosts[other as usize];
                        let origin = match &other.origin {
                            Some(origin) => format!(", from {origin}"),
                            None => String::new(),
                        };
                        let name = &other.name;
                        let message = format!("virtual host {name:?}{origin} has it already");
                        self.problem(&place, message);
                    }
                }
            }
        }
        hosts.finish()
    }

    fn route(&mut self, source: &config::Route, place: &Place<'_>) -> Route {
        let place = Place::below(place, "route", &source.name, source.origin.as_ref());
        let retry = match &source.action {
            config::Action::Forward(forward) => match &forward.retry {
                Some(policy) => self.retry(policy, &place),
                None => self.retry.clone(),
            },
            config::Action::Redirect(_) | config::Action::Direct(_) => None,
        };
        Route {
            retry,
            name: source.name.as_str().into(),
            details: Box::new(Details {
                matcher: self.matcher(&source.matches, &place),
                origin: source.origin.clone(),
                retries_itself: matches!(
                    &source.action,
                    config::Action::Forward(forward) if forward.retry.is_some()
                ),
            }),
            action: self.action(&source.action, &place),
            request_headers: self.edits(&source.request_headers, "request headers", &place),
            response_headers: self.edits(&source.response_headers, "response headers", &place),
            timeout: source.timeout,
            extras: self.extras(source, &place),
        }
    }

    fn matcher(&mut self, source: &config::RouteMatch, place: &Place<'_>) -> Matcher {
        let place = Place::below(place, "match", "", None);
        let path = self.path(source, &Place::below(&place, "path", "", None));
        let mut conditions = Vec::new();
        let mut text = |of: fn(Text) -> Condition, kind, source: &Option<StringMatch>| {
            if let Some(source) = source {
                conditions.push(of(self.text(source, &Place::below(&place, kind, "", None))));
            }
        };
        text(Condition::Method, "method", &source.method);
        text(Condition::Authority, "authority", &source.authority);
        text(Condition::Scheme, "scheme", &source.scheme);
        for header in &source.headers {
            let place = Place::below(&place, "header", &header.name, None);
            if !is_token(header.name.as_bytes()) {
                let message = "not the name of a header field (RFC 9110 section 5.6.2)";
                self.problem(&place, message);
            }
            conditions.push(Condition::Header {
                name: header.name.to_ascii_lowercase().into(),
                value: self.text(&header.value, &place),
                invert: header.invert,
            });
        }
        for parameter in &source.query {
            let place = Place::below(&place, "query parameter", &parameter.name, None);
            conditions.push(Condition::Query {
                name: parameter.name.as_str().into(),
                value: self.text(&parameter.value, &place),
            });
        }
        Matcher {
            path,
            conditions: conditions.into(),
        }
    }

    fn path(&mut self, source: &config::RouteMatch, place: &Place<'_>) -> PathCondition {
        let ignore_case = source.ignore_case;
        match &source.path {
            PathMatch::Any => PathCondition::Any,
            PathMatch::Exact(text) => PathCondition::Exact {
                text: text.as_str().into(),
                ignore_case,
            },
            PathMatch::Prefix(text) => PathCondition::Prefix {
                text: text.as_str().into(),
                ignore_case,
            },
            PathMatch::ElementPrefix(text) => {
                if !text.starts_with('/') {
                    let message = format!("{text:?} does not begin with `/`, as every path does");
                    self.problem(place, message);
                }
                PathCondition::ElementPrefix {
                    text: text.strip_suffix('/').unwrap_or(text).into(),
                    ignore_case,
                }
            }
            PathMatch::Regex(pattern) => self
                .regex(pattern, place)
                .map_or(PathCondition::Any, PathCondition::Regex),
        }
    }

    pub(super) fn text(&mut self, source: &StringMatch, place: &Place<'_>) -> Text {
        match source {
            StringMatch::Exact(text) => Text::Exact(text.as_str().into()),
            StringMatch::Prefix(text) => Text::Prefix(text.as_str().into()),
            StringMatch::Regex(pattern) => self
                .regex(pattern, place)
                .map_or(Text::Present, Text::Regex),
            StringMatch::Present => Text::Present,
        }
    }

    pub(super) fn regex(&mut self, pattern: &str, place: &Place<'_>) -> Option<Arc<Regex>> {
        if let Some(held) = self.regexes.get(pattern) {
            return Some(held.clone());
        }
        match Regex::compile(pattern) {
            Ok(regex) => {
                let regex = Arc::new(regex);
                self.regexes.insert(pattern.to_owned(), regex.clone());
                Some(regex)
            }
            Err(reason) => {
                self.problem(place, reason);
                None
            }
        }
    }

    fn edits(
        &mut self,
        source: &HeaderEdits,
        kind: &'static str,
        place: &Place<'_>,
    ) -> Option<Box<Edits>> {
        if source.is_empty() {
            return None;
        }
        let place = Place::below(place, kind, "", None);
        match Edits::compile(source) {
            Ok(edits) => Some(edits.into()),
            Err(reason) => {
                self.problem(&place, reason);
                None
            }
        }
    }

    fn action(&mut self, source: &config::Action, place: &Place<'_>) -> Action {
        match source {
            config::Action::Forward(forward) => Action::Forward(self.forward(forward, place)),
            config::Action::Redirect(redirect) => {
                self.check_redirect(redirect, &Place::below(place, "redirect", "", None));
                Action::Redirect(redirect.clone().into())
            }
            config::Action::Direct(direct) => {
                let place = Place::below(place, "direct response", "", None);
                if !(200..600).contains(&direct.status) {
                    self.problem(
                        &place,
                        format!("status {} is not 200 to 599", direct.status),
                    );
                }
                if direct.body.len() > BODY_BYTES_MAX {
                    let bytes = direct.body.len();
                    self.problem(&place, format!("body of {bytes} bytes is over 1 MiB"));
                }
                Action::Direct(Direct {
                    status: direct.status,
                    body: direct.body.as_slice().into(),
                })
            }
        }
    }

    fn forward(&mut self, source: &config::Forward, place: &Place<'_>) -> Forward {
        let destinations = source.destinations.iter();
        let destinations = destinations.map(|destination| self.destination(destination, place));
        let destinations = Destinations::new(destinations.collect());
        if destinations.weight_sum() == 0 {
            let message = match destinations.is_empty() {
                true => "it has no destination",
                false => "the weights of its destinations sum up to 0",
            };
            self.problem(place, message);
        }
        let rewrite = source.rewrite.as_ref();
        Forward {
            destinations,
            rewrite: rewrite.map(|rewrite| Box::new(self.rewrite(rewrite, place))),
        }
    }

    fn destination(&mut self, source: &config::Destination, place: &Place<'_>) -> Destination {
        let place = Place::below(place, "cluster", &source.cluster, None);
        let answer = source.answer.map(|status| {
            if !(500..600).contains(&status) {
                self.problem(&place, format!("answer {status} is not 500 to 599"));
            }
            Box::new(Answer {
                status,
                name: source.cluster.as_str().into(),
            })
        });
        let cluster = match &answer {
            Some(_) => ClusterIndex::NOWHERE,
            None => self.cluster(&source.cluster, &place),
        };
        Destination {
            cluster,
            answer,
            weight: source.weight,
            request_headers: self.edits(&source.request_headers, "request headers", &place),
            response_headers: self.edits(&source.response_headers, "response headers", &place),
        }
    }

    /// Of no importance when there is no such cluster, which is reported.
    pub(super) fn cluster(&mut self, name: &str, place: &Place<'_>) -> ClusterIndex {
        self.clusters.index(name).unwrap_or_else(|| {
            self.is_sound = false;
            let names = self.clusters.names();
            self.problems
                .add_missing(place, "no such cluster", name, names);
            ClusterIndex::NOWHERE
        })
    }

    fn check_redirect(&mut self, source: &config::Redirect, place: &Place<'_>) {
        if !matches!(source.status, 301 | 302 | 303 | 307 | 308) {
            let status = source.status;
            let message = format!("status {status} is not one of 301, 302, 303, 307, 308");
            self.problem(place, message);
        }
        if let Some(scheme) = &source.scheme
            && !matches!(scheme.as_str(), "http" | "https")
        {
            self.problem(place, format!("scheme {scheme:?} is not http or https"));
        }
        if let Some(authority) = &source.authority {
            self.authority(authority, place);
        }
        match &source.path {
            RedirectPath::Keep => {}
            RedirectPath::Prefix(path) => self.rewritten_path(path, place),
            RedirectPath::Full(path) => self.unless_unfit(path::check_reference(path), place),
        }
    }

    pub(super) fn rewritten_path(&mut self, path: &str, place: &Place<'_>) {
        self.unless_unfit(path::check_replacement(path), place);
    }

    fn unless_unfit(&mut self, checked: Result<(), path::Unfit>, place: &Place<'_>) {
        if let Err(unfit) = checked {
            self.is_sound = false;
            match unfit.hint {
                Some(hint) => self.problems.add_with_hint(place, unfit.message, hint),
                None => self.problems.add(place, unfit.message),
            }
        }
    }

    pub(super) fn authority(&mut self, authority: &str, place: &Place<'_>) {
        if !is_authority(authority) {
            let message = format!(
                "authority {authority:?} is neither `host` nor `host:port` (RFC 3986 section 3.2)"
            );
            self.problem(place, message);
        }
    }
}

fn virtual_host_place<'a>(source: &'a config::VirtualHost, place: &'a Place<'a>) -> Place<'a> {
    Place::below(place, "virtual host", &source.name, source.origin.as_ref())
}

impl Builder {
    /// Adds the tree of those routes that do, or do not, ignore the case of paths. A route for a
    /// prefix of elements stands in it twice: for the whole path, and for what is below it.
    fn add_routes(&mut self, routes: &[Route], ignore_case: bool) -> Root {
        let routes = routes.iter().zip(0..);
        let mut texts = Vec::new();
        for (route, position) in routes.filter(|(route, _)| ignores_case(route) == ignore_case) {
            let matcher = &route.details.matcher;
            let is_regex = matches!(matcher.path, PathCondition::Regex(_));
            let is_asked = is_regex || !matcher.conditions.is_empty();
            let candidate = Candidate::new(position, is_asked);
            let own = path_texts(&matcher.path).into_iter().flatten();
            texts.extend(own.map(|(mut text, is_exact)| {
                if ignore_case {
                    text.to_mut().make_ascii_lowercase();
                }
                (text, is_exact, candidate)
            }));
        }
        let keys = texts.iter().map(|(text, is_exact, candidate)| Key {
            candidate: *candidate,
            bytes: text,
            is_exact: *is_exact,
        });
        self.add(keys.collect())
    }
}

fn ignores_case(route: &Route) -> bool {
    match &route.details.matcher.path {
        PathCondition::Any | PathCondition::Regex(_) => false,
        PathCondition::Exact { ignore_case, .. }
        | PathCondition::Prefix { ignore_case, .. }
        | PathCondition::ElementPrefix { ignore_case, .. } => *ignore_case,
    }
}

/// What a path must be (true), or begin with, for the route to be asked: one of them.
fn path_texts(condition: &PathCondition) -> [Option<(Cow<'_, [u8]>, bool)>; 2] {
    let one = |text, is_exact| [Some((Cow::<[u8]>::Borrowed(text), is_exact)), None];
    match condition {
        PathCondition::Any => one(b"", false),
        PathCondition::Exact { text, .. } => one(text.as_bytes(), true),
        PathCondition::Prefix { text, .. } => one(text.as_bytes(), false),
        PathCondition::ElementPrefix { text, .. } if text.is_empty() => one(b"", false),
        PathCondition::ElementPrefix { text, .. } => {
            let below = [text.as_bytes(), b"/"].concat();
            let whole = Cow::Borrowed(text.as_bytes());
            [Some((whole, true)), Some((Cow::Owned(below), false))]
        }
        PathCondition::Regex(regex) => one(regex.literal_prefix(), false),
    }
}
