//! What sealing and opening a record have in common, so that the algorithm is written once for
//! both.

use ktls_core::aead::{Aad, InnerJob, NonceBytes, SealJob};
use ktls_core::wire::TAG_LEN;

use super::lanes::{self, Lanes};
use super::partial_block::{PLACE_INDICES, keep_first, load_last, store_partial};
use super::simd::Simd;

/// A record to be sealed or to be opened.
///
/// The *data* is the plaintext that lies in a buffer: all of it, but for a content type that is
/// kept apart.
pub(super) trait RecordJob {
    /// `true` if the job seals, `false` if it opens.
    const SEALS: bool;

    /// Returns the nonce.
    fn nonce(&self) -> NonceBytes;
    /// Returns the additional data.
    fn aad(&self) -> &Aad;
    /// Returns the bytes of data.
    fn data_len(&self) -> usize;
    /// Returns the bytes of ciphertext, without the tag.
    fn ciphertext_len(&self) -> usize;
    /// Returns `true` if both have the same additional data and content type.
    ///
    /// The type of a record that is not open yet is unknown: only whether it is kept apart counts.
    fn is_like(&self, other: &Self) -> bool;
    /// Checks that the buffers fit together.
    ///
    /// # Panics
    /// Panics if the lengths of the buffers contradict each other.
    fn check_lengths(&self);
    /// Returns the input, without the tag, the output, and the content type that is kept apart.
    /// Both buffers are at least as long as the data.
    fn parts(&mut self) -> (&[u8], &mut [u8], &mut Option<u8>);
    /// Seals or opens the last bytes of the record, from `at` on, which do not fill a block of
    /// data; returns their ciphertext as a block that ends with zeros.
    fn last_block<S: Simd>(&mut self, s: S, at: usize, keystream: S::V) -> S::V;
    /// Does [`RecordJob::last_block`] for one record in each lane; the records are alike.
    fn last_blocks<S: Simd>(s: S, lanes: &mut Lanes<'_>, at: usize, keystream: S::V) -> S::V;
    /// Takes the tag that was computed: writes it if the job seals, else compares it with the tag
    /// that was received. Returns `false` if that is another.
    fn finish<S: Simd>(&mut self, s: S, tag: S::V) -> bool;

    /// Returns which of the two is the ciphertext.
    #[inline(always)]
    fn ciphertext_of<V>(input: V, output: V) -> V {
        if Self::SEALS { output } else { input }
    }
}

impl RecordJob for SealJob<'_> {
    const SEALS: bool = true;

    #[inline(always)]
    fn nonce(&self) -> NonceBytes {
        self.nonce
    }

    #[inline(always)]
    fn aad(&self) -> &Aad {
        &self.aad
    }

    #[inline(always)]
    fn data_len(&self) -> usize {
        self.plaintext.len()
    }

    #[inline(always)]
    fn ciphertext_len(&self) -> usize {
        self.plaintext.len() + usize::from(self.inner_type.is_some())
    }

    #[inline(always)]
    fn is_like(&self, other: &Self) -> bool {
        self.inner_type == other.inner_type && self.aad == other.aad
    }

    #[inline(always)]
    fn check_lengths(&self) {
        assert_eq!(
            self.out.len(),
            self.ciphertext_len() + TAG_LEN,
            "out is as long as ciphertext and tag"
        );
    }

    #[inline(always)]
    fn parts(&mut self) -> (&[u8], &mut [u8], &mut Option<u8>) {
        (self.plaintext, self.out, &mut self.inner_type)
    }

    #[inline(always)]
    fn last_block<S: Simd>(&mut self, s: S, at: usize, keystream: S::V) -> S::V {
        let len = self.plaintext.len() - at;
        let mut block = load_last(s, self.plaintext, len);
        if let Some(inner_type) = self.inner_type {
            let inner_type = s.set_low(u128::from(inner_type));
            let place = s.load_one(&PLACE_INDICES[16 - len..]);
            block = s.xor(block, s.shuffle_bytes(inner_type, place));
        }
        let ciphertext = keep_first(s, s.xor(block, keystream), self.ciphertext_len() - at);
        // A whole block is stored: the excess bytes lie in the place of the tag, which is written
        // later.
        s.store_one(ciphertext, &mut self.out[at..]);
        ciphertext
    }

    #[inline(always)]
    fn last_blocks<S: Simd>(s: S, lanes: &mut Lanes<'_>, at: usize, keystream: S::V) -> S::V {
        lanes::seal_last_blocks(s, lanes, at, keystream)
    }

    #[inline(always)]
    fn finish<S: Simd>(&mut self, s: S, tag: S::V) -> bool {
        let at = self.out.len() - TAG_LEN;
        s.store_one(tag, &mut self.out[at..]);
        true
    }
}

impl RecordJob for InnerJob<'_> {
    const SEALS: bool = false;

    #[inline(always)]
    fn nonce(&self) -> NonceBytes {
        self.job.nonce
    }

    #[inline(always)]
    fn aad(&self) -> &Aad {
        &self.job.aad
    }

    #[inline(always)]
    fn data_len(&self) -> usize {
        self.job.out.len()
    }

    #[inline(always)]
    fn ciphertext_len(&self) -> usize {
        self.job.ciphertext.len()
    }

    #[inline(always)]
    fn is_like(&self, other: &Self) -> bool {
        self.inner_type.is_some() == other.inner_type.is_some() && self.job.aad == other.job.aad
    }

    #[inline(always)]
    fn check_lengths(&self) {
        assert_eq!(
            self.job.out.len() + usize::from(self.inner_type.is_some()),
            self.job.ciphertext.len(),
            "out is as long as the ciphertext"
        );
    }

    #[inline(always)]
    fn parts(&mut self) -> (&[u8], &mut [u8], &mut Option<u8>) {
        (self.job.ciphertext, self.job.out, &mut self.inner_type)
    }

    #[inline(always)]
    fn last_block<S: Simd>(&mut self, s: S, at: usize, keystream: S::V) -> S::V {
        let len = self.job.ciphertext.len() - at;
        let ciphertext = load_last(s, self.job.ciphertext, len);
        let block = s.xor(ciphertext, keystream);
        store_last(s, block, &mut self.job.out[at..], &mut self.inner_type);
        ciphertext
    }

    #[inline(always)]
    fn last_blocks<S: Simd>(s: S, lanes: &mut Lanes<'_>, at: usize, keystream: S::V) -> S::V {
        lanes::open_last_blocks(s, lanes, at, keystream)
    }

    #[inline(always)]
    fn finish<S: Simd>(&mut self, s: S, tag: S::V) -> bool {
        // Constant time: one comparison of 128 bits.
        s.to_u128(s.xor(tag, s.load_one(self.job.tag))) == 0
    }
}

/// Stores the last bytes of an opened record: `out` is the rest of its output, which the content
/// type follows if it is kept apart.
#[inline(always)]
pub(super) fn store_last<S: Simd>(s: S, block: S::V, out: &mut [u8], inner_type: &mut Option<u8>) {
    let mut bytes = [0; 16];
    s.store_one(block, &mut bytes);
    store_partial(&bytes[..out.len()], out);
    if let Some(inner_type) = inner_type {
        *inner_type = bytes[out.len()];
    }
}
