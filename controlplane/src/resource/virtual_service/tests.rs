mod conditions;
mod mending;
mod shaping;

use std::time::Duration;

use ringmain_config::route::{
    DirectResponse, HeaderEdits, HeaderMatch, HeaderValue, PathMatch, QueryMatch, Redirect,
    RedirectPath, RedirectPort, Rewrite, StringMatch,
};

use super::{
    super::{
        Resource,
        testing::{self, check},
    },
    GatewayReference, HttpAction, HttpMatch, HttpRoute, VirtualService,
};

fn read(spec: &str) -> VirtualService {
    match &*testing::read("VirtualService", spec) {
        Resource::VirtualService(service) => service.clone(),
        other => panic!("{other:?}"),
    }
}

/// The only rule of a VirtualService.
fn rule(rule: &str) -> HttpRoute {
    let service = read(&with_rule(rule));
    service.http[0].value.clone()
}

fn with_rule(rule: &str) -> String {
    format!("hosts: [reviews]\nhttp:\n- {}", rule.replace('\n', "\n  "))
}

fn condition(condition: &str) -> HttpMatch {
    let rule = rule(&format!(
        "match:\n- {}\nroute:\n- destination: {{host: reviews}}",
        condition.replace('\n', "\n  ")
    ));
    rule.matches[0].value.clone()
}

/// Problems of a VirtualService with one rule; lines count from the rule's first, which is 3.
#[track_caller]
fn check_rule(rule: &str, expected: &[&str]) {
    check("VirtualService", &with_rule(rule), expected);
}

#[test]
fn hosts_and_gateways_get_full_names() {
    let service = read(
        "hosts: [reviews, Ratings.Prod.svc.cluster.local, '*.example.com']\n\
         gateways: [mesh, edge, other/edge]\n\
         http:\n\
         - route:\n  - destination: {host: reviews, subset: v1, port: {number: 9080}}",
    );
    let hosts: Vec<&str> = service.hosts.iter().map(|host| host.as_str()).collect();
    assert_eq!(
        hosts,
        [
            "reviews.default.svc.cluster.local",
            "ratings.prod.svc.cluster.local",
            "*.example.com"
        ]
    );
    let gateway = |namespace: &str| GatewayReference::Gateway {
        namespace: namespace.to_owned(),
        name: "edge".to_owned(),
    };
    let gateways: Vec<_> = service
        .gateways
        .into_iter()
        .map(|gateway| gateway.value)
        .collect();
    assert_eq!(
        gateways,
        [GatewayReference::Mesh, gateway("default"), gateway("other")]
    );
    let HttpAction::Route(forward) = &service.http[0].action else {
        panic!("{:?}", service.http[0].action);
    };
    let destination = &forward.destinations[0].destination;
    assert_eq!(
        destination.host.as_str(),
        "reviews.default.svc.cluster.local"
    );
    assert_eq!(destination.subset.as_ref().unwrap().as_str(), "v1");
    assert_eq!(destination.port.unwrap().value, 9080);
    assert_eq!(forward.destinations[0].span.line, 10);
    assert_eq!(service.http[0].span.line, 9);
    assert_eq!(
        service.metadata.origin.to_string(),
        "VirtualService default/name (file.yaml:1)"
    );
}

#[test]
fn a_rule_without_gateways_is_for_the_mesh() {
    let service = read("hosts: [a]\nhttp: [{route: [{destination: {host: a}}]}]");
    assert_eq!(service.gateways[0].value, GatewayReference::Mesh);
    assert_eq!(service.http[0].matches, []);
    assert_eq!(service.http[0].timeout, None);
}

