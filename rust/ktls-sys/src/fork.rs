//! Numbers that tell of a fork, whoever forked and how.

#![expect(
    unsafe_code,
    reason = "advice about memory, and a function that the C library calls in a child"
)]

use std::sync::atomic::{AtomicU64, Ordering};

/// Numbers that are 0 in a process that a fork has just made.
///
/// The kernel wipes their page in the child (`MADV_WIPEONFORK`), whether the fork came from Python, from
/// a C library or from a bare system call. Where it cannot, and beside it, the C library's `fork` does
/// (`pthread_atfork`).
#[repr(C, align(4096))]
#[cfg_attr(not(target_arch = "x86_64"), repr(align(65536)))]
pub struct ForkNumbers {
    /// The first number.
    pub first: AtomicU64,
    /// The second, of the same page.
    pub second: AtomicU64,
}

/// Those of this process. A static, so that to look at one is a single load.
pub static FORK_NUMBERS: ForkNumbers = ForkNumbers {
    first: AtomicU64::new(0),
    second: AtomicU64::new(0),
};

impl ForkNumbers {
    /// Has both set to 0 in children from now on, and in theirs. Again, it does nothing new but takes
    /// some memory of the C library.
    pub fn watch(&'static self) {
        // Best effort each: the one covers what the other cannot.
        let _wiped = self.wipe_on_fork();
        on_fork_in_child(forget);
    }

    /// # Errors
    /// EINVAL where the kernel cannot, or a page is larger than the numbers.
    #[cfg(target_os = "linux")]
    fn wipe_on_fork(&'static self) -> Result<(), rustix::io::Errno> {
        use rustix::mm::{Advice, madvise};

        let (start, page) = (std::ptr::from_ref(self), rustix::param::page_size());
        if page > size_of::<Self>() || start.addr() % page != 0 {
            return Err(rustix::io::Errno::INVAL);
        }
        // SAFETY: whole pages of a static that nothing shares a page with, as its alignment is its size.
        // In a child they become zeros, which are valid for the atomics and the padding between them.
        unsafe { madvise(start.cast_mut().cast(), page, Advice::LinuxWipeOnFork) }
    }

    /// # Errors
    /// ENOTSUP
    #[cfg(not(target_os = "linux"))]
    fn wipe_on_fork(&'static self) -> Result<(), rustix::io::Errno> {
        Err(rustix::io::Errno::NOTSUP)
    }
}

extern "C" fn forget() {
    FORK_NUMBERS.first.store(0, Ordering::SeqCst);
    FORK_NUMBERS.second.store(0, Ordering::SeqCst);
}

fn on_fork_in_child(handler: extern "C" fn()) {
    // SAFETY: the handler only stores to atomics, which is allowed in the child of a process with
    // threads; no handlers are given for the parent. ENOMEM is all that it can say.
    let _registered = unsafe { libc::pthread_atfork(None, None, Some(handler)) };
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    /// What a child made by `fork` finds in the first number, at most 255.
    fn in_child(fork: impl FnOnce() -> i32) -> i32 {
        let pid = fork();
        if pid == 0 {
            let found = FORK_NUMBERS.first.load(Ordering::SeqCst);
            // SAFETY: it ends the child at once, which may be done at any time.
            unsafe { libc::_exit(found.min(255) as i32) }
        }
        assert!(pid > 0);
        let mut status = 0;
        // SAFETY: it waits for our own child and writes one int.
        let waited = unsafe { libc::waitpid(pid, &raw mut status, 0) };
        assert!(waited == pid && libc::WIFEXITED(status));
        libc::WEXITSTATUS(status)
    }

    fn by_the_library() -> i32 {
        // SAFETY: the child only loads an atomic and ends.
        unsafe { libc::fork() }
    }

    fn by_a_system_call() -> i32 {
        // SAFETY: as above; without flags it is a fork, on the stack that is there.
        let pid = unsafe { libc::syscall(libc::SYS_clone, libc::SIGCHLD, 0, 0, 0, 0) };
        pid as i32
    }

    // One test, for the numbers are the process's.
    #[test]
    fn each_way_alone_wipes_the_numbers_of_a_child_and_no_others() {
        FORK_NUMBERS.first.store(7, Ordering::SeqCst);
        assert_eq!(in_child(by_a_system_call), 7, "nobody watches");
        FORK_NUMBERS.wipe_on_fork().expect("a kernel of our time");
        assert_eq!(in_child(by_a_system_call), 0, "the page");
        assert_eq!(in_child(by_the_library), 0, "the page");

        let start = std::ptr::from_ref(&FORK_NUMBERS).cast_mut().cast();
        let advice = rustix::mm::Advice::LinuxKeepOnFork;
        // SAFETY: the page of `wipe_on_fork`, whose advice is taken back.
        unsafe { rustix::mm::madvise(start, rustix::param::page_size(), advice) }.expect("advice");
        assert_eq!(in_child(by_the_library), 7, "nobody watches any more");
        on_fork_in_child(forget);
        assert_eq!(in_child(by_the_library), 0, "the C library");
        assert_eq!(in_child(by_a_system_call), 7, "which it knows nothing of");

        FORK_NUMBERS.watch();
        assert_eq!(in_child(by_a_system_call), 0, "both");
        assert_eq!(FORK_NUMBERS.first.load(Ordering::SeqCst), 7, "the parent's");
    }
}
