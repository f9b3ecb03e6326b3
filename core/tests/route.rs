//! Which route a request takes: the index must answer as asking every route in order does.

mod document;

use document::*;
use proptest::prelude::*;
use ringmain_config::route::{
    self as config, PathMatch, QueryMatch, Route, RouteMatch, StringMatch, VirtualHost,
};
use ringmain_core::{
    header::Headers,
    route::{Decision, Request, RouteTable},
    snapshot::{ListenerProtocol, Snapshot},
};

fn compile_hosts(virtual_hosts: Vec<VirtualHost>) -> Snapshot {
    let parts = [
        listener("web", "127.0.0.1:80", "t"),
        table("t", virtual_hosts),
    ];
    compile(&document(parts.into_iter().chain(cluster("c", &[]))))
}

fn table_of(snapshot: &Snapshot) -> &RouteTable {
    let ListenerProtocol::Http(table) = &snapshot.listeners()[0].protocol else {
        panic!("the listener carries HTTP");
    };
    table
}

/// `virtual host/route`, `virtual host/` when none of its routes matches, empty without one.
fn decided<H: Headers + ?Sized>(table: &RouteTable, request: &Request<'_, H>) -> String {
    match table.decide(request, 0) {
        Decision::Forward {
            virtual_host,
            route,
            ..
        }
        | Decision::Redirect {
            virtual_host,
            route,
            ..
        }
        | Decision::Direct {
            virtual_host,
            route,
            ..
        } => format!("{}/{}", virtual_host.name, route.name),
        Decision::NoRoute {
            virtual_host: Some(virtual_host),
        } => format!("{}/", virtual_host.name),
        Decision::NoRoute { virtual_host: None } => String::new(),
    }
}

/// What the Document says, read word by word and without any of the code under test.
mod naive {
    use super::*;

    pub(super) fn decided(hosts: &[VirtualHost], request: &Request<'_, Fields>) -> String {
        let Some(host) = virtual_host(hosts, request.authority) else {
            return String::new();
        };
        let mut routes = host.routes.iter();
        let route = routes.find(|route| is_met(&route.matches, request));
        format!("{}/{}", host.name, route.map_or("", |route| &route.name))
    }

