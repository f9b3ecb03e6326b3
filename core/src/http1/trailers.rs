//! The trailer section of a chunked body: checked line by line, and kept as it will be sent on.

use ringmain_config::tuning::UnderscoresInHeaders;

use super::{
    fields::{check_line, is_about_client},
    known::Known,
    reject::Reject,
};

/// Collects a trailer section that may arrive in pieces.
#[derive(Clone, Debug, Default)]
pub(super) struct Trailers {
    /// Accepted lines as `name: value CRLF`, then the line that is still coming.
    kept: Vec<u8>,
    /// Where the line that is still coming begins.
    line_start: usize,
    /// Everything that was received, dropped lines included.
    received: usize,
    underscores: UnderscoresInHeaders,
}

impl Trailers {
    /// With this policy for names that hold `_`.
    pub(super) fn set_underscores(&mut self, underscores: UnderscoresInHeaders) {
        self.underscores = underscores;
    }

    /// Accepted lines, each with its CRLF.
    pub(super) fn lines(&self) -> &[u8] {
        &self.kept[..self.line_start]
    }

    /// A part of a line, which holds no LF; the CR before one may be its last byte.
    pub(super) fn extend(&mut self, part: &[u8]) -> Result<(), Reject> {
        self.received += part.len();
        if self.received > TRAILER_BYTES_MAX {
            return Err(Reject::TrailersTooLarge);
        }
        self.kept.extend_from_slice(part);
        Ok(())
    }

    /// LF: the line is complete. True when it was empty, which ends the section.
    pub(super) fn end_line(&mut self) -> Result<bool, Reject> {
        let line = &self.kept[self.line_start..];
        let line = line.strip_suffix(b"\r").ok_or(Reject::BareLineEnd)?;
        if line.is_empty() {
            self.kept.truncate(self.line_start);
            return Ok(true);
        }
        let (name, value) = check_line(line).map_err(|reject| match reject {
            Reject::BareLineEnd => Reject::BareLineEnd,
            _ => Reject::Trailer,
        })?;
        if !goes_on(name, self.underscores)? {
            self.kept.truncate(self.line_start);
            return Ok(false);
        }
        let mut rewritten = Vec::with_capacity(line.len() + 4);
        rewritten.extend_from_slice(name);
        rewritten.extend_from_slice(b": ");
        rewritten.extend_from_slice(value);
        rewritten.extend_from_slice(b"\r\n");
        self.kept.truncate(self.line_start);
        self.kept.extend_from_slice(&rewritten);
        self.line_start = self.kept.len();
        Ok(false)
    }
}

/// Is a trailer of this name sent on?
///
/// # Errors
/// [`Reject::HeaderUnderscore`]: its whole message is refused.
pub(crate) fn goes_on(name: &[u8], underscores: UnderscoresInHeaders) -> Result<bool, Reject> {
    let has_underscore = || name.contains(&b'_');
    match underscores {
        UnderscoresInHeaders::Reject if has_underscore() => Err(Reject::HeaderUnderscore),
        UnderscoresInHeaders::Drop if has_underscore() => Ok(false),
        _ => Ok(!is_forbidden(name)),
    }
}

/// Fields that must not be sent as trailers, since someone on the way may merge them into the head:
/// framing, routing, authentication, request modifiers, response control, content format, what is
/// bound to a connection (RFC 9110 section 6.5.1), and what a proxy says of the client.
pub(crate) fn is_forbidden(name: &[u8]) -> bool {
    let name = name.to_ascii_lowercase();
    let is_allowed_known = |known| matches!(known, Known::GrpcStatus);
    Known::of(&name).is_some_and(|known| !is_allowed_known(known))
        || FORBIDDEN.contains(&name.as_slice())
        || FORBIDDEN_PREFIXES
            .iter()
            .any(|prefix| name.starts_with(prefix))
        || is_about_client(&name)
}

const FORBIDDEN: &[&[u8]] = &[
    b"age",
    b"authentication-info",
    b"cookie2",
    b"expires",
    b"origin",
    b"pragma",
    b"range",
    b"retry-after",
    b"set-cookie2",
    b"strict-transport-security",
    b"vary",
    b"warning",
];

const FORBIDDEN_PREFIXES: &[&[u8]] = &[
    b"access-control-",
    b"content-",
    b"if-",
    b"proxy-",
    b"x-envoy-",
];

/// Of a trailer section. Real ones are a status and a checksum.
pub(crate) const TRAILER_BYTES_MAX: usize = 8 * 1024;
