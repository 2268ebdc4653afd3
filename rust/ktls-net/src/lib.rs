//! TLS sockets and connections over file descriptors: the I/O around `ktls-core`.
#![forbid(unsafe_code)]

mod background_sender;
mod bell;
mod connection;
mod descriptor;
mod error;
mod fd_socket;
pub mod fork;
pub mod fork_hooks;
pub mod handshake;
mod mutex;
mod poller;
pub mod queue;
mod relay;
mod session;
mod spread_over_threads;
mod tls_object;
pub mod wait;

use std::sync::{Arc, LazyLock};

use ktls_core::stats::Stats;

pub use background_sender::finish_before_exit;
pub use bell::ReadinessBell;
pub use connection::{
    Connection, EngineHandOver, HandedOverConnection, InstallOutcome, ReadyToHandOver,
    StartingConnection,
};
pub use descriptor::OpenFd;
pub use error::{NetError, UnfitForRelay};
pub use fd_socket::{FdSocket, FileSource, SocketReadiness};
pub use queue::{KeptBytes, OffloadQueue};
pub use relay::{
    KtlsSide, OnClose, PairEnd, PairOptions, PoolTally, Relay, RelayPair, RelayPool, RelaySide,
    TruncationPolicy,
};
pub use session::{
    ConnectionCounts, DirectionCounts, HandshakeFacts, KtlsKeyState, NextUser, TakeoverKeys,
};
pub use spread_over_threads::spread;
pub use tls_object::{ObjectRead, TlsObject};
pub use wait::{ProgressDeadline, Wait};

/// The counters of this process.
pub static STATS: LazyLock<Arc<Stats>> = LazyLock::new(Arc::default);
