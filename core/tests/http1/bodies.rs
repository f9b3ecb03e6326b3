//! Bodies: framing taken off, and what is refused.

use ringmain_core::http1::{
    BodyDecoder, Decoded, EndOfStream, Framing, LAST_CHUNK, Reject, encode_chunk_head,
    encode_last_chunk,
};

/// A body that was read to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Body {
    pub(crate) consumed: usize,
    pub(crate) data: Vec<u8>,
    pub(crate) trailers: Vec<u8>,
    pub(crate) done: bool,
}

/// Decodes `bytes` handed over in pieces of these lengths, the last being what is left.
pub(crate) fn decode(
    decoder: BodyDecoder,
    bytes: &[u8],
    lengths: impl IntoIterator<Item = usize>,
) -> Result<Body, Reject> {
    let mut decoder = decoder;
    let mut body = Body {
        consumed: 0,
        data: Vec::new(),
        trailers: Vec::new(),
        done: false,
    };
    let mut rest = bytes;
    let mut lengths = lengths.into_iter();
    loop {
        let length = lengths.next().unwrap_or(rest.len()).min(rest.len());
        let mut piece = rest[..length].to_vec();
        let decoded = decoder.decode(&mut piece)?;
        assert!(decoded.consumed <= length);
        assert!(decoded.data.start <= decoded.data.end && decoded.data.end <= decoded.consumed);
        assert!(decoded.done || decoded.consumed == length);
        assert_eq!(decoded.done, decoder.is_done());
        body.data.extend_from_slice(&piece[decoded.data]);
        body.consumed += decoded.consumed;
        rest = &rest[decoded.consumed..];
        if decoded.done || rest.is_empty() {
            body.done = decoded.done;
            body.trailers = decoder.trailers().to_vec();
            return Ok(body);
        }
    }
}

/// A chunked body, whole and byte by byte.
fn check(bytes: &[u8], expected: Result<(&[u8], &[u8]), Reject>) {
    let expected = expected.map(|(data, trailers)| Body {
        consumed: bytes.len(),
        data: data.to_vec(),
        trailers: trailers.to_vec(),
        done: true,
    });
    let decoder = BodyDecoder::new(Framing::Chunked);
    let whole = decode(decoder.clone(), bytes, []);
    assert_eq!(whole, expected, "{}", bytes.escape_ascii());
    let pieces = decode(decoder, bytes, std::iter::repeat(1));
    assert_eq!(pieces, expected, "byte by byte: {}", bytes.escape_ascii());
}

fn refused(reject: Reject, bodies: &[&[u8]]) {
    for body in bodies {
        check(body, Err(reject));
    }
}

#[test]
fn chunks() {
    check(b"0\r\n\r\n", Ok((b"", b"")));
    check(b"000\r\n\r\n", Ok((b"", b"")));
    check(b"5\r\nhello\r\n0\r\n\r\n", Ok((b"hello", b"")));
    check(
        b"1\r\na\r\n2\r\nbc\r\n3\r\ndef\r\n0\r\n\r\n",
        Ok((b"abcdef", b"")),
    );
    check(b"a\r\n0123456789\r\n0\r\n\r\n", Ok((b"0123456789", b"")));
    check(b"A\r\n0123456789\r\n0\r\n\r\n", Ok((b"0123456789", b"")));
    check(b"0000000000000001\r\n\n\r\n0\r\n\r\n", Ok((b"\n", b"")));
    check(b"4\r\n\r\n\r\n\r\n0\r\n\r\n", Ok((b"\r\n\r\n", b"")));
    check(b"1;a\r\nx\r\n0;b=\"c;d\"\r\n\r\n", Ok((b"x", b"")));
    check(b"1; \ta = b ;c\r\nx\r\n0\r\n\r\n", Ok((b"x", b"")));
    check(b"1;\r\nx\r\n0\r\n\r\n", Ok((b"x", b"")));
}

