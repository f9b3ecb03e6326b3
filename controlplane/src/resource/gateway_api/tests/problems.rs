//! What is said of slips in routes.

use super::*;

#[test]
fn what_is_wrong_with_a_route() {
    for (spec, expected) in [
        (
            format!("rules: [{{{BACKEND}}}]"),
            "warning: spec: the route is attached to nothing: it has no effect; name a Gateway or \
             a Service in `parentRefs`",
        ),
        (
            format!("parentRefs: [{{kind: Pod, group: '', name: a}}], rules: [{{{BACKEND}}}]"),
            "warning: spec.parentRefs[0]: the route cannot be attached to kind `Pod` of group ``: \
             it has no effect there; name a Gateway, a Service (`group: \"\"`) or a ServiceEntry \
             (`group: networking.istio.io`)",
        ),
        (
            format!(
                "parentRefs: [{{kind: Service, group: '', name: a, sectionName: b}}], rules: \
                 [{{{BACKEND}}}]"
            ),
            "warning: spec.parentRefs[0].sectionName: a service has no sections: the route has no \
             effect there; name a `port` of the service instead",
        ),
        (
            format!(
                "hostnames: [a.b], parentRefs: [{{kind: Service, group: '', name: a}}], rules: \
                 [{{{BACKEND}}}]"
            ),
            "warning: spec.hostnames: `hostnames` means nothing for a route of a service; remove \
             it: the service's own names are meant",
        ),
        (
            format!("parentRefs: [{{name: a}}], hostnames: [a.b, A.b], rules: [{{{BACKEND}}}]"),
            "error: spec.hostnames[1]: the host `A.b` stands here twice",
        ),
        (
            format!("parentRefs: [{{name: a}}], hostnames: ['*'], rules: [{{{BACKEND}}}]"),
            "error: spec.hostnames[0]: `*` is not a host of its own; name a domain: \
             `*.example.com`",
        ),
        (
            "parentRefs: [{name: a}]".to_owned(),
            "warning: spec: there is no rule in it: every request is answered with an error; add a \
             rule with `backendRefs`",
        ),
        (
            format!(
                "parentRefs: [{{name: a}}], rules: [{{name: x, {BACKEND}}}, {{name: x, {BACKEND}}}]"
            ),
            "error: spec.rules[1].name: two rules are named `x`",
        ),
    ] {
        check("HTTPRoute", &spec, &[expected]);
    }
}

const REDIRECT: &str = "filters: [{type: RequestRedirect, requestRedirect: {hostname: a.b}}";