#[test]
fn conditions() {
    for (text, expected) in [
        ("uri: {exact: /a}", PathMatch::Exact("/a".to_owned())),
        ("uri: {prefix: /a}", PathMatch::Prefix("/a".to_owned())),
        ("uri: {regex: '/a.*'}", PathMatch::Regex("/a.*".to_owned())),
        ("port: 80", PathMatch::Any),
    ] {
        assert_eq!(condition(text).uri, expected, "{text}");
    }
    let exact = |text: &str| StringMatch::Exact(text.to_owned());
    let header = |name: &str, value, invert| HeaderMatch {
        name: name.to_owned(),
        value,
        invert,
    };
    let query = |name: &str, value| QueryMatch {
        name: name.to_owned(),
        value,
    };
    let condition = condition(
        "name: canary\n\
         uri: {prefix: /Api}\n\
         ignoreUriCase: true\n\
         scheme: {exact: http}\n\
         method: {regex: GET|HEAD}\n\
         authority: {prefix: www.}\n\
         headers:\n  End-User: {exact: jason}\n  x-any: {}\n  x-null:\n  \
         x-prefix: {prefix: ''}\n  x-star: {regex: '*'}\n\
         withoutHeaders:\n  x-not: {exact: a}\n\
         queryParams: {Q: {exact: '1'}, present: {}}\n\
         port: 8080\n\
         sourceLabels: {app: web}\n\
         sourceNamespace: prod\n\
         gateways: [mesh]",
    );
    assert_eq!(
        condition,
        HttpMatch {
            name: "canary".to_owned(),
            uri: PathMatch::Prefix("/Api".to_owned()),
            ignore_uri_case: true,
            scheme: Some(exact("http")),
            method: Some(StringMatch::Regex("GET|HEAD".to_owned())),
            authority: Some(StringMatch::Prefix("www.".to_owned())),
            headers: vec![
                header("end-user", exact("jason"), false),
                header("x-any", StringMatch::Present, false),
                header("x-null", StringMatch::Present, false),
                header("x-prefix", StringMatch::Present, false),
                header("x-star", StringMatch::Present, false),
                header("x-not", exact("a"), true),
            ],
            query_params: vec![
                query("Q", exact("1")),
                query("present", StringMatch::Present)
            ],
            port: Some(8080),
            source_labels: [("app".to_owned(), "web".to_owned())].into(),
            source_namespace: Some("prod".to_owned()),
            gateways: vec![GatewayReference::Mesh],
        }
    );
}

#[test]
fn weights_become_shares() {
    for (text, expected) in [
        ("- destination: {host: a}", vec![100]),
        ("- destination: {host: a}\n  weight: 0", vec![100]),
        ("- destination: {host: a}\n  weight: 7", vec![7]),
        (
            "- destination: {host: a}\n  weight: 90\n- destination: {host: b}\n  weight: 10\n\
             - destination: {host: c}",
            vec![90, 10, 0],
        ),
    ] {
        let rule = rule(&format!("route:\n{text}"));
        let HttpAction::Route(forward) = rule.action else {
            panic!("{:?}", rule.action);
        };
        let weights: Vec<u32> = forward
            .destinations
            .iter()
            .map(|entry| entry.weight)
            .collect();
        assert_eq!(weights, expected, "{text}");
    }
}

#[test]
fn headers_and_the_authority_among_them() {
    let rule = rule(
        "headers:\n  request:\n    set: {Host: set.example.com, X-Set: '100%%'}\n    \
         add: {':authority': added, x-add: b}\n    remove: [X-Remove]\n  response:\n    \
         remove: [server]\nroute:\n- destination: {host: a}",
    );
    let value = |name: &str, value: &str| HeaderValue {
        name: name.to_owned(),
        value: value.to_owned(),
    };
    assert_eq!(
        *rule.headers.request(),
        HeaderEdits {
            authority: Some("set.example.com".to_owned()),
            remove: vec!["x-remove".to_owned()],
            set: vec![value("X-Set", "100%")],
            add: vec![value("x-add", "b")],
        }
    );
    assert_eq!(rule.headers.response().remove, ["server"]);
}

