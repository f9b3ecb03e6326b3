//! How the end of a body is found, and which declarations of it are refused (RFC 9112 section 6).

use super::reject::Reject;
use crate::header::is_token;

/// How the end of a body is found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Framing {
    /// There is no body, and nothing was said of its length.
    #[default]
    None,
    /// Exactly this many bytes.
    Length(u64),
    /// Chunks, then trailers.
    Chunked,
    /// Whatever comes until the connection is closed. Responses only.
    UntilClose,
}

/// What the fields of one head say about the body's length. Fields are fed in their order.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Declared {
    length: Option<u64>,
    coding: Option<Coding>,
}

/// The transfer codings seen so far. Kept until all fields were seen, so that the verdict on
/// Transfer-Encoding beside Content-Length comes first: that pair is an attack.
#[derive(Clone, Copy, Debug)]
enum Coding {
    Chunked,
    /// Registered, but not `chunked`, and nothing after it yet.
    Other,
    Refused(Reject),
}

impl Declared {
    /// A Content-Length field: digits, or a list of them that are all the same number.
    pub(super) fn content_length(&mut self, value: &[u8]) -> Result<(), Reject> {
        // What nearly every sender writes: one number.
        if self.length.is_none()
            && let Some(length) = decimal(value)
        {
            self.length = Some(length);
            return Ok(());
        }
        for element in value.split(|&byte| byte == b',') {
            let length = decimal(element.trim_ascii()).ok_or(Reject::ContentLength)?;
            if self.length.is_some_and(|earlier| earlier != length) {
                return Err(Reject::ContentLengthConflict);
            }
            self.length = Some(length);
        }
        Ok(())
    }

    /// A Transfer-Encoding field.
    pub(super) fn transfer_encoding(&mut self, value: &[u8]) {
        for element in value.split(|&byte| byte == b',') {
            self.coding = Some(next_coding(self.coding, element.trim_ascii()));
        }
    }

    /// The verdict on all fields: length, chunks, or neither.
    pub(super) fn finish(self) -> Result<Framing, Reject> {
        match (self.coding, self.length) {
            (None, None) => Ok(Framing::None),
            (None, Some(length)) => Ok(Framing::Length(length)),
            (Some(_), Some(_)) => Err(Reject::LengthAndTransferEncoding),
            (Some(Coding::Chunked), None) => Ok(Framing::Chunked),
            (Some(Coding::Other), None) => Err(Reject::TransferEncoding),
            (Some(Coding::Refused(reject)), None) => Err(reject),
        }
    }
}

/// The first thing that is wrong stays the verdict.
fn next_coding(earlier: Option<Coding>, element: &[u8]) -> Coding {
    let is_chunked = element.eq_ignore_ascii_case(b"chunked");
    let is_registered = REGISTERED
        .iter()
        .any(|coding| element.eq_ignore_ascii_case(coding.as_bytes()));
    match earlier {
        Some(Coding::Refused(reject)) => Coding::Refused(reject),
        // Chunked must be the last, and applied once.
        Some(Coding::Chunked) => Coding::Refused(Reject::TransferEncoding),
        None if is_chunked => Coding::Chunked,
        Some(Coding::Other) if is_chunked => Coding::Refused(Reject::TransferCoding),
        None | Some(Coding::Other) if is_registered => Coding::Other,
        None | Some(Coding::Other) if is_token(element) => Coding::Refused(Reject::TransferCoding),
        None | Some(Coding::Other) => Coding::Refused(Reject::TransferEncoding),
    }
}

/// Digits only; `None` also when the number does not fit.
fn decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u64, |number, &byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        number.checked_mul(10)?.checked_add(digit)
    })
}

/// IANA's transfer codings besides `chunked` (RFC 9112 section 7.2).
const REGISTERED: [&str; 5] = ["gzip", "x-gzip", "deflate", "compress", "x-compress"];
