//! Compares our AES-GCM with aws-lc and RustCrypto, for any key, batch and damage.

mod arena;
mod batch;
mod open;
mod seal;

use ktls_aead::{Aead, AesGcmPreference};
use ktls_core::aead::{Provider, RecordKey};
use libfuzzer_sys::arbitrary::Unstructured;

use self::batch::SealedUnderOneKey;

/// Seals the batch that `input` describes, and opens the records that arrive, by each
/// implementation.
///
/// # Panics
/// Panics if two ways differ, or if our AES-GCM does not support this CPU.
pub fn check(input: &[u8]) {
    let batch = SealedUnderOneKey::read(&mut Unstructured::new(input))
        .expect("an input is followed by zeros");
    let ours = key(AesGcmPreference::Vaes, &batch);
    let theirs = key(AesGcmPreference::AwsLc, &batch);
    let wire = seal::check(&batch, &*ours, &*theirs);
    open::check(&batch.received(&wire), &*ours, &*theirs);
}

fn key(wanted: AesGcmPreference, batch: &SealedUnderOneKey) -> Box<dyn RecordKey> {
    Aead::with(wanted)
        .record_key(batch.algorithm, batch.key())
        .unwrap_or_else(|error| panic!("there is nothing to fuzz: {error}"))
}
