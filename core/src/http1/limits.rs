//! How large a head may be.

/// Limits on one message's head. The defaults are Envoy's where it has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Of the whole head, the empty line included. Above: 431. At most 1 GiB, since positions in
    /// a head are 32 bits wide; a larger value counts as that.
    pub head_bytes_max: usize,
    /// Field lines of a head. Above: 431.
    pub headers_max: usize,
    /// Of the request target. Above: 414.
    pub target_bytes_max: usize,
}

impl Limits {
    /// The part of a buffer in which the head must end.
    pub(super) fn window<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        &bytes[..bytes.len().min(self.head_bytes())]
    }

    /// The limit in force on a head's length.
    pub(super) fn head_bytes(&self) -> usize {
        self.head_bytes_max.min(1 << 30)
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            head_bytes_max: 60 * 1024,
            headers_max: 100,
            target_bytes_max: 8 * 1024,
        }
    }
}
