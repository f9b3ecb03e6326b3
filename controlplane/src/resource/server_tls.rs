//! `ServerTLSSettings`: how a Gateway's server speaks TLS.

use std::path::PathBuf;

use ringmain_config::tls::{MinVersion, TlsParameters};

use super::{
    cursor::{Cursor, Report},
    format,
    schema::{Choice, Field, Shape, TEXTS},
};

/// How a server speaks TLS, by files of the host that its proxy runs on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServerTls {
    /// A client without TLS is sent to where there is some.
    pub https_redirect: bool,
    /// What is asked of clients; absent: the server speaks no TLS.
    pub mode: Option<Mode>,
    /// Certificates with their keys, the first for who asks for none of them.
    pub certificates: Vec<CertificateFiles>,
    /// Authorities that clients' certificates must lead to.
    pub authorities: Option<PathBuf>,
    /// What those have revoked.
    pub revoked: Option<PathBuf>,
    /// Names one of which a client's certificate must have.
    pub names: Vec<String>,
    /// See [`PeerRules::spki_sha256`](ringmain_config::tls::PeerRules).
    pub spki_sha256: Vec<String>,
    /// See [`PeerRules::certificate_sha256`](ringmain_config::tls::PeerRules).
    pub certificate_sha256: Vec<String>,
    /// Versions, suites and groups.
    pub parameters: TlsParameters,
}

/// What is asked of clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Nothing.
    Simple,
    /// A certificate that passes.
    Mutual,
    /// A certificate that passes, or none.
    OptionalMutual,
}

/// A certificate with its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFiles {
    /// Followed by those that lead to its authority.
    pub certificate: PathBuf,
    /// Of the certificate.
    pub key: PathBuf,
}

const BY_NAME: &str = "the server would have no certificate; name files by serverCertificate, \
                       privateKey and caCertificates";
const NO_CLIENTS: &str = "clients would not be verified as it asks";

/// Of a Gateway's server and a Sidecar's ingress listener.
pub(super) static TLS: [Field; 17] = [
    Field::new("httpsRedirect", Shape::Boolean),
    Field::new("mode", Shape::Choice(&MODES)),
    Field::new("serverCertificate", Shape::Form(format::some_text)),
    Field::new("privateKey", Shape::Form(format::some_text)),
    Field::new("caCertificates", Shape::Form(format::some_text)),
    Field::new("caCrl", Shape::Form(format::some_text)),
    Field::new("subjectAltNames", TEXTS),
    Field::new("credentialName", Shape::Text).refused(BY_NAME),
    Field::new("credentialNames", TEXTS).refused(BY_NAME),
    Field::new("caCertCredentialName", Shape::Text).refused(NO_CLIENTS),
    Field::new("tlsCertificates", Shape::List(&Shape::Object(&CERTIFICATE))),
    Field::new("verifyCertificateSpki", TEXTS),
    Field::new("verifyCertificateHash", TEXTS),
    Field::new("minProtocolVersion", Shape::Choice(&VERSIONS)),
    Field::new("maxProtocolVersion", Shape::Choice(&VERSIONS)),
    Field::new("cipherSuites", TEXTS),
    Field::new("ecdhCurves", TEXTS),
];

static CERTIFICATE: [Field; 3] = [
    Field::new("serverCertificate", Shape::Form(format::some_text)).required(),
    Field::new("privateKey", Shape::Form(format::some_text)).required(),
    Field::new("caCertificates", Shape::Text).refused(NO_CLIENTS),
];

const CLOSED: &str = "nothing listens on it";

static MODES: [Choice; 6] = [
    Choice::new("PASSTHROUGH").refused(CLOSED),
    Choice::new("SIMPLE"),
    Choice::new("MUTUAL"),
    Choice::new("AUTO_PASSTHROUGH").refused(CLOSED),
    Choice::new("ISTIO_MUTUAL").refused(CLOSED),
    Choice::new("OPTIONAL_MUTUAL"),
];

static VERSIONS: [Choice; 5] = [
    Choice::new("TLS_AUTO"),
    Choice::new("TLSV1_0"),
    Choice::new("TLSV1_1"),
    Choice::new("TLSV1_2"),
    Choice::new("TLSV1_3"),
];

