//! Frames (RFC 6455 section 5), as bytes.

/// Of a control frame's payload (section 5.5).
pub(super) const CONTROL_BYTES_MAX: usize = 125;

/// What a frame is (section 5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Opcode {
    Continuation = 0,
    Text = 1,
    Binary = 2,
    Close = 8,
    Ping = 9,
    Pong = 10,
}

impl Opcode {
    fn from_bits(bits: u8) -> Option<Self> {
        Some(match bits {
            0 => Self::Continuation,
            1 => Self::Text,
            2 => Self::Binary,
            8 => Self::Close,
            9 => Self::Ping,
            10 => Self::Pong,
            _ => return None,
        })
    }

    pub(super) fn is_control(self) -> bool {
        matches!(self, Self::Close | Self::Ping | Self::Pong)
    }
}

/// The head of a server's frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    /// The last one of its message.
    pub(super) is_final: bool,
    pub(super) opcode: Opcode,
    pub(super) payload_bytes: u64,
}

impl Head {
    /// The head at the start of `bytes`, and its length; `None` when more bytes are needed.
    ///
    /// # Errors
    /// What is not allowed in it.
    pub(super) fn read(bytes: &[u8]) -> Result<Option<(Self, usize)>, &'static str> {
        let &[first, second, ref rest @ ..] = bytes else {
            return Ok(None);
        };
        if first & 0x70 != 0 {
            return Err("the server uses a WebSocket extension that was not agreed on");
        }
        let Some(opcode) = Opcode::from_bits(first & 0x0f) else {
            return Err("the server sends a WebSocket frame of an unknown kind");
        };
        if second & 0x80 != 0 {
            return Err("the server masks its WebSocket frames");
        }
        let (payload_bytes, length) = match second & 0x7f {
            126 => match rest.first_chunk() {
                Some(bytes) => (u64::from(u16::from_be_bytes(*bytes)), 4),
                None => return Ok(None),
            },
            127 => match rest.first_chunk() {
                Some(bytes) => (u64::from_be_bytes(*bytes), 10),
                None => return Ok(None),
            },
            short => (u64::from(short), 2),
        };
        let is_minimal = match length {
            4 => payload_bytes > 125,
            10 => payload_bytes > u64::from(u16::MAX) && payload_bytes >> 63 == 0,
            _ => true,
        };
        if !is_minimal {
            return Err("the server sends a WebSocket frame of a malformed length");
        }
        let is_final = first & 0x80 != 0;
        if opcode.is_control() && (!is_final || payload_bytes > CONTROL_BYTES_MAX as u64) {
            return Err("the server sends a control frame that is too long or in pieces");
        }
        let head = Self {
            is_final,
            opcode,
            payload_bytes,
        };
        Ok(Some((head, length)))
    }
}

/// Appends a client's frame that is a whole message, masked with `mask` (section 5.3).
pub(super) fn write(to: &mut Vec<u8>, opcode: Opcode, payload: &[u8], mask: [u8; 4]) {
    to.reserve(14 + payload.len());
    to.push(0x80 | opcode as u8);
    match payload.len() {
        short @ 0..=125 => to.push(0x80 | short as u8),
        medium @ 126..=0xffff => {
            to.push(0x80 | 126);
            to.extend_from_slice(&(medium as u16).to_be_bytes());
        }
        long => {
            to.push(0x80 | 127);
            to.extend_from_slice(&(long as u64).to_be_bytes());
        }
    }
    to.extend_from_slice(&mask);
    let start = to.len();
    to.extend_from_slice(payload);
    apply(mask, &mut to[start..]);
}

/// Masks or unmasks, which is the same.
fn apply(mask: [u8; 4], bytes: &mut [u8]) {
    let [a, b, c, d] = mask;
    let wide = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let (words, rest) = bytes.as_chunks_mut::<8>();
    for word in words {
        *word = (u64::from_ne_bytes(*word) ^ wide).to_ne_bytes();
    }
    for (byte, mask) in rest.iter_mut().zip(mask.iter().cycle()) {
        *byte ^= mask;
    }
}

