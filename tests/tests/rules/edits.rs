//! Header edits of a rule and of its destinations: whose word is the last.

use std::collections::BTreeSet;

use ringmain_tests::{
    Io,
    http2::{Frame, peer},
    mesh::Mesh,
    message::Message,
    on_both,
    origin::Origin,
    yaml,
};

use crate::place::answer;

on_both!(
    of_rules_and_destinations,
    authorities,
    of_answers_that_rules_give
);

/// What the origins say of themselves.
const OWN: &str = "x-origin: 1\r\nx-left: 1\r\nx-shared: origin\r\nx-set: origin\r\n";

/// Services `a.test`, of HTTP/1.1, and `b.test`, of HTTP/2.
fn services(io: Io, routes: &str) -> (Mesh, [Origin; 2]) {
    let first = Origin::answering(answer(200, &format!("{OWN}x-name: a\r\n")));
    let second = Origin::http2(&[], |peer, stream, _| {
        let own = OWN.lines().map(|line| line.split_once(": ").unwrap());
        let head = [(":status", "200"), ("x-name", "b")].into_iter().chain(own);
        peer.send(&Frame::headers(stream, head, true));
    });
    let mesh = Mesh::builder(io)
        .service("a", &[first.address()])
        .resource("b", &yaml::http2_service("b", &[second.address()]))
        .routes(routes)
        .start();
    (mesh, [first, second])
}

/// What a client sends of its own.
const SENT: [(&str, &str); 4] = [
    ("x-gone", "client"),
    ("x-left", "client"),
    ("x-shared", "client"),
    ("x-set", "client"),
];

fn ask(mesh: &Mesh, is_http2: bool, path: &str) -> Message {
    if is_http2 {
        let mut client = mesh.http2_client();
        let head = peer::request("GET", path).into_iter().chain(SENT);
        let stream = client.begin(head, true);
        return client.response(stream);
    }
    let fields: String = SENT
        .iter()
        .map(|(name, value)| format!("{name}: {value}\r\n"))
        .collect();
    let request = format!("GET {path} HTTP/1.1\r\nhost: example.test\r\n{fields}\r\n");
    mesh.client().exchange(request)
}

/// First what the destination says, then what the rule does; each removes before it sets and adds.
fn of_rules_and_destinations(io: Io) {
    let edits = |who: &str, gone: &str| {
        format!(
            "{{set: {{x-set: {who}, x-{who}: '1', x-both: {who}}}, add: {{x-shared: {who}}}, \
             remove: [{gone}]}}"
        )
    };
    let routes = format!(
        "- headers: {{request: {rule}, response: {rule}}}\n  route:\n  \
         - destination: {{host: a.test}}\n    weight: 50\n    \
         headers: {{request: {first}, response: {first}}}\n  \
         - destination: {{host: b.test}}\n    weight: 50\n    \
         headers: {{request: {second}, response: {second}}}\n",
        rule = edits("rule", "x-gone, x-a, x-both"),
        first = edits("a", "x-left, x-rule"),
        second = edits("b", "x-origin, x-both"),
    );
    let (mesh, origins) = services(io, &routes);
    let mut seen = BTreeSet::new();
    for number in 0..200 {
        let answer = ask(&mesh, number % 2 == 1, "/");
        let name = answer.get("x-name").unwrap().to_owned();
        let request = match name.as_str() {
            "a" => origins[0].requests(),
            _ => origins[1].requests(),
        };
        let request = request.last().unwrap().clone();
        for (message, sender) in [(&request, "client"), (&answer, "origin")] {
            let all = |name: &str| message.fields.all(name).join(" ");
            let case = format!("{name}, from {sender}: {:?}", message.fields);
            assert_eq!(all("x-set"), "rule", "{case}");
            assert_eq!(all("x-both"), "rule", "{case}");
            assert_eq!(all("x-shared"), format!("{sender} {name} rule"), "{case}");
            assert_eq!(all("x-rule"), "1", "{case}");
            assert_eq!(all("x-gone"), "", "{case}");
            let is_first = name == "a";
            assert_eq!(all("x-a"), "", "the rule removes it: {case}");
            assert_eq!(all("x-b"), if is_first { "" } else { "1" }, "{case}");
            let left = if is_first {
                ""
            } else {
                ["client", "1"][usize::from(sender == "origin")]
            };
            assert_eq!(all("x-left"), left, "{case}");
        }
        let of_origin = if name == "a" { Some("1") } else { None };
        assert_eq!(answer.get("x-origin"), of_origin);
        seen.insert((name, number % 2));
        if seen.len() == 4 {
            break;
        }
    }
    assert_eq!(seen.len(), 4, "every pair was seen: {seen:?}");
    mesh.finish();
}

/// It is named `Host` or `:authority`; the rule's goes before the destination's, and within one of
/// them what is set before what is added.
fn authorities(io: Io) {
    let rows = [
        ("", "set: {host: of.destination}", "of.destination"),
        ("set: {host: of.rule}", "", "of.rule"),
        (
            "set: {host: of.rule}",
            "set: {host: of.destination}",
            "of.rule",
        ),
        ("add: {host: added}", "set: {host: of.destination}", "added"),
        ("set: {host: set.rule}, add: {host: added}", "", "set.rule"),
        ("set: {Host: of.rule}", "", "of.rule"),
        ("set: {':authority': of.rule}", "", "of.rule"),
        ("", "", "example.test"),
    ];
    let routes: String = rows
        .iter()
        .enumerate()
        .flat_map(|(number, (rule, destination, _))| {
            ["a", "b"].map(|name| {
                format!(
                    "- match: [{{uri: {{exact: /{name}{number}}}}}]\n  \
                     headers: {{request: {{{rule}}}}}\n  route:\n  \
                     - destination: {{host: {name}.test}}\n    \
                     headers: {{request: {{{destination}}}}}\n"
                )
            })
        })
        .collect();
    let (mesh, origins) = services(io, &routes);
    for (number, (rule, destination, expected)) in rows.iter().enumerate() {
        for is_http2 in [false, true] {
            ask(&mesh, is_http2, &format!("/a{number}"));
            ask(&mesh, is_http2, &format!("/b{number}"));
            let last = origins
                .each_ref()
                .map(|origin| origin.requests().pop().unwrap());
            let case = format!("{rule}; {destination}");
            assert_eq!(last[0].get("host"), Some(*expected), "{case}");
            assert_eq!(last[1].get(":authority"), Some(*expected), "{case}");
            assert_eq!(last[1].get("host"), None, "{case}");
        }
    }
    mesh.finish();
}

/// Redirects, direct responses and refusals of a fault have those of the rule.
fn of_answers_that_rules_give(io: Io) {
    let edits = "headers: {response: {set: {x-set: rule, server: own}, add: {x-add: '1'}}}";
    let routes = format!(
        "- match: [{{uri: {{exact: /redirect}}}}]\n  redirect: {{uri: /b}}\n  {edits}\n\
         - match: [{{uri: {{exact: /direct}}}}]\n  directResponse: {{status: 418}}\n  {edits}\n"
    );
    let (mesh, _origins) = services(io, &routes);
    for (path, status) in [("/redirect", 301), ("/direct", 418)] {
        for is_http2 in [false, true] {
            let answer = ask(&mesh, is_http2, path);
            assert_eq!(answer.status(), status);
            assert_eq!(answer.get("x-set"), Some("rule"));
            assert_eq!(answer.get("x-add"), Some("1"));
            assert_eq!(answer.fields.all("server"), ["own"]);
        }
    }
    assert_eq!(mesh.finish().len(), 4);
}