/// `authority` is Istio's name for it, the others are its names on the wire.
#[test]
fn every_name_of_the_authority() {
    for (edits, expected) in [
        ("set: {authority: a}", "a"),
        ("set: {Authority: a}", "a"),
        ("add: {authority: a}", "a"),
        ("add: {authority: a}\n    set: {':authority': b}", "b"),
        ("set: {':authority': a, host: a, authority: a}", "a"),
    ] {
        let text = format!("headers:\n  request:\n    {edits}\nroute:\n- destination: {{host: a}}");
        let expected = HeaderEdits {
            authority: Some(expected.to_owned()),
            ..HeaderEdits::default()
        };
        assert_eq!(*rule(&text).headers.request(), expected, "{edits}");
    }
    let response = "headers: {response: {set: {authority: a}}}\nroute:\n- destination: {host: a}";
    assert_eq!(rule(response).headers.response().set[0].name, "authority");
}

#[test]
fn redirects() {
    let keep = Redirect {
        status: 301,
        scheme: None,
        authority: None,
        port: RedirectPort::Authority,
        path: RedirectPath::Keep,
    };
    for (text, expected) in [
        (
            "{uri: /new}",
            Redirect {
                path: RedirectPath::Full("/new".to_owned()),
                ..keep.clone()
            },
        ),
        (
            "{uri: '%PREFIX()%/v2', redirectCode: 308}",
            Redirect {
                status: 308,
                path: RedirectPath::Prefix("/v2".to_owned()),
                ..keep.clone()
            },
        ),
        (
            "{scheme: HTTPS, authority: example.com, derivePort: FROM_PROTOCOL_DEFAULT}",
            Redirect {
                scheme: Some("https".to_owned()),
                authority: Some("example.com".to_owned()),
                port: RedirectPort::FromProtocolDefault,
                ..keep.clone()
            },
        ),
        (
            "{port: 8443}",
            Redirect {
                port: RedirectPort::Port(8443),
                ..keep.clone()
            },
        ),
        (
            "{derivePort: FROM_REQUEST_PORT}",
            Redirect {
                port: RedirectPort::FromRequestPort,
                ..keep.clone()
            },
        ),
    ] {
        let action = rule(&format!("redirect: {text}")).action;
        assert_eq!(action, HttpAction::Redirect(expected), "{text}");
    }
}

#[test]
fn answers_rewrites_and_timeouts() {
    for (text, status, body) in [
        ("{status: 503}", 503, ""),
        ("{status: 200, body: {string: hello}}", 200, "hello"),
        ("{status: 200, body: {bytes: aGVsbG8=}}", 200, "hello"),
    ] {
        let expected = DirectResponse {
            status,
            body: body.as_bytes().to_vec(),
        };
        let action = rule(&format!("directResponse: {text}")).action;
        assert_eq!(action, HttpAction::DirectResponse(expected), "{text}");
    }
    let rule =
        rule("timeout: 1m1.5s\nrewrite: {uri: /, authority: b}\nroute:\n- destination: {host: a}");
    assert_eq!(rule.timeout, Some(Duration::from_millis(61_500)));
    let HttpAction::Route(forward) = rule.action else {
        panic!("{:?}", rule.action);
    };
    let expected = Rewrite {
        path: Some("/".to_owned()),
        authority: Some("b".to_owned()),
        ..Rewrite::default()
    };
    assert_eq!(forward.rewrite, Some(expected));
}

#[test]
fn a_timeout_of_zero_is_none() {
    let rule = rule("timeout: 0s\nroute:\n- destination: {host: a}");
    assert_eq!(rule.timeout, None);
}

