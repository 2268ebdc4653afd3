//! Every engine against aws-lc, RustCrypto and GCM as the standard writes it.
//!
//! Under Miri, which cannot call aws-lc, the engines run too, AVX-512 included: `docs/aead.md` says how.

mod differential;
mod model;
mod partial_block;
mod random;
mod run;
mod standard;