    fn virtual_host<'h>(hosts: &'h [VirtualHost], authority: &str) -> Option<&'h VirtualHost> {
        let domains = || {
            let of = |host: &'h VirtualHost| host.domains.iter().map(move |name| (name, host));
            hosts.iter().flat_map(of)
        };
        let ranked = domains().filter_map(|(name, host)| Some((rank(name, authority)?, host)));
        ranked.max_by_key(|(rank, _)| *rank).map(|(_, host)| host)
    }

    /// Kind, whether it names the port, and length.
    fn rank(domain: &str, authority: &str) -> Option<(u8, bool, usize)> {
        let (domain, authority) = (domain.to_lowercase(), authority.to_lowercase());
        let port = |text: &str| match text.rsplit_once(':') {
            Some((_, port)) if port.parse::<u16>().is_ok() => port.len() + 1,
            _ => 0,
        };
        let names_port = port(&domain) > 0;
        let host = match names_port {
            true => authority.as_str(),
            false => &authority[..authority.len() - port(&authority)],
        };
        let is_longer = host.len() >= domain.len();
        let kind = match (domain.strip_prefix('*'), domain.strip_suffix('*')) {
            (Some(""), _) => Some(0),
            (Some(suffix), _) => (is_longer && host.ends_with(suffix)).then_some(2),
            (None, Some(prefix)) => (is_longer && host.starts_with(prefix)).then_some(1),
            (None, None) => (host == domain).then_some(3),
        };
        Some((kind?, names_port, domain.len()))
    }

    fn is_met(matches: &RouteMatch, request: &Request<'_, Fields>) -> bool {
        let fold = |text: &str| match matches.ignore_case {
            true => text.to_ascii_lowercase(),
            false => text.to_owned(),
        };
        let path = match &matches.path {
            PathMatch::Any => true,
            PathMatch::Exact(text) => fold(request.path) == fold(text),
            PathMatch::Prefix(text) => fold(request.path).starts_with(&fold(text)),
            PathMatch::ElementPrefix(text) if text == "/" => true,
            PathMatch::ElementPrefix(text) => {
                let text = fold(text.strip_suffix('/').unwrap_or(text));
                let path = fold(request.path);
                path == text || path.starts_with(&(text + "/"))
            }
            PathMatch::Regex(pattern) => is_regex_met(pattern, request.path),
        };
        let optional = |condition: &Option<StringMatch>, found: &str| {
            let mut conditions = condition.iter();
            conditions.all(|condition| is_text_met(condition, found))
        };
        path && optional(&matches.method, request.method)
            && optional(&matches.scheme, request.scheme)
            && optional(&matches.authority, request.authority)
            && matches.headers.iter().all(|header| {
                let mut found = request
                    .headers
                    .iter()
                    .filter(|(name, _)| *name == header.name);
                let values = found.by_ref().map(|(_, value)| value.as_str());
                let values: Vec<&str> = values.collect();
                let joined = (!values.is_empty()).then(|| values.join(","));
                let condition = &header.value;
                match (header.invert, joined, condition) {
                    (false, joined, _) => joined.is_some_and(|text| is_text_met(condition, &text)),
                    (true, joined, StringMatch::Present) => joined.is_none(),
                    (true, joined, _) => !is_text_met(condition, &joined.unwrap_or_default()),
                }
            })
            && matches
                .query
                .iter()
                .all(|condition| is_query_met(condition, request.query))
    }

    fn is_query_met(condition: &QueryMatch, query: Option<&str>) -> bool {
        for parameter in query.into_iter().flat_map(|query| query.split('&')) {
            let end = parameter.find('=').unwrap_or(parameter.len());
            if parameter[..end] == condition.name {
                let value = parameter.get(end + 1..).unwrap_or_default();
                return is_text_met(&condition.value, value);
            }
        }
        false
    }

    fn is_text_met(condition: &StringMatch, found: &str) -> bool {
        match condition {
            StringMatch::Exact(text) => found == text,
            StringMatch::Prefix(text) => found.starts_with(text),
            StringMatch::Regex(pattern) => is_regex_met(pattern, found),
            StringMatch::Present => true,
        }
    }

    /// The patterns that the strategies below use, by hand.
    fn is_regex_met(pattern: &str, text: &str) -> bool {
        match pattern {
            ".*" => true,
            "/a.*" => text.starts_with("/a"),
            "/a/[ab]+" => text.strip_prefix("/a/").is_some_and(|rest| {
                !rest.is_empty() && rest.chars().all(|letter| "ab".contains(letter))
            }),
            "/(a|b)(/b)?" => ["/a", "/b", "/a/b", "/b/b"].contains(&text),
            "(?i)/a/b" => text.eq_ignore_ascii_case("/a/b"),
            ".*b" => text.ends_with('b'),
            "/(ab|b)" => text == "/ab" || text == "/b",
            other => panic!("{other} is not known"),
        }
    }
}

const PATTERNS: [&str; 7] = [
    ".*",
    "/a.*",
    "/a/[ab]+",
    "/(a|b)(/b)?",
    "(?i)/a/b",
    ".*b",
    "/(ab|b)",
];

fn path() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec!["/", "/a", "/b", "a", "b", "A", "/ab", "\u{e9}"]);
    prop::collection::vec(piece, 0..5).prop_map(|pieces| format!("/{}", pieces.concat()))
}

fn path_match() -> impl Strategy<Value = PathMatch> {
    prop_oneof![
        1 => Just(PathMatch::Any),
        4 => path().prop_map(PathMatch::Exact),
        4 => path().prop_map(PathMatch::Prefix),
        4 => path().prop_map(PathMatch::ElementPrefix),
        1 => Just(PathMatch::Prefix(String::new())),
        2 => prop::sample::select(&PATTERNS[..]).prop_map(regex),
    ]
}

