//! Versions, cipher suites and groups: which of those that can be written are spoken.

use ringmain_config::tls::{MinVersion, TlsParameters};

use crate::resource::{
    cursor::{Cursor, Fault, Report},
    format,
};

/// Those of TLS 1.2 that are spoken: each with forward secrecy and AEAD (RFC 9325 section 4.2).
const CIPHER_SUITES: [&str; 6] = [
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-CHACHA20-POLY1305",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-RSA-CHACHA20-POLY1305",
];

/// Those of TLS 1.3; they cannot be chosen among.
const CIPHER_SUITES_OF_TLS13: [&str; 3] = [
    "TLS_AES_128_GCM_SHA256",
    "TLS_AES_256_GCM_SHA384",
    "TLS_CHACHA20_POLY1305_SHA256",
];

const GROUPS: [&str; 4] = ["X25519", "P-256", "P-384", "X25519MLKEM768"];

/// Of a port that is served.
pub(super) fn read(at: &Cursor<'_>, report: &mut Report) -> TlsParameters {
    let (min_version, without_tls13) = versions(at, report);
    TlsParameters {
        min_version,
        without_tls13,
        cipher_suites: suites(at, report),
        groups: known(at, "ecdhCurves", &GROUPS, &[], report),
    }
}

/// The oldest version, and whether TLS 1.3 is left out. One older than 1.2 is never spoken
/// (RFC 8996).
fn versions(at: &Cursor<'_>, report: &mut Report) -> (MinVersion, bool) {
    let (min, max) = (
        at.field("minProtocolVersion"),
        at.field("maxProtocolVersion"),
    );
    let text = |field: &Option<Cursor<'_>>| {
        field
            .as_ref()
            .and_then(|field| field.text().map(str::to_owned))
    };
    let (min_text, max_text) = (text(&min), text(&max));
    if let (Some(field), Some("TLSV1_0" | "TLSV1_1")) = (&min, min_text.as_deref()) {
        let message = "versions before TLS 1.2 are not safe and never spoken: the oldest is 1.2";
        report.warning(field, Fault::new(message).hint("write TLSV1_2"));
    }
    let min_version = match min_text.as_deref() {
        Some("TLSV1_3") => MinVersion::Tls13,
        _ => MinVersion::Tls12,
    };
    let Some(field) = max else {
        return (min_version, false);
    };
    match max_text.as_deref() {
        Some("TLSV1_0" | "TLSV1_1") => {
            let message = "no version is left: those before TLS 1.2 are not safe and never spoken";
            report.error(&field, Fault::new(message).hint("write TLSV1_2 or TLSV1_3"));
            (min_version, false)
        }
        Some("TLSV1_2") if min_version == MinVersion::Tls13 => {
            let fault = Fault::new("no version is left: the newest is older than the oldest");
            report.error(
                &field,
                fault.hint("raise it, or lower `minProtocolVersion`"),
            );
            (min_version, false)
        }
        Some("TLSV1_2") => (min_version, true),
        _ => (min_version, false),
    }
}

fn suites(at: &Cursor<'_>, report: &mut Report) -> Vec<String> {
    known(
        at,
        "cipherSuites",
        &CIPHER_SUITES,
        &CIPHER_SUITES_OF_TLS13,
        report,
    )
}

/// The names in a list that are among `known`, each once. Others, but for those that mean nothing
/// there, are named; when none is left, that is an error: all would be spoken instead.
fn known(
    at: &Cursor<'_>,
    name: &str,
    known: &[&str],
    passed_over: &[&str],
    report: &mut Report,
) -> Vec<String> {
    let Some(list) = at.field(name) else {
        return Vec::new();
    };
    let mut found: Vec<String> = Vec::new();
    let mut are_passed_over = 0;
    for item in list.each_item() {
        let Some(text) = item.text() else { continue };
        let same = |name: &&&str| name.eq_ignore_ascii_case(text);
        if passed_over.iter().any(|name| same(&name)) {
            are_passed_over += 1;
        } else if let Some(name) = known.iter().find(same) {
            match found.iter().any(|found| found == name) {
                true => report.warning(&item, format!("`{name}` stands here twice")),
                false => found.push((*name).to_owned()),
            }
        } else {
            let text = format::shown(text);
            let fault = Fault::new(format!(
                "`{text}` is not spoken: it is not known or not safe"
            ));
            report.warning(&item, fault.hint(format!("use {}", known.join(", "))));
        }
    }
    if found.is_empty() && list.length() > are_passed_over {
        let fault = Fault::new("none of them is spoken, and no connection could be made");
        let hint = format!("use {}, or remove `{name}`", known.join(", "));
        report.error(&list, fault.hint(hint));
    }
    found
}
