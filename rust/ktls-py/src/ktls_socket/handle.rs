//! A socket with several descriptors, which `dup` creates.

use std::ops::Deref;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex};

use ktls_net::{FdSocket, NetError};
use pyo3::prelude::*;

use super::PyKtlsSocket;
use crate::lock::guard;
use crate::timeout::SocketTimeout;
use crate::unclosed::TracedOrigin;

/// One descriptor of a socket. Closing the last one closes the socket.
pub(super) struct SocketHandle {
    shared: Arc<SharedSocket>,
    closed: AtomicBool,
    /// Our own descriptor if we are a duplicate; `None` for the first, which uses that of the
    /// socket.
    own: Mutex<Option<OwnedFd>>,
}

struct SharedSocket {
    /// A relay may hold the socket as well.
    socket: Arc<FdSocket>,
    open: AtomicUsize,
}

/// The socket that a closed handle uses: every call on it fails with EBADF.
static CLOSED: LazyLock<FdSocket> = LazyLock::new(FdSocket::closed);

impl PyKtlsSocket {
    /// Makes the Python object of a socket that has no queue.
    pub(crate) fn over(py: Python<'_>, socket: FdSocket, timeout: SocketTimeout) -> Self {
        Self {
            inner: SocketHandle::new(socket),
            timeout,
            spent: None,
            origin: TracedOrigin::here(py),
        }
    }

    /// Returns the socket, for uses that outlive the object.
    ///
    /// # Errors
    /// EBADF if the handle is closed.
    pub(crate) fn socket(&self) -> Result<Arc<FdSocket>, NetError> {
        self.inner.descriptor()?;
        Ok(Arc::clone(&self.inner.shared.socket))
    }
}

impl SocketHandle {
    pub(super) fn new(socket: FdSocket) -> Self {
        let shared = SharedSocket {
            socket: Arc::new(socket),
            open: AtomicUsize::new(0),
        };
        Self::over(Arc::new(shared), None)
    }

    /// # Errors
    /// EBADF if the handle is closed; an error of the system if there are no more descriptors.
    pub(super) fn dup(&self) -> Result<Self, NetError> {
        let fd = self.duplicate()?;
        Ok(Self::over(Arc::clone(&self.shared), Some(fd)))
    }

    fn over(shared: Arc<SharedSocket>, own: Option<OwnedFd>) -> Self {
        shared.open.fetch_add(1, Ordering::SeqCst);
        Self {
            shared,
            closed: AtomicBool::new(false),
            own: Mutex::new(own),
        }
    }

    pub(super) fn close(&self) {
        if self.let_go() {
            self.shared.socket.close();
        }
    }

    /// Returns `true` if the handle is being dropped open, and no relay will close the socket.
    pub(super) fn is_dropped_open(&self) -> bool {
        let relayed = Arc::strong_count(&self.shared.socket) > 1;
        !self.closed.load(Ordering::Acquire) && !relayed && self.shared.socket.is_left_open()
    }

    /// Returns `true` once, for the last handle of the socket.
    fn let_go(&self) -> bool {
        if self.closed.swap(true, Ordering::SeqCst) {
            return false;
        }
        guard(&self.own).take();
        self.shared.open.fetch_sub(1, Ordering::SeqCst) == 1
    }

    pub(super) fn number(&self) -> RawFd {
        match &*guard(&self.own) {
            Some(own) => own.as_raw_fd(),
            None => self.descriptor().map_or(-1, |fd| fd.as_raw_fd()),
        }
    }
}

impl Deref for SocketHandle {
    type Target = FdSocket;

    fn deref(&self) -> &FdSocket {
        if self.closed.load(Ordering::Acquire) {
            &CLOSED
        } else {
            &self.shared.socket
        }
    }
}

impl Drop for SocketHandle {
    fn drop(&mut self) {
        // A relay continues to use a socket that was dropped open, and closes it when it ends.
        if self.let_go() && Arc::strong_count(&self.shared.socket) == 1 {
            self.shared.socket.close();
        }
    }
}
