//! TLS as Istio's resources write it: of a port that is served ([`server`]), and towards a service
//! ([`client`]). Where certificates come from is only named here; what a name stands for is decided
//! where a Document is assembled.

mod client;
mod parameters;
mod server;
#[cfg(test)]
mod tests;

use std::path::PathBuf;

use super::{
    cursor::{Cursor, Fault, Report},
    format,
    span::Spanned,
};

pub use client::{ClientMode, ClientSettings};
pub(super) use client::{FIELDS as CLIENT, read as read_client};
pub(super) use server::{FIELDS as SERVER, read as read_server};
pub use server::{ServerMode, ServerSettings};

/// Where a certificate and its key come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyPair {
    /// Files of the proxy's host.
    Files {
        /// The certificate and those that lead to its authority.
        certificate: PathBuf,
        /// Its key.
        key: PathBuf,
    },
    /// `credentialName`.
    Credential(Spanned<String>),
}

/// Where the authorities that are trusted come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Authorities {
    /// A file of the proxy's host.
    File(PathBuf),
    /// `caCertCredentialName`, or a `credentialName` whose secret holds them.
    Credential(Spanned<String>),
}

/// An absolute path; anything else is reported.
fn path(at: &Cursor<'_>, name: &str, report: &mut Report) -> Option<PathBuf> {
    let field = at.field(name)?;
    let text = field.text().filter(|text| !text.is_empty())?;
    if !text.starts_with('/') {
        let message = format!("`{}` is not an absolute path", format::shown(text));
        let hint = "a proxy may run in any directory: begin it with `/`";
        report.error(&field, Fault::new(message).hint(hint));
    }
    Some(PathBuf::from(text))
}

/// A name of a credential: `name` or `namespace/name`. Its parts become parts of a path, and so are
/// names that Kubernetes knows.
fn credential(field: &Cursor<'_>, report: &mut Report) -> Option<Spanned<String>> {
    let text = field.text().filter(|text| !text.is_empty())?;
    let (namespace, name) = match text.split_once('/') {
        Some((namespace, name)) => (Some(namespace), name),
        None => (None, text),
    };
    let checked = namespace.map_or(Ok(()), format::dns_label);
    if let Err(fault) = checked.and_then(|()| format::dns_name(name)) {
        let hint = "write the name of a Secret, or of a directory of credentials";
        report.error(field, fault.hint(hint));
    }
    Some(field.spanned(text.to_owned()))
}

/// `name` and `other` of a key pair, both or neither.
fn key_pair(at: &Cursor<'_>, [name, other]: [&str; 2], report: &mut Report) -> Option<KeyPair> {
    match (path(at, name, report), path(at, other, report)) {
        (Some(certificate), Some(key)) => Some(KeyPair::Files { certificate, key }),
        (Some(_), None) => {
            report.missing(at, other);
            None
        }
        (None, Some(_)) => {
            report.missing(at, name);
            None
        }
        (None, None) => None,
    }
}

fn texts(at: &Cursor<'_>, name: &str) -> Vec<String> {
    let texts = at.each_of_list(name);
    texts
        .filter_map(|text| text.text().map(str::to_owned))
        .collect()
}
