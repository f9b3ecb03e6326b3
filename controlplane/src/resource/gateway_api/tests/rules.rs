//! What is read of routes.

use ringmain_config::{
    filter::{Cors, Share},
    route::{HeaderValue, RedirectPath, RedirectPort, StringMatch},
};

use super::*;

#[test]
fn parents_and_hosts() {
    let route = route(
        "HTTPRoute",
        &format!(
            "hostnames: [A.example, '*.b.example'], parentRefs: [{{name: g, sectionName: s, port: \
             80}}, {{group: '', kind: Service, namespace: prod, name: web}}, {{group: \
             networking.istio.io, kind: ServiceEntry, name: e}}], rules: [{{{BACKEND}}}]"
        ),
    );
    let parents: Vec<_> = route
        .parents
        .iter()
        .map(|parent| {
            let names = format!("{}/{}", parent.namespace, parent.name);
            (parent.kind, names, parent.section.clone(), parent.port)
        })
        .collect();
    assert_eq!(
        parents,
        [
            (
                ParentKind::Gateway,
                "default/g".into(),
                Some("s".into()),
                Some(80)
            ),
            (ParentKind::Service, "prod/web".into(), None, None),
            (ParentKind::ServiceEntry, "default/e".into(), None, None),
        ]
    );
    let hosts: Vec<_> = route.hostnames.iter().map(|host| host.as_str()).collect();
    assert_eq!(hosts, ["a.example", "*.b.example"]);
}

#[test]
fn matches_of_requests() {
    let read = |condition: &str| {
        let rule = rule(&format!("matches: [{{{condition}}}], {BACKEND}"));
        rule.matches[0].value.clone()
    };
    let every = read("");
    assert_eq!(
        every.target,
        Target::Path(PathCondition::Prefix("/".into()))
    );
    assert_eq!(rule(BACKEND).matches[0].value, every);
    for (path, expected) in [
        ("{}", PathCondition::Prefix("/".into())),
        ("{value: /}", PathCondition::Prefix("/".into())),
        ("{value: /a/}", PathCondition::Prefix("/a".into())),
        (
            "{type: PathPrefix, value: /a/b}",
            PathCondition::Prefix("/a/b".into()),
        ),
        (
            "{type: Exact, value: /a/}",
            PathCondition::Exact("/a/".into()),
        ),
        (
            "{type: RegularExpression, value: '/a+'}",
            PathCondition::Regex("/a+".into()),
        ),
    ] {
        assert_eq!(
            read(&format!("path: {path}")).target,
            Target::Path(expected)
        );
    }
    let all = read(
        "method: PUT, headers: [{name: X-A, value: b}, {name: x-b, type: RegularExpression, \
         value: c+}, {name: x-a, value: d}], queryParams: [{name: q, value: '1'}, {name: q, value: \
         '2'}, {name: Q, value: '3'}]",
    );
    assert_eq!(all.method.as_deref(), Some("PUT"));
    let headers: Vec<_> = all.headers.iter().map(|header| &*header.name).collect();
    assert_eq!(headers, ["x-a", "x-b"]);
    assert_eq!(all.headers[0].value, StringMatch::Exact("b".into()));
    assert_eq!(all.headers[1].value, StringMatch::Regex("c+".into()));
    let query: Vec<_> = all.query.iter().map(|query| &*query.name).collect();
    assert_eq!(query, ["q", "Q"]);
}

#[test]
fn matches_of_calls() {
    for (condition, pattern, service, method) in [
        ("", RpcPattern::Exact, None, None),
        (
            "method: {service: a.B, method: Get}",
            RpcPattern::Exact,
            Some("a.B"),
            Some("Get"),
        ),
        (
            "method: {service: a.B}",
            RpcPattern::Exact,
            Some("a.B"),
            None,
        ),
        (
            "method: {type: RegularExpression, service: 'a.*', method: ''}",
            RpcPattern::Regex,
            Some("a.*"),
            None,
        ),
    ] {
        let spec = format!(
            "parentRefs: [{{name: g}}], rules: [{{matches: [{{{condition}}}], {BACKEND}}}]"
        );
        let route = route("GRPCRoute", &spec);
        let expected = Target::Rpc(Rpc {
            pattern,
            service: service.map(str::to_owned),
            method: method.map(str::to_owned),
        });
        assert_eq!(route.rules[0].matches[0].target, expected, "{condition}");
    }
}

