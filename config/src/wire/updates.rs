//! Changes as the frames of updates, each part written once.
//!
//! What a frame takes is known only when a part has been written, and one part may be most of a
//! Document; so parts are written where they are to stay, and one that makes a frame too long begins
//! the next.

use serde::Serialize;

use super::{PAYLOAD_BYTES_MAX, UPDATE, WireError, begin, end};
use crate::document::{Part, PartKey};

/// Frames of [`Update`](super::Update) in the making. What was added first comes first, and removals come last.
#[derive(Debug, Default)]
pub struct Updates {
    frames: Vec<Vec<u8>>,
    /// List that the last frame is in.
    list: Option<List>,
    /// The list has an element.
    has_element: bool,
    /// A frame takes no more, unless a single element is longer.
    bytes: usize,
}

/// The lists of an `Update`, in the order in which they are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum List {
    Upserts,
    Removals,
}

/// As [`super::Upsert`].
#[derive(Serialize)]
struct Upsert<'a> {
    version: u64,
    part: &'a Part,
}

impl Updates {
    /// Frames of at most about so many bytes, more where a single part is longer.
    pub fn new(bytes: usize) -> Self {
        Self {
            bytes: bytes.min(ELEMENT_BYTES_MAX),
            ..Self::default()
        }
    }

    /// Adds a part to add or replace, before all removals.
    ///
    /// # Errors
    /// When it is too long for any frame; nothing of what was added is then of use.
    pub fn upsert(&mut self, version: u64, part: &Part) -> Result<(), WireError> {
        self.add(List::Upserts, &Upsert { version, part })
    }

    /// Adds a part to remove, after all others.
    ///
    /// # Errors
    /// As [`Self::upsert`].
    pub fn removal(&mut self, key: &PartKey) -> Result<(), WireError> {
        self.add(List::Removals, key)
    }

    /// The frames, each a whole one; none when nothing was added.
    pub fn finish(mut self) -> Vec<Vec<u8>> {
        self.close();
        self.frames
    }

    fn add(&mut self, list: List, element: &impl Serialize) -> Result<(), WireError> {
        let is_first = self.list.is_none();
        self.enter(list);
        let frame = self.frames.last_mut().expect("a list is in a frame");
        let end = frame.len();
        if self.has_element {
            frame.push(b',');
        }
        let start = frame.len();
        serde_json::to_writer(&mut *frame, element)
            .expect("parts have only string keys and finite values");
        let bytes = frame.len() - start;
        if bytes > ELEMENT_BYTES_MAX {
            return Err(WireError::TooLong(bytes));
        }
        if frame.len() > self.bytes && !is_first {
            let element = frame.split_off(start);
            frame.truncate(end);
            self.close();
            self.enter(list);
            let frame = self.frames.last_mut().expect("a list is in a frame");
            frame.extend_from_slice(&element);
        }
        self.has_element = true;
        Ok(())
    }

    /// Goes on to `list`, in a new frame if there is none.
    fn enter(&mut self, list: List) {
        if self.list == Some(list) {
            return;
        }
        if self.list.is_none() {
            let mut frame = Vec::new();
            begin(&mut frame, UPDATE);
            frame.extend_from_slice(UPSERTS);
            self.frames.push(frame);
        }
        if list == List::Removals
            && let Some(frame) = self.frames.last_mut()
        {
            frame.extend_from_slice(REMOVALS);
        }
        self.list = Some(list);
        self.has_element = false;
    }

    fn close(&mut self) {
        if self.list.is_none() {
            return;
        }
        self.enter(List::Removals);
        self.list = None;
        let frame = self.frames.last_mut().expect("a list is in a frame");
        frame.extend_from_slice(END);
        end(frame, 0).expect("neither a frame's usual length nor an element is too long");
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

    use super::Updates;
    use crate::{
        document::{Part, PartKey, PartKind},
        endpoint::EndpointSet,
        wire::{Decoder, Message, PAYLOAD_BYTES_MAX, Update, Upsert},
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

    /// Parts to add and parts to remove with names of so many bytes; in how many frames they come.
    fn check(upserts: &[usize], removals: &[usize], expected: usize) {
        let mut updates = Updates::new(BYTES);
        let mut whole = Update::default();
        for (version, length) in (1..).zip(upserts) {
            let part = part("u".repeat(*length));
            updates.upsert(version, &part).expect("short");
            whole.upserts.push(Upsert { version, part });
        }
        for length in removals {
            let key = key("r".repeat(*length));
            updates.removal(&key).expect("short");
            whole.removals.push(key);
        }
        let frames = updates.finish();
        assert_eq!(frames.len(), expected, "{upserts:?} {removals:?}");
        let mut decoder = Decoder::default();
        let mut read = Update::default();
        for frame in frames {
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
        assert_eq!(read, whole);
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
    fn a_part_that_fits_no_frame_is_an_error() {
        let long = part("x".repeat(PAYLOAD_BYTES_MAX));
        assert!(Updates::new(BYTES).upsert(1, &long).is_err());
        let mut updates = Updates::new(usize::MAX);
        updates.upsert(1, &part("a".to_owned())).expect("short");
        assert!(updates.upsert(2, &long).is_err());
        // The longest there can be, behind another.
        let mut updates = Updates::new(usize::MAX);
        updates.upsert(1, &part("a".to_owned())).expect("short");
        let longest = part("x".repeat(super::ELEMENT_BYTES_MAX - 100));
        updates.upsert(2, &longest).expect("fits");
        assert_eq!(updates.finish().len(), 2);
    }
}
