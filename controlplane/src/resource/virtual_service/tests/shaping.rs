//! Mirrors, CORS, and paths that are rewritten by a regular expression.

use std::time::Duration;

use ringmain_config::{
    filter::{Cors, Share},
    route::{RegexRewrite, Rewrite, StringMatch},
};

use super::{HttpAction, HttpRoute, check_rule, rule};
use crate::resource::virtual_service::HttpForward;

const ROUTE: &str = "route: [{destination: {host: a}}]";

fn with(field: &str) -> HttpRoute {
    rule(&format!("{field}\n{ROUTE}"))
}

fn forward(rule: HttpRoute) -> HttpForward {
    match rule.action {
        HttpAction::Route(forward) => forward,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn check_field(field: &str, expected: &[&str]) {
    check_rule(&format!("{field}\n{ROUTE}"), expected);
}

#[test]
fn mirrors() {
    let b = "b.default.svc.cluster.local";
    let c = "c.default.svc.cluster.local";
    for (field, expected) in [
        ("mirror: {host: b}", &[(b, 1_000_000)][..]),
        (
            "mirror: {host: b}\nmirrorPercentage: {value: 12.5}",
            &[(b, 125_000)],
        ),
        ("mirror: {host: b}\nmirrorPercent: 3", &[(b, 30_000)]),
        (
            "mirror: {host: b}\nmirrorPercent: 3\nmirrorPercentage: {value: 1}",
            &[(b, 10_000)],
        ),
        ("mirror: {host: b}\nmirrorPercentage: {value: 0}", &[]),
        (
            "mirrors:\n- destination: {host: b}\n- destination: {host: c}\n  \
             percentage: {value: 5}",
            &[(b, 1_000_000), (c, 50_000)],
        ),
        (
            "mirrors: [{destination: {host: b}, percentage: {}}, {destination: {host: c}}]",
            &[(c, 1_000_000)],
        ),
        ("mirrors: []", &[]),
    ] {
        let mirrors = forward(with(field)).mirrors;
        let found: Vec<_> = mirrors
            .iter()
            .map(|mirror| (mirror.destination.host.as_str(), mirror.share.0))
            .collect();
        assert_eq!(found, expected, "{field}");
    }
    let subset = forward(with("mirror: {host: b, subset: v2, port: {number: 81}}"));
    let [mirror] = subset.mirrors.as_slice() else {
        panic!("{:?}", subset.mirrors);
    };
    assert_eq!(mirror.share, Share::ALL);
    let destination = &mirror.destination;
    let name = destination.subset.as_ref().map(|subset| subset.as_str());
    assert_eq!(
        (name, destination.port.map(|port| port.value)),
        (Some("v2"), Some(81))
    );
}

#[test]
fn what_is_wrong_with_mirrors() {
    for (field, expected) in [
        (
            "mirror: {host: b}\nmirrors: [{destination: {host: c}}]",
            "4:12 error: spec.http[0].mirrors: `mirror` and `mirrors` exclude each other; add \
             the `mirror` to `mirrors`",
        ),
        (
            "mirrorPercentage: {value: 5}",
            "3:21 warning: spec.http[0].mirrorPercentage: `mirrorPercentage` has no effect \
             without `mirror`; each of `mirrors` has a `percentage` of its own",
        ),
        (
            "mirrorPercent: 5",
            "3:18 warning: spec.http[0].mirrorPercent: `mirrorPercent` has no effect without \
             `mirror`; each of `mirrors` has a `percentage` of its own",
        ),
        (
            "mirror: {subset: v1}",
            "3:11 error: spec.http[0].mirror.host: `host` is missing",
        ),
        (
            "mirrors: [{percentage: {value: 1}}]",
            "3:13 error: spec.http[0].mirrors[0].destination: `destination` is missing",
        ),
        (
            "mirror: {host: b}\nmirrorPercent: 101",
            "4:18 error: spec.http[0].mirrorPercent: 101 is not between 0 and 100",
        ),
    ] {
        check_field(field, &[expected]);
    }
}

fn cors(text: &str) -> Option<Cors> {
    with(&format!("corsPolicy: {text}")).filters?.cors
}

#[test]
fn cors_policies() {
    let exact = |text: &str| StringMatch::Exact(text.to_owned());
    let texts = |texts: &[&str]| -> Vec<String> { texts.iter().map(ToString::to_string).collect() };
    let expected = Cors {
        allow_origins: vec![
            exact("https://a.example"),
            StringMatch::Prefix("https://b.".to_owned()),
            StringMatch::Regex("https://.*\\.c\\.example".to_owned()),
        ],
        allow_methods: texts(&["GET", "POST"]),
        allow_headers: texts(&["x-a", "Content-Type"]),
        expose_headers: texts(&["x-b"]),
        max_age: Some(Duration::from_secs(24 * 3600)),
        allow_credentials: true,
        answers_unmatched_preflights: true,
        wildcards_are_echoed: false,
    };
    let found = cors(
        "\n  allowOrigins:\n  - exact: https://a.example\n  - prefix: https://b.\n  \
         - regex: 'https://.*\\.c\\.example'\n  allowMethods: [GET, POST]\n  \
         allowHeaders: [x-a, Content-Type]\n  exposeHeaders: [x-b]\n  maxAge: 24h\n  \
         allowCredentials: true\n  unmatchedPreflights: IGNORE",
    );
    assert_eq!(found, Some(expected));
    let any = Cors {
        allow_origins: vec![exact("*")],
        ..Cors::default()
    };
    for text in [
        "{allowOrigin: ['*']}",
        "{allowOrigins: [{exact: '*'}]}",
        "{allowOrigins: [{exact: '*'}], unmatchedPreflights: FORWARD}",
        "{allowOrigins: [{exact: '*'}], unmatchedPreflights: UNSPECIFIED}",
        "{allowOrigins: [{exact: '*'}], allowCredentials: false}",
    ] {
        assert_eq!(cors(text).as_ref(), Some(&any), "{text}");
    }
    let zero = cors("{allowOrigin: ['*'], maxAge: 0s}").and_then(|cors| cors.max_age);
    assert_eq!(zero, Some(Duration::ZERO));
}

#[test]
fn cors_is_also_for_answers_of_the_proxy() {
    let rule = rule("directResponse: {status: 200}\ncorsPolicy: {allowOrigin: ['*']}");
    assert!(rule.filters.is_some_and(|filters| filters.cors.is_some()));
}

#[test]
fn what_is_wrong_with_cors() {
    let origins = "allowOrigins: [{exact: '*'}]";
    for (policy, expected) in [
        (
            "{}".to_owned(),
            "3:15 warning: spec.http[0].corsPolicy: no origin is allowed to read an answer; add \
             `allowOrigins`",
        ),
        (
            format!("{{{origins}, allowCredentials: true, allowMethods: [GET, '*']}}"),
            "3:90 warning: spec.http[0].corsPolicy.allowMethods[1]: browsers take `*` for a name \
             beside `allowCredentials`; write each one, or leave out `allowCredentials`",
        ),
        (
            format!("{{{origins}, allowOrigin: [a]}}"),
            "3:59 warning: spec.http[0].corsPolicy.allowOrigin: `allowOrigin` has no effect \
             beside `allowOrigins`; remove it",
        ),
        (
            format!("{{{origins}, allowMethods: ['GET, POST']}}"),
            "3:61 error: spec.http[0].corsPolicy.allowMethods[0]: `GET, POST` is not a method; \
             write one method for each element: `- GET`",
        ),
        (
            format!("{{{origins}, allowHeaders: ['x a']}}"),
            "3:61 error: spec.http[0].corsPolicy.allowHeaders[0]: `x a` is not the name of a \
             header",
        ),
        (
            format!("{{{origins}, exposeHeaders: ['']}}"),
            "3:62 error: spec.http[0].corsPolicy.exposeHeaders[0]: `` is not the name of a header",
        ),
        (
            format!("{{{origins}, maxAge: 1.5s}}"),
            "3:54 error: spec.http[0].corsPolicy.maxAge: the header that says it has whole \
             seconds only; write 1s",
        ),
        (
            format!("{{{origins}, maxAge: 100ms}}"),
            "3:54 error: spec.http[0].corsPolicy.maxAge: the header that says it has whole \
             seconds only; write 1s",
        ),
        (
            format!("{{{origins}, unmatchedPreflights: DROP}}"),
            "3:67 error: spec.http[0].corsPolicy.unmatchedPreflights: `DROP` is not one of \
             `UNSPECIFIED`, `FORWARD`, `IGNORE`",
        ),
        (
            "{allowOrigins: [{exact: a, prefix: b}]}".to_owned(),
            "3:31 error: spec.http[0].corsPolicy.allowOrigins[0]: `exact`, `prefix` and `regex` \
             exclude each other; keep one of them",
        ),
    ] {
        check_field(&format!("corsPolicy: {policy}"), &[expected]);
    }
    check_field(
        "corsPolicy: {allowOrigins: [{regex: '('}]}",
        &[
            "3:39 error: spec.http[0].corsPolicy.allowOrigins[0].regex: \"(\" is not a regular \
           expression: unclosed group at character 1",
        ],
    );
    check_field(
        "corsPolicy: {allowOrigins: [{prefix: ''}]}",
        &[
            "3:31 error: spec.http[0].corsPolicy.allowOrigins[0]: the condition is empty; write \
             `exact`, `prefix` or `regex`, or remove it",
        ],
    );
}

#[test]
fn paths_rewritten_by_a_regular_expression() {
    let regex = RegexRewrite {
        pattern: "^/service/([^/]+)(/.*)$".to_owned(),
        substitution: "\\2/instance/\\1".to_owned(),
    };
    let written =
        "uriRegexRewrite: {match: '^/service/([^/]+)(/.*)$', rewrite: '\\2/instance/\\1'}";
    for (text, authority) in [
        (format!("{{{written}}}"), None),
        (format!("{{{written}, authority: b}}"), Some("b".to_owned())),
    ] {
        let expected = Rewrite {
            path: None,
            regex: Some(regex.clone()),
            authority,
        };
        let found = forward(with(&format!("rewrite: {text}"))).rewrite;
        assert_eq!(found, Some(expected), "{text}");
    }
}

#[test]
fn what_is_wrong_with_a_regular_expression_that_rewrites() {
    for (field, expected) in [
        (
            "rewrite: {uri: /a, uriRegexRewrite: {match: a, rewrite: b}}",
            "3:39 error: spec.http[0].rewrite.uriRegexRewrite: `uri` and `uriRegexRewrite` \
             exclude each other; remove one of them",
        ),
        (
            "rewrite: {uriRegexRewrite: {match: '(', rewrite: b}}",
            "3:30 error: spec.http[0].rewrite.uriRegexRewrite: \"(\" is not a regular expression: \
             unclosed group at character 1",
        ),
        (
            "rewrite: {uriRegexRewrite: {match: '(a)', rewrite: '\\2'}}",
            "3:30 error: spec.http[0].rewrite.uriRegexRewrite: substitution \"\\\\2\" names group \
             2 of a pattern with 1",
        ),
        (
            "rewrite: {uriRegexRewrite: {match: a, rewrite: 'b?c'}}",
            "3:30 error: spec.http[0].rewrite.uriRegexRewrite: substitution \"b?c\" holds `?`, \
             `#` or what must be percent-encoded",
        ),
        (
            "rewrite: {uriRegexRewrite: {match: a, rewrite: '\\n'}}",
            "3:30 error: spec.http[0].rewrite.uriRegexRewrite: substitution \"\\\\n\" has a `\\` \
             before neither a digit nor another `\\`",
        ),
        (
            "rewrite: {uriRegexRewrite: {match: 'a{9999}', rewrite: b}}",
            "3:30 error: spec.http[0].rewrite.uriRegexRewrite: regular expression \"a{9999}\" \
             needs an automaton of more than 64 KiB: of what it repeats a counted \
             number of times, like `{1,64}`, let it repeat less, or any number (`+`, `*`)",
        ),
        (
            "rewrite: {uriRegexRewrite: {match: a}}",
            "3:30 error: spec.http[0].rewrite.uriRegexRewrite.rewrite: `rewrite` is missing",
        ),
    ] {
        check_field(field, &[expected]);
    }
}
