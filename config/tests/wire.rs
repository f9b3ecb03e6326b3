//! The wire as its two ends see it: what was said is what is heard, however the bytes were cut; and
//! bytes that are not ours are an error, never a panic.

#[path = "wire/arbitrary/mod.rs"]
mod arbitrary;

use proptest::{collection::vec, prelude::*};
use ringmain_config::wire::{
    Commit, Decoder, HEAD_BYTES, MAJOR, Message, PAYLOAD_BYTES_MAX, Refused, WireError,
};

fn encode(messages: &[Message]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for message in messages {
        message.encode(&mut bytes).expect("it is short");
    }
    bytes
}

/// Every message of `bytes`, read in pieces that end at `cuts` (taken modulo the length).
fn decode(bytes: &[u8], cuts: &[usize]) -> Result<(Vec<Message>, bool), WireError> {
    let mut ends: Vec<usize> = cuts.iter().map(|cut| cut % (bytes.len() + 1)).collect();
    ends.push(bytes.len());
    ends.sort_unstable();
    let mut decoder = Decoder::default();
    let mut messages = Vec::new();
    let mut start = 0;
    for end in ends {
        decoder.extend(&bytes[start..end]);
        start = end;
        while let Some(message) = decoder.message()? {
            messages.push(message);
        }
    }
    Ok((messages, decoder.is_empty()))
}

proptest! {
    #[test]
    fn what_was_said_is_heard_however_it_is_cut(
        messages in vec(arbitrary::message(), 1..4),
        cuts in vec(any::<usize>(), 0..12),
    ) {
        let (heard, complete) = decode(&encode(&messages), &cuts).expect("well formed");
        prop_assert_eq!(heard, messages);
        prop_assert!(complete);
    }

    #[test]
    fn a_truncated_stream_is_incomplete_and_no_error(
        message in arbitrary::message(),
        cut in any::<usize>(),
    ) {
        let bytes = encode(&[message]);
        let (heard, complete) = decode(&bytes[..cut % bytes.len()], &[]).expect("a prefix");
        prop_assert_eq!(heard, vec![]);
        prop_assert_eq!(complete, cut % bytes.len() == 0);
    }

    #[test]
    fn garbage_never_panics(bytes in vec(any::<u8>(), 0..64), cuts in vec(any::<usize>(), 0..4)) {
        let whole = decode(&bytes, &[]).map_err(|error| error.to_string());
        let pieces = decode(&bytes, &cuts).map_err(|error| error.to_string());
        prop_assert_eq!(whole, pieces);
    }

    #[test]
    fn a_garbled_frame_never_panics(
        message in arbitrary::message(),
        changes in vec((any::<usize>(), any::<u8>()), 1..4),
    ) {
        let mut bytes = encode(&[message]);
        for (at, byte) in changes {
            let at = at % bytes.len();
            bytes[at] = byte;
        }
        let _ = decode(&bytes, &[]);
    }

    #[test]
    fn a_part_keeps_its_version_over_the_wire(part in arbitrary::part()) {
        let text = serde_json::to_string(&part).expect("serialises");
        let read: ringmain_config::document::Part = serde_json::from_str(&text).expect("reads");
        prop_assert_eq!(read.version(), part.version());
    }
}

#[test]
fn refuses() {
    let head = |major: u8, length: u32| {
        let mut bytes = vec![b'R', b'M', major, 5];
        bytes.extend(length.to_be_bytes());
        bytes
    };
    let too_long = u32::try_from(PAYLOAD_BYTES_MAX + 1).expect("fits");
    let mut no_json = head(MAJOR, 2);
    no_json.extend(b"{]");
    for (bytes, expected) in [
        (
            b"GET / HTTP/1.1\r\n".to_vec(),
            "the peer does not speak ringmain's protocol",
        ),
        (
            b"RX".to_vec(),
            "the peer does not speak ringmain's protocol",
        ),
        (head(2, 0), "the peer speaks major version 2"),
        (head(MAJOR, too_long), "a frame of 16777217 bytes is longer"),
        (no_json, "frame type 5: key must be a string"),
    ] {
        let error = Message::decode(&bytes).expect_err("refused").to_string();
        assert!(error.starts_with(expected), "{error}");
    }
}

#[test]
fn a_message_that_is_too_long_leaves_the_buffer_as_it_was() {
    let mut bytes = encode(&[Message::Commit(Commit { generation: 1 })]);
    let before = bytes.clone();
    let reason = "x".repeat(PAYLOAD_BYTES_MAX);
    Message::Refused(Refused { reason })
        .encode(&mut bytes)
        .expect_err("too long");
    assert_eq!(bytes, before);
}

#[test]
fn unknown_fields_and_unknown_types_are_passed_over() {
    let payload = br#"{"generation": 7, "colour": "red"}"#;
    let mut bytes = vec![b'R', b'M', MAJOR, 5, 0, 0, 0, payload.len() as u8];
    bytes.extend(payload);
    bytes.extend([b'R', b'M', MAJOR, 200, 0, 0, 0, 3, 1, 2, 3]);
    assert_eq!(bytes.len(), 2 * HEAD_BYTES + payload.len() + 3);
    let (heard, complete) = decode(&bytes, &[]).expect("well formed");
    assert!(complete);
    assert_eq!(
        heard,
        [
            Message::Commit(Commit { generation: 7 }),
            Message::Unknown(200)
        ]
    );
}
