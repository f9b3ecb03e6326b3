use super::super::testing::check;

const PORT: &str = "hosts: ['*'], port: {number: 443, name: https, protocol: HTTPS}";

/// Every problem of a server's `tls`, without where it stands.
#[track_caller]
fn server(tls: &str, expected: &[&str]) {
    let spec = format!("servers: [{{{PORT}, tls: {{{tls}}}}}]");
    found("Gateway", &spec, "spec.servers[0].tls", expected);
}

/// The same of a DestinationRule.
#[track_caller]
fn client(tls: &str, expected: &[&str]) {
    let spec = format!("{{host: a, trafficPolicy: {{tls: {{{tls}}}}}}}");
    found("DestinationRule", &spec, "spec.trafficPolicy.tls", expected);
}

#[track_caller]
fn found(kind: &str, spec: &str, place: &str, expected: &[&str]) {
    let document = super::super::testing::document(kind, spec);
    let loaded = super::super::parse("file.yaml", &document);
    let problems: Vec<String> = loaded
        .problems
        .iter()
        .map(|problem| {
            let text = problem.to_string();
            let (before, after) = text.split_once(place).expect("it is in `tls`");
            let severity = match before.contains("error") {
                true => "error",
                false => "warning",
            };
            format!("{severity}{after}")
        })
        .collect();
    let fits = problems.len() == expected.len()
        && problems.iter().zip(expected).all(|(found, part)| {
            let mut parts = part.split("...");
            let start = parts.next().expect("there is one");
            found.starts_with(start) && parts.all(|part| found.contains(part))
        });
    assert!(fits, "{spec}: {problems:#?}");
}

#[test]
fn servers_without_fault() {
    for tls in [
        "mode: SIMPLE, credentialName: a",
        "mode: SIMPLE, credentialName: ns/a.b",
        "mode: SIMPLE, serverCertificate: /a, privateKey: /b",
        "mode: SIMPLE, credentialNames: [a, b]",
        "mode: SIMPLE, tlsCertificates: [{serverCertificate: /a, privateKey: /b}, \
         {serverCertificate: /c, privateKey: /d}]",
        "mode: MUTUAL, credentialName: a, subjectAltNames: [x]",
        "mode: MUTUAL, serverCertificate: /a, privateKey: /b, caCertificates: /c, caCrl: /d",
        "mode: OPTIONAL_MUTUAL, serverCertificate: /a, privateKey: /b, caCertCredentialName: c",
        "mode: ISTIO_MUTUAL",
        "mode: PASSTHROUGH",
        "mode: SIMPLE, credentialName: a, minProtocolVersion: TLSV1_2, maxProtocolVersion: \
         TLSV1_3, cipherSuites: [ECDHE-RSA-AES128-GCM-SHA256, TLS_AES_128_GCM_SHA256], \
         ecdhCurves: [X25519, P-256]",
        "mode: SIMPLE, credentialName: a, cipherSuites: [TLS_AES_128_GCM_SHA256]",
    ] {
        server(tls, &[]);
    }
}

