//! v1 Secret and ConfigMap: certificates, keys and authorities that other resources name.
//!
//! Of a Secret the names of Kubernetes (`tls.crt`, `tls.key`, `ca.crt`, `ca.crl`) and those of
//! Istio (`cert`, `key`, `cacert`, `crl`) are read, of a ConfigMap `ca.crt` and `ca.crl`. What else
//! they hold is of others. Nothing of a value is ever part of a problem.

use data_encoding::BASE64;
use ringmain_config::secret::{Confidential, InlineSecret};

use super::{
    cursor::{Cursor, Fault, Report},
    format,
    metadata::{METADATA, Metadata},
    schema::{Field, Shape},
};

/// PEM texts under a name.
#[derive(Clone, Debug, PartialEq)]
pub struct Credential {
    /// Who it is.
    pub metadata: Metadata,
    /// Which of the two kinds.
    pub kind: CredentialKind,
    /// What it holds; never nothing.
    pub material: InlineSecret,
}

/// A kind of document that holds PEM texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CredentialKind {
    /// v1 Secret.
    Secret,
    /// v1 ConfigMap: it has no key.
    ConfigMap,
}

impl CredentialKind {
    /// As in the file.
    pub fn name(self) -> &'static str {
        match self {
            Self::Secret => "Secret",
            Self::ConfigMap => "ConfigMap",
        }
    }
}

/// A whole Secret.
pub(super) static SECRET: [Field; 7] = [
    Field::new("apiVersion", Shape::Text).required(),
    Field::new("kind", Shape::Text).required(),
    Field::new("metadata", METADATA).required(),
    Field::new("type", Shape::Text),
    Field::new("immutable", Shape::Boolean).inert(),
    Field::new("data", Shape::Map(format::any_text, &Shape::Any)),
    Field::new("stringData", Shape::Map(format::any_text, &Shape::Any)),
];

/// A whole ConfigMap.
pub(super) static CONFIG_MAP: [Field; 6] = [
    Field::new("apiVersion", Shape::Text).required(),
    Field::new("kind", Shape::Text).required(),
    Field::new("metadata", METADATA).required(),
    Field::new("immutable", Shape::Boolean).inert(),
    Field::new("data", Shape::Map(format::any_text, &Shape::Any)),
    Field::new("binaryData", Shape::Any).inert(),
];

/// Reads what [`SECRET`] or [`CONFIG_MAP`] describes; none when nothing in it is known here, which
/// is reported.
pub(super) fn read(
    kind: CredentialKind,
    metadata: Metadata,
    root: &Cursor<'_>,
    report: &mut Report,
) -> Option<Credential> {
    let mut value = |names: &[&str]| {
        let mut values = names
            .iter()
            .filter_map(|name| find(kind, root, name, report));
        values.next()
    };
    let material = match kind {
        CredentialKind::Secret => InlineSecret {
            certificate: value(&["cert", "tls.crt"]),
            key: value(&["key", "tls.key"]).map(Confidential),
            authorities: value(&["cacert", "ca.crt"]),
            revoked: value(&["crl", "ca.crl"]),
        },
        CredentialKind::ConfigMap => InlineSecret {
            authorities: value(&["ca.crt"]),
            revoked: value(&["ca.crl"]),
            ..InlineSecret::default()
        },
    };
    if material == InlineSecret::default() {
        let kind = kind.name();
        let message = format!("{kind} without certificates means nothing on a host: it is ignored");
        report.key(ringmain_config::problem::Severity::Warning, root, message);
        return None;
    }
    check(&material, root, report);
    Some(Credential {
        metadata,
        kind,
        material,
    })
}

/// The text under a name. `stringData` goes before `data`, as when Kubernetes merges them.
fn find(
    kind: CredentialKind,
    root: &Cursor<'_>,
    name: &str,
    report: &mut Report,
) -> Option<String> {
    let data = root.field("data").and_then(|data| data.field(name));
    if kind == CredentialKind::ConfigMap {
        let field = data?;
        return plain(&field, name, report);
    }
    let written = root.field("stringData").and_then(|data| data.field(name));
    if let Some(field) = written {
        return plain(&field, name, report);
    }
    let field = data?;
    let decoded = field.text().and_then(|text| {
        let digits: String = text.split_ascii_whitespace().collect();
        let bytes = BASE64.decode(digits.as_bytes()).ok()?;
        String::from_utf8(bytes).ok()
    });
    if decoded.is_none() {
        let fault = Fault::new(format!("`{name}` is not text in base64"));
        report.error(
            &field,
            fault.hint("write plain PEM under `stringData` instead"),
        );
    }
    decoded.filter(|text| !text.trim().is_empty())
}

fn plain(field: &Cursor<'_>, name: &str, report: &mut Report) -> Option<String> {
    if field.text().is_none() {
        report.error(field, format!("`{name}` is not text"));
    }
    let text = field.text()?;
    (!text.trim().is_empty()).then(|| text.to_owned())
}