/// Reads what [`TLS`] describes. `ends_tls`: the server's protocol is within TLS.
pub(super) fn read(at: &Cursor<'_>, ends_tls: bool, report: &mut Report) -> Option<ServerTls> {
    let path = |name: &str| at.text_of(name).map(PathBuf::from);
    let mode = match at.text_of("mode") {
        None | Some("SIMPLE") => Mode::Simple,
        Some("MUTUAL") => Mode::Mutual,
        Some("OPTIONAL_MUTUAL") => Mode::OptionalMutual,
        // It was refused.
        Some(_) => return None,
    };
    let mut tls = ServerTls {
        https_redirect: at.boolean_of("httpsRedirect").unwrap_or_default(),
        mode: ends_tls.then_some(mode),
        certificates: certificates(at, report)?,
        authorities: path("caCertificates"),
        revoked: path("caCrl"),
        names: texts(at, "subjectAltNames"),
        spki_sha256: texts(at, "verifyCertificateSpki"),
        certificate_sha256: hashes(at, report)?,
        parameters: parameters(at, report),
    };
    if !ends_tls {
        let cannot = [
            "mode",
            "serverCertificate",
            "tlsCertificates",
            "caCertificates",
        ];
        if let Some(field) = cannot.iter().find_map(|name| at.field(name)) {
            let message = "the port would be served in plain text: its protocol is not HTTPS";
            report.error(&field, message);
            return None;
        }
        tls.certificates.clear();
        return Some(tls);
    }
    if tls.certificates.is_empty() {
        report.missing(at, "serverCertificate");
        return None;
    }
    if mode != Mode::Simple && tls.authorities.is_none() {
        report.missing(at, "caCertificates");
        return None;
    }
    Some(tls)
}

fn certificates(at: &Cursor<'_>, report: &mut Report) -> Option<Vec<CertificateFiles>> {
    let list = at.list("tlsCertificates");
    let own = at.field("serverCertificate").or(at.field("privateKey"));
    if let (Some(own), false) = (&own, list.is_empty()) {
        let message = "it has no effect beside `tlsCertificates`";
        report.warning(own, message);
    }
    let mut found = Vec::new();
    let places = match list.is_empty() {
        true if own.is_none() => Vec::new(),
        true => vec![*at],
        false => list,
    };
    for at in places {
        let pair = at
            .text_of("serverCertificate")
            .zip(at.text_of("privateKey"));
        let Some((certificate, key)) = pair else {
            let name = match at.text_of("privateKey") {
                None => "privateKey",
                Some(_) => "serverCertificate",
            };
            report.missing(&at, name);
            return None;
        };
        found.push(CertificateFiles {
            certificate: certificate.into(),
            key: key.into(),
        });
    }
    Some(found)
}

/// SHA-256 in hexadecimal, in upper or lower case, with or without colons.
fn hashes(at: &Cursor<'_>, report: &mut Report) -> Option<Vec<String>> {
    let mut hashes = Vec::new();
    for item in at.list("verifyCertificateHash") {
        let text = item.text()?.replace(':', "").to_ascii_lowercase();
        let is_hash = text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !is_hash {
            report.error(&item, "it is not a SHA-256 in hexadecimal: 64 digits");
            return None;
        }
        hashes.push(text);
    }
    Some(hashes)
}

fn parameters(at: &Cursor<'_>, report: &mut Report) -> TlsParameters {
    let mut old = |name: &str| {
        if let Some(version) = at.field(name)
            && matches!(version.text(), Some("TLSV1_0" | "TLSV1_1"))
        {
            report.warning(&version, "TLS before 1.2 is not spoken (RFC 8996): 1.2 is");
        }
        at.text_of(name)
    };
    let min_version = match old("minProtocolVersion") {
        Some("TLSV1_3") => MinVersion::Tls13,
        _ => MinVersion::Tls12,
    };
    let without_tls13 = match old("maxProtocolVersion") {
        None | Some("TLS_AUTO" | "TLSV1_3") => false,
        Some(_) => true,
    };
    TlsParameters {
        min_version,
        without_tls13,
        cipher_suites: known(at, "cipherSuites", &CIPHER_SUITES, report),
        groups: known(at, "ecdhCurves", &GROUPS, report),
    }
}

/// Those of TLS 1.2 that are safe; with others it is not spoken.
const CIPHER_SUITES: [&str; 6] = [
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-CHACHA20-POLY1305",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-RSA-CHACHA20-POLY1305",
];
const GROUPS: [&str; 4] = ["X25519", "P-256", "P-384", "X25519MLKEM768"];

/// The texts of a list that are `known`; the others are warned about.
fn known(at: &Cursor<'_>, name: &str, known: &[&str], report: &mut Report) -> Vec<String> {
    let mut found = Vec::new();
    for item in at.list(name) {
        match item.text() {
            Some(text) if known.contains(&text) => found.push(text.to_owned()),
            Some(text) => {
                let list = known.join(", ");
                let message = format!("`{}` is not used; these are: {list}", format::shown(text));
                report.warning(&item, message);
            }
            None => {}
        }
    }
    found
}