#[test]
fn what_is_wrong_with_servers() {
    let simple = "mode: SIMPLE, credentialName: a";
    for (tls, expected) in [
        (
            "mode: SIMPLE".to_owned(),
            "error: there is no certificate to show",
        ),
        (
            "mode: SIMPLE, serverCertificate: a, privateKey: /b".to_owned(),
            "error.serverCertificate: `a` is not an absolute path",
        ),
        (
            "mode: SIMPLE, credentialName: ../a".to_owned(),
            "error.credentialName: ",
        ),
        (
            format!("{simple}, serverCertificate: /a, privateKey: /b"),
            "error: `credentialName` and `serverCertificate` exclude each other",
        ),
        (
            "mode: SIMPLE, credentialNames: [a, b, c]".to_owned(),
            "error: a server shows at most 2 certificates",
        ),
        (
            format!("{simple}, subjectAltNames: [x]"),
            "error: with the mode SIMPLE no client is asked",
        ),
        (
            "mode: MUTUAL, serverCertificate: /a, privateKey: /b".to_owned(),
            "error: there is no authority to verify clients by",
        ),
        (
            "mode: PASSTHROUGH, credentialName: a".to_owned(),
            "error: certificates have no meaning with the mode PASSTHROUGH",
        ),
        (
            "mode: AUTO_PASSTHROUGH".to_owned(),
            "error.mode: `AUTO_PASSTHROUGH` is not supported",
        ),
        (
            format!("{simple}, minProtocolVersion: TLSV1_0"),
            "warning.minProtocolVersion: versions before TLS 1.2 are not safe",
        ),
        (
            format!("{simple}, maxProtocolVersion: TLSV1_1"),
            "error.maxProtocolVersion: no version is left",
        ),
        (
            format!("{simple}, minProtocolVersion: TLSV1_3, maxProtocolVersion: TLSV1_2"),
            "error.maxProtocolVersion: no version is left: the newest is older",
        ),
        (
            format!("{simple}, cipherSuites: [ECDHE-RSA-AES128-GCM-SHA256, AES128-SHA]"),
            "warning.cipherSuites[1]: `AES128-SHA` is not spoken...ECDHE-ECDSA-AES128-GCM-SHA256",
        ),
        (
            format!("{simple}, ecdhCurves: [X25519, P-521]"),
            "warning.ecdhCurves[1]: `P-521` is not spoken...use X25519, P-256, P-384",
        ),
        (
            format!("{simple}, verifyCertificateHash: [ab]"),
            "error.verifyCertificateHash[0]: `ab` is not a SHA-256 hash",
        ),
        (
            format!("{simple}, httpsRedirect: true"),
            "warning: `httpsRedirect` has no effect",
        ),
        (
            String::new(),
            "warning: without a `mode` connections are passed through",
        ),
    ] {
        let expected: &[&str] = match tls.contains("verifyCertificateHash") {
            true => &["error: with the mode SIMPLE no client is asked", expected],
            false => &[expected],
        };
        server(&tls, expected);
    }
    server(
        "mode: SIMPLE, serverCertificate: /a",
        &[
            "error.privateKey: `privateKey` is missing",
            "error: there is no certificate to show",
        ],
    );
    server(
        "mode: SIMPLE, credentialName: a, cipherSuites: [AES128-SHA]",
        &[
            "error.cipherSuites: none of them is spoken",
            "warning.cipherSuites[0]: `AES128-SHA` is not spoken",
        ],
    );
}

#[test]
fn what_is_wrong_with_clients() {
    for (tls, expected) in [
        ("mode: SIMPLE", &[][..]),
        ("mode: DISABLE", &[]),
        (
            "mode: SIMPLE, caCertificates: /a, sni: b, subjectAltNames: [c], caCrl: /d",
            &[],
        ),
        ("mode: MUTUAL, clientCertificate: /a, privateKey: /b", &[]),
        ("mode: MUTUAL, credentialName: a", &[]),
        ("mode: ISTIO_MUTUAL, sni: b", &[]),
        ("mode: MUTUAL", &["error: there is no certificate to show"]),
        (
            "mode: SIMPLE, clientCertificate: /a, privateKey: /b",
            &["error: with the mode SIMPLE no certificate is shown"],
        ),
        (
            "mode: MUTUAL, credentialName: a, caCertificates: /a",
            &["error: `credentialName` and paths of files exclude each other"],
        ),
        (
            "mode: ISTIO_MUTUAL, caCertificates: /a",
            &["error: with the mode ISTIO_MUTUAL the mesh's certificates are used"],
        ),
        (
            "mode: SIMPLE, caCertificates: /a, insecureSkipVerify: true",
            &["warning: with `insecureSkipVerify` the service's certificate is not verified"],
        ),
        (
            "caCertificates: /a",
            &["warning: without TLS certificates have no meaning"],
        ),
    ] {
        client(tls, expected);
    }
}

#[test]
fn tls_of_other_protocols() {
    check(
        "Gateway",
        "servers: [{hosts: ['*'], tls: {mode: PASSTHROUGH}, port: {number: 1, name: a, protocol: \
         TCP}}]",
        &[
            "1:31 error: spec.servers[0].tls: the protocol TCP is spoken without TLS; write \
             `protocol: TLS`, or remove `tls`",
        ],
    );
}
