//! How a connection of HTTP/1.1 becomes a WebSocket (RFC 6455 section 4.1).

use aws_lc_rs::digest;
use data_encoding::BASE64;
use fastrand::Rng;

use crate::plan::{Kind, PlanError, Target};

/// What a server puts behind the key (section 1.3).
const SUFFIX: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
/// As core's limit for other heads.
const FIELDS_MAX: usize = 100;

/// The request that opens connections for `target`, up to its key. Targets with the same text can
/// share connections.
pub(crate) fn upgrade(target: &Target) -> String {
    let mut lines = vec![format!("GET {} HTTP/1.1", target.url.target)];
    let given = |name: &str| {
        let mut fields = target.headers.iter();
        fields.any(|(field, _)| field.eq_ignore_ascii_case(name))
    };
    let agent = concat!("ringmain/", env!("CARGO_PKG_VERSION"));
    for (name, value) in [
        ("host", target.url.authority.as_str()),
        ("user-agent", agent),
    ] {
        if !given(name) {
            lines.push(format!("{name}: {value}"));
        }
    }
    let fields = target.headers.iter();
    lines.extend(fields.map(|(name, value)| format!("{name}: {value}")));
    lines.push("connection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13".to_owned());
    lines.join("\r\n")
}

/// # Errors
/// A header of `target` that the handshake decides.
pub(super) fn check_headers(target: &Target) -> Result<(), PlanError> {
    const DECIDED: [&str; 5] = [
        "connection",
        "upgrade",
        "sec-websocket-key",
        "sec-websocket-version",
        "sec-websocket-extensions",
    ];
    let mut names = target.headers.iter().map(|(name, _)| name);
    let decided = names.find(|name| DECIDED.iter().any(|one| one.eq_ignore_ascii_case(name)));
    match decided {
        None => Ok(()),
        Some(name) => Err(PlanError::Unsuited {
            setting: format!("the header {name}"),
            kind: Kind::WebSocket.name(),
            reason: "the handshake decides it",
        }),
    }
}

/// A new one for each connection.
pub(super) fn key(random: &mut Rng) -> String {
    BASE64.encode(&random.u128(..).to_ne_bytes())
}

pub(super) fn request(upgrade: &str, key: &str) -> Vec<u8> {
    format!("{upgrade}\r\nsec-websocket-key: {key}\r\n\r\n").into_bytes()
}

/// Looks for the server's answer at the start of `bytes`; its length, or `None` when more bytes are
/// needed.
///
/// # Errors
/// Why it is not the answer that `key` asked for.
pub(super) fn check(bytes: &[u8], key: &str, upgrade: &str) -> Result<Option<usize>, String> {
    let mut fields = [httparse::EMPTY_HEADER; FIELDS_MAX];
    let mut response = httparse::Response::new(&mut fields);
    let parsed = response.parse(bytes);
    let parsed = parsed.map_err(|error| format!("the handshake's answer is malformed: {error}"))?;
    let httparse::Status::Complete(end) = parsed else {
        return Ok(None);
    };
    let status = response.code.unwrap_or_default();
    if status != 101 {
        return Err(format!(
            "the server answers the WebSocket handshake with status {status} instead of 101"
        ));
    }
    let values = |name: &'static str| {
        let named = response.headers.iter();
        let named = named.filter(move |field| field.name.eq_ignore_ascii_case(name));
        named.map(|field| field.value.trim_ascii())
    };
    let is_token = |name: &'static str, token: &str| {
        let mut tokens = values(name).flat_map(|value| value.split(|byte| *byte == b','));
        tokens.any(|value| value.trim_ascii().eq_ignore_ascii_case(token.as_bytes()))
    };
    if !is_token("upgrade", "websocket") || !is_token("connection", "upgrade") {
        return Err("the server switches to something that is not WebSocket".to_owned());
    }
    let mut accepts = values("sec-websocket-accept");
    if accepts.next() != Some(accept(key).as_bytes()) || accepts.next().is_some() {
        return Err("the server's sec-websocket-accept does not belong to the key".to_owned());
    }
    if values("sec-websocket-extensions").next().is_some() {
        return Err("the server uses a WebSocket extension that was not offered".to_owned());
    }
    let has_offered = upgrade
        .to_ascii_lowercase()
        .contains("\r\nsec-websocket-protocol:");
    if values("sec-websocket-protocol").next().is_some() && !has_offered {
        return Err("the server uses a WebSocket subprotocol that was not offered".to_owned());
    }
    Ok(Some(end))
}

