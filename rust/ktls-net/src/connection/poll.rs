//! Readiness for selectors. Plaintext and whole records that wait in the session count as readable.

use std::sync::Arc;

use rustix::event::PollFlags;

use super::Connection;
use crate::NetError;
use crate::bell::ReadinessBell;
use crate::fd_socket::{SocketReadiness, poll_now};

impl Connection {
    /// Returns which of `events` are ready now, and which to wait for. Also sends unsent bytes,
    /// without waiting.
    ///
    /// # Errors
    /// EBADF if the connection is closed.
    pub fn readiness(&self, events: u16) -> Result<SocketReadiness, NetError> {
        let events = PollFlags::from_bits_retain(events);
        let fd = self.fd.open()?;
        self.push_unsent(&fd);
        let mut seen = poll_now(&fd, events);
        if self.check_alive().is_err() {
            seen.insert(events);
        }
        if self.can_read_at_once() {
            seen.insert(events & PollFlags::IN);
        }
        let known = events | PollFlags::ERR | PollFlags::HUP;
        Ok(SocketReadiness {
            now: (seen & known).bits(),
            watch: events.bits(),
        })
    }

    /// Registers `bell`, which rings after every call that may have changed what waits in the
    /// session.
    pub fn watch(&self, bell: &Arc<ReadinessBell>) {
        self.watchers.add(bell);
    }

    /// Removes `bell`, so that it no longer rings.
    pub fn unwatch(&self, bell: &Arc<ReadinessBell>) {
        self.watchers.remove(bell);
    }

    /// Returns `true` if a read does not wait: there is something to process, or the stream has
    /// ended.
    fn can_read_at_once(&self) -> bool {
        let rx = self.session.receiver();
        rx.pending() > 0 || rx.check_end().is_ok()
    }
}
