//! Traffic secrets, traffic keys and record sequence numbers.

mod secret;
mod seq;
mod traffic;

pub use secret::TrafficSecret;
pub use seq::RecSeq;
pub use traffic::{InnerPlaintext, TrafficKey};
