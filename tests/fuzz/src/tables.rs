//! The tables of the end-to-end tests, as bytes to begin with.

#![allow(
    dead_code,
    reason = "what is to come of each row is for the end-to-end tests"
)]

#[path = "../../tests/malformed/answers.rs"]
mod answers;
#[path = "../../tests/malformed/case.rs"]
mod case;
#[path = "../../tests/malformed/chunks.rs"]
mod chunks;
#[path = "../../tests/malformed/fields.rs"]
mod fields;
#[path = "../../tests/malformed/framing.rs"]
mod framing;
#[path = "../../tests/malformed/lines.rs"]
mod lines;

/// Longer rows say nothing that shorter ones do not, and slow everything down.
const BYTES_MAX: usize = 2048;

/// What clients send.
pub fn requests() -> Vec<Vec<u8>> {
    let tables = [lines::all(), fields::all(), framing::all(), chunks::all()];
    let bytes = tables.into_iter().flatten().map(|case| case.bytes);
    bytes.filter(|bytes| bytes.len() <= BYTES_MAX).collect()
}

/// What origins send.
pub fn answers() -> Vec<Vec<u8>> {
    let bytes = answers::all().into_iter().map(|answer| answer.bytes);
    bytes.filter(|bytes| bytes.len() <= BYTES_MAX).collect()
}

/// Bodies of either, which stand behind an empty line.
pub fn bodies() -> Vec<Vec<u8>> {
    let messages = [requests(), answers()].concat();
    let body = |bytes: &Vec<u8>| {
        let mut places = bytes.windows(4);
        let head = places.position(|window| window == b"\r\n\r\n")?;
        Some(bytes[head + 4..].to_vec())
    };
    let mut bodies: Vec<_> = messages.iter().filter_map(body).collect();
    bodies.sort();
    bodies.dedup();
    bodies
}

/// Targets of requests.
pub fn paths() -> Vec<Vec<u8>> {
    let target = |bytes: Vec<u8>| {
        let mut words = bytes.split(|byte| *byte == b' ');
        words.nth(1).map(<[u8]>::to_vec)
    };
    let mut paths: Vec<_> = requests().into_iter().filter_map(target).collect();
    paths.retain(|path| path.len() <= 200);
    paths.sort();
    paths.dedup();
    paths
}
