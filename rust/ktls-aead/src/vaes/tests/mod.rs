//! Every engine against aws-lc and against GCM as the standard writes it.
//!
//! The engines run under Miri too, AVX-512 included, as `docs/aead.md` describes; Miri cannot call
//! aws-lc.

mod differential;
mod model;
mod partial_block;
mod random;
mod run;
mod standard;