/// What a close frame says (section 5.5.1).
pub(super) fn close_reason(payload: &[u8]) -> String {
    match payload {
        [high, low, text @ ..] => {
            let code = u16::from_be_bytes([*high, *low]);
            let text = String::from_utf8_lossy(text);
            match text.is_empty() {
                true => format!("code {code}"),
                false => format!("code {code}, {text:?}"),
            }
        }
        _ => "without a reason".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use proptest::{collection::vec, prelude::*};
    use tungstenite::protocol::frame::{FrameHeader, coding};

    use super::*;

    #[test]
    fn heads() {
        let head = |is_final, opcode, payload_bytes, length| {
            let head = Head {
                is_final,
                opcode,
                payload_bytes,
            };
            Ok(Some((head, length)))
        };
        let long = [0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0];
        for (bytes, expected) in [
            (&b"\x82\x05hello"[..], head(true, Opcode::Binary, 5, 2)),
            (b"\x01\x00", head(false, Opcode::Text, 0, 2)),
            (
                b"\x80\x7e\x00\x7e",
                head(true, Opcode::Continuation, 126, 4),
            ),
            (&long, head(true, Opcode::Binary, 65_536, 10)),
            (b"\x89\x7d", head(true, Opcode::Ping, 125, 2)),
            (b"", Ok(None)),
            (b"\x82", Ok(None)),
            (b"\x82\x7e\x01", Ok(None)),
            (&long[..9], Ok(None)),
            (b"\xc2\x00", Err("extension")),
            (b"\x83\x00", Err("unknown kind")),
            (b"\x82\x80", Err("masks")),
            (b"\x82\x7e\x00\x7d", Err("malformed length")),
            (b"\x82\x7f\0\0\0\0\0\0\xff\xff", Err("malformed length")),
            (b"\x82\x7f\x80\0\0\0\0\0\0\0", Err("malformed length")),
            (b"\x09\x00", Err("control frame")),
            (b"\x88\x7e\x00\x7e", Err("control frame")),
        ] {
            check(bytes, expected);
        }
    }

    fn check(bytes: &[u8], expected: Result<Option<(Head, usize)>, &str>) {
        match (Head::read(bytes), expected) {
            (Err(error), Err(part)) => assert!(error.contains(part), "{bytes:x?}: {error}"),
            (actual, expected) => assert_eq!(actual, expected, "{bytes:x?}"),
        }
    }

    #[test]
    fn farewells() {
        for (payload, expected) in [
            (&b""[..], "without a reason"),
            (b"\x03\xe8", "code 1000"),
            (b"\x03\xf3full", "code 1011, \"full\""),
            (b"\x03\xf3\xff", "code 1011, \"\u{fffd}\""),
        ] {
            assert_eq!(close_reason(payload), expected);
        }
    }

    proptest! {
        /// Another implementation reads what is written.
        #[test]
        fn written_frames_are_read(
            payload in prop_oneof![vec(any::<u8>(), 0..300), vec(any::<u8>(), 65_530..65_540)],
            mask in any::<[u8; 4]>(),
        ) {
            let mut bytes = Vec::new();
            write(&mut bytes, Opcode::Binary, &payload, mask);
            let mut cursor = Cursor::new(&bytes[..]);
            let (head, length) = FrameHeader::parse(&mut cursor).unwrap().unwrap();
            prop_assert_eq!(length as usize, payload.len());
            prop_assert!(head.is_final);
            prop_assert_eq!(head.mask, Some(mask));
            prop_assert_eq!(head.opcode, coding::OpCode::Data(coding::Data::Binary));
            let mut body = bytes[cursor.position() as usize..].to_vec();
            apply(mask, &mut body);
            prop_assert_eq!(body, payload);
        }

        /// No bytes make it panic, and a cut head is not mistaken for another one.
        #[test]
        fn any_bytes_are_read(bytes in vec(any::<u8>(), 0..14)) {
            if let Ok(Some((head, length))) = Head::read(&bytes) {
                prop_assert!(length <= bytes.len());
                for cut in 0..length {
                    prop_assert_eq!(Head::read(&bytes[..cut]), Ok(None));
                }
                prop_assert_eq!(Head::read(&bytes[..length]), Ok(Some((head, length))));
            }
        }
    }
}
