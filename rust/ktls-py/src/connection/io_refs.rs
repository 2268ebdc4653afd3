//! The files over a connection, which keep it open as those of a `socket.socket` do.

use std::sync::Mutex;

use crate::lock::guard;

/// The number of open files of `makefile`, and whether the connection is to be closed after the
/// last one.
#[derive(Default)]
pub(super) struct IoRefs(Mutex<RefCount>);

#[derive(Default)]
struct RefCount {
    files: usize,
    is_closing: bool,
}

/// Whether the connection is closed now.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum CloseTime {
    /// It is.
    Now,
    /// It is not: files are open, or nobody has closed it.
    NotNow,
}

impl IoRefs {
    /// Notes that a file was opened.
    pub(super) fn add_file(&self) {
        guard(&self.0).files += 1;
    }

    /// Notes that the owner has closed the connection.
    pub(super) fn close(&self) -> CloseTime {
        let mut count = guard(&self.0);
        count.is_closing = true;
        count.time()
    }

    /// Notes that a file was closed.
    pub(super) fn remove_file(&self) -> CloseTime {
        let mut count = guard(&self.0);
        count.files = count.files.saturating_sub(1);
        count.time()
    }
}

impl RefCount {
    const fn time(&self) -> CloseTime {
        if self.is_closing && self.files == 0 {
            CloseTime::Now
        } else {
            CloseTime::NotNow
        }
    }
}
