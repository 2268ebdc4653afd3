//! The buffers of idle objects, which other objects use meanwhile.

use std::cell::RefCell;

use ktls_core::FifoPool;

thread_local! {
    /// A thread works on one object at a time, so it needs few buffers for any number of objects.
    static POOL: RefCell<FifoPool> = RefCell::default();
}

/// Runs `work` with the buffers of this thread. Does nothing while the thread ends.
pub(super) fn with_pool(work: impl FnOnce(&mut FifoPool)) {
    let _ended = POOL.try_with(|pool| work(&mut pool.borrow_mut()));
}
