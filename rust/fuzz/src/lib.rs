//! The checks of the fuzz targets. Every input is valid: after its end, zeros are read.

pub mod aead;
pub mod records;
