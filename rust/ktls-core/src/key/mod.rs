//! Traffic keys, their numbers and how the next secret comes from this one.

mod framed;
mod secret;
mod seq;
mod traffic;

pub use secret::TrafficSecret;
pub use seq::RecSeq;
pub use traffic::{InnerPlaintext, TrafficKey};
