//! Records that a device is to seal or has opened: plaintext in the layout of a record
//! (`docs/offload-rules.md`, D-8 and D-12).

use ktls_core::aead::SealJob;
use ktls_core::error::Error;
use ktls_core::key::{InnerPlaintext, TrafficKey};
use ktls_core::wire::{ContentType, HEADER_LEN, Header, TAG_LEN, TLS12, TLS13};

/// Writes a record as plaintext, with room for the tag, for a device to seal.
///
/// # Panics
/// Panics if `out` is not exactly as long as the record.
pub fn frame(key: &TrafficKey, seq: u64, record_type: u8, plaintext: &[u8], out: &mut [u8]) {
    assert_eq!(out.len(), plaintext.len() + key.overhead());
    let tls13 = key.info().version() == TLS13;
    let header = Header {
        opaque_type: if tls13 {
            ContentType::APPLICATION_DATA.0
        } else {
            record_type
        },
        version: TLS12,
        len: out.len() - HEADER_LEN,
    };
    let (head, rest) = out.split_at_mut(key.prepend());
    head[..HEADER_LEN].copy_from_slice(&header.to_bytes());
    // The running IV of TLS 1.2 is the record's explicit nonce.
    let info = key.live_info(seq);
    let explicit = &info.nonce()[info.salt().len()..];
    for (to, from) in head[HEADER_LEN..].iter_mut().zip(explicit) {
        *to = *from;
    }
    let (text, tail) = rest.split_at_mut(plaintext.len());
    text.copy_from_slice(plaintext);
    tail.fill(0);
    if tls13 {
        tail[0] = record_type;
    }
}

/// Seals a record that [`frame`] wrote. The bytes in the place of the tag are not read.
///
/// # Panics
/// Panics if `framed` is shorter than any record of this key.
#[must_use]
pub fn seal_framed(key: &TrafficKey, seq: u64, framed: &[u8]) -> Vec<u8> {
    let inner = &framed[key.prepend()..framed.len() - TAG_LEN];
    let (record_type, plaintext) = match inner.split_last() {
        Some((&last, rest)) if key.info().version() == TLS13 => (last, rest),
        _ => (framed[0], inner),
    };
    let mut out = vec![0; framed.len()];
    key.seal(seq, record_type, plaintext, &mut out);
    out
}

/// Returns the keystream that the first `len` bytes after `prepend` (header and explicit nonce) are
/// XORed with. This works for GCM only, whose ciphertext is that of CTR mode.
#[must_use]
pub(crate) fn keystream(key: &TrafficKey, seq: u64, prepend: &[u8], len: usize) -> Vec<u8> {
    let (nonce, aad) = key.nonce_and_aad(seq, prepend, len);
    let mut out = vec![0; len + TAG_LEN];
    key.aead().seal(SealJob {
        nonce,
        aad,
        plaintext: &vec![0; len],
        inner_type: None,
        out: &mut out,
    });
    out.truncate(len);
    out
}

/// Copies the plaintext of a record that a device has opened and authenticated into `out`.
///
/// # Errors
/// [`Error::NoContentType`] if a TLS 1.3 record holds only padding, [`Error::RecordTooShort`] if it
/// is shorter than any record of this key, and [`Error::NoRoom`] if `out` is too short.
pub fn read_opened(
    key: &TrafficKey,
    record: &[u8],
    out: &mut [u8],
) -> Result<InnerPlaintext, Error> {
    let inner_len = key.inner_len(record.len())?;
    let have = out.len();
    let out = out.get_mut(..inner_len).ok_or(Error::NoRoom {
        need: inner_len,
        have,
    })?;
    out.copy_from_slice(&record[key.prepend()..][..inner_len]);
    key.strip(record[0], out)
}