#[test]
fn chunks_that_are_refused() {
    refused(
        Reject::ChunkSize,
        &[
            b"\r\n",
            b"x\r\n",
            b" 5\r\nhello\r\n",
            b"5 \r\nhello\r\n",
            b"5 ;a\r\nhello\r\n",
            b"\t5\r\n",
            b"+5\r\nhello\r\n",
            b"-5\r\nhello\r\n",
            b"0x5\r\nhello\r\n",
            b"5h\r\nhello\r\n",
            b"5_\r\n",
            b";a\r\n",
            b"\n",
            b"00000000000000005\r\nhello\r\n",
            b"10000000000000000\r\n",
            b"1\r\na\r\n\r\n",
            b"\xff\r\n",
        ],
    );
    refused(
        Reject::BareLineEnd,
        &[
            b"5\nhello\r\n",
            b"5\rhello\r\n",
            b"5\r\rhello",
            b"5;a\nhello\r\n0\r\n\r\n",
            b"5;a\r\rhello",
            b"5;a\rb\r\nhello",
            b"5\r\nhello\n0\r\n\r\n",
            b"5\r\nhello\r0\r\n\r\n",
            b"5\r\nhello\r\r\n",
            b"0\n\r\n",
            b"0\r\n\n",
            b"0\r\nX: 1\n\r\n",
            b"0\r\nX: 1\rY: 2\r\n\r\n",
            b"0\r\nX: 1\r\r\n\r\n",
            b"0\r\n\r\r\n",
        ],
    );
    refused(
        Reject::ChunkEnd,
        &[
            b"5\r\nhello!\r\n",
            b"5\r\nhello0\r\n\r\n",
            b"5\r\nhello \r\n",
        ],
    );
    refused(
        Reject::ChunkExtension,
        &[
            b"5;\0\r\nhello\r\n",
            b"5;a\x0b\r\n",
            b"5;\x7f\r\n",
            b"5;\xc3\xa4\r\n",
        ],
    );
}

#[test]
fn extensions_are_bounded() {
    let extension = |length: usize| format!("1;{}\r\nx\r\n", "e".repeat(length));
    let body = |extensions: &[usize]| {
        let chunks: Vec<String> = extensions.iter().map(|&length| extension(length)).collect();
        format!("{}0\r\n\r\n", chunks.concat()).into_bytes()
    };
    check(&body(&[256]), Ok((b"x", b"")));
    check(&body(&[257]), Err(Reject::ChunkExtensionTooLong));
    check(&body(&[256; 16]), Ok((&[b'x'; 16], b"")));
    check(&body(&[256; 17]), Err(Reject::ChunkExtensionTooLong));
}

#[test]
fn trailers() {
    let trailers = |lines: &str, expected: &str| {
        let body = format!("1\r\na\r\n0\r\n{lines}\r\n");
        check(body.as_bytes(), Ok((b"a", expected.as_bytes())));
    };
    trailers("", "");
    trailers("X-Sum: 1\r\n", "X-Sum: 1\r\n");
    trailers("X:1\r\ny: \t2 \t\r\nZ:\r\n", "X: 1\r\ny: 2\r\nZ: \r\n");
    trailers(
        "grpc-status: 0\r\ngrpc-message: K\u{e4}se\r\n",
        "grpc-status: 0\r\ngrpc-message: K\u{e4}se\r\n",
    );
    for forbidden in [
        "Transfer-Encoding",
        "content-length",
        "HOST",
        "Trailer",
        "TE",
        "Connection",
        "Keep-Alive",
        "Upgrade",
        "Proxy-Authorization",
        "Proxy-Anything",
        "Authorization",
        "WWW-Authenticate",
        "Cookie",
        "Set-Cookie",
        "Cache-Control",
        "Expect",
        "Max-Forwards",
        "Pragma",
        "Range",
        "If-Match",
        "If-None-Match",
        "Content-Type",
        "Content-Encoding",
        "Content-Range",
        "Age",
        "Expires",
        "Date",
        "Location",
        "Retry-After",
        "Vary",
        "Via",
        "X-Forwarded-For",
        "X-Real-IP",
        "X-Auth-User",
        "Forwarded",
        "X-Envoy-Internal",
        "X-Request-Id",
        "Access-Control-Allow-Origin",
    ] {
        trailers(
            &format!("A: 1\r\n{forbidden}: x\r\nB: 2\r\n"),
            "A: 1\r\nB: 2\r\n",
        );
    }
    refused(
        Reject::Trailer,
        &[
            b"0\r\n X: 1\r\n\r\n",
            b"0\r\nX: 1\r\n 2\r\n\r\n",
            b"0\r\nX : 1\r\n\r\n",
            b"0\r\n: 1\r\n\r\n",
            b"0\r\nX\r\n\r\n",
            b"0\r\nX Y: 1\r\n\r\n",
            b"0\r\nX: a\0b\r\n\r\n",
            b"0\r\nX: \x7f\r\n\r\n",
            b"0\r\nGET / HTTP/1.1\r\n\r\n",
        ],
    );
    let long = |length: usize| format!("0\r\nX: {}\r\n\r\n", "x".repeat(length)).into_bytes();
    // 8192 with the name, the CR of this line, and that of the empty one.
    let most = 8192 - "X: \r\r".len();
    let kept = format!("X: {}\r\n", "x".repeat(most));
    check(&long(most), Ok((b"", kept.as_bytes())));
    check(&long(most + 1), Err(Reject::TrailersTooLarge));
    let dropped = format!("0\r\n{}\r\n", "Host: a\r\n".repeat(2000));
    check(dropped.as_bytes(), Err(Reject::TrailersTooLarge));
}

