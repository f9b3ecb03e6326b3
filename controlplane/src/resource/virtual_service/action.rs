//! Reads what a rule does other than name destinations: redirect, answer, rewrite.

use ringmain_config::route::{
    DirectResponse, Redirect, RedirectPath, RedirectPort, RegexRewrite, Rewrite,
};
use ringmain_core::route::rewrite::RegexRewrite as Compiled;

use super::{
    super::{
        conflict,
        cursor::{Cursor, Fault, Report},
    },
    fields::PREFIX_REDIRECT,
};

/// `HTTPRedirect`.
pub(super) fn redirect(at: &Cursor<'_>, report: &mut Report) -> Option<Redirect> {
    if ["uri", "authority", "port", "derivePort", "scheme"]
        .iter()
        .all(|name| at.field(name).is_none())
    {
        let fault = Fault::new("it redirects to where the request was sent");
        report.error(
            at,
            fault.hint("add `uri`, `authority`, `port`, `derivePort` or `scheme`"),
        );
    }
    conflict::exclude_each_other(at, ("port", "derivePort"), report);
    let port = match (at.integer_of("port"), at.text_of("derivePort")) {
        (Some(port), _) => RedirectPort::Port(port),
        (None, Some("FROM_PROTOCOL_DEFAULT")) => RedirectPort::FromProtocolDefault,
        (None, Some(_)) => RedirectPort::FromRequestPort,
        (None, None) => RedirectPort::Authority,
    };
    if let Some(field) = at.field("uri")
        && let Some(uri) = field.text()
        && !uri.starts_with([PATH_START, '%'])
        && !uri.is_empty()
    {
        let fault = Fault::new("it is a path, and does not begin with `/`");
        let hint = "another host is said by `authority` and `scheme`";
        report.warning(&field, fault.hint(hint));
    }
    Some(Redirect {
        status: redirect_code(at, report)?,
        scheme: at.text_of("scheme").map(str::to_ascii_lowercase),
        authority: at.text_of("authority").map(str::to_owned),
        port,
        path: match at.text_of("uri") {
            None | Some("") => RedirectPath::Keep,
            Some(uri) => match uri.strip_prefix(PREFIX_REDIRECT) {
                Some(prefix) => RedirectPath::Prefix(prefix.to_owned()),
                None => RedirectPath::Full(uri.to_owned()),
            },
        },
    })
}

const PATH_START: char = '/';

/// 301 when not written; Envoy knows five, and so does the API.
fn redirect_code(at: &Cursor<'_>, report: &mut Report) -> Option<u16> {
    let Some(field) = at.field("redirectCode") else {
        return Some(301);
    };
    match u16::try_from(field.integer()?).ok()? {
        0 => Some(301),
        code @ (301 | 302 | 303 | 307 | 308) => Some(code),
        code => {
            let fault = Fault::new(format!("{code} is not a code to redirect with"));
            report.error(&field, fault.hint("use 301, 302, 303, 307 or 308"));
            None
        }
    }
}

/// Bytes of a body written in the configuration (Envoy's limit).
const BODY_BYTES_MAX: usize = 1 << 20;

/// `HTTPDirectResponse`.
pub(super) fn direct_response(at: &Cursor<'_>, report: &mut Report) -> Option<DirectResponse> {
    let status = at.integer_of("status")?;
    let mut body = Vec::new();
    if let Some(field) = at.field("body") {
        conflict::exclude_each_other(&field, ("string", "bytes"), report);
        if let Some(text) = field.text_of("string") {
            body = text.as_bytes().to_vec();
        } else if let Some(bytes) = field.field("bytes") {
            match base64(bytes.text()?) {
                Some(decoded) => body = decoded,
                None => report.error(&bytes, "it is not base64 (RFC 4648 section 4)"),
            }
        }
        if body.len() > BODY_BYTES_MAX {
            let size = body.len();
            let message = format!("a body of {size} bytes is longer than {BODY_BYTES_MAX}");
            report.error(&field, Fault::new(message).hint("let a service answer"));
        }
    }
    if (status == 204 || status == 304) && !body.is_empty() {
        // RFC 9110 sections 15.3.5 and 15.4.5.
        report.error(at, format!("an answer with status {status} has no body"));
    }
    Some(DirectResponse { status, body })
}

