//! Sealed bytes that a call leaves behind because it does not wait. They are sent without another
//! call.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::Connection;
use super::close::finish_sending;
use super::stalled::StalledConnection;
use super::write::push;
use crate::background_sender::{self, TaskStart};
use crate::fork;

impl Connection {
    /// Leaves the unsent bytes to the background sender. If the system has no thread for that, the
    /// next call of any kind sends them.
    pub(super) fn send_rest_later(self: &Arc<Self>, fd: &OwnedFd) {
        if !self.session.has_unsent() {
            return;
        }
        let here = fork::birth() + 1;
        if self.in_background.swap(here, Ordering::AcqRel) == here {
            return;
        }
        // A duplicate, so that the descriptor of the connection is closed with the connection.
        let started = fd.try_clone().map_or(TaskStart::NotStarted, |fd| {
            background_sender::send_later(Arc::new(fd), StalledConnection::new(self))
        });
        if started == TaskStart::NotStarted {
            self.in_background.store(0, Ordering::Release);
        }
    }

    /// Lets the background sender close the descriptor that it has for this, once the connection is
    /// closed.
    pub(super) fn end_background_flush(&self) {
        if self.in_background.load(Ordering::Acquire) == fork::birth() + 1 {
            background_sender::let_go_of_closed();
        }
    }

    /// Sends some of the unsent bytes, for the background sender. Returns how many are left, or
    /// `None` if nothing is left to do.
    pub(crate) fn push_in_background(&self, fd: &OwnedFd) -> Option<usize> {
        // While the lock is held, a child of a fork must find the connection in use.
        let _call = self.fd.owner().work();
        if self.fd.is_closed() || !self.fd.owner().is_ours() {
            return None;
        }
        let mut tx = self.session.sender();
        let failed = push(fd, &mut tx).is_err();
        let unsent = tx.wire().len();
        if failed || unsent == 0 {
            // Set under the lock: a call that leaves bytes behind after this posts a new task.
            self.in_background.store(0, Ordering::Release);
            if !failed && self.session.failure().is_some() {
                // FIN follows behind the alert.
                finish_sending(fd);
            }
            return None;
        }
        Some(unsent)
    }
}