#[test]
fn one_chunk_is_not_moved() {
    let decoded = |bytes: &[u8]| {
        let mut buffer = bytes.to_vec();
        let decoded = BodyDecoder::new(Framing::Chunked)
            .decode(&mut buffer)
            .expect("a good body");
        (decoded, buffer)
    };
    let one = b"5\r\nhello\r\n0\r\n\r\nGET ";
    let (found, buffer) = decoded(one);
    let expected = Decoded {
        consumed: one.len() - 4,
        data: 3..8,
        done: true,
    };
    assert_eq!((found, buffer.as_slice()), (expected, one.as_slice()));

    let (found, buffer) = decoded(b"5\r\nhello\r\n6\r\n world\r\n6\r\nof");
    assert_eq!(found.data, 3..16);
    assert_eq!(&buffer[found.data], b"hello worldof");
    assert!(!found.done);
}

#[test]
fn other_framings() {
    let check = |framing, bytes: &[u8], consumed, done| {
        let expected = Body {
            consumed,
            data: bytes[..consumed].to_vec(),
            trailers: Vec::new(),
            done,
        };
        let whole = decode(BodyDecoder::new(framing), bytes, []);
        assert_eq!(whole, Ok(expected), "{framing:?}");
    };
    check(Framing::None, b"next", 0, true);
    check(Framing::None, b"", 0, true);
    check(Framing::Length(0), b"next", 0, true);
    check(Framing::Length(5), b"hello", 5, true);
    check(Framing::Length(5), b"hellonext", 5, true);
    check(Framing::Length(5), b"hel", 3, false);
    check(Framing::Length(u64::MAX), b"hel", 3, false);
    check(Framing::UntilClose, b"hello", 5, false);
    check(Framing::UntilClose, b"", 0, false);
}

#[test]
fn end_of_stream() {
    let check = |framing, bytes: &[u8], expected| {
        let mut decoder = BodyDecoder::new(framing);
        decoder.decode(&mut bytes.to_vec()).expect("a good body");
        assert_eq!(
            decoder.on_end_of_stream(),
            expected,
            "{framing:?} {}",
            bytes.escape_ascii()
        );
    };
    use EndOfStream::{Complete, Truncated};
    check(Framing::None, b"", Complete);
    check(Framing::UntilClose, b"", Complete);
    check(Framing::UntilClose, b"x", Complete);
    check(Framing::Length(1), b"x", Complete);
    check(Framing::Length(2), b"x", Truncated);
    check(Framing::Length(2), b"", Truncated);
    for cut in 0..b"1\r\na\r\n0\r\nX: 1\r\n\r\n".len() {
        check(
            Framing::Chunked,
            &b"1\r\na\r\n0\r\nX: 1\r\n\r\n"[..cut],
            Truncated,
        );
    }
    check(Framing::Chunked, b"1\r\na\r\n0\r\nX: 1\r\n\r\n", Complete);
}

#[test]
fn size_limit() {
    let check = |framing, bytes: &[u8], limit, expected| {
        let decoder = BodyDecoder::new(framing).with_limit(limit);
        for lengths in [vec![], vec![1; bytes.len()]] {
            let result = decode(decoder.clone(), bytes, lengths).map(|body| body.data.len());
            assert_eq!(result, expected, "{framing:?} {limit}");
        }
    };
    check(Framing::Length(5), b"hello", 5, Ok(5));
    check(Framing::Length(5), b"hello", 4, Err(Reject::BodyTooLarge));
    check(Framing::Length(5), b"", 4, Err(Reject::BodyTooLarge));
    check(Framing::UntilClose, b"hello", 5, Ok(5));
    check(Framing::UntilClose, b"hello", 4, Err(Reject::BodyTooLarge));
    check(
        Framing::Chunked,
        b"3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n",
        5,
        Ok(5),
    );
    check(
        Framing::Chunked,
        b"3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n",
        4,
        Err(Reject::BodyTooLarge),
    );
    check(
        Framing::Chunked,
        b"ffffffffffffffff\r\n",
        1 << 40,
        Err(Reject::BodyTooLarge),
    );
    check(Framing::None, b"", 0, Ok(0));
    assert_eq!(Reject::BodyTooLarge.status(), 413);
}

#[test]
fn chunk_lines() {
    let check = |data_bytes, expected: &[u8]| {
        assert_eq!(&*encode_chunk_head(data_bytes), expected);
    };
    check(1, b"1\r\n");
    check(10, b"a\r\n");
    check(255, b"ff\r\n");
    check(65536, b"10000\r\n");
    check(usize::MAX, b"ffffffffffffffff\r\n");
    let mut out = Vec::new();
    encode_last_chunk(&mut out, b"");
    assert_eq!(out, LAST_CHUNK);
    encode_last_chunk(&mut out, b"X: 1\r\n");
    assert_eq!(&out[LAST_CHUNK.len()..], b"0\r\nX: 1\r\n\r\n");
}
