//! Numbers by which a process notices that it was created by a fork, no matter which code called
//! `fork`.

#![expect(
    unsafe_code,
    reason = "advice about memory, and a handler that the C library calls in a child"
)]

use std::sync::atomic::{AtomicU64, Ordering};

/// Two numbers that are 0 in a process that was just made by a fork.
///
/// The kernel zeroes their page in the child (`MADV_WIPEONFORK`), whether the fork was made by
/// Python, by a C library or by a bare system call. In addition, in case the kernel cannot, the C
/// library's `fork` zeroes them (`pthread_atfork`).
#[repr(C, align(4096))]
#[cfg_attr(not(target_arch = "x86_64"), repr(align(65536)))]
pub struct ForkNumbers {
    /// The first number.
    pub first: AtomicU64,
    /// The second number, in the same page.
    pub second: AtomicU64,
}

/// The numbers of this process. They are a static, so that reading one is a single load.
pub static FORK_NUMBERS: ForkNumbers = ForkNumbers {
    first: AtomicU64::new(0),
    second: AtomicU64::new(0),
};

impl ForkNumbers {
    /// Arranges that both numbers are 0 in children from now on, and in theirs.
    ///
    /// Further calls change nothing, but each takes some memory of the C library.
    pub fn watch(&'static self) {
        // Each is best effort: one covers the forks that the other misses.
        let _wiped = self.wipe_on_fork();
        on_fork_in_child(zero_numbers);
    }

    /// Has the kernel zero the page in children.
    ///
    /// # Errors
    /// EINVAL if the kernel does not support it, or if a page is larger than the numbers.
    #[cfg(target_os = "linux")]
    fn wipe_on_fork(&'static self) -> Result<(), rustix::io::Errno> {
        use rustix::mm::{Advice, madvise};

        let (start, page) = (std::ptr::from_ref(self), rustix::param::page_size());
        if page > size_of::<Self>() || start.addr() % page != 0 {
            return Err(rustix::io::Errno::INVAL);
        }
        // SAFETY: these are whole pages, which belong to the static alone: its size is its
        // alignment. In a child they become zeros, which are valid for the atomics and for padding.
        unsafe { madvise(start.cast_mut().cast(), page, Advice::LinuxWipeOnFork) }
    }

    /// Has the kernel zero the page in children: on Linux only.
    ///
    /// # Errors
    /// ENOTSUP, always.
    #[cfg(not(target_os = "linux"))]
    fn wipe_on_fork(&'static self) -> Result<(), rustix::io::Errno> {
        Err(rustix::io::Errno::NOTSUP)
    }
}

/// Zeroes the numbers.
extern "C" fn zero_numbers() {
    FORK_NUMBERS.first.store(0, Ordering::SeqCst);
    FORK_NUMBERS.second.store(0, Ordering::SeqCst);
}

/// Has the C library call `handler` in the child of each `fork`.
fn on_fork_in_child(handler: extern "C" fn()) {
    // SAFETY: the handler only stores to atomics, which is allowed in the child of a process with
    // threads. There are no handlers for the parent. The only error is ENOMEM.
    let _registered = unsafe { libc::pthread_atfork(None, None, Some(handler)) };
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    /// Returns what a child made by `fork` reads from the first number, at most 255.
    fn in_child(fork: impl FnOnce() -> i32) -> i32 {
        let pid = fork();
        if pid == 0 {
            let found = FORK_NUMBERS.first.load(Ordering::SeqCst);
            // SAFETY: a process may end itself at any time.
            unsafe { libc::_exit(found.min(255) as i32) }
        }
        assert!(pid > 0);
        let mut status = 0;
        // SAFETY: the call waits for our own child and writes one int.
        let waited = unsafe { libc::waitpid(pid, &raw mut status, 0) };
        assert!(waited == pid && libc::WIFEXITED(status));
        libc::WEXITSTATUS(status)
    }

    fn by_the_library() -> i32 {
        // SAFETY: the child only loads an atomic and ends.
        unsafe { libc::fork() }
    }

    fn by_a_system_call() -> i32 {
        // SAFETY: without flags this is a fork, on the present stack; the child only loads an
        // atomic and ends.
        let pid = unsafe { libc::syscall(libc::SYS_clone, libc::SIGCHLD, 0, 0, 0, 0) };
        pid as i32
    }

    // One test, because the numbers are shared by the process.
    #[test]
    fn each_method_alone_wipes_the_numbers_of_a_child_and_no_others() {
        FORK_NUMBERS.first.store(7, Ordering::SeqCst);
        assert_eq!(in_child(by_a_system_call), 7, "nothing zeroes it yet");
        FORK_NUMBERS.wipe_on_fork().expect("Linux 4.14 or newer");
        assert_eq!(in_child(by_a_system_call), 0, "the page");
        assert_eq!(in_child(by_the_library), 0, "the page");

        let start = std::ptr::from_ref(&FORK_NUMBERS).cast_mut().cast();
        let advice = rustix::mm::Advice::LinuxKeepOnFork;
        // SAFETY: this is the page of `wipe_on_fork`, whose advice is taken back.
        unsafe { rustix::mm::madvise(start, rustix::param::page_size(), advice) }.expect("advice");
        assert_eq!(in_child(by_the_library), 7, "nothing zeroes it any more");
        on_fork_in_child(zero_numbers);
        assert_eq!(in_child(by_the_library), 0, "the C library");
        assert_eq!(
            in_child(by_a_system_call),
            7,
            "a bare system call passes the C library by"
        );

        FORK_NUMBERS.watch();
        assert_eq!(in_child(by_a_system_call), 0, "both");
        assert_eq!(FORK_NUMBERS.first.load(Ordering::SeqCst), 7, "the parent's");
    }
}
