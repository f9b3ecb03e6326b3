//! What a client asks for when it begins TLS: the name of the server and the protocols that it
//! offers, before anything is agreed on (RFC 8446 section 4.1.2).
//!
//! Only as much is read as the choice of a chain needs; what is read is untrusted. Whoever goes on
//! with the handshake reads all of it, so what is odd here, but has the form, passes.

use std::borrow::Cow;

/// What a ClientHello says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientHello {
    /// The server's name (SNI, RFC 6066 section 3), as it was sent.
    pub server_name: Option<String>,
    /// Protocols, best first (ALPN, RFC 7301 section 3.1).
    pub alpn: Vec<Vec<u8>>,
}

/// What the first bytes of a connection are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Beginning {
    /// A whole ClientHello.
    Hello(ClientHello),
    /// They may become one.
    More,
    /// They are not of TLS.
    Other,
    /// They begin like one, and break the rules of its form.
    Malformed,
}

/// Longest ClientHello that is looked at, with the heads of its records.
pub const HELLO_BYTES_MAX: usize = 64 << 10;

const HANDSHAKE: u8 = 22;
const CLIENT_HELLO: u8 = 1;
const RECORD_HEAD_BYTES: usize = 5;
/// RFC 8446 section 5.1.
const RECORD_BYTES_MAX: usize = 1 << 14;
const MESSAGE_HEAD_BYTES: usize = 4;
const SERVER_NAME: u16 = 0;
const ALPN: u16 = 16;
const HOST_NAME: u8 = 0;

/// Looks at the first bytes of a connection.
pub fn look(bytes: &[u8]) -> Beginning {
    match bytes {
        [] => return Beginning::More,
        [HANDSHAKE] => return Beginning::More,
        [HANDSHAKE, 3, ..] => {}
        _ => return Beginning::Other,
    }
    match message(bytes) {
        Ok(Some(body)) => match hello(&body) {
            Some(hello) => Beginning::Hello(hello),
            None => Beginning::Malformed,
        },
        Ok(None) if bytes.len() >= HELLO_BYTES_MAX => Beginning::Malformed,
        Ok(None) => Beginning::More,
        Err(Malformed) => Beginning::Malformed,
    }
}

struct Malformed;

/// What is in a record, and what follows it.
type Record<'a> = (&'a [u8], &'a [u8]);

/// The body of the first message of a handshake, however many records it is cut into. `None`: it is
/// not complete.
fn message(mut bytes: &[u8]) -> Result<Option<Cow<'_, [u8]>>, Malformed> {
    let mut joined: Cow<'_, [u8]> = Cow::Borrowed(&[]);
    loop {
        let Some((fragment, rest)) = record(bytes)? else {
            return Ok(None);
        };
        if joined.is_empty() {
            joined = Cow::Borrowed(fragment);
        } else {
            joined.to_mut().extend_from_slice(fragment);
        }
        if let [kind, a, b, c, body @ ..] = &*joined {
            if *kind != CLIENT_HELLO {
                return Err(Malformed);
            }
            let length = u32::from_be_bytes([0, *a, *b, *c]) as usize;
            if length > HELLO_BYTES_MAX {
                return Err(Malformed);
            }
            if body.len() >= length {
                let end = MESSAGE_HEAD_BYTES + length;
                return Ok(Some(match joined {
                    Cow::Borrowed(all) => Cow::Borrowed(&all[MESSAGE_HEAD_BYTES..end]),
                    Cow::Owned(all) => Cow::Owned(all[MESSAGE_HEAD_BYTES..end].to_vec()),
                }));
            }
        } else if joined.first().is_some_and(|kind| *kind != CLIENT_HELLO) {
            return Err(Malformed);
        }
        bytes = rest;
    }
}

