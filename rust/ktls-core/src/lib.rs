//! The record layer of kernel TLS as pure logic.
//!
//! The crate has no I/O, no clock, no threads and no ciphers: bytes, time and the
//! [`aead::Provider`] are arguments. A TCP socket, a Python buffer and a simulated link drive the
//! same state machines.
#![forbid(unsafe_code)]

pub mod aead;
pub mod crypto_info;
pub mod error;
mod fifo;
pub mod key;
pub mod offload;
mod quoted;
pub mod record;
pub mod rekey;
pub mod session;
pub mod slot;
pub mod socket;
pub mod stats;
pub mod suite;
mod wiped_memory;
pub mod wire;

pub use crypto_info::{CryptoInfo, Direction};
pub use error::{Alert, Blame, Errno, Error};
pub use fifo::{Fifo, FifoPool};
pub use key::TrafficSecret;
pub use quoted::{quoted, shortened};
pub use record::{Opener, Sealer};
pub use wiped_memory::{WipedBytes, wipe};
