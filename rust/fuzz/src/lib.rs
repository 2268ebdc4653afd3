//! What the fuzz targets check. Any input is a valid one: where it ends, zeros are read.

pub mod aead;
pub mod records;
