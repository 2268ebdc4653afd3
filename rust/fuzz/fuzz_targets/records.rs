//! See [`ktls_fuzz::records`].
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| ktls_fuzz::records::check(input));