#[test]
fn header_filters() {
    let rule = rule(&format!(
        "{BACKEND}, filters: [{{type: RequestHeaderModifier, requestHeaderModifier: {{set: \
         [{{name: host, value: 'b:80'}}, {{name: X-A, value: a}}], add: [{{name: x-b, value: b}}], \
         remove: [X-C]}}}}, {{type: ResponseHeaderModifier, responseHeaderModifier: {{remove: \
         [server]}}}}]"
    ));
    assert_eq!(rule.request_headers.authority.as_deref(), Some("b:80"));
    let field = |name: &str, value: &str| HeaderValue {
        name: name.to_owned(),
        value: value.to_owned(),
    };
    assert_eq!(rule.request_headers.set, [field("X-A", "a")]);
    assert_eq!(rule.request_headers.add, [field("x-b", "b")]);
    assert_eq!(rule.request_headers.remove, ["x-c"]);
    assert_eq!(rule.response_headers.remove, ["server"]);
}

#[test]
fn redirects() {
    for (settings, port, path, status) in [
        ("{}", RedirectPort::FromRequestPort, RedirectPath::Keep, 302),
        (
            "{scheme: https}",
            RedirectPort::FromProtocolDefault,
            RedirectPath::Keep,
            302,
        ),
        (
            "{scheme: https, port: 8443, statusCode: 308}",
            RedirectPort::Port(8443),
            RedirectPath::Keep,
            308,
        ),
        (
            "{hostname: a.b, path: {type: ReplaceFullPath, replaceFullPath: /x}, statusCode: 301}",
            RedirectPort::FromRequestPort,
            RedirectPath::Full("/x".into()),
            301,
        ),
        (
            "{path: {type: ReplacePrefixMatch, replacePrefixMatch: /x}, statusCode: 303}",
            RedirectPort::FromRequestPort,
            RedirectPath::Prefix("/x".into()),
            303,
        ),
    ] {
        let rule = rule(&format!(
            "filters: [{{type: RequestRedirect, requestRedirect: {settings}}}]"
        ));
        let RuleAction::Redirect(redirect) = rule.action else {
            panic!("{:?}", rule.action);
        };
        assert_eq!(
            (redirect.port, redirect.path, redirect.status),
            (port, path, status),
            "{settings}"
        );
    }
}

#[test]
fn rewrites() {
    for (settings, path, authority) in [
        ("{hostname: A.b}", None, Some("a.b")),
        (
            "{path: {type: ReplaceFullPath, replaceFullPath: /x}}",
            Some(PathModifier::Full("/x".into())),
            None,
        ),
        // What is matched as a whole and replaced as text has to be a path by itself.
        (
            "{path: {type: ReplaceFullPath, replaceFullPath: x}}",
            Some(PathModifier::Full("/x".into())),
            None,
        ),
        (
            "{path: {type: ReplaceFullPath, replaceFullPath: ''}}",
            Some(PathModifier::Full("/".into())),
            None,
        ),
        (
            "{path: {type: ReplacePrefixMatch, replacePrefixMatch: x}}",
            Some(PathModifier::Prefix("/x".into())),
            None,
        ),
        (
            "{path: {type: ReplacePrefixMatch, replacePrefixMatch: ''}}",
            Some(PathModifier::Prefix(String::new())),
            None,
        ),
    ] {
        let rule = rule(&format!(
            "{BACKEND}, filters: [{{type: URLRewrite, urlRewrite: {settings}}}]"
        ));
        let RuleAction::Forward(forward) = rule.action else {
            panic!("{:?}", rule.action);
        };
        let authority = authority.map(str::to_owned);
        assert_eq!(
            forward.rewrite,
            Some(Rewrite { path, authority }),
            "{settings}"
        );
    }
}