#[test]
fn fields_that_are_not_supported_yet() {
    let route = "route: [{destination: {host: a}}]";
    for (field, expected) in [
        (
            "retries: {attempts: 1, retryRemoteLocalities: true}",
            "3:26 warning: spec.http[0].retries.retryRemoteLocalities: `retryRemoteLocalities` is \
             not supported yet: locality plays no part",
        ),
        (
            "fault: {delay: {exponentialDelay: 1s, percentage: {value: 1}}}",
            "3:19 warning: spec.http[0].fault.delay.exponentialDelay: `exponentialDelay` is not \
             supported yet: no request is delayed by it",
        ),
        (
            "match: [{statPrefix: a}]",
            "3:12 warning: spec.http[0].match[0].statPrefix: `statPrefix` is not supported yet: \
             there are no metrics of their own",
        ),
        (
            "headers: {request: {set: {x-start: '%START_TIME%'}}}",
            "3:38 warning: spec.http[0].headers.request.set.x-start: `%START_TIME%` is not \
             supported yet: it is sent as written",
        ),
    ] {
        check_rule(&format!("{field}\n{route}"), &[expected]);
    }
    check_rule(
        "delegate: {name: other}",
        &[
            "3:3 warning: spec.http[0].delegate: `delegate` is not supported yet: the \
rule is left out",
        ],
    );
    // What is wrong inside such a field is found all the same.
    check_rule(
        "delegate: {nam: other}",
        &[
            "3:3 warning: spec.http[0].delegate: `delegate` is not supported yet: the rule is \
             left out",
            "3:13 error: spec.http[0].delegate.name: `name` is missing",
            "3:14 error: spec.http[0].delegate.nam: there is no field `nam`; did you mean `name`?",
        ],
    );
}

#[test]
fn what_is_wrong_with_a_virtual_service() {
    for (spec, expected) in [
        (
            "http: [{route: [{destination: {host: a}}]}]",
            "1:1 warning: spec: a VirtualService without `hosts` is a delegate, which is not \
             supported yet: nothing of it is applied",
        ),
        (
            "hosts: [a]",
            "1:1 error: spec: there is no rule in it; add `http` with at least one rule",
        ),
        (
            "hosts: ['*']\nhttp: [{route: [{destination: {host: a}}]}]",
            "1:9 error: spec.hosts[0]: the host `*` cannot stand in a rule for the sidecars \
             (`mesh`); name the hosts, or the `gateways` the rules are for",
        ),
        (
            "hosts: [a, a.default.svc.cluster.local]\nhttp: [{route: [{destination: {host: a}}]}]",
            "1:12 error: spec.hosts[1]: the host `a.default.svc.cluster.local` stands here twice",
        ),
        (
            "hosts: [a]\nhttp: [{route: [{destination: {host: a}}]}]\nexportTo: [.]",
            "3:11 warning: spec.exportTo: `exportTo` is not supported yet: every namespace sees \
             the resource",
        ),
        (
            "hosts: [a]\ngateways: [a_b]\nhttp: [{route: [{destination: {host: a}}]}]",
            "2:12 error: spec.gateways[0]: `a_b` is not a DNS name; use at most 253 of a-z, 0-9, \
             `-` and `.`, with a letter or digit around each dot",
        ),
        (
            "hosts: [a]\ntcp: [{match: [{sourceSubnet: 10/8}], route: [{destination: {host: a}}]}]",
            "2:31 error: spec.tcp[0].match[0].sourceSubnet: `10/8` is not a subnet; write an \
             address, or a block like `10.0.0.0/8`",
        ),
        (
            "hosts: [http://a]\nhttp: [{route: [{destination: {host: a}}]}]",
            "1:9 error: spec.hosts[0]: `http://a` is not a host name; leave the scheme out",
        ),
    ] {
        check("VirtualService", spec, &[expected]);
    }
}

