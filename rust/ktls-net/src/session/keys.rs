//! The source of keys that both halves of a session share.

use std::sync::{Arc, Mutex};

use ktls_core::session::KeySource;
use ktls_core::{CryptoInfo, Direction, Error, TrafficSecret};

use crate::mutex::lock;

/// The keys with which a session starts, and the source of the next ones.
pub(super) struct StartingKeys {
    pub(super) tx: CryptoInfo,
    pub(super) rx: CryptoInfo,
    pub(super) source: Box<dyn KeySource>,
}

/// A source of keys that both halves lock for the moment of a key update.
#[derive(Clone)]
pub(super) struct SharedKeys(Arc<Mutex<Box<dyn KeySource>>>);

impl SharedKeys {
    pub(super) fn new(keys: Box<dyn KeySource>) -> Self {
        Self(Arc::new(Mutex::new(keys)))
    }
}

impl KeySource for SharedKeys {
    fn next(&mut self, direction: Direction) -> Result<CryptoInfo, Error> {
        lock(&self.0).next(direction)
    }

    fn is_client(&self) -> bool {
        lock(&self.0).is_client()
    }

    fn ticket(&mut self, body: &[u8]) -> Result<(), Error> {
        lock(&self.0).ticket(body)
    }

    fn past_updates(&self) -> u64 {
        lock(&self.0).past_updates()
    }

    fn secret(&self, direction: Direction) -> Option<TrafficSecret> {
        lock(&self.0).secret(direction)
    }
}