fn accept(key: &str) -> String {
    let digest = digest::digest(
        &digest::SHA1_FOR_LEGACY_USE_ONLY,
        format!("{key}{SUFFIX}").as_bytes(),
    );
    BASE64.encode(digest.as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 6455 section 1.3.
    const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
    const FIELDS: &str = "Upgrade: websocket\r\nConnection: Upgrade\r\n";
    const ACCEPT: &str = "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n";

    #[test]
    fn answers() {
        let whole = format!("HTTP/1.1 101 Switching Protocols\r\n{FIELDS}{ACCEPT}\r\n");
        let behind = format!("{whole}\u{1}");
        accepted(&whole, Some(whole.len()));
        accepted(&behind, Some(whole.len()));
        accepted(&whole[..whole.len() - 1], None);
        accepted("", None);
        let several = whole.replace(": Upgrade", ": keep-alive, UPGRADE");
        accepted(&several, Some(several.len()));
        let head = "HTTP/1.1 101 x\r\n";
        for (text, part) in [
            (format!("{head}{FIELDS}\r\n"), "does not belong to the key"),
            (whole.replace("s3p", "S3p"), "does not belong to the key"),
            (
                format!("{head}{FIELDS}{ACCEPT}{ACCEPT}\r\n"),
                "does not belong",
            ),
            (whole.replace(": websocket", ": h2c"), "not WebSocket"),
            (whole.replace(": Upgrade", ": close"), "not WebSocket"),
            (
                format!("{head}{FIELDS}{ACCEPT}sec-websocket-extensions: x\r\n\r\n"),
                "extension",
            ),
            (
                format!("{head}{FIELDS}{ACCEPT}sec-websocket-protocol: x\r\n\r\n"),
                "subprotocol",
            ),
            ("HTTP/1.1 404 Not Found\r\n\r\n".to_owned(), "status 404"),
            ("SSH-2.0-x\r\n\r\n".to_owned(), "malformed"),
        ] {
            let error = check(text.as_bytes(), KEY, "GET / HTTP/1.1").expect_err(&text);
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    fn accepted(text: &str, expected: Option<usize>) {
        assert_eq!(check(text.as_bytes(), KEY, ""), Ok(expected), "{text}");
    }

    #[test]
    fn requests() {
        let mut target = Target::get("ws://a:81/chat?x".parse().unwrap());
        target.headers = vec![("Upgrade".into(), "h2c".into())];
        let error = check_headers(&target).expect_err("upgrade").to_string();
        assert!(error.contains("the handshake decides it"), "{error}");
        target.headers = vec![("Sec-WebSocket-Protocol".into(), "v1".into())];
        assert_eq!(check_headers(&target), Ok(()));
        let upgrade = upgrade(&target);
        let expected = format!(
            "GET /chat?x HTTP/1.1\r\nhost: a:81\r\nuser-agent: ringmain/{}\r\n\
             Sec-WebSocket-Protocol: v1\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
             sec-websocket-version: 13\r\nsec-websocket-key: {KEY}\r\n\r\n",
            env!("CARGO_PKG_VERSION")
        );
        assert_eq!(request(&upgrade, KEY), expected.as_bytes());
        let answer =
            format!("HTTP/1.1 101 x\r\n{FIELDS}{ACCEPT}sec-websocket-protocol: v1\r\n\r\n");
        let checked = check(answer.as_bytes(), KEY, &upgrade);
        assert_eq!(checked, Ok(Some(answer.len())));
    }
}
