//! A copy of what was taken of a request's body, for as long as the request may have to be sent
//! once more: bounded, and given up as a whole when the bound is passed.

use std::{cell::Cell, rc::Rc};

use bytes::Bytes;
use ringmain_core::http1::Framing;

use crate::{carry::Piece, upstream::Outgoing};

/// What was taken of a body so far.
#[derive(Debug)]
pub struct Replay {
    payload: Vec<u8>,
    trailers: Vec<u8>,
    is_complete: bool,
    /// Bytes that may still be kept; `None` when there were more.
    room: Option<usize>,
    /// The same for those who do not hold it.
    lost: Rc<Cell<bool>>,
}

impl Replay {
    /// An empty one for at most so many bytes of payload and trailers.
    pub fn new(bytes_max: usize) -> Self {
        Self {
            payload: Vec::new(),
            trailers: Vec::new(),
            is_complete: false,
            room: Some(bytes_max),
            lost: Rc::default(),
        }
    }

    /// All that was taken is kept.
    pub fn is_whole(&self) -> bool {
        self.room.is_some()
    }

    /// Becomes true when it is given up.
    pub fn lost(&self) -> Rc<Cell<bool>> {
        Rc::clone(&self.lost)
    }

    /// Nothing more of the body is to be taken from its source.
    pub fn is_complete(&self) -> bool {
        self.is_complete
    }

    /// Adds all that was taken to a head: see [`Outgoing::stage`].
    pub fn stage(&self, outgoing: &mut Outgoing, framing: Framing) {
        let payload = Bytes::copy_from_slice(&self.payload);
        let ends = self.is_complete && self.trailers.is_empty();
        outgoing.stage(Piece::Data(payload, ends), framing);
        if self.is_complete && !ends {
            outgoing.stage(Piece::End(self.trailers.clone()), framing);
        }
    }

    /// A part was taken.
    pub fn keep(&mut self, piece: &Piece) {
        let bytes = match piece {
            Piece::Data(payload, _) => payload.len(),
            Piece::End(trailers) => trailers.len(),
        };
        self.room = self.room.and_then(|room| room.checked_sub(bytes));
        if self.room.is_none() {
            self.lost.set(true);
            self.payload = Vec::new();
            self.trailers = Vec::new();
            return;
        }
        match piece {
            Piece::Data(payload, is_last) => {
                self.payload.extend_from_slice(payload);
                self.is_complete = *is_last;
            }
            Piece::End(trailers) => {
                self.trailers.clone_from(trailers);
                self.is_complete = true;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::Replay;
    use crate::carry::Piece;

    fn data(text: &'static str, is_last: bool) -> Piece {
        Piece::Data(Bytes::from_static(text.as_bytes()), is_last)
    }

    #[test]
    fn keeps_what_fits_and_nothing_of_what_does_not() {
        let mut replay = Replay::new(5);
        replay.keep(&data("abc", false));
        assert!(replay.is_whole() && !replay.is_complete());
        replay.keep(&Piece::End(b"de".to_vec()));
        assert!(replay.is_whole() && replay.is_complete());
        assert_eq!(replay.payload, b"abc");
        assert_eq!(replay.trailers, b"de");
        replay.keep(&data("f", true));
        assert!(!replay.is_whole() && replay.lost().get());
        assert!(replay.payload.is_empty() && replay.trailers.is_empty());
        replay.keep(&data("", true));
        assert!(!replay.is_whole(), "what was given up stays so");
    }
}