#[test]
fn mirrors() {
    for (share, expected) in [
        ("", 1_000_000),
        (", percent: 42", 420_000),
        (", fraction: {numerator: 1}", 10_000),
        (", fraction: {numerator: 1, denominator: 3}", 333_333),
        (", percent: 0", 0),
    ] {
        let rule = rule(&format!(
            "{BACKEND}, filters: [{{type: RequestMirror, requestMirror: {{backendRef: {{name: b, \
             port: 81}}{share}}}}}, {{type: RequestMirror, requestMirror: {{backendRef: {{name: c, \
             port: 82}}}}}}]"
        ));
        let shares: Vec<_> = rule.mirrors.iter().map(|mirror| mirror.share).collect();
        assert_eq!(shares, [Share(expected), Share::ALL], "{share}");
        let host = rule.mirrors[0].reference.host.as_ref().unwrap();
        assert_eq!(host.value, "b.default.svc.cluster.local");
    }
}

#[test]
fn cross_origin_requests() {
    let rule = rule(&format!(
        "{BACKEND}, filters: [{{type: CORS, cors: {{allowOrigins: ['*', 'https://a.b', \
         'https://*.a.b:8443'], allowMethods: [GET, '*'], allowHeaders: [x-a], exposeHeaders: \
         [x-b], allowCredentials: true, maxAge: 60}}}}]"
    ));
    assert_eq!(
        rule.cors,
        Some(Cors {
            allow_origins: vec![
                StringMatch::Exact("*".into()),
                StringMatch::Exact("https://a.b".into()),
                StringMatch::Regex(r"https://[^/]+\.a\.b:8443".into()),
            ],
            allow_methods: vec!["GET".into(), "*".into()],
            allow_headers: vec!["x-a".into()],
            expose_headers: vec!["x-b".into()],
            max_age: Some(std::time::Duration::from_secs(60)),
            allow_credentials: true,
            answers_unmatched_preflights: true,
            wildcards_are_echoed: true,
        })
    );
    let public = rule_with_cors("{allowOrigins: ['*'], allowMethods: ['*']}");
    assert!(!public.wildcards_are_echoed);
}

fn rule_with_cors(text: &str) -> Cors {
    let rule = rule(&format!(
        "{BACKEND}, filters: [{{type: CORS, cors: {text}}}]"
    ));
    rule.cors.unwrap()
}

#[test]
fn time_and_retries() {
    let millis = |millis| Some(std::time::Duration::from_millis(millis));
    for (settings, request, backend, retry) in [
        ("", None, None, None),
        (
            ", timeouts: {request: 10s, backendRequest: 500ms}",
            millis(10_000),
            millis(500),
            None,
        ),
        (
            ", timeouts: {request: 0s, backendRequest: 5s}, retry: {}",
            None,
            millis(5_000),
            Some((None, vec![], None)),
        ),
        (
            ", retry: {codes: [500, 503], attempts: 4, backoff: 100ms}",
            None,
            None,
            Some((Some(4), vec![500, 503], millis(100))),
        ),
    ] {
        let rule = rule(&format!("{BACKEND}{settings}"));
        let retry = retry.map(|(attempts, status_codes, back_off)| Retry {
            attempts,
            status_codes,
            back_off,
        });
        assert_eq!(
            (rule.timeout, rule.backend_timeout, rule.retry),
            (request, backend, retry),
            "{settings}"
        );
    }
}

#[test]
fn backends() {
    let rule = rule(
        "backendRefs: [{name: a, port: 80}, {name: b, namespace: prod, port: 81, weight: 0}, \
         {group: networking.istio.io, kind: Hostname, name: Api.example, port: 82, weight: 7}]",
    );
    let RuleAction::Forward(forward) = rule.action else {
        panic!("{:?}", rule.action);
    };
    let backends: Vec<_> = forward
        .backends
        .iter()
        .map(|backend| {
            let port = backend.reference.port.as_ref().map(|port| port.value);
            (&*backend.reference.shown, port, backend.weight)
        })
        .collect();
    assert_eq!(
        backends,
        [
            ("a.default.svc.cluster.local", Some(80), 1),
            ("b.prod.svc.cluster.local", Some(81), 0),
            ("api.example", Some(82), 7),
        ]
    );
}