fn text() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["", "a", "b", "ab", "/a"]).prop_map(str::to_owned)
}

fn text_match() -> impl Strategy<Value = StringMatch> {
    prop_oneof![
        text().prop_map(StringMatch::Exact),
        text().prop_map(StringMatch::Prefix),
        prop::sample::select(&PATTERNS[..]).prop_map(|text| StringMatch::Regex(text.to_owned())),
        Just(StringMatch::Present),
    ]
}

fn matches() -> impl Strategy<Value = RouteMatch> {
    let header = (
        prop::sample::select(vec!["x", "y"]),
        text_match(),
        any::<bool>(),
    );
    let header = header.prop_map(|(name, value, invert)| header_match(name, value, invert));
    let query = (prop::sample::select(vec!["p", "q"]), text_match());
    let query = query.prop_map(|(name, value)| query_match(name, value));
    let method = prop::sample::select(vec!["GET", "POST"]).prop_map(is);
    let scheme = prop::sample::select(vec!["http", "https"]).prop_map(is);
    let authority = prop::sample::select(vec!["a.b", "a.b:80"]).prop_map(is);
    (
        path_match(),
        any::<bool>(),
        prop::option::weighted(0.1, method),
        prop::option::weighted(0.1, scheme),
        prop::option::weighted(0.05, authority),
        prop_oneof![4 => Just(vec![]), 1 => prop::collection::vec(header, 1..3)],
        prop_oneof![6 => Just(vec![]), 1 => prop::collection::vec(query, 1..2)],
    )
        .prop_map(
            |(path, ignore_case, method, scheme, authority, headers, query)| RouteMatch {
                path,
                ignore_case,
                method,
                authority,
                scheme,
                headers,
                query,
            },
        )
}

fn routes(count: impl Into<prop::collection::SizeRange>) -> impl Strategy<Value = Vec<Route>> {
    prop::collection::vec(matches(), count).prop_map(|matches| {
        let routes = matches.into_iter().enumerate();
        let routes = routes.map(|(position, matches)| Route {
            matches,
            ..route(&position.to_string(), PathMatch::Any)
        });
        routes.collect()
    })
}

const DOMAINS: [&str; 16] = [
    "a.b", "a.b:80", "A.c", "b", "[::1]", "[::1]:80", "*", "*.b", "*b", "*.a.b", "*.b:80", "*:80",
    "a.*", "a*", "a.b.*", "x.a.*",
];

const AUTHORITIES: [&str; 20] = [
    "a.b", "A.B", "a.b:80", "a.b:81", "a.c", "a.c:80", "b", "b:80", "x.b", "x.b:80", "x.a.b",
    "x.a.b:80", "a.b.c", "a.", ".b", "[::1]", "[::1]:80", "[::1]:81", "z", "",
];

fn virtual_hosts() -> impl Strategy<Value = Vec<VirtualHost>> {
    let domains = prop::sample::subsequence(&DOMAINS[..], 1..8).prop_shuffle();
    (domains, prop::collection::vec(routes(0..8), 8)).prop_map(|(domains, lists)| {
        let hosts = domains.iter().zip(lists);
        hosts
            .map(|(domain, routes)| virtual_host(domain, &[domain], routes))
            .collect()
    })
}

#[derive(Clone, Debug)]
struct Asked {
    authority: &'static str,
    method: &'static str,
    scheme: &'static str,
    path: String,
    query: Option<&'static str>,
    headers: Vec<(String, String)>,
}

impl Asked {
    fn request(&self) -> Request<'_, Fields> {
        Request {
            method: self.method,
            scheme: self.scheme,
            authority: self.authority,
            path: &self.path,
            query: self.query,
            headers: &self.headers,
            listener_port: 80,
        }
    }
}

