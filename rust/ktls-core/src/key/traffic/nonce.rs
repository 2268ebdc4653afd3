//! Nonces and additional data of records (RFC 8446 §5.2 and §5.3, RFC 5246 §6.2.3.3, RFC 7905 §2).

use super::TrafficKey;
use crate::aead::{Aad, NonceBytes};
use crate::wire::{ContentType, HEADER_LEN, Header, TAG_LEN, TLS12};

impl TrafficKey {
    /// Returns the nonce and the additional data of a record with `inner_len` bytes of inner
    /// plaintext. `prepend` is its header and explicit nonce.
    #[inline(always)]
    pub fn nonce_and_aad(&self, seq: u64, prepend: &[u8], inner_len: usize) -> (NonceBytes, Aad) {
        if self.is_tls12() {
            let nonce = self.tls12_nonce(seq, &prepend[HEADER_LEN..]);
            return (nonce, tls12_aad(seq, prepend[0], inner_len));
        }
        let header = tls13_header(inner_len + TAG_LEN);
        (self.xor_nonce(seq), Aad::header(header))
    }

    /// Returns the explicit nonce of a record: the iv plus the number of records since the key was
    /// installed, independent of rec_seq (`docs/kernel-rules.md`, S2.1-3).
    pub(super) fn explicit_nonce(&self, seq: u64) -> [u8; 8] {
        let mut start = [0; 8];
        start.copy_from_slice(&self.info.nonce()[4..]);
        let records = seq.wrapping_sub(self.info.rec_seq);
        u64::from_be_bytes(start)
            .wrapping_add(records)
            .to_be_bytes()
    }

    /// Returns the nonce of a TLS 1.2 record. `explicit` is its explicit nonce, which
    /// ChaCha20-Poly1305 does not have.
    #[cold]
    pub(super) fn tls12_nonce(&self, seq: u64, explicit: &[u8]) -> NonceBytes {
        if explicit.is_empty() {
            return self.xor_nonce(seq);
        }
        let mut nonce = *self.info.nonce();
        nonce[4..].copy_from_slice(explicit);
        nonce
    }

    /// Computes the nonce of RFC 8446 §5.3, and of RFC 7905 §2 for ChaCha20-Poly1305 in TLS 1.2.
    pub(super) fn xor_nonce(&self, seq: u64) -> NonceBytes {
        // Stored as two numbers, since the AEAD loads it so: stores byte by byte would defeat store
        // forwarding.
        let [a, b, c, d, tail @ ..] = *self.info.nonce();
        let (head, tail) = (u32::from_be_bytes([a, b, c, d]), u64::from_be_bytes(tail));
        let mut nonce = [0; 12];
        nonce[..4].copy_from_slice(&head.to_be_bytes());
        nonce[4..].copy_from_slice(&(tail ^ seq).to_be_bytes());
        nonce
    }
}

/// Returns the additional data of a TLS 1.2 record with `len` bytes of plaintext.
pub(super) fn tls12_aad(seq: u64, record_type: u8, len: usize) -> Aad {
    Aad::numbered(seq, record_header(record_type, len))
}

/// Returns the header of a protected TLS 1.3 record, which is its additional data. It is made of
/// constants and not taken from the wire, as in the kernel (`docs/kernel-rules.md`, S2.1-5).
pub(super) fn tls13_header(len: usize) -> [u8; HEADER_LEN] {
    record_header(ContentType::APPLICATION_DATA.0, len)
}

/// Returns the header in front of `len` bytes.
pub(super) fn record_header(opaque_type: u8, len: usize) -> [u8; HEADER_LEN] {
    let version = TLS12;
    Header {
        opaque_type,
        version,
        len,
    }
    .to_bytes()
}
