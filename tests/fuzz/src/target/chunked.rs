//! Chunked bodies.

use ringmain_core::http1::{
    BodyDecoder, EndOfStream, Framing, Reject, encode_chunk_head, encode_last_chunk,
};

use crate::{cut, naive};

/// What came of a body.
#[derive(Debug, PartialEq, Eq)]
struct Body {
    payload: Vec<u8>,
    trailers: Vec<u8>,
    consumed: usize,
    is_done: bool,
}

pub(super) fn run(data: &[u8]) -> String {
    let whole = decode([data]);
    assert_eq!(decode(cut::pieces(data)), whole, "in pieces, and whole");
    let each = data.chunks(1);
    assert_eq!(decode(each), whole, "byte by byte, and whole");
    let naive = naive::chunked(data);
    match whole {
        Err(reject) => {
            let is_strict = matches!(
                reject,
                Reject::ChunkExtension
                    | Reject::ChunkExtensionTooLong
                    | Reject::Trailer
                    | Reject::TrailersTooLarge
                    | Reject::BareLineEnd
            );
            assert!(
                is_strict || naive.is_none(),
                "what is right was refused: {reject:?}"
            );
            format!("refused {}", reject.reason())
        }
        Ok(body) if !body.is_done => {
            assert!(naive.is_none(), "a whole body was not seen to end");
            format!("incomplete, {} bytes", body.payload.len().min(3))
        }
        Ok(body) => {
            let (payload, trailers, consumed) = naive.expect("what was accepted is right");
            assert_eq!((&body.payload, body.consumed), (&payload, consumed));
            assert!(body.trailers.len() <= trailers.len() * 2);
            write(&body);
            let kept = body.trailers.split(|byte| *byte == b'\n').count().min(4) - 1;
            format!("whole, {} bytes, {kept} trailers", payload.len().min(5))
        }
    }
}

fn decode<'d>(pieces: impl IntoIterator<Item = &'d [u8]>) -> Result<Body, Reject> {
    let mut decoder = BodyDecoder::new(Framing::Chunked);
    let mut body = Body {
        payload: Vec::new(),
        trailers: Vec::new(),
        consumed: 0,
        is_done: false,
    };
    for piece in pieces {
        let mut buffer = piece.to_vec();
        let decoded = decoder.decode(&mut buffer)?;
        body.payload
            .extend_from_slice(&buffer[decoded.data.clone()]);
        body.consumed += decoded.consumed;
        if decoded.done {
            assert!(decoder.is_done());
            assert_eq!(decoder.on_end_of_stream(), EndOfStream::Complete);
            body.is_done = true;
            body.trailers = decoder.trailers().to_vec();
            break;
        }
        assert_eq!(
            decoded.consumed,
            piece.len(),
            "all of it belongs to the body"
        );
        assert_eq!(decoder.on_end_of_stream(), EndOfStream::Truncated);
    }
    Ok(body)
}

/// What the next hop gets says the same, and trailers that were passed on once are so again.
fn write(body: &Body) {
    let mut out = Vec::new();
    if !body.payload.is_empty() {
        out.extend_from_slice(&encode_chunk_head(body.payload.len()));
        out.extend_from_slice(&body.payload);
        out.extend_from_slice(b"\r\n");
    }
    encode_last_chunk(&mut out, &body.trailers);
    let again = decode([out.as_slice()]).expect("what was written is accepted");
    assert_eq!((again.consumed, again.is_done), (out.len(), true));
    assert_eq!(
        (&again.payload, &again.trailers),
        (&body.payload, &body.trailers)
    );
    for line in body.trailers.split_inclusive(|byte| *byte == b'\n') {
        let line = line
            .strip_suffix(b"\r\n")
            .expect("a whole line")
            .to_ascii_lowercase();
        for framing in [
            "content-length:",
            "transfer-encoding:",
            "host:",
            "connection:",
        ] {
            assert!(
                !line.starts_with(framing.as_bytes()),
                "{}",
                line.escape_ascii()
            );
        }
    }
}
