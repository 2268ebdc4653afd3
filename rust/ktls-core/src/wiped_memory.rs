//! Memory that is wiped before it is freed, for bytes that must not outlive their use.

use std::fmt;
use std::ops::{Deref, DerefMut};

/// Bytes, mostly plaintext, whose memory is wiped before it is freed.
#[derive(Default)]
pub struct WipedBytes(Vec<u8>);

/// Overwrites `bytes` with zeros, even if nobody reads them afterwards.
///
/// `zeroize` writes byte by byte, which takes longer than opening the record.
pub fn wipe(bytes: &mut [u8]) {
    bytes.fill(0);
    // Makes the compiler assume that the zeros are read.
    std::hint::black_box(bytes);
}

impl WipedBytes {
    /// Creates a value without bytes, which needs no memory.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Creates `len` zeros.
    #[must_use]
    pub fn zeros(len: usize) -> Self {
        Self(vec![0; len])
    }

    /// Makes this at least `len` bytes long. The previous contents may be lost; new contents may be
    /// anything.
    pub fn make_room(&mut self, len: usize) {
        if self.0.len() < len {
            *self = Self::zeros(len);
        }
    }

    /// Appends `more`.
    pub fn extend_from_slice(&mut self, more: &[u8]) {
        let need = self.0.len() + more.len();
        if self.0.capacity() < need {
            let mut grown = Vec::with_capacity(need.max(2 * self.0.capacity()));
            grown.extend_from_slice(&self.0);
            *self = Self(grown);
        }
        self.0.extend_from_slice(more);
    }

    /// Makes this exactly `len` bytes long. Removed bytes are wiped, new ones are zeros.
    pub fn resize(&mut self, len: usize) {
        if len > self.0.capacity() {
            let mut grown = Vec::with_capacity(len);
            grown.extend_from_slice(&self.0);
            *self = Self(grown);
        }
        let left = len.min(self.0.len());
        wipe(&mut self.0[left..]);
        self.0.resize(len, 0);
    }

    /// Removes the first `len` bytes and wipes the memory that becomes free.
    pub fn remove_front(&mut self, len: usize) {
        self.0.copy_within(len.., 0);
        self.resize(self.0.len() - len);
    }

    /// Wipes and removes all bytes. The memory is kept.
    pub fn clear(&mut self) {
        wipe(&mut self.0);
        self.0.clear();
    }
}

impl From<&[u8]> for WipedBytes {
    fn from(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }
}

impl From<Vec<u8>> for WipedBytes {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl Deref for WipedBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl DerefMut for WipedBytes {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.0
    }
}

impl Drop for WipedBytes {
    fn drop(&mut self) {
        wipe(&mut self.0);
    }
}

impl fmt::Debug for WipedBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WipedBytes({} bytes)", self.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_read_back_for_any_pieces() {
        let (mut bytes, mut want) = (WipedBytes::new(), Vec::new());
        for len in 0..100_u8 {
            let piece = vec![len; usize::from(len)];
            bytes.extend_from_slice(&piece);
            want.extend_from_slice(&piece);
        }
        assert_eq!(&*bytes, &*want);
        bytes.clear();
        assert!(bytes.is_empty());
        bytes.make_room(10);
        assert_eq!(&*bytes, [0; 10]);
        bytes[..3].copy_from_slice(b"abc");
        for (len, want) in [
            (2, &b"ab"[..]),
            (4, b"ab\0\0"),
            (12, b"ab\0\0\0\0\0\0\0\0\0\0"),
        ] {
            bytes.resize(len);
            assert_eq!(&*bytes, want);
        }
        bytes.resize(10);
        bytes.remove_front(1);
        assert_eq!(&*bytes, b"b\0\0\0\0\0\0\0\0");
        bytes.remove_front(0);
        bytes.remove_front(9);
        assert!(bytes.is_empty());
        bytes.resize(10);
        assert_eq!(format!("{bytes:?}"), "WipedBytes(10 bytes)");
    }
}
