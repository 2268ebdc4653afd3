//! Tests of the provider: every algorithm as a [`ktls_core::aead::RecordKey`], and HKDF-Expand.

mod choice;
mod expand;
mod job;
mod property;
mod record;
mod vector;
