//! AES-GCM of our own against aws-lc and RustCrypto: any key, any batch, any damage on the way.

mod arena;
mod batch;
mod open;
mod seal;

use ktls_aead::{Aead, AesGcmPreference};
use ktls_core::aead::{Provider, RecordKey};
use libfuzzer_sys::arbitrary::Unstructured;

use self::batch::SealedUnderOneKey;

/// Seals the batch that `input` describes and opens what is left of it, in every way there is.
///
/// # Panics
/// When two ways differ, or this CPU has no AES-GCM of ours.
pub fn check(input: &[u8]) {
    let batch =
        SealedUnderOneKey::read(&mut Unstructured::new(input)).expect("zeros follow an input");
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
