//! The identity of this process, and the number of forks so far.
//!
//! Process ids do not identify a process: both sides of a fork may have number 1, each in its own
//! namespace. So the identity is derived from memory that a fork sets to 0 ([`FORK_NUMBERS`]).

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use ktls_sys::FORK_NUMBERS;

use crate::NetError;
use crate::error::ForkRefusal;

/// The current era and, in the high bits, the number of announced forks in progress: packed into
/// one number, so that both are read by one load.
///
/// An era begins with a process and after each announced fork. The eras of a process differ from
/// those of its ancestors. 0 in a new process that has not been identified yet.
static NOW: &AtomicU64 = &FORK_NUMBERS.first;
/// 1 while a thread of a new process identifies the process.
static IDENTIFYING: &AtomicU64 = &FORK_NUMBERS.second;

/// The last era that began, here or in an ancestor.
static LAST: AtomicU64 = AtomicU64::new(0);
/// The first era of this process.
static BIRTH: AtomicU64 = AtomicU64::new(0);
/// The first era of the youngest process, of this one and its ancestors, whose fork was not
/// announced.
static UNANNOUNCED: AtomicU64 = AtomicU64::new(0);
/// The number of announced forks in progress, in memory that a child inherits. Never more than
/// [`NOW`] counts.
static FORKING: AtomicUsize = AtomicUsize::new(0);

/// One announced fork in [`NOW`].
const ONE_FORK: u64 = 1 << 48;

/// An era, and whether a fork is in progress.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct ForkMoment(u64);

impl ForkMoment {
    /// Returns the current era.
    #[inline]
    pub(super) fn now() -> Self {
        match NOW.load(Ordering::SeqCst) {
            0 => identify_process(),
            now => Self(now),
        }
    }

    pub(super) const fn era(self) -> u64 {
        self.0 % ONE_FORK
    }

    /// Returns `true` if the current era is `era` and no fork is in progress, which may already
    /// have happened.
    pub(super) const fn is_quiet_in(self, era: u64) -> bool {
        self.0 == era
    }
}

/// Identifies a new process at its first look.
#[cold]
fn identify_process() -> ForkMoment {
    while IDENTIFYING.swap(1, Ordering::SeqCst) != 0 {
        // Another thread does it; that takes a few steps.
        if let now @ 1.. = NOW.load(Ordering::SeqCst) {
            return ForkMoment(now);
        }
        std::thread::yield_now();
    }
    if let now @ 1.. = NOW.load(Ordering::SeqCst) {
        return ForkMoment(now);
    }
    let birth = LAST.fetch_add(1, Ordering::SeqCst) + 1;
    if birth == 1 {
        FORK_NUMBERS.watch();
    } else if FORKING.swap(0, Ordering::SeqCst) == 0 {
        UNANNOUNCED.store(birth, Ordering::SeqCst);
    }
    BIRTH.store(birth, Ordering::SeqCst);
    NOW.store(birth, Ordering::SeqCst);
    ForkMoment(birth)
}

/// Announces a fork. Until it is over, each call claims its object.
pub(crate) fn announce() {
    let _known = ForkMoment::now();
    NOW.fetch_add(ONE_FORK, Ordering::SeqCst);
    FORKING.fetch_add(1, Ordering::SeqCst);
}

/// Begins the next era after an announced fork, in the parent.
pub(crate) fn next_era() {
    FORKING.fetch_sub(1, Ordering::SeqCst);
    let next = LAST.fetch_add(1, Ordering::SeqCst) + 1;
    let step = |now| Some(now / ONE_FORK * ONE_FORK - ONE_FORK + next.max(now % ONE_FORK));
    // Cannot fail, since `step` never returns `None`.
    let _done = NOW.fetch_update(Ordering::SeqCst, Ordering::SeqCst, step);
}

/// Returns the first era of this process. It differs from that of every ancestor, and grows from
/// parent to child.
pub(crate) fn birth() -> u64 {
    let _known = ForkMoment::now();
    BIRTH.load(Ordering::SeqCst)
}

/// Returns `true` if an unannounced fork has happened since `era`, so that the two processes cannot
/// decide which of them owns an object.
pub(super) fn is_cut_off(era: u64) -> bool {
    era < UNANNOUNCED.load(Ordering::SeqCst)
}

/// The process in which an object was created and in which its threads run.
#[derive(Clone, Copy, Debug)]
pub struct HomeProcess {
    birth: u64,
    /// For error messages only.
    pid: u32,
}

impl HomeProcess {
    /// Returns this process.
    #[must_use]
    pub fn here() -> Self {
        Self {
            birth: birth(),
            pid: std::process::id(),
        }
    }

    /// Returns `true` if this is the process in which the object was created.
    #[must_use]
    pub fn is_here(&self) -> bool {
        self.birth == birth()
    }

    /// Checks that this is the process in which the object was created.
    ///
    /// # Errors
    /// Returns EBUSY in a child of that process, and in a child's child.
    pub fn check(&self) -> Result<(), NetError> {
        if self.is_here() {
            return Ok(());
        }
        Err(ForkRefusal::Threads(self.pid).into())
    }
}
