//! Frames between the planes, and what they hold. Input that begins with `RM` is a stream of
//! frames; anything else becomes the payload of an update.

use ringmain_config::{
    document::Document,
    wire::{Decoder, Message, Update},
};
use ringmain_core::{
    route::Request,
    snapshot::{ListenerProtocol, Resolved, Snapshot, names_to_resolve},
};

use crate::cut;

/// A Document is not fuzzed for its size.
const BYTES_MAX: usize = 64 << 10;

pub(super) fn run(data: &[u8]) -> String {
    let data = &data[..data.len().min(BYTES_MAX)];
    let stream = match data.starts_with(b"RM") {
        true => data.to_vec(),
        false => update(data),
    };
    let (messages, ending) = decode([stream.as_slice()]);
    let again = decode(cut::pieces(&stream));
    assert_eq!(
        again,
        (messages.clone(), ending.clone()),
        "in pieces, and whole"
    );
    let mut document = Document::default();
    for message in &messages {
        rewrite(message);
        if let Message::Update(update) = message {
            apply(&mut document, update);
        }
    }
    format!(
        "{} messages, {ending}, {}",
        messages.len().min(3),
        compile(&document)
    )
}

/// The frame of an update whose payload is this, whatever it is.
fn update(payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    let empty = Message::Update(Update::default());
    empty.encode(&mut frame).expect("it is short");
    frame.truncate(4);
    let length = u32::try_from(payload.len()).expect("input is short");
    frame.extend_from_slice(&length.to_be_bytes());
    frame.extend_from_slice(payload);
    frame
}

/// All messages of a stream, and why there are no more.
fn decode<'d>(pieces: impl IntoIterator<Item = &'d [u8]>) -> (Vec<Message>, String) {
    let mut decoder = Decoder::default();
    let mut messages = Vec::new();
    for piece in pieces {
        decoder.extend(piece);
        loop {
            match decoder.message() {
                Ok(Some(message)) => messages.push(message),
                Ok(None) => break,
                Err(error) => {
                    let error = error.to_string();
                    let kind = error.split([':', ';', '{']).next().unwrap_or_default();
                    let kind: String = kind.chars().filter(|letter| !letter.is_numeric()).collect();
                    return (
                        messages,
                        format!("refused: {}", &kind[..kind.len().min(40)]),
                    );
                }
            }
        }
    }
    let ending = if decoder.is_empty() {
        "whole"
    } else {
        "incomplete"
    };
    (messages, ending.to_owned())
}

/// Written again it is the same.
fn rewrite(message: &Message) {
    let mut frame = Vec::new();
    message
        .encode(&mut frame)
        .expect("it was short enough to be read");
    let (again, length) = Message::decode(&frame).unwrap().expect("it is whole");
    assert_eq!(length, frame.len());
    assert_eq!(&again, message);
}

fn apply(document: &mut Document, update: &Update) {
    for upsert in &update.upserts {
        document.upsert(upsert.part.clone());
    }
    for key in &update.removals {
        document.remove(key);
    }
    let text = serde_json::to_string(&document).expect("a document is JSON");
    let read: Document = serde_json::from_str(&text).expect("what was written is read");
    assert_eq!(&read, document);
}

/// Compiles it twice, the second time with what was made before, and asks every route table.
fn compile(document: &Document) -> String {
    let resolved = Resolved::new();
    let empty = Snapshot::empty();
    names_to_resolve(document, &empty);
    let first = match Snapshot::compile(None, document, &resolved) {
        Ok(snapshot) => snapshot,
        Err(problems) => {
            assert!(!problems.is_empty(), "it was refused for nothing");
            let again = Snapshot::compile(Some(&empty), document, &resolved);
            assert_eq!(again.err(), Some(problems), "refused alike");
            return "problems".to_owned();
        }
    };
    let second = Snapshot::compile(Some(&first), document, &resolved);
    let second = second.expect("what compiled once compiles again");
    assert_eq!(first.listeners().len(), second.listeners().len());
    for listener in second.listeners() {
        if let ListenerProtocol::Http(table) = &listener.protocol {
            let request = Request {
                method: "GET",
                scheme: "http",
                authority: "a",
                path: "/a",
                query: None,
                headers: [].as_slice(),
                listener_port: 80,
            };
            table.decide(&request, 0);
        }
    }
    format!("{} listeners", second.listeners().len().min(2))
}