/// The first record; `None`: it is not complete.
fn record(bytes: &[u8]) -> Result<Option<Record<'_>>, Malformed> {
    let [kind, major, _, high, low, rest @ ..] = bytes else {
        let is_one = bytes
            .iter()
            .zip([HANDSHAKE, 3])
            .all(|(byte, own)| *byte == own);
        return if is_one { Ok(None) } else { Err(Malformed) };
    };
    let length = usize::from(u16::from_be_bytes([*high, *low]));
    if (*kind, *major) != (HANDSHAKE, 3) || length == 0 || length > RECORD_BYTES_MAX {
        return Err(Malformed);
    }
    debug_assert!(bytes.len() >= RECORD_HEAD_BYTES);
    Ok(rest.split_at_checked(length))
}

/// The body of a ClientHello; `None` when it has not the form of one.
fn hello(body: &[u8]) -> Option<ClientHello> {
    let mut reader = Reader(body);
    reader.take(2 + 32)?;
    reader.short_list()?;
    reader.list()?;
    reader.short_list()?;
    let mut hello = ClientHello::default();
    if reader.0.is_empty() {
        return Some(hello);
    }
    let mut extensions = Reader(reader.list()?);
    if !reader.0.is_empty() {
        return None;
    }
    while !extensions.0.is_empty() {
        let (kind, content) = (extensions.number()?, extensions.list()?);
        match kind {
            SERVER_NAME => hello.server_name = server_name(content)?,
            ALPN => hello.alpn = alpn(content)?,
            _ => {}
        }
    }
    Some(hello)
}

/// `Some(None)`: a name of a kind that is not known.
fn server_name(content: &[u8]) -> Option<Option<String>> {
    let mut names = Reader(Reader(content).list()?);
    while !names.0.is_empty() {
        let kind = *names.take(1)?.first()?;
        let name = names.list()?;
        if kind == HOST_NAME {
            let name = str::from_utf8(name).ok()?;
            let is_plain = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic());
            return is_plain.then(|| Some(name.to_owned()));
        }
    }
    Some(None)
}

fn alpn(content: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut names = Reader(Reader(content).list()?);
    let mut protocols = Vec::new();
    while !names.0.is_empty() {
        protocols.push(names.short_list()?.to_vec());
    }
    Some(protocols)
}

