//! Which process this is, and how many forks it has seen.
//!
//! Process ids tell nothing: both sides of a fork may be number 1, each in a namespace of its own. What
//! a fork sets to 0 does ([`FORK_NUMBERS`]).

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use ktls_sys::FORK_NUMBERS;

use super::ForkRefusal;
use crate::NetError;

/// The era now, and on top of it how many announced forks are under way: one number, so that it is
/// one load. Eras begin with a process and with each announced fork; no era of a process is one of its
/// ancestors'. 0 in a process that does not know yet that it is one.
static NOW: &AtomicU64 = &FORK_NUMBERS.first;
/// 1 while some thread of a new process finds out what it is.
static LOOKING: &AtomicU64 = &FORK_NUMBERS.second;

/// The last era that began, here or in an ancestor.
static LAST: AtomicU64 = AtomicU64::new(0);
/// The era with which this process began.
static BIRTH: AtomicU64 = AtomicU64::new(0);
/// The same of the youngest process, among this one and its ancestors, whose fork nobody announced.
static UNANNOUNCED: AtomicU64 = AtomicU64::new(0);
/// Announced forks under way, where a child finds it. Never more than [`NOW`] counts.
static FORKING: AtomicUsize = AtomicUsize::new(0);

/// One announced fork in [`NOW`].
const ONE_FORK: u64 = 1 << 48;

/// An era, and whether a fork is under way.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct ForkMoment(u64);

impl ForkMoment {
    /// Now.
    #[inline]
    pub(super) fn now() -> Self {
        match NOW.load(Ordering::SeqCst) {
            0 => find_out(),
            now => Self(now),
        }
    }

    pub(super) const fn era(self) -> u64 {
        self.0 % ONE_FORK
    }

    /// True if it is in this era and no fork is under way, which may have happened already.
    pub(super) const fn is_quiet_in(self, era: u64) -> bool {
        self.0 == era
    }
}

/// The first look of a new process.
#[cold]
fn find_out() -> ForkMoment {
    while LOOKING.swap(1, Ordering::SeqCst) != 0 {
        // Another thread does it, in a few steps.
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

/// Announces a fork: until it is over, whoever begins a call claims what the call is about.
pub(super) fn announce() {
    let _known = ForkMoment::now();
    NOW.fetch_add(ONE_FORK, Ordering::SeqCst);
    FORKING.fetch_add(1, Ordering::SeqCst);
}

/// After an announced fork, in the parent: the next era.
pub(super) fn next_era() {
    FORKING.fetch_sub(1, Ordering::SeqCst);
    let next = LAST.fetch_add(1, Ordering::SeqCst) + 1;
    let step = |now| Some(now / ONE_FORK * ONE_FORK - ONE_FORK + next.max(now % ONE_FORK));
    // Never refused: the step is always some.
    let _done = NOW.fetch_update(Ordering::SeqCst, Ordering::SeqCst, step);
}

/// The era with which this process began: it tells this process from its ancestors, and grows from parent
/// to child.
pub(crate) fn birth() -> u64 {
    let _known = ForkMoment::now();
    BIRTH.load(Ordering::SeqCst)
}

/// True for what was last known to be owned in an era that an unannounced fork has ended: nobody
/// made its two owners ask each other.
pub(super) fn is_cut_off(era: u64) -> bool {
    era < UNANNOUNCED.load(Ordering::SeqCst)
}

/// The process in which something was made, whose threads are there.
#[derive(Clone, Copy, Debug)]
pub struct HomeProcess {
    birth: u64,
    /// For messages only.
    pid: u32,
}

impl HomeProcess {
    /// This process.
    #[must_use]
    pub fn here() -> Self {
        Self {
            birth: birth(),
            pid: std::process::id(),
        }
    }

    /// True in that process.
    #[must_use]
    pub fn is_here(&self) -> bool {
        self.birth == birth()
    }

    /// # Errors
    /// EBUSY in another process, a child of it or a child's child.
    pub fn check(&self) -> Result<(), NetError> {
        if self.is_here() {
            return Ok(());
        }
        Err(ForkRefusal::Threads(self.pid).into())
    }
}
