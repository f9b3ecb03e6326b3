//! The five bytes before a message: whether it is compressed, and its length.

const HEAD_BYTES: usize = 5;

/// A message as it goes over the wire, uncompressed; `None` when it is too long.
pub(super) fn frame(message: &[u8]) -> Option<Vec<u8>> {
    let length = u32::try_from(message.len()).ok()?;
    let mut framed = Vec::with_capacity(HEAD_BYTES + message.len());
    framed.push(0);
    framed.extend_from_slice(&length.to_be_bytes());
    framed.extend_from_slice(message);
    Some(framed)
}

/// Counts the messages of an answer as its bytes come, and keeps none of them.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Messages {
    head: [u8; HEAD_BYTES],
    head_filled: usize,
    /// Bytes of the message under way that are still to come.
    left: usize,
    count: u64,
}

impl Messages {
    /// # Errors
    /// When a message is compressed, which was not asked for, or marked with what is not known.
    pub(super) fn feed(&mut self, mut bytes: &[u8]) -> Result<(), &'static str> {
        while !bytes.is_empty() {
            if self.left > 0 {
                let taken = self.left.min(bytes.len());
                self.left -= taken;
                bytes = &bytes[taken..];
                continue;
            }
            let taken = (HEAD_BYTES - self.head_filled).min(bytes.len());
            self.head[self.head_filled..][..taken].copy_from_slice(&bytes[..taken]);
            self.head_filled += taken;
            bytes = &bytes[taken..];
            if self.head_filled == HEAD_BYTES {
                let [flag, length @ ..] = self.head;
                if flag != 0 {
                    return Err("the answer's message is compressed, which was not asked for");
                }
                self.left = u32::from_be_bytes(length) as usize;
                self.head_filled = 0;
                self.count += 1;
            }
        }
        Ok(())
    }

    /// A call that went well has exactly one message.
    ///
    /// # Errors
    /// When it has none, several, or not all of it.
    pub(super) fn complete(&self) -> Result<(), &'static str> {
        match (self.count, self.head_filled, self.left) {
            (1, 0, 0) => Ok(()),
            (0, 0, 0) => Err("the answer has grpc-status 0 and no message"),
            (_, 0, 0) => Err("the answer to a unary call has several messages"),
            _ => Err("the answer ends within a message"),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    #[test]
    fn answers() {
        check(&frame(b"abc").unwrap(), Ok(()));
        check(&frame(b"").unwrap(), Ok(()));
        check(b"", Err("no message"));
        check(
            &[frame(b"a").unwrap(), frame(b"").unwrap()].concat(),
            Err("several"),
        );
        check(b"\0\0\0", Err("within a message"));
        check(b"\0\0\0\0\x02a", Err("within a message"));
        check(b"\x01\0\0\0\x01a", Err("compressed"));
        check(b"\xff\0\0\0\0", Err("compressed"));
    }

    fn check(bytes: &[u8], expected: Result<(), &str>) {
        let mut messages = Messages::default();
        let outcome = messages.feed(bytes).and_then(|()| messages.complete());
        match (outcome, expected) {
            (Ok(()), Ok(())) => {}
            (Err(error), Err(part)) => assert!(error.contains(part), "{bytes:?}: {error}"),
            (actual, expected) => panic!("{bytes:?}: {actual:?} instead of {expected:?}"),
        }
    }

    proptest! {
        #[test]
        fn any_chunking_counts_alike(
            messages in vec(vec(any::<u8>(), 0..40), 0..5),
            cuts in vec(1..17_usize, 1..40),
        ) {
            let bytes: Vec<u8> = messages.iter().flat_map(|one| frame(one).unwrap()).collect();
            let mut counted = Messages::default();
            let mut rest = &bytes[..];
            for cut in cuts.iter().cycle() {
                if rest.is_empty() {
                    break;
                }
                let (piece, next) = rest.split_at((*cut).min(rest.len()));
                counted.feed(piece).unwrap();
                rest = next;
            }
            prop_assert_eq!(counted.count, messages.len() as u64);
            prop_assert_eq!((counted.left, counted.head_filled), (0, 0));
        }
    }
}