/// What is not read yet.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (front, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(front)
    }

    fn number(&mut self) -> Option<u16> {
        let bytes = self.take(2)?;
        Some(u16::from_be_bytes([bytes[0], bytes[1]]))
    }

    /// Behind its length in two bytes.
    fn list(&mut self) -> Option<&'a [u8]> {
        let length = self.number()?;
        self.take(length.into())
    }

    /// Behind its length in one byte.
    fn short_list(&mut self) -> Option<&'a [u8]> {
        let length = *self.take(1)?.first()?;
        self.take(length.into())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Beginning, ClientHello, HELLO_BYTES_MAX, look};

    fn list(bytes: &[u8]) -> Vec<u8> {
        let length = u16::try_from(bytes.len()).unwrap();
        [&length.to_be_bytes(), bytes].concat()
    }

    fn short(bytes: &[u8]) -> Vec<u8> {
        [&[u8::try_from(bytes.len()).unwrap()], bytes].concat()
    }

    fn extension(kind: u16, content: &[u8]) -> Vec<u8> {
        [&kind.to_be_bytes()[..], &list(content)].concat()
    }

    fn name(kind: u8, name: &str) -> Vec<u8> {
        extension(0, &list(&[&[kind][..], &list(name.as_bytes())].concat()))
    }

    fn alpn(names: &[&str]) -> Vec<u8> {
        let names: Vec<u8> = names
            .iter()
            .flat_map(|name| short(name.as_bytes()))
            .collect();
        extension(16, &list(&names))
    }

    fn message(extensions: Option<&[u8]>) -> Vec<u8> {
        let mut body = [&[3, 3][..], &[7; 32], &short(&[1; 32])].concat();
        body.extend(list(&[0x13, 0x01]));
        body.extend(short(&[0]));
        body.extend(extensions.map(list).unwrap_or_default());
        let length = u32::try_from(body.len()).unwrap().to_be_bytes();
        [&[1][..], &length[1..], &body].concat()
    }

    /// In records of so many bytes at most.
    fn records(message: &[u8], bytes: usize) -> Vec<u8> {
        let records = message.chunks(bytes);
        records
            .flat_map(|part| [&[22, 3, 1][..], &list(part)].concat())
            .collect()
    }

    fn hello(server_name: Option<&str>, alpn: &[&str]) -> Beginning {
        Beginning::Hello(ClientHello {
            server_name: server_name.map(str::to_owned),
            alpn: alpn.iter().map(|name| name.as_bytes().to_vec()).collect(),
        })
    }

    #[test]
    fn hellos() {
        let both = [
            name(0, "A.example"),
            extension(43, &[2, 3, 4]),
            alpn(&["h2", "istio"]),
        ];
        for (extensions, expected) in [
            (
                Some(both.concat()),
                hello(Some("A.example"), &["h2", "istio"]),
            ),
            (Some(alpn(&["http/1.1"])), hello(None, &["http/1.1"])),
            (Some(name(9, "a")), hello(None, &[])),
            (Some(Vec::new()), hello(None, &[])),
            (None, hello(None, &[])),
            (Some(name(0, "")), Beginning::Malformed),
            (Some(name(0, "a b")), Beginning::Malformed),
            (Some(name(0, "caf\u{e9}")), Beginning::Malformed),
            (Some(vec![0, 0, 0]), Beginning::Malformed),
            (Some(extension(16, &[0, 9, 1])), Beginning::Malformed),
        ] {
            let message = message(extensions.as_deref());
            for bytes in [1, 2, 3, 40, 1 << 14] {
                let whole = records(&message, bytes);
                assert_eq!(look(&whole), expected);
                let more = [&whole[..], &[23, 3, 3, 0, 1, 0]].concat();
                assert_eq!(look(&more), expected);
                // However it is cut, it is not known before it is complete.
                for cut in 0..whole.len() {
                    assert_eq!(look(&whole[..cut]), Beginning::More, "{cut}");
                }
            }
        }
    }

    #[test]
    fn what_is_no_hello() {
        let long = [&[1, 1, 0, 1][..], &[0; 100]].concat();
        for (bytes, expected) in [
            (&b""[..], Beginning::More),
            (b"\x16", Beginning::More),
            (b"\x16\x03", Beginning::More),
            (b"\x16\x02\x01", Beginning::Other),
            (b"GET / HTTP/1.1\r\n", Beginning::Other),
            (b"\x80\x2e\x01\x03\x01", Beginning::Other),
            (b"\x16\x03\x01\x00\x00", Beginning::Malformed),
            (b"\x16\x03\x01\x40\x01\x01", Beginning::Malformed),
            (b"\x16\x03\x01\x00\x04\x02\0\0\0", Beginning::Malformed),
            (b"\x16\x03\x01\x00\x01\x02", Beginning::Malformed),
            (b"\x16\x03\x01\x00\x01\x01\x17\x03", Beginning::Malformed),
            (b"\x16\x03\x01\x00\x04\x01\0\0\0", Beginning::Malformed),
            (&records(&long, 200), Beginning::Malformed),
        ] {
            assert_eq!(look(bytes), expected, "{bytes:02x?}");
        }
        let endless = records(&[&[1, 0, 0xff, 0xff][..], &[0; 65_530]].concat(), 1 << 14);
        assert!(endless.len() > HELLO_BYTES_MAX);
        assert_eq!(look(&endless[..HELLO_BYTES_MAX]), Beginning::Malformed);
    }

    proptest! {
        #[test]
        fn anything_is_answered(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = look(&bytes);
            let _ = look(&[&[22, 3, 1][..], &list(&bytes)].concat());
            let _ = look(&records(&message(Some(&bytes)), 50));
        }
    }
}
