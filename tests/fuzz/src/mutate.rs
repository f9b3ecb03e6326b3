//! Makes new input of old: a plain mutator that needs no instrumented code. It keeps what made a
//! target say something that it had not said before, and goes on from there.

use std::{
    collections::{BTreeMap, BTreeSet},
    panic::{self, AssertUnwindSafe},
    time::{Duration, Instant},
};

use crate::Target;

/// Input grows no longer.
const BYTES_MAX: usize = 4096;

/// What a run found.
#[derive(Debug, Default)]
pub struct Found {
    /// Inputs that were tried.
    pub tried: u64,
    /// What the target said for the first time, and the shortest input that made it.
    pub outcomes: BTreeMap<String, Vec<u8>>,
    /// An input that broke the promise, made small, and what was said.
    pub broken: Option<(Vec<u8>, String)>,
}

/// When to stop.
#[derive(Clone, Copy, Debug)]
pub enum Until {
    /// So many inputs were tried.
    Tried(u64),
    /// So much time has passed.
    Passed(Duration),
}

/// Runs a target on mutations of `seeds`, until the first that breaks its promise. The same
/// `random` and seeds make the same inputs.
pub fn run(target: &Target, seeds: Vec<Vec<u8>>, random: u64, until: Until) -> Found {
    let mut random = fastrand::Rng::with_seed(random);
    let mut found = Found::default();
    let known: BTreeSet<String> = seeds
        .iter()
        .filter_map(|seed| call(target, seed).ok())
        .collect();
    let mut pool = seeds;
    pool.push(Vec::new());
    let begun = Instant::now();
    loop {
        let is_over = match until {
            Until::Tried(count) => found.tried >= count,
            // The clock is not asked for each.
            Until::Passed(time) => found.tried % 256 == 0 && begun.elapsed() >= time,
        };
        if is_over {
            return found;
        }
        let bytes = mutated(target, &pool, &mut random);
        found.tried += 1;
        match call(target, &bytes) {
            Err(said) => {
                let (bytes, said) = smaller(target, bytes, said);
                found.broken = Some((bytes, said));
                return found;
            }
            Ok(outcome) if known.contains(&outcome) => {}
            Ok(outcome) => match found.outcomes.get_mut(&outcome) {
                None => {
                    pool.push(bytes.clone());
                    found.outcomes.insert(outcome, bytes);
                }
                Some(before) if bytes.len() < before.len() => *before = bytes,
                Some(_) => {}
            },
        }
    }
}

/// What the target says, or how it panicked.
///
/// # Errors
/// The text of the panic.
pub fn call(target: &Target, bytes: &[u8]) -> Result<String, String> {
    let result = panic::catch_unwind(AssertUnwindSafe(|| (target.run)(bytes)));
    result.map_err(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        text.unwrap_or_else(|| "a panic without words".to_owned())
    })
}

fn mutated(target: &Target, pool: &[Vec<u8>], random: &mut fastrand::Rng) -> Vec<u8> {
    let mut bytes = pool[random.usize(0..pool.len())].clone();
    for _ in 0..=random.usize(0..4) {
        let other = &pool[random.usize(0..pool.len())];
        let at = random.usize(0..=bytes.len());
        let end = random.usize(at..=bytes.len().min(at + 40));
        match random.u8(0..10) {
            0 => drop(bytes.drain(at..end)),
            1 | 2 => {
                let word = target.words[random.usize(0..target.words.len())];
                drop(bytes.splice(at..at, word.bytes()));
            }
            3 => {
                let word = target.words[random.usize(0..target.words.len())];
                drop(bytes.splice(at..end, word.bytes()));
            }
            4 if at < bytes.len() => bytes[at] = random.u8(..),
            5 if at < bytes.len() => bytes[at] ^= 1 << random.u8(0..8),
            6 => {
                let part = bytes[at..end].repeat(random.usize(1..4));
                drop(bytes.splice(at..at, part));
            }
            7 => {
                let from = random.usize(0..=other.len());
                let to = random.usize(from..=other.len().min(from + 200));
                drop(bytes.splice(at..at, other[from..to].iter().copied()));
            }
            8 => {
                bytes.truncate(at);
                bytes.extend_from_slice(other);
            }
            _ => swap_lines(&mut bytes, random),
        }
    }
    bytes.truncate(BYTES_MAX);
    bytes
}

fn swap_lines(bytes: &mut Vec<u8>, random: &mut fastrand::Rng) {
    let mut lines: Vec<_> = bytes.split_inclusive(|byte| *byte == b'\n').collect();
    if lines.len() > 1 {
        let (one, other) = (random.usize(0..lines.len()), random.usize(0..lines.len()));
        lines.swap(one, other);
        *bytes = lines.concat();
    }
}

/// The same mistake with less input: parts are left out for as long as it stays.
fn smaller(target: &Target, mut bytes: Vec<u8>, mut said: String) -> (Vec<u8>, String) {
    let mut length = bytes.len() / 2;
    while length > 0 {
        let mut start = 0;
        while start < bytes.len() {
            let mut less = bytes.clone();
            less.drain(start..bytes.len().min(start + length));
            match call(target, &less) {
                Err(other) => (bytes, said) = (less, other),
                Ok(_) => start += length,
            }
        }
        length /= 2;
    }
    (bytes, said)
}
