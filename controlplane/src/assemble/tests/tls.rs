//! What is said of TLS in Documents.

use ringmain_config::node::{GatewayScope, Node};
use serde_json::{Value, json};

use super::{check, edge, pick, warnings, workload};
use crate::{
    assemble::assemble,
    compile::check as compile,
    registry::Workload,
    resource,
    world::{MeshIdentity, MeshSettings, World, change::Touched},
};

const WEB: &str = "
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  selector: {app: web}
  ports: [{name: http, port: 80, targetPort: 8000}, {name: tcp, port: 90}]
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: web-1}
spec:
  address: 10.0.0.1
  serviceAccount: web
  labels: {app: web, security.istio.io/tlsMode: istio}
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: web-2}
spec: {address: 10.0.0.2, serviceAccount: old, labels: {app: web}}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web}
spec:
  hosts: [a.test, b.test, d.test]
  gateways: [edge]
  http: [{route: [{destination: {host: web}}]}]
  tcp: [{route: [{destination: {host: web, port: {number: 90}}}]}]
  tls:
  - match: [{sniHosts: [b.test, '*.c.test'], destinationSubnets: [10.0.0.0/8]}]
    route: [{destination: {host: web, port: {number: 90}}}]
  - match: [{sniHosts: [b.test], port: 1}, {sniHosts: [b.test]}]
    route: [{destination: {host: web, port: {number: 80}}}]
---
";

/// A Secret in `istio-system` with parts of these names.
fn secret(name: &str, parts: &[&str]) -> String {
    let block = |part: &str| match part {
        "tls.key" => "-----BEGIN PRIVATE KEY-----\\nAA==\\n-----END PRIVATE KEY-----\\n",
        _ => "-----BEGIN CERTIFICATE-----\\nAA==\\n-----END CERTIFICATE-----\\n",
    };
    let parts: Vec<_> = parts
        .iter()
        .map(|part| format!("{part}: \"{}\"", block(part)))
        .collect();
    let parts = parts.join(", ");
    format!(
        "apiVersion: v1\nkind: Secret\nmetadata: {{name: {name}, namespace: istio-system}}\n\
         stringData: {{{parts}}}\n---\n"
    )
}

/// `WEB`, and a Gateway with these servers at port 443.
fn gateway(servers: &[(&str, &str, &str)]) -> String {
    let servers: Vec<_> = servers
        .iter()
        .map(|(protocol, hosts, tls)| {
            format!(
                "{{port: {{number: 443, name: p, protocol: {protocol}}}, hosts: [{hosts}], tls: \
                 {{{tls}}}}}"
            )
        })
        .collect();
    format!(
        "{WEB}apiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {{name: edge}}\n\
         spec:\n  selector: {{istio: ingressgateway}}\n  servers: [{}]\n",
        servers.join(", ")
    )
}

const CHAINS: &str = "listeners/0.0.0.0_443/tls/chains";

