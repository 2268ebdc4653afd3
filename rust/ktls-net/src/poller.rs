//! Waits for many descriptors at once. Each is identified by an id that the caller chose.

use std::os::fd::BorrowedFd;
use std::time::Duration;

use rustix::event::PollFlags;
use rustix::io::Errno;

pub(crate) use system::Poller;

/// A descriptor, and the events to wait for.
pub(crate) struct WatchedFd<'a> {
    pub(crate) fd: BorrowedFd<'a>,
    pub(crate) id: u64,
    pub(crate) events: PollFlags,
}

/// The implementation with epoll. epoll keeps the list of watched descriptors, so the cost of a
/// wait depends on how many are ready, not on how many are watched.
#[cfg(any(target_os = "linux", target_os = "android"))]
mod system {
    use std::mem::MaybeUninit;
    use std::os::fd::OwnedFd;

    use rustix::event::epoll;

    use super::{Duration, Errno, PollFlags, WatchedFd};
    use crate::wait::timespec;

    pub(crate) struct Poller(OwnedFd);

    /// The most events that one wait returns.
    const EVENTS: usize = 64;

    impl Poller {
        /// Whether [`Poller::wait`] has to get all descriptors each time.
        pub(crate) const NEEDS_ALL_EACH_WAIT: bool = false;

        pub(crate) fn new() -> Result<Self, Errno> {
            epoll::create(epoll::CreateFlags::CLOEXEC).map(Self)
        }

        /// Changes the events of a descriptor from `previous`. A descriptor without events is
        /// removed: otherwise a hang-up would end every wait at once.
        pub(crate) fn watch(
            &self,
            watched_fd: &WatchedFd<'_>,
            previous: PollFlags,
        ) -> Result<(), Errno> {
            let data = epoll::EventData::new_u64(watched_fd.id);
            let flags = epoll::EventFlags::from_bits_retain(u32::from(watched_fd.events.bits()));
            match (previous.is_empty(), watched_fd.events.is_empty()) {
                _ if previous == watched_fd.events => Ok(()),
                (true, _) => epoll::add(&self.0, watched_fd.fd, data, flags),
                (false, true) => epoll::delete(&self.0, watched_fd.fd),
                (false, false) => epoll::modify(&self.0, watched_fd.fd, data, flags),
            }
        }

        /// Waits, and returns the ids of the descriptors that are ready. Without a `timeout`, waits
        /// forever.
        pub(crate) fn wait<'a>(
            &mut self,
            _watched: impl Iterator<Item = WatchedFd<'a>>,
            timeout: Option<Duration>,
        ) -> Result<Vec<u64>, Errno> {
            let mut room = [MaybeUninit::uninit(); EVENTS];
            let timeout = timeout.map(timespec);
            let (ready, _) = epoll::wait(&self.0, &mut room[..], timeout.as_ref())?;
            Ok(ready.iter().map(|event| event.data.u64()).collect())
        }
    }
}

/// The implementation with poll, which gets all descriptors each time.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
mod system {
    use rustix::event::{PollFd, poll};

    use super::{Duration, Errno, PollFlags, WatchedFd};
    use crate::wait::timespec;

    pub(crate) struct Poller;

    impl Poller {
        /// Whether [`Poller::wait`] has to get all descriptors each time.
        pub(crate) const NEEDS_ALL_EACH_WAIT: bool = true;

        pub(crate) const fn new() -> Result<Self, Errno> {
            Ok(Self)
        }

        pub(crate) const fn watch(
            &self,
            _side: &WatchedFd<'_>,
            _had: PollFlags,
        ) -> Result<(), Errno> {
            Ok(())
        }

        /// Waits, and returns the ids of the descriptors that are ready. A descriptor without
        /// events is left out: otherwise a hang-up would end every wait at once.
        pub(crate) fn wait<'a>(
            &mut self,
            watched: impl Iterator<Item = WatchedFd<'a>>,
            timeout: Option<Duration>,
        ) -> Result<Vec<u64>, Errno> {
            let wanted = watched.filter(|watched_fd| !watched_fd.events.is_empty());
            let (ids, mut fds): (Vec<_>, Vec<_>) = wanted
                .map(|watched_fd| {
                    (
                        watched_fd.id,
                        PollFd::from_borrowed_fd(watched_fd.fd, watched_fd.events),
                    )
                })
                .unzip();
            poll(&mut fds, timeout.map(timespec).as_ref())?;
            let ready = ids.into_iter().zip(fds);
            let ready = ready.filter(|(_, fd)| !fd.revents().is_empty());
            Ok(ready.map(|(id, _)| id).collect())
        }
    }
}
