//! The header that a load balancer puts before a connection to say whose it is: PROXY protocol,
//! version 1 (text) and 2 (binary), by haproxy's `doc/proxy-protocol.txt`.
//!
//! It is read only from peers that are trusted to send it, and then it must be there: what it
//! says decides about access, so nothing is guessed from what a connection begins with.

use std::{
    io::Write,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

/// What a header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Bytes that it takes.
    pub length: usize,
    /// Whose connection it is; `None`: the sender's own (`LOCAL`, `UNKNOWN`, or neither IPv4 nor
    /// IPv6).
    pub addresses: Option<Addresses>,
}

/// The ends of the connection that the sender accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// The client.
    pub source: SocketAddr,
    /// What it connected to.
    pub destination: SocketAddr,
}

/// Why bytes are not a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotHeader {
    /// Neither version begins so.
    Signature,
    /// Version 1, section 2.1.
    Line,
    /// Version 2, section 2.2: its version, command, family or length.
    Binary,
    /// More than [`HEADER_BYTES_MAX`].
    TooLong,
}

impl NotHeader {
    /// In words.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Signature => "the connection does not begin with a PROXY protocol header",
            Self::Line => "the line of PROXY protocol version 1 is malformed",
            Self::Binary => "the header of PROXY protocol version 2 is malformed",
            Self::TooLong => "the header of PROXY protocol version 2 is longer than 1040 bytes",
        }
    }
}

/// Longest header that is accepted: addresses of version 2, and 1 KiB for its TLVs (certificates'
/// names, checksums), which are skipped.
pub const HEADER_BYTES_MAX: usize = 16 + 1024;

/// Longest line of version 1, with its end (section 2.1).
const LINE_BYTES_MAX: usize = 107;
const LINE_START: &[u8] = b"PROXY ";
/// What version 2 begins with (section 2.2).
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// Of version 2, before the addresses.
const FIXED_BYTES: usize = 16;

const LOCAL: u8 = 0x20;
const PROXY: u8 = 0x21;
const TCP_OVER_IPV4: u8 = 0x11;
const TCP_OVER_IPV6: u8 = 0x21;
const IPV4_BYTES: usize = 12;
const IPV6_BYTES: usize = 36;

/// The header at the front of `bytes`; `None` when more are needed.
///
/// # Errors
/// When they do not begin with one, whatever follows.
pub fn decode(bytes: &[u8]) -> Result<Option<Header>, NotHeader> {
    let begins = |start: &[u8]| start.iter().zip(bytes).all(|(own, byte)| own == byte);
    if begins(SIGNATURE) {
        return binary(bytes);
    }
    if begins(LINE_START) {
        return line(bytes);
    }
    Err(NotHeader::Signature)
}

fn line(bytes: &[u8]) -> Result<Option<Header>, NotHeader> {
    let within = &bytes[..bytes.len().min(LINE_BYTES_MAX)];
    let Some(end) = within.iter().position(|byte| *byte == b'\n') else {
        return match bytes.len() < LINE_BYTES_MAX {
            true => Ok(None),
            false => Err(NotHeader::Line),
        };
    };
    let text = within[..end].strip_suffix(b"\r").ok_or(NotHeader::Line)?;
    let text = std::str::from_utf8(text).map_err(|_| NotHeader::Line)?;
    let mut words = text.split(' ').skip(1);
    let family = words.next();
    let length = end + 1;
    if family == Some("UNKNOWN") {
        // Whatever else the line says is to be ignored.
        let addresses = None;
        return Ok(Some(Header { length, addresses }));
    }
    let (Some(source), Some(destination), Some(source_port), Some(destination_port), None) = (
        words.next(),
        words.next(),
        words.next(),
        words.next(),
        words.next(),
    ) else {
        return Err(NotHeader::Line);
    };
    let address = |text: &str, port: &str| {
        let ip = match family {
            Some("TCP4") => IpAddr::V4(text.parse().ok()?),
            Some("TCP6") => IpAddr::V6(text.parse().ok()?),
            _ => return None,
        };
        Some(SocketAddr::new(ip, decimal(port)?))
    };
    let source = address(source, source_port).ok_or(NotHeader::Line)?;
    let destination = address(destination, destination_port).ok_or(NotHeader::Line)?;
    let addresses = Some(Addresses {
        source,
        destination,
    });
    Ok(Some(Header { length, addresses }))
}

