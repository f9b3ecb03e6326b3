//! Gateways: what is read of them, and what is said of their slips.

use super::*;

#[test]
fn listeners() {
    let gateway = gateway(&format!(
        "gatewayClassName: any, addresses: [{{value: 127.0.0.1}}, {{type: IPAddress, value: \
         '::1'}}], infrastructure: {{labels: {{a: b}}}}, listeners: [{{{HTTP}}}, {{name: shop, \
         port: 80, protocol: HTTP, hostname: '*.Shop.example', allowedRoutes: {{kinds: [{{kind: \
         GRPCRoute}}], namespaces: {{from: All}}}}}}]"
    ));
    let addresses: Vec<String> = gateway.addresses.iter().map(ToString::to_string).collect();
    assert_eq!(addresses, ["127.0.0.1", "::1"]);
    let [first, second] = gateway.listeners.as_slice() else {
        panic!("{:?}", gateway.listeners);
    };
    assert_eq!((first.host(), first.port), ("*", 80));
    assert_eq!(first.allowed.kinds, [RouteKind::Http, RouteKind::Grpc]);
    assert_eq!(first.allowed.namespaces, Namespaces::Same);
    assert_eq!(second.host(), "*.shop.example");
    assert_eq!(second.allowed.kinds, [RouteKind::Grpc]);
    assert_eq!(second.allowed.namespaces, Namespaces::All);
}

#[test]
fn namespaces_that_are_allowed() {
    for (allowed, expected) in [
        ("", "default"),
        ("namespaces: {from: Same}", "default"),
        ("namespaces: {from: All}", "default prod"),
        ("namespaces: {from: None}", ""),
        (
            "namespaces: {from: Selector, selector: {matchLabels: {kubernetes.io/metadata.name: \
             prod}}}",
            "prod",
        ),
        (
            "namespaces: {from: Selector, selector: {matchExpressions: [{key: \
             kubernetes.io/metadata.name, operator: In, values: [prod, other]}]}}",
            "prod",
        ),
        (
            "namespaces: {from: Selector, selector: {matchExpressions: [{key: \
             kubernetes.io/metadata.name, operator: NotIn, values: [prod]}]}}",
            "default",
        ),
        (
            "namespaces: {from: Selector, selector: {matchExpressions: [{key: \
             kubernetes.io/metadata.name, operator: Exists}]}}",
            "default prod",
        ),
        (
            "namespaces: {from: Selector, selector: {matchLabels: {team: a}}}",
            "",
        ),
        (
            "namespaces: {from: Selector, selector: {matchExpressions: [{key: team, operator: \
             DoesNotExist}]}}",
            "default prod",
        ),
        ("namespaces: {from: Selector, selector: {}}", "default prod"),
    ] {
        let gateway = gateway(&format!(
            "gatewayClassName: a, listeners: [{{{HTTP}, allowedRoutes: {{{allowed}}}}}]"
        ));
        let namespaces = &gateway.listeners[0].allowed.namespaces;
        let included = ["default", "prod"].into_iter();
        let included: Vec<_> = included
            .filter(|namespace| namespaces.include(namespace, "default"))
            .collect();
        assert_eq!(included.join(" "), expected, "{allowed}");
    }
}

#[test]
fn what_is_wrong_with_a_gateway() {
    for (spec, expected) in [
        (
            "{name: a, port: 443, protocol: HTTPS, tls: {}}",
            &[
                "error: spec.listeners[0].protocol: `HTTPS` is not supported yet: nothing would \
               listen on the port; remove it only if doing without is safe",
            ][..],
        ),
        (
            "{name: a, port: 80, protocol: HTTP, tls: {}}",
            &[
                "error: spec.listeners[0].tls: `tls` has no meaning with the protocol HTTP; remove \
               it: the port is served in plain text",
            ],
        ),
        (
            "{name: a, port: 53, protocol: UDP}",
            &[
                "warning: spec.listeners[0].protocol: `UDP` is not supported yet: nothing listens \
               on the port",
            ],
        ),
        (
            "{name: a, port: 80, protocol: HTTP, hostname: 10.0.0.1}",
            &["error: spec.listeners[0].hostname: `10.0.0.1` is an address, not a host name"],
        ),
        (
            "{name: a, port: 80, protocol: HTTP}, {name: a, port: 81, protocol: HTTP}",
            &["error: spec.listeners[1]: two listeners are named `a`"],
        ),
        (
            "{name: a, port: 80, protocol: HTTP}, {name: b, port: 80, protocol: HTTP}",
            &[
                "error: spec.listeners[1]: another listener has port 80 for `*`; give it another \
               `hostname` or `port`",
            ],
        ),
        (
            "{name: a, port: 80, protocol: HTTP, allowedRoutes: {kinds: [{kind: TCPRoute}]}}",
            &[
                "warning: spec.listeners[0].allowedRoutes.kinds[0]: no TCPRoute can be attached to \
               a listener for HTTP; use HTTPRoute or GRPCRoute",
            ],
        ),
        (
            "{name: a, port: 80, protocol: HTTP, allowedRoutes: {namespaces: {from: Selector}}}",
            &["error: spec.listeners[0].allowedRoutes.namespaces.selector: `selector` is missing"],
        ),
        (
            "{name: a, port: 80, protocol: HTTP, allowedRoutes: {namespaces: {from: Selector, \
             selector: {matchLabels: {team: b}}}}}",
            &[
                "warning: spec.listeners[0].allowedRoutes.namespaces.selector: on a host no \
               namespace has the label `team`: what asks for it selects none; select by \
               `kubernetes.io/metadata.name`, or write `from: All`",
            ],
        ),
    ] {
        let spec = format!("gatewayClassName: a, listeners: [{spec}]");
        check("Gateway", &spec, expected);
    }
    for (addresses, expected) in [
        (
            "{type: Hostname, value: a.b}",
            "error: spec.addresses[0]: nothing can listen at an address of type Hostname; use the \
             type IPAddress",
        ),
        (
            "{value: a.b}",
            "error: spec.addresses[0].value: `a.b` is not an IP address",
        ),
        (
            "{type: IPAddress}",
            "error: spec.addresses[0]: no address can be chosen on a host; name one, or remove \
             `addresses`: every address is listened on",
        ),
        (
            "{value: 127.0.0.1}, {value: 127.0.0.1}",
            "error: spec.addresses[1]: the address 127.0.0.1 stands here twice",
        ),
    ] {
        let spec =
            format!("gatewayClassName: a, listeners: [{{{HTTP}}}], addresses: [{addresses}]");
        check("Gateway", &spec, &[expected]);
    }
}
