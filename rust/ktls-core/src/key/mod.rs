//! Traffic secrets, traffic keys and record sequence numbers.

mod secret;
mod seq;
mod tls12;
mod traffic;

pub use secret::TrafficSecret;
pub use seq::RecSeq;
pub use tls12::{Tls12Secrets, Tls12Start};
pub use traffic::{InnerPlaintext, TrafficKey};