#[test]
fn what_is_wrong_with_a_rule() {
    let filter = |filter: &str| format!("{BACKEND}, filters: [{{{filter}}}]");
    for (rule, expected) in [
        (
            "name: a".to_owned(),
            &["warning: spec.rules[0]: there is no backend: requests that the rule matches are \
               answered with an error; add a Service to `backendRefs`"][..],
        ),
        (
            "backendRefs: [{name: a, port: 80, weight: 0}]".to_owned(),
            &["warning: spec.rules[0]: no backend has a weight: requests that the rule matches are \
               answered with an error; add a Service to `backendRefs`"],
        ),
        (
            "backendRefs: [{name: a}]".to_owned(),
            &["error: spec.rules[0].backendRefs[0].port: `port` is missing"],
        ),
        (
            "backendRefs: [{name: a, kind: Bucket, group: x.y}]".to_owned(),
            &["warning: spec.rules[0].backendRefs[0].kind: a backend of kind Bucket is not \
               supported; name a Service, or a host with the kind Hostname of \
               networking.istio.io"],
        ),
        (
            format!("matches: [{{path: {{value: a}}}}], {BACKEND}"),
            &["error: spec.rules[0].matches[0].path.value: the path `a` does not begin with `/`; \
               write `/a`"],
        ),
        (
            format!("matches: [{{path: {{value: /a/../b}}}}], {BACKEND}"),
            &["error: spec.rules[0].matches[0].path.value: the path `/a/../b` is not in canonical \
               form: no request would match; write `/b`"],
        ),
        (
            format!("matches: [{{method: get}}], {BACKEND}"),
            &["error: spec.rules[0].matches[0].method: `get` is not one of `GET`, `HEAD`, `POST`, \
               `PUT`, `DELETE`, `CONNECT`, `OPTIONS`, `TRACE`, `PATCH`; did you mean `GET`?"],
        ),
        (
            filter("type: URLRewrite, urlRewrite: {}"),
            &["error: spec.rules[0].filters[0].urlRewrite: it rewrites nothing; add `path` or \
               `hostname`"],
        ),
        (
            filter(
                "type: URLRewrite, urlRewrite: {path: {type: ReplaceFullPath, replaceFullPath: a}}",
            ),
            &["warning: spec.rules[0].filters[0].urlRewrite.path.replaceFullPath: it is a path, \
               and does not begin with `/`: one is put before it; begin with `/`"],
        ),
        (
            filter(
                "type: URLRewrite, urlRewrite: {path: {type: ReplacePrefixMatch, \
                 replacePrefixMatch: '/a#b'}}",
            ),
            &["error: spec.rules[0].filters[0].urlRewrite.path.replacePrefixMatch: path \"/a#b\" \
               is not in canonical form; the path holds `#`"],
        ),
        (
            filter(
                "type: ResponseHeaderModifier, responseHeaderModifier: {set: [{name: x, value: \
                 \"a\\r\\nb: c\"}]}",
            ),
            &["error: spec.rules[0].filters[0].responseHeaderModifier.set[0].value: a header \
               cannot hold a line break or another control character"],
        ),
        (
            filter("type: CORS"),
            &["error: spec.rules[0].filters[0].cors: `cors` is missing"],
        ),
        (
            filter("type: CORS, cors: {exposeHeaders: ['*'], allowCredentials: true}"),
            &["warning: spec.rules[0].filters[0].cors.exposeHeaders[0]: beside \
               `allowCredentials`, `*` exposes nothing and is not sent; name the headers"],
        ),
        (
            filter("type: CORS, cors: {exposeHeaders: ['*'], allowMethods: ['*']}"),
            &[],
        ),
        (
            filter("type: CORS, cors: {}, urlRewrite: {hostname: a}"),
            &["error: spec.rules[0].filters[0].urlRewrite: `urlRewrite` has no meaning in a filter \
               of type CORS; remove it, or change `type`"],
        ),
        (
            filter("type: ExtensionRef, extensionRef: {name: a}"),
            &["warning: spec.rules[0].filters[0].type: the filter ExtensionRef is not supported \
               yet: requests that the rule matches are answered with an error; remove it only if \
               doing without is safe"],
        ),
        (
            filter("type: CORS, cors: {}}, {type: CORS, cors: {}"),
            &["error: spec.rules[0].filters[1].type: there is a filter CORS already; make one of \
               the two"],
        ),
        (
            filter("type: RequestRedirect, requestRedirect: {}"),
            &["error: spec.rules[0].backendRefs: RequestRedirect and `backendRefs` exclude each \
               other; remove one of them"],
        ),
        (
            format!(
                "{REDIRECT}, {{type: RequestHeaderModifier, requestHeaderModifier: {{remove: \
                 [a]}}}}, {{type: RequestMirror, requestMirror: {{backendRef: {{name: a, port: \
                 1}}}}}}], timeouts: {{request: 1s}}, retry: {{attempts: 1}}"
            ),
            &[
                "warning: spec.rules[0].filters[1]: `RequestHeaderModifier` has no effect with \
                 `RequestRedirect`: nothing is sent on; remove it",
                "warning: spec.rules[0].filters[2]: `RequestMirror` has no effect with \
                 `RequestRedirect`: nothing is sent on; remove it",
                "warning: spec.rules[0].timeouts: `timeouts` has no effect with \
                 `RequestRedirect`: nothing is sent on; remove it",
                "warning: spec.rules[0].retry: `retry` has no effect with `RequestRedirect`: \
                 nothing is sent on; remove it",
            ],
        ),
        (
            format!("matches: [{{method: CONNECT}}], {BACKEND}"),
            &["warning: spec.rules[0].matches[0].method: no request matches: requests with the \
               method CONNECT are refused"],
        ),
        (
            "filters: [{type: RequestRedirect, requestRedirect: {statusCode: 304}}]".to_owned(),
            &["error: spec.rules[0].filters[0].requestRedirect.statusCode: 304 is not a code to \
               redirect with; use 301, 302, 303, 307 or 308",
],
        ),
        (
            format!(
                "matches: [{{path: {{type: Exact, value: /a}}}}], {}",
                filter(
                    "type: URLRewrite, urlRewrite: {path: {type: ReplacePrefixMatch, \
                     replacePrefixMatch: /b}}"
                )
            ),
            &["error: spec.rules[0].matches: `replacePrefixMatch` needs a prefix to replace, and a \
               match of the rule has none; use `path: {type: PathPrefix}` in every match, or \
               `replaceFullPath`"],
        ),
        (
            filter(
                "type: URLRewrite, urlRewrite: {path: {type: ReplaceFullPath, replacePrefixMatch: \
                 /b}}",
            ),
            &[
                "error: spec.rules[0].filters[0].urlRewrite.path.replaceFullPath: \
                 `replaceFullPath` is missing",
                "error: spec.rules[0].filters[0].urlRewrite.path.replacePrefixMatch: \
                 `replacePrefixMatch` does not go with this `type`; write `replaceFullPath`",
            ],
        ),
        (
            filter(
                "type: RequestMirror, requestMirror: {backendRef: {name: a, port: 1}, fraction: \
                 {numerator: 5, denominator: 4}}",
            ),
            &["error: spec.rules[0].filters[0].requestMirror.fraction: 5 of 4 is more than all; \
               write at most the denominator"],
        ),
        (
            filter(
                "type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: \
                 content-length, value: '1'}]}",
            ),
            &["error: spec.rules[0].filters[0].requestHeaderModifier.set[0]: header \
               \"content-length\" cannot be set or added: it is about one connection or about \
               framing, and the proxy writes it itself (RFC 9110 section 7.6.1)"],
        ),
        (
            "backendRefs: [{name: a, port: 80, filters: [{type: URLRewrite, urlRewrite: {hostname: \
             b}}]}]"
                .to_owned(),
            &["warning: spec.rules[0].backendRefs[0].filters[0].type: the filter URLRewrite of a \
               backend is not supported yet: requests to the backend are answered with an error; \
               move it to the rule"],
        ),
        (
            format!("{BACKEND}, timeouts: {{request: 1s, backendRequest: 2s}}"),
            &["error: spec.rules[0].timeouts.backendRequest: a try may take longer than the \
               request it is part of; write at most what `request` says"],
        ),
        (
            format!("{BACKEND}, sessionPersistence: {{sessionName: a}}"),
            &["warning: spec.rules[0].sessionPersistence: `sessionPersistence` is not supported \
               yet: requests of a session go to any endpoint; bind them with `consistentHash` in a \
               DestinationRule of the backend"],
        ),
    ] {
        check_rule("HTTPRoute", &rule, expected);
    }
    for (rule, expected) in [
        (
            format!("matches: [{{method: {{}}}}], {BACKEND}"),
            "error: spec.rules[0].matches[0].method: the condition is empty; write `service`, \
             `method` or both",
        ),
        (
            format!("matches: [{{method: {{service: a/b}}}}], {BACKEND}"),
            "error: spec.rules[0].matches[0].method.service: `a/b` is not the name of a gRPC \
             service; write it like `package.Service`, or use `type: RegularExpression`",
        ),
    ] {
        check_rule("GRPCRoute", &rule, &[expected]);
    }
    check_rule(
        "GRPCRoute",
        &format!("{BACKEND}, filters: [{{type: CORS}}]"),
        &[
            "error: spec.rules[0].filters[0].cors: `cors` is missing",
            "error: spec.rules[0].filters[0].type: `CORS` is not one of `RequestHeaderModifier`, \
             `ResponseHeaderModifier`, `RequestMirror`, `ExtensionRef`",
        ],
    );
}