fn asked() -> impl Strategy<Value = Asked> {
    let name = prop::sample::select(vec!["x", "y"]).prop_map(str::to_owned);
    let queries = vec![
        None,
        Some(""),
        Some("p"),
        Some("p=a"),
        Some("q=b&p=ab&p=a"),
        Some("pp=a"),
    ];
    (
        prop::sample::select(&AUTHORITIES[..]),
        prop::sample::select(vec!["GET", "POST"]),
        prop::sample::select(vec!["http", "https"]),
        path(),
        prop::sample::select(queries),
        prop::collection::vec((name, text()), 0..3),
    )
        .prop_map(|(authority, method, scheme, path, query, headers)| Asked {
            authority,
            method,
            scheme,
            path,
            query,
            headers,
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Long lists nest more prefixes and repeat more paths.
    #[test]
    fn answers_as_a_scan_does_for_long_lists(
        routes in routes(50..150),
        asked in prop::collection::vec(asked(), 1..30),
    ) {
        let hosts = vec![virtual_host("v", &["*"], routes)];
        let snapshot = compile_hosts(hosts.clone());
        for asked in &asked {
            let request = asked.request();
            let found = decided(table_of(&snapshot), &request);
            prop_assert_eq!(found, naive::decided(&hosts, &request), "{:?}", request);
        }
    }
}

proptest! {
    #[test]
    fn answers_as_a_scan_does(
        hosts in virtual_hosts(),
        asked in prop::collection::vec(asked(), 1..30),
    ) {
        let snapshot = compile_hosts(hosts.clone());
        for asked in &asked {
            let request = asked.request();
            let found = decided(table_of(&snapshot), &request);
            prop_assert_eq!(found, naive::decided(&hosts, &request), "{:?}", request);
        }
    }

    /// Evenly spaced random bits must fall to each destination exactly as often as its weight says.
    #[test]
    fn draws_by_weight_exactly(weights in prop::collection::vec(0..50_u32, 1..6)) {
        let sum: u32 = weights.iter().sum();
        prop_assume!(sum > 0);
        let names: Vec<String> = (0..weights.len()).map(|at| format!("c{at}")).collect();
        let pairs: Vec<(&str, u32)> = names.iter().map(String::as_str).zip(weights.clone()).collect();
        let hosts = vec![virtual_host("v", &["*"], vec![route_to("r", PathMatch::Any, forward(&pairs))])];
        let clusters = names.iter().flat_map(|name| cluster(name, &[]));
        let parts = [listener("web", "127.0.0.1:80", "t"), table("t", hosts)];
        let snapshot = compile(&document(parts.into_iter().chain(clusters)));
        let mut counts = vec![0_u32; weights.len()];
        for point in 0..sum {
            let random = ((u128::from(point) * 2 + 1) << 63) / u128::from(sum);
            let decision = table_of(&snapshot).decide(&get("a", "/"), random as u64);
            let Decision::Forward { destination, .. } = decision else {
                panic!("{decision:?}");
            };
            let name = &snapshot.cluster(destination.cluster).unwrap().cluster.name;
            counts[names.iter().position(|known| known == name).unwrap()] += 1;
        }
        prop_assert_eq!(counts, weights);
    }
}

#[test]
fn weights_up_to_the_largest() {
    let action = forward(&[("a", u32::MAX), ("none", 0), ("b", u32::MAX), ("c", 1)]);
    let hosts = vec![virtual_host(
        "v",
        &["*"],
        vec![route_to("r", PathMatch::Any, action)],
    )];
    let clusters = ["a", "b", "c", "none"]
        .into_iter()
        .flat_map(|name| cluster(name, &[]));
    let parts = [listener("web", "127.0.0.1:80", "t"), table("t", hosts)];
    let snapshot = compile(&document(parts.into_iter().chain(clusters)));
    for (random, expected) in [
        (0, "a"),
        (u64::MAX / 3, "a"),
        (u64::MAX / 4 * 3, "b"),
        (u64::MAX, "c"),
    ] {
        let decision = table_of(&snapshot).decide(&get("a", "/"), random);
        let Decision::Forward { destination, .. } = decision else {
            panic!("{decision:?}");
        };
        assert_eq!(
            snapshot.cluster(destination.cluster).unwrap().cluster.name,
            expected
        );
    }
}

/// The example of ServiceEntry and VirtualService users: order decides, not length.
#[test]
fn first_match_wins() {
    let canary = Route {
        matches: RouteMatch {
            path: prefix("/"),
            headers: vec![header_match("x-canary", is("1"), false)],
            ..RouteMatch::default()
        },
        ..route("canary", PathMatch::Any)
    };
    let hosts = vec![virtual_host(
        "v",
        &["shop.example"],
        vec![
            route("reviews", prefix("/reviews")),
            canary,
            route("short", prefix("/r")),
            route("long", prefix("/ratings")),
            route("exact", exact("/reviews/1")),
            route("upper", PathMatch::Regex("/[A-Z]+".to_owned())),
        ],
    )];
    let snapshot = compile_hosts(hosts);
    let canary = fields(&[("X-Canary", "1")]);
    for (authority, path, headers, expected) in [
        ("shop.example", "/reviews/1", &[][..], "v/reviews"),
        ("shop.example:8080", "/reviewsold", &[], "v/reviews"),
        ("shop.example", "/ratings", &[], "v/short"),
        ("shop.example", "/ratings", &canary, "v/canary"),
        ("shop.example", "/reviews", &canary, "v/reviews"),
        ("shop.example", "/ABC", &[], "v/upper"),
        ("shop.example", "/ABC/", &[], "v/"),
        ("other.example", "/", &[], ""),
    ] {
        let request = Request {
            headers,
            ..get(authority, path)
        };
        assert_eq!(
            decided(table_of(&snapshot), &request),
            expected,
            "{authority} {path}"
        );
    }
}

#[test]
fn actions() {
    let hosts = vec![virtual_host(
        "v",
        &["*"],
        vec![
            route_to(
                "direct",
                exact("/direct"),
                config::Action::Direct(config::DirectResponse {
                    status: 418,
                    body: b"tea".to_vec(),
                }),
            ),
            route("forward", exact("/forward")),
        ],
    )];
    let snapshot = compile_hosts(hosts);
    match table_of(&snapshot).decide(&get("a", "/direct"), 0) {
        Decision::Direct { direct, .. } => {
            assert_eq!((direct.status, &*direct.body), (418, &b"tea"[..]))
        }
        other => panic!("{other:?}"),
    }
    match table_of(&snapshot).decide(&get("a", "/none"), 0) {
        Decision::NoRoute { virtual_host } => assert_eq!(&*virtual_host.unwrap().name, "v"),
        other => panic!("{other:?}"),
    }
}

/// `PathPrefix` of the Gateway API: whole elements.
#[test]
fn prefixes_of_elements() {
    for (prefix, path, expected) in [
        ("/foo", "/foo", true),
        ("/foo", "/foo/", true),
        ("/foo", "/foo/bar", true),
        ("/foo", "/foobar", false),
        ("/foo", "/fo", false),
        ("/foo", "/FOO", false),
        ("/foo", "/", false),
        ("/foo/", "/foo", true),
        ("/foo/", "/foo/bar", true),
        ("/foo/", "/foobar", false),
        ("/", "/", true),
        ("/", "/foo", true),
        ("/", "*", true),
    ] {
        for ignore_case in [false, true] {
            let mut route = route("r", PathMatch::ElementPrefix(prefix.to_owned()));
            route.matches.ignore_case = ignore_case;
            let snapshot = compile_hosts(vec![virtual_host("v", &["*"], vec![route])]);
            let expected = match expected || (ignore_case && path == "/FOO") {
                true => "v/r",
                false => "v/",
            };
            let found = decided(table_of(&snapshot), &get("a", path));
            assert_eq!(found, expected, "{prefix} {path} {ignore_case}");
        }
    }
}
