//! The request line: method, target, version (RFC 9112 section 3).

use std::ops::Range;

use memchr::memchr;

use super::{
    block::{self, Block},
    limits::Limits,
    reject::Reject,
    span::Span,
};
use crate::header::is_token;

/// The methods that change how a message is framed or understood.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MethodKind {
    /// Its response has no body.
    Head,
    /// May be about the server as a whole (`*`).
    Options,
    /// A tunnel follows its response when that says so by a status of 200 to 299.
    Connect,
    /// Of a request that asks for another protocol, and may be answered with 101
    /// ([`RequestHead::upgrade`](super::RequestHead::upgrade)). Never that of a received request
    /// by itself: who passes the wish on decodes the response with it.
    Upgrade,
    /// Any other.
    #[default]
    Other,
}

/// The parts of a request line.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct RequestLine {
    pub(super) kind: MethodKind,
    pub(super) method: Span,
    /// The method, when it is one of those that are known; without looking at bytes again.
    pub(super) method_name: Option<&'static str>,
    pub(super) target: Span,
    /// Of the absolute form; empty in all others.
    pub(super) authority: Span,
    /// Port that the absolute form's scheme implies.
    pub(super) default_port: u16,
    /// Path and query as they stand in the target; empty in an absolute form without path.
    pub(super) path: Span,
    /// The path is what [`crate::path::canonical`] would make of it. False: not known.
    pub(super) path_is_canonical: bool,
    /// Without its `?`.
    pub(super) query: Option<Span>,
}

impl RequestLine {
    /// A usual line at the start of `window`: a method that is known, and a path. `None`: not a
    /// usual one, or not complete. Also where the field section begins.
    #[inline]
    pub(super) fn quick(window: &[u8], limits: &Limits) -> Option<(Self, usize)> {
        let block = Block::at(window, 0)?;
        let method_end = block.find(b' ');
        let (kind, method_name) = method(block, method_end)?;
        let target = Target::quick(window, method_end + 1)?;
        let target_length = target.end - target.start;
        let fields_start = target.end + VERSION.len();
        if window.get(target.end..fields_start)? != VERSION
            || target_length > limits.target_bytes_max
        {
            return None;
        }
        let path_end = target.question.unwrap_or(target.end);
        let line = Self {
            kind,
            method: Span::new(0..method_end),
            method_name: Some(method_name),
            target: Span::new(target.start..target.end),
            path: Span::new(target.start..path_end),
            path_is_canonical: target.path_is_canonical,
            query: target
                .question
                .map(|question| Span::new(question + 1..target.end)),
            ..Self::default()
        };
        Some((line, fields_start))
    }

    /// From the first line, which stands at `line` without its CRLF.
    pub(super) fn decode(
        bytes: &[u8],
        line: Range<usize>,
        limits: &Limits,
    ) -> Result<Self, Reject> {
        let start = line.start;
        let text = &bytes[line];
        let method_end = memchr(b' ', text).ok_or_else(|| refuse(text))?;
        let (method, rest) = (&text[..method_end], &text[method_end + 1..]);
        let target_end = memchr(b' ', rest).ok_or_else(|| refuse(text))?;
        let (target, version) = (&rest[..target_end], &rest[target_end + 1..]);
        if version != b"HTTP/1.1" {
            return Err(refuse(text));
        }
        if !is_token(method) {
            return Err(Reject::Method);
        }
        if target.len() > limits.target_bytes_max {
            return Err(Reject::TargetTooLong);
        }
        let target_start = start + method_end + 1;
        let kind = match method {
            b"CONNECT" => return Err(Reject::Connect),
            b"HEAD" => MethodKind::Head,
            b"OPTIONS" => MethodKind::Options,
            _ => MethodKind::Other,
        };
        let mut decoded = Self {
            kind,
            method: Span::new(start..start + method_end),
            target: Span::new(target_start..target_start + target_end),
            ..Self::default()
        };
        decoded.split_target(target)?;
        Ok(decoded)
    }

    /// Path, query and authority, from the target's text.
    fn split_target(&mut self, target: &[u8]) -> Result<(), Reject> {
        let is_bad = |byte: u8| !(0x21..0x7f).contains(&byte) || byte == b'#';
        // Looks at every byte: without a way out the loop runs on many bytes at once.
        if target.iter().fold(false, |bad, &byte| bad | is_bad(byte)) {
            return Err(Reject::TargetByte);
        }
        let base = self.target.range().start;
        let path_start = match target {
            [b'/', ..] => 0,
            [b'*'] if self.kind == MethodKind::Options => 0,
            _ => self.absolute_form(target)?,
        };
        let query = memchr(b'?', &target[path_start..]).map(|offset| path_start + offset);
        let path_end = query.unwrap_or(target.len());
        self.path = Span::new(base + path_start..base + path_end);
        self.query = query.map(|query| Span::new(base + query + 1..base + target.len()));
        Ok(())
    }

