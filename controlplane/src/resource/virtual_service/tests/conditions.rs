//! Conditions of rules that no request meets.

use super::check_rule;

/// Told where they stand; the rule is taken, and is as good as not there.
#[test]
fn conditions_that_no_request_meets() {
    for (condition, expected) in [
        (
            "uri: {exact: a}",
            "3:17 warning: spec.http[0].match[0].uri: no request matches: the path `a` does not \
             begin with `/`",
        ),
        (
            "uri: {prefix: '/a?b'}",
            "3:17 warning: spec.http[0].match[0].uri: no request matches: no path holds `?`, as \
             `/a?b` does",
        ),
        (
            "scheme: {exact: HTTP}",
            "3:20 warning: spec.http[0].match[0].scheme: no request matches: a scheme is `http` \
             or `https`",
        ),
        (
            "method: {exact: CONNECT}",
            "3:20 warning: spec.http[0].match[0].method: no request matches: requests with the \
             method CONNECT are refused",
        ),
        (
            "headers: {x: {exact: ' a'}}",
            "3:25 warning: spec.http[0].match[0].headers.x: no request matches: white space \
             around values is no part of them",
        ),
        (
            "headers: {x: {exact: a}}, withoutHeaders: {X: {exact: a}}",
            "3:58 warning: spec.http[0].match[0].withoutHeaders.X: no request matches: `headers` \
             asks for the same",
        ),
    ] {
        let rule = format!("match: [{{{condition}}}]\ndirectResponse: {{status: 200}}");
        check_rule(&rule, &[expected]);
    }
    for condition in [
        "headers: {x: {exact: a}}, withoutHeaders: {x: {exact: b}}",
        "headers: {x: {}}, withoutHeaders: {x: {prefix: b}}",
        "withoutHeaders: {x: {exact: ' a'}}",
        "uri: {exact: '*'}",
    ] {
        let rule = format!("match: [{{{condition}}}]\ndirectResponse: {{status: 200}}");
        check_rule(&rule, &[]);
    }
}