/// Each text is PEM of the right kind, as far as its labels say (RFC 7468).
fn check(material: &InlineSecret, root: &Cursor<'_>, report: &mut Report) {
    let InlineSecret {
        certificate,
        key,
        authorities,
        revoked,
    } = material;
    let key = key.as_ref().map(|key| &key.0);
    for (text, what, label) in [
        (certificate.as_ref(), "certificate", "CERTIFICATE"),
        (key, "key", "PRIVATE KEY"),
        (authorities.as_ref(), "authority", "CERTIFICATE"),
        (revoked.as_ref(), "list of what is revoked", "X509 CRL"),
    ] {
        let Some(text) = text else { continue };
        if !has_block(text, label) {
            let fault = Fault::new(format!(
                "the {what} is not PEM: no block `{label}` is in it"
            ));
            report.error(
                root,
                fault.hint(format!("it begins with `-----BEGIN {label}-----`")),
            );
        }
    }
    if certificate.is_some() != key.is_some() {
        let (there, missing) = match key {
            Some(_) => ("key", "certificate"),
            None => ("certificate", "key"),
        };
        let fault = Fault::new(format!("there is a {there} without its {missing}"));
        report.error(root, fault.hint("both are needed to show the certificate"));
    }
}

/// `text` has a whole block with this label, or one that ends with it (`EC PRIVATE KEY`).
fn has_block(text: &str, label: &str) -> bool {
    let is = |line: &str, edge: &str| {
        let named = line.trim().strip_prefix(edge);
        let named = named.and_then(|rest| rest.strip_suffix("-----"));
        named.is_some_and(|named| {
            let before = named.strip_suffix(label);
            before.is_some_and(|before| before.is_empty() || before.ends_with(' '))
        })
    };
    let mut lines = text.lines();
    lines.any(|line| is(line, "-----BEGIN ")) && lines.any(|line| is(line, "-----END "))
}

#[cfg(test)]
mod tests {
    use super::super::{Resource, parse};
    use super::*;

    const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----\\nAA==\\n-----END CERTIFICATE-----\\n";
    const KEY: &str = "-----BEGIN EC PRIVATE KEY-----\\nAA==\\n-----END EC PRIVATE KEY-----\\n";

    fn document(kind: &str, rest: &str) -> String {
        format!("apiVersion: v1\nkind: {kind}\nmetadata: {{name: a}}\n{rest}\n")
    }

    fn read(kind: &str, rest: &str) -> Result<Credential, Vec<String>> {
        let loaded = parse("file.yaml", &document(kind, rest));
        match loaded.resources.first().map(|resource| &**resource) {
            Some(Resource::Credential(found)) => Ok(found.clone()),
            _ => Err(loaded.problems.iter().map(ToString::to_string).collect()),
        }
    }

    #[test]
    fn names_of_kubernetes_and_of_istio() {
        let text = |text: &str| text.replace("\\n", "\n");
        let encoded = BASE64.encode(text(CERTIFICATE).as_bytes());
        for (kind, rest, expected) in [
            (
                "Secret",
                format!("stringData: {{tls.crt: \"{CERTIFICATE}\", tls.key: \"{KEY}\"}}"),
                [true, true, false],
            ),
            (
                "Secret",
                format!(
                    "type: Opaque\nstringData: {{cert: \"{CERTIFICATE}\", key: \"{KEY}\", \
                     cacert: \"{CERTIFICATE}\"}}"
                ),
                [true, true, true],
            ),
            (
                "Secret",
                format!("data: {{ca.crt: {encoded}, password: AA==}}"),
                [false, false, true],
            ),
            (
                "ConfigMap",
                format!("data: {{ca.crt: \"{CERTIFICATE}\", other: x}}"),
                [false, false, true],
            ),
        ] {
            let found = read(kind, &rest).unwrap().material;
            let held = [
                found.certificate.is_some(),
                found.key.is_some(),
                found.authorities.is_some(),
            ];
            assert_eq!(held, expected, "{rest}");
            let authorities = found.authorities.unwrap_or_else(|| text(CERTIFICATE));
            assert_eq!(authorities, text(CERTIFICATE), "{rest}");
        }
    }

    #[test]
    fn what_is_wrong_says_nothing_of_a_value() {
        for (kind, rest, expected) in [
            (
                "Secret",
                "data: {tls.crt: 'geheim!', tls.key: 'geheim!'}",
                "`tls.crt` is not text in base64",
            ),
            (
                "Secret",
                "stringData: {tls.crt: geheim, tls.key: geheim}",
                "the key is not PEM: no block `PRIVATE KEY` is in it",
            ),
            (
                "Secret",
                "stringData: {tls.key: geheim}",
                "there is a key without its certificate",
            ),
            (
                "Secret",
                "stringData: {ca.crt: [geheim]}",
                "`ca.crt` is not text",
            ),
            (
                "Secret",
                "stringData: {password: geheim}",
                "Secret without certificates means nothing",
            ),
            (
                "ConfigMap",
                "data: {tls.key: geheim}",
                "ConfigMap without certificates means nothing",
            ),
        ] {
            let found = read(kind, rest).unwrap_err();
            assert!(
                found.iter().any(|problem| problem.contains(expected)),
                "{rest}: {found:?}"
            );
            assert!(
                !found.iter().any(|problem| problem.contains("geheim")),
                "{found:?}"
            );
        }
    }
}
