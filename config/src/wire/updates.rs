//! Changes as the frames of updates, one at a time, each part written once.
//!
//! What a frame takes is known only when a part has been written, and one part may be most of a
//! Document; so parts are written where they are to stay, and one that makes a frame too long
//! begins the next. Whoever sends them has one frame in memory and at most one part of the next,
//! however long the changes are and however slowly they are taken.

use std::io;

use serde::Serialize;
use thiserror::Error;

use super::{PAYLOAD_BYTES_MAX, UPDATE, begin, end};
use crate::document::{Changes, Part, PartKey};

/// Frames of [`Update`](super::Update), made as they are asked for: parts to add or replace first,
/// then parts to remove, each in the order of the changes.
#[derive(Debug)]
pub struct Updates {
    changes: Changes,
    /// Elements that are in a frame: of the changes' upserts, then of their removals.
    done: usize,
    /// The element after those as it was written, if it was too long for the last frame.
    written: Vec<u8>,
    /// The first frame, until it is asked for.
    first: Option<Vec<u8>>,
    /// A frame takes no more, unless a single element is longer.
    bytes: usize,
}

/// A part that fits no frame.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("it takes {bytes} bytes, which is longer than the limit of {ELEMENT_BYTES_MAX}")]
pub struct PartTooLong {
    /// Which part.
    pub key: PartKey,
    /// Its length as JSON.
    pub bytes: usize,
}

/// An element of the lists of an `Update`, which are written in this order.
#[derive(Serialize)]
#[serde(untagged)]
enum Element<'a> {
    /// As [`super::Upsert`].
    Upsert {
        version: u64,
        part: &'a Part,
    },
    Removal(&'a PartKey),
}

impl Updates {
    /// Frames of at most about so many bytes, more where a single part is longer. All parts are
    /// known to fit from then on. Those behind the first frame are written to be counted, and once
    /// more when their turn comes: most changes take one frame.
    ///
    /// # Errors
    /// The part that is too long for any frame.
    pub fn new(changes: Changes, bytes: usize) -> Result<Self, PartTooLong> {
        let mut updates = Self {
            changes,
            done: 0,
            written: Vec::new(),
            first: None,
            bytes: bytes.min(ELEMENT_BYTES_MAX),
        };
        updates.first = updates.frame()?;
        let counted = updates.done + usize::from(!updates.written.is_empty());
        for index in counted.. {
            let Some(element) = element(&updates.changes, index) else {
                break;
            };
            element.check(element.count())?;
        }
        Ok(updates)
    }

    /// There is nothing to send, or nothing any more.
    pub fn is_empty(&self) -> bool {
        self.first.is_none() && element(&self.changes, self.done).is_none()
    }

    /// The frame that begins with the first element that is in none yet.
    fn frame(&mut self) -> Result<Option<Vec<u8>>, PartTooLong> {
        let first = self.done;
        let mut frame = Vec::new();
        begin(&mut frame, UPDATE);
        frame.extend_from_slice(UPSERTS);
        let mut separator: &[u8] = b"";
        let mut are_removals = false;
        while let Some(element) = element(&self.changes, self.done) {
            if !are_removals && matches!(element, Element::Removal(_)) {
                frame.extend_from_slice(REMOVALS);
                (are_removals, separator) = (true, b"");
            }
            let end = frame.len();
            frame.extend_from_slice(separator);
            let start = frame.len();
            if self.written.is_empty() {
                element.write(&mut frame);
                element.check(frame.len() - start)?;
            } else {
                frame.append(&mut std::mem::take(&mut self.written));
            }
            if frame.len() > self.bytes && self.done > first {
                self.written = frame.split_off(start);
                frame.truncate(end);
                break;
            }
            self.done += 1;
            separator = b",";
        }
        if self.done == first {
            return Ok(None);
        }
        if !are_removals {
            frame.extend_from_slice(REMOVALS);
        }
        frame.extend_from_slice(END);
        end(&mut frame, 0).expect("neither a frame's usual length nor an element is too long");
        Ok(Some(frame))
    }
}

impl Iterator for Updates {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        match self.first.take() {
            Some(first) => Some(first),
            None => self.frame().expect("every part was found to fit"),
        }
    }
}

/// Of the upserts, then of the removals.
fn element(changes: &Changes, index: usize) -> Option<Element<'_>> {
    if let Some((version, part)) = changes.upserts.get(index) {
        let version = *version;
        return Some(Element::Upsert { version, part });
    }
    let removal = changes.removals.get(index - changes.upserts.len());
    removal.map(Element::Removal)
}

impl Element<'_> {
    fn write(&self, to: impl io::Write) {
        serde_json::to_writer(to, self).expect("parts have only string keys and finite values");
    }

    /// The length it will have.
    fn count(&self) -> usize {
        let mut count = Count(0);
        self.write(&mut count);
        count.0
    }

    fn check(&self, bytes: usize) -> Result<(), PartTooLong> {
        if bytes <= ELEMENT_BYTES_MAX {
            return Ok(());
        }
        let key = match self {
            Self::Upsert { part, .. } => part.key(),
            Self::Removal(key) => (*key).clone(),
        };
        Err(PartTooLong { key, bytes })
    }
}

