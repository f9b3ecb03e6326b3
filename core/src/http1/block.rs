//! Sixteen bytes looked at at once: by arithmetic on two words where a place is asked for, in a
//! loop that becomes vector instructions where the answer is yes or no.

/// Bytes of a block.
pub(crate) const LENGTH: usize = 16;

/// Sixteen bytes of a buffer, first byte lowest.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Block {
    low: u64,
    high: u64,
}

impl Block {
    /// The block at `position`; `None` at the end of `bytes` or behind it. What is missing at the
    /// end reads as NUL, which is a control character: no name, target or value runs over it.
    #[inline(always)]
    pub(crate) fn at(bytes: &[u8], position: usize) -> Option<Self> {
        match bytes.get(position..)?.first_chunk() {
            Some(chunk) => Some(Self::new(u128::from_le_bytes(*chunk))),
            None => Self::last(bytes, position),
        }
    }

    /// The less than sixteen bytes from `position` to the end.
    #[inline]
    fn last(bytes: &[u8], position: usize) -> Option<Self> {
        let missing = position + LENGTH - bytes.len();
        if missing == LENGTH {
            return None;
        }
        if let Some(chunk) = bytes.last_chunk() {
            return Some(Self::new(u128::from_le_bytes(*chunk) >> (8 * missing)));
        }
        let mut padded = [0; LENGTH];
        let rest = &bytes[position..];
        padded[..rest.len()].copy_from_slice(rest);
        Some(Self::new(u128::from_le_bytes(padded)))
    }

    #[inline(always)]
    fn new(number: u128) -> Self {
        Self {
            low: number as u64,
            high: (number >> 64) as u64,
        }
    }

    /// All of it as a number, first byte lowest.
    #[inline(always)]
    pub(crate) fn number(self) -> u128 {
        u128::from(self.high) << 64 | u128::from(self.low)
    }

    /// Position of the first byte whose top bit `tops` sets.
    #[inline(always)]
    fn find_tops(self, tops: impl Fn(u64) -> u64) -> usize {
        match tops(self.low) & TOP {
            0 => match tops(self.high) & TOP {
                0 => LENGTH,
                high => 8 + high.trailing_zeros() as usize / 8,
            },
            low => low.trailing_zeros() as usize / 8,
        }
    }

    /// Position of the first `byte`; [`LENGTH`] when there is none.
    #[inline(always)]
    pub(crate) fn find(self, byte: u8) -> usize {
        self.find_tops(|word| up_to_first(word, byte))
    }

    /// Position of the first `.`, `%` or `\`: without them, and without what no target holds, a
    /// path is as [`crate::path::canonical`] leaves it.
    #[inline(always)]
    pub(super) fn find_special_in_path(self) -> usize {
        let tops = |word: u64| {
            up_to_first(word, b'.') | up_to_first(word, b'%') | up_to_first(word, b'\\')
        };
        self.find_tops(tops)
    }
}

/// A control character, HTAB among them.
#[inline(always)]
pub(super) fn is_control(byte: u8) -> bool {
    (byte < b' ') | (byte == 0x7f)
}

/// A byte that a target cannot hold (RFC 9112 section 3.2): a space, a control character, `#`, or
/// what is not ASCII.
#[inline(always)]
pub(crate) fn is_not_in_target(byte: u8) -> bool {
    !(0x21..0x7f).contains(&byte) | (byte == b'#')
}

/// Position of the first control character at `from` or behind it.
#[inline(always)]
pub(super) fn find_control(bytes: &[u8], from: usize) -> Option<usize> {
    let tops = |word: u64| word.wrapping_sub(EACH * 0x20) & !word | up_to_first(word, 0x7f);
    find(bytes, from, is_control, tops)
}

/// Position of the first byte, at `from` or behind it, that a target cannot hold.
#[inline(always)]
pub(super) fn find_not_in_target(bytes: &[u8], from: usize) -> Option<usize> {
    let tops = |word: u64| {
        let is_low = word.wrapping_sub(EACH * 0x21);
        let is_high = word | word.wrapping_add(EACH);
        is_low | is_high | up_to_first(word, b'#')
    };
    find(bytes, from, is_not_in_target, tops)
}

/// Is there a byte in `chunk` that `is_meant`? A few vector instructions.
#[inline(always)]
pub(super) fn any<const N: usize>(chunk: &[u8; N], is_meant: impl Fn(u8) -> bool) -> bool {
    // Without a way out the loop runs on all bytes at once.
    chunk
        .iter()
        .fold(false, |found, byte| found | is_meant(*byte))
}

