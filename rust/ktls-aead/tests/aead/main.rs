//! Every algorithm of the provider as a [`ktls_core::aead::RecordKey`], and HKDF-Expand.

mod expand;
mod job;
mod record;
mod vector;
