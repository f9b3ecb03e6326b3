//! YAML in, warnings out.

use super::{Extent, analyze};
use crate::{resource, world::World};

/// Appends `yaml` to a world that nothing can be said about, and compares `line path: message;
/// hint` of each warning by its beginning.
fn check(yaml: &str, expected: &[&str]) {
    let text = format!("{SOUND}{yaml}");
    let loaded = resource::parse("test.yaml", &text);
    assert!(!loaded.has_errors(), "{:#?}", loaded.problems);
    let problems = analyze(&World::new(&loaded.resources, []), Extent::Mesh);
    let found: Vec<String> = problems
        .iter()
        .map(|problem| {
            let rendered = problem.to_string();
            let place = format!("test.yaml:{}:{}: ", problem.line, problem.column);
            let rest = rendered
                .strip_prefix(&place)
                .expect("it begins with its place");
            let rest = rest.strip_prefix("warning: ").unwrap_or(rest);
            assert!(problem.line > 0 && problem.column > 0, "{rendered}");
            rest.to_owned()
        })
        .collect();
    assert_eq!(found.len(), expected.len(), "{yaml}: {found:#?}");
    for (found, expected) in found.iter().zip(expected) {
        assert!(found.contains(expected), "{found}\nlacks\n{expected}");
    }
}

