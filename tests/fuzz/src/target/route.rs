//! Route tables. Input is text, so that a case can be read:
//!
//! ```text
//! @domain          a virtual host, or one more domain of it when it has no routes yet
//! = /path          a route for a whole path;         i= whatever its case
//! ^ /path          a route for a prefix;             i^ whatever its case
//! ~ /path          a route for a regular expression that matches just this text
//! m GET            the route above only for this method
//! h name value     the route above only with this field; without a value: with any
//! q name value     the route above only with this parameter
//! ? host /path     a request for all of that; lines `name: value` behind it are its fields
//! ```

use ringmain_config::document::{Document, Part};
use ringmain_core::{
    http1::is_authority,
    route::{Decision, Request, RouteTable},
    snapshot::{Resolved, Snapshot},
};
use serde_json::{Value, json};

/// Routes and requests of an input that is worth anything.
const LINES_MAX: usize = 60;

#[derive(Debug, Default)]
struct Host<'t> {
    domains: Vec<&'t str>,
    routes: Vec<Route<'t>>,
}

#[derive(Debug)]
struct Route<'t> {
    kind: Kind,
    ignores_case: bool,
    path: &'t str,
    method: Option<&'t str>,
    headers: Vec<(&'t str, Option<&'t str>)>,
    query: Vec<(&'t str, &'t str)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Exact,
    Prefix,
    Regex,
}

#[derive(Debug)]
struct Asked<'t> {
    authority: &'t str,
    path: &'t str,
    query: Option<&'t str>,
    fields: Vec<(String, String)>,
}

pub(super) fn run(data: &[u8]) -> String {
    let Ok(text) = std::str::from_utf8(data) else {
        return "not UTF-8".to_owned();
    };
    let (hosts, requests) = read(text);
    let document = document(&hosts);
    let snapshot = match Snapshot::compile(None, &document, &Resolved::new()) {
        Ok(snapshot) => snapshot,
        Err(problems) => {
            assert!(!problems.is_empty(), "it was refused for nothing");
            return format!("refused for {} problems", problems.len().min(3));
        }
    };
    let table = snapshot
        .route_table_named("t")
        .expect("it is in the document");
    let mut said = Vec::new();
    // Codecs refuse any other authority.
    let is_asked =
        |request: &&Asked<'_>| request.authority.is_empty() || is_authority(request.authority);
    for request in requests.iter().filter(is_asked) {
        let found = ask(table, request);
        assert_eq!(found, scan(&hosts, request), "{request:?} of {hosts:?}");
        said.push(match found {
            None => "no host",
            Some((_, None)) => "no route",
            Some((_, Some(0))) => "first",
            Some((_, Some(_))) => "later",
        });
    }
    said.sort_unstable();
    said.dedup();
    format!("{} hosts, {}", hosts.len().min(4), said.join(" and "))
}

fn read(text: &str) -> (Vec<Host<'_>>, Vec<Asked<'_>>) {
    let (mut hosts, mut requests) = (Vec::<Host<'_>>::new(), Vec::<Asked<'_>>::new());
    for line in text.lines().take(LINES_MAX) {
        if let Some(domain) = line.strip_prefix('@') {
            match hosts.last_mut() {
                Some(host) if host.routes.is_empty() => host.domains.push(domain),
                _ => hosts.push(Host {
                    domains: vec![domain],
                    routes: Vec::new(),
                }),
            }
            continue;
        }
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        let (first, second) = match rest.split_once(' ') {
            Some((first, second)) => (first, Some(second)),
            None => (rest, None),
        };
        let route = hosts.last_mut().and_then(|host| host.routes.last_mut());
        match (word, route) {
            ("=" | "i=" | "^" | "i^" | "~", _) => {
                if let Some(host) = hosts.last_mut() {
                    host.routes.push(Route::new(word, rest));
                }
            }
            ("m", Some(route)) => route.method = Some(rest),
            ("h", Some(route)) => route.headers.push((first, second)),
            ("q", Some(route)) => route.query.push((first, second.unwrap_or(""))),
            ("?", _) => requests.push(Asked::new(first, second.unwrap_or("/"))),
            _ => {
                if let (Some(request), Some((name, value))) =
                    (requests.last_mut(), line.split_once(": "))
                {
                    let field = (name.to_ascii_lowercase(), value.to_owned());
                    request.fields.push(field);
                }
            }
        }
    }
    (hosts, requests)
}

impl<'t> Route<'t> {
    fn new(word: &str, path: &'t str) -> Self {
        let kind = match word.trim_start_matches('i') {
            "=" => Kind::Exact,
            "^" => Kind::Prefix,
            _ => Kind::Regex,
        };
        Self {
            kind,
            ignores_case: word.starts_with('i'),
            path,
            method: None,
            headers: Vec::new(),
            query: Vec::new(),
        }
    }

    fn json(&self, name: usize) -> Value {
        let path = match self.kind {
            Kind::Exact => json!({ "exact": self.path }),
            Kind::Prefix => json!({ "prefix": self.path }),
            Kind::Regex => json!({ "regex": literal(self.path) }),
        };
        let header = |(name, value): &(&str, Option<&str>)| {
            let value = value.map_or(json!("present"), |value| json!({ "exact": value }));
            json!({ "name": name, "value": value })
        };
        let parameter =
            |(name, value): &(&str, &str)| json!({ "name": name, "value": { "exact": value } });
        let mut matches = json!({
            "path": path,
            "ignore_case": self.ignores_case,
            "headers": self.headers.iter().map(header).collect::<Vec<_>>(),
            "query": self.query.iter().map(parameter).collect::<Vec<_>>(),
        });
        if let Some(method) = self.method {
            matches["method"] = json!({ "exact": method });
        }
        json!({
            "name": name.to_string(),
            "match": matches,
            "action": { "direct": { "status": 200 } },
        })
    }

