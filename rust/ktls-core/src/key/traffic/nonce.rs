//! Nonces and additional data of records (RFC 8446 §5.2 and §5.3, RFC 5246 §6.2.3.3, RFC 7905 §2).

use super::TrafficKey;
use crate::aead::{Aad, NonceBytes};
use crate::wire::{ContentType, HEADER_LEN, Header, TAG_LEN, TLS12};

impl TrafficKey {
    /// Returns nonce and additional data of a received record. `prepend` is its header and explicit
    /// nonce.
    #[inline(always)]
    pub fn protection(&self, seq: u64, prepend: &[u8], inner_len: usize) -> (NonceBytes, Aad) {
        if self.is_tls12() {
            let nonce = self.nonce12(seq, &prepend[HEADER_LEN..]);
            return (nonce, aad12(seq, prepend[0], inner_len));
        }
        let header = outer_header(inner_len + TAG_LEN);
        (self.nonce_xor(seq), Aad::header(header))
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

    #[cold]
    pub(super) fn nonce12(&self, seq: u64, explicit: &[u8]) -> NonceBytes {
        if explicit.is_empty() {
            return self.nonce_xor(seq);
        }
        let mut nonce = *self.info.nonce();
        nonce[4..].copy_from_slice(explicit);
        nonce
    }

    /// Computes the nonce of RFC 8446 §5.3, and of RFC 7905 §2 for ChaCha20-Poly1305 in TLS 1.2.
    pub(super) fn nonce_xor(&self, seq: u64) -> NonceBytes {
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

pub(super) fn aad12(seq: u64, record_type: u8, len: usize) -> Aad {
    Aad::numbered(seq, header12(record_type, len))
}

/// Returns the header of a protected TLS 1.3 record, which is its additional data. It is made of
/// constants and not taken from the wire, as in the kernel (`docs/kernel-rules.md`, S2.1-5).
pub(super) fn outer_header(len: usize) -> [u8; HEADER_LEN] {
    header12(ContentType::APPLICATION_DATA.0, len)
}

pub(super) fn header12(opaque_type: u8, len: usize) -> [u8; HEADER_LEN] {
    let version = TLS12;
    Header {
        opaque_type,
        version,
        len,
    }
    .to_bytes()
}
