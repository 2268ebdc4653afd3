//! Sockets that continue a connection of this package.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use ktls_aead::PROVIDER;
use ktls_core::CryptoInfo;
use ktls_core::crypto_info::Direction;
use ktls_core::key::TrafficKey;
use ktls_core::session::UnreadBytes;
use ktls_core::stats::Stats;

use super::FdSocket;
use crate::mutex::lock;

/// The keys of both directions, expanded, so that a socket with them can be made without an error.
#[derive(Debug)]
pub(crate) struct AdoptedKeys {
    tx: TrafficKey,
    rx: TrafficKey,
}

impl AdoptedKeys {
    /// Expands the keys.
    ///
    /// # Errors
    /// [`ktls_core::Error::CipherMissing`] if a cipher has no implementation.
    pub(crate) fn new(tx: CryptoInfo, rx: CryptoInfo) -> Result<Self, ktls_core::Error> {
        Ok(Self {
            tx: TrafficKey::new(tx, &PROVIDER)?,
            rx: TrafficKey::new(rx, &PROVIDER)?,
        })
    }
}

impl FdSocket {
    /// Makes a socket that has the ULP and both keys, and continues with the bytes that were read
    /// before.
    ///
    /// Unlike [`FdSocket::attach`] it accepts a connection whose peer has sent FIN: bytes in front
    /// of it may be unread.
    pub(crate) fn adopt(
        fd: OwnedFd,
        stats: Arc<Stats>,
        keys: AdoptedKeys,
        unread: UnreadBytes,
    ) -> Self {
        let socket = Self::new(fd, stats, None);
        lock(&socket.setup).attached = true;
        socket.tx.install_first(keys.tx, None);
        socket.count_done(Direction::Tx, false);
        let mut side = lock(&socket.rx);
        side.install_first(keys.rx, None);
        if let Some(rx) = side.keyed_now() {
            rx.preload(unread.plaintext, &unread.sealed, &socket.shared);
        }
        side.pulled += unread.sealed.len() as u64;
        if let Ok(fd) = socket.fd.number() {
            // It fails on systems without `SO_RCVLOWAT`, where nothing was set either.
            let _no_mark = socket.take_low_water(&fd, &side);
        }
        drop(side);
        socket.count_done(Direction::Rx, false);
        socket
    }
}