/// Are all bytes such that `is_meant`?
#[inline(always)]
pub(crate) fn are_all(bytes: &[u8], is_meant: impl Fn(u8) -> bool) -> bool {
    let is_other = |byte| !is_meant(byte);
    if let Some(last) = bytes.last_chunk::<LENGTH>() {
        let (chunks, _) = bytes.as_chunks::<LENGTH>();
        for chunk in chunks {
            if any(chunk, is_other) {
                return false;
            }
        }
        return !any(last, is_other);
    }
    match (bytes.first_chunk::<8>(), bytes.last_chunk::<8>()) {
        (Some(first), Some(last)) => !any(first, is_other) && !any(last, is_other),
        _ => bytes.iter().all(|byte| is_meant(*byte)),
    }
}

/// Passes block after block in which nothing `is_meant`, which costs a few vector instructions for
/// each, and then finds the place by arithmetic. Both arguments say the same.
#[inline(always)]
fn find(
    bytes: &[u8],
    mut from: usize,
    is_meant: impl Fn(u8) -> bool,
    tops: impl Fn(u64) -> u64,
) -> Option<usize> {
    while let Some(chunk) = bytes.get(from..)?.first_chunk::<LENGTH>() {
        if any(chunk, &is_meant) {
            break;
        }
        from += LENGTH;
    }
    let found = from + Block::at(bytes, from)?.find_tops(tops);
    (found < bytes.len()).then_some(found)
}

/// The top bit of the first `byte` and perhaps of some behind it: subtracting borrows from a byte's
/// neighbour only where the byte is one that is looked for. All that looks for the first place
/// relies on that.
#[inline(always)]
fn up_to_first(word: u64, byte: u8) -> u64 {
    let differs = word ^ (EACH * u64::from(byte));
    differs.wrapping_sub(EACH) & !differs
}

const EACH: u64 = 0x0101_0101_0101_0101;
const TOP: u64 = 0x80 * EACH;

#[cfg(test)]
mod tests {
    use super::{Block, LENGTH, are_all, find_control, find_not_in_target};

    /// Every byte among every other, so that none spills over to its neighbour unseen.
    #[test]
    fn the_first_is_found() {
        for byte in 0..=255_u8 {
            for other in 0..=255_u8 {
                for place in 0..LENGTH {
                    let mut bytes = [other; LENGTH];
                    bytes[place] = byte;
                    bytes[LENGTH - 1] = byte;
                    check(&bytes);
                }
            }
        }
    }

    fn check(bytes: &[u8; LENGTH]) {
        let block = Block::at(bytes, 0).expect("sixteen bytes");
        let first = |is_meant: fn(u8) -> bool| {
            let found = bytes.iter().position(|byte| is_meant(*byte));
            found.unwrap_or(LENGTH)
        };
        assert_eq!(block.find(b':'), first(|byte| byte == b':'), "{bytes:?}");
        let is_control: fn(u8) -> bool = |byte| byte < 0x20 || byte == 0x7f;
        let found = |is_meant| match first(is_meant) {
            LENGTH => None,
            found => Some(found),
        };
        assert_eq!(find_control(bytes, 0), found(is_control), "{bytes:?}");
        let is_no_target: fn(u8) -> bool = |byte| !(0x21..0x7f).contains(&byte) || byte == b'#';
        assert_eq!(
            find_not_in_target(bytes, 0),
            found(is_no_target),
            "{bytes:?}"
        );
        let is_special = |byte| matches!(byte, b'.' | b'%' | b'\\');
        assert_eq!(block.find_special_in_path(), first(is_special), "{bytes:?}");
        assert_eq!(block.number().to_le_bytes(), *bytes);
    }

    #[test]
    fn all_are_looked_at() {
        let mut bytes = [b'a'; 70];
        for end in 0..=bytes.len() {
            assert!(are_all(&bytes[..end], |byte| byte == b'a'));
            for place in 0..end {
                bytes[place] = b'b';
                assert!(!are_all(&bytes[..end], |byte| byte == b'a'));
                bytes[place] = b'a';
            }
        }
    }

    #[test]
    fn what_is_far_is_found() {
        let mut bytes = [b'a'; 100];
        for end in 0..=bytes.len() {
            for place in 0..end {
                bytes[place] = b'\r';
                for from in 0..end {
                    let expected = (from <= place).then_some(place);
                    assert_eq!(find_control(&bytes[..end], from), expected);
                    assert_eq!(find_not_in_target(&bytes[..end], from), expected);
                }
                bytes[place] = b'a';
            }
            assert_eq!(find_control(&bytes[..end], end), None);
            assert_eq!(find_control(&bytes[..end], end + 1), None);
        }
    }

    #[test]
    fn the_end_reads_as_nul() {
        let bytes: Vec<u8> = (1..=40).collect();
        for length in 0..=bytes.len() {
            for position in 0..=length + 1 {
                let found = Block::at(&bytes[..length], position);
                if position >= length {
                    assert!(found.is_none());
                    continue;
                }
                let mut expected = [0; LENGTH];
                let rest = &bytes[position..length.min(position + LENGTH)];
                expected[..rest.len()].copy_from_slice(rest);
                assert_eq!(
                    found.expect("bytes are left").number().to_le_bytes(),
                    expected
                );
            }
        }
    }
}