#[test]
fn servers_of_one_port_are_chains_by_name() {
    let yaml = secret("own", &["tls.crt", "tls.key"])
        + &gateway(&[
            ("HTTPS", "a.test", "mode: SIMPLE, credentialName: own"),
            (
                "HTTPS",
                "'*.d.test', d.test",
                "mode: SIMPLE, credentialName: files",
            ),
            ("TLS", "b.test, '*.c.test'", "mode: PASSTHROUGH"),
            (
                "TLS",
                "e.test, '*'",
                "mode: SIMPLE, serverCertificate: /c, privateKey: /k",
            ),
        ]);
    let chain = |index: usize, rest: &str| format!("{CHAINS}/{index}/{rest}");
    let terminate = |index, rest: &str| chain(index, &format!("action/terminate/{rest}"));
    let paths = [
        (
            "listeners/0.0.0.0_443/tls/accepts_plaintext".to_owned(),
            Value::Null,
        ),
        (
            "listeners/0.0.0.0_443/protocol".to_owned(),
            json!({"tcp": {"routes": []}}),
        ),
        (chain(0, "server_names"), json!(["a.test"])),
        (
            terminate(0, "tls/certificates"),
            json!(["kubernetes://istio-system/own"]),
        ),
        (terminate(0, "tls/alpn"), json!(["h2", "http/1.1"])),
        (
            terminate(0, "protocol/http/route_table"),
            json!("https.443.p.edge.default"),
        ),
        (
            "route_tables/https.443.p.edge.default/virtual_hosts/0/domains".to_owned(),
            json!(["a.test", "a.test:443"]),
        ),
        (
            "route_tables/https.443.p.edge.default/virtual_hosts/1".to_owned(),
            Value::Null,
        ),
        (chain(1, "server_names"), json!(["*.d.test", "d.test"])),
        (
            terminate(1, "tls/certificates"),
            json!(["credential:/etc/ringmain/credentials/files"]),
        ),
        (chain(2, "server_names"), json!(["*.c.test"])),
        (chain(3, "server_names"), json!(["b.test"])),
        (
            chain(3, "action/pass_through/routes/0/match/destinations"),
            json!(["10.0.0.0/8"]),
        ),
        (
            chain(3, "action/pass_through/routes/1/destinations/0/cluster"),
            json!("outbound|80||web.default.svc.cluster.local"),
        ),
        (chain(3, "action/pass_through/routes/2"), Value::Null),
        (chain(4, "server_names"), Value::Null),
        (terminate(4, "tls/certificates"), json!(["file-cert:/c~/k"])),
        (
            terminate(4, "protocol/tcp/routes/0/destinations/0/cluster"),
            json!("outbound|90||web.default.svc.cluster.local"),
        ),
        (
            "secrets/*".to_owned(),
            json!([
                "credential:/etc/ringmain/credentials/files",
                "file-cert:/c~/k",
                "kubernetes://istio-system/own"
            ]),
        ),
    ];
    let paths: Vec<_> = paths
        .iter()
        .map(|(path, value)| (path.as_str(), value.clone()))
        .collect();
    check(&yaml, &edge(), &paths);
}

#[test]
fn what_is_asked_of_clients() {
    let with = |own: &[&str], other: &[&str]| {
        let mut yaml = secret("own", own);
        if !other.is_empty() {
            yaml += &secret("own-cacert", other);
        }
        yaml
    };
    let pair = ["tls.crt", "tls.key"];
    let all = ["tls.crt", "tls.key", "ca.crt"];
    for (secrets, tls, path, expected) in [
        (
            with(&all, &[]),
            "mode: MUTUAL, credentialName: own",
            "required/authorities",
            json!(["kubernetes://istio-system/own"]),
        ),
        (
            with(&pair, &["ca.crt"]),
            "mode: OPTIONAL_MUTUAL, credentialName: own",
            "optional/authorities",
            json!(["kubernetes://istio-system/own-cacert"]),
        ),
        (
            String::new(),
            "mode: MUTUAL, credentialName: own",
            "required/authorities",
            json!(["credential:/etc/ringmain/credentials/own-cacert"]),
        ),
        (
            with(&pair, &[]),
            "mode: MUTUAL, credentialName: own, caCertificates: /ca, caCrl: /crl, \
             subjectAltNames: [x]",
            "required",
            json!({"authorities": ["file-root:/ca~/crl"], "names": {"one_of": ["x"]}}),
        ),
        (
            with(&all, &[]),
            "mode: SIMPLE, credentialName: own",
            "required",
            Value::Null,
        ),
    ] {
        let yaml = secrets + &gateway(&[("HTTPS", "a.test", tls)]);
        let path = format!("{CHAINS}/0/action/terminate/tls/client/{path}");
        check(&yaml, &edge(), &[(&path, expected)]);
    }
}