#[test]
fn what_is_wrong_with_a_rule() {
    let route = "route: [{destination: {host: a}}]";
    for (field, expected) in [
        (
            "name: x",
            "3:3 error: spec.http[0]: the rule says not what to do; add `route`, \
`redirect` or `directResponse`",
        ),
        (
            "route: []",
            "3:10 error: spec.http[0].route: the list is empty",
        ),
        (
            "route: [{destination: {host: a}}, {destination: {host: b}}]",
            "3:10 error: spec.http[0].route: no destination has a weight; add `weight` \
to those that are to get requests",
        ),
        (
            "route: [{weight: 1}]",
            "3:11 error: spec.http[0].route[0].destination: `destination` is missing",
        ),
        (
            "route: [{destination: {host: '*.a'}}]",
            "3:32 error: spec.http[0].route[0].destination.host: `*.a` is not a host \
name; a wildcard cannot stand here",
        ),
        (
            "route: [{destination: {host: a, port: {number: 0}}}]",
            "3:50 error: spec.http[0].route[0].destination.port.number: 0 is not \
between 1 and 65535",
        ),
        (
            "route: [{destination: {host: a, port: {number: '80'}}}]",
            "3:50 error: spec.http[0].route[0].destination.port.number: expected a \
whole number, found the text `80`; write it without quotes: 80",
        ),
        (
            "redirect: {redirectCode: 300, uri: /a}",
            "3:28 error: spec.http[0].redirect.redirectCode: 300 is not a code to \
redirect with; use 301, 302, 303, 307 or 308",
        ),
        (
            "redirect: {}",
            "3:13 error: spec.http[0].redirect: it redirects to where the request was \
sent; add `uri`, `authority`, `port`, `derivePort` or `scheme`",
        ),
        (
            "redirect: {port: 1, derivePort: FROM_REQUEST_PORT}",
            "3:35 error: spec.http[0].redirect.derivePort: `port` and `derivePort` \
exclude each other; remove one of them",
        ),
        (
            "directResponse: {}",
            "3:19 error: spec.http[0].directResponse.status: `status` is missing",
        ),
        (
            "directResponse: {status: 199}",
            "3:28 error: spec.http[0].directResponse.status: 199 is not between 200 and 599",
        ),
        (
            "directResponse: {status: 200, body: {bytes: '#'}}",
            "3:47 error: spec.http[0].directResponse.body.bytes: it is not base64 (RFC \
4648 section 4)",
        ),
        (
            "directResponse: {status: 204, body: {string: a}}",
            "3:19 error: spec.http[0].directResponse: an answer with status 204 has no body",
        ),
        (
            "rewrite: {uri: /a}\ndirectResponse: {status: 200}",
            "3:12 error: spec.http[0].rewrite: `rewrite` and `directResponse` exclude each other; \
             remove one of them",
        ),
    ] {
        check_rule(field, &[expected]);
    }
    for (field, expected) in [
        (
            "timeout: 5",
            "3:12 error: spec.http[0].timeout: expected a duration like `1.5s`, found \
the number `5`; add the unit: 5s",
        ),
        (
            "timeout: 5x",
            "3:12 error: spec.http[0].timeout: `5x` is not a duration; write a number \
and one of h, m, s, ms, like `1.5s` or `1m30s`",
        ),
        (
            "timeout: -1s",
            "3:12 error: spec.http[0].timeout: `-1s` is not a duration; write a number \
and one of h, m, s, ms, like `1.5s` or `1m30s`",
        ),
        (
            "redirect: {uri: /b}",
            "3:3 error: spec.http[0]: `route` and `redirect` exclude each other; remove \
one of them",
        ),
        (
            "rewrite: {}",
            "3:12 error: spec.http[0].rewrite: it rewrites nothing; add `uri`, \
`uriRegexRewrite` or `authority`",
        ),
        (
            "rewrites: {}",
            "3:3 error: spec.http[0].rewrites: there is no field `rewrites`; did you \
mean `rewrite`?",
        ),
        (
            "match: {uri: {exact: /}}",
            "3:10 error: spec.http[0].match: expected a list, found a map; begin each \
element with a dash: `- …`",
        ),
        (
            "match: [{uri: {exakt: /}}]",
            "3:18 error: spec.http[0].match[0].uri.exakt: there is no field `exakt`; \
did you mean `exact`?",
        ),
        (
            "match: [{uri: {}}]",
            "3:17 error: spec.http[0].match[0].uri: the condition is empty; write \
`exact`, `prefix` or `regex`, or remove it",
        ),
        (
            "match: [{uri: {prefix: ''}}]",
            "3:17 error: spec.http[0].match[0].uri: the condition is empty; write \
`exact`, `prefix` or `regex`, or remove it",
        ),
        (
            "match: [{uri: {prefix: /, exact: /}}]",
            "3:17 error: spec.http[0].match[0].uri: `exact`, `prefix` and `regex` \
exclude each other; keep one of them",
        ),
        (
            "match: [{uri: {regex: '(a'}}]",
            "3:25 error: spec.http[0].match[0].uri.regex: \"(a\" is not a regular \
expression: unclosed group at character 1",
        ),
        (
            "match: [{method: {regex: '*'}}]",
            "3:28 error: spec.http[0].match[0].method.regex: \"*\" is not a regular \
expression: repetition operator missing expression at character 1; write `.*` for any text",
        ),
        (
            "match: [{headers: {':authority': {exact: a}}}]",
            "3:22 error: spec.http[0].match[0].headers[\":authority\"]: `:authority` is \
not the name of a header; use `authority`",
        ),
        (
            "match: [{headers: {x: {regex: 'a{9999999}'}}}]",
            "3:33 error: spec.http[0].match[0].headers.x.regex: regular expression \
\"a{9999999}\" needs an automaton of more than 1024 KiB: of what it repeats a counted \
number of times, like `{1,64}`, let it repeat less, or any number (`+`, `*`)",
        ),
        (
            "match: [{headers: {'@request.auth.claims.sub': {exact: a}}}]",
            "3:50 error: spec.http[0].match[0].headers[\"@request.auth.claims.sub\"]: \
conditions on claims of a token are not supported yet: requests without the \
claim would be let through; remove the rule",
        ),
        (
            "headers: {request: {remove: [host]}}",
            "3:32 error: spec.http[0].headers.request.remove[0]: a request cannot be \
without its host; remove it here, or `set` another one",
        ),
        (
            "timeout: 1us",
            "3:12 error: spec.http[0].timeout: it is shorter than 1ms, so that every request would \
fail; write 0s for no limit",
        ),
        (
            "retries: {attempts: 1, perTryTimeout: 1ns}",
            "3:41 error: spec.http[0].retries.perTryTimeout: it is shorter than 1ms, so that every \
request would fail; write 0s for no limit",
        ),
        (
            "rewrite: {uri: x}",
            "3:18 warning: spec.http[0].rewrite.uri: it is a path, and does not begin with `/`: \
             one is put before it; begin with `/`",
        ),
        (
            "headers: {request: {remove: [authority]}}",
            "3:32 error: spec.http[0].headers.request.remove[0]: a request cannot be \
without its host; remove it here, or `set` another one",
        ),
        (
            "headers: {request: {set: {authority: a, host: b}}}",
            "3:49 error: spec.http[0].headers.request.set.host: the authority is said twice, and \
not the same; leave one of `authority`, `:authority` and `host`",
        ),
        (
            "headers: {request: {set: {':path': /}}}",
            "3:38 error: spec.http[0].headers.request.set[\":path\"]: `:path` cannot be \
changed; only `:authority` of a request can",
        ),
        (
            "headers: {response: {set: {content-length: '1'}}}",
            "3:46 error: spec.http[0].headers.response.set.content-length: header \
\"content-length\" cannot be set or added: it is about one connection or about framing, and the \
proxy writes it itself (RFC 9110 section 7.6.1)",
        ),
        (
            "headers: {response: {set: {x: \"a\\nb\"}}}",
            "3:33 error: spec.http[0].headers.response.set.x: a header cannot hold a \
line break or another control character",
        ),
        (
            "headers: {response: {set: {x: 1}}}",
            "3:33 error: spec.http[0].headers.response.set.x: expected text, found the \
number `1`; put it in quotes: \"1\"",
        ),
    ] {
        check_rule(&format!("{field}\n{route}"), &[expected]);
    }
}

