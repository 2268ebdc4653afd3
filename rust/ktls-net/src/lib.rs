//! The core over file descriptors.
#![forbid(unsafe_code)]

mod connection;
mod descriptor;
mod error;
pub mod handshake;
mod relay;
pub mod wait;

pub use connection::{Connection, Counts, Facts, Handshaking};
pub use error::Error;
pub use relay::Relay;
pub use wait::Patience;

/// The counters of this process.
pub static STATS: ktls_core::stats::Stats = ktls_core::stats::Stats::new();