#[test]
fn credentials_are_those_of_the_proxy_s_namespace() {
    let own = secret("own", &["tls.crt", "tls.key"]);
    let of = |name: &str| {
        own.clone()
            + &gateway(&[(
                "HTTPS",
                "a.test",
                &format!("mode: SIMPLE, credentialName: {name}"),
            )])
    };
    let elsewhere = workload("elsewhere", &[("istio", "ingressgateway")]);
    let scope_all = Node {
        gateways: GatewayScope::All,
        ..workload("istio-system", &[])
    };
    for (name, node, expected) in [
        ("own", edge(), "kubernetes://istio-system/own"),
        ("own", scope_all, "kubernetes://istio-system/own"),
        (
            "own",
            elsewhere.clone(),
            "credential:/etc/ringmain/credentials/own",
        ),
        (
            "istio-system/own",
            elsewhere,
            "kubernetes://istio-system/own",
        ),
    ] {
        check(&of(name), &node, &[("secrets/*", json!([expected]))]);
    }
}

#[test]
fn what_is_not_served() {
    let simple = "mode: SIMPLE, credentialName: own";
    for (secrets, servers, expected) in [
        (
            secret("own", &["tls.crt", "tls.key"]),
            vec![("HTTPS", "a.test", simple), ("HTTPS", "a.test", simple)],
            "a.test at port 443 has its TLS from Gateway default/edge",
        ),
        (
            secret("own", &["ca.crt"]),
            vec![("HTTPS", "a.test", simple)],
            "Secret istio-system/own (test.yaml:1) holds no certificate and key: the server's \
             hosts are not served",
        ),
        (
            secret("own", &["tls.crt", "tls.key"]),
            vec![("HTTPS", "a.test", "mode: MUTUAL, credentialName: own")],
            "holds no authorities (`ca.crt`): the server's hosts are not served",
        ),
        (
            String::new(),
            vec![("HTTPS", "a.test", "mode: ISTIO_MUTUAL")],
            "the mesh gives its workloads no identities: the server's hosts are not served",
        ),
        (
            String::new(),
            vec![("TLS", "none.test", "mode: PASSTHROUGH")],
            "no VirtualService has a rule in `tls` for the server",
        ),
    ] {
        let found = warnings(&(secrets + &gateway(&servers)), &edge());
        assert!(
            found.iter().any(|text| text.contains(expected)),
            "{found:#?}"
        );
    }
}

#[test]
fn requests_in_plain_text_are_sent_to_https() {
    let yaml = gateway(&[]).replace(
        "servers: []",
        "servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: [a.test], tls: \
         {httpsRedirect: true}}]",
    );
    let route = "route_tables/http.80/virtual_hosts/0/routes/0";
    check(
        &yaml,
        &edge(),
        &[
            (
                &format!("{route}/action/redirect"),
                json!({
                    "status": 301,
                    "scheme": "https",
                    "port": "from_protocol_default",
                    "path": "keep",
                }),
            ),
            ("route_tables/http.80/virtual_hosts/1", Value::Null),
            ("listeners/0.0.0.0_80/tls", Value::Null),
            ("clusters/*", json!([])),
        ],
    );
}

const CLIENT: &str = "
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: all}
spec:
  ingress:
  - {port: {number: 8000, protocol: HTTP}, captureMode: NONE, defaultEndpoint: '127.0.0.1:8001'}
  egress:
  - {port: {number: 80, protocol: HTTP}, captureMode: NONE, hosts: ['*/*']}
  - {port: {number: 90, protocol: TCP}, captureMode: NONE, hosts: ['*/*']}
  - {port: {number: 443}, captureMode: NONE, hosts: ['*/*']}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: outside}
spec:
  hosts: [api.test]
  resolution: DNS
  ports: [{number: 443, name: https, protocol: HTTPS}, {number: 80, name: http, protocol: HTTP}]
---
";

fn rule(host: &str, tls: &str) -> String {
    format!(
        "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {{name: r}}\n\
         spec: {{host: {host}, trafficPolicy: {{tls: {{{tls}}}}}}}\n---\n"
    )
}

fn policy(spec: &str) -> String {
    format!(
        "apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {{name: p}}\n\
         spec: {spec}\n---\n"
    )
}

const TO_WEB: &str = "clusters/outbound|80||web.default.svc.cluster.local/transport";
const TO_API: &str = "clusters/outbound|80||api.test/transport";

