//! `ServerTLSSettings`: of a Gateway's server and a Sidecar's ingress listener.

use std::path::PathBuf;

use ringmain_config::tls::TlsParameters;

use super::{Authorities, KeyPair, credential, key_pair, parameters, path, texts};
use crate::resource::{
    cursor::{Cursor, Fault, Report},
    format,
    schema::{Choice, Field, Shape, TEXTS},
};

/// TLS of a port that is served.
#[derive(Clone, Debug, PartialEq)]
pub struct ServerSettings {
    /// What is done with connections.
    pub mode: ServerMode,
    /// `httpsRedirect`: requests in plain text are sent to `https`.
    pub redirects: bool,
    /// What can be shown to clients; not empty where the mode shows one of its own.
    pub certificates: Vec<KeyPair>,
    /// By which clients' certificates are verified; there where the mode asks for them, but for
    /// those that come with the credential.
    pub authorities: Option<Authorities>,
    /// `caCrl`.
    pub revoked: Option<PathBuf>,
    /// One of these must be a client's. Empty: any.
    pub names: Vec<String>,
    /// `verifyCertificateSpki`: SHA-256 in base64.
    pub spki_sha256: Vec<String>,
    /// `verifyCertificateHash`: SHA-256 in hexadecimal, lower case, without colons.
    pub certificate_sha256: Vec<String>,
    /// What the handshake may agree on.
    pub parameters: TlsParameters,
}

/// What is done with connections of TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServerMode {
    /// They go on as they are, by the name that the client asks for.
    PassThrough,
    /// They end here.
    Simple,
    /// As `Simple`; the client must show a certificate.
    Mutual,
    /// As `Simple`; the client may show a certificate.
    OptionalMutual,
    /// As `Mutual`, with the identities of the mesh.
    IstioMutual,
}

pub(in super::super) static FIELDS: [Field; 17] = [
    Field::new("httpsRedirect", Shape::Boolean),
    Field::new("mode", Shape::Choice(&MODES)),
    Field::new("serverCertificate", Shape::Text),
    Field::new("privateKey", Shape::Text),
    Field::new("caCertificates", Shape::Text),
    Field::new("caCrl", Shape::Text),
    Field::new("subjectAltNames", TEXTS),
    Field::new("credentialName", Shape::Text),
    Field::new("credentialNames", TEXTS),
    Field::new("caCertCredentialName", Shape::Text),
    Field::new(
        "tlsCertificates",
        Shape::List(&Shape::Object(&TLS_CERTIFICATE)),
    ),
    Field::new("verifyCertificateSpki", Shape::List(&Shape::Form(spki))),
    Field::new("verifyCertificateHash", Shape::List(&Shape::Form(hash))),
    Field::new("minProtocolVersion", Shape::Choice(&VERSIONS)),
    Field::new("maxProtocolVersion", Shape::Choice(&VERSIONS)),
    Field::new("cipherSuites", TEXTS),
    Field::new("ecdhCurves", TEXTS),
];

static TLS_CERTIFICATE: [Field; 3] = [
    Field::new("serverCertificate", Shape::Text).required(),
    Field::new("privateKey", Shape::Text).required(),
    // The API has it, and says that it is not used.
    Field::new("caCertificates", Shape::Text).inert(),
];

static MODES: [Choice; 6] = [
    Choice::new("PASSTHROUGH"),
    Choice::new("SIMPLE"),
    Choice::new("MUTUAL"),
    Choice::new("AUTO_PASSTHROUGH")
        .refused("it leads between networks by names of clusters, and here is one network"),
    Choice::new("ISTIO_MUTUAL"),
    Choice::new("OPTIONAL_MUTUAL"),
];

static VERSIONS: [Choice; 5] = [
    Choice::new("TLS_AUTO"),
    Choice::new("TLSV1_0"),
    Choice::new("TLSV1_1"),
    Choice::new("TLSV1_2"),
    Choice::new("TLSV1_3"),
];

/// Certificates of one server: one for each kind of key.
const CERTIFICATES_MAX: usize = 2;

/// Reads what [`FIELDS`] describes.
pub(in super::super) fn read(at: &Cursor<'_>, report: &mut Report) -> ServerSettings {
    // PASSTHROUGH is what the API has for a mode that is not written.
    let mode = match at.text_of("mode") {
        Some("SIMPLE") => ServerMode::Simple,
        Some("MUTUAL") => ServerMode::Mutual,
        Some("OPTIONAL_MUTUAL") => ServerMode::OptionalMutual,
        Some("ISTIO_MUTUAL") => ServerMode::IstioMutual,
        _ => ServerMode::PassThrough,
    };
    let hashes = texts(at, "verifyCertificateHash").into_iter();
    let settings = ServerSettings {
        mode,
        redirects: at.boolean_of("httpsRedirect") == Some(true),
        certificates: certificates(at, report),
        authorities: authorities(at, report),
        revoked: path(at, "caCrl", report),
        names: texts(at, "subjectAltNames"),
        spki_sha256: texts(at, "verifyCertificateSpki"),
        certificate_sha256: hashes.map(|hash| plain(&hash)).collect(),
        parameters: parameters::read(at, report),
    };
    check(&settings, at, report);
    settings
}