/// Without a sign and without zeros in front.
fn decimal(text: &str) -> Option<u16> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
    let is_short = text == "0" || !text.starts_with('0');
    (is_plain && is_short).then(|| text.parse().ok())?
}

fn binary(bytes: &[u8]) -> Result<Option<Header>, NotHeader> {
    let Some(fixed) = bytes.first_chunk::<FIXED_BYTES>() else {
        return Ok(None);
    };
    let [.., command, family, high, low] = *fixed;
    if !matches!(command, LOCAL | PROXY) {
        return Err(NotHeader::Binary);
    }
    let length = FIXED_BYTES + usize::from(u16::from_be_bytes([high, low]));
    if length > HEADER_BYTES_MAX {
        return Err(NotHeader::TooLong);
    }
    let Some(rest) = bytes.get(FIXED_BYTES..length) else {
        return Ok(None);
    };
    let addresses = match (command, family) {
        (LOCAL, _) => None,
        (_, TCP_OVER_IPV4) => {
            let block = rest.first_chunk::<IPV4_BYTES>();
            Some(ipv4(block.ok_or(NotHeader::Binary)?))
        }
        (_, TCP_OVER_IPV6) => {
            let block = rest.first_chunk::<IPV6_BYTES>();
            Some(ipv6(block.ok_or(NotHeader::Binary)?))
        }
        // Not given, datagrams or Unix sockets: known, but nothing that came here can be such.
        (_, 0x00 | 0x12 | 0x22 | 0x31 | 0x32) => None,
        _ => return Err(NotHeader::Binary),
    };
    Ok(Some(Header { length, addresses }))
}

fn ipv4(block: &[u8; IPV4_BYTES]) -> Addresses {
    let [a, b, c, d, e, f, g, h, ports @ ..] = *block;
    let (source, destination) = ports_of(ports);
    Addresses {
        source: (Ipv4Addr::new(a, b, c, d), source).into(),
        destination: (Ipv4Addr::new(e, f, g, h), destination).into(),
    }
}

fn ipv6(block: &[u8; IPV6_BYTES]) -> Addresses {
    let at = |from: usize| {
        let octets = block[from..].first_chunk::<16>();
        Ipv6Addr::from(*octets.expect("a block has two addresses and two ports"))
    };
    let [.., a, b, c, d] = *block;
    let (source, destination) = ports_of([a, b, c, d]);
    Addresses {
        source: (at(0), source).into(),
        destination: (at(16), destination).into(),
    }
}

fn ports_of([a, b, c, d]: [u8; 4]) -> (u16, u16) {
    (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]))
}

impl Addresses {
    /// Both of one family: a header has room for one only, so IPv4 is written as IPv6 when the
    /// other is (RFC 4291 section 2.5.5.2).
    fn alike(self) -> (SocketAddr, SocketAddr) {
        let canonical =
            |address: SocketAddr| SocketAddr::new(address.ip().to_canonical(), address.port());
        let mapped = |address: SocketAddr| match address.ip() {
            IpAddr::V4(ip) => SocketAddr::new(ip.to_ipv6_mapped().into(), address.port()),
            IpAddr::V6(_) => address,
        };
        let (source, destination) = (canonical(self.source), canonical(self.destination));
        match source.is_ipv4() == destination.is_ipv4() {
            true => (source, destination),
            false => (mapped(source), mapped(destination)),
        }
    }

    /// The header of version 1, appended to `out`.
    pub fn encode_v1(self, out: &mut Vec<u8>) {
        let (source, destination) = self.alike();
        let family = if source.is_ipv4() { "TCP4" } else { "TCP6" };
        let (from, to) = (source.ip(), destination.ip());
        let (from_port, to_port) = (source.port(), destination.port());
        write!(out, "PROXY {family} {from} {to} {from_port} {to_port}\r\n")
            .expect("a Vec takes whatever is written to it");
    }