/// `HTTPRewrite`; none when it changes nothing.
pub(super) fn rewrite(at: &Cursor<'_>, report: &mut Report) -> Option<Rewrite> {
    let text = |name| at.text_of(name).filter(|text| !text.is_empty());
    let (path, authority) = (text("uri"), text("authority"));
    conflict::exclude_each_other(at, ("uri", "uriRegexRewrite"), report);
    if let Some(field) = at.field("uri").filter(|_| path.is_some())
        && path.is_some_and(|path| !path.starts_with(PATH_START))
    {
        let fault = Fault::new("it is a path, and does not begin with `/`: one is put before it");
        report.warning(&field, fault.hint("begin with `/`"));
    }
    let regex = at.field("uriRegexRewrite");
    let regex = regex.and_then(|regex| regex_rewrite(&regex, report));
    let rewrite = Rewrite {
        path: path.map(str::to_owned),
        regex,
        authority: authority.map(str::to_owned),
    };
    if rewrite == Rewrite::default() {
        if at.field("uriRegexRewrite").is_none() {
            let fault = Fault::new("it rewrites nothing");
            report.error(
                at,
                fault.hint("add `uri`, `uriRegexRewrite` or `authority`"),
            );
        }
        return None;
    }
    Some(rewrite)
}

/// `RegexRewrite`, by the proxies' own rules.
fn regex_rewrite(at: &Cursor<'_>, report: &mut Report) -> Option<RegexRewrite> {
    let rewrite = RegexRewrite {
        pattern: at.text_of("match")?.to_owned(),
        substitution: at.text_of("rewrite")?.to_owned(),
    };
    match Compiled::compile(&rewrite) {
        Ok(_) => Some(rewrite),
        Err(reason) => {
            report.error(at, reason);
            None
        }
    }
}

/// RFC 4648 section 4, with or without padding, line breaks passed over.
fn base64(text: &str) -> Option<Vec<u8>> {
    let digits = text.bytes().filter(|byte| !byte.is_ascii_whitespace());
    let digits: Vec<u8> = digits.collect();
    let unpadded = match digits.as_slice() {
        [digits @ .., b'=', b'='] | [digits @ .., b'='] if text.len() >= 4 => digits,
        digits => digits,
    };
    if unpadded.len() % 4 == 1 {
        return None;
    }
    let mut bytes = Vec::with_capacity(unpadded.len() / 4 * 3 + 2);
    for group in unpadded.chunks(4) {
        let mut bits: u32 = 0;
        for digit in group {
            bits = bits << 6 | base64_digit(*digit)?;
        }
        bits <<= 6 * (4 - group.len());
        let [_, decoded @ ..] = bits.to_be_bytes();
        bytes.extend_from_slice(decoded.get(..group.len() - 1)?);
    }
    Some(bytes)
}

fn base64_digit(digit: u8) -> Option<u32> {
    let value = match digit {
        b'A'..=b'Z' => digit - b'A',
        b'a'..=b'z' => digit - b'a' + 26,
        b'0'..=b'9' => digit - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    };
    Some(u32::from(value))
}

#[cfg(test)]
mod tests {
    use super::base64;

    #[test]
    fn base64_of_rfc_4648() {
        for (text, expected) in [
            ("", Some("")),
            ("Zg==", Some("f")),
            ("Zm8=", Some("fo")),
            ("Zm9v", Some("foo")),
            ("Zm9vYg==", Some("foob")),
            ("Zm9vYmE", Some("fooba")),
            ("Zm9v\nYmFy", Some("foobar")),
            ("Z", None),
            ("Zg=a", None),
            ("Zm9_", None),
        ] {
            let expected = expected.map(|text| text.as_bytes().to_vec());
            assert_eq!(base64(text), expected, "{text}");
        }
    }

    #[test]
    fn base64_of_every_byte() {
        assert_eq!(base64("AP8="), Some(vec![0, 255]));
    }
}
