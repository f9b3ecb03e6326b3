//! Requests of one kind, and where they go.

use bytes::Bytes;
use ringmain_core::header::is_token;

use super::{Kind, PlanError, Url};

/// Requests of one kind.
#[derive(Clone, Debug)]
pub struct Target {
    /// As in reports.
    pub name: String,
    /// Where to.
    pub url: Url,
    /// Share of the rate, relative to the other targets.
    pub weight: u32,
    /// Request method. Protocols other than HTTP do not look at it.
    pub method: String,
    /// Header fields as name and value. Over HTTP/1.1 they come after `host`, `user-agent` and
    /// `accept`, which they replace when they have the same name.
    pub headers: Vec<(String, String)>,
    /// Sent with `content-length`; no such header when it is empty and the method is GET or HEAD.
    /// For echoes: what is sent and must come back. For streams: nothing. Shared by all that
    /// send it, where a protocol does not need it in one piece with its head.
    pub body: Bytes,
}

impl Target {
    /// GET requests for `url`, named after it, with weight 1.
    pub fn get(url: Url) -> Self {
        Self {
            name: url.to_string(),
            url,
            weight: 1,
            method: "GET".to_owned(),
            headers: Vec::new(),
            body: Bytes::new(),
        }
    }

    /// A body of `bytes` bytes, the same ones for the same size, that do not compress to nothing.
    pub fn filler(bytes: usize) -> Bytes {
        let mut random = fastrand::Rng::with_seed(bytes as u64);
        let mut body = vec![0; bytes];
        for byte in &mut body {
            *byte = random.alphanumeric() as u8;
        }
        body.into()
    }

    pub(super) fn check(&self, kind: Kind) -> Result<(), PlanError> {
        if !kind.carries(self.url.scheme) {
            return Err(PlanError::Scheme {
                url: self.url.to_string(),
                kind: kind.name(),
                schemes: kind.schemes(),
            });
        }
        if !is_token(self.method.as_bytes()) {
            return Err(PlanError::Method(self.method.clone()));
        }
        if kind == Kind::TcpEcho && self.body.is_empty() {
            return Err(PlanError::Unsuited {
                setting: "an empty body".to_owned(),
                kind: kind.name(),
                reason: "there must be a byte to come back",
            });
        }
        self.headers.iter().try_for_each(check_header)
    }

    /// A request that may be sent again when its connection turns out to be closed (RFC 9110
    /// section 9.2.2).
    pub(crate) fn is_idempotent(&self) -> bool {
        matches!(
            self.method.as_str(),
            "GET" | "HEAD" | "OPTIONS" | "TRACE" | "PUT" | "DELETE"
        )
    }
}

fn check_header((name, value): &(String, String)) -> Result<(), PlanError> {
    let safe = value
        .bytes()
        .all(|byte| byte == b'\t' || (byte >= b' ' && byte != 0x7f));
    if !is_token(name.as_bytes()) || !safe {
        return Err(PlanError::Header(name.clone(), value.clone()));
    }
    if name.eq_ignore_ascii_case("content-length") || name.eq_ignore_ascii_case("transfer-encoding")
    {
        return Err(PlanError::Framing(name.clone()));
    }
    Ok(())
}