    /// The header of version 2, without TLVs, appended to `out`.
    pub fn encode_v2(self, out: &mut Vec<u8>) {
        let (source, destination) = self.alike();
        out.extend_from_slice(SIGNATURE);
        match (source.ip(), destination.ip()) {
            (IpAddr::V4(from), IpAddr::V4(to)) => {
                out.extend_from_slice(&[PROXY, TCP_OVER_IPV4, 0, IPV4_BYTES as u8]);
                out.extend_from_slice(&from.octets());
                out.extend_from_slice(&to.octets());
            }
            (from, to) => {
                out.extend_from_slice(&[PROXY, TCP_OVER_IPV6, 0, IPV6_BYTES as u8]);
                for ip in [from, to] {
                    let ip = match ip {
                        IpAddr::V4(ip) => ip.to_ipv6_mapped(),
                        IpAddr::V6(ip) => ip,
                    };
                    out.extend_from_slice(&ip.octets());
                }
            }
        }
        out.extend_from_slice(&source.port().to_be_bytes());
        out.extend_from_slice(&destination.port().to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use proptest::prelude::*;

    use super::{Addresses, HEADER_BYTES_MAX, Header, NotHeader, SIGNATURE, decode};

    fn addresses(source: &str, destination: &str) -> Option<Addresses> {
        Some(Addresses {
            source: source.parse().unwrap(),
            destination: destination.parse().unwrap(),
        })
    }

    #[test]
    fn lines() {
        let longest = format!("PROXY UNKNOWN {}\r\n", "f".repeat(91));
        let too_long = format!("PROXY UNKNOWN {}\r\n", "f".repeat(92));
        for (text, expected) in [
            (
                "PROXY TCP4 10.0.0.1 10.0.0.2 1000 443\r\nGET",
                Ok(Some(addresses("10.0.0.1:1000", "10.0.0.2:443"))),
            ),
            (
                "PROXY TCP6 fd00::1 ::2 1000 0\r\n",
                Ok(Some(addresses("[fd00::1]:1000", "[::2]:0"))),
            ),
            ("PROXY UNKNOWN\r\n", Ok(Some(None))),
            ("PROXY UNKNOWN whatever it is\r\n", Ok(Some(None))),
            (&longest, Ok(Some(None))),
            (&too_long, Err(NotHeader::Line)),
            (
                "PROXY TCP4 10.0.0.1 10.0.0.2 1000 443\n",
                Err(NotHeader::Line),
            ),
            (
                "PROXY TCP4 10.0.0.1 10.0.0.2 1000\r\n",
                Err(NotHeader::Line),
            ),
            (
                "PROXY TCP4 10.0.0.1 10.0.0.2 1000 443 1\r\n",
                Err(NotHeader::Line),
            ),
            (
                "PROXY TCP4 fd00::1 10.0.0.2 1000 443\r\n",
                Err(NotHeader::Line),
            ),
            (
                "PROXY TCP6 10.0.0.1 10.0.0.2 1000 443\r\n",
                Err(NotHeader::Line),
            ),
            (
                "PROXY TCP4 10.0.0.01 10.0.0.2 1000 443\r\n",
                Err(NotHeader::Line),
            ),
            (
                "PROXY TCP4 10.0.0.1 10.0.0.2 65536 443\r\n",
                Err(NotHeader::Line),
            ),
            (
                "PROXY TCP4 10.0.0.1 10.0.0.2 +1 443\r\n",
                Err(NotHeader::Line),
            ),
            (
                "PROXY TCP4 10.0.0.1 10.0.0.2 01 443\r\n",
                Err(NotHeader::Line),
            ),
            (
                "PROXY TCP4  10.0.0.1 10.0.0.2 1 443\r\n",
                Err(NotHeader::Line),
            ),
            (
                "PROXY UDP4 10.0.0.1 10.0.0.2 1 443\r\n",
                Err(NotHeader::Line),
            ),
            ("PROXY \r\n", Err(NotHeader::Line)),
            ("PROXY TCP4 10.0.0.1", Ok(None)),
            ("PRO", Ok(None)),
            ("", Ok(None)),
            ("PROXY\r\n", Err(NotHeader::Signature)),
            ("proxy TCP4", Err(NotHeader::Signature)),
            ("GET / HTTP/1.1\r\n", Err(NotHeader::Signature)),
            ("\u{16}\u{3}\u{1}", Err(NotHeader::Signature)),
        ] {
            let found = decode(text.as_bytes());
            let shown = found.map(|header| header.map(|header| header.addresses));
            assert_eq!(shown, expected, "{text:?}");
            if let Ok(Some(Header { length, .. })) = found {
                assert_eq!(Some(length), text.find('\n').map(|at| at + 1));
            }
        }
    }

    fn of_parts(fixed: [u8; 4], rest: &[u8]) -> Vec<u8> {
        [&SIGNATURE[..], &fixed, rest].concat()
    }

    #[test]
    fn binaries() {
        let four = [10, 0, 0, 1, 10, 0, 0, 2, 0x03, 0xe8, 0x01, 0xbb];
        let with_tlv = [&four[..], &[4, 0, 1, 0]].concat();
        let found = addresses("10.0.0.1:1000", "10.0.0.2:443");
        for (bytes, expected) in [
            (of_parts([0x21, 0x11, 0, 12], &four), Ok(Some(found))),
            (of_parts([0x21, 0x11, 0, 16], &with_tlv), Ok(Some(found))),
            (of_parts([0x21, 0x11, 0, 16], &four), Ok(None)),
            (of_parts([0x20, 0x11, 0, 12], &four), Ok(Some(None))),
            (of_parts([0x20, 0xff, 0, 0], &[]), Ok(Some(None))),
            (of_parts([0x21, 0x00, 0, 0], &[]), Ok(Some(None))),
            (of_parts([0x21, 0x12, 0, 12], &four), Ok(Some(None))),
            (of_parts([0x21, 0x31, 0, 216], &[0; 216]), Ok(Some(None))),
            (of_parts([0x21, 0x11, 0, 11], &four), Err(NotHeader::Binary)),
            (of_parts([0x21, 0x21, 0, 12], &four), Err(NotHeader::Binary)),
            (of_parts([0x21, 0x13, 0, 12], &four), Err(NotHeader::Binary)),
            (of_parts([0x22, 0x11, 0, 12], &four), Err(NotHeader::Binary)),
            (of_parts([0x11, 0x11, 0, 12], &four), Err(NotHeader::Binary)),
            (of_parts([0x21, 0x11, 4, 1], &four), Err(NotHeader::TooLong)),
            (of_parts([0x21, 0x11, 4, 0], &four), Ok(None)),
            (SIGNATURE[..5].to_vec(), Ok(None)),
            (b"\r\n\r\n\0\r\nQUIT\r".to_vec(), Err(NotHeader::Signature)),
            (b"\r\nGET".to_vec(), Err(NotHeader::Signature)),
        ] {
            let found = decode(&bytes).map(|header| header.map(|header| header.addresses));
            assert_eq!(found, expected, "{bytes:02x?}");
        }
    }

    #[test]
    fn families_are_made_alike() {
        let mixed = addresses("10.0.0.1:1", "[fd00::1]:2").unwrap();
        let mapped = addresses("[::ffff:10.0.0.1]:1", "10.0.0.2:2").unwrap();
        for (addresses, expected) in [
            (mixed, "PROXY TCP6 ::ffff:10.0.0.1 fd00::1 1 2\r\n"),
            (mapped, "PROXY TCP4 10.0.0.1 10.0.0.2 1 2\r\n"),
        ] {
            let mut out = Vec::new();
            addresses.encode_v1(&mut out);
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(source: SocketAddr, destination: SocketAddr, more: Vec<u8>) {
            let written = Addresses { source, destination };
            let (source, destination) = written.alike();
            let expected = Some(Addresses { source, destination });
            for encode in [Addresses::encode_v1, Addresses::encode_v2] {
                let mut bytes = Vec::new();
                encode(written, &mut bytes);
                let length = bytes.len();
                // However it is cut, it is complete exactly when it is.
                for cut in 0..length {
                    prop_assert_eq!(decode(&bytes[..cut]), Ok(None));
                }
                bytes.extend_from_slice(&more);
                let header = decode(&bytes).unwrap().unwrap();
                prop_assert_eq!(header.length, length);
                prop_assert_eq!(header.addresses, expected);
            }
        }

        #[test]
        fn anything_is_answered(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            for bytes in [bytes.clone(), [&SIGNATURE[..], &bytes].concat()] {
                if let Ok(Some(header)) = decode(&bytes) {
                    prop_assert!(header.length <= bytes.len().min(HEADER_BYTES_MAX));
                }
            }
        }
    }
}