const SOUND: &str = "
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: edge}
spec:
  selector: {istio: edge}
  servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ['*.test', 'other/*.org']}]
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{name: http, port: 80}]}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: web}
spec: {host: web, subsets: [{name: v1, labels: {version: v1}}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: sound}
spec:
  hosts: [a.test]
  gateways: [edge]
  http: [{route: [{destination: {host: web, subset: v1, port: {number: 80}}}]}]
---
";

/// The port of a destination that names none is the gateway's.
#[test]
fn ports_that_no_destination_names() {
    let entry = |ports: &[u16]| {
        let ports = ports
            .iter()
            .map(|port| format!("{{number: {port}, name: http-{port}, protocol: HTTP}}"));
        let ports = ports.collect::<Vec<_>>().join(", ");
        format!(
            "apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: two}}
spec: {{hosts: [two.test], resolution: STATIC, ports: [{ports}], endpoints: [{{address: 10.0.0.1}}]}}
"
        )
    };
    let to = |port: &str| {
        rules_of(
            "v",
            &format!(
                "hosts: [two.test], gateways: [edge], http: [{{route: [{{destination: {{host: \
                 two.test{port}}}}}]}}]"
            ),
        )
    };
    let unnamed = "spec.http[0].route[0].destination: two.test has several ports and none is \
                   named: that of the gateway is meant, 80, which it has not; requests to it are \
                   answered 503; add `port: {number: N}`, one of 81, 82";
    check(&(entry(&[81, 82]) + &to("")), &[unnamed]);
    for (ports, port) in [
        (&[81, 82][..], ", port: {number: 81}"),
        (&[80, 81], ""),
        (&[81], ""),
    ] {
        check(&(entry(ports) + &to(port)), &[]);
    }
}

/// Of one host at one gateway; the VirtualService `sound` is for a.test as well.
#[test]
fn rules_of_several_virtual_services_at_a_gateway() {
    let service = |name: &str, host: &str, conditions: &[&str]| {
        let route = "route: [{destination: {host: web, port: {number: 80}}}]";
        let rules = conditions.iter().map(|condition| match *condition {
            "" => format!("{{{route}}}"),
            condition => format!("{{match: [{condition}], {route}}}"),
        });
        let rules = rules.collect::<Vec<_>>().join(", ");
        rules_of(
            name,
            &format!("hosts: [{host}], gateways: [edge], http: [{rules}]"),
        )
    };
    let (x, xz, y) = (
        "{uri: {prefix: /x}}",
        "{uri: {prefix: /x/z}}",
        "{uri: {prefix: /y}}",
    );
    let three = service("a", "b.test", &[x, ""])
        + &service("b", "b.test", &[y, xz])
        + &service("c", "b.test", &[""]);
    check(
        &three,
        &[
            "VirtualService default/b > spec.http[1].match[0]: the condition is never used for \
             b.test at port 80: VirtualService default/a (test.yaml:28) takes all of its requests \
             and goes before it; rules of one host go by the age and name",
            "VirtualService default/c > spec.http[0]: the rule is never used for b.test at port \
             80: VirtualService default/a (test.yaml:28) takes all of its requests",
        ],
    );
    for other in [
        service("a", "b.test", &[x]) + &service("b", "c.test", &[xz]),
        service("a", "b.test", &[xz]) + &service("b", "b.test", &[x, ""]),
        service(
            "a",
            "b.test",
            &["{uri: {prefix: /x}, headers: {a: {exact: b}}}"],
        ) + &service("b", "b.test", &[x]),
        service("z", "a.test", &[x]),
    ] {
        check(&other, &[]);
    }
    let everything = service("z", "a.test", &[""]);
    check(
        &everything,
        &["spec.http[0]: the rule is never used for a.test at port 80"],
    );
}

fn rules_of(name: &str, spec: &str) -> String {
    let kind = "apiVersion: networking.istio.io/v1, kind: VirtualService";
    format!("---\n{{{kind}, metadata: {{name: {name}}}, spec: {{{spec}}}}}\n")
}

fn rules(name: &str, spec: &str) -> String {
    format!(
        "apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: {name}}}
spec: {spec}
---
"
    )
}

#[test]
fn nothing_is_said_of_what_is_sound() {
    check("", &[]);
}

#[test]
fn destinations_that_are_not_there() {
    for (destination, expected) in [
        (
            "{host: wob}",
            "spec.http[0].route[0].destination.host: no Service or ServiceEntry has the host \
             wob.default.svc.cluster.local; requests to it are answered 503; did you mean \
             web.default.svc.cluster.local?",
        ),
        (
            "{host: web, port: {number: 81}}",
            "spec.http[0].route[0].destination.port: web.default.svc.cluster.local has no port 81",
        ),
        (
            "{host: web, subset: v2}",
            "spec.http[0].route[0].destination.subset: no DestinationRule of \
             web.default.svc.cluster.local has a subset v2; requests to it are answered 503; did \
             you mean v1?",
        ),
    ] {
        let spec = format!("{{hosts: [web], http: [{{route: [{{destination: {destination}}}]}}]}}");
        check(&rules("rules", &spec), &[expected]);
        let spec = format!("{{hosts: [web], tcp: [{{route: [{{destination: {destination}}}]}}]}}");
        let expected = expected.replace("spec.http", "spec.tcp");
        let answered = "requests to it are answered 503";
        let expected = expected.replace(answered, "connections to it are closed");
        check(&rules("rules", &spec), &[&expected]);
    }
}

#[test]
fn copies_that_go_nowhere() {
    let dropped = "copies of requests for it are dropped";
    for (mirror, place) in [
        ("mirror: {host: wob}", "spec.http[0].mirror.host"),
        (
            "mirrors: [{destination: {host: web}}, {destination: {host: wob}}]",
            "spec.http[0].mirrors[1].destination.host",
        ),
    ] {
        let rule = format!("{{route: [{{destination: {{host: web}}}}], {mirror}}}");
        let expected = format!(
            "{place}: no Service or ServiceEntry has the host wob.default.svc.cluster.local; \
             {dropped}; did you mean web.default.svc.cluster.local?"
        );
        let spec = format!("{{hosts: [web], http: [{rule}]}}");
        check(&rules("rules", &spec), &[&expected]);
    }
}

#[test]
fn ports_that_speak_tls() {
    let secure = "
apiVersion: v1
kind: Service
metadata: {name: secure}
spec: {selector: {app: a}, ports: [{name: https, port: 443}, {name: http, port: 80}]}
---
";
    for (port, expected) in [
        (
            443,
            &["spec.http[0].route[0].destination.port: port 443 of \
               secure.default.svc.cluster.local speaks HTTPS, and is sent to in plain text; add \
               a DestinationRule for it with `trafficPolicy.tls.mode: SIMPLE`"][..],
        ),
        (80, &[]),
    ] {
        let spec = format!(
            "{{hosts: [secure], http: [{{route: [{{destination: {{host: secure, port: {{number: \
             {port}}}}}}}]}}]}}"
        );
        check(&format!("{secure}{}", rules("rules", &spec)), expected);
    }
}

#[test]
fn gateways_that_are_not_there_or_serve_other_hosts() {
    const ANSWER: &str = "http: [{directResponse: {status: 200}}]";
    for (references, expected) in [
        (
            "hosts: [a.test], gateways: [egde]",
            "spec.gateways[0]: there is no Gateway default/egde; did you mean default/edge?",
        ),
        (
            "hosts: [q.test, a.org], gateways: [edge]",
            "spec.hosts[1]: no server of Gateway default/edge (test.yaml:2) serves the host a.org \
             for namespace default; its servers serve */*.test, other/*.org",
        ),
    ] {
        check(
            &rules("rules", &format!("{{{references}, {ANSWER}}}")),
            &[expected],
        );
    }
}

#[test]
fn rules_for_the_mesh_that_give_way() {
    let spec = "{hosts: [web], http: [{directResponse: {status: 200}}]}";
    let yaml = format!("{}{}", rules("b", spec), rules("a", spec));
    check(
        &yaml,
        &[
            "VirtualService default/b > spec.hosts: the host web.default.svc.cluster.local has \
             rules for the mesh in VirtualService default/a",
        ],
    );
    let at_edge = |path: &str| {
        let rule =
            format!("{{match: [{{uri: {{exact: {path}}}}}], directResponse: {{status: 200}}}}");
        format!("{{hosts: [b.test], gateways: [edge], http: [{rule}]}}")
    };
    let merged = rules("b", &at_edge("/b")) + &rules("a", &at_edge("/a"));
    check(&merged, &[]);
}

#[test]
fn policies_for_nobody() {
    check(
        "apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: nobody}
spec: {host: nobody.test}
",
        &[
            "DestinationRule default/nobody > spec.host: no Service or ServiceEntry has the host \
           nobody.test",
        ],
    );
}

#[test]
fn sidecars_and_services_that_give_way() {
    let sidecar = |name: &str| {
        format!(
            "apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {{name: {name}}}
spec: {{egress: [{{port: {{number: 1, name: http, protocol: HTTP}}, captureMode: NONE, hosts: ['*/*']}}]}}
---
"
        )
    };
    let entry = "apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: web}
spec:
  hosts: [web.default.svc.cluster.local]
  ports: [{number: 80, name: http, protocol: HTTP}]
";
    let yaml = format!("{}{}{entry}", sidecar("b"), sidecar("a"));
    check(
        &yaml,
        &[
            "Sidecar default/b > spec.workloadSelector: Sidecar default/a",
            "ServiceEntry default/web > hosts: the host web.default.svc.cluster.local is already \
             that of Service default/web",
        ],
    );
}

/// A file out of a mesh may name what stands in another file; what it says itself is looked at.
#[test]
fn what_files_do_not_define_may_stand_elsewhere() {
    let yaml = "
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: shop }
spec:
  hosts: [shop]
  gateways: [edge, mesh]
  http:
  - route:
    - destination: { host: shop, subset: v1 }
  - route:
    - destination: { host: shop, subset: v2 }
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: shop }
spec:
  host: shop
  subsets:
  - name: v1
    labels: { version: v1 }