/// How many bytes were written to it.
struct Count(usize);

impl io::Write for Count {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// An `Update` around its elements.
const UPSERTS: &[u8] = b"{\"upserts\":[";
const REMOVALS: &[u8] = b"],\"removals\":[";
const END: &[u8] = b"]}";
/// With room for what is around it.
const ELEMENT_BYTES_MAX: usize = PAYLOAD_BYTES_MAX - 1024;

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{ELEMENT_BYTES_MAX, Updates};
    use crate::{
        document::{Changes, Part, PartKey, PartKind},
        endpoint::EndpointSet,
        wire::{Decoder, HEAD_BYTES, Message, PAYLOAD_BYTES_MAX, Update, Upsert},
    };

    const BYTES: usize = 1000;

    fn part(name: String) -> Part {
        Part::EndpointSet(Arc::new(EndpointSet {
            cluster: name,
            endpoints: vec![],
        }))
    }

    fn key(name: String) -> PartKey {
        PartKey {
            kind: PartKind::EndpointSet,
            name,
        }
    }

    /// Parts to add and parts to remove with names of so many bytes.
    fn changes(upserts: &[usize], removals: &[usize]) -> Changes {
        let upserts = (1..).zip(upserts);
        let removals = removals.iter();
        Changes {
            upserts: upserts
                .map(|(version, length)| (version, part("u".repeat(*length))))
                .collect(),
            removals: removals.map(|length| key("r".repeat(*length))).collect(),
        }
    }

    /// In how many frames they come.
    fn check(upserts: &[usize], removals: &[usize], expected: usize) {
        let changes = changes(upserts, removals);
        let updates = Updates::new(changes.clone(), BYTES).expect("short");
        assert_eq!(updates.is_empty(), changes.is_empty());
        let mut decoder = Decoder::default();
        let mut read = Update::default();
        let mut frames = 0;
        for frame in updates {
            frames += 1;
            decoder.extend(&frame);
            let Some(Message::Update(update)) = decoder.message().expect("a frame") else {
                panic!("no update");
            };
            assert!(decoder.is_empty());
            let elements = update.upserts.len() + update.removals.len();
            assert!(frame.len() <= BYTES + 100 || elements == 1, "{elements}");
            read.upserts.extend(update.upserts);
            read.removals.extend(update.removals);
        }
        assert_eq!(frames, expected, "{upserts:?} {removals:?}");
        let upserts = changes.upserts.into_iter();
        let upserts = upserts.map(|(version, part)| Upsert { version, part });
        assert_eq!(read.upserts, upserts.collect::<Vec<_>>());
        assert_eq!(read.removals, changes.removals);
    }

    #[test]
    fn frames_hold_what_was_added() {
        check(&[], &[], 0);
        check(&[5], &[], 1);
        check(&[], &[5], 1);
        check(&[5, 6], &[7, 8], 1);
        check(&[400, 400, 400], &[], 2);
        check(&[5000], &[], 1);
        check(&[5000, 5], &[], 2);
        check(&[5, 5000, 5], &[5], 3);
        check(&[800], &[800, 800], 3);
        check(&[], &[5000, 5000], 2);
        check(&[800], &[5], 1);
    }

    #[test]
    fn no_more_is_written_than_a_frame_and_a_part() {
        let mut updates = Updates::new(changes(&[400; 100], &[400; 100]), BYTES).expect("short");
        let held = |updates: &Updates| {
            let first = updates.first.as_ref().map_or(0, Vec::capacity);
            first + updates.written.capacity()
        };
        loop {
            assert!(held(&updates) < 4 * BYTES, "{}", held(&updates));
            if updates.next().is_none() {
                break;
            }
        }
        assert!(updates.is_empty());
    }

    #[test]
    fn a_part_that_fits_no_frame_is_named_before_any_is_sent() {
        let long = PAYLOAD_BYTES_MAX;
        for (upserts, removals) in [
            (vec![long], vec![]),
            (vec![1, long], vec![]),
            (vec![2000, 1, long], vec![]),
            (vec![], vec![long]),
            (vec![1, 2000], vec![1, 2000, long]),
        ] {
            let error = Updates::new(changes(&upserts, &removals), BYTES).expect_err("too long");
            assert_eq!(error.key.name.len(), long, "{upserts:?} {removals:?}");
            assert!(error.bytes > long);
        }
        // The longest there can be, behind another.
        let envelope = frame_bytes(&[1]) - HEAD_BYTES - 1;
        let longest = ELEMENT_BYTES_MAX - (envelope - b"{\"upserts\":[],\"removals\":[]}".len());
        let fits = Updates::new(changes(&[1, longest], &[]), usize::MAX).expect("fits");
        assert_eq!(fits.count(), 2);
        Updates::new(changes(&[1, longest + 1], &[]), usize::MAX).expect_err("too long");
    }

    fn frame_bytes(upserts: &[usize]) -> usize {
        let mut frames = Updates::new(changes(upserts, &[]), BYTES).expect("short");
        frames.next().expect("one").len()
    }
}
