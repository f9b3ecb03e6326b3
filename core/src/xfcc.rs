//! What is said of a client's certificate to those behind: `x-forwarded-client-cert`, in Envoy's
//! form.
//!
//! A field that came over a connection on which no certificate was shown could be anybody's word,
//! so it never goes on, but where that is asked for.

use std::fmt::Write;

use ringmain_config::tuning::ForwardClientCert;

use crate::peer::Peer;

/// What becomes of the field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It goes on as it came, if it did.
    Keep,
    /// It does not go on.
    Remove,
    /// It says what the connection's client has shown, and nothing else.
    Replace,
    /// That is added to what came.
    Append,
}

/// What becomes of it on a connection whose client has, or has not, shown a certificate that was
/// verified.
pub fn outcome(handling: ForwardClientCert, is_shown: bool) -> Outcome {
    match handling {
        ForwardClientCert::AlwaysForwardOnly => Outcome::Keep,
        ForwardClientCert::Sanitize => Outcome::Remove,
        _ if !is_shown => Outcome::Remove,
        ForwardClientCert::ForwardOnly => Outcome::Keep,
        ForwardClientCert::AppendForward => Outcome::Append,
        ForwardClientCert::SanitizeSet => Outcome::Replace,
    }
}

/// One element of the list: `own_uri` is in the certificate that was shown to the client.
pub fn element(own_uri: Option<&str>, peer: &Peer) -> String {
    let mut text = String::with_capacity(256);
    if let Some(uri) = own_uri {
        pair(&mut text, "By", uri);
    }
    let mut hash = String::with_capacity(2 * peer.sha256.len());
    for byte in peer.sha256 {
        write!(hash, "{byte:02x}").expect("a String takes whatever is written to it");
    }
    pair(&mut text, "Hash", &hash);
    begin(&mut text, "Subject");
    quote(&mut text, &peer.subject);
    if peer.uris.is_empty() {
        begin(&mut text, "URI");
    }
    for uri in &peer.uris {
        pair(&mut text, "URI", uri);
    }
    for name in &peer.dns_names {
        pair(&mut text, "DNS", name);
    }
    text
}

fn begin(text: &mut String, key: &str) {
    if !text.is_empty() {
        text.push(';');
    }
    text.push_str(key);
    text.push('=');
}

/// A value with a character that has a meaning in the list is quoted.
fn pair(text: &mut String, key: &str, value: &str) {
    begin(text, key);
    match value.contains([',', ';', '=', '"', '\\']) || !value.bytes().all(is_visible) {
        true => quote(text, value),
        false => text.push_str(value),
    }
}

/// What no header field may hold, and what cannot be told from an escape, is left out.
fn quote(text: &mut String, value: &str) {
    text.push('"');
    for character in value.chars() {
        match character {
            '"' | '\\' => text.extend(['\\', character]),
            control if control.is_control() => {}
            other => text.push(other),
        }
    }
    text.push('"');
}

fn is_visible(byte: u8) -> bool {
    byte.is_ascii_graphic()
}

#[cfg(test)]
mod tests {
    use ringmain_config::tuning::ForwardClientCert;

    use super::{Outcome, element, outcome};
    use crate::peer::Peer;

    #[test]
    fn outcomes() {
        use ForwardClientCert::{
            AlwaysForwardOnly, AppendForward, ForwardOnly, Sanitize, SanitizeSet,
        };
        for (handling, shown, not_shown) in [
            (Sanitize, Outcome::Remove, Outcome::Remove),
            (ForwardOnly, Outcome::Keep, Outcome::Remove),
            (AppendForward, Outcome::Append, Outcome::Remove),
            (SanitizeSet, Outcome::Replace, Outcome::Remove),
            (AlwaysForwardOnly, Outcome::Keep, Outcome::Keep),
        ] {
            assert_eq!(outcome(handling, true), shown);
            assert_eq!(outcome(handling, false), not_shown);
        }
    }

    #[test]
    fn elements() {
        let peer = |subject: &str, uris: &[&str], names: &[&str]| Peer {
            uris: uris.iter().map(|uri| (*uri).to_owned()).collect(),
            dns_names: names.iter().map(|name| (*name).to_owned()).collect(),
            subject: subject.to_owned(),
            sha256: [0xab; 32],
            ..Peer::default()
        };
        let hash = "ab".repeat(32);
        for (own, peer, expected) in [
            (
                Some("spiffe://a/ns/b/sa/c"),
                peer("", &["spiffe://a/ns/b/sa/d"], &[]),
                format!(
                    r#"By=spiffe://a/ns/b/sa/c;Hash={hash};Subject="";URI=spiffe://a/ns/b/sa/d"#
                ),
            ),
            (
                None,
                peer("CN=a \"b\" \\,O=c", &[], &["a.example", "b.example"]),
                format!(
                    r#"Hash={hash};Subject="CN=a \"b\" \\,O=c";URI=;DNS=a.example;DNS=b.example"#
                ),
            ),
            (
                None,
                peer("a\r\nx: y", &["https://a/?b=c;d"], &[]),
                format!(r#"Hash={hash};Subject="ax: y";URI="https://a/?b=c;d""#),
            ),
        ] {
            assert_eq!(element(own, &peer), expected);
        }
    }
}