";
    let loaded = resource::parse("mesh.yaml", yaml);
    let world = World::new(&loaded.resources, []);
    let findings = |extent| {
        let mut codes: Vec<_> = analyze(&world, extent)
            .into_iter()
            .map(|problem| {
                problem
                    .path
                    .rsplit(" > ")
                    .next()
                    .unwrap_or_default()
                    .to_owned()
            })
            .collect();
        codes.dedup();
        codes
    };
    assert_eq!(findings(Extent::Files), ["spec.http[1]"]);
    let mesh = findings(Extent::Mesh);
    for path in [
        "spec.gateways[0]",
        "spec.http[0].route[0].destination.host",
        "spec.host",
    ] {
        assert!(mesh.iter().any(|found| found == path), "{path} in {mesh:?}");
    }
}

const NO_IDENTITY: &str = "error: PeerAuthentication default/all > spec.mtls.mode: STRICT is not \
                           supported yet, since workloads have no identities: plain text is still \
                           taken";

#[test]
fn tls_that_the_other_side_does_not_expect() {
    let web = "
apiVersion: v1
kind: Service
metadata: {name: safe}
spec: {selector: {app: safe}, ports: [{name: http, port: 80}]}
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: safe-1}
spec: {address: 10.0.0.1, labels: {app: safe}}
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: all}
spec: {mtls: {mode: MODE}}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: safe}
spec: {host: safe, trafficPolicy: {tls: {mode: CLIENT}}}
";
    for (mode, client, expected) in [
        ("PERMISSIVE", "DISABLE", &[][..]),
        (
            "STRICT",
            "ISTIO_MUTUAL",
            &[
                "DestinationRule default/safe > spec.trafficPolicy.tls.mode: workloads have no \
                 identities yet: connections fail",
                NO_IDENTITY,
            ],
        ),
        (
            "STRICT",
            "DISABLE",
            &[
                "DestinationRule default/safe > spec.trafficPolicy.tls.mode: port 80 of \
                 safe.default.svc.cluster.local is not called with the mesh's TLS, and 10.0.0.1:80 \
                 takes nothing else (PeerAuthentication STRICT): connections fail",
                NO_IDENTITY,
            ],
        ),
    ] {
        let yaml = web.replace("MODE", mode).replace("CLIENT", client);
        check(&yaml, expected);
    }
}

#[test]
fn credentials_that_are_nowhere() {
    let gateway = "
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: edge}
spec:
  servers:
  - port: {number: 443, name: https, protocol: HTTPS}
    hosts: [a.test]
    tls: {mode: SIMPLE, credentialName: no-such-credential}
";
    let secret = "---
apiVersion: v1
kind: Secret
metadata: {name: no-such-credential, namespace: any}
stringData:
  tls.crt: \"-----BEGIN CERTIFICATE-----\\n-----END CERTIFICATE-----\"
  tls.key: \"-----BEGIN PRIVATE KEY-----\\n-----END PRIVATE KEY-----\"
";
    check(
        gateway,
        &[
            "Gateway default/edge > spec.servers[0].tls.credentialName: there is no Secret \
             `no-such-credential`, and no file \
             /etc/ringmain/credentials/no-such-credential/tls.crt here",
        ],
    );
    check(&format!("{gateway}{secret}"), &[]);
}