#[test]
fn bodies_have_a_limit() {
    let body = "x".repeat((1 << 20) + 1);
    check_rule(
        &format!("directResponse: {{status: 200, body: {{string: {body}}}}}"),
        &[
            "3:39 error: spec.http[0].directResponse.body: a body of 1048577 bytes is \
longer than 1048576; let a service answer",
        ],
    );
}

/// Each would compile for no proxy; it is told here, since only here its column is known.
#[test]
fn what_no_proxy_would_take_is_told_where_it_is_written() {
    for (field, expected) in [
        (
            "redirect: {scheme: ftp}",
            "3:22 error: spec.http[0].redirect.scheme: `ftp` is not `http` or `https`",
        ),
        (
            "redirect: {authority: 'a:b'}",
            "3:25 error: spec.http[0].redirect.authority: `a:b` is not a host or host:port",
        ),
        (
            "redirect: {uri: '/a b'}",
            "3:19 error: spec.http[0].redirect.uri: path \"/a b\" holds what must be \
             percent-encoded",
        ),
        (
            "redirect: {authority: 'a#b'}",
            "3:25 error: spec.http[0].redirect.authority: `a#b` is not a host or host:port",
        ),
        (
            "redirect: {uri: \"/a\\r\\nset-cookie: b\"}",
            "3:19 error: spec.http[0].redirect.uri: path \"/a\\r\\nset-cookie: b\" holds what must \
             be percent-encoded",
        ),
        (
            "redirect: {authority: \"a\\r\\nb\"}",
            "3:25 error: spec.http[0].redirect.authority: `a  b` is not a host or host:port",
        ),
        (
            "redirect: {uri: www.example.com}",
            "3:19 warning: spec.http[0].redirect.uri: it is a path, and does not begin with `/`; \
             another host is said by `authority` and `scheme`",
        ),
        (
            "redirect: {uri: '%PREFIX()%/a?b'}",
            "3:19 error: spec.http[0].redirect.uri: path \"/a?b\" holds a `?` or what must be \
             percent-encoded",
        ),
    ] {
        check_rule(field, &[expected]);
    }
    for (field, expected) in [
        (
            "rewrite: {uri: '/a?b'}",
            "3:18 error: spec.http[0].rewrite.uri: path \"/a?b\" holds a `?` or what must be \
             percent-encoded",
        ),
        (
            "rewrite: {uri: /a/../b}",
            "3:18 error: spec.http[0].rewrite.uri: path \"/a/../b\" is not in canonical form; \
             write \"/b\"",
        ),
        (
            "rewrite: {authority: 'a b'}",
            "3:24 error: spec.http[0].rewrite.authority: `a b` is not a host or host:port",
        ),
        (
            "headers: {request: {set: {Host: 'a b'}}}",
            "3:35 error: spec.http[0].headers.request.set.Host: `a b` is not a host or host:port",
        ),
        (
            "headers: {request: {add: {trailer: x}}}",
            "3:38 error: spec.http[0].headers.request.add.trailer: header \"trailer\" cannot be \
             set or added: it is about one connection or about framing, and the proxy writes it \
             itself (RFC 9110 section 7.6.1)",
        ),
        (
            "headers: {response: {remove: [content-length]}}",
            "3:33 error: spec.http[0].headers.response.remove[0]: header \"content-length\" cannot \
             be removed: the message would not be valid without it",
        ),
        (
            "match: [{uri: {regex: '[^/]*a[^/]{18}'}}]",
            "3:25 error: spec.http[0].match[0].uri.regex: regular expression \"[^/]*a[^/]{18}\" \
             needs an automaton of more than 1024 KiB: of what it repeats a counted \
number of times, like `{1,64}`, let it repeat less, or any number (`+`, `*`)",
        ),
    ] {
        check_rule(
            &format!("{field}\nroute: [{{destination: {{host: a}}}}]"),
            &[expected],
        );
    }
}