#[test]
fn tls_towards_a_service() {
    for (tls, path, expected) in [
        ("mode: DISABLE", "", Value::Null),
        ("mode: SIMPLE", "tls", json!({})),
        (
            "mode: SIMPLE, sni: X.test, subjectAltNames: [y]",
            "tls",
            json!({"server_name": {"fixed": "x.test"}, "trust": {"system": {"names": ["y"]}}}),
        ),
        (
            "mode: SIMPLE, caCertificates: /ca",
            "tls/trust/rules",
            json!({"authorities": ["file-root:/ca"]}),
        ),
        (
            "mode: MUTUAL, clientCertificate: /c, privateKey: /k",
            "tls/certificate",
            json!("file-cert:/c~/k"),
        ),
        (
            "mode: MUTUAL, credentialName: own",
            "tls/trust/rules/authorities",
            json!(["credential:/etc/ringmain/credentials/own-cacert"]),
        ),
        (
            "mode: SIMPLE, insecureSkipVerify: true",
            "tls/trust",
            json!("anybody"),
        ),
        // Never plain text where TLS was asked for.
        (
            "mode: ISTIO_MUTUAL",
            "tls/trust/rules/authorities",
            json!(["nobody"]),
        ),
    ] {
        let yaml = format!("{WEB}{CLIENT}{}", rule("api.test", tls));
        let path = format!("{TO_API}/{path}");
        check(
            &yaml,
            &workload("default", &[]),
            &[(path.trim_end_matches('/'), expected)],
        );
    }
}

/// As [`check`], in a mesh whose workloads have identities.
#[track_caller]
fn check_in_mesh(yaml: &str, node: &Node, expected: &[(&str, Value)]) {
    let loaded = resource::parse("test.yaml", yaml);
    assert!(!loaded.has_errors(), "{:#?}", loaded.problems);
    let settings = MeshSettings {
        identity: Some(MeshIdentity {
            trust_domain: "mesh".to_owned(),
            aliases: vec!["old".to_owned()],
        }),
        ..MeshSettings::default()
    };
    let world = World::new(&loaded.resources, []).with_settings(settings.into());
    let (document, _) = assemble(&world, node);
    let problems = compile(&document);
    assert!(problems.is_empty(), "{problems:#?}");
    let document = serde_json::to_value(&document).expect("serialises");
    for (path, expected) in expected {
        assert_eq!(pick(&document, path), *expected, "{path} of {yaml}");
    }
}

#[test]
fn clients_in_a_mesh_with_identities() {
    let rules = format!("{TO_WEB}/mesh/trust/rules/names/one_of");
    let ids = ["old", "web"].map(|account| {
        ["mesh", "old"].map(|domain| format!("spiffe://{domain}/ns/default/sa/{account}"))
    });
    let ids: Vec<_> = ids.concat();
    let set = "endpoint_sets/outbound|80||web.default.svc.cluster.local/endpoints";
    let first = format!("{set}/0/is_in_mesh");
    let second = format!("{set}/1/is_in_mesh");
    let sni = format!("{TO_WEB}/mesh/server_name/fixed");
    let alpn = format!("{TO_WEB}/mesh/alpn");
    let bytes = "clusters/outbound|90||web.default.svc.cluster.local/transport/mesh/alpn";
    let node = workload("default", &[]);
    check_in_mesh(
        &format!("{WEB}{CLIENT}"),
        &node,
        &[
            (&rules, json!(ids)),
            (&sni, json!("outbound_.80_._.web.default.svc.cluster.local")),
            (&alpn, json!(["istio-h2", "h2"])),
            (bytes, json!(["istio"])),
            (&first, json!(true)),
            (&second, Value::Null),
            (TO_API, Value::Null),
            ("clusters/outbound|443||api.test/transport", Value::Null),
            ("secrets/default/source", json!("workload")),
        ],
    );
    let web = "selector: {matchLabels: {app: web}}";
    for (more, in_mesh, is_mesh) in [
        (policy("{mtls: {mode: DISABLE}}"), [false, false], true),
        (
            policy(&format!(
                "{{{web}, portLevelMtls: {{8000: {{mode: DISABLE}}}}}}"
            )),
            [false, false],
            true,
        ),
        (
            policy(&format!(
                "{{{web}, portLevelMtls: {{80: {{mode: DISABLE}}}}}}"
            )),
            [true, false],
            true,
        ),
        (rule("web", "mode: DISABLE"), [true, false], false),
        (rule("web", "mode: ISTIO_MUTUAL"), [true, true], true),
    ] {
        let value = |is: bool| if is { json!(true) } else { Value::Null };
        let yaml = format!("{WEB}{CLIENT}{more}");
        check_in_mesh(
            &yaml,
            &node,
            &[
                (&first, value(in_mesh[0])),
                (&second, value(in_mesh[1])),
                (
                    &alpn,
                    if is_mesh {
                        json!(["istio-h2", "h2"])
                    } else {
                        Value::Null
                    },
                ),
            ],
        );
    }
}

