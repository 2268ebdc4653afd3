//! What a Linux TCP socket with the tls ULP does, as pure logic: the kernel face.
//!
//! Rules are cited by their numbers in `docs/kernel-rules.md`. [`Tx`] and [`Rx`] are one
//! direction each and share nothing but [`Shared`]; [`options`] are the checks of `setsockopt` and
//! `getsockopt`, [`call`] those of one send or receive call.

pub mod call;
mod fault;
mod info;
mod job;
pub mod options;
mod receive;
mod rx;
mod source;
mod target;
mod tx;

pub use fault::{Fault, SockError};
pub use info::{Conf, Info};
pub use job::{Job, JobSealer, Plaintext};
pub use receive::{Receive, Received};
pub use rx::{Dry, NoPad, Rx, Step};
pub use source::Source;
pub use target::{Behind, Target};
pub use tx::{More, Tx};

use std::sync::Arc;

use crate::stats::Stats;

/// What both directions of one socket share.
#[derive(Debug, Default)]
pub struct Shared {
    /// `sk_err`
    pub error: SockError,
    /// Where this socket counts.
    pub stats: Arc<Stats>,
}