    /// Every condition, one after the other.
    fn is_met(&self, request: &Asked<'_>) -> bool {
        let (path, asked) = match self.ignores_case {
            true => (
                self.path.to_ascii_lowercase(),
                request.path.to_ascii_lowercase(),
            ),
            false => (self.path.to_owned(), request.path.to_owned()),
        };
        let is_path = match self.kind {
            Kind::Exact | Kind::Regex => asked == path,
            Kind::Prefix => asked.starts_with(&path),
        };
        let value = |name: &str| {
            let fields = request.fields.iter().filter(|(other, _)| other == name);
            let values: Vec<_> = fields.map(|(_, value)| value.as_str()).collect();
            (!values.is_empty()).then(|| values.join(","))
        };
        let parameter = |name: &str| {
            let parameters = request.query.into_iter().flat_map(|query| query.split('&'));
            let mut pairs = parameters.map(|text| text.split_once('=').unwrap_or((text, "")));
            pairs
                .find(|(other, _)| *other == name)
                .map(|(_, value)| value)
        };
        is_path
            && self.method.is_none_or(|method| method == "GET")
            && self.headers.iter().all(|(name, expected)| match expected {
                Some(expected) => value(name).as_deref() == Some(*expected),
                None => value(name).is_some(),
            })
            && self
                .query
                .iter()
                .all(|(name, expected)| parameter(name) == Some(*expected))
    }
}

impl<'t> Asked<'t> {
    fn new(authority: &'t str, target: &'t str) -> Self {
        let (path, query) = match target.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (target, None),
        };
        Self {
            authority,
            path,
            query,
            fields: Vec::new(),
        }
    }
}

/// A pattern that matches this text alone.
fn literal(text: &str) -> String {
    let escaped = text
        .chars()
        .map(|letter| match letter.is_ascii_punctuation() {
            true => format!("\\{letter}"),
            false => letter.to_string(),
        });
    escaped.collect()
}

fn document(hosts: &[Host<'_>]) -> Document {
    let hosts = hosts.iter().enumerate().map(|(position, host)| {
        let routes = host.routes.iter().enumerate();
        let routes: Vec<_> = routes.map(|(name, route)| route.json(name)).collect();
        json!({ "name": position.to_string(), "domains": host.domains, "routes": routes })
    });
    let hosts: Vec<_> = hosts.collect();
    let table = json!({ "route_table": { "name": "t", "virtual_hosts": hosts } });
    let listener = json!({ "listener": {
        "name": "l",
        "address": "127.0.0.1:80",
        "direction": "gateway",
        "protocol": { "http": { "route_table": "t" } },
    }});
    let mut document = Document::default();
    for part in [table, listener] {
        let part: Part = serde_json::from_value(part).expect("these are its words");
        document.upsert(part);
    }
    document
}

/// Positions of the virtual host and of its route.
type Found = Option<(usize, Option<usize>)>;

fn ask(table: &RouteTable, asked: &Asked<'_>) -> Found {
    let request = Request {
        method: "GET",
        scheme: "http",
        authority: asked.authority,
        path: asked.path,
        query: asked.query,
        headers: asked.fields.as_slice(),
        listener_port: 80,
    };
    let position = |name: &str| name.parse::<usize>().expect("names are positions");
    match table.decide(&request, 0) {
        Decision::Direct {
            virtual_host,
            route,
            ..
        } => Some((position(&virtual_host.name), Some(position(&route.name)))),
        Decision::NoRoute { virtual_host } => {
            virtual_host.map(|virtual_host| (position(&virtual_host.name), None))
        }
        other => panic!("all of them answer: {other:?}"),
    }
}

fn scan(hosts: &[Host<'_>], request: &Asked<'_>) -> Found {
    let domains = hosts.iter().enumerate().flat_map(|(position, host)| {
        let domains = host.domains.iter();
        domains.map(move |domain| (position, domain))
    });
    let ranked =
        domains.filter_map(|(position, domain)| Some((rank(domain, request.authority)?, position)));
    let (_, position) = ranked.max_by_key(|(rank, _)| *rank)?;
    let mut routes = hosts[position].routes.iter();
    Some((position, routes.position(|route| route.is_met(request))))
}

/// How well a domain fits an authority: its kind, whether it names the port, its length.
fn rank(domain: &str, authority: &str) -> Option<(u8, bool, usize)> {
    let (domain, authority) = (domain.to_ascii_lowercase(), authority.to_ascii_lowercase());
    let names_port = host_of(&domain) != domain;
    let host = match names_port {
        true => authority.as_str(),
        false => host_of(&authority),
    };
    let is_longer = host.len() >= domain.len();
    let kind = match (domain.strip_prefix('*'), domain.strip_suffix('*')) {
        (Some(""), _) => 0,
        (Some(suffix), _) if is_longer && host.ends_with(suffix) => 2,
        (None, Some(prefix)) if is_longer && host.starts_with(prefix) => 1,
        (None, None) if host == domain => 3,
        _ => return None,
    };
    Some((kind, names_port, domain.len()))
}

/// Without its port, which may be empty. The colons of an IPv6 address are none of a port.
fn host_of(authority: &str) -> &str {
    let Some((host, port)) = authority.rsplit_once(':') else {
        return authority;
    };
    let is_port = port.bytes().all(|byte| byte.is_ascii_digit());
    let is_whole = match host.starts_with('[') {
        true => host.ends_with(']'),
        false => !host.contains(':'),
    };
    if is_port && is_whole { host } else { authority }
}
