//! Sealed bytes that a call leaves behind because it does not wait: they leave without another call.

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
    /// Has what is unsent sent in the background. If the system has no thread for that, the next call of any
    /// kind sends it.
    pub(super) fn send_rest_later(self: &Arc<Self>, fd: &OwnedFd) {
        if !self.has_unsent.load(Ordering::Acquire) {
            return;
        }
        let here = fork::birth() + 1;
        if self.in_background.swap(here, Ordering::AcqRel) == here {
            return;
        }
        // A descriptor of its own, so that the connection's goes back to the system when it is closed.
        let started = fd.try_clone().map_or(TaskStart::NotStarted, |fd| {
            background_sender::send_later(Arc::new(fd), StalledConnection::new(self))
        });
        if started == TaskStart::NotStarted {
            self.in_background.store(0, Ordering::Release);
        }
    }

    /// Lets the background sender close the descriptor that it has for this, once the connection is closed.
    pub(super) fn end_background_flush(&self) {
        if self.in_background.load(Ordering::Acquire) == fork::birth() + 1 {
            background_sender::let_go_of_closed();
        }
    }

    /// Takes a turn of the background sender. Returns how many bytes are left, or None when there is nothing
    /// left to do.
    pub(crate) fn push_in_background(&self, fd: &OwnedFd) -> Option<usize> {
        // A child of a fork finds it in the middle of a call while the lock is held.
        let _call = self.fd.owner().work();
        if self.fd.is_closed() || !self.fd.owner().is_ours() {
            return None;
        }
        let mut tx = self.sending_half();
        let failed = push(fd, &mut tx).is_err();
        let unsent = tx.wire().len();
        if failed || unsent == 0 {
            // Under the lock: who leaves something behind after this starts anew.
            self.in_background.store(0, Ordering::Release);
            if !failed && self.failed.get().is_some() {
                // Behind the alert that says why.
                finish_sending(fd);
            }
            return None;
        }
        Some(unsent)
    }
}
