//! `ClientTLSSettings`: of a DestinationRule.

use std::path::PathBuf;

use super::{Authorities, KeyPair, credential, key_pair, path, texts};
use crate::resource::{
    cursor::{Cursor, Fault, Report},
    schema::{Choice, Field, Shape, TEXTS},
};

/// TLS towards a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientSettings {
    /// What is spoken.
    pub mode: ClientMode,
    /// What is shown to the service; there where the mode is `Mutual`.
    pub certificate: Option<KeyPair>,
    /// By which the service is verified. Absent: by those that the system trusts, or that come
    /// with the credential.
    pub authorities: Option<Authorities>,
    /// `caCrl`.
    pub revoked: Option<PathBuf>,
    /// One of these must be the service's. Empty: that of the ServiceEntry, else the name that it
    /// is asked for by.
    pub names: Vec<String>,
    /// `sni`. Absent: the host of each request.
    pub server_name: Option<String>,
    /// `insecureSkipVerify`.
    pub trusts_anybody: bool,
}

/// What is spoken to a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientMode {
    /// Plain text.
    Disable,
    /// TLS.
    Simple,
    /// TLS with a certificate.
    Mutual,
    /// TLS with the identities of the mesh.
    IstioMutual,
}

pub(in super::super) static FIELDS: [Field; 9] = [
    Field::new("mode", Shape::Choice(&MODES)),
    Field::new("clientCertificate", Shape::Text),
    Field::new("privateKey", Shape::Text),
    Field::new("caCertificates", Shape::Text),
    Field::new("credentialName", Shape::Text),
    Field::new("subjectAltNames", TEXTS),
    Field::new("sni", Shape::Text),
    Field::new("insecureSkipVerify", Shape::Boolean),
    Field::new("caCrl", Shape::Text),
];

static MODES: [Choice; 4] = [
    Choice::new("DISABLE"),
    Choice::new("SIMPLE"),
    Choice::new("MUTUAL"),
    Choice::new("ISTIO_MUTUAL"),
];

/// Reads what [`FIELDS`] describes.
pub(in super::super) fn read(at: &Cursor<'_>, report: &mut Report) -> ClientSettings {
    let mode = match at.text_of("mode") {
        Some("SIMPLE") => ClientMode::Simple,
        Some("MUTUAL") => ClientMode::Mutual,
        Some("ISTIO_MUTUAL") => ClientMode::IstioMutual,
        _ => ClientMode::Disable,
    };
    let pair = key_pair(at, ["clientCertificate", "privateKey"], report);
    let file = path(at, "caCertificates", report).map(Authorities::File);
    let named = at
        .field("credentialName")
        .and_then(|field| credential(&field, report));
    if named.is_some() && (pair.is_some() || file.is_some()) {
        let fault = Fault::new("`credentialName` and paths of files exclude each other");
        report.error(at, fault.hint("remove one of them"));
    }
    let is_mutual = mode == ClientMode::Mutual;
    let credential = named.clone().filter(|_| is_mutual);
    let settings = ClientSettings {
        mode,
        certificate: credential.map(KeyPair::Credential).or(pair),
        authorities: named.map(Authorities::Credential).or(file),
        revoked: path(at, "caCrl", report),
        names: texts(at, "subjectAltNames"),
        server_name: at
            .text_of("sni")
            .filter(|sni| !sni.is_empty())
            .map(str::to_ascii_lowercase),
        trusts_anybody: at.boolean_of("insecureSkipVerify") == Some(true),
    };
    check(&settings, at, report);
    settings
}

fn check(settings: &ClientSettings, at: &Cursor<'_>, report: &mut Report) {
    let own = settings.certificate.is_some() || settings.authorities.is_some();
    match settings.mode {
        ClientMode::Mutual if settings.certificate.is_none() => {
            let fault = Fault::new("there is no certificate to show");
            let hint = "add `credentialName`, or `clientCertificate` and `privateKey`";
            report.error(at, fault.hint(hint));
        }
        ClientMode::Simple if settings.certificate.is_some() => {
            let fault = Fault::new("with the mode SIMPLE no certificate is shown");
            let hint = "write MUTUAL, or remove `clientCertificate` and `privateKey`";
            report.error(at, fault.hint(hint));
        }
        ClientMode::IstioMutual if own => {
            let fault = Fault::new("with the mode ISTIO_MUTUAL the mesh's certificates are used");
            report.error(at, fault.hint("remove these, or write MUTUAL"));
        }
        ClientMode::Disable if own => {
            let fault = Fault::new("without TLS certificates have no meaning");
            report.warning(at, fault.hint("write a `mode`, such as SIMPLE"));
        }
        ClientMode::Disable | ClientMode::Simple | ClientMode::Mutual | ClientMode::IstioMutual => {
        }
    }
    if settings.trusts_anybody && (settings.authorities.is_some() && settings.certificate.is_none())
    {
        let fault =
            Fault::new("with `insecureSkipVerify` the service's certificate is not verified");
        report.warning(at, fault.hint("remove it: whoever answers is believed"));
    }
}