fn certificates(at: &Cursor<'_>, report: &mut Report) -> Vec<KeyPair> {
    let mut found = Vec::new();
    let mut named = Vec::new();
    if let Some(field) = at.field("credentialName")
        && let Some(name) = credential(&field, report)
    {
        named.push("credentialName");
        found.push(KeyPair::Credential(name));
    }
    if at.length_of("credentialNames") > 0 {
        named.push("credentialNames");
        let names = at.each_of_list("credentialNames");
        let names = names.filter_map(|field| credential(&field, report));
        found.extend(names.map(KeyPair::Credential));
    }
    if let Some(pair) = key_pair(at, ["serverCertificate", "privateKey"], report) {
        named.push("serverCertificate");
        found.push(pair);
    }
    if at.length_of("tlsCertificates") > 0 {
        named.push("tlsCertificates");
        for at in at.each_of_list("tlsCertificates") {
            found.extend(key_pair(&at, ["serverCertificate", "privateKey"], report));
        }
    }
    if let [first, second, ..] = named.as_slice() {
        let fault = Fault::new(format!("`{first}` and `{second}` exclude each other"));
        report.error(at, fault.hint("remove one of them"));
    }
    if found.len() > CERTIFICATES_MAX {
        let fault = Fault::new(format!(
            "a server shows at most {CERTIFICATES_MAX} certificates"
        ));
        report.error(
            at,
            fault.hint("name one with an ECDSA key and one with an RSA key"),
        );
    }
    found
}

fn authorities(at: &Cursor<'_>, report: &mut Report) -> Option<Authorities> {
    let file = path(at, "caCertificates", report).map(Authorities::File);
    let named = at
        .field("caCertCredentialName")
        .and_then(|field| credential(&field, report));
    if file.is_some() && named.is_some() {
        let fault = Fault::new("`caCertificates` and `caCertCredentialName` exclude each other");
        report.error(at, fault.hint("remove one of them"));
    }
    named.map(Authorities::Credential).or(file)
}

/// What the mode needs, and what means nothing with it.
fn check(settings: &ServerSettings, at: &Cursor<'_>, report: &mut Report) {
    let own = !settings.certificates.is_empty() || settings.authorities.is_some();
    let asks = match settings.mode {
        ServerMode::PassThrough | ServerMode::IstioMutual => {
            if own {
                let mode = match settings.mode {
                    ServerMode::IstioMutual => "ISTIO_MUTUAL",
                    _ => "PASSTHROUGH",
                };
                let fault = Fault::new(format!(
                    "certificates have no meaning with the mode {mode}: none of them is used"
                ));
                let hint = "remove them, or write another `mode`, such as SIMPLE";
                report.error(at, fault.hint(hint));
            }
            return;
        }
        ServerMode::Simple => false,
        ServerMode::Mutual | ServerMode::OptionalMutual => true,
    };
    if settings.certificates.is_empty() {
        let fault = Fault::new("there is no certificate to show");
        let hint = "add `credentialName`, or `serverCertificate` and `privateKey`";
        report.error(at, fault.hint(hint));
    }
    let has_credential = || {
        let mut pairs = settings.certificates.iter();
        pairs.any(|pair| matches!(pair, KeyPair::Credential(_)))
    };
    if asks && settings.authorities.is_none() && !has_credential() {
        let fault = Fault::new("there is no authority to verify clients by");
        report.error(
            at,
            fault.hint("add `caCertificates` or `caCertCredentialName`"),
        );
    }
    let verifies = !settings.names.is_empty()
        || !settings.spki_sha256.is_empty()
        || !settings.certificate_sha256.is_empty();
    if !asks && verifies {
        let fault = Fault::new("with the mode SIMPLE no client is asked for a certificate");
        let hint = "write MUTUAL to check what clients show, or remove what is to be checked";
        report.error(at, fault.hint(hint));
    }
}

/// 32 bytes in base64: 43 characters and one of padding.
fn spki(text: &str) -> Result<(), Fault> {
    let is_base64 = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/';
    match text.strip_suffix('=') {
        Some(digits) if digits.len() == 43 && digits.bytes().all(is_base64) => Ok(()),
        _ => Err(not_hash(text, "base64, 44 characters")),
    }
}

/// 32 bytes in hexadecimal, with or without colons.
fn hash(text: &str) -> Result<(), Fault> {
    let digits = plain(text);
    match digits.len() == 64 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        true => Ok(()),
        false => Err(not_hash(text, "hexadecimal, 64 digits")),
    }
}

fn plain(hash: &str) -> String {
    hash.replace(':', "").to_ascii_lowercase()
}

fn not_hash(text: &str, form: &str) -> Fault {
    let message = format!("`{}` is not a SHA-256 hash", format::shown(text));
    Fault::new(message).hint(format!("write it in {form}"))
}
