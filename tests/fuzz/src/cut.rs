//! Pieces in which bytes may arrive.

/// A few lengths, growing, the last of which is `length`: made of a hash of the bytes, so that the
/// same input is always cut alike.
pub(crate) fn prefixes(bytes: &[u8]) -> Vec<usize> {
    let mut random = fastrand::Rng::with_seed(hash(bytes));
    let count = random.usize(0..6);
    let mut lengths: Vec<_> = (0..count).map(|_| random.usize(0..=bytes.len())).collect();
    lengths.sort_unstable();
    lengths.push(bytes.len());
    lengths
}

/// The bytes in pieces.
pub(crate) fn pieces(bytes: &[u8]) -> Vec<&[u8]> {
    let mut start = 0;
    let piece = |end| {
        let piece = &bytes[start..end];
        start = end;
        piece
    };
    prefixes(bytes).into_iter().map(piece).collect()
}

/// FNV-1a, 64 bits: it need only be the same everywhere.
pub(crate) fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
