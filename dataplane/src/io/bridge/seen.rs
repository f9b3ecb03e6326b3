//! What a bridge sees of the frames that go over it, which h2 does not tell.

use std::{cell::Cell, io::IoSlice, rc::Rc};

use ringmain_core::http2::{Flood, IdleFrames};

use crate::io::deadline::Micros;

/// What was seen of a peer, for whoever drives the connection.
#[derive(Debug, Default)]
pub struct Seen {
    flood: Cell<Option<Flood>>,
    requests: Cell<u32>,
    head: Cell<Option<(u32, Micros)>>,
    is_held_up: Cell<bool>,
}

impl Seen {
    /// Why the peer was cut off, if it was.
    pub fn flood(&self) -> Option<Flood> {
        self.flood.get()
    }

    /// Requests whose heads have come whole and that h2 has looked at. `None`: it may not have
    /// looked at all of them, because it waits for room to send something.
    pub fn requests(&self) -> Option<u32> {
        (!self.is_held_up.get()).then(|| self.requests.get())
    }

    /// Since when there is a head that has begun and not ended, or a hello that has not come
    /// (the first frame).
    pub fn unfinished_since(&self) -> Option<Micros> {
        self.head.get().map(|(_, since)| since)
    }

    /// The head that does not end is one, and no hello.
    pub fn is_within_head(&self) -> bool {
        self.head.get().is_some_and(|(number, _)| number > 0)
    }
}

/// Looks at what is received and sent.
pub(super) struct Guard {
    frames: IdleFrames,
    seen: Rc<Seen>,
    /// All that was written has been taken, so that another frame may follow.
    is_between_frames: bool,
}

/// A peer is cut off.
pub(super) struct End {
    pub(super) flood: Flood,
    /// What it is told, if that can be said.
    pub(super) go_away: Option<[u8; 17]>,
}

impl Guard {
    pub(super) fn new(per_second: u32, from_client: bool, now: Micros) -> Self {
        let frames = IdleFrames::new(per_second, from_client, now);
        let seen = Rc::<Seen>::default();
        seen.head.set(Some((0, now)));
        Self {
            frames,
            seen,
            is_between_frames: true,
        }
    }

    pub(super) fn seen(&self) -> Rc<Seen> {
        Rc::clone(&self.seen)
    }

    /// These bytes were received.
    pub(super) fn received(&mut self, bytes: &[u8], now: impl Fn() -> Micros) -> Result<(), End> {
        let verdict = self.frames.received(bytes, &now);
        let seen = &self.seen;
        seen.requests.set(self.frames.requests());
        let since = |number| match seen.head.get() {
            Some((known, since)) if known == number => since,
            _ => now(),
        };
        let unfinished = self.frames.unfinished_head();
        seen.head
            .set(unfinished.map(|number| (number, since(number))));
        verdict.map_err(|flood| {
            let is_first = seen.flood.replace(Some(flood)).is_none();
            let may_tell = is_first && self.is_between_frames;
            End {
                flood,
                go_away: may_tell.then(|| go_away(self.frames.last_stream())),
            }
        })
    }

    /// The first `count` bytes of `slices` were taken.
    pub(super) fn sent(&mut self, slices: &[IoSlice<'_>], count: usize) {
        self.seen.is_held_up.set(false);
        let mut rest = count;
        self.is_between_frames = true;
        for slice in slices {
            let taken = slice.len().min(rest);
            self.frames.sent(&slice[..taken]);
            rest -= taken;
            self.is_between_frames &= taken == slice.len();
        }
    }

    /// Nothing of what was to be sent was taken.
    pub(super) fn is_held_up(&self) {
        self.seen.is_held_up.set(true);
    }
}

/// GOAWAY with ENHANCE_YOUR_CALM (RFC 9113 sections 6.8 and 7).
fn go_away(last_stream: u32) -> [u8; 17] {
    let mut frame = [0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 11];
    frame[9..13].copy_from_slice(&last_stream.to_be_bytes());
    frame
}