fn texts(at: &Cursor<'_>, name: &str) -> Vec<String> {
    let items = at.list(name);
    let texts = items.iter().filter_map(Cursor::text);
    texts.map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use ringmain_config::tls::MinVersion;

    use super::{
        super::{
            Resource,
            testing::{self, check},
        },
        Mode, ServerTls,
    };

    const PAIR: &str = "serverCertificate: /a.crt, privateKey: /a.key";

    fn gateway(protocol: &str, tls: &str) -> String {
        format!(
            "servers: [{{hosts: [a], port: {{number: 443, name: s, protocol: {protocol}}}, tls: \
             {{{tls}}}}}]"
        )
    }

    fn read(protocol: &str, tls: &str) -> ServerTls {
        match &*testing::read("Gateway", &gateway(protocol, tls)) {
            Resource::Gateway(own) => own.servers[0].tls.clone().unwrap(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn modes() {
        for (mode, expected) in [
            ("", Mode::Simple),
            ("mode: SIMPLE, ", Mode::Simple),
            ("mode: MUTUAL, caCertificates: /c, ", Mode::Mutual),
            (
                "mode: OPTIONAL_MUTUAL, caCertificates: /c, ",
                Mode::OptionalMutual,
            ),
        ] {
            let tls = read("HTTPS", &format!("{mode}{PAIR}"));
            assert_eq!(tls.mode, Some(expected), "{mode}");
            let [files] = tls.certificates.as_slice() else {
                panic!("{:?}", tls.certificates);
            };
            assert_eq!(files.certificate.to_str(), Some("/a.crt"));
            assert_eq!(files.key.to_str(), Some("/a.key"));
        }
        let tls = read("HTTP", "httpsRedirect: true");
        assert_eq!((tls.mode, tls.https_redirect), (None, true));
    }

    #[test]
    fn everything_else() {
        let hash = "AB:".repeat(31) + "ab";
        let tls = format!(
            "mode: MUTUAL, caCertificates: /c, caCrl: /r, subjectAltNames: [a, b], \
             tlsCertificates: [{{{PAIR}}}, {{serverCertificate: /b.crt, privateKey: /b.key}}], \
             verifyCertificateSpki: [x=], verifyCertificateHash: ['{hash}'], \
             minProtocolVersion: TLSV1_3, ecdhCurves: [P-256], \
             cipherSuites: [ECDHE-RSA-AES128-GCM-SHA256]"
        );
        let tls = read("HTTPS", &tls);
        assert_eq!(tls.certificates.len(), 2);
        assert_eq!(tls.authorities.unwrap().to_str(), Some("/c"));
        assert_eq!(tls.revoked.unwrap().to_str(), Some("/r"));
        assert_eq!(tls.names, ["a", "b"]);
        assert_eq!(tls.spki_sha256, ["x="]);
        assert_eq!(tls.certificate_sha256, ["ab".repeat(32)]);
        assert_eq!(tls.parameters.min_version, MinVersion::Tls13);
        assert_eq!(tls.parameters.groups, ["P-256"]);
        let suites = ["ECDHE-RSA-AES128-GCM-SHA256"];
        assert_eq!(tls.parameters.cipher_suites, suites);
        assert!(!tls.parameters.without_tls13);
        let tls = read("HTTPS", &format!("{PAIR}, maxProtocolVersion: TLSV1_2"));
        assert!(tls.parameters.without_tls13);
    }

    #[test]
    fn what_is_wrong_with_it() {
        for (protocol, tls, expected) in [
            (
                "HTTPS",
                "mode: SIMPLE",
                "1:76 error: spec.servers[0].tls.serverCertificate: `serverCertificate` is missing",
            ),
            (
                "HTTPS",
                "serverCertificate: /a",
                "1:76 error: spec.servers[0].tls.privateKey: `privateKey` is missing",
            ),
            (
                "HTTPS",
                &format!("mode: MUTUAL, {PAIR}"),
                "1:76 error: spec.servers[0].tls.caCertificates: `caCertificates` is missing",
            ),
            (
                "HTTP",
                &format!("mode: SIMPLE, {PAIR}"),
                "1:82 error: spec.servers[0].tls.mode: the port would be served in plain text: \
                 its protocol is not HTTPS",
            ),
            (
                "HTTPS",
                &format!("minProtocolVersion: TLSV1_0, {PAIR}"),
                "1:97 warning: spec.servers[0].tls.minProtocolVersion: TLS before 1.2 is not \
                 spoken (RFC 8996): 1.2 is",
            ),
            (
                "HTTPS",
                &format!("ecdhCurves: [P-521], {PAIR}"),
                "1:90 warning: spec.servers[0].tls.ecdhCurves[0]: `P-521` is not used; these are: \
                 X25519, P-256, P-384, X25519MLKEM768",
            ),
            (
                "HTTPS",
                &format!("verifyCertificateHash: [abc], {PAIR}"),
                "1:101 error: spec.servers[0].tls.verifyCertificateHash[0]: it is not a SHA-256 in \
                 hexadecimal: 64 digits",
            ),
        ] {
            check("Gateway", &gateway(protocol, tls), &[expected]);
        }
    }
}
