//! The core over file descriptors.
#![forbid(unsafe_code)]

mod connection;
mod descriptor;
mod error;
mod fd_socket;
pub mod fork;
pub mod handshake;
mod relay;
pub mod wait;

use std::sync::{Arc, LazyLock};

use ktls_core::stats::Stats;

pub use connection::{Connection, Count, Counts, Facts, Handshaking};
pub use descriptor::Opened;
pub use error::Error;
pub use fd_socket::{Bell, FdSocket, FileSource, Readiness};
pub use relay::{OnClose, Pair, Pool, Tally};
pub use relay::{Relay, Side};
pub use wait::Patience;

/// The counters of this process.
pub static STATS: LazyLock<Arc<Stats>> = LazyLock::new(Arc::default);
