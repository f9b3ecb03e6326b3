//! Field blocks of HTTP/2 (RFC 7541): written as plain literals, so that a test says every byte of
//! them, and read whatever form they are in.
//!
//! Written apart from the crate that the product uses, as a test that used it would agree with its
//! mistakes.

use std::collections::VecDeque;

/// A field as it stands in a block.
pub type Field = (String, String);

/// Writes fields as literals that are not indexed (RFC 7541 section 6.2.2).
pub fn block<N: AsRef<[u8]>, V: AsRef<[u8]>>(fields: impl IntoIterator<Item = (N, V)>) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, value) in fields {
        out.push(0);
        string(&mut out, name.as_ref());
        string(&mut out, value.as_ref());
    }
    out
}

/// Writes a field as a literal that goes to the front of the dynamic table (RFC 7541 section
/// 6.2.1).
pub fn indexed(name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Vec<u8> {
    let mut out = vec![0x40];
    string(&mut out, name.as_ref());
    string(&mut out, value.as_ref());
    out
}

/// The newest entry of the dynamic table, so many times (RFC 7541 section 6.1).
pub fn newest(times: usize) -> Vec<u8> {
    vec![0x80 | u8::try_from(STATIC.len() + 1).unwrap(); times]
}

fn string(out: &mut Vec<u8>, bytes: &[u8]) {
    integer(out, 7, bytes.len());
    out.extend_from_slice(bytes);
}

fn integer(out: &mut Vec<u8>, prefix: u32, value: usize) {
    let most = (1 << prefix) - 1;
    if value < most {
        out.push(u8::try_from(value).unwrap());
        return;
    }
    out.push(u8::try_from(most).unwrap());
    let mut rest = value - most;
    while rest >= 128 {
        out.push((rest % 128) as u8 | 128);
        rest /= 128;
    }
    out.push(rest as u8);
}

/// Reads the blocks of one direction of a connection, in their order.
#[derive(Debug, Default)]
pub struct Decoder {
    /// Newest first. Never cut down: whoever refers to what is gone is not found out here.
    dynamic: VecDeque<Field>,
}

impl Decoder {
    /// The fields of the next block; `None` when it is not one.
    pub fn read(&mut self, block: &[u8]) -> Option<Vec<Field>> {
        let mut rest = Reader(block);
        let mut fields = Vec::new();
        while let Some(&first) = rest.0.first() {
            if first & 0x80 != 0 {
                let index = rest.integer(7)?;
                fields.push(self.entry(index)?);
            } else if first & 0xe0 == 0x20 {
                rest.integer(5)?;
            } else {
                let is_kept = first & 0xc0 == 0x40;
                let index = rest.integer(if is_kept { 6 } else { 4 })?;
                let name = match index {
                    0 => rest.string()?,
                    _ => self.entry(index)?.0,
                };
                let field = (name, rest.string()?);
                if is_kept {
                    self.dynamic.push_front(field.clone());
                }
                fields.push(field);
            }
        }
        Some(fields)
    }

    fn entry(&self, index: usize) -> Option<Field> {
        let index = index.checked_sub(1)?;
        match STATIC.get(index) {
            Some(&(name, value)) => Some((name.to_owned(), value.to_owned())),
            None => self.dynamic.get(index - STATIC.len()).cloned(),
        }
    }
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn byte(&mut self) -> Option<u8> {
        let (&first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(first)
    }

    fn integer(&mut self, prefix: u32) -> Option<usize> {
        let most = (1 << prefix) - 1;
        let mut value = usize::from(self.byte()?) & most;
        if value < most {
            return Some(value);
        }
        for shift in (0..28).step_by(7) {
            let byte = self.byte()?;
            value += usize::from(byte & 127) << shift;
            if byte & 128 == 0 {
                return Some(value);
            }
        }
        None
    }

    fn string(&mut self) -> Option<String> {
        let is_huffman = self.0.first()? & 128 != 0;
        let length = self.integer(7)?;
        let (bytes, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        let bytes = match is_huffman {
            true => expand(bytes)?,
            false => bytes.to_vec(),
        };
        Some(String::from_utf8_lossy(&bytes).into_owned())
    }
}

/// Text in the code of RFC 7541 appendix B, which is a canonical one: it follows from the lengths.
fn expand(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let (mut code, mut length) = (0_u32, 0);
    for bit in bytes
        .iter()
        .flat_map(|byte| (0..8).rev().map(move |at| byte >> at & 1))
    {
        (code, length) = (code << 1 | u32::from(bit), length + 1);
        if let Some(symbol) = symbol(code, length) {
            out.push(u8::try_from(symbol).ok()?);
            (code, length) = (0, 0);
        } else if length > 30 {
            return None;
        }
    }
    Some(out)
}

fn symbol(code: u32, length: u8) -> Option<usize> {
    let mut first = 0;
    for shorter in 1..length {
        let count = LENGTHS.iter().filter(|other| **other == shorter).count();
        first = (first + u32::try_from(count).ok()?) << 1;
    }
    let mut of_length = (0..LENGTHS.len()).filter(|symbol| LENGTHS[*symbol] == length);
    of_length.nth(code.checked_sub(first)? as usize)
}

/// Bits of the code of each byte, and of the end.
#[rustfmt::skip]
const LENGTHS: [u8; 257] = 
[
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28,
    28, 28, 28, 28, 28, 28, 28, 28, 6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6,
    5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10, 13, 6, 7, 7, 7, 7, 7, 7,
    7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,
    15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7,
    7, 7, 7, 15, 11, 14, 13, 28, 20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23,
    24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24, 22, 21, 20, 22, 22, 23, 23, 21,
    23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
    26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24,
    21, 21, 26, 26, 28, 27, 27, 27, 20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23,
    26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26, 30,
];

/// RFC 7541 appendix A.
const STATIC: [(&str, &str); 61] = [
    (":authority", ""),
    (":method", "GET"),
    (":method", "POST"),
    (":path", "/"),
    (":path", "/index.html"),
    (":scheme", "http"),
    (":scheme", "https"),
    (":status", "200"),
    (":status", "204"),
    (":status", "206"),
    (":status", "304"),
    (":status", "400"),
    (":status", "404"),
    (":status", "500"),
    ("accept-charset", ""),
    ("accept-encoding", "gzip, deflate"),
    ("accept-language", ""),
    ("accept-ranges", ""),
    ("accept", ""),
    ("access-control-allow-origin", ""),
    ("age", ""),
    ("allow", ""),
    ("authorization", ""),
    ("cache-control", ""),
    ("content-disposition", ""),
    ("content-encoding", ""),
    ("content-language", ""),
    ("content-length", ""),
    ("content-location", ""),
    ("content-range", ""),
    ("content-type", ""),
    ("cookie", ""),
    ("date", ""),
    ("etag", ""),
    ("expect", ""),
    ("expires", ""),
    ("from", ""),
    ("host", ""),
    ("if-match", ""),
    ("if-modified-since", ""),
    ("if-none-match", ""),
    ("if-range", ""),
    ("if-unmodified-since", ""),
    ("last-modified", ""),
    ("link", ""),
    ("location", ""),
    ("max-forwards", ""),
    ("proxy-authenticate", ""),
    ("proxy-authorization", ""),
    ("range", ""),
    ("referer", ""),
    ("refresh", ""),
    ("retry-after", ""),
    ("server", ""),
    ("set-cookie", ""),
    ("strict-transport-security", ""),
    ("transfer-encoding", ""),
    ("user-agent", ""),
    ("vary", ""),
    ("via", ""),
    ("www-authenticate", ""),
];

#[cfg(test)]
mod tests {
    use super::{Decoder, Field, block};

    fn fields(pairs: &[(&str, &str)]) -> Vec<Field> {
        let owned = pairs
            .iter()
            .map(|(name, value)| (name.to_string(), value.to_string()));
        owned.collect()
    }

    #[test]
    fn what_is_written_is_read() {
        let long = "x".repeat(70_000);
        let pairs = [(":path", "/"), ("a", ""), ("b", long.as_str())];
        let read = Decoder::default().read(&block(pairs)).unwrap();
        assert_eq!(read, fields(&pairs));
    }

    /// RFC 7541 appendix C.4: three blocks with Huffman codes and a table that grows.
    #[test]
    fn the_examples_of_the_standard() {
        let mut decoder = Decoder::default();
        let start = [(":method", "GET"), (":scheme", "http"), (":path", "/")];
        let authority = (":authority", "www.example.com");
        for (bytes, rest) in [
            (
                &b"\x82\x86\x84\x41\x8c\xf1\xe3\xc2\xe5\xf2\x3a\x6b\xa0\xab\x90\xf4\xff"[..],
                None,
            ),
            (
                b"\x82\x86\x84\xbe\x58\x86\xa8\xeb\x10\x64\x9c\xbf",
                Some(("cache-control", "no-cache")),
            ),
        ] {
            let expected = start.into_iter().chain([authority]).chain(rest);
            let expected: Vec<_> = expected.collect();
            assert_eq!(decoder.read(bytes).unwrap(), fields(&expected));
        }
        let last = b"\x82\x87\x85\xbf\x40\x88\x25\xa8\x49\xe9\x5b\xa9\x7d\x7f\x89\x25\xa8\x49\xe9\
                     \x5b\xb8\xe8\xb4\xbf";
        let read = decoder.read(last).unwrap();
        assert_eq!(
            read[4],
            ("custom-key".to_owned(), "custom-value".to_owned())
        );
    }

    #[test]
    fn what_is_no_block_is_refused() {
        for bytes in [
            &b"\xbe"[..],
            b"\x00\x05ab",
            b"\x40",
            b"\x80",
            b"\xff\xff\xff\xff\xff\xff",
        ] {
            assert_eq!(Decoder::default().read(bytes), None, "{bytes:?}");
        }
    }
}