    /// Notes scheme and authority of `http://authority/path`; where the path begins.
    fn absolute_form(&mut self, target: &[u8]) -> Result<usize, Reject> {
        let has_scheme = |scheme: &[u8]| {
            target
                .get(..scheme.len())
                .is_some_and(|start| start.eq_ignore_ascii_case(scheme))
        };
        let authority_start = if has_scheme(b"http://") {
            self.default_port = 80;
            b"http://".len()
        } else if has_scheme(b"https://") {
            self.default_port = 443;
            b"https://".len()
        } else {
            return Err(Reject::TargetForm);
        };
        let length = target[authority_start..]
            .iter()
            .position(|byte| matches!(byte, b'/' | b'?'))
            .unwrap_or(target.len() - authority_start);
        if length == 0 {
            return Err(Reject::HostInvalid);
        }
        let base = self.target.range().start;
        let end = authority_start + length;
        self.authority = Span::new(base + authority_start..base + end);
        Ok(end)
    }

    /// What an absolute form without a path stands for (RFC 9112 sections 3.2.1 and 3.2.4).
    pub(super) fn empty_path(&self) -> &'static str {
        match (self.kind, self.query) {
            (MethodKind::Options, None) => "*",
            _ => "/",
        }
    }
}

/// Names what is wrong with a first line that is not `method SP target SP HTTP/1.1`.
fn refuse(line: &[u8]) -> Reject {
    if line == b"PRI * HTTP/2.0" {
        return Reject::Http2Preface;
    }
    let mut words = line.split(|&byte| byte == b' ');
    let version = words.nth(2).and_then(|word| word.strip_prefix(b"HTTP/"));
    match version {
        Some(b"1.0") if words.next().is_none() => Reject::LowVersion,
        Some([b'0'..=b'9', b'.', b'0'..=b'9'] | [b'0'..=b'9']) if words.next().is_none() => {
            Reject::Version
        }
        _ => Reject::RequestLine,
    }
}

/// A target that begins with `/`.
struct Target {
    start: usize,
    end: usize,
    question: Option<usize>,
    path_is_canonical: bool,
}

impl Target {
    #[inline]
    fn quick(window: &[u8], start: usize) -> Option<Self> {
        if *window.get(start)? != b'/' {
            return None;
        }
        let end = block::find_not_in_target(window, start)?;
        let mut from = start;
        let question = loop {
            let question = from + Block::at(window, from)?.find(b'?');
            if question >= end {
                break None;
            }
            if question < from + block::LENGTH {
                break Some(question);
            }
            from += block::LENGTH;
        };
        let path_end = question.unwrap_or(end);
        // What [`crate::path`] has a closer look at: dots, escapes, backslashes.
        let mut from = start;
        let special = loop {
            let special = from + Block::at(window, from)?.find_special_in_path();
            if special >= path_end || special < from + block::LENGTH {
                break special;
            }
            from += block::LENGTH;
        };
        Some(Self {
            start,
            end,
            question,
            path_is_canonical: special >= path_end,
        })
    }
}

/// The method that a line begins with, if it is one of these. The space behind it stands at
/// `length`, and is compared too: without it a method with a NUL behind it would be the same
/// number.
#[inline]
fn method(line: Block, length: usize) -> Option<(MethodKind, &'static str)> {
    const fn word(name: &[u8]) -> u64 {
        let mut word = 0;
        let mut at = name.len();
        while at > 0 {
            at -= 1;
            word = word << 8 | name[at] as u64;
        }
        word
    }
    const GET: u64 = word(b"GET ");
    const POST: u64 = word(b"POST ");
    const HEAD: u64 = word(b"HEAD ");
    const PUT: u64 = word(b"PUT ");
    const DELETE: u64 = word(b"DELETE ");
    const PATCH: u64 = word(b"PATCH ");
    const OPTIONS: u64 = word(b"OPTIONS ");
    let behind = 7_usize.checked_sub(length)?;
    match line.number() as u64 & u64::MAX >> (8 * behind) {
        GET => Some((MethodKind::Other, "GET")),
        POST => Some((MethodKind::Other, "POST")),
        HEAD => Some((MethodKind::Head, "HEAD")),
        PUT => Some((MethodKind::Other, "PUT")),
        DELETE => Some((MethodKind::Other, "DELETE")),
        PATCH => Some((MethodKind::Other, "PATCH")),
        OPTIONS => Some((MethodKind::Options, "OPTIONS")),
        _ => None,
    }
}

/// What a request line ends with.
const VERSION: &[u8; 11] = b" HTTP/1.1\r\n";
