//! See [`ktls_fuzz::aead`].
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| ktls_fuzz::aead::check(input));
