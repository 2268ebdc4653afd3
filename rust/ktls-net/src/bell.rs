//! Bells: descriptors that wake threads after a change that no descriptor of TCP shows.

use std::io::{Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, Weak};

use crate::NetError;
use crate::error::system;
use crate::mutex::lock;

/// A descriptor that becomes readable when the bell rings, until the bell is silenced.
#[derive(Debug)]
pub struct ReadinessBell {
    heard: UnixStream,
    rope: UnixStream,
}

impl ReadinessBell {
    /// Makes a silent bell.
    ///
    /// # Errors
    /// EMFILE or ENFILE if there are no descriptors.
    pub fn new() -> Result<Self, NetError> {
        let (heard, rope) = UnixStream::pair().map_err(system)?;
        heard.set_nonblocking(true).map_err(system)?;
        rope.set_nonblocking(true).map_err(system)?;
        Ok(Self { heard, rope })
    }

    /// Makes the descriptor readable.
    pub fn ring(&self) {
        // It fails if the socket is full of rings, and the descriptor is readable then.
        let _ = (&self.rope).write(&[1]);
    }

    /// Makes the descriptor unreadable until the next ring.
    pub fn silence(&self) {
        let mut rung = [0; 64];
        while matches!((&self.heard).read(&mut rung), Ok(len) if len == rung.len()) {}
    }
}

impl AsFd for ReadinessBell {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.heard.as_fd()
    }
}

/// The bells that a socket rings after a change. They are weak references: a dropped bell is
/// removed.
#[derive(Debug, Default)]
pub(crate) struct ReadinessWatchers {
    bells: Mutex<Vec<Weak<ReadinessBell>>>,
    /// `true` once a bell was added. Most sockets never have one, and ring without a lock.
    any: AtomicBool,
}

/// Rings the bells when dropped. Locks and turns that are taken after it are released before.
pub(crate) struct RingLater<'a>(&'a ReadinessWatchers);

impl ReadinessWatchers {
    /// Adds a bell.
    pub(crate) fn add(&self, bell: &Arc<ReadinessBell>) {
        let mut bells = lock(&self.bells);
        bells.retain(|bell| bell.strong_count() > 0);
        bells.push(Arc::downgrade(bell));
        self.any.store(true, Ordering::SeqCst);
    }

    /// Removes a bell.
    pub(crate) fn remove(&self, bell: &Arc<ReadinessBell>) {
        let gone = Arc::downgrade(bell);
        lock(&self.bells).retain(|bell| !bell.ptr_eq(&gone));
    }

    /// Rings all bells.
    pub(crate) fn ring(&self) {
        if self.any.load(Ordering::SeqCst) {
            let bells = lock(&self.bells);
            bells
                .iter()
                .filter_map(Weak::upgrade)
                .for_each(|bell| bell.ring());
        }
    }

    /// Returns a value that rings all bells when it is dropped.
    pub(crate) fn ring_later(&self) -> RingLater<'_> {
        RingLater(self)
    }
}

impl Drop for RingLater<'_> {
    fn drop(&mut self) {
        self.0.ring();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::event::{PollFd, PollFlags, poll};

    fn rings(bell: &ReadinessBell) -> bool {
        let mut fds = [PollFd::new(bell, PollFlags::IN)];
        poll(
            &mut fds,
            Some(&crate::wait::timespec(std::time::Duration::ZERO)),
        ) == Ok(1)
    }

    #[test]
    fn a_bell_rings_until_it_is_silenced() {
        let bell = ReadinessBell::new().unwrap();
        assert!(!rings(&bell));
        for _ in 0..100_000 {
            bell.ring();
        }
        assert!(rings(&bell));
        bell.silence();
        assert!(!rings(&bell));
    }

    #[test]
    fn all_watchers_hear_a_change_but_those_removed_or_gone() {
        let watchers = ReadinessWatchers::default();
        let [stays, removed, gone] = [0; 3].map(|_| Arc::new(ReadinessBell::new().unwrap()));
        for bell in [&stays, &removed, &gone] {
            watchers.add(bell);
        }
        watchers.remove(&removed);
        drop(gone);
        drop(watchers.ring_later());
        assert!(rings(&stays));
        assert!(!rings(&removed));
    }
}