#[test]
fn inbound_ports_in_a_mesh_with_identities() {
    let listener = "listeners/127.0.0.9_8000/tls";
    let at = |rest: &str| format!("{listener}/{rest}");
    let node = workload("default", &[("app", "x")]);
    let yaml = |mode: &str| {
        format!(
            "{WEB}{CLIENT}{}",
            policy(&format!("{{mtls: {{mode: {mode}}}}}"))
        )
    };
    let client = at("chains/0/action/terminate/tls/client/required/names/trust_domains");
    check_in_mesh(
        &yaml("STRICT"),
        &node,
        &[
            (&at("accepts_plaintext"), Value::Null),
            (&at("chains/0/offered"), Value::Null),
            (
                &at("chains/0/action/terminate/tls/certificates"),
                json!(["default"]),
            ),
            (&client, json!(["mesh", "old"])),
            (&at("chains/1"), Value::Null),
        ],
    );
    check_in_mesh(
        &yaml("PERMISSIVE"),
        &node,
        &[
            (&at("accepts_plaintext"), json!(true)),
            (&at("chains/0/offered/0"), json!("istio")),
            (
                &at("chains/1/action/pass_through/routes/0/destinations/0/cluster"),
                json!("inbound|8000||"),
            ),
        ],
    );
    check_in_mesh(&yaml("DISABLE"), &node, &[(listener, Value::Null)]);
    // Without identities nobody could connect.
    check(&yaml("STRICT"), &node, &[(listener, Value::Null)]);
}

#[test]
fn services_that_speak_tls_are_led_to_by_name() {
    let listener = "listeners/127.0.0.1_443";
    check(
        &format!("{WEB}{CLIENT}"),
        &workload("default", &[]),
        &[
            (&format!("{listener}/tls/accepts_plaintext"), Value::Null),
            (
                &format!("{listener}/tls/chains/0/server_names"),
                json!(["api.test"]),
            ),
            (
                &format!(
                    "{listener}/tls/chains/0/action/pass_through/routes/0/destinations/0/cluster"
                ),
                json!("outbound|443||api.test"),
            ),
        ],
    );
}

#[test]
fn workloads_of_another_identity_change_clusters() {
    let loaded = resource::parse("test.yaml", WEB);
    let identity = MeshIdentity {
        trust_domain: "mesh".to_owned(),
        aliases: Vec::new(),
    };
    let registered = |account: &str| {
        let node = Node {
            name: "web-3".to_owned(),
            service_account: account.to_owned(),
            ..workload("default", &[("app", "web")])
        };
        Workload::from_node(&node)
    };
    for (identity, first, then, expected) in [
        (Some(&identity), None, registered("new"), true),
        (Some(&identity), None, registered("web"), false),
        (Some(&identity), registered("new"), None, true),
        (Some(&identity), registered("new"), registered("new"), false),
        (Some(&identity), registered("new"), registered("web"), true),
        (None, None, registered("new"), false),
    ] {
        let settings = MeshSettings {
            identity: identity.cloned(),
            ..MeshSettings::default()
        };
        let mut world = World::new(&loaded.resources, []).with_settings(settings.into());
        let mut touched = Touched::default();
        world.register("default", "web-3", first, &mut touched);
        let mut touched = Touched::default();
        world.register("default", "web-3", then.clone(), &mut touched);
        assert_eq!(touched.identities, expected, "{then:?}");
    }
}
